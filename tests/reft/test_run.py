"""The run directory keeps what it is told, for one run at a time, and forgets what will be done again."""

import json
import time
from pathlib import Path

import pytest

from reft.compose import compose
from reft.errors import RunError
from reft.run import RunDirectory, check_directory, check_free, default_directory, read_settings, step_name
from tests.reft.test_batch import sample


@pytest.fixture
def composed():
    return compose("quickstart")


def test_metrics_that_cannot_be_written_are_told_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "run" / "metrics.jsonl").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match=r"metrics\.jsonl"):
        RunDirectory(tmp_path / "run", compose("quickstart"))


def test_settings_and_environment_are_kept(tmp_path: Path, composed) -> None:
    with RunDirectory(tmp_path / "run", composed):
        pass
    assert read_settings(tmp_path / "run").hash() == composed.hash()
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["packages"]["torch"].startswith("2.13")


def test_two_runs_cannot_share_a_directory(tmp_path: Path, composed) -> None:
    with RunDirectory(tmp_path / "run", composed), pytest.raises(RunError, match="in use"):
        RunDirectory(tmp_path / "run", composed)
    with RunDirectory(tmp_path / "run", composed), pytest.raises(RunError, match="in use"):
        check_free(tmp_path / "run")
    check_free(tmp_path / "run")
    check_free(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_run_that_was_killed_at_its_very_start_is_none_yet(tmp_path: Path, composed) -> None:
    path = tmp_path / "run"
    for name in ("samples", "rounds", "checkpoints", "eval"):
        (path / name).mkdir(parents=True)
    for name in (".lock", ".config.yaml.4242", "environment.json"):
        (path / name).write_text("")
    assert check_directory(path, composed) == []
    with RunDirectory(path, composed):
        assert not (path / ".config.yaml.4242").exists()
        assert json.loads((path / "environment.json").read_text())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".profile").write_text("")
    with pytest.raises(RunError, match="has files but no run in it"):
        check_directory(tmp_path / "other", composed)


def test_what_a_finished_imitation_left_of_its_trainer_is_tidied(tmp_path: Path, composed) -> None:
    with RunDirectory(tmp_path / "run", composed) as run:
        for name in ("warmup", ".warmup-trainer", ".other-trainer"):
            run.checkpoint(name).mkdir()
        (run.checkpoint("warmup") / "config.json").write_text("{}")
    with RunDirectory(tmp_path / "run", composed) as run:
        assert not run.checkpoint(".warmup-trainer").exists(), "killed between the last two things that it did"
        assert run.checkpoint(".other-trainer").exists(), "which goes on"


def test_another_run_s_directory_is_refused_by_the_key_that_differs(tmp_path: Path, composed) -> None:
    with RunDirectory(tmp_path / "run", composed):
        pass
    check_directory(tmp_path / "run", composed)
    check_directory(tmp_path / "run", compose("quickstart", ["rollout.workers=1"]))
    with pytest.raises(RunError, match=r"train.steps=50, not 7"):
        check_directory(tmp_path / "run", compose("quickstart", ["train.steps=7"]))


def test_other_ranks_may_go_on_and_are_told(tmp_path: Path, composed) -> None:
    with RunDirectory(tmp_path / "run", composed):
        pass
    assert check_directory(tmp_path / "run", compose("quickstart", ["rollout.workers=1"])) == []
    (told,) = check_directory(tmp_path / "run", compose("quickstart", ["learner.ranks=2"]))
    assert told.startswith("learner.ranks=2, 1 when the run began: it goes on, but sums are made in another order now")
    assert len(check_directory(tmp_path / "run", compose("quickstart", ["learner.ranks=2", "learner.zero=3"]))) == 2


def test_other_files_are_not_touched(tmp_path: Path, composed) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RunError, match="files but no run"):
        check_directory(tmp_path, composed)
    with pytest.raises(RunError, match="is a file"):
        check_directory(tmp_path / "thesis.tex", composed)
    check_directory(tmp_path / "new", composed)
    (tmp_path / "begun" / "checkpoints").mkdir(parents=True)
    (tmp_path / "begun" / ".lock").touch()
    check_directory(tmp_path / "begun", composed)  # what a run leaves that is killed in its first moment


def test_the_default_directory_follows_the_settings(composed) -> None:
    assert default_directory(composed) == default_directory(compose("quickstart"))
    assert default_directory(composed) != default_directory(compose("quickstart", ["seed=1"]))
    assert default_directory(compose("quickstart", ["run.dir=here"])) == Path("here")


def test_metrics_behind_the_checkpoint_are_forgotten(tmp_path: Path, composed) -> None:
    with RunDirectory(tmp_path / "run", composed) as run:
        run.log("warmup", 9, {"a": 1.0})
        for step in (1, 2, 3):
            run.log("reinforce", step, {"b": float(step)})
            run.write_samples(step, [sample([1], [2])])
        with (run.path / "metrics.jsonl").open("a") as file:
            file.write('{"phase": "reinforce", "st')  # killed while writing
        run.forget_after("reinforce", 2)
        run.forget_samples_after(2)
        run.log("reinforce", 3, {"b": 30.0})
        rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
        assert [(row["phase"], row["step"]) for row in rows] == [
            ("warmup", 9), ("reinforce", 1), ("reinforce", 2), ("reinforce", 3),
        ]  # fmt: skip
        assert rows[-1]["b"] == 30.0
        assert sorted(path.stem for path in run.path.glob("samples/*.jsonl")) == ["step_000001", "step_000002"]


def test_every_training_by_imitation_has_curves_of_its_own(tmp_path: Path, composed) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with RunDirectory(tmp_path / "run", composed) as run:
        for phase, loss in (("warmup", 3.0), ("round_001", 2.0), ("round_002", 1.0)):
            run.log(phase, 1, {"warmup/loss": loss})
        run.log("reinforce", 1, {"kl/update": 0.5})
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    found = {tag: [event.value for event in board.Scalars(tag)] for tag in board.Tags()["scalars"]}
    assert found == {"warmup/loss": [3.0], "round_001/loss": [2.0], "round_002/loss": [1.0], "kl/update": [0.5]}
    assert [row["warmup/loss"] for row in run.rows("round_001")] == [2.0], "in metrics.jsonl the phase tells them apart"


def test_phases_share_wall_time(tmp_path: Path, composed) -> None:
    with RunDirectory(tmp_path / "run", composed) as run:
        with run.phase("reinforce"):
            time.sleep(0.05)
            with run.phase("evaluate"):
                time.sleep(0.1)
            time.sleep(0.05)
        seconds = run.state.seconds
    assert 0.08 < seconds["reinforce"] < 0.2
    assert 0.08 < seconds["evaluate"] < 0.2
    with RunDirectory(tmp_path / "run", composed) as run:
        assert run.state.seconds == seconds


def test_the_best_checkpoint_is_kept(tmp_path: Path, composed) -> None:
    with RunDirectory(tmp_path / "run", composed) as run:
        for step in (10, 20, 30, 40):
            run.write_checkpoint(step_name(step), lambda folder: (folder / "config.json").write_text("{}") and None)
        run.prune(keep_last=2, best=[10])
        assert run.steps_saved() == [10, 30, 40]
        assert run.has_checkpoint("step_000040")
        assert not run.has_checkpoint("step_000020")
