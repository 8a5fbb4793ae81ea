"""A reward function that fails for some chains costs those, and no other; one that fails for most is not asked on and on."""

import pytest

from rewards.equal import Checker
from rewards.scorer import Score, Scorer
from rewards.terms import PATIENCE, RewardTerm, ask_term, confine, load_term

CHAINS = ["a", "bb", "bad", "dddd", "eeeee", "also bad"]
GOOD = [1.0, 2.0, None, 4.0, 5.0, None]


def score(*terms: RewardTerm, chains: list[str] = CHAINS, confined: bool = False) -> list[Score]:
    scorer = Scorer(terms, Checker(), forgiving=True)
    count = len(chains)
    try:
        return scorer.score(["p"] * count, chains, [[0]] * count, ["4"] * count, ["4"] * count, [{}] * count, confined)
    finally:
        scorer.close()


@pytest.mark.parametrize(
    ("name", "deadline", "told"),
    [
        ("booms", None, "rewards.mine raised ZeroDivisionError('boom')"),
        ("booms", 20.0, "rewards.mine raised ZeroDivisionError('boom')"),
        ("nans", None, "rewards.mine returned nan; return a finite number"),
        ("nans", 20.0, "rewards.mine returned nan; return a finite number"),
        ("words", None, "rewards.mine returned 'a lot'; return a finite number"),
        ("forgets", None, "rewards.mine returned 0 values for 1 completions"),
        ("eats", 20.0, "rewards.mine raised MemoryError()"),
        ("hangs", 1.0, "1 s"),
        ("leaves", 20.0, "9"),
        ("kills", 20.0, "ended its process: it was killed"),
    ],
)
def test_what_fails_for_some_costs_those(name: str, deadline: float | None, told: str) -> None:
    always = load_term("always", "correct", 1.0, {})
    scores = score(always, load_term("mine", f"tests.rewards.hostile:{name}", 1.0, {}, deadline))
    assert [one.parts["mine"] for one in scores] == GOOD
    assert [one.reward for one in scores] == [None if value is None else 1.0 + value for value in GOOD]
    assert [bool(one.failures) for one in scores] == [value is None for value in GOOD]
    assert told in scores[2].failures["mine"]
    assert list(scores[2].failures) == ["mine"], "the other one did not fail"


def test_without_a_deadline_others_functions_can_be_confined_later() -> None:
    scores = score(load_term("mine", "tests.rewards.hostile:leaves", 1.0, {}), confined=True)
    assert [one.reward for one in scores] == GOOD
    ours, confined = load_term("ours", "correct", 1.0, {}), load_term("mine", "tests.rewards.hostile:booms", 1.0, {}, 5.0)
    assert confine(ours) is ours, "it is known to return"
    assert confine(confined) is confined, "once is enough"


def test_one_that_fails_for_most_is_not_asked_on_and_on() -> None:
    asked: list[int] = []

    def broken(completions: list[str], **columns: object) -> list[float]:
        asked.append(len(completions))
        raise KeyError("oops")

    values, failures = ask_term(RewardTerm("mine", broken, 1.0), {"completions": ["x"] * 50}, 50)
    assert asked == [50, *[1] * PATIENCE]
    assert values == [None] * 50
    assert sorted(failures) == list(range(50))
    assert failures[0] == "rewards.mine raised KeyError('oops')"
    assert failures[49] == "not asked, since it failed for others: rewards.mine raised KeyError('oops')"


def test_one_that_fails_for_a_few_is_asked_to_the_end() -> None:
    chains = ["bad" if place in (1, 3, 5, 40) else "x" for place in range(60)]
    values, failures = ask_term(load_term("mine", "tests.rewards.hostile:booms", 1.0, {}), {"completions": chains}, 60)
    assert sorted(failures) == [1, 3, 5, 40]
    assert [place for place, value in enumerate(values) if value is None] == [1, 3, 5, 40]


def test_no_number_asks_nothing_twice() -> None:
    asked: list[int] = []

    def some(completions: list[str], **columns: object) -> list[float]:
        asked.append(len(completions))
        return [1.0, float("inf"), 2.0]

    values, failures = ask_term(RewardTerm("mine", some, 1.0), {"completions": ["x"] * 3}, 3)
    assert (asked, values, list(failures)) == ([3], [1.0, None, 2.0], [1])


def test_one_that_fails_for_some_is_asked_for_all() -> None:
    def third(completions: list[str], **columns: object) -> list[float]:
        return [1.0 / (int(text) % 3) for text in completions]

    values, failures = ask_term(RewardTerm("mine", third, 1.0), {"completions": [str(number) for number in range(90)]}, 90)
    assert sorted(failures) == list(range(0, 90, 3)), "thirty, far more than it has patience for in a row"
    assert [value for value in values if value is not None] == [1.0, 0.5] * 30


def test_many_hangs_cost_few_deadlines() -> None:
    term = load_term("mine", "tests.rewards.hostile:hangs", 1.0, {}, 0.5)
    scores = score(term, chains=["bad"] * 200)
    assert [one.reward for one in scores] == [None] * 200
    asked = [one for one in scores if "not asked" not in one.failures["mine"]]
    assert len(asked) == PATIENCE, "the whole batch and these wait for the deadline, two hundred chains do not"
