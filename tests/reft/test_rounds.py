"""A round of self-training in this process, its chains made up: what is kept, asked again and imitated, and what is left of it
when it is taken up again."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reft import self_training
from reft.compose import Composed, compose
from reft.prepare import Prepared, plain, prepare
from reft.progress import Display
from reft.run import RunDirectory
from reft.self_training import _demonstrations, _do_round, _sample
from reft.session import imitate
from reft.tasks import Demonstration
from rollout.types import Problem, Sample
from tests.reft.test_selection import drawn

CONFIG = """
task: {use: signed_sum, operands: 2, hint_share: 0.5, demonstrations_size: 200}
model: {layers: 1, width: 32, heads: 2, context: 48}
warmup: {ready_at: null}
sampling: {max_tokens: 12}
train: {steps: 0}
self_training: {rounds: 3, prompts: 4, samples_per_prompt: 2, rationalize: 1, epochs: 2, growth: 1.5, schedule_epochs: 4}
"""


@pytest.fixture
def composed(tmp_path: Path) -> Composed:
    (tmp_path / "round.yaml").write_text(CONFIG)
    return compose(str(tmp_path / "round.yaml"))


@pytest.fixture
def prepared(composed: Composed) -> Prepared:
    return prepare(composed)


@pytest.fixture
def run(tmp_path: Path, composed: Composed) -> Iterator[RunDirectory]:
    with RunDirectory(tmp_path / "run", composed) as run:
        yield run


def session_of(prepared: Prepared, run: RunDirectory, chains: list[list[tuple[str, str, str]]]) -> Any:
    """A session in which the first problem asked gets the first list of chains, and so on; with a hint, all get wrong ones."""
    calls: list[list[str]] = []

    def sample(problems: list[Problem], n: int, params: Any, seed: int, show: Any) -> list[Sample]:
        calls.append([problem.id for problem in problems])
        made = chains if "!" not in problems[0].prompt else [[HINTED] * n] * len(problems)
        return [
            replace(drawn(problem.id, *chain), problem=problem)
            for problem, own in zip(problems, made, strict=True)
            for chain in own
        ]

    metrics = {"dev/greedy": 0.5, "dev/sampled": 0.5, "dev/tokens_per_chain": 2.0}
    return SimpleNamespace(
        config=prepared.config, prepared=prepared, run=run, display=Display(), calls=calls, publish=lambda checkpoint: None,
        start=lambda: "warm", source=lambda: "fresh", select=lambda pool: metrics, pool=lambda: SimpleNamespace(sample=sample),
    )  # fmt: skip


RIGHT, CUT, WRONG = ("a", "equal", "stop"), ("b", "equal", "length"), ("c", "different", "stop")
UNDECIDED, SILENT = ("d", "undecided", "stop"), ("e", "no_answer", "length")
HINTED = ("no", "different", "stop")


def rows(run: RunDirectory, kind: str) -> list[str]:
    lines = (run.path / f"rounds/round_001-{kind}.jsonl").read_text().splitlines()
    return [json.loads(line)["chain"] for line in lines]


def test_a_cut_chain_solves_nothing_and_an_undecided_one_is_not_wrong(prepared: Prepared, run: RunDirectory) -> None:
    session = session_of(prepared, run, [[RIGHT, CUT], [CUT, WRONG], [UNDECIDED, SILENT], [WRONG, WRONG]])
    _sample(session, prepared.config.self_training, 1)
    asked, again = session.calls
    assert again == asked[1:], "with a hint"
    assert rows(run, "kept") == ["a"]
    assert sorted(rows(run, "wrong")) == ["c", "c", "c", "e"]
    counts = run.read_json("rounds/round_001.json")
    assert counts is not None
    assert (counts["round/right"], counts["round/solved"], counts["round/reached"]) == (3 / 8, 1 / 4, 1 / 4)


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\r", "\x0b"])
def test_line_ends_within_a_chain_break_no_row(prepared: Prepared, run: RunDirectory, end: str) -> None:
    session = session_of(prepared, run, [[(f"one{end}two", "equal", "stop"), WRONG]] + [[WRONG, WRONG]] * 3)
    _sample(session, prepared.config.self_training, 1)
    assert [shown.chain for shown in _demonstrations(session, 1)] == [f"one{end}two"]


def test_a_growing_round_lays_its_learning_rate_out_for_as_much_more(
    prepared: Prepared, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out = []

    def note(session: Any, config: Any, chains: Any, source: str, name: str, title: str) -> None:
        laid_out.append((config.epochs, config.schedule_epochs))
        run.checkpoint(name).mkdir()

    monkeypatch.setattr(self_training, "imitate", note)
    session = session_of(prepared, run, [[RIGHT, RIGHT]] * 4)
    for number in (1, 2, 3):
        _do_round(session, prepared.config.self_training, number)
    assert laid_out == [(2, 4), (3, 6), (4.5, 9)]


def test_what_was_shown_with_a_hint_is_not_among_the_plain_demonstrations(prepared: Prepared) -> None:
    train = prepared.splits.train
    shown = [Demonstration(train[0], "x"), Demonstration(replace(train[1], prompt=train[1].prompt + " !"), "y")]
    assert plain([*shown, Demonstration(train[2], "z")], train[:2]) == shown[:1], "nor what the problems do not hold"
    hinted = [demo for demo in prepared.demonstrations if "!" in demo.problem.prompt]
    assert hinted, "half of them"
    assert len(plain(prepared.demonstrations, train)) == len(prepared.demonstrations) - len(hinted)


def test_an_imitation_that_is_taken_up_again_tells_each_step_once_and_counts_before_it_is_there(
    prepared: Prepared, run: RunDirectory
) -> None:
    """Killed behind step 6, its last checkpoint at step 4."""
    for step in (2, 4, 6):
        run.log("warmup", step, {"warmup/loss": 1.0})
    run.log("other", 6, {"a": 1.0})
    (run.checkpoint(".warmup-trainer") / "checkpoint-2").mkdir(parents=True)
    (run.checkpoint(".warmup-trainer") / "checkpoint-4").mkdir()
    run.checkpoint(".warmup.0").mkdir()
    (run.checkpoint(".warmup.0") / "config.json").write_text("{}")

    def watch(call: str, progress: str, every: float, show: Any) -> None:
        show((8, [{"step": float(step), "warmup/loss": 0.5} for step in (6, 8)]))

    session = session_of(prepared, run, [])
    session.gang = lambda: SimpleNamespace(build=lambda make: None, watch=watch)
    counted = []
    session.run.save_state = lambda: counted.append((run.state.tokens_imitated["warmup"], run.has_checkpoint("warmup")))
    imitate(session, prepared.config.warmup, prepared.demonstrations, "fresh", "warmup", "warm-up")
    assert [(row["step"], row["warmup/loss"]) for row in run.rows("warmup")] == [(2, 1.0), (4, 1.0), (6, 0.5), (8, 0.5)]
    assert len(run.rows("other")) == 1
    ((tokens, there),) = counted
    assert tokens > 0
    assert not there
    assert run.has_checkpoint("warmup")
