"""Rollout workers as Ray actors, looked after: one that dies or hangs is replaced, and its work is done again.

A worker has nothing that is its own but the weights, and a shard's samples follow from its seed, so they are the same whoever
draws them.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import ray

from rewards.terms import RewardError
from rollout.actors import WATCH, Pulse, ask_whereabouts, cause_of, check_nodes
from rollout.exits import explain_exit
from rollout.host import WorkerHost
from rollout.pool import Progress, Publication, RolloutError, WorkerFactory, count_failures
from rollout.types import Problem, Sample, SamplingParams
from rollout.usage import Usage
from rollout.worker import Shard, split

FAULTS = ("faults/worker_restarts", "faults/shards_redone", "faults/rewards_failed", "faults/recovery_seconds")
ATTEMPTS = 3
"""Workers that one shard may take with it before the shard is what is held to be wrong."""
FINAL = (RewardError,)
"""Errors that a person has to mend: a fresh worker would raise them as well."""


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


@dataclass
class _Seat:
    """A place for a worker, and who sits there."""

    actor: Any
    ready: Any
    """The answer to its latest publication, or to being set up, that is still to come; None once it has come."""
    since: float
    """When that was asked."""
    born: Any
    """The answer to being set up; None once it has come."""
    first: bool = True
    """Whether it is the one that began here."""
    lost: float | None = None
    """When the one before was found lost, while its successor is not ready."""
    failures: int = 0
    """Workers in a row that never came to be ready here."""


@dataclass
class _Job:
    """One call of `sample`: what is to be done, in whose hands, what is done, and what that took."""

    shards: Sequence[Shard]
    waiting: deque[int]
    running: dict[Any, tuple[int, _Seat, float]] = field(default_factory=dict)
    done: dict[int, list[Sample]] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)

    def leave(self, reference: Any) -> tuple[int, _Seat]:
        """Take a shard that runs out of a worker's hands: which it is, and whose."""
        number, seat, start = self.running.pop(reference)
        self.usage += Usage(busy=time.monotonic() - start)
        return number, seat


