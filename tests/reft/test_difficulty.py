"""What length can say of difficulty: a search that is ideal makes as many tries as it takes, from a sign pattern at random."""

import random
from collections.abc import Sequence
from math import comb
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


@pytest.mark.parametrize(
    ("operands", "forgetting", "remembering"),
    [(3, (0.26, 0.45, 0.70, 0.90), (0.26, 0.52, 1.0, 1.0)), (4, (0.15, 0.27, 0.47, 0.70), (0.15, 0.29, 0.55, 1.0))],
)
def test_searches_at_random_come_to_what_is_known_of_them(
    operands: int, forgetting: Sequence[float], remembering: Sequence[float]
) -> None:
    """Right within 1, 2, 4 and 8 tries; lines of 3,000 problems drawn otherwise, to two digits."""
    task = SignedSum(operands=operands)
    leaves = [signs for signs in _leaves(operands)]
    right = [
        sum(_sums(problem.columns["digits"], signs)[-1] == int(problem.answer) for signs in leaves)
        for problem in task.splits().test
    ]
    for tries, again, once in zip((1, 2, 4, 8), forgetting, remembering, strict=True):
        assert fmean(1 - (1 - ways / len(leaves)) ** tries for ways in right) == pytest.approx(again, abs=0.03)
        wrong = [comb(len(leaves) - ways, tries) / comb(len(leaves), min(tries, len(leaves))) for ways in right]
        assert 1 - fmean(wrong) == pytest.approx(once, abs=0.03)
