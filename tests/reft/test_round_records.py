"""What a round of self-training writes down, and what it asks: by hand, with chains made up."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest

from reft import self_training
from reft.compose import Composed
from reft.errors import RunError
from reft.prepare import Prepared, prepare
from reft.run import RunDirectory
from reft.self_training import _demonstrations, _do_round, _problems, _sample, best_round
from rollout.types import Sample
from tests.reft import test_rounds
from tests.reft.test_rounds import CUT, RIGHT, WRONG, rows, session_of, with_settings

composed, prepared, run = test_rounds.composed, test_rounds.prepared, test_rounds.run
SOLVED = ("b - 3 2 ok", "equal", "stop")


def skip_imitation(monkeypatch: pytest.MonkeyPatch, run: RunDirectory) -> None:
    def imitate(session: Any, config: Any, chains: Any, source: str, name: str, title: str) -> None:
        run.checkpoint(name).mkdir()

    monkeypatch.setattr(self_training, "imitate", imitate)


def counts(run: RunDirectory) -> dict[str, Any]:
    found = run.read_json("rounds/round_001.json")
    assert found is not None
    return found


def test_rationalized_chains_are_imitated_as_answers_to_plain_problems(prepared: Prepared, run: RunDirectory) -> None:
    session = session_of(prepared, run, [[RIGHT, WRONG]] + [[WRONG, WRONG]] * 3, lambda prompt: SOLVED)
    _sample(session, prepared.config.self_training, 1)
    shown = _demonstrations(session, 1)
    assert [demonstration.chain for demonstration in shown] == ["a"] + ["b - 3 2 ok"] * 3
    assert [demonstration.problem.id for demonstration in shown[1:]] == session.calls[1]
    assert not any("!" in demonstration.problem.prompt for demonstration in shown)


def test_rationalized_chains_alone_are_something_to_imitate(prepared: Prepared, run: RunDirectory) -> None:
    session = session_of(prepared, run, [[WRONG, WRONG]] * 4, lambda prompt: SOLVED)
    _sample(session, prepared.config.self_training, 1)
    assert (rows(run, "kept"), rows(run, "rationalized")) == ([], ["b - 3 2 ok"] * 4)


def test_a_chain_that_slips_through_ends_the_round(
    prepared: Prepared, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were one that quotes its hint not known as such, it would be seen before anything is written."""
    plain = {problem.id: problem for problem in prepared.splits.train}
    blind = lambda samples, *_: [(replace(sample, problem=plain[sample.problem.id]), False) for sample in samples]  # noqa: E731
    monkeypatch.setattr(self_training, "without_hints", blind)
    quoting = lambda prompt: (prompt[prompt.index("!") :], "equal", "stop")  # noqa: E731
    session = session_of(prepared, run, [[RIGHT, WRONG]] + [[WRONG, WRONG]] * 3, quoting)
    with pytest.raises(RunError, match="that is to be kept holds its hint"):
        _sample(session, prepared.config.self_training, 1)
    assert not list((run.path / "rounds").glob("*")), "nothing is kept"


def test_what_speaks_of_hints_without_having_one_is_not_stored(prepared: Prepared, run: RunDirectory) -> None:
    spoken = [("b - 9 ! ok", "equal", "stop"), ("b - 9 ! x", "different", "stop")]
    session = session_of(prepared, run, [[RIGHT, RIGHT], spoken] + [[WRONG, WRONG]] * 2)
    _sample(session, prepared.config.self_training, 1)
    assert rows(run, "kept") == ["a"]
    assert not any("!" in chain for chain in rows(run, "wrong"))
    assert counts(run)["round/quoted"] == 2


def test_the_cap_holds_for_rationalized_chains(prepared: Prepared, run: RunDirectory) -> None:
    capped = with_settings(prepared, cap=1, distinct="none")
    session = session_of(capped, run, [[RIGHT, RIGHT]] + [[WRONG, WRONG]] * 3, lambda prompt: SOLVED)
    _sample(session, capped.config.self_training, 1)
    assert (len(rows(run, "kept")), len(rows(run, "rationalized"))) == (1, 3)


def test_a_share_of_the_unsolved_is_asked_again(prepared: Prepared, run: RunDirectory) -> None:
    some = with_settings(prepared, prompts=60, rationalize=0.5)
    asked = []
    for number in (1, 2):
        session = session_of(some, run, [[RIGHT, RIGHT]] * 10 + [[WRONG, WRONG]] * 50)
        _sample(session, some.config.self_training, number)
        first, again = session.calls
        assert 10 < len(again) < 40
        assert set(again) <= set(first[10:])
        asked.append([first.index(name) for name in again])
    assert asked[0] != asked[1], "others in each round"


def lengthened(sample: Sample, tokens: int) -> Sample:
    prompt = numpy.zeros(tokens + 100, numpy.int32)
    return replace(sample, completion=replace(sample.completion, tokens=[0] * tokens, prompt_tokens=prompt))


