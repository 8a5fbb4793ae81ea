"""From chains and verdicts to rewards: weights, parts, and whatever a plug-in does wrong."""

import asyncio
import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from rewards.adapters import adapt
from rewards.builtin import correct
from rewards.equal import Checker, Verdict
from rewards.program import Program, Programs
from rewards.scorer import Scorer
from rewards.terms import RewardError, RewardTerm, load_term

PROMPTS, COMPLETIONS = ["p", "p", "p"], ["the answer 4", "the answer 5", "none"]


def score(*terms, columns=({}, {}, {})):
    return Scorer(terms, Checker()).score(PROMPTS, COMPLETIONS, [[1], [2], [3]], ["4", "5", None], ["4"] * 3, columns)


def test_reft_reward() -> None:
    scores = score(load_term("correct", "correct", 1.0, {}))
    assert [item.reward for item in scores] == [1.0, 0.1, 0.0]
    assert [item.verdict.outcome for item in scores] == ["equal", "different", "no_answer"]


def test_programs_are_run_for_their_answers() -> None:
    found = [Program("def solution(): return 2 + 2"), Program("def solution(): return 1 / 0"), None]
    scorer = Scorer([load_term("correct", "correct", 1.0, {})], Checker())
    scores = scorer.score(PROMPTS, COMPLETIONS, [[1], [2], [3]], found, ["4"] * 3, [{}] * 3)
    scorer.close()
    assert [item.reward for item in scores] == [1.0, 0.0, 0.0]
    assert [item.extracted for item in scores] == ["4", None, None]
    assert scores[1].verdict == Verdict("no_answer", "program", "ZeroDivisionError: division by zero")
    assert scores[2].verdict.stage == "extract"


def test_programs_that_cannot_be_run_are_no_zeros() -> None:
    scorer = Scorer([], Checker(), Programs(imports=["no_such_module"]))
    with pytest.raises(RewardError, match="programs cannot be run here"):
        scorer.score(["p"], ["c"], [[1]], [Program("def solution(): return 4")], ["4"], [{}])


def test_weights_and_parts() -> None:
    scores = score(load_term("a", "correct", 2.0, {"partial": 0.5}), load_term("b", "answered", -1.0, {}))
    assert [item.reward for item in scores] == [1.0, 0.0, 0.0]
    assert scores[0].parts == {"a": 1.0, "b": 1.0}


def test_none_does_not_apply() -> None:
    def sometimes(completions, **columns):
        return [None, 1.0, None]

    def never(completions, **columns):
        return [None] * 3

    always = load_term("c", "correct", 1.0, {})
    assert [item.reward for item in score(always, term("s", sometimes))] == [1.0, 1.1, 0.0]
    assert [item.reward for item in score(term("n", never))] == [None, None, None]


def term(name, function):
    return RewardTerm(name, function, 1.0)


def test_columns_arrive_by_name() -> None:
    def level(level, **columns):
        return [float(value) for value in level]

    assert [s.reward for s in score(term("l", level), columns=({"level": 1}, {"level": 2}, {"level": 3}))] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("returned", "told"),
    [([1.0], "1 values for 3"), ([math.nan] * 3, "nan"), (["x"] * 3, "'x'"), ([math.inf] * 3, "inf")],
)
def test_what_is_no_reward_names_the_culprit(returned, told) -> None:
    with pytest.raises(RewardError, match=f"rewards.culprit.*{told}"):
        score(term("culprit", lambda **columns: returned))


def test_a_plug_in_that_raises_is_named() -> None:
    def broken(**columns):
        raise KeyError("oops")

    with pytest.raises(RewardError, match=r"rewards.culprit raised KeyError"):
        score(term("culprit", broken))


@pytest.mark.parametrize(
    ("use", "told"),
    [
        ("no_such_module_here:f", "cannot import"),
        ("math:no_such_function", "names no function"),
        ("no_such_builtin", "names no function"),
        ("math:hypot", "does not fit"),
    ],
)
def test_a_wrong_plug_in_fails_when_it_is_loaded(use: str, told: str) -> None:
    with pytest.raises(RewardError, match=f"rewards.mine.*{told}"):
        load_term("mine", use, 1.0, {})


def test_kwargs_may_not_hide_samples() -> None:
    with pytest.raises(RewardError, match="filled from the samples"):
        load_term("mine", "correct", 1.0, {"completions": []})


def test_reft_s_reward() -> None:
    verdicts = ["equal", "different", "undecided", "no_answer"]
    assert correct(verdicts) == [1.0, 0.1, 0.0, 0.0]
    assert correct(verdicts, partial=0.0) == [1.0, 0.0, 0.0, 0.0]


def leaving(**columns: object) -> list[float]:
    raise SystemExit(3)


def scalar(**columns: object) -> float:
    return 1.0


@pytest.mark.parametrize(("function", "told"), [(leaving, r"SystemExit\(3\)"), (scalar, r"returned 1.0; return a list")])
def test_no_plug_in_ends_the_program(function: Callable[..., object], told: str) -> None:
    with pytest.raises(RewardError, match=told):
        score(RewardTerm("mine", function, 1.0))


