"""Workers behind three verbs: sample, publish, close. One worker in this process, or many as Ray actors.

The only module of this package that knows Ray.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import ray

from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import Shard, Worker, split


class RolloutError(Exception):
    """A worker died or did not answer in time."""


@dataclass(frozen=True)
class Publication:
    """Weights on their way to the workers: `handle` is the state dict itself or a Ray reference to it."""

    handle: Any
    checksum: int


Progress = Callable[[int, int], None]
"""Called with samples done and samples in all."""
WorkerFactory = Callable[[], Worker]


class Pool(Protocol):
    """Many chains a problem from the current policy."""

    def sample(
        self, problems: Sequence[Problem], n: int, params: SamplingParams, seed: int, progress: Progress | None = None
    ) -> list[Sample]:
        """`n` samples for each problem, in the problems' order; the same for any number of workers."""
        ...

    def publish(self, publication: Publication, version: int) -> None:
        """Give all workers new weights; returns when each has confirmed their checksum."""
        ...

    def close(self) -> None: ...


class LocalPool:
    """One worker in this process.

    Args:
        worker: does the work.
        shard_size: problems a shard.
    """

    def __init__(self, worker: Worker, shard_size: int = 32) -> None:
        self.worker = worker
        self.shard_size = shard_size

    def sample(
        self, problems: Sequence[Problem], n: int, params: SamplingParams, seed: int, progress: Progress | None = None
    ) -> list[Sample]:
        samples: list[Sample] = []
        for shard in split(problems, n, params, seed, self.shard_size):
            samples += self.worker.work(shard)
            if progress:
                progress(len(samples), len(problems) * n)
        return samples

    def publish(self, publication: Publication, version: int) -> None:
        self.worker.load(publication.handle, version, publication.checksum)

    def close(self) -> None:
        self.worker.close()


class RayPool:
    """Workers as Ray actors. Shards go to whichever worker is free; results come back in order.

    Args:
        factory: builds a worker inside its actor.
        workers: number of actors.
        shard_size: problems a shard.
        cpus, gpus: Ray resources one actor reserves.
        deadline: seconds to wait for any one shard or publication before giving up.
    """

    def __init__(
        self,
        factory: WorkerFactory,
        workers: int,
        shard_size: int,
        cpus: float,
        gpus: float,
        deadline: float,
    ) -> None:
        self.shard_size = shard_size
        self.deadline = deadline
        host = ray.remote(_Host).options(num_cpus=cpus, num_gpus=gpus)
        self.actors = [host.remote(factory) for _ in range(workers)]

    def sample(
        self, problems: Sequence[Problem], n: int, params: SamplingParams, seed: int, progress: Progress | None = None
    ) -> list[Sample]:
        shards = split(problems, n, params, seed, self.shard_size)
        results: dict[int, list[Sample]] = {}
        waiting = list(enumerate(shards))[::-1]
        running: dict[Any, tuple[int, Any]] = {}
        for actor in self.actors:
            self._start(actor, waiting, running)
        while running:
            done, _ = ray.wait(list(running), num_returns=1, timeout=self.deadline)
            if not done:
                raise RolloutError(f"no rollout worker finished a shard within {self.deadline:g} s")
            number, actor = running.pop(done[0])
            results[number] = self._get(done[0])
            self._start(actor, waiting, running)
            if progress:
                progress(sum(map(len, results.values())), len(problems) * n)
        return [sample for number in range(len(shards)) for sample in results[number]]

    def publish(self, publication: Publication, version: int) -> None:
        sent = [actor.load.remote(publication.handle, version, publication.checksum) for actor in self.actors]
        start = time.monotonic()
        done, missing = ray.wait(sent, num_returns=len(sent), timeout=self.deadline)
        if missing:
            waited = time.monotonic() - start
            raise RolloutError(f"{len(missing)} rollout workers took no weights within {waited:.0f} s")
        for reference in done:
            self._get(reference)

    def close(self) -> None:
        for actor in self.actors:
            ray.kill(actor)
        self.actors = []

    def _start(self, actor: Any, waiting: list[tuple[int, Shard]], running: dict[Any, tuple[int, Any]]) -> None:
        if waiting:
            number, shard = waiting.pop()
            running[actor.work.remote(shard)] = (number, actor)

    def _get(self, reference: Any) -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except ray.exceptions.RayActorError as error:
            raise RolloutError(f"a rollout worker died: {str(error).strip().splitlines()[0]}") from error


class _Host:
    """The inside of a rollout actor: a worker, built where it runs."""

    def __init__(self, factory: WorkerFactory) -> None:
        self.worker = factory()

    def work(self, shard: Shard) -> list[Sample]:
        return self.worker.work(shard)

    def load(self, weights: Any, version: int, checksum: int) -> None:
        self.worker.load(weights, version, checksum)
