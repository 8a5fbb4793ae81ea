"""A rollout worker in a process of its own, which can say what it is doing."""

import faulthandler
import os
import signal
from typing import Any

from rollout.pool import RolloutError, WorkerFactory
from rollout.stacks import describe_threads
from rollout.types import Sample
from rollout.usage import Usage
from rollout.worker import Shard


class WorkerHost:
    """The inside of a process: a worker, built where it runs.

    Args:
        factory: builds the worker.
    """

    def __init__(self, factory: WorkerFactory) -> None:
        self.worker = factory()
        self._nowhere = open(os.devnull, "w")  # noqa: SIM115  # as long as the process lives

    def ready(self) -> None:
        """Answered when the worker is there."""

    def work(self, shard: Shard, version: int) -> tuple[list[Sample], Usage]:
        """A shard's samples, and what generating them took."""
        self._outlive_termination()
        if self.worker.version != version:
            raise RolloutError(f"a worker holds weights of version {self.worker.version}, not {version}")
        samples = self.worker.work(shard)
        return samples, self.worker.engine.drain_usage()

    def _outlive_termination(self) -> None:
        """Take SIGTERM in this thread and go on, instead of blocking it, as the run does at Ray's start: what reward functions
        start would have it blocked as well, and nobody could terminate it. A handler in Python would not do: it is for the main
        thread, which is Ray's; one of `faulthandler` is in C, for any, and writes what it has to say nowhere."""
        if signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
            faulthandler.register(signal.SIGTERM, self._nowhere)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def load(self, weights: Any, version: int, checksum: int) -> None:
        self.worker.load(weights, version, checksum)

    def beat(self) -> None:
        """Answered as long as this process lives."""

    def stack(self) -> str:
        """What the thread that works is doing."""
        return describe_threads()
