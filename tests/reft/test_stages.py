"""What a run does about lost processes and damaged checkpoints, without any process."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reft import stages
from reft.compose import compose
from reft.errors import LostProcessError
from reft.flops import Cost
from reft.run import RunDirectory
from reft.stages import _outlive, assess_reinforced, assess_self_trained, reinforce, set_aside_damaged


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    with RunDirectory(tmp_path / "run", compose("quickstart")) as run:
        yield run


COUNTED = ("computed_tokens", "computed_pairs", "learnt_tokens", "learnt_pairs")


class Told(SimpleNamespace):
    """A session without processes: it remembers what it told a person, and how often its learner was ended."""

    def __init__(self, run: RunDirectory, restarts: int = 2) -> None:
        notes: list[str] = []
        super().__init__(
            run=run, notes=notes, dropped=0, config=SimpleNamespace(learner=SimpleNamespace(restarts=restarts)),
            display=SimpleNamespace(note=notes.append),
        )  # fmt: skip

    def drop_gang(self) -> None:
        self.dropped += 1


def fill(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")


def damage(run: RunDirectory, name: str) -> None:
    (run.checkpoint(name) / "model.safetensors").write_bytes(b"weight")


def stage_that_fails(times: int, then: Callable[[Any, int], None] = lambda session, call: None) -> Any:
    calls = iter(range(100))

    def do(session: Any, wanted: Any) -> bool:
        call = next(calls)
        then(session, call)
        if call < times:
            raise LostProcessError(f"loss {call}")
        return True

    return do


def test_a_lost_process_is_outlived(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    session: Any = Told(run)
    monkeypatch.setattr(stages, "_do_stages", stage_that_fails(2))
    assert _outlive(session, ("reinforce",))
    assert session.dropped == run.state.learner_restarts == 2
    assert session.notes == [f"loss {n}; starting its processes again, from what is saved" for n in range(2)]


def test_one_that_is_lost_again_and_again_stops_the_run(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    session: Any = Told(run)
    monkeypatch.setattr(stages, "_do_stages", stage_that_fails(9))
    with pytest.raises(LostProcessError, match="loss 2"):
        _outlive(session, ("reinforce",))
    assert run.state.learner_restarts == 2


def test_what_was_saved_in_between_counts_as_going_on(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(session: Any, call: int) -> None:
        if call % 2:
            run.write_checkpoint(f"step_{call:06d}", fill)

    session: Any = Told(run)
    monkeypatch.setattr(stages, "_do_stages", stage_that_fails(9, save))
    assert _outlive(session, ("reinforce",))
    assert run.state.learner_restarts == 9


def test_what_is_half_written_is_no_progress(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_half(session: Any, call: int) -> None:
        half = run.checkpoint(".warmup-trainer") / f"checkpoint-{call}"
        half.mkdir(parents=True)
        (half / "weights").write_text("some")

    def come_and_go(session: Any, call: int) -> None:
        if call % 2:
            shutil.rmtree(run.checkpoint("step_000001"))
        else:
            run.write_checkpoint("step_000001", fill)

    for what in (write_half, come_and_go):
        monkeypatch.setattr(stages, "_do_stages", stage_that_fails(9, what))
        with pytest.raises(LostProcessError, match=r"loss [23]"):
            _outlive(Told(run), ("reinforce",))  # type: ignore[arg-type]


def test_what_is_set_aside_as_damaged_is_no_progress(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def damage_another(session: Any, call: int) -> None:
        name = f"step_{call:06d}"
        run.write_checkpoint(name, fill)
        damage(run, name)
        run.set_aside(name)

    monkeypatch.setattr(stages, "_do_stages", stage_that_fails(9, damage_another))
    with pytest.raises(LostProcessError, match="loss 2"):
        _outlive(Told(run), ("reinforce",))  # type: ignore[arg-type]


def test_the_checkpoint_before_a_damaged_one_is_used(run: RunDirectory) -> None:
    for name in ("fresh", "warmup", "step_000002", "step_000004", "step_000006"):
        run.write_checkpoint(name, fill)
    for name in ("step_000002", "step_000006"):
        damage(run, name)
    session: Any = Told(run)
    set_aside_damaged(session)
    assert run.steps_saved() == [2, 4], "what lies before a sound one is not looked at"
    reason = "model.safetensors has 6 bytes, not 7"
    assert session.notes == [f"checkpoint step_000006 is damaged ({reason}); it is now damaged_step_000006, and made again"]
    assert (run.path / "checkpoints" / "damaged_step_000006").is_dir()


def test_copies_that_a_person_made_are_left_alone(run: RunDirectory) -> None:
    for name in ("step_000002", "step_000004", "step_000004_backup", "step_000004.bak"):
        run.write_checkpoint(name, fill)
    run.write_rows(run.path / "samples" / "step_000003.jsonl", [])
    run.write_rows(run.path / "samples" / "step_000003 (1).jsonl", [])
    assert run.steps_saved() == [2, 4]
    run.forget_samples_after(2)
    assert [path.name for path in (run.path / "samples").iterdir()] == ["step_000003 (1).jsonl"]


def test_a_damaged_warm_up_is_made_again(run: RunDirectory) -> None:
    run.write_checkpoint("warmup", fill)
    damage(run, "warmup")
    set_aside_damaged(Told(run))  # type: ignore[arg-type]
    assert not run.has_checkpoint("warmup")
    run.write_checkpoint("warmup", fill)
    damage(run, "warmup")
    set_aside_damaged(Told(run))  # type: ignore[arg-type]
    assert not run.has_checkpoint("warmup"), "though there is one set aside already"


@pytest.mark.parametrize("damaged", [False, True])
def test_the_last_checkpoint_is_evaluated_where_the_best_is_damaged(run: RunDirectory, damaged: bool) -> None:
    for name in ("step_000002", "step_000004"):
        run.write_checkpoint(name, fill)
    run.state.best_step = 2
    if damaged:
        damage(run, "step_000002")
    session: Any = Told(run)
    published: list[str] = []
    session.config.train = SimpleNamespace(steps=4)
    session.publish, session.report, session.test_problems = published.append, lambda *given: None, list
    assess_reinforced(session)
    assert published == [str(run.checkpoint("step_000004" if damaged else "step_000002"))]
    assert run.state.best_step == (4 if damaged else 2)
    assert len(session.notes) == damaged


def test_rounds_whose_checkpoints_are_damaged_are_done_again(run: RunDirectory) -> None:
    for number in (1, 2, 3):
        run.write_checkpoint(f"round_{number:03d}", fill)
        run.log("self_training", number, {"dev/greedy": 0.5})
    damage(run, "round_002")
    damage(run, "round_003")
    set_aside_damaged(Told(run))  # type: ignore[arg-type]
    assert [row["step"] for row in run.rows("self_training")] == [1]
    assert run.has_checkpoint("round_001")


def test_one_that_nobody_has_counted_yet_is_looked_for_damage(run: RunDirectory) -> None:
    """A run may be killed between a round's checkpoint and its evaluation."""
    run.write_checkpoint("round_001", fill)
    damage(run, "round_001")
    session: Any = Told(run)
    set_aside_damaged(session)
    assert not run.has_checkpoint("round_001")
    assert "checkpoint round_001 is damaged" in session.notes[0]


