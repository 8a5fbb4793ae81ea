import math

import pytest

from rewards.equal import Checker
from rewards.scorer import RewardError, Scorer, load_term

PROMPTS, COMPLETIONS = ["p", "p", "p"], ["the answer 4", "the answer 5", "none"]


def score(*terms, columns=({}, {}, {})):
    return Scorer(terms, Checker()).score(PROMPTS, COMPLETIONS, [[1], [2], [3]], ["4", "5", None], ["4"] * 3, columns)


def test_reft_reward() -> None:
    scores = score(load_term("correct", "correct", 1.0, {}))
    assert [item.reward for item in scores] == [1.0, 0.1, 0.0]
    assert [item.verdict.outcome for item in scores] == ["equal", "different", "no_answer"]


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
    from rewards.scorer import RewardTerm

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
