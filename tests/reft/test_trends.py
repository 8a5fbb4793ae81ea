"""Slopes, ranks, differences and ratios against closed forms."""

import math

import numpy
import pytest

from reft.statistics import Z95, proportion
from reft.trends import difference, ratio, slope, spearman


def test_differences_are_paired() -> None:
    found = difference([1, 1, 0, 1], [0, 1, 0, 0])
    assert found.value == 0.5
    assert found.high - found.value == pytest.approx(Z95 * math.sqrt(1 / 3 / 4))
    shifted = difference([1.5, 0.5, 0.5], [1, 0, 0])
    assert (shifted.low, shifted.high) == (0.5, 0.5), "what all have alike leaves no doubt"
    with pytest.raises(ValueError, match="at least one"):
        difference([], [])


def test_a_line_has_its_slope() -> None:
    found = slope([1, 2, 5], [3, 5, 11])
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((2, 2, 2))
    assert slope([1, 1, 1], [1, 2, 3]) is None
    assert slope([1, 2], [1, 2]) is None
    x, y = [0, 1, 2, 3, 4], [0, 2, 1, 4, 3]
    noisy = slope(x, y)
    assert noisy is not None
    assert noisy.value == pytest.approx(0.8)
    assert noisy.low < noisy.value < noisy.high


def test_equal_values_share_their_rank() -> None:
    x, y = [1, 2, 2, 3, 5, 5, 5, 9], [2, 1, 4, 4, 4, 7, 6, 5]
    ranks = [[1, 2.5, 2.5, 4, 6, 6, 6, 8], [2, 1, 4, 4, 4, 8, 7, 6]]
    found = spearman(x, y)
    assert found is not None
    assert found.value == pytest.approx(numpy.corrcoef(ranks)[0, 1])
    assert -1 < found.low < found.value < found.high < 1
    order = spearman([1, 2, 3, 4], [1, 10, 100, 1000])
    assert order is not None
    assert order.value == 1
    assert spearman([1, 1, 1, 1], [1, 2, 3, 4]) is None


def test_ratios_weigh_by_wholes() -> None:
    found = ratio([1, 0, 3], [2, 2, 4])
    assert found is not None
    assert (found.value, found.n) == (0.5, 3)
    assert found.high - 0.5 == pytest.approx(Z95 * math.sqrt((0 + 1 + 1) * 3 / 2) / 8)
    assert ratio([0, 0], [0, 0]) is None
    none = ratio([0, 0], [10, 10])
    assert none is not None
    assert (none.high, none.n) == (proportion(0, 20).high, 2)
