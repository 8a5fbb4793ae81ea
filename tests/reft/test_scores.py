"""pass@k, maj@k and rates against closed forms and against every subset."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import pytest

from reft.scores import SUBSETS, answer_kinds, majority_at_k, many, picked, powers, rates
from reft.statistics import mean_over_clusters, pass_at_k, proportion, ratio_over_problems
from reft.tasks import Trace
from rewards.equal import Checker, Verdict
from rollout.search.vote import majority
from tests.rollout.test_vote import drawn


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    checker = Checker()
    yield checker
    checker.close()


@pytest.mark.parametrize(("n", "right"), [(5, 0), (5, 1), (6, 3), (4, 4), (8, 7)])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(n: int, right: int) -> None:
    flags = [True] * right + [False] * (n - right)
    for k in range(1, n + 1):
        subsets = list(combinations(flags, k))
        assert pass_at_k(n, right, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_of_many_samples_is_exact() -> None:
    assert pass_at_k(10_000, 1, 100) == pytest.approx(0.01)


@pytest.mark.parametrize(("n", "right", "k"), [(3, 1, 4), (3, 1, 0), (3, 4, 1)])
def test_pass_at_k_of_more_than_there_are(n: int, right: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@"):
        pass_at_k(n, right, k)


ANSWERS = ["1", "2", "2.0", None, "1", "\\frac{2}{1}"]


def test_kinds_and_the_vote_agree_with_the_search(checker: Checker) -> None:
    group = drawn(ANSWERS, right="2")
    kinds = answer_kinds(group, checker)
    assert kinds == [0, 1, 1, None, 0, 1]
    for size in range(1, 7):
        place = picked(kinds[:size])
        winner = majority(group[:size], checker)
        assert winner is (None if place is None else group[place])
    assert picked([None, None]) is None
    assert picked([0, 1, 1], [0.9, 0.3, 0.3]) == 0, "by weight"


@pytest.mark.parametrize("right", ["1", "2", "3", "9"])
@pytest.mark.parametrize(
    "answers", [["1", "2", "2", "3"], ["1", None, "2", "1", None, "2"], [None] * 3, ["3"], ["1", "2", None]]
)
def test_majority_at_k_is_a_mean_over_subsets(checker: Checker, answers: list[str | None], right: str) -> None:
    group = drawn(answers, right=right)
    kinds = answer_kinds(group, checker)
    ks = range(1, len(group) + 1)
    expected = []
    for k in ks:
        winners = [majority(subset, checker) for subset in combinations(group, k)]
        expected.append(sum(winner is not None and winner.verdict.correct for winner in winners) / len(winners))
    assert majority_at_k(group, kinds, ks, 0) == pytest.approx(expected)


def test_without_an_answer_there_is_no_majority_whatever_a_file_says(checker: Checker) -> None:
    group = [replace(sample, verdict=Verdict("equal", "label", "")) for sample in drawn([None, None, None], right="1")]
    assert majority_at_k(group, answer_kinds(group, checker), [1, 3], 0) == [0, 0]


def test_majority_at_k_draws_where_there_are_too_many_subsets(checker: Checker) -> None:
    group = drawn(["1"] * 10 + ["2"] * 10, right="1")
    kinds = answer_kinds(group, checker)
    once, again, other = (majority_at_k(group, kinds, [3, 20], seed) for seed in (0, 0, 1))
    assert once == again != other
    assert once[0] == pytest.approx(0.5, abs=0.15)
    assert once[0] * SUBSETS == round(once[0] * SUBSETS)
    (half,) = majority_at_k(group, kinds, [10], 0)
    assert half == pytest.approx(0.672, abs=0.1), "five of ten, or more: of equals, the answer that came first"
    assert once[1] == other[1] == 1, "as many votes: the answer that came first"


def test_many_uses_the_fewest_samples(checker: Checker) -> None:
    found = many([drawn(["1"] * 5, right="1"), drawn(["1", "2", "2"], right="1")], checker, 0)
    assert list(found["pass@k"]) == list(found["maj@k"]) == ["1", "2", "3"] == list(map(str, powers(3)))
    assert found["pass@k"]["1"]["value"] == pytest.approx((1 + 1 / 3) / 2)
    assert (found["maj@k"]["3"]["value"], found["maj@k"]["3"]["n"]) == (0.5, 2)
    with pytest.raises(ValueError, match="at least one"):
        many([], checker, 0)


def test_many_tells_where_problems_have_different_numbers_of_samples(checker: Checker) -> None:
    groups = [drawn(["1"] * size, right="1") for size in (5, 3, 8, 5)]
    found = many(groups, checker, 0)
    assert list(found["pass@k"]) == ["1", "2", "3"]
    assert found["uneven"] == {"problems_by_samples": {"3": 1, "5": 2, "8": 1}, "left_out": [4, 8]}
    assert "uneven" not in many([groups[0], groups[3]], checker, 0), "as many of each"


def test_rates_by_hand() -> None:
    groups = [drawn(["1", None], right="1"), drawn(["1", "1"], right="1")]
    clean, wrong = Trace(True, 3, 0, tries=2, verdicts=2), Trace(True, 3, 1, tries=1, verdicts=1, wrong_verdicts=1)
    found = rates(groups, [[clean, wrong], [wrong, clean]])
    told = {name: estimate and (estimate.value, estimate.n) for name, estimate in found.items()}
    assert told["accuracy"] == (0.75, 2)
    assert told["no_answer"] == (0.25, 2)
    assert told["truncated"] == told["undecided"] == (0, 2)
    assert told["tries_per_chain"] == (1.5, 2)
    assert told["verdict_error"] == (2 / 6, 6)
    assert told["trace_error"] == (1 / 3, 3), "of right answers alone"
    assert {rates(groups, [[None, None]] * 2)[name] for name in ("tries_per_chain", "verdict_error", "trace_error")} == {None}


def test_a_ratio_has_an_interval_over_problems() -> None:
    found = ratio_over_problems([1, 0, 3, 0] * 25, [2, 2, 4, 2] * 25)
    assert found is not None
    assert (found.value, found.n) == (0.4, 250)
    # Residuals .2, -.8, 1.4, -.8: sum of squares 3.28 a four; times 25 and 100/99, root, over the wholes.
    assert found.high - found.value == pytest.approx(1.959964 * (3.28 * 25 * 100 / 99) ** 0.5 / 250, rel=1e-6)
    assert ratio_over_problems([0, 0], [0, 0]) is None
    assert ratio_over_problems([1, 0], [1, 1]) == proportion(1, 2)
    assert ratio_over_problems([0, 0], [3, 2]) == proportion(0, 5), "no difference is no certainty"


def test_a_mean_has_an_interval() -> None:
    found = mean_over_clusters([10.0, 20.0, 30.0])
    assert (found.value, found.n) == (20, 3)
    assert found.high - 20 == pytest.approx(1.959964 * (100 / 3) ** 0.5)
    with pytest.raises(ValueError, match="at least one"):
        mean_over_clusters([])
