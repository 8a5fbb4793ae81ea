"""Shards in workers' hands: who has which, since when, and which has been with one for so long that another should try."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rollout.types import Sample
from rollout.worker import Shard

ATTEMPTS = 3
"""Workers that one shard may take with it before the shard is what is held to be wrong."""
SLOW = 2.0
"""A shard is slow when it has been with a worker for so many times the median of those that are done in the same call."""
SLOW_SECONDS = 20.0
"""And for so long: less is not worth drawing it twice."""


@dataclass(frozen=True)
class Supervision:
    """How long is waited, and how often replaced.

    Args:
        starting: seconds for a worker to be set up, or to take weights.
        working: seconds for it to do a shard.
        heartbeat: seconds in which it must show that it lives, once it is set up.
        restarts: workers that may be replaced within `window`.
        window: seconds.
        reward_failures: share of the chains of one sampling for which reward functions may fail.
    """

    starting: float
    working: float
    heartbeat: float = 60.0
    restarts: int = 10
    window: float = 600.0
    reward_failures: float = 0.0


@dataclass(eq=False)
class Seat:
    """A place for a worker, and who sits there."""

    actor: Any
    ready: Any
    """The answer to its latest publication, or to being set up, that is still to come; None once it has come."""
    since: float
    """When that was asked."""
    born: Any
    """The answer to being set up; None once it has come."""
    given: int = 0
    """How many publications there had been when it was given one; not which, since that would keep the weights in memory."""
    first: bool = True
    """Whether it is the one that began here."""
    lost: float | None = None
    """When the one before was found lost, while its successor is not ready."""
    failures: int = 0
    """Workers in a row that never came to be ready here."""


@dataclass(frozen=True, eq=False)
class Run:
    """A shard in a worker's hands."""

    number: int
    """Which of the job's it is."""
    seat: Seat
    since: float
    """When it was handed out."""
    confined: bool
    """Whether reward functions are kept apart from the worker."""


@dataclass
class Job:
    """One call of `sample`: what is to be done, in whose hands, and what is done."""

    shards: Sequence[Shard]
    waiting: deque[int]
    running: dict[Any, Run] = field(default_factory=dict)
    """By the answers that are still to come. A shard may be in two workers' hands."""
    done: dict[int, list[Sample]] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    """Workers that a shard has taken with it."""
    seconds: list[float] = field(default_factory=list)
    """How long each shard that is done was with the worker that did it."""

    def finish(self, run: Run, samples: list[Sample], now: float) -> dict[Any, Run]:
        """Note a shard's samples; returns who else is still at it, and for nothing from now on."""
        self.done[run.number] = samples
        self.seconds.append(now - run.since)
        others = {reference: other for reference, other in self.running.items() if other.number == run.number}
        for reference in others:
            del self.running[reference]
        return others

    def fail(self, number: int) -> bool:
        """Note that a shard's worker is lost; whether nobody has the shard now."""
        self.attempts[number] = self.attempts.get(number, 0) + 1
        return all(run.number != number for run in self.running.values())

    def slowest(self) -> tuple[int, float] | None:
        """Of the shards that another worker may be given, too, the one handed out first, and when it counts as slow; None while
        a shard waits for any worker at all, or none is done that it could be compared with."""
        numbers = [run.number for run in self.running.values()]
        alone = [run for run in self.running.values() if numbers.count(run.number) == 1]
        hopeful = [run for run in alone if self.attempts.get(run.number, 0) < ATTEMPTS]
        if self.waiting or not self.seconds or not hopeful:
            return None
        first = min(hopeful, key=lambda run: run.since)
        return first.number, first.since + max(SLOW_SECONDS, SLOW * median(self.seconds))
