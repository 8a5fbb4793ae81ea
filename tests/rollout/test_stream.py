"""Sampling beside scoring: in time, in order, and with each other's errors."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rewards.equal import Checker
from rewards.scorer import Scorer
from rewards.terms import RewardTerm
from rollout.engine import Notify
from rollout.engines.scripted import ScriptedEngine
from rollout.stream import Stream
from rollout.types import Completion, Problem, SamplingParams
from rollout.worker import Shard, Worker

PROBLEMS = [Problem(str(number), f"{number} =", str(number)) for number in range(10)]
WAIT = 20.0


class Ordered(ScriptedEngine):
    """Has the prompts' chains in an order of its own, and does something before each."""

    def __init__(self, order: Sequence[int], before: Callable[[int], object] = lambda place: None) -> None:
        super().__init__(lambda prompt, sample: f"#### {prompt.split()[0]}" + "+0" * sample)
        self.order, self.before = order, before
        self.told: list[int] = []

    def generate(  # type: ignore[override]
        self, prompts: Sequence[str], n: int, params: SamplingParams, seed: int, prefixes: Sequence[str], notify: Notify
    ) -> list[list[Completion]]:
        groups = super().generate(prompts, n, params, seed, prefixes)
        for place in self.order:
            self.before(place)
            self.told.append(place)
            notify(place, groups[place])
        return groups


def work(engine: ScriptedEngine, reward: Callable[..., Any], n: int = 2) -> list[Any]:
    scorer = Scorer([RewardTerm("mine", reward, 1.0)], Checker())
    worker = Worker(engine, scorer, lambda problem, text: text.partition("#### ")[2])
    return worker.work(Shard(PROBLEMS, n, SamplingParams(1.0, 40), 0))


@pytest.mark.parametrize("order", [range(10), range(9, -1, -1), [3, 0, 9, 8, 1, 2, 7, 4, 6, 5]], ids=["up", "down", "mixed"])
def test_pieces_and_samples_are_the_same_whatever_is_done_first(order: Sequence[int]) -> None:
    asked: list[list[str]] = []

    def reward(completions: list[str], answer: list[str], **columns: Any) -> list[float]:
        asked.append(answer)
        return [float(len(completions))] * len(completions)

    samples = work(Ordered(order), reward)
    assert [sample.problem.id for sample in samples] == [str(number) for number in range(10) for _ in range(2)]
    assert [sample.completion.text for sample in samples[:4]] == ["#### 0", "#### 0+0", "#### 1", "#### 1+0"]
    assert [sample.reward for sample in samples] == [6.0] * 18 + [2.0] * 2
    pieces = [[str(number) for number in range(first, min(first + 3, 10)) for _ in range(2)] for first in range(0, 10, 3)]
    assert sorted(asked) == sorted(pieces)


def test_chains_are_scored_while_others_are_sampled() -> None:
    scored = threading.Event()

    def reward(completions: list[str], **columns: Any) -> list[float]:
        scored.set()
        return [1.0] * len(completions)

    def before(place: int) -> None:
        assert place < 3 or scored.wait(WAIT), "the first piece is not scored before the rest has been sampled"

    assert len(work(Ordered(range(10), before), reward)) == 20


def test_an_error_of_the_engine_is_raised() -> None:
    def before(place: int) -> None:
        if place == 5:
            raise ZeroDivisionError("in the engine")

    with pytest.raises(ZeroDivisionError, match="in the engine"):
        work(Ordered(range(10), before), lambda completions, **columns: [1.0] * len(completions))


def test_an_error_of_a_function_ends_the_sampling() -> None:
    failed = threading.Event()

    def reward(completions: list[str], **columns: Any) -> list[float]:
        failed.set()
        raise KeyError("in the function")

    engine = Ordered(range(10), lambda place: place < 3 or failed.wait(WAIT))
    with pytest.raises(Exception, match="in the function"):
        work(engine, reward)
    assert len(engine.told) <= 5, "the engine goes on for nobody"
    assert not [thread for thread in threading.enumerate() if thread.name == "sampling"], "it is free for other work"


def test_a_person_is_not_kept_waiting() -> None:
    free = threading.Event()
    stream = Stream(lambda notify: free.wait(WAIT))
    with pytest.raises(KeyboardInterrupt), stream:
        raise KeyboardInterrupt
    assert not free.is_set()
    free.set()
