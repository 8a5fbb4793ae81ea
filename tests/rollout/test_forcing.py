"""Budgets by a scripted model that makes one wrong attempt after the other, and is right in its third."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.engines.scripted import ScriptedEngine
from rollout.pool import LocalPool
from rollout.search.forcing import WAIT, Form, force
from rollout.types import Problem, SamplingParams
from rollout.worker import Worker

FORM = Form(endings=(" x", " ok"), satisfied=(" ok",))
PROBLEMS = [Problem("p", "p:", "3"), Problem("q", "q:", "3")]
ATTEMPTS = ["1 x", "2 x", "3 ok"]
PARAMS = SamplingParams(max_tokens=40)


@contextmanager
def pool_of(script: Callable[[str, int], str], look: int = 1) -> Iterator[LocalPool]:
    """Answers are the last number of a chain."""

    def read(problem: Problem, chain: str) -> str | None:
        numbers = [word for word in chain.split() if word.isdigit()]
        return numbers[-1] if numbers else None

    with closing(LocalPool(Worker(ScriptedEngine(script, look), Scorer([], Checker()), read))) as pool:
        yield pool


def attempt(text: str, _: int) -> str:
    """The next attempt behind those that there are; `q` gives up behind its first."""
    done = sum(word in ("x", "ok") for word in text.split())
    return " " + ATTEMPTS[done]


def give_up(text: str, number: int) -> str:
    return "" if text == "q: 1 x" else attempt(text, number)


def test_each_budget_is_the_chain_so_far() -> None:
    with pool_of(attempt) as pool:
        (history, other) = force(pool, PROBLEMS, PARAMS, 0, 4, FORM)
    assert [forced.sample.completion.chain for forced in history] == [" 1 x", " 1 x 2 x", " 1 x 2 x 3 ok", " 1 x 2 x 3 ok"]
    assert [forced.sample.verdict.correct for forced in history] == [False, False, True, True]
    assert [forced.attempts for forced in history] == [1, 2, 3, 3], "who is satisfied goes on with nothing"
    assert [forced.tokens for forced in history] == [4, 8, 13, 13], "an ending that stops it has no end token"
    assert [forced.over for forced in history] == [False, False, True, True]
    assert [forced.sample.problem for forced in other] == [PROBLEMS[1]] * 4, "and not one with a prefix"


def test_a_budget_that_no_chain_uses_takes_no_time() -> None:
    with pool_of(lambda text, number: " 3 ok") as pool:
        (history,) = force(pool, PROBLEMS[:1], PARAMS, 0, 1_000_000, FORM)
    assert (len(history), len({id(forced) for forced in history})) == (1_000_000, 1)


def test_a_cap_lets_chains_end() -> None:
    with pool_of(give_up) as pool:
        history, other = force(pool, PROBLEMS, PARAMS, 0, 3, FORM, wait=False)
    assert [forced.attempts for forced in history] == [1, 2, 3]
    assert [forced.sample.completion.chain for forced in other] == [" 1 x"] * 3
    assert [forced.tokens for forced in other] == [4, 5, 5], "that it ends is a token"
    assert [forced.over for forced in other] == [False, True, True]


def test_waiting_asks_again() -> None:
    """The script does not listen to `min_tokens`, so the chain ends again; a model would not."""
    asked: list[SamplingParams] = []
    with pool_of(give_up) as pool:
        sample = pool.sample

        def listen(problems, n, params, seed, progress=None):  # type: ignore[no-untyped-def]
            asked.append(params)
            return sample(problems, n, params, seed, progress)

        pool.sample = listen  # type: ignore[method-assign]
        _, other = force(pool, PROBLEMS, PARAMS, 0, 3, FORM)
    assert [params.min_tokens for params in asked] == [0, 1, 1], "the first may be empty as it is"
    assert {params.stop for params in asked} == {(" x", " ok")}
    assert [forced.over for forced in other] == [False, False, False]
    assert [forced.tokens for forced in other] == [4, 5, 6]


def test_free_text_waits_in_words() -> None:
    with pool_of(lambda text, _: " 3" if text.endswith("Wait,") else " 1") as pool:
        (history, _) = force(pool, PROBLEMS, PARAMS, 0, 3, WAIT)
        assert [forced.sample.completion.chain for forced in history] == [" 1", " 1\nWait, 3", " 1\nWait, 3\nWait, 3"]
        assert [forced.sample.verdict.correct for forced in history] == [False, True, True]
        assert [forced.attempts for forced in history] == [1, 2, 3]
        (history, _) = force(pool, PROBLEMS, replace(PARAMS, max_tokens=13), 0, 3, WAIT)
        assert [forced.over for forced in history] == [False, True, True], "there is no room for another wait"


def think(text: str, number: int) -> str:
    """`p` thinks a bit more whenever it goes on, and answers; `q` answers at a glance, whatever happens."""
    if text.startswith("q"):
        return "# 1"
    return {"p:": " one # 1", "p: one": " two # 2", "p: one two": " # 3"}[text]


def test_an_answer_is_taken_away_with_the_end() -> None:
    """What goes on is thinking: with one answer behind the other, a chain has none that counts."""
    with pool_of(think) as pool:
        history, glance = force(pool, PROBLEMS, PARAMS, 0, 3, Form(answering=" #"))
    assert [forced.sample.completion.chain for forced in history] == [" one # 1", " one two # 2", " one two # 3"]
    assert [forced.sample.completion.prefix for forced in history] == ["", " one", " one two"]
    assert [forced.sample.verdict.correct for forced in history] == [False, False, True]
    assert [forced.tokens for forced in history] == [9, 9 + 9, 9 + 9 + 5], "what is taken away was drawn, too"
    assert [forced.attempts for forced in history] == [1, 2, 3]
    assert [forced.over for forced in history] == [False] * 3
    assert [forced.sample.completion.chain for forced in glance] == ["# 1"] * 3, "nothing is left of it to go on from"
    assert [forced.tokens for forced in glance] == [4, 8, 12]


def test_thinking_ends_at_the_first_answer() -> None:
    with pool_of(lambda text, _: " one # 1 # 2" if text.endswith(":") else " # 3") as pool:
        (history, _) = force(pool, PROBLEMS, PARAMS, 0, 2, Form(answering="#"))
    assert history[1].sample.completion.chain == " one # 3"


def test_a_word_stands_for_answer_and_end() -> None:
    with pool_of(lambda text, _: " so 1 is 3." if "Wait" in text else " so. The answer is: 1") as pool:
        (history, _) = force(pool, PROBLEMS, PARAMS, 0, 3, replace(WAIT, answering="The answer is:"))
    assert [forced.sample.completion.chain for forced in history] == [
        " so. The answer is: 1", " so.\nWait, so 1 is 3.", " so.\nWait, so 1 is 3.\nWait, so 1 is 3.",
    ]  # fmt: skip
    assert [forced.tokens for forced in history][:2] == [22, 22 + 12], "without an answer only the end is taken away"


def test_a_token_may_go_on_behind_an_ending() -> None:
    with pool_of(lambda text, _: " 3 ok." if "x" in text else " 1 x,") as pool:
        (history, _) = force(pool, PROBLEMS, PARAMS, 0, 3, FORM)
    assert [forced.attempts for forced in history] == [1, 2, 2]
    assert [forced.over for forced in history] == [False, True, True]


def test_what_is_no_text_is_not_gone_on_from() -> None:
    with pool_of(lambda text, _: " 1 \ufffd x") as pool:
        (history, _) = force(pool, PROBLEMS, PARAMS, 0, 2, FORM)
    assert [forced.over for forced in history] == [True, True]


def test_a_chain_without_room_is_over() -> None:
    with pool_of(attempt) as pool:
        (history, _) = force(pool, PROBLEMS, replace(PARAMS, max_tokens=6), 0, 3, FORM)
    assert [forced.sample.completion.chain for forced in history] == [" 1 x", " 1 x 2", " 1 x 2"]
    assert [forced.over for forced in history] == [False, True, True]
    assert [forced.attempts for forced in history] == [1, 1, 1]


def test_a_budget_is_an_attempt_at_least() -> None:
    with pool_of(attempt) as pool, pytest.raises(ValueError, match="budget=0 is out of range"):
        force(pool, PROBLEMS, PARAMS, 0, 0, FORM)
