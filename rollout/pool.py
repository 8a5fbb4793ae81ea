"""Workers behind three verbs: sample, publish, close. One worker in this process here; many, on Ray, in `rollout.ray_pool`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rewards.terms import RewardError
from rollout.engine import StreamingEngine
from rollout.types import Problem, Sample, SamplingParams
from rollout.usage import Usage
from rollout.worker import Worker, split


class RolloutError(Exception):
    """A worker died or did not answer in time."""


@dataclass(frozen=True)
class Publication:
    """Weights on their way to the workers: `handle` is a `Parcel` of them or a Ray reference to it."""

    handle: Any
    checksum: int


def count_failures(samples: Sequence[Sample], limit: float, notify: Callable[[str], None]) -> int:
    """How many of the samples have no reward since a function failed; each function that did is told, with an example.

    Args:
        samples: of one sampling.
        limit: share of them that may have failed.
        notify: takes a line.

    Raises:
        RewardError: if there are more.
    """
    failed = [sample for sample in samples if sample.failures]
    for name in dict.fromkeys(name for sample in failed for name in sample.failures):
        of_it = [sample for sample in failed if name in sample.failures]
        told = (
            f"rewards.{name} failed for {len(of_it)} of {len(samples)} chains, which are not learnt from; of problem "
            f"{of_it[0].problem.id!r}: {of_it[0].failures[name]}"
        )
        if len(failed) > limit * len(samples):
            raise RewardError(f"{told}; more than rollout.reward_failures={limit:g} of them may not")
        notify(told)
    return len(failed)


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

    def drain_faults(self) -> Mapping[str, float]:
        """Metrics of what went wrong, and was mended, since the last call."""
        ...

    def drain_usage(self) -> Mapping[str, float]:
        """Metrics of how well the workers were used since the last call."""
        ...

    def close(self) -> None: ...


class LocalPool:
    """One worker in this process. Its usage is what follows from the samples; how long they take is not looked at.

    Args:
        worker: does the work.
        shard_size: problems a shard.
    """

    def __init__(self, worker: Worker, shard_size: int = 32) -> None:
        self.worker = worker
        self.shard_size = shard_size
        self._usage = Usage()

    def sample(
        self, problems: Sequence[Problem], n: int, params: SamplingParams, seed: int, progress: Progress | None = None
    ) -> list[Sample]:
        samples: list[Sample] = []
        for shard in split(problems, n, params, seed, self.shard_size):
            samples += self.worker.work(shard)
            self._usage += self.worker.engine.drain_usage()
            if progress:
                progress(len(samples), len(problems) * n)
        count_failures(samples, 0.0, lambda line: None)
        return samples

    def watch(
        self,
        problem: Problem,
        params: SamplingParams,
        seed: int,
        tell: Callable[[str], None],
        number: int = 0,
    ) -> Sample:
        """The sample of that number among those that `sample` draws of this problem alone; `tell` takes its chain in pieces,
        while it is drawn. The worker's engine must be a `StreamingEngine`."""
        engine = self.worker.engine
        if not isinstance(engine, StreamingEngine):
            raise TypeError(f"{type(engine).__name__} cannot be watched; sample instead")
        (shard,) = split([problem], 1, params, seed, self.shard_size)
        completion = engine.stream(problem.prompt, params, shard.seed, tell, problem.prefix, number)
        samples = self.worker.score([(problem, completion)])
        count_failures(samples, 0.0, lambda line: None)
        return samples[0]

    def publish(self, publication: Publication, version: int) -> None:
        self.worker.load(publication.handle, version, publication.checksum)

    def drain_faults(self) -> Mapping[str, float]:
        return {}

    def drain_usage(self) -> Mapping[str, float]:
        usage, self._usage = self._usage, Usage()
        return usage.shares()

    def close(self) -> None:
        self.worker.close()
