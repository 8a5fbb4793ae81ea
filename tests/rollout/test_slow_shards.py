"""Workers on Ray that are slow at a shard: another does it, too, and nobody waits for them. What happened first is told by
files in a folder, not by clocks."""

import os
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
from rewards.terms import load_term
from rollout import jobs
from rollout.engine import checksum
from rollout.engines.scripted import ScriptedEngine
from rollout.jobs import Supervision
from rollout.pool import LocalPool, Publication
from rollout.ray_pool import RayPool
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import Shard, Worker

PROBLEMS = [Problem(str(number), f"{number} + 1 =", str(number + 1)) for number in range(12)]
PARAMS = SamplingParams(1.0, 20)
WEIGHTS = {"w": torch.ones(3)}
PUBLICATION = Publication(WEIGHTS, checksum(WEIGHTS))
AT = "4"
"""The problem at which something happens to workers."""


def script(prompt: str, sample: int) -> str:
    return f"#### {int(prompt.split()[0]) + 1 + sample}"


def read(problem: Problem, text: str) -> str | None:
    return text.partition("#### ")[2] or None


class Uneven(Worker):
    """A worker that writes down what it is asked. Those that come to the problem `AT` take away a file each of the folder,
    `fates/NUMBER-FATE`, which says what befalls them there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(ScriptedEngine(script), Scorer([load_term("correct", "correct", 1.0, {})], Checker()), read)
        self.folder = folder

    def work(self, shard: Shard) -> list[Sample]:
        names = [problem.id for problem in shard.problems]
        (self.folder / "asked" / f"{time.time_ns()} {os.getpid()} {names[0]}").touch()
        fates = sorted((self.folder / "fates").iterdir())
        if AT in names and fates:
            fates[0].unlink()
            self._suffer(fates[0].name.partition("-")[2])
        return super().work(shard)

    def _suffer(self, fate: str) -> None:
        if fate == "slow":
            (self.folder / "slow").write_text(str(os.getpid()))
            while not (self.folder / "released").exists():
                time.sleep(0.02)
        elif fate == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fate == "kill":
            os.kill(int((self.folder / "slow").read_text()), signal.SIGKILL)
            time.sleep(2.0)  # time for the pool to see it
        elif fate == "raise":
            (self.folder / "slow").write_text(str(os.getpid()))
            while not (self.folder / "released").exists():
                time.sleep(0.02)
            raise ZeroDivisionError("boom")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=1 << 27)
    yield
    ray.shutdown()


class Bench:
    """A pool of two uneven workers with a shard of three problems at a time, and what it has told."""

    def __init__(self, folder: Path, fates: tuple[str, ...], supervision: Supervision) -> None:
        self.folder = folder
        for name in ("asked", "fates"):
            (folder / name).mkdir()
        for number, fate in enumerate(fates):
            (folder / "fates" / f"{number}-{fate}").touch()
        self.told: list[str] = []
        self.pool = RayPool(partial(Uneven, folder), 2, 3, 0.5, 0.0, supervision, self.told.append)
        self.pool.publish(PUBLICATION, version=7)

    def draw(self, problems: list[Problem] = PROBLEMS) -> list[tuple[str, str, float | None, int]]:
        return plain(self.pool.sample(problems, 2, PARAMS, seed=1))

    def slow(self) -> int:
        """The process that was slow."""
        return int((self.folder / "slow").read_text())

    def asked(self) -> list[int]:
        """The processes that have been asked for a shard since the last call, in order."""
        files = sorted((self.folder / "asked").iterdir())
        for file in files:
            file.unlink()
        return [int(file.name.split()[1]) for file in files]

    def release(self) -> None:
        (self.folder / "released").touch()

    def count(self) -> tuple[float, float, float]:
        """Shards moved, shards done again and workers replaced since the last call."""
        faults = self.pool.drain_faults()
        return faults["faults/shards_moved"], faults["faults/shards_redone"], faults["faults/worker_restarts"]


@pytest.fixture
def bench(cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    monkeypatch.setattr(jobs, "SLOW_SECONDS", 5.0)
    made: list[Bench] = []

    def make(*fates: str, working: float = 120.0, heartbeat: float = 60.0) -> Bench:
        made.append(Bench(tmp_path, fates, Supervision(120.0, working, heartbeat)))
        return made[-1]

    yield make
    for one in made:
        one.release()
        one.pool.close()


def plain(samples: list[Sample]) -> list[tuple[str, str, float | None, int]]:
    return [(sample.problem.id, sample.completion.text, sample.reward, sample.policy_version) for sample in samples]


def expected(version: int) -> list[tuple[str, str, float | None, int]]:
    local = LocalPool(Worker(ScriptedEngine(script), Scorer([load_term("correct", "correct", 1.0, {})], Checker()), read), 3)
    local.publish(PUBLICATION, version)
    return plain(local.sample(PROBLEMS, 2, PARAMS, seed=1))


def test_a_slow_shard_is_done_by_another_and_its_worker_comes_back(bench) -> None:  # type: ignore[no-untyped-def]
    one = bench("slow")
    assert one.draw() == expected(7), "and the slow one cannot have ended"
    assert one.count() == (1.0, 0.0, 0.0)
    assert len(one.asked()) == 5, "four shards, one of them twice"
    one.pool.drain_usage()
    assert one.draw() == expected(7)
    assert one.slow() not in one.asked(), "it is still at it"
    assert one.pool.drain_usage() == {"time/waiting": pytest.approx(0.0, abs=1e-9)}, "both have been busy all the time"
    one.pool.publish(PUBLICATION, version=8)
    assert one.draw() == expected(8), "nobody waits for it there"
    assert one.slow() not in one.asked()
    one.release()
    ends = time.monotonic() + 60
    while one.slow() not in one.asked() and time.monotonic() < ends:
        assert one.draw() == expected(8), "it has the weights that were published meanwhile, or its shard would be done again"
    assert time.monotonic() < ends
    assert one.count() == (0.0, 0.0, 0.0)
    one.pool.publish(PUBLICATION, version=9)
    assert one.draw() == expected(9)
    assert one.told == [], "slow is no fault"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fate", "words"),
    [
        ("SIGKILL", "was killed or crashed"),
        ("SIGSTOP", "a worker has been silent for 6 s"),
        ("deadline", "a worker had a shard for 15 s, and"),
        ("raise", "a worker raised ZeroDivisionError('boom')"),
    ],
)
def test_a_slow_worker_that_is_lost_costs_no_shard(bench, fate: str, words: str) -> None:  # type: ignore[no-untyped-def]
    one = bench(
        "raise" if fate == "raise" else "slow",
        working=15.0 if fate == "deadline" else 120.0,
        heartbeat=6.0 if fate == "SIGSTOP" else 60.0,
    )
    assert one.draw() == expected(7)
    assert one.count() == (1.0, 0.0, 0.0)
    if fate == "raise":
        one.release()
    elif fate != "deadline":
        os.kill(one.slow(), getattr(signal, fate))
    ends = time.monotonic() + 60
    while not one.told and time.monotonic() < ends:
        assert one.draw() == expected(7)
    assert one.count() == (0.0, 0.0, 1.0)
    (told,) = one.told
    assert words in told
    assert "sampling what another has sampled meanwhile; another takes its place" in told
    one.pool.publish(PUBLICATION, version=8)
    assert one.draw() == expected(8)


@pytest.mark.slow
def test_who_overtakes_may_be_lost(bench) -> None:  # type: ignore[no-untyped-def]
    """The shard is with the slow one still, so it need not be done again for that; the next one does it."""
    one = bench("slow", "die")
    assert one.draw() == expected(7)
    assert one.count() == (2.0, 0.0, 1.0)
    assert len(one.told) == 1


@pytest.mark.slow
def test_who_is_overtaken_may_be_lost_meanwhile(bench) -> None:  # type: ignore[no-untyped-def]
    one = bench("slow", "kill")
    assert one.draw() == expected(7)
    assert one.draw() == expected(7)
    assert one.count() == (1.0, 0.0, 1.0)
    assert len(one.told) == 1


def test_waiting_is_the_time_without_a_shard(bench) -> None:  # type: ignore[no-untyped-def]
    one = bench()
    one.draw(PROBLEMS[:3])
    assert one.pool.drain_usage() == {"time/waiting": pytest.approx(0.5)}, "one shard for two workers"
    assert one.pool.drain_usage() == {}
