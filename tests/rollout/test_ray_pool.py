"""Workers on Ray that die, hang and raise: the samples are those of workers that do not."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import ray
import torch

from rewards.equal import Checker
from rewards.scorer import Scorer
from rewards.terms import RewardError, load_term
from rollout.engine import Weights, checksum
from rollout.engines.scripted import ScriptedEngine
from rollout.jobs import Supervision
from rollout.pool import LocalPool, Publication, RolloutError
from rollout.ray_pool import RayPool
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import Shard, Worker

PROBLEMS = [Problem(str(number), f"{number} + 1 =", str(number + 1)) for number in range(12)]
PARAMS = SamplingParams(1.0, 20)
WEIGHTS = {"w": torch.ones(3)}
PUBLICATION = Publication(WEIGHTS, checksum(WEIGHTS))


def script(prompt: str, sample: int) -> str:
    return f"#### {int(prompt.split()[0]) + 1 + sample}"


def read(problem: Problem, text: str) -> str | None:
    return text.partition("#### ")[2] or None


class Faulty(Worker):
    """A worker that has a fault at a problem, as often as there are files in a folder to take away."""

    def __init__(self, fault: Callable[[], None], at: str, folder: Path) -> None:
        super().__init__(ScriptedEngine(script), Scorer([load_term("correct", "correct", 1.0, {})], Checker()), read)
        self.fault, self.at, self.folder = fault, at, folder

    def work(self, shard: Shard) -> list[Sample]:
        if self.at in [problem.id for problem in shard.problems]:
            self._fail()
        return super().work(shard)

    def load(self, weights: Weights, version: int, checksum: int) -> None:
        if self.at == "load":
            self._fail()
        super().load(weights, version, checksum)

    def _fail(self) -> None:
        for token in sorted(self.folder.glob("token*")):
            token.unlink()
            self.fault()
            return


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def freeze() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def match() -> None:
    """What a reward function may do by mistake: this takes years, and no other thread has a turn."""
    re.match("(a+)+$", "a" * 99 + "b")


def leave() -> None:
    os._exit(3)


def hang() -> None:
    time.sleep(600)


def boom() -> None:
    raise ZeroDivisionError("boom")


def refuse() -> None:
    raise RewardError("no such reward")


def never() -> None:
    """No fault."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=1 << 27)
    yield
    ray.shutdown()


class Bench:
    """A pool of faulty workers, and what it has told."""

    def __init__(
        self, folder: Path, fault: Callable[[], None], at: str, times: int, supervision: Supervision, workers: int
    ) -> None:
        for number in range(times):
            (folder / f"token{number}").touch()
        self.told: list[str] = []
        factory = partial(Faulty, fault, at, folder)
        self.pool = RayPool(factory, workers, 3, 0.5, 0.0, supervision, self.told.append)

    def draw(self) -> list[tuple[str, str, float | None, int]]:
        samples = self.pool.sample(PROBLEMS, 2, PARAMS, seed=1)
        return [(sample.problem.id, sample.completion.text, sample.reward, sample.policy_version) for sample in samples]


