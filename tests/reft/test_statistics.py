import pytest

from reft.statistics import mean_over_problems, proportion


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
