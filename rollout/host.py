"""A rollout worker in a process of its own, which can say what it is doing."""

from typing import Any

from rollout.pool import RolloutError, WorkerFactory
from rollout.stacks import describe_threads
from rollout.types import Sample
from rollout.worker import Shard


class WorkerHost:
    """The inside of a process: a worker, built where it runs.

    Args:
        factory: builds the worker.
    """

    def __init__(self, factory: WorkerFactory) -> None:
        self.worker = factory()

    def ready(self) -> None:
        """Answered when the worker is there."""

    def work(self, shard: Shard, version: int) -> list[Sample]:
        if self.worker.version != version:
            raise RolloutError(f"a worker holds weights of version {self.worker.version}, not {version}")
        return self.worker.work(shard)

    def load(self, weights: Any, version: int, checksum: int) -> None:
        self.worker.load(weights, version, checksum)

    def beat(self) -> None:
        """Answered as long as this process lives."""

    def stack(self) -> str:
        """What the thread that works is doing."""
        return describe_threads()
