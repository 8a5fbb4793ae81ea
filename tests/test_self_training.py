"""Self-training as whole runs on Ray and TRL, small: what rounds leave, that they go on where they stopped, what is refused."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.test_end_to_end import run
from tests.test_readme import glossary

# A model that has learnt no more than to name a digit is right now and then.
STAR = """
task: {use: running_total, operands: 2, long_share: 0, train_size: 100, dev_size: 20, test_size: 40, demonstrations_size: 640}
model: {layers: 1, width: 32, heads: 2, context: 24}
warmup: {epochs: 6, batch_size: 64, lr: 1.0e-2, ready_at: null}
sampling: {max_tokens: 6}
train: {steps: 0}
self_training: {rounds: 2, prompts: 60, samples_per_prompt: 4, start: previous, epochs: 2, batch_size: 16, lr: 1.0e-3}
learner: {threads: 1}
rollout: {shard_size: 8}
"""

HINTS = """
task: {use: signed_sum, operands: 2, give_up: 1, patient_share: 0, hint_share: 0.5, demonstrations_size: 1280}
model: {layers: 1, width: 32, heads: 2, context: 32}
warmup: {epochs: 4, batch_size: 64, lr: 1.0e-2, ready_at: null}
sampling: {max_tokens: 12}
train: {steps: 0}
self_training: {rounds: 2, prompts: 60, rationalize: 1.0, start: warmup, epochs: 2, batch_size: 16, lr: 1.0e-3}
learner: {threads: 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("self-training")
    (folder / "star.yaml").write_text(STAR)
    done = run(folder, "run", "star.yaml", "run.dir=whole")
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "whole.out").write_text(done.stdout + done.stderr)
    return folder


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rounds(folder: Path) -> list[dict]:
    return [row for row in rows(folder / "metrics.jsonl") if row["phase"] == "self_training"]


def test_a_round_leaves_what_it_kept_and_what_was_wrong(folder: Path) -> None:
    for number, metrics in enumerate(rounds(folder / "whole"), start=1):
        kept = rows(folder / "whole" / "rounds" / f"round_{number:03d}-kept.jsonl")
        wrong = rows(folder / "whole" / "rounds" / f"round_{number:03d}-wrong.jsonl")
        assert metrics["step"] == number
        problems = metrics["round/problems"]
        assert problems == 60, "also where a round spans two passes"
        assert metrics["round/samples"] == 4 * problems
        assert len(kept) == metrics["round/kept"] > 0
        assert {row["verdict"] for row in kept} == {"equal"}
        assert "equal" not in {row["verdict"] for row in wrong}
        assert metrics["round/right"] == pytest.approx(1 - len(wrong) / (4 * problems))
        assert metrics["round/solved"] == pytest.approx(len({row["problem"] for row in kept}) / problems)
        assert len({(row["problem"], row["chain"]) for row in kept}) == len(kept), "each chain once"
        assert {"dev/greedy", "dev/sampled"} <= metrics.keys()
        assert (folder / "whole" / "checkpoints" / f"round_{number:03d}" / "config.json").is_file()
        assert {name for name in metrics if "/" in name} <= glossary()
    assert not (folder / "whole" / "checkpoints" / ".round_001-trainer").exists(), "a later round would go on from it"


def test_the_best_round_is_reported(folder: Path) -> None:
    values = [row["dev/greedy"] + row["dev/sampled"] for row in rounds(folder / "whole")]
    summary = json.loads((folder / "whole" / "summary.json").read_text())
    assert values[summary["best_step"] - 1] == max(values)
    assert summary["self_trained"]["greedy"]["n"] == 40
    assert summary["tokens_sampled"] == sum(row["round/tokens"] for row in rounds(folder / "whole"))
    text = (folder / "whole.out").read_text()
    assert f"trained (round {summary['best_step']} of 2)" in text
    assert f"reft sample whole/checkpoints/round_{summary['best_step']:03d}" in text


def test_a_stopped_run_goes_on_to_the_same_end(folder: Path) -> None:
    """Stopped behind the sampling of its second round, with nothing of it imitated yet."""
    half, whole = folder / "half", folder / "whole"
    shutil.copytree(whole, half)
    for path in (half / "checkpoints" / "round_002", half / "tensorboard"):
        shutil.rmtree(path)
    for path in (half / "eval" / "self_trained.json", half / "summary.json"):
        path.unlink()
    lines = (half / "metrics.jsonl").read_text().splitlines(keepends=True)
    first = next(at for at, line in enumerate(lines) if json.loads(line)["phase"] == "self_training")
    (half / "metrics.jsonl").write_text("".join(lines[: first + 1]))
    done = run(folder, "run", "star.yaml", "run.dir=half")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "sample" not in done.stderr.partition("round 2: imitate")[0], "what was sampled is not sampled again"
    assert rounds(half) == rounds(whole)
    again = run(folder, "run", "star.yaml", "run.dir=half")
    assert "This run is complete" in again.stderr


