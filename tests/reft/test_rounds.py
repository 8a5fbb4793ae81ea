"""A round of self-training in this process, its chains made up: what is kept, asked again and imitated, and what is left of it
when it is taken up again."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reft import self_training
from reft.compose import Composed, compose, compose_settings
from reft.errors import RunError
from reft.files import seal_folder
from reft.interrupt import Terminated
from reft.prepare import Prepared, plain, prepare
from reft.progress import Display
from reft.run import RunDirectory
from reft.self_training import _demonstrations, _do_round, _sample
from reft.session import imitate
from reft.stages import _stream, assess_self_trained
from reft.tasks import Demonstration, Hint
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


def session_of(
    prepared: Prepared, run: RunDirectory, chains: list[list[tuple[str, str, str]]], hinted: Any = lambda prompt: HINTED
) -> Any:
    """A session in which the first problem asked gets the first list of chains, and so on; with a hint, what `hinted` says to
    the prompt, which is wrong unless told otherwise."""
    calls: list[list[str]] = []
    temperatures: list[float] = []
    published: list[str] = []
    seeds: list[int] = []

    def sample(problems: list[Problem], n: int, params: Any, seed: int, show: Any) -> list[Sample]:
        calls.append([problem.id for problem in problems])
        temperatures.append(params.temperature)
        seeds.append(seed)
        told = "!" in problems[0].prompt
        made = chains if not told else [[hinted(problem.prompt)] * n for problem in problems]
        return [
            replace(drawn(problem.id, *chain), problem=problem)
            for problem, own in zip(problems, made, strict=True)
            for chain in own
        ]

    metrics = {"dev/greedy": 0.5, "dev/sampled": 0.5, "dev/tokens_per_chain": 2.0}
    return SimpleNamespace(
        config=prepared.config, prepared=prepared, run=run, display=Display(), calls=calls, publish=published.append,
        temperatures=temperatures, published=published, seeds=seeds, start=lambda: "warm", source=lambda: "fresh",
        select=lambda pool: metrics, pool=lambda: SimpleNamespace(sample=sample, drain_faults=lambda: FAULTS),
    )  # fmt: skip


RIGHT, CUT, WRONG = ("a", "equal", "stop"), ("b", "equal", "length"), ("c", "different", "stop")
UNDECIDED, SILENT = ("d", "undecided", "stop"), ("e", "no_answer", "length")
HINTED = ("no", "different", "stop")
FAULTS = {"faults/worker_restarts": 2.0}


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


def with_settings(prepared: Prepared, **changes: Any) -> Prepared:
    """The same inputs with other settings of the rounds."""
    settings = replace(prepared.config.self_training, **changes)
    return replace(prepared, composed=replace(prepared.composed, config=replace(prepared.config, self_training=settings)))


def test_each_round_samples_from_the_policy_before_it_at_its_own_temperature(prepared: Prepared, run: RunDirectory) -> None:
    cold = with_settings(prepared, temperature=0.25)
    for settings, temperature in ((prepared, prepared.config.sampling.temperature), (cold, 0.25)):
        session = session_of(settings, run, [[RIGHT, RIGHT]] + [[WRONG, WRONG]] * 3)
        for number in (1, 2, 3):
            _sample(session, settings.config.self_training, number)
        assert [Path(checkpoint).name for checkpoint in session.published] == ["warm", "round_001", "round_002"]
        assert session.temperatures == [temperature] * 6, "three rounds, each with hints behind"


def test_what_is_kept_of_a_problem_is_bounded_and_distinct(prepared: Prepared, run: RunDirectory) -> None:
    near = [(f"one two three four {word}", "equal", "stop") for word in ("five", "six")]
    far = ("quite another way to say it", "equal", "stop")
    chains = [[*near, far]] + [[WRONG] * 3] * 3
    by_edits = {"distinct": "edits"}
    for changes, kept in (({}, 3), ({"cap": 2}, 2), (by_edits, 3), (by_edits | {"least_distance": 0.3}, 2)):  # a fifth is apart
        settings = with_settings(prepared, samples_per_prompt=3, **changes)
        _sample(session_of(settings, run, chains), settings.config.self_training, 1)
        assert len(rows(run, "kept")) == kept, changes


def test_chains_that_quote_their_hint_are_left_out_and_counted(prepared: Prepared, run: RunDirectory) -> None:
    def hinted(prompt: str) -> tuple[str, str, str]:
        quote = prompt[prompt.index("!") :].removesuffix(" ?")
        return (f"since {quote} so a + b" if "! b +" in prompt else "b - 3 2 ok", "equal", "stop")

    session = session_of(prepared, run, [[RIGHT, RIGHT]] + [[WRONG, WRONG]] * 3, hinted)
    _sample(session, prepared.config.self_training, 1)
    counts = run.read_json("rounds/round_001.json")
    assert counts is not None
    told = {problem.id: "! b +" in prepared.config.task.hinted(problem).prompt for problem in prepared.splits.train}
    asked = session.calls[1]
    assert counts["round/quoted"] == 2 * sum(told[problem] for problem in asked)
    assert counts["round/rationalized"] == sum(not told[problem] for problem in asked), "both chains are alike"
    assert not any("!" in chain for chain in rows(run, "rationalized"))


def test_right_chains_that_all_quote_their_hint_are_told_of(prepared: Prepared, run: RunDirectory) -> None:
    def hinted(prompt: str) -> tuple[str, str, str]:
        return (prompt[prompt.index("!") :], "equal", "stop")

    session = session_of(prepared, run, [[WRONG, WRONG]] * 4, hinted)
    with pytest.raises(RunError, match=r"0.000 of 8 sampled chains .* nothing to imitate \(8 more quote their hint"):
        _sample(session, prepared.config.self_training, 1)


def test_a_hint_that_leaks_ends_the_round(prepared: Prepared, run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    leak = lambda task, problem: Hint(problem.prompt + " !", problem.prompt.split(" > ")[0])  # noqa: E731
    monkeypatch.setattr(type(prepared.config.task), "hinted", leak)
    with pytest.raises(RunError, match="leaks"):
        _sample(session_of(prepared, run, [[RIGHT, WRONG]] + [[WRONG, WRONG]] * 3), prepared.config.self_training, 1)
    assert not list((run.path / "rounds").glob("*")), "nothing is kept"


def test_demonstrations_are_imitated_with_what_was_kept(
    prepared: Prepared, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = with_settings(prepared, demonstrations=True)
    for settings, shown in ((prepared, []), (both, list(prepared.demonstrations))):
        session = session_of(settings, run, [[RIGHT, RIGHT]] + [[WRONG, WRONG]] * 3)
        _sample(session, settings.config.self_training, 1)
        found = _demonstrations(session, 1)
        assert [found[0].chain, *found[1:]] == ["a", *shown]
    known = next(shown for shown in both.demonstrations if shown.problem in both.splits.train)
    monkeypatch.setattr(self_training, "_problems", lambda *_: [known.problem])
    session = session_of(both, run, [[(known.chain, "equal", "stop")]])
    _sample(session, both.config.self_training, 1)
    found = _demonstrations(session, 1)
    twice = [shown for shown in both.demonstrations if (shown.problem.id, shown.chain) == (known.problem.id, known.chain)]
    assert len(found) == len(both.demonstrations) + 1 - len(twice), "one that was kept is not imitated as a demonstration too"


@pytest.mark.parametrize(("patience", "done"), [(None, 5), (0, 3), (1, 4)])
def test_patience_ends_the_rounds(
    prepared: Prepared, run: RunDirectory, monkeypatch: pytest.MonkeyPatch, patience: int | None, done: int
) -> None:
    """Accuracy rises to the second round and falls from there."""
    settings = with_settings(prepared, rounds=5, patience=patience)
    session = session_of(settings, run, [])
    values = [0.1, 0.5, 0.4, 0.3, 0.2]

    def note(session: Any, settings: Any, number: int) -> None:
        run.log("self_training", number, {"dev/greedy": values[number - 1], "dev/sampled": values[number - 1]})

    monkeypatch.setattr(self_training, "_do_round", note)
    self_training.self_train(session)
    assert len(run.rows("self_training")) == done


@pytest.mark.parametrize(
    ("start", "sources"), [("base", ["fresh"] * 3), ("warmup", ["warm"] * 3), ("previous", ["warm", "round_001", "round_002"])]
)
def test_each_round_imitates_from_where_it_should(
    prepared: Prepared, run: RunDirectory, monkeypatch: pytest.MonkeyPatch, start: str, sources: list[str]
) -> None:
    settings = with_settings(prepared, start=start)
    found = []

    def note(session: Any, config: Any, chains: Any, source: str, name: str, title: str) -> None:
        found.append(Path(source).name)
        run.checkpoint(name).mkdir()

    monkeypatch.setattr(self_training, "imitate", note)
    session = session_of(settings, run, [[RIGHT, RIGHT]] * 4)
    for number in (1, 2, 3):
        _do_round(session, settings.config.self_training, number)
    assert found == sources
    assert [row["faults/worker_restarts"] for row in run.rows("self_training")] == [2.0] * 3


def test_the_best_round_is_evaluated_on_test(prepared: Prepared, run: RunDirectory) -> None:
    for number, value in enumerate((0.1, 0.5, 0.4), start=1):
        run.log("self_training", number, {"dev/greedy": value, "dev/sampled": value})
    session = session_of(prepared, run, [])
    reported = []
    session.report = lambda file, problems, name: reported.append((file, name))
    session.test_problems = lambda: []
    assess_self_trained(session)
    assert [Path(checkpoint).name for checkpoint in session.published] == ["round_002"]
    assert reported == [("self_trained", "test")]
    assert run.state.best_step == 2


@pytest.mark.parametrize("algorithm", ["online_st", "reft"])
def test_only_what_imitates_is_given_demonstrations(algorithm: str, composed: Composed) -> None:
    rest = {"train": {**composed.settings["train"], "steps": 3}, "self_training": {"rounds": 0}}
    settings = compose_settings("loop", {**composed.settings, **rest, "algorithm": {"use": algorithm}})
    shown = _stream(prepare(settings)).demonstrations
    assert bool(shown) == (algorithm == "online_st")


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
    prepared: Prepared, run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed behind step 6, its last checkpoint at step 4."""
    for step in (2, 4, 6):
        run.log("warmup", step, {"warmup/loss": 1.0})
    run.log("other", 6, {"a": 1.0})
    run.checkpoint(".warmup-trainer").mkdir()
    run.checkpoint(".warmup.0").mkdir()
    (run.checkpoint(".warmup.0") / "config.json").write_text("{}")
    damaged = run.checkpoint(".warmup-trainer") / "checkpoint-4"
    damaged.mkdir()
    (damaged / "weights").write_text("1")
    seal_folder(damaged)
    (damaged / "weights").write_text("2")

    def watch(call: str, progress: str, every: float, show: Any) -> list[bool]:
        show((8, [{"step": float(step), "warmup/loss": 0.5} for step in (2, 4, 6, 8)]))  # the first two from its checkpoint
        return [True]

    session = session_of(prepared, run, [])
    session.gang = lambda: SimpleNamespace(build=lambda make: None, watch=watch)
    counted = []
    session.run.save_state = lambda: counted.append((run.state.tokens_imitated["warmup"], run.has_checkpoint("warmup")))
    imitate(session, prepared.config.warmup, prepared.demonstrations, "fresh", "warmup", "warm-up")
    assert [(row["step"], row["warmup/loss"]) for row in run.rows("warmup")] == [(2, 0.5), (4, 0.5), (6, 0.5), (8, 0.5)]
    assert len(run.rows("other")) == 1
    assert "warm-up: its checkpoint checkpoint-4 is damaged (weights" in "".join(capsys.readouterr())
    ((tokens, there),) = counted
    assert tokens > 0
    assert not there
    assert run.has_checkpoint("warmup")


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
@pytest.mark.parametrize("complete", [False, True])
def test_an_imitation_is_halted_by_a_signal(
    prepared: Prepared, run: RunDirectory, number: signal.Signals, raised: type[BaseException], complete: bool
) -> None:
    run.checkpoint(".warmup.0").mkdir()
    told: list[str] = []

    def watch(call: str, progress: str, every: float, show: Any) -> list[bool]:
        show((1, []))
        assert not told
        os.kill(os.getpid(), number)
        show((2, []))
        show((3, []))
        return [complete]

    session = session_of(prepared, run, [])
    session.gang = lambda: SimpleNamespace(build=lambda make: None, watch=watch, tell=told.append)
    with pytest.raises(KeyboardInterrupt) as caught:
        imitate(session, prepared.config.warmup, prepared.demonstrations, "fresh", "warmup", "warm-up")
    assert type(caught.value) is raised
    assert told == ["halt"], "once"
    assert run.checkpoint("warmup").is_dir() is complete, "what came to its end all the same is kept"
