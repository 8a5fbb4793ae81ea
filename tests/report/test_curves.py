"""Plateaus, costs and break-even in closed form."""

import math
from dataclasses import asdict
from pathlib import Path

import pytest

from reft.break_even import break_even, least_cost
from reft.errors import DataError
from reft.plateau import LEAST_GAIN, find_plateau
from reft.report.charts import test_time_charts as charts_of_curves
from reft.report.read import Curve, Point, _curves, read_log
from reft.statistics import Estimate, proportion


def exact(*values: float) -> list[Estimate]:
    return [Estimate(value, 1000, value, value) for value in values]


def test_a_curve_that_rises_and_then_is_flat_has_its_plateau_where_it_bends() -> None:
    plateau = find_plateau([1, 2, 4, 8, 16], exact(0.2, 0.5, 0.8, 0.8, 0.8))
    assert plateau is not None
    assert (plateau.start, plateau.end, plateau.error) == (4, 16, 0)
    assert plateau.level == pytest.approx(0.8)
    assert plateau.gain == pytest.approx(0, abs=1e-12)
    assert plateau.certain


def test_the_order_of_points_does_not_matter() -> None:
    compute, values = [1, 2, 4, 8, 16], exact(0.2, 0.5, 0.8, 0.81, 0.8)
    assert find_plateau(compute[::-1], values[::-1]) == find_plateau(compute, values)


def test_the_gain_is_that_of_a_line_through_the_tail() -> None:
    plateau = find_plateau([10, 20, 40], exact(0.50, 0.52, 0.54))
    assert plateau is not None
    assert plateau.start == pytest.approx(10)
    assert plateau.gain == pytest.approx(0.02)


@pytest.mark.parametrize("values", [(0.1, 0.2, 0.3, 0.4), (0.9, 0.8, 0.7, 0.6), (0.2, 0.5, 0.5 + 1.01 * LEAST_GAIN)])
def test_what_still_gains_or_loses_has_none(values: tuple[float, ...]) -> None:
    assert find_plateau([2**place for place in range(len(values))], exact(*values)) is None


@pytest.mark.parametrize(
    "values", [(0.15, 0.55, 0.9, 0.6, 0.1), (0.2, 0.8, 0.2), (0.2, 0.9, 0.9, 0.9, 0.9, 0.2), (0.9, 0.5, 0.5, 0.9)]
)
def test_a_curve_that_turns_has_none(values: tuple[float, ...]) -> None:
    """Though a line through its points may be level."""
    points = [proportion(value * 500, 500) for value in values]
    assert find_plateau([2**place for place in range(len(values))], points) is None


def test_points_near_the_level_may_scatter() -> None:
    few = [proportion(value * 30, 30) for value in (0.2, 0.7, 0.6, 0.7)]
    plateau = find_plateau([1, 2, 4, 8], few)
    assert plateau is not None
    assert (plateau.start, plateau.certain) == (2, False)
    assert find_plateau([1, 2, 4, 8], exact(0.2, 0.7, 0.6, 0.7)) is None, "nobody doubts that these are off the level"


def test_budgets_that_are_not_spent_are_no_plateau() -> None:
    assert find_plateau([1, 2, 4, 4.1], exact(0.2, 0.5, 0.8, 0.8)) is None
    assert find_plateau([1, 2, 4, 6], exact(0.2, 0.5, 0.8, 0.8)) is not None


def test_two_points_or_one_compute_tell_nothing() -> None:
    assert find_plateau([1, 2], exact(0.5, 0.5)) is None
    assert find_plateau([5, 5, 5], exact(0.4, 0.5, 0.6)) is None


def test_the_error_of_two_points_is_their_intervals_difference() -> None:
    plateau = find_plateau([1, 4, 8], [*exact(0.1), Estimate(0.6, 9, 0.5, 0.7), Estimate(0.6, 9, 0.3, 0.9)])
    assert plateau is not None
    assert plateau.error == pytest.approx(math.hypot(0.1, 0.3))
    assert not plateau.certain


def test_many_chains_of_a_query_share_its_prompt() -> None:
    share = {"value": 0.5, "n": 9, "low": 0.2, "high": 0.8}
    sampled = {"accuracy": share, "tokens_per_chain": 5.0, "flops_per_query": 12.0, "maj@k": {"1": share, "4": share}}
    for known, flops in (({"flops_per_prompt": 7.0}, [12, 7 + 4 * 5]), ({}, [12, 4 * 12])):
        curves = _curves("run", "x", {"sampled": sampled | known}, None)
        (curve,) = [curve for curve in curves if curve.strategy == "maj@k"]
        assert [point.flops for point in curve.points] == flops


def test_cost_is_interpolated_by_its_logarithm_along_the_frontier() -> None:
    points = [(100.0, 0.8), (1.0, 0.2), (10.0, 0.1), (1000.0, 0.7)]
    assert least_cost(points, 0.2) == 1
    assert least_cost(points, 0.1) == 1
    assert least_cost(points, 0.5) == pytest.approx(10)
    assert least_cost(points, 0.8) == pytest.approx(100)
    assert least_cost(points, 0.81) is None


def exactly(*points: tuple[float, float]) -> list[tuple[float, Estimate]]:
    return [(cost, Estimate(value, 100, value, value)) for cost, value in points]


