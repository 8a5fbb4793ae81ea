"""Lengths by step in closed form."""

from dataclasses import replace

import numpy
import pytest

from reft.growth import bins, growth, growth_by_difficulty
from reft.tasks.signed_sum import SignedSum
from reft.train import summarise
from rewards.equal import NO_ANSWER, Verdict
from rollout.types import Completion, Problem, Sample
from tests.reft.test_batch import sample
from tests.reft.test_train import NextLetter

EQUAL = Verdict("equal", "text", "")
TASK = SignedSum()


def chain(tokens: int, right: bool, problem: Problem | None = None, given: int = 0) -> Sample:
    """A chain of so many tokens, of which the first were given."""
    made = sample([1, 2, *[3] * given], [3] * (tokens - given))
    completion: Completion = replace(made.completion, prefix_length=given)
    return replace(
        made,
        completion=completion,
        verdict=EQUAL if right else NO_ANSWER,
        problem=problem or made.problem,
        rewards={"correct": 1.0},
    )


def test_right_and_wrong_chains_are_apart() -> None:
    samples = [chain(4, True), chain(8, True), chain(20, False), chain(2, True, given=1)]
    metrics = growth(samples, "chain")
    assert metrics == {
        "chain/tokens_p10": pytest.approx(2.6), "chain/tokens_p50": 6, "chain/tokens_p90": pytest.approx(16.4),
        "chain/right": 3, "chain/tokens_right": 14 / 3, "chain/wrong": 1, "chain/tokens_wrong": 20,
    }  # fmt: skip
    step = summarise(samples, samples, NextLetter())
    assert {name: step[name] for name in metrics} == metrics, "a step has them"
    assert step["chain/tokens_mean"] == (3 * metrics["chain/tokens_right"] + metrics["chain/tokens_wrong"]) / 4


def test_where_none_is_right_they_have_no_length() -> None:
    metrics = growth([chain(4, False)], "dev")
    assert (metrics["dev/right"], metrics["dev/wrong"]) == (0, 1)
    assert "dev/tokens_right" not in metrics
    assert metrics["dev/tokens_p10"] == metrics["dev/tokens_p90"] == 4


def test_lengths_by_difficulty() -> None:
    problems = TASK._problems()
    hard = {count: [one for one in problems if len(TASK._solutions(one)) == count] for count in (1, 2)}
    samples = [
        chain(9, True, hard[2][0]),
        chain(30, True, hard[1][0]),
        chain(40, False, hard[1][1]),
        chain(3, False, hard[2][1]),
    ]
    assert growth_by_difficulty(samples, TASK, "dev") == {"dev/tokens_bin_1": 6, "dev/tokens_bin_2": 35}, "the easiest first"
    assert growth_by_difficulty(samples[1:3], TASK, "dev") == {}, "all are as difficult"
    assert growth_by_difficulty(samples, NextLetter(), "dev") == {}, "the task cannot tell"


def test_many_difficulties_are_bins_of_about_as_many() -> None:
    assert bins([3, 1, 1, 2]) == [(1, 1), (2, 2), (3, 3)]
    values = [float(value) for value in numpy.random.default_rng(0).permutation(100)]
    found = bins(values)
    assert [sum(low <= value <= high for value in values) for low, high in found] == [21, 20, 20, 20, 19]
    assert [low for low, _ in found[1:]] == [high + 1 for _, high in found[:-1]], "each value is in one of them"