@pytest.fixture
def bench(cluster: None, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(
        fault: Callable[[], None],
        at: str = "4",
        times: int = 1,
        working: float = 120.0,
        heartbeat: float = 60.0,
        restarts: int = 10,
        workers: int = 2,
    ) -> Bench:
        made.append(Bench(tmp_path, fault, at, times, Supervision(120.0, working, heartbeat, restarts), workers))
        return made[-1]

    yield make
    for one in made:
        one.pool.close()


@pytest.fixture(scope="module")
def expected() -> list[tuple[str, str, float | None, int]]:
    local = LocalPool(Worker(ScriptedEngine(script), Scorer([load_term("correct", "correct", 1.0, {})], Checker()), read), 3)
    local.publish(PUBLICATION, 7)
    samples = local.sample(PROBLEMS, 2, PARAMS, seed=1)
    return [(sample.problem.id, sample.completion.text, sample.reward, sample.policy_version) for sample in samples]


def count(pool: RayPool) -> tuple[float, float]:
    """Workers replaced and shards done again since the last call."""
    faults = pool.drain_faults()
    return faults["faults/worker_restarts"], faults["faults/shards_redone"]


@pytest.mark.parametrize(
    ("fault", "working", "words"),
    [
        (kill, 120.0, "was killed or crashed"),
        (leave, 120.0, "sampling for problem '3' and those behind it"),
        (boom, 120.0, "a worker raised ZeroDivisionError('boom')"),
        (hang, 8.0, "time.sleep(600)"),
    ],
)
def test_a_worker_that_fails_is_replaced_and_no_sample_differs(bench, expected, fault, working: float, words: str) -> None:  # type: ignore[no-untyped-def]
    one = bench(fault, working=working)
    one.pool.publish(PUBLICATION, version=7)
    before = set(one.pool.actors)
    assert one.draw() == expected, "the weights' version among it"
    assert count(one.pool) == (1.0, 1.0)
    assert count(one.pool) == (0.0, 0.0)
    assert len(one.told) == 1
    assert words in one.told[0]
    assert "another takes its place" in one.told[0]
    assert len(set(one.pool.actors) - before) == 1
    assert one.draw() == expected, "and goes on"


@pytest.mark.parametrize(
    ("fault", "at", "workers"),
    [
        pytest.param(freeze, "4", 2, marks=pytest.mark.slow),
        (freeze, "0", 1),
        pytest.param(match, "4", 1, marks=pytest.mark.slow),
        pytest.param(freeze, "load", 2, marks=pytest.mark.slow),
    ],
)
def test_a_worker_that_does_not_answer_is_replaced_long_before_its_deadline(  # type: ignore[no-untyped-def]
    bench, expected, fault, at: str, workers: int
) -> None:
    one = bench(fault, at, working=600.0, heartbeat=6.0, workers=workers)
    one.pool.publish(PUBLICATION, version=6)
    time.sleep(2.0)  # it has been heard, and has had nothing to do for longer than between two looks
    one.pool.publish(PUBLICATION, version=7)
    assert one.draw() == expected
    assert count(one.pool) == (1.0, float(at != "load"))
    (told,) = one.told
    assert "a worker has been silent for 6 s (ray.heartbeat)" in told
    assert {"4": "problem '3'", "0": "problem '0'", "load": "being given weights"}[at] in told


def test_a_worker_that_dies_while_it_is_given_weights_is_replaced(bench, expected) -> None:  # type: ignore[no-untyped-def]
    one = bench(kill, at="load")
    one.pool.publish(PUBLICATION, version=7)
    assert one.draw() == expected
    assert count(one.pool) == (1.0, 0.0)


def test_one_that_was_killed_from_outside_between_two_calls_is_replaced(bench, expected) -> None:  # type: ignore[no-untyped-def]
    one = bench(never)
    one.pool.publish(PUBLICATION, version=6)
    ray.kill(one.pool.actors[0])
    one.pool.publish(PUBLICATION, version=7)
    assert one.draw() == expected
    ray.kill(one.pool.actors[1])
    assert one.draw() == expected


def test_how_long_it_took_is_told_once_the_successor_is_there(bench) -> None:  # type: ignore[no-untyped-def]
    one = bench(kill)
    one.pool.publish(PUBLICATION, version=7)
    begun, recovered = time.monotonic(), 0.0
    while not recovered and time.monotonic() - begun < 60:
        one.draw()
        recovered = one.pool.drain_faults()["faults/recovery_seconds"]
    assert 0.0 < recovered <= time.monotonic() - begun
    one.draw()
    assert one.pool.drain_faults()["faults/recovery_seconds"] == 0.0, "once"


def test_a_shard_that_takes_every_worker_with_it_stops_the_run(bench) -> None:  # type: ignore[no-untyped-def]
    one = bench(leave, times=99)
    with pytest.raises(RolloutError, match=r"3 rollout workers in a row failed at the 3 problems from '3' on: process \d+ "):
        one.draw()
    assert one.pool.drain_faults()["faults/worker_restarts"] == 2.0


def test_an_error_that_every_worker_raises_is_raised(bench) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ZeroDivisionError, match="boom"):
        bench(boom, times=99).draw()


def test_an_error_of_a_reward_is_a_persons_to_mend(bench) -> None:  # type: ignore[no-untyped-def]
    one = bench(refuse)
    with pytest.raises(RewardError, match="no such reward"):
        one.draw()
    assert one.pool.drain_faults()["faults/worker_restarts"] == 0.0


def test_restarts_are_bounded(bench) -> None:  # type: ignore[no-untyped-def]
    one = bench(kill, at="load", times=99, restarts=1)
    with pytest.raises(
        RolloutError, match=r"1 rollout workers were replaced within 600 s \(rollout.restarts\), and now: process"
    ):
        one.pool.publish(PUBLICATION, version=1)


def test_one_that_cannot_be_built_is_told_at_once(cluster: None) -> None:
    pool = RayPool(broken, 2, 3, 0.5, 0.0, Supervision(120.0, 120.0))
    with pytest.raises(RolloutError, match="could not be set up: KeyError: 'no model'"):
        pool.sample(PROBLEMS, 1, PARAMS, seed=1)
    assert pool.drain_faults()["faults/worker_restarts"] == 0.0
    pool.close()


def broken() -> Worker:
    raise KeyError("no model")
