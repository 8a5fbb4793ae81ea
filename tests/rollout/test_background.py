"""Sampling beside scoring: in time, in order, and with each other's errors."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rewards.equal import Checker
from rewards.scorer import Scorer
from rewards.terms import RewardTerm
from rollout.engine import Listener
from rollout.engines.scripted import ScriptedEngine
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
        self, prompts: Sequence[str], n: int, params: SamplingParams, seed: int, prefixes: Sequence[str], listener: Listener
    ) -> list[list[Completion]]:
        groups = super().generate(prompts, n, params, seed, prefixes)
        for place in self.order:
            self.before(place)
            self.told.append(place)
            listener.check()
            listener.take(place, groups[place])
        return groups


def work(engine: ScriptedEngine, reward: Callable[..., Any], n: int = 2, problems: Sequence[Problem] = PROBLEMS) -> list[Any]:
    scorer = Scorer([RewardTerm("mine", reward, 1.0)], Checker())
    worker = Worker(engine, scorer, lambda problem, text: text.partition("#### ")[2])
    return worker.work(Shard(problems, n, SamplingParams(1.0, 40), 0))


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


SCRIPT = """
import os, signal, sys, threading
from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.engines.hf import HFEngineFactory
from rollout.pool import LocalPool
from rollout.types import Problem, SamplingParams
from rollout.worker import Worker

engine = HFEngineFactory(sys.argv[1])()
engine.codec.stops = ()
forward, steps = engine.model.forward, 0

def counted(*arguments, **named):
    global steps
    steps += 1
    if steps == 5:
        os.kill(os.getpid(), signal.SIGINT)
    return forward(*arguments, **named)

engine.model.forward = counted
pool = LocalPool(Worker(engine, Scorer([], Checker()), lambda problem, text: None))
try:
    pool.sample([Problem("p", "a 5 b 3 > 4 ?", "")], 8, SamplingParams(1.0, 60), 0)
except KeyboardInterrupt:
    print(steps < 40, "sampling" in [thread.name for thread in threading.enumerate()])
    sys.exit(130)
"""


def test_a_person_s_stop_ends_the_engine_at_its_next_step(tiny_model: Path) -> None:
    """A thread left in torch would abort the program at its end."""
    command = [sys.executable, "-c", SCRIPT, str(tiny_model)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 130, done.stderr[-2000:]
    assert done.stdout.strip() == "True False"


def test_functions_get_the_columns_of_the_whole_shard() -> None:
    """Also in a piece of which no problem has them."""
    seen: list[list[object]] = []

    def reward(completions: list[str], tests: list[object], **columns: Any) -> list[float]:
        seen.append(tests)
        return [1.0] * len(completions)

    one = [Problem("0", "0 =", "0", {"tests": "first"}), *PROBLEMS[1:]]
    samples = work(Ordered(range(10)), reward, n=1, problems=one)
    assert [sample.failures for sample in samples] == [{}] * 10
    assert sorted(map(str, seen)) == sorted(map(str, [["first", None, None], [None] * 3, [None] * 3, [None]]))
