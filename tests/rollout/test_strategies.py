"""Strategies by scripted models: what is picked, and that every token is counted."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from rewards.equal import Checker
from rollout.pool import LocalPool
from rollout.search.forcing import WAIT
from rollout.search.names import STRATEGIES, UNITS, short
from rollout.search.strategies import (
    Asking,
    BestOf,
    Found,
    MajorityVote,
    Revisions,
    Strategy,
    certainty,
    make_strategy,
    request,
)
from rollout.search.vote import weighted_majority
from rollout.types import Problem, SamplingParams
from rollout.work import Work
from tests.rollout.characters import Characters
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


def search(strategy: Strategy, pool: LocalPool, budget: int) -> list[Found]:
    """What it comes to under one budget."""
    return [one for (one,) in strategy.search(pool, PROBLEMS, PARAMS, 0, [budget])]


def test_a_vote_is_the_majority_s(checker: Checker) -> None:
    with pool_of(lambda _, number: [" 2", " 3", " 3"][number]) as pool:
        found = search(MajorityVote(checker), pool, 3)
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
        found = search(BestOf(checker, score), pool, 4)
    assert asked == [8], "of all chains at once"
    assert [one.picked.completion.text for one in found if one.picked] == [" 2", " 2"]


def test_each_problem_has_its_own_scores(checker: Checker) -> None:
    with pool_of(replay) as pool:
        strategy = BestOf(checker, lambda samples: [1, 0, 0, 0, 0, 0, 0, 1])
        found = strategy.search(pool, PROBLEMS, PARAMS, 0, [2, 4])
    assert [[one.picked.completion.text for one in own if one.picked] for own in found] == [[" 3", " 3"], [" 3", " is 2"]]


def test_a_weighted_vote_adds_up_scores(checker: Checker) -> None:
    scores = {" 3": 0.5, " 2": 0.2, " 3.0": 0.0, " is 2": 0.4}
    with pool_of(replay) as pool:
        strategy = BestOf(checker, lambda samples: [scores[sample.completion.text] for sample in samples], weighted=True)
        (one, _) = search(strategy, pool, 4)
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
        one, other = search(make_strategy("wait", checker, FORM), pool, 3)
        capped, ended = search(make_strategy("cap", checker, FORM), pool, 2)
    assert one.picked is not None
    assert (one.picked.verdict.correct, one.tokens, len(one.samples)) == (True, 13, 3)
    assert (other.tokens, capped.tokens, ended.tokens) == (6, 8, 5)


def test_a_revision_is_shown_what_was_answered_last(checker: Checker) -> None:
    asked: list[str] = []

    def revise(prompt: str, _: int) -> str:
        asked.append(prompt)
        return [" 1", " none", " 3"][sum(text.startswith(prompt[:2]) for text in asked) - 1]

    with pool_of(revise) as pool:
        one, other = search(Revisions("{prompt}{chain}|"), pool, 2)
        assert asked == ["p:", "q:", "p: 1|", "q: 1|"]
        assert [sample.completion.text for sample in one.samples] == [" 1", " none"]
        assert one.picked is one.samples[0], "the last of those that answer"
        assert [sample.problem for sample in other.samples] == [PROBLEMS[1]] * 2
        assert (one.tokens, other.tokens) == (3 + 6, 3 + 6)


def test_what_is_no_text_is_not_shown_again(checker: Checker) -> None:
    with pool_of(lambda text, _: " 3 \ufffd" if text.startswith("p:") else " 2") as pool:
        (one, other) = Revisions("{prompt}{chain}|").search(pool, PROBLEMS, PARAMS, 0, [1, 3])
        assert [len(found.samples) for found in (*one, *other)] == [1, 1, 1, 3]
        assert one[1].picked is one[0].picked is not None
        ((alone,),) = Revisions("{prompt}{chain}|").search(pool, PROBLEMS[:1], PARAMS, 0, [3])
    assert alone.tokens == one[1].tokens == 5


def test_a_budget_is_asked_for_in_the_prompt(checker: Checker) -> None:
    asked: list[str] = []

    def think(prompt: str, _: int) -> str:
        asked.append(prompt)
        return " 3" if "p:" in prompt else " none"

    with pool_of(think) as pool:
        one, other = search(Asking(lambda problem, budget: replace(problem, prompt=f"{budget} {problem.prompt}")), pool, 4)
    assert asked == ["4 p:", "4 q:"]
    assert (one.picked, one.problem, one.tokens) == (one.samples[0], PROBLEMS[0], 3)
    assert (other.picked, [sample.problem for sample in other.samples], other.tokens) == (None, [PROBLEMS[1]], 6)
    assert request(PROBLEMS[0], 512).prompt.startswith("p:\nUse around 512 tokens")


def test_names(checker: Checker) -> None:
    with pool_of(attempt) as pool:
        for name in STRATEGIES:
            (found, _) = search(make_strategy(name, checker, FORM), pool, 2)
            assert found.samples[0].completion.text.strip() == ATTEMPTS[0]
            with pytest.raises(ValueError, match=r"budgets=\[0, 2\] are out of range"):
                make_strategy(name, checker, FORM).search(pool, PROBLEMS, PARAMS, 0, [0, 2])
    assert UNITS.keys() | {"cap", "wait", "ask"} == STRATEGIES.keys()
    assert len({short(name) for name in STRATEGIES}) == len(STRATEGIES)
    with pytest.raises(ValueError, match="there is no strategy 'luck'; choose one of vote, best"):
        make_strategy("luck", checker, FORM)
    with pytest.raises(ValueError, match="capped before their answers; give codec and answering"):
        make_strategy("cap", checker, None)


@pytest.mark.parametrize("name", STRATEGIES)
def test_several_budgets_are_each_by_itself(checker: Checker, name: str) -> None:
    """And what is drawn for a larger one holds what is drawn for a smaller one."""
    strategy = make_strategy(
        name, checker, FORM, ask=lambda problem, budget: replace(problem, prompt=f"{problem.prompt}{budget}")
    )
    with pool_of(lambda text, number: replay(text, number % 4) if name in UNITS else attempt(text, number)) as pool:
        together = strategy.search(pool, PROBLEMS, PARAMS, 0, [1, 3])
        apart = [search(strategy, pool, budget) for budget in (1, 3)]
    for place in range(len(PROBLEMS)):
        for one, other in zip(together[place], (apart[0][place], apart[1][place]), strict=True):
            assert (one.tokens, one.work, one.picked and one.picked.completion.chain) == (
                other.tokens, other.work, other.picked and other.picked.completion.chain,
            )  # fmt: skip
            assert [sample.completion.chain for sample in one.samples] == [sample.completion.chain for sample in other.samples]
        small, large = together[place]
        if name != "ask":
            assert small.samples == large.samples[: len(small.samples)], "the same ones"
            assert small.tokens < large.tokens


def test_work_is_of_what_is_put_in(checker: Checker) -> None:
    """The prompt has two tokens, a chain of T puts in T - 1 behind it, each of which sees all before it and itself."""
    with pool_of(replay) as pool:
        ((one, two), _) = MajorityVote(checker).search(pool, PROBLEMS, PARAMS, 0, [1, 2])
    assert (one.tokens, one.work) == (3, Work(2 + 2, (1 + 2) + (3 + 4)))
    assert (two.tokens, two.work) == (6, Work(2 + 4, 3 + 2 * 7)), "the prompt is computed once"
    with pool_of(attempt) as pool:
        ((one, three), _) = make_strategy("wait", checker, FORM).search(pool, PROBLEMS, PARAMS, 0, [1, 3])
    assert (one.tokens, one.work) == (4, Work(2 + 3, 15))
    assert (three.tokens, three.work) == (13, Work(2 + 12, 14 * 15 / 2)), "each place of the chain once"
    with pool_of(lambda text, _: " 1") as pool:
        ((waited,), _) = make_strategy("wait", checker, None).search(pool, PROBLEMS, PARAMS, 0, [2])
    length = len("p:") + len(" 1") + len(WAIT.wait) + len(" 1")
    assert (waited.tokens, waited.work) == (6, Work(length, length * (length + 1) / 2)), "the word that is put is computed"
    with pool_of(lambda text, _: " 1") as pool:
        ((revised,), _) = Revisions("{prompt}{chain}|").search(pool, PROBLEMS, PARAMS, 0, [2])
    assert revised.work == Work((2 + 2) + (5 + 2), 4 * 5 / 2 + 7 * 8 / 2), "another prompt is computed anew"


def test_what_is_drawn_behind_an_ending_is_counted(checker: Checker) -> None:
    """The engine looks at every fourth token. " 1 x" ends at the fourth, so does " 2 x", and " 3 ok" at the fifth of eight, but
    the chain has six."""
    with pool_of(attempt, look=4) as pool:
        ((one, two, three), _) = make_strategy("wait", checker, FORM).search(pool, PROBLEMS, PARAMS, 0, [1, 2, 3])
    assert [(found.tokens, found.discarded) for found in (one, two, three)] == [(4, 0), (8, 0), (14, 1)]
    with pool_of(attempt, look=3) as pool:
        ((one, two, three), _) = make_strategy("wait", checker, FORM).search(pool, PROBLEMS, PARAMS, 0, [1, 2, 3])
        ((ended,), _) = MajorityVote(checker).search(pool, PROBLEMS, replace(PARAMS, stop=(" x",)), 0, [2])
    # The chain has an end token behind its fourth, which is the fifth that is drawn.
    assert [(found.tokens, found.discarded) for found in (one, two, three)] == [(5, 1), (10, 2), (16, 3)]
    assert [sample.completion.text for sample in three.samples] == [" 1 x", " 2 x", " 3 ok"], "it is no part of the chain"
    assert one.work == Work(2 + 3 + 1, 6 * 7 / 2), "what was put in to draw it"
    assert two.work == Work(2 + 7 + 1 + 1, 10 * 11 / 2 + 6), "the first attempt's ending is put in once more, to go on from"
    assert (ended.tokens, ended.discarded) == (10, 2)


def test_thinking_is_capped_where_there_are_no_attempts(checker: Checker) -> None:
    """Asked behind a mark, the script answers with the number that it has thought of last."""

    def think(text: str, _: int) -> str:
        return f" {text.split()[-2]}" if text.endswith("#") else " 1 2 3 # 3"

    strategy = make_strategy("cap", checker, None, Characters(), "#")
    with pool_of(think) as pool:
        (found, other) = strategy.search(pool, PROBLEMS, PARAMS, 0, [3, 5, 99])
    assert [one.samples[0].completion.chain for one in found] == [" 1 # 1", " 1 2 # 2", " 1 2 3 # 3"]
    assert [one.picked is not None and one.picked.verdict.correct for one in other] == [False, True, False]
    assert [one.tokens for one in found] == [3 + 3, 5 + 3, 11], "those that it is let have, and the answer's"
    length = len("p: 1 # 1")
    assert found[0].work == Work(length, length * (length + 1) / 2)