def test_a_round_without_a_right_chain_says_so(folder: Path) -> None:
    hopeless = ["warmup.epochs=0", "self_training.prompts=8", "self_training.samples_per_prompt=1", "run.dir=hopeless"]
    done = run(folder, "run", "star.yaml", *hopeless)
    assert done.returncode == 2
    assert "round 1: 0.000 of 8 sampled chains are right and whole, so there is nothing to imitate" in done.stderr
    assert not list((folder / "hopeless" / "rounds").iterdir())


def test_a_round_asks_nobody_twice(folder: Path) -> None:
    for number in (1, 2):
        names = [
            row["problem"]
            for kind in ("kept", "wrong")
            for row in rows(folder / "whole/rounds" / f"round_{number:03d}-{kind}.jsonl")
        ]
        assert max(names.count(name) for name in names) <= 4, "its four chains"


def test_patience_counts_from_the_first_of_equal_rounds() -> None:
    from reft.self_training import best_round

    session = SimpleNamespace(
        config=SimpleNamespace(evaluate=SimpleNamespace(select_on="dev")),
        run=SimpleNamespace(rows=lambda _: [{"dev/greedy": value, "dev/sampled": value} for value in (0.1, 0.5, 0.5)]),
    )
    assert best_round(session) == 3, "reported"  # type: ignore[arg-type]
    assert best_round(session, first=True) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(("keep_best", "kept"), [(1, [2, 4, 5]), (3, [2, 4, 5]), (4, [2, 3, 4, 5])])
def test_the_last_rounds_and_the_best_are_kept(tmp_path: Path, keep_best: int, kept: list[int]) -> None:
    from reft.self_training import prune

    for number in range(1, 6):
        (tmp_path / f"round_{number:03d}").mkdir()
    session = SimpleNamespace(
        config=SimpleNamespace(
            run=SimpleNamespace(keep_last=2, keep_best=keep_best), evaluate=SimpleNamespace(select_on="dev")
        ),
        run=SimpleNamespace(
            checkpoint=tmp_path.joinpath,
            rows=lambda _: [{"dev/greedy": value, "dev/sampled": value} for value in (0.1, 0.5, 0.2, 0.3, 0.4)],
        ),
    )
    prune(session, 5)  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"round_{number:03d}" for number in kept]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("train.steps=3", "two ways to go on from the warm-up"),
        ("self_training.cap=0", "self_training.cap=0 is out of range"),
        ("self_training.growth=0.5", "self_training.growth=0.5 is out of range"),
        ("self_training.temperature=0", "self_training.temperature=0.0 is out of range"),
        ("self_training.distinct=looks", "distinct"),
        ("self_training.rationalize=1.5", "self_training.rationalize=1.5 is out of range"),
        ("self_training.rationalize=0.5", "needs hints, and the task has none"),
        ("self_training.samples_per_prompt=0", "leaves nothing to imitate"),
        ("self_training.least_distance=0", "self_training.least_distance=0.0 is out of range"),
    ],
)
def test_wrong_settings(tmp_path: Path, setting: str, told: str) -> None:
    from reft.compose import compose
    from reft.errors import ConfigError

    (tmp_path / "star.yaml").write_text(STAR)
    with pytest.raises(ConfigError, match=told):
        compose(str(tmp_path / "star.yaml"), [setting])


def test_problems_without_a_right_chain_are_rationalized_and_no_hint_is_kept(tmp_path: Path) -> None:
    (tmp_path / "hints.yaml").write_text(HINTS)
    done = run(tmp_path, "run", "hints.yaml", "run.dir=hinted")
    assert done.returncode == 0, done.stderr[-3000:]
    for number, metrics in enumerate(rounds(tmp_path / "hinted"), start=1):
        folder = tmp_path / "hinted" / "rounds"
        kept, rationalized = (rows(folder / f"round_{number:03d}-{kind}.jsonl") for kind in ("kept", "rationalized"))
        solved = {row["problem"] for row in kept}
        assert len(rationalized) == metrics["round/rationalized"] > 0
        assert not solved & {row["problem"] for row in rationalized}, "only what was not solved without"
        assert metrics["round/hinted"] == metrics["round/problems"] - len(solved), "each of them once"
        assert metrics["round/reached"] > metrics["round/solved"]
        assert metrics["round/rejected"] == metrics["round/samples"] + metrics["round/hinted"] - len(kept) - len(rationalized)
        assert {row["verdict"] for row in rationalized} == {"equal"}
        stored = "".join(file.read_text() for file in folder.glob("*.jsonl"))
        assert "!" not in stored, "the word that begins a hint"