class Unspeakable(BaseException):
    def __repr__(self) -> str:
        raise RuntimeError("no words")

    def __float__(self) -> float:
        raise self


def raising(**columns: object) -> list[float]:
    raise Unspeakable


async def cancelled(**columns: object) -> list[float]:
    raise asyncio.CancelledError


def breaking_off(**columns: object) -> Iterator[float]:
    yield 1.0
    raise ValueError("half way")


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (raising, "raised <Unspeakable"),
        (cancelled, "raised CancelledError"),
        (breaking_off, "raised ValueError"),
        (lambda **columns: itertools.repeat(1.0), "returned 4 values for 3"),
        (lambda **columns: [Unspeakable()] * 3, "returned <Unspeakable"),
        (lambda **columns: {0.1, 0.2, 0.3}, "return a list"),
        (lambda **columns: bytearray(3), "return a list"),
        (lambda **columns: ["x" * 10**6] * 3, "return a finite number"),
    ],
)
def test_whatever_a_plug_in_does_names_it(function: Callable[..., object], told: str) -> None:
    with pytest.raises(RewardError, match=f"rewards.mine .*{told}") as caught:
        score(RewardTerm("mine", adapt(function, {}), 1.0))
    assert len(str(caught.value)) < 500


def test_ctrl_c_is_the_user_s() -> None:
    def interrupted(**columns: object) -> list[float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(RewardTerm("mine", interrupted, 1.0))


def test_an_interrupt_where_no_ctrl_c_comes_is_the_plug_in_s() -> None:
    class Sly(float):
        def __float__(self) -> float:
            raise KeyboardInterrupt

    def interrupted(**columns: object) -> list[float]:
        raise KeyboardInterrupt

    def sly(**columns: object) -> list[float]:
        return [Sly()] * 3

    with ThreadPoolExecutor(1) as thread:  # as in a worker of a cluster
        for function, told in ((interrupted, "raised KeyboardInterrupt"), (sly, "return a finite number")):
            with pytest.raises(RewardError, match=f"rewards.mine .*{told}"):
                thread.submit(score, RewardTerm("mine", function, 1.0)).result()


def test_no_plug_in_changes_what_others_get() -> None:
    def changing(completions, completion_ids, **columns):
        for ids in completion_ids:
            ids.clear()
        completions.clear()
        return [0.0] * 3

    def reading(completions, completion_ids, **columns):
        assert completions == COMPLETIONS
        return [float(ids[0]) for ids in completion_ids]

    ids = [[1], [2], [3]]
    terms = [term("changing", changing), term("reading", reading)]
    scores = Scorer(terms, Checker()).score(PROMPTS, list(COMPLETIONS), ids, ["4"] * 3, ["4"] * 3, [{}] * 3)
    assert [item.reward for item in scores] == [1.0, 2.0, 3.0]
    assert ids == [[1], [2], [3]]


def graded(*terms):
    texts = ["first", "second", "third"]
    scorer = Scorer(terms, Checker(), forgiving=True)
    return scorer.score(["p"] * 3, texts, [[1], [2], [3]], ["4"] * 3, ["4"] * 3, ({}, {}, {}))


def test_what_fails_once_is_asked_again_as_a_batch() -> None:
    """What it says of one may depend on the others."""
    fails = iter([True])

    def relative(completions, **columns):  # type: ignore[no-untyped-def]
        if len(completions) == 3 and next(fails, False):
            raise OSError("try again")
        return [len(text) - sum(map(len, completions)) / len(completions) for text in completions]

    scores = graded(RewardTerm("mine", relative, 1.0))
    assert [score.reward for score in scores] == pytest.approx([-1 / 3, 2 / 3, -1 / 3])


def test_what_does_not_fail_is_compared_with_what_does_not() -> None:
    def relative(completions, **columns):  # type: ignore[no-untyped-def]
        if "third" in completions:
            raise ValueError("no third")
        return [len(text) - sum(map(len, completions)) / len(completions) for text in completions]

    scores = graded(RewardTerm("mine", relative, 1.0))
    assert [score.reward for score in scores] == [-0.5, 0.5, None]
    assert "no third" in scores[2].failures["mine"]


def test_a_wrong_length_is_wrong_for_all() -> None:
    """Though of a batch of one it would be right."""
    scores = graded(RewardTerm("mine", lambda completions, **columns: [float(len(completions[0]))], 1.0))
    assert [score.reward for score in scores] == [None] * 3
    assert all("returned 1 values for 3 completions" in score.failures["mine"] for score in scores)


def test_values_that_no_one_can_show_are_told() -> None:
    class Odd(list):  # type: ignore[type-arg]
        def __len__(self) -> int:
            raise ZeroDivisionError

    for value, told in (([10**5000] * 3, "<int that cannot be shown: ValueError>"), (Odd([1]), "a sequence that raised")):
        scores = graded(RewardTerm("mine", lambda value=value, **columns: value, 1.0))
        assert all(told in score.failures["mine"] for score in scores), scores