def test_break_even_is_where_totals_are_equal() -> None:
    found = break_even(
        ("early", 1e6, exactly((10.0, 0.3), (1000.0, 0.7))), ("late", 3e6, exactly((10.0, 0.5), (100.0, 0.9))), step=0.1
    )
    at = {result.accuracy: result for result in found}
    assert sorted(at) == [0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    queries = at[0.5].queries
    assert queries == pytest.approx(2e6 / (100 - 10))
    early, late = at[0.5].query
    assert early is not None
    assert late is not None
    assert 1e6 + queries * early == pytest.approx(3e6 + queries * late)
    assert at[0.9].query[0] is None
    assert at[0.9].queries is None
    assert at[0.5].low == at[0.5].high == queries, "nothing is uncertain"
    assert (at[0.9].low, at[0.9].high) == (0, 0), "only training reaches it"


def test_there_is_none_where_the_later_one_costs_more_to_ask() -> None:
    (result,) = break_even(("early", 1e6, exactly((10.0, 0.5))), ("late", 3e6, exactly((20.0, 0.5))))
    assert result.queries == result.low == result.high == math.inf


def test_break_even_is_as_uncertain_as_the_accuracies() -> None:
    def points(*pairs: tuple[float, float]) -> list[tuple[float, Estimate]]:
        return [(cost, Estimate(value, 100, value - 0.1, value + 0.1)) for cost, value in pairs]

    early, late = points((10.0, 0.3), (1000.0, 0.7)), points((10.0, 0.5), (100.0, 0.9))
    at = {result.accuracy: result for result in break_even(("early", 1e6, early), ("late", 3e6, late), step=0.1)}
    # For training: .2 to .6 against .6 to 1; against it: .4 to .8 against .4 to .8.
    assert at[0.5].low == pytest.approx(2e6 / (10 * 100**0.75 - 10))
    assert at[0.5].high == pytest.approx(2e6 / (10 * 100**0.25 - 10 * 10**0.25))
    assert at[0.5].low < at[0.5].queries < at[0.5].high
    assert at[0.7].low == 0, "the earlier one may not reach it"
    assert at[0.9].high == math.inf, "nor may the later one"


def test_the_published_log_of_o1_mini_has_its_plateau_near_seven_tenths(shared: Path) -> None:
    (curve,) = read_log(shared / "data" / "o1_scaling" / "results_log_majority_vote.json", 30)
    assert len(curve.points) == 11
    assert curve.points[-1].accuracy == proportion(21, 30)
    plateau = find_plateau([point.tokens or 0.0 for point in curve.points], [point.accuracy for point in curve.points])
    assert plateau is not None
    assert plateau.start == pytest.approx(42867.67, abs=0.01)
    assert plateau.level == pytest.approx(0.6875)
    assert not plateau.certain  # 30 problems cannot tell it from a slow rise
    (asked,) = read_log(shared / "data" / "o1_scaling" / "results_log_just_ask_nicely.json", 30)
    assert find_plateau([point.tokens or 0.0 for point in asked.points], [point.accuracy for point in asked.points]) is None
    (chart,) = charts_of_curves([curve, asked])
    regions = chart["regions"]["tokens"]
    assert [one["name"] for one in regions] == ["just ask nicely", "majority vote", "no gain"]
    ends = [round(one["start"]) for one in regions] + [round(regions[-1]["end"])]
    assert ends == [363, 11104, 42868, 88448]


def test_curves_of_which_none_goes_on_from_another_have_no_regions() -> None:
    def log(name: str, *values: float) -> Curve:
        points = [Point(str(x), accuracy, 2.0**x) for x, accuracy in enumerate(exact(*values), 4)]
        return Curve(name, name, "published", "token limit", tuple(points))

    def names(*curves: Curve) -> list[list[str]]:
        return [[one["name"] for one in regions] for regions in charts_of_curves(curves)[0]["regions"].values()]

    assert names(log("a", 0.1, 0.3), log("b", 0.1, 0.3, 0.5)) == [["a", "b"]], "it still gains"
    assert names(log("a", 0.1, 0.3), log("b", 0.1, 0.4, 0.5)) == []
    assert names(log("a", 0.1, 0.3), log("b", 0.1, 0.3)) == []
    assert names(log("a", 0.1), log("b", 0.1, 0.3), log("c", 0.1, 0.3, 0.5)) == []


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "[1]", '[{"accuracy": 2, "token_limit": 1, "avg_tokens_used": 1}]', '{"a": [}']
)
def test_what_is_no_log_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "log.json"
    file.write_text(text)
    with pytest.raises(DataError, match=r"log\.json"):
        read_log(file, 30)


def test_budgets_are_told_with_their_unit() -> None:
    points = [{"budget": budget, "accuracy": asdict(proportion(1, 2)), "tokens_per_query": 3.0 * budget} for budget in (1, 2)]
    report = {
        "split": "test",
        "curves": [{"strategy": "cap", "unit": "tokens", "points": points}, {"strategy": "x", "points": points}],
    }
    first, second = _curves("run", "chains-warmup-test", report, None)
    assert [point.label for point in first.points] == ["1 token", "2 tokens"]
    assert [point.label for point in second.points] == ["1", "2"]
