"""Strategies by scripted models: what is picked, and that every token is counted."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from rewards.equal import Checker
from rollout.search.strategies import STRATEGIES, Asking, BestOf, MajorityVote, Revisions, certainty, make_strategy, request
from rollout.search.vote import weighted_majority
from rollout.types import Problem, SamplingParams
from tests.rollout.test_forcing import ATTEMPTS, FORM, attempt, give_up, pool_of
from tests.rollout.test_vote import drawn

PROBLEMS = [Problem("p", "p:", "3"), Problem("q", "q:", "2")]
PARAMS = SamplingParams(max_tokens=40)
DRAWN = [" 3", " 2", " 3.0", " is 2"]
"""Of each problem, in the order of their numbers: two and two, so that the first counts."""


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    checker = Checker()
    yield checker
    checker.close()


def replay(_: str, number: int) -> str:
    return DRAWN[number]


def test_a_vote_is_the_majority_s(checker: Checker) -> None:
    with pool_of(lambda _, number: [" 2", " 3", " 3"][number]) as pool:
        found = MajorityVote(3, checker).search(pool, PROBLEMS, PARAMS, 0)
    assert [one.picked.extracted for one in found if one.picked] == ["3", "3"]
    assert [one.picked is not None and one.picked.verdict.correct for one in found] == [True, False]
    assert [one.tokens for one in found] == [9, 9], "two characters each, and the end"
    assert [len(one.samples) for one in found] == [3, 3]


def test_the_best_is_the_scorer_s(checker: Checker) -> None:
    asked: list[int] = []

    def score(samples):  # type: ignore[no-untyped-def]
        asked.append(len(samples))
        return [float(sample.extracted == "2") + 0.1 * (sample.problem.id == "q") for sample in samples]

    with pool_of(replay) as pool:
        found = BestOf(4, checker, score).search(pool, PROBLEMS, PARAMS, 0)
    assert asked == [8], "of all chains at once"
    assert [one.picked.completion.text for one in found if one.picked] == [" 2", " 2"]


def test_a_weighted_vote_adds_up_scores(checker: Checker) -> None:
    scores = {" 3": 0.5, " 2": 0.2, " 3.0": 0.0, " is 2": 0.4}
    with pool_of(replay) as pool:
        strategy = BestOf(4, checker, lambda samples: [scores[sample.completion.text] for sample in samples], weighted=True)
        (one, _) = strategy.search(pool, PROBLEMS, PARAMS, 0)
    assert one.picked is not None
    assert one.picked.extracted == "2", "0.2 and 0.4 are more than 0.5, which alone would be the best"


def test_equal_weights_are_a_majority(checker: Checker) -> None:
    samples = drawn(["1", "2", None, "2.0"])
    assert weighted_majority(samples, [1, 1, 9, 1], checker) is samples[1]
    assert weighted_majority(samples, [3, 1, 9, 1], checker) is samples[0]
    assert weighted_majority(drawn([None]), [1], checker) is None


def test_certainty_is_a_mean_probability() -> None:
    with pool_of(replay) as pool:
        assert certainty(pool.sample(PROBLEMS, 1, PARAMS, 0)) == pytest.approx([0.5, 0.5])


def test_forcing_counts_what_was_drawn(checker: Checker) -> None:
    with pool_of(give_up) as pool:
        one, other = make_strategy("wait", 3, checker, FORM).search(pool, PROBLEMS, PARAMS, 0)
        capped, ended = make_strategy("cap", 2, checker, FORM).search(pool, PROBLEMS, PARAMS, 0)
    assert one.picked is not None
    assert (one.picked.verdict.correct, one.tokens, len(one.samples)) == (True, 13, 3)
    assert (other.tokens, capped.tokens, ended.tokens) == (6, 8, 5)


def test_a_revision_is_shown_what_was_answered_last(checker: Checker) -> None:
    asked: list[str] = []

    def revise(prompt: str, _: int) -> str:
        asked.append(prompt)
        return [" 1", " none", " 3"][sum(text.startswith(prompt[:2]) for text in asked) - 1]

    with pool_of(revise) as pool:
        one, other = Revisions(2, "{prompt}{chain}|").search(pool, PROBLEMS, PARAMS, 0)
        assert asked == ["p:", "q:", "p: 1|", "q: 1|"]
        assert [sample.completion.text for sample in one.samples] == [" 1", " none"]
        assert one.picked is one.samples[0], "the last of those that answer"
        assert [sample.problem for sample in other.samples] == [PROBLEMS[1]] * 2
        assert (one.tokens, other.tokens) == (3 + 6, 3 + 6)


def test_a_budget_is_asked_for_in_the_prompt(checker: Checker) -> None:
    asked: list[str] = []

    def think(prompt: str, _: int) -> str:
        asked.append(prompt)
        return " 3" if "p:" in prompt else " none"

    with pool_of(think) as pool:
        one, other = Asking(4, lambda problem, budget: replace(problem, prompt=f"{budget} {problem.prompt}")).search(
            pool, PROBLEMS, PARAMS, 0
        )
    assert asked == ["4 p:", "4 q:"]
    assert (one.picked, one.problem, one.tokens) == (one.samples[0], PROBLEMS[0], 3)
    assert (other.picked, [sample.problem for sample in other.samples], other.tokens) == (None, [PROBLEMS[1]], 6)
    assert request(PROBLEMS[0], 512).prompt.startswith("p:\nUse around 512 tokens")


def test_names(checker: Checker) -> None:
    with pool_of(attempt) as pool:
        for name in STRATEGIES:
            (found, _) = make_strategy(name, 2, checker, FORM).search(pool, PROBLEMS, PARAMS, 0)
            assert found.samples[0].completion.text.strip() == ATTEMPTS[0]
    with pytest.raises(ValueError, match="there is no strategy 'luck'; choose one of vote, best"):
        make_strategy("luck", 2, checker, FORM)
    with pytest.raises(ValueError, match="budget=0 is out of range"):
        make_strategy("vote", 0, checker, FORM)
