"""Two policies on the same problems, against sums by hand and against chance."""

import random
from fractions import Fraction
from math import comb

import pytest

from reft.paired import LEAST_P, compare, mcnemar


@pytest.mark.parametrize(
    ("first", "second", "p"), [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 2 / 32), (1, 9, 22 / 1024), (9, 1, 22 / 1024)]
)
def test_mcnemar_by_hand(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == pytest.approx(p)


def test_mcnemar_of_many_problems() -> None:
    assert mcnemar(600, 700) == pytest.approx(2 * sum(comb(1300, k) for k in range(601)) / 2**1300, rel=1e-9)
    assert mcnemar(600, 700) == pytest.approx(0.0060, abs=5e-4)
    assert mcnemar(700, 700) == 1
    assert mcnemar(0, 2_000) == LEAST_P, "too small for a number, and yet not 0"


@pytest.mark.parametrize(("first", "second"), [(0, 900), (0, 995), (0, 996), (1, 999), (400, 1_000), (2_000, 1_000)])
def test_mcnemar_has_as_many_digits_however_small_it_is(first: int, second: int) -> None:
    n = first + second
    exact = Fraction(2 * sum(comb(n, k) for k in range(min(first, second) + 1)), 2**n)
    assert 1e-300 < mcnemar(first, second) < 1e-40
    assert mcnemar(first, second) == pytest.approx(float(exact), rel=1e-12)


def test_greedy_chains() -> None:
    found = compare([1.0] * 12 + [0.0] * 8, [1.0] * 4 + [0.0] * 15 + [1.0], 0)
    assert (found.first_only, found.second_only) == (8, 1)
    assert found.p == mcnemar(8, 1)
    assert found.test == "McNemar, exact"
    assert (found.difference.value, found.difference.n) == (pytest.approx(0.35), 20)
    error = 1.96 * ((9 - 20 * 0.35**2) / 20 / 20) ** 0.5
    assert found.difference.low == pytest.approx(0.35 - error, abs=0.06)
    assert found.difference.high == pytest.approx(0.35 + error, abs=0.06)


def test_shares_of_samples() -> None:
    found = compare([0.5, 0.25, 1.0], [0.25, 0.0, 0.75], 0)
    assert found.test.startswith("random signs")
    assert found.p == pytest.approx(0.25, abs=0.02), "two of the eight ways to choose signs"
    assert found.difference.value == 0.25 == found.difference.low == found.difference.high
    same = compare([0.5, 0.25], [0.5, 0.25], 0)
    assert (same.p, same.difference.value) == (1, 0)


def test_p_is_a_probability_under_chance() -> None:
    generator = random.Random(0)
    ps = [compare(*([float(generator.random() < 0.5) for _ in range(60)] for _ in range(2)), 0).p for _ in range(60)]
    assert sum(p < 0.05 for p in ps) <= 7


def test_what_cannot_be_paired() -> None:
    for first, second in (([1.0], [1.0, 0.0]), ([], [])):
        with pytest.raises(ValueError, match="cannot be paired"):
            compare(first, second, 0)
