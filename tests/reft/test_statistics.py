import math

import pytest

from reft.statistics import Z95, mean_over_clusters, mean_over_problems, proportion, ratio_over_problems


def test_wilson_by_hand() -> None:
    # p = 0.8, n = 10: (0.8 + 0.19207) / 1.38415 ± 1.95996 / 1.38415 * sqrt(0.016 + 0.0096036)
    estimate = proportion(8, 10)
    assert (estimate.low, estimate.high) == (pytest.approx(0.49016, abs=1e-4), pytest.approx(0.94332, abs=1e-4))


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (0, 1), (1, 1000)])
def test_stays_within_bounds_and_around_the_value(successes: int, n: int) -> None:
    estimate = proportion(successes, n)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.high > estimate.low


def test_one_sample_a_problem_is_a_proportion() -> None:
    assert mean_over_problems([1.0, 0.0, 1.0, 1.0]) == proportion(3, 4)


def test_samples_of_one_problem_do_not_count_as_independent() -> None:
    shares = [0.25, 0.75] * 50
    estimate = mean_over_problems(shares)
    assert (estimate.value, estimate.n) == (0.5, 100)
    half = 1.96 * (0.25**2 * 100 / 99 / 100) ** 0.5
    assert estimate.high - estimate.value == pytest.approx(half, rel=1e-3)


def test_nothing_observed() -> None:
    with pytest.raises(ValueError, match="at least one"):
        proportion(0, 0)


def test_problems_that_are_alike_leave_doubt() -> None:
    """As much as Wilson's interval leaves of problems that are unlike all that were seen."""
    found = mean_over_problems([0.25] * 40)
    missed = proportion(0, 40).high
    assert (found.low, found.high) == pytest.approx((0.25 * (1 - missed), 0.25 + 0.75 * missed))
    one = mean_over_problems([0.5])
    assert one.low < 0.25 < 0.75 < one.high


def test_a_length_that_does_not_differ_has_no_interval() -> None:
    for values in ([7.0], [7.0] * 9):
        found = mean_over_clusters(values)
        assert (found.value, found.n, found.low, found.high) == (7, len(values), -math.inf, math.inf)
        assert found.plain() == {"value": 7, "n": len(values), "low": None, "high": None}
    assert mean_over_clusters([7.0, 8.0]).plain()["low"] < 7.5


def test_ratios_weigh_by_wholes() -> None:
    found = ratio_over_problems([1, 0, 3], [2, 2, 4], share=False)
    assert found is not None
    assert (found.value, found.n) == (0.5, 8)
    assert found.high - 0.5 == pytest.approx(Z95 * math.sqrt((0 + 1 + 1) * 3 / 2) / 8)
    assert ratio_over_problems([0, 0], [0, 0], share=False) is None
    assert ratio_over_problems([0, 0], [10, 10]) == proportion(0, 20)
    longer = ratio_over_problems([30, 70], [10, 30], share=False)
    assert longer is not None
    assert longer.value == 2.5
    assert longer.low < 2.5 < longer.high


def test_a_ratio_of_one_problem_or_of_problems_alike_leaves_doubt() -> None:
    for parts, wholes in (([12, 0], [2, 0]), ([12, 6], [2, 1])):
        found = ratio_over_problems(parts, wholes, share=False)
        assert found is not None
        assert (found.value, found.low, found.high) == (6, -math.inf, math.inf)
    alike = ratio_over_problems([1, 2], [2, 4])
    assert alike == proportion(3, 6)
