"""What length can say of difficulty: a search that is ideal makes as many tries as it takes, from a sign pattern at random."""

import random
from collections.abc import Sequence
from statistics import fmean

import pytest

from reft.statistics import Estimate
from reft.tasks.signed_sum import SignedSum, _leaves, _sums
from reft.trends import most_spearman, spearman
from rollout.types import Problem


def ideal_tokens(problem: Problem, generator: random.Random) -> int:
    """Tokens of a chain that tries each pattern once, up to the first that is right."""
    digits = problem.columns["digits"]
    tries = generator.sample(_leaves(len(digits)), 2 ** (len(digits) - 1))
    right = [_sums(digits, signs)[-1] == int(problem.answer) for signs in tries]
    return (right.index(True) + 1) * (4 * (len(digits) - 1) + 1)


def ranks(task: SignedSum, chains: int) -> tuple[Estimate, float]:
    generator = random.Random(0)
    problems: Sequence[Problem] = task.splits().test[:1000]
    hard = [task.difficulty(problem) for problem in problems]
    found = spearman(hard, [fmean(ideal_tokens(problem, generator) for _ in range(chains)) for problem in problems])
    most = most_spearman(hard)
    assert found is not None
    assert most is not None
    return found, most


def test_problems_of_as_many_digits_hardly_differ() -> None:
    """Most have one solution, and luck says when a search comes to it."""
    found, most = ranks(SignedSum(operands=4), chains=4)
    assert found.high < most < 0.6
    assert found.value == pytest.approx(0.37, abs=0.06)
    many, _ = ranks(SignedSum(operands=4), chains=64)
    assert found.high < many.value <= most + 1e-3, "without luck it is the most that there is"


def test_problems_of_several_numbers_of_digits_do() -> None:
    found, most = ranks(SignedSum(operands=4, fewest_operands=3), chains=4)
    assert 0.8 < found.low < found.high < most