def test_a_best_round_that_is_damaged_gives_way(run: RunDirectory) -> None:
    for number, value in ((1, 0.5), (2, 0.9), (3, 0.4)):
        run.write_checkpoint(f"round_{number:03d}", fill)
        run.log("self_training", number, {"dev/greedy": value, "dev/sampled": value})
    damage(run, "round_002")
    session: Any = Told(run)
    session.config.evaluate = SimpleNamespace(select_on="dev")
    published: list[str] = []
    session.publish, session.report, session.test_problems = published.append, lambda *given: None, list
    assess_self_trained(session)
    assert published == [str(run.checkpoint("round_001").absolute())]
    assert run.state.best_step == 1
    assert session.notes == ["the best round, 2, is damaged (model.safetensors has 6 bytes, not 7); round 1 is evaluated"]


def test_a_run_that_was_killed_behind_its_last_checkpoint_counts_again(run: RunDirectory) -> None:
    """What it had counted was not yet written down."""
    for step, value in ((2, 0.5), (4, 0.5)):
        counts = {f"samples/{name}": 100 for name in ("tokens", *COUNTED)}
        run.log("reinforce", step, {**counts, "dev/greedy": value, "dev/sampled": value})
        run.write_checkpoint(f"step_{step:06d}", fill)
    run.state.best_step, run.state.tokens_sampled = 2, 100
    config = compose("quickstart", ["train.steps=4"]).config
    prepared = SimpleNamespace(cost=Cost(token=2, pair=1))
    session: Any = SimpleNamespace(config=config, run=run, display=None, select=None, prepared=prepared)
    assert reinforce(session)
    assert run.state.best_step == 4, "as good, and later"
    assert run.state.tokens_sampled == 200
    assert run.state.flops == {"reinforce": 2 * 300 * (1 + 3 * config.algorithm.epochs)}
