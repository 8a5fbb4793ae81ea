"""Slopes, ranks, differences and ratios against closed forms."""

import math

import numpy
import pytest

from reft.statistics import Z95
from reft.trends import difference, most_spearman, slope, spearman


def test_differences_are_paired() -> None:
    found = difference([1, 1, 0, 1], [0, 1, 0, 0])
    assert found.value == 0.5
    # Agresti and Min: half a problem more in each cell of the table, so that 2.5 gain and 0.5 lose, of 6.
    half = Z95 * math.sqrt((2.5 + 0.5) - (2.5 - 0.5) ** 2 / 6) / 6
    assert (found.low, found.high) == pytest.approx(((2.5 - 0.5) / 6 - half, (2.5 - 0.5) / 6 + half))
    assert difference([0, 1, 0, 0], [1, 1, 0, 1]).low == pytest.approx(-found.high), "either way"
    with pytest.raises(ValueError, match="at least one"):
        difference([], [])


@pytest.mark.parametrize("gap", [0, 0.5, 1])
@pytest.mark.parametrize("n", [1, 5, 500])
def test_differences_that_are_all_one_leave_doubt(gap: float, n: int) -> None:
    found = difference([gap] * n, [0] * n)
    assert found.value == gap
    assert max(-1, gap - 8 / n) <= found.low < gap
    assert found.low < found.high <= 1
    assert found.high > gap or gap == 1


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


@pytest.mark.parametrize("x", [[1, 2, 3, 4], [1, 1, 2, 2], [1, 2, 2, 2, 2, 5], [3.0] * 3 + [4.5] * 9])
def test_equal_values_leave_ranks_less(x: list[float]) -> None:
    """What is sorted by x, without a tie of its own, is as near to it as anything."""
    most, sorted_by_it = most_spearman(x), spearman(x, range(len(x)))
    assert sorted_by_it is not None
    assert most == pytest.approx(sorted_by_it.value)
    assert (most == 1) == (len(set(x)) == len(x))
    assert most_spearman([1, 1, 1, 1]) is None