class RayPool:
    """Workers as Ray actors. Shards go to whichever worker is free; results come back in order.

    Args:
        factory: builds a worker inside its actor.
        workers: number of actors.
        shard_size: problems a shard.
        cpus, gpus: Ray resources one actor reserves.
        supervision: of the actors.
        notify: told, in a line, what happened to a worker.
    """

    def __init__(
        self,
        factory: WorkerFactory,
        workers: int,
        shard_size: int,
        cpus: float,
        gpus: float,
        supervision: Supervision,
        notify: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.shard_size = shard_size
        self.supervision = supervision
        self.restarts = 0
        """How many workers have been replaced in all."""
        self.notify = notify
        self._factory = factory
        # One thread works, call by call; another answers when asked what the first is doing.
        self._host = ray.remote(concurrency_groups=WATCH)(WorkerHost).options(num_cpus=cpus, num_gpus=gpus)
        self._pulse = Pulse(supervision.heartbeat)
        self._confines = False
        """Whether others' functions are kept apart, since they alone can be what has ended workers."""
        self._published: tuple[Publication, int] | None = None
        self._replaced: deque[float] = deque()
        self._faults = dict.fromkeys(FAULTS, 0.0)
        self._usage = Usage()
        self._seats = [self._new_seat() for _ in range(workers)]

    @property
    def actors(self) -> list[Any]:
        """The actors as they are now."""
        return [seat.actor for seat in self._seats]

    def sample(
        self, problems: Sequence[Problem], n: int, params: SamplingParams, seed: int, progress: Progress | None = None
    ) -> list[Sample]:
        begun = time.monotonic()
        shards = split(problems, n, params, seed, self.shard_size)
        job = _Job(shards, deque(range(len(shards))))
        try:
            while len(job.done) < len(shards):
                self._hand_out(job)
                self._await_one(job)
                self._end_silent(job)
                if progress:
                    progress(sum(map(len, job.done.values())), len(problems) * n)
        except BaseException:
            for reference in job.running:
                ray.cancel(reference)  # what has not begun; a shard that has runs to its end, and nobody takes it
            raise
        self._usage += job.usage + Usage(present=len(self._seats) * (time.monotonic() - begun))
        samples = [sample for number in range(len(shards)) for sample in job.done[number]]
        self._faults["faults/rewards_failed"] += count_failures(samples, self.supervision.reward_failures, self.notify)
        return samples

    def publish(self, publication: Publication, version: int) -> None:
        if not isinstance(publication.handle, ray.ObjectRef):
            publication = replace(publication, handle=ray.put(publication.handle))  # once for all, and for who comes later
        self._published = (publication, version)
        for seat in self._seats:
            self._send_weights(seat)
        # One in another's place is not waited for: there may be no node for it any more.
        while waiting := [seat for seat in self._seats if seat.ready is not None and seat.first]:
            self._await_ready(waiting)
            self._end_silent()

    def drain_faults(self) -> dict[str, float]:
        """Workers replaced, shards done again, chains without a reward that they should have, and how long it took at most
        until a successor was ready, since the last call."""
        counted = dict(self._faults)
        self._faults = dict.fromkeys(self._faults, 0.0)
        return counted

    def drain_usage(self) -> dict[str, float]:
        usage, self._usage = self._usage, Usage()
        return usage.shares() | usage.rates()

    def close(self) -> None:
        for seat in self._seats:
            ray.kill(seat.actor)
        self._seats = []

    # One call of sample

    def _hand_out(self, job: _Job) -> None:
        """Give shards to workers that are ready and have none."""
        busy = {id(seat) for _, seat, _ in job.running.values()}
        version = self._published[1] if self._published else 0
        for seat in self._seats:
            if job.waiting and seat.ready is None and id(seat) not in busy:
                number = job.waiting.popleft()
                # The last worker that is tried keeps others' functions apart: if one is what kills, it kills itself alone.
                last = job.attempts.get(number, 0) == ATTEMPTS - 1
                shard = replace(job.shards[number], confined=self._confines or last)
                reference = seat.actor.work.remote(shard, version)
                job.running[reference] = (number, seat, time.monotonic())

    def _await_one(self, job: _Job) -> None:
        """Wait until a shard is done, a worker is ready, or one has taken too long."""
        starting = [seat for seat in self._seats if seat.ready is not None]
        if not job.running:
            self._await_ready(starting)
            return
        since = [start for _, _, start in job.running.values()]
        left = min(since) + self.supervision.working - time.monotonic()
        awaited = [*job.running, *(seat.ready for seat in starting)]
        finished, _ = ray.wait(awaited, num_returns=1, timeout=self._pulse.patience(left))
        if not finished:
            check_nodes()
            self._end_slow(job)
        for reference in finished:
            if reference in job.running:
                self._take(job, reference)
            else:
                self._confirm(next(seat for seat in starting if seat.ready is reference))

    def _take(self, job: _Job, reference: Any) -> None:
        """Take a shard's samples, or what came instead."""
        number, seat = job.leave(reference)
        try:
            job.done[number], usage = ray.get(reference)
            job.usage += usage
            if job.attempts.get(number, 0) == ATTEMPTS - 1 and not self._confines:
                self._confines = True
                self.notify(
                    "rollout: what took workers with it did not when reward functions were kept in processes of their own; "
                    "they are from here on, as with a deadline (rewards.NAME.deadline)"
                )
        except ray.exceptions.RayTaskError as error:
            cause = cause_of(error)
            if isinstance(cause, FINAL):
                raise cause from None
            self._redo(job, number, seat, f"a worker raised {cause!r}", cause)
        except ray.exceptions.RayError as error:
            self._redo(job, number, seat, explain_exit(error), error)

    def _end_slow(self, job: _Job) -> None:
        """Replace the workers that had a shard for longer than the deadline."""
        for reference, (number, seat, start) in list(job.running.items()):
            if time.monotonic() - start >= self.supervision.working:
                job.leave(reference)
                reason = f"a worker had a shard for {self.supervision.working:g} s, and {ask_whereabouts([seat.actor])[0]}"
                self._redo(job, number, seat, reason, None)

    def _end_silent(self, job: _Job | None = None) -> None:
        """Replace the workers that do not answer any more, whatever they are at."""
        running = list(job.running.items()) if job else []
        busy = {seat.actor: (reference, number) for reference, (number, seat, _) in running}
        for seat in self._seats:
            if seat.born is not None and ray.wait([seat.born], timeout=0)[0]:
                self._pulse.note(seat.actor)
                seat.born = None
        silent = self._pulse.find_silent(self.actors)
        awaited = [seat for seat in self._seats if seat.actor in busy or seat.ready is not None]
        for seat in [seat for seat in awaited if seat.actor in silent]:
            reason = f"a worker has been silent for {self._pulse.seconds:g} s (ray.heartbeat): stopped, or stuck in a library"
            if job and seat.actor in busy:
                reference, number = busy[seat.actor]
                job.leave(reference)
                self._redo(job, number, seat, reason, None)
            else:
                self._replace(seat, f"{reason}, being given weights", None)

    def _redo(self, job: _Job, number: int, seat: _Seat, reason: str, cause: BaseException | None) -> None:
        job.attempts[number] = job.attempts.get(number, 0) + 1
        first = job.shards[number].problems[0].id
        if job.attempts[number] >= ATTEMPTS:
            count = len(job.shards[number].problems)
            _give_up(f"{ATTEMPTS} rollout workers in a row failed at the {count} problems from {first!r} on: {reason}", cause)
        self._faults["faults/shards_redone"] += 1
        self._replace(seat, f"{reason}, sampling for problem {first!r} and those behind it", cause)
        job.waiting.appendleft(number)

    # Workers

    def _new_seat(self) -> _Seat:
        actor = self._host.remote(self._factory)
        born = actor.ready.remote()
        return _Seat(actor, born, time.monotonic(), born)

    def _send_weights(self, seat: _Seat) -> None:
        if self._published is not None:
            publication, version = self._published
            seat.ready = seat.actor.load.remote(publication.handle, version, publication.checksum)
            seat.since = time.monotonic()

    def _await_ready(self, seats: Sequence[_Seat]) -> None:
        """Wait until one of the workers is ready, or has taken too long."""
        left = min(seat.since for seat in seats) + self.supervision.starting - time.monotonic()
        finished, _ = ray.wait([seat.ready for seat in seats], num_returns=1, timeout=self._pulse.patience(left))
        if not finished:
            check_nodes()
        for seat in seats:
            if seat.ready in finished:
                self._confirm(seat)
            elif not finished and time.monotonic() - seat.since >= self.supervision.starting:
                what = f"a worker was not ready within {self.supervision.starting:g} s, and {ask_whereabouts([seat.actor])[0]}"
                self._replace(seat, what, None)

    def _confirm(self, seat: _Seat) -> None:
        """Note that a worker is ready, or replace it."""
        reference, seat.ready = seat.ready, None
        try:
            ray.get(reference)
            seat.failures = 0
            if seat.lost is not None:
                name, seconds = "faults/recovery_seconds", time.monotonic() - seat.lost
                self._faults[name], seat.lost = max(self._faults[name], seconds), None
        except ray.exceptions.RayTaskError as error:
            self._try_another(seat, f"a worker raised {cause_of(error)!r}, being given weights", cause_of(error))
        except ray.exceptions.RayError as error:
            # What fails before anything has worked will fail again: a setting is wrong, or a library.
            seat.failures += ATTEMPTS if seat.first and getattr(error, "actor_init_failed", False) else 0
            self._try_another(seat, f"{explain_exit(error)}, being set up or given weights", error)

    def _try_another(self, seat: _Seat, reason: str, cause: BaseException) -> None:
        seat.failures += 1
        if seat.failures >= ATTEMPTS:
            _give_up(reason, cause)
        self._replace(seat, reason, cause)

    def _replace(self, seat: _Seat, reason: str, cause: BaseException | None) -> None:
        """Put another worker in a worker's place, with the current weights.

        Raises:
            RolloutError: if that has been done too often of late.
        """
        limit, now = self.supervision, time.monotonic()
        ray.kill(seat.actor)
        while self._replaced and now - self._replaced[0] > limit.window:
            self._replaced.popleft()
        if len(self._replaced) >= limit.restarts:
            often = f"{limit.restarts} rollout workers were replaced within {limit.window:g} s (rollout.restarts), and now: "
            _give_up(often + reason, cause)
        self._replaced.append(now)
        self.restarts += 1
        self._faults["faults/worker_restarts"] += 1
        self.notify(f"rollout: {reason}; another takes its place")
        seat.lost = now if seat.lost is None else seat.lost
        new = self._new_seat()
        seat.actor, seat.ready, seat.since, seat.born, seat.first = new.actor, new.ready, new.since, new.born, False
        self._send_weights(seat)


def _give_up(reason: str, cause: BaseException | None) -> NoReturn:
    """Raise what a worker raised, or say what became of it."""
    if isinstance(cause, Exception) and not isinstance(cause, ray.exceptions.RayError):
        raise cause
    raise RolloutError(reason) from cause
