"""Thinking that is cut, by a scripted thinker whose every answer is known."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.engines.scripted import ScriptedEngine
from rollout.pool import LocalPool
from rollout.search.cutting import Cut, answer_length, cut, join
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import Worker
from tests.rollout.characters import Characters

PARAMS = SamplingParams(max_tokens=60)
PROBLEMS = [Problem(name, f"{name}?", "42") for name in ("long", "short", "never", "babble")]
CHAINS = {"long?": "one two # 42", "short?": "# 7", "never?": "one two", "babble?": "one # 1 two two two two two"}


def think(text: str, number: int) -> str:
    """The chain of a prompt; asked behind `one` alone, another answer, and on and on."""
    prompt, _, prefix = text.partition("?")
    if not prefix:
        return CHAINS[prompt + "?"]
    assert prefix.endswith("#"), f"asked behind {prefix!r}"
    return " 42" if "one two" in prefix else " 5 and so on and so on"


def read(problem: Problem, text: str) -> str | None:
    return text.rpartition("# ")[2].split(" ")[0] or None if "#" in text else None


@pytest.fixture
def pool() -> Iterator[LocalPool]:
    with closing(LocalPool(Worker(ScriptedEngine(think), Scorer([], Checker()), read))) as pool:
        yield pool


@pytest.fixture
def samples(pool: LocalPool) -> list[Sample]:
    return pool.sample(PROBLEMS, 1, PARAMS, 0)


def chains(cuts: list[Cut]) -> list[str]:
    return [one.sample.completion.chain for one in cuts]


def cut_at(budget: int, pool: LocalPool, samples: list[Sample], params: SamplingParams = PARAMS) -> list[Cut]:
    return cut(pool, samples, params, 0, budget, "#", Characters())


def test_the_answer_is_drawn_behind_what_is_kept(pool: LocalPool, samples: list[Sample]) -> None:
    long, short, never, babble = cut_at(3, pool, samples)
    assert chains([long, short, never, babble]) == ["one # 5 a", "# 7", "one # 5 a", "one # 5 a"]
    assert long.tokens == never.tokens == 3 + 4, "those kept and the answer's, not what asks for it"
    assert short.tokens == 4, "it answers before: three characters and the end"
    assert long.sample.verdict.outcome == "different"
    assert long.sample.problem == PROBLEMS[0]


def test_who_has_thought_enough_is_right(pool: LocalPool, samples: list[Sample]) -> None:
    long, _, never, _ = cut_at(7, pool, samples)
    assert chains([long]) == ["one two # 42"]
    assert long.sample.verdict.correct
    assert long.tokens == 7 + 4
    assert never.sample is samples[2], "nothing but its end is left"


def test_answers_are_as_long_as_right_ones_are(samples: list[Sample]) -> None:
    assert answer_length(samples, "#", Characters()) == len(" 42") + 1
    wrong = [samples[1], samples[1], samples[3]]
    assert answer_length(wrong, "#", Characters()) == len(" 7") + 1, "whoever babbles sets no measure"
    assert answer_length(wrong[2:], "#", Characters()) == len(" 1 two two two two two") + 1
    assert answer_length(samples[2:3], "#", Characters()) == 1


@pytest.mark.parametrize("budget", [29, 100])
def test_a_budget_that_nobody_needs_changes_nothing(budget: int, pool: LocalPool, samples: list[Sample]) -> None:
    assert [one.sample for one in cut_at(budget, pool, samples)] == samples
    assert [one.tokens for one in cut_at(budget, pool, samples)] == [len(one.completion.tokens) for one in samples]


def test_what_answers_is_not_cut_within_its_answer(pool: LocalPool, samples: list[Sample]) -> None:
    for budget in range(6, 29):
        assert cut_at(budget, pool, samples)[3].sample is samples[3]


def test_no_room_for_an_answer_leaves_the_chain(pool: LocalPool, samples: list[Sample]) -> None:
    assert cut_at(7, pool, samples, SamplingParams(max_tokens=9))[0].sample is samples[0]
    (long, *_) = cut_at(7, pool, samples, SamplingParams(max_tokens=10))
    assert chains([long]) == ["one two # "]
    assert long.tokens == 8


def test_what_is_no_text_stays(pool: LocalPool) -> None:
    pool.worker.engine.script = lambda text, number: "a\ufffdb # 4"  # type: ignore[attr-defined]
    samples = pool.sample(PROBLEMS[:1], 1, PARAMS, 0)
    assert cut_at(3, pool, samples)[0].sample is samples[0]


def test_between_both_there_is_a_space() -> None:
    assert [join(kept, "#") for kept in ("", "a", "a ", "a\n")] == ["#", "a #", "a #", "a\n#"]
    assert join("a", "\n#") == "a\n#"


def test_what_cannot_be_cut_is_refused(pool: LocalPool, samples: list[Sample]) -> None:
    with pytest.raises(ValueError, match="budget=0"):
        cut_at(0, pool, samples)
    with pytest.raises(ValueError, match="nothing that stands before an answer"):
        cut(pool, samples, PARAMS, 0, 3, " ", Characters())