def test_counts_are_those_of_what_was_drawn_and_stored(
    prepared: Prepared, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = self_training._draw
    lengths = iter(range(1, 100))
    monkeypatch.setattr(self_training, "_draw", lambda *given: [lengthened(one, next(lengths)) for one in draw(*given)])
    session = session_of(prepared, run, [[RIGHT, CUT], [CUT, WRONG], [RIGHT, RIGHT], [WRONG, WRONG]], lambda prompt: SOLVED)
    _sample(session, prepared.config.self_training, 1)
    found = counts(run)
    put_in = [100 + tokens + tokens - 1 for tokens in range(1, 13)]  # all but the last token of each chain
    expected = {
        "round/problems": 4, "round/samples": 8, "round/right": 5 / 8, "round/solved": 2 / 4, "round/hinted": 4,
        "round/reached": 4 / 4, "round/kept": 2, "round/rationalized": 2, "round/rejected": 8 + 4 - 4, "round/quoted": 0,
        "round/kept_tokens": (1 + 5 + 9 + 11) / 4, "round/tokens": sum(range(1, 13)),
        "round/prompt_tokens": sum(range(101, 113)),
        "round/computed_tokens": sum(put_in), "round/computed_pairs": sum(length * (length + 1) // 2 for length in put_in),
    }  # fmt: skip
    assert found == expected


def test_a_round_in_which_all_right_chains_were_cut_tells_so(prepared: Prepared, run: RunDirectory) -> None:
    plain = with_settings(prepared, rationalize=0.0, demonstrations=True)
    with pytest.raises(RunError, match=r"0\.000 of 8 sampled chains are right and whole"):
        _sample(session_of(plain, run, [[CUT, CUT]] * 4), plain.config.self_training, 1)


def test_every_draw_has_a_seed_of_its_own(prepared: Prepared, run: RunDirectory) -> None:
    seeds: list[int] = []
    for seed in (0, 1):
        other = replace(prepared, composed=replace(prepared.composed, config=replace(prepared.config, seed=seed)))
        for number in (1, 2):
            session = session_of(other, run, [[RIGHT, RIGHT]] + [[WRONG, WRONG]] * 3)
            _sample(session, other.config.self_training, number)
            seeds += session.seeds
    assert len(set(seeds)) == len(seeds) == 8


def test_rounds_ask_different_problems_each_once(prepared: Prepared, run: RunDirectory) -> None:
    train = prepared.splits.train
    size = len(train) * 2 // 3  # every other round spans two passes
    session, settings = session_of(prepared, run, []), replace(prepared.config.self_training, prompts=size)
    asked = [[problem.id for problem in _problems(session, settings, number)] for number in (1, 2, 3, 4)]
    assert [len(set(names)) for names in asked] == [len(names) for names in asked] == [size] * 4
    assert len({tuple(names) for names in asked}) == 4
    assert len(set(asked[0]) | set(asked[1])) > size * 5 / 4
    everything = _problems(session, replace(settings, prompts=None), 1)
    assert {problem.id for problem in everything} == {problem.id for problem in train}
    other = replace(prepared, composed=replace(prepared.composed, config=replace(prepared.config, seed=5)))
    assert [problem.id for problem in _problems(session_of(other, run, []), settings, 1)] != asked[0]


def test_a_round_evaluates_what_it_has_made_and_counts_what_it_sampled(
    prepared: Prepared, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_imitation(monkeypatch, run)
    session = session_of(prepared, run, [[RIGHT, RIGHT]] + [[WRONG, WRONG]] * 3)
    for number in (1, 2, 3):
        _do_round(session, prepared.config.self_training, number)
    published = [Path(checkpoint).name for checkpoint in session.published]
    assert published == ["warm", "round_001", "round_001", "round_002", "round_002", "round_003"]
    tokens = [row["round/tokens"] for row in run.rows("self_training")]
    assert run.state.tokens_sampled == sum(tokens) > 0
    assert not run.checkpoint("round_001").exists(), "run.keep_last is two"
    assert run.checkpoint("round_002").exists()


def test_a_round_that_has_sampled_does_not_sample_again(
    prepared: Prepared, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_imitation(monkeypatch, run)
    session = session_of(prepared, run, [[RIGHT, RIGHT]] + [[WRONG, WRONG]] * 3)
    _sample(session, prepared.config.self_training, 1)
    asked = len(session.calls)
    _do_round(session, prepared.config.self_training, 1)
    assert len(session.calls) == asked


def test_demonstrations_alone_need_no_files(prepared: Prepared, run: RunDirectory) -> None:
    shown = with_settings(prepared, samples_per_prompt=0, demonstrations=True)
    assert _demonstrations(session_of(shown, run, []), 1) == list(prepared.demonstrations)


def test_a_chain_is_imitated_as_it_was_sampled(prepared: Prepared, run: RunDirectory) -> None:
    session = session_of(prepared, run, [[(" a\n b ", "equal", "stop"), WRONG]] + [[WRONG, WRONG]] * 3)
    _sample(session, prepared.config.self_training, 1)
    (kept,) = (json.loads(line) for line in (run.path / "rounds" / "round_001-kept.jsonl").read_text().splitlines())
    assert kept["chain"] == " a\n b "
    assert [demonstration.chain for demonstration in _demonstrations(session, 1)] == [" a\n b "]


def test_the_best_round_is_by_greedy_and_sampled_and_patience_counts_from_the_first_of_equals(
    prepared: Prepared, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_settings(prepared, rounds=9, patience=1)
    values = [(0.5, 0.5), (0.6, 0.4), (0.7, 0.1), (0.9, 0.0)]

    def note(session: Any, settings: Any, number: int) -> None:
        greedy, sampled = values[number - 1]
        run.log("self_training", number, {"dev/greedy": greedy, "dev/sampled": sampled})

    monkeypatch.setattr(self_training, "_do_round", note)
    session = session_of(settings, run, [])
    self_training.self_train(session)
    assert len(run.rows("self_training")) == 3
    assert best_round(session) == 2, "the last of equals"
    assert best_round(session, first=True) == 1


def test_prompts_of_all_problems_are_known_to_be_without_hints(composed: Composed) -> None:
    """What a task's hints begin with stands in no plain text, so it marks a chain that speaks of them."""
    made = prepare(composed)
    hints = {problem.id: made.config.task.hinted(problem) for problem in made.splits.train[:5]}
    session = session_of(made, None, [])  # type: ignore[arg-type]
    assert self_training._marks(session, hints) == {"!"}
