"""Rollout workers as Ray actors, looked after: one that dies or hangs is replaced, and its work is done again; one that is slow
is overtaken by another that has nothing to do.

A worker has nothing that is its own but the weights, and a shard's samples follow from its seed, so they are the same whoever
draws them.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import ray

from rewards.terms import RewardError
from rollout.actors import WATCH, Pulse, ask_whereabouts, cause_of, check_nodes
from rollout.exits import explain_exit
from rollout.host import WorkerHost
from rollout.jobs import ATTEMPTS, Job, Run, Seat, Supervision
from rollout.pool import Progress, Publication, RolloutError, WorkerFactory, count_failures
from rollout.types import Problem, Sample, SamplingParams
from rollout.usage import Usage
from rollout.worker import split

FAULTS = tuple(
    f"faults/{name}" for name in ("worker_restarts", "shards_redone", "shards_moved", "rewards_failed", "recovery_seconds")
)
OVERTAKEN = "sampling what another has sampled meanwhile"
FINAL = (RewardError,)
"""Errors that a person has to mend: a fresh worker would raise them as well."""


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
        self._publications = 0
        self._replaced: deque[float] = deque()
        self._faults = dict.fromkeys(FAULTS, 0.0)
        self._usage = Usage()
        self._late: dict[Any, Run] = {}
        """Shards that others have done meanwhile, by the answers that nobody needs any more: their workers are busy till then,
        whatever call of `sample` it is."""
        self._seats = [self._new_seat() for _ in range(workers)]

    @property
    def actors(self) -> list[Any]:
        """The actors as they are now."""
        return [seat.actor for seat in self._seats]

    def sample(
        self, problems: Sequence[Problem], n: int, params: SamplingParams, seed: int, progress: Progress | None = None
    ) -> list[Sample]:
        shards = split(problems, n, params, seed, self.shard_size)
        job = Job(shards, deque(range(len(shards))))
        self._drop_late()
        try:
            while len(job.done) < len(shards):
                self._hand_out(job)
                begun, busy = time.monotonic(), len(job.running) + len(self._late)
                self._await_one(job)
                seconds = time.monotonic() - begun
                self._usage += Usage(busy=busy * seconds, present=len(self._seats) * seconds)
                self._end_silent(job)
                if progress:
                    progress(sum(map(len, job.done.values())), len(problems) * n)
        except BaseException:
            for reference in job.running:
                ray.cancel(reference)  # what has not begun; a shard that has runs to its end, and nobody takes it
            raise
        samples = [sample for number in range(len(shards)) for sample in job.done[number]]
        self._faults["faults/rewards_failed"] += count_failures(samples, self.supervision.reward_failures, self.notify)
        return samples

    def publish(self, publication: Publication, version: int) -> None:
        if not isinstance(publication.handle, ray.ObjectRef):
            publication = replace(publication, handle=ray.put(publication.handle))  # once for all, and for who comes later
        self._published = (publication, version)
        self._publications += 1
        self._drop_late()
        # Who is at a shard that nobody needs takes weights behind it, the latest then, and no call waits for that.
        busy = {run.seat for run in self._late.values()}
        for seat in self._seats:
            if seat not in busy and seat.given < self._publications:
                self._send_weights(seat)
        # One in another's place is not waited for: there may be no node for it any more.
        while waiting := [seat for seat in self._seats if seat.ready is not None and seat.first]:
            self._await_ready(waiting)
            self._end_silent()

    def drain_faults(self) -> dict[str, float]:
        """Workers replaced, shards done again, shards that were slow and given to another worker, too, chains without a reward
        that they should have, and how long it took at most until a successor was ready, since the last call."""
        counted = dict(self._faults)
        self._faults = dict.fromkeys(self._faults, 0.0)
        return counted

    def drain_usage(self) -> dict[str, float]:
        usage, self._usage = self._usage, Usage()
        return usage.shares() | usage.rates()

    def close(self) -> None:
        for seat in self._seats:
            ray.kill(seat.actor)
        self._seats, self._late = [], {}

    # One call of sample

    def _hand_out(self, job: Job) -> None:
        """Give shards to workers that are ready and have none: those that wait, then those that others are slow at."""
        for seat in self._idle(job):
            if job.waiting:
                self._hand(job, job.waiting.popleft(), seat)
            elif (slow := job.slowest()) and time.monotonic() >= slow[1]:
                self._faults["faults/shards_moved"] += 1
                self._hand(job, slow[0], seat)

    def _idle(self, job: Job) -> list[Seat]:
        busy = {run.seat for run in (*job.running.values(), *self._late.values())}
        return [seat for seat in self._seats if seat.ready is None and seat not in busy]

    def _hand(self, job: Job, number: int, seat: Seat) -> None:
        # The last worker that is tried keeps others' functions apart: if one is what kills, it kills itself alone.
        confined = self._confines or job.attempts.get(number, 0) == ATTEMPTS - 1
        version = self._published[1] if self._published else 0
        reference = seat.actor.work.remote(replace(job.shards[number], confined=confined), version)
        job.running[reference] = Run(number, seat, time.monotonic(), confined)

    def _await_one(self, job: Job) -> None:
        """Wait until a shard is done, a worker is ready, or one has taken too long."""
        starting = [seat for seat in self._seats if seat.ready is not None]
        runs = job.running | self._late
        if not runs:
            self._await_ready(starting)
            return
        until = min(run.since for run in runs.values()) + self.supervision.working
        if self._idle(job) and (slow := job.slowest()):
            until = min(until, slow[1])
        awaited = [*runs, *(seat.ready for seat in starting)]
        finished, _ = ray.wait(awaited, num_returns=1, timeout=self._pulse.patience(until - time.monotonic()))
        if not finished:
            check_nodes()
            self._end_slow(job)
        for reference in finished:
            if reference in job.running:
                self._take(job, reference)
            elif reference in self._late:
                self._drop(reference)
            else:
                self._confirm(next(seat for seat in starting if seat.ready is reference))

    def _take(self, job: Job, reference: Any) -> None:
        """Take a shard's samples, or what came instead."""
        run = job.running.pop(reference)
        try:
            samples, usage = ray.get(reference)
            self._late |= job.finish(run, samples, time.monotonic())
            self._usage += usage
            if run.confined and not self._confines:
                self._confines = True
                self.notify(
                    "rollout: what took workers with it did not when reward functions were kept in processes of their own; "
                    "they are from here on, as with a deadline (rewards.NAME.deadline)"
                )
        except ray.exceptions.RayTaskError as error:
            cause = cause_of(error)
            if isinstance(cause, FINAL):
                raise cause from None
            self._redo(job, run, f"a worker raised {cause!r}", cause)
        except ray.exceptions.RayError as error:
            self._redo(job, run, explain_exit(error), error)

    def _drop_late(self) -> None:
        """Take back the workers that have come to an end since somebody looked."""
        if self._late:
            # Not the samples: they may be on another node, and need not come here before it is known that they are there.
            for reference in ray.wait(list(self._late), num_returns=len(self._late), timeout=0, fetch_local=False)[0]:
                self._drop(reference)

    def _drop(self, reference: Any) -> None:
        """Leave what a worker has drawn behind another, and take the worker back, or see what became of it."""
        seat = self._late.pop(reference).seat
        try:
            ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            cause = cause_of(error)
            self._replace(seat, f"a worker raised {cause!r}, {OVERTAKEN}", cause)
        except ray.exceptions.RayError as error:
            self._replace(seat, f"{explain_exit(error)}, {OVERTAKEN}", error)
        if seat.given < self._publications:
            self._send_weights(seat)

    def _end_slow(self, job: Job) -> None:
        """Replace the workers that had a shard for longer than the deadline."""
        for reference, run in list((job.running | self._late).items()):
            if time.monotonic() - run.since >= self.supervision.working:
                where = ask_whereabouts([run.seat.actor])[0]
                self._end(job, reference, f"a worker had a shard for {self.supervision.working:g} s, and {where}")

    def _end_silent(self, job: Job | None = None) -> None:
        """Replace the workers that do not answer any more, whatever they are at."""
        runs = (job.running if job else {}) | self._late
        busy = {run.seat: reference for reference, run in runs.items()}
        for seat in self._seats:
            if seat.born is not None and ray.wait([seat.born], timeout=0)[0]:
                self._pulse.note(seat.actor)
                seat.born = None
        silent = self._pulse.find_silent(self.actors)
        awaited = [seat for seat in self._seats if seat in busy or seat.ready is not None]
        for seat in [seat for seat in awaited if seat.actor in silent]:
            reason = f"a worker has been silent for {self._pulse.seconds:g} s (ray.heartbeat): stopped, or stuck in a library"
            if seat in busy:
                self._end(job, busy[seat], reason)
            else:
                self._replace(seat, f"{reason}, being given weights", None)

    def _end(self, job: Job | None, reference: Any, reason: str) -> None:
        """Replace the worker that owes an answer."""
        if job and reference in job.running:
            self._redo(job, job.running.pop(reference), reason, None)
        else:
            self._replace(self._late.pop(reference).seat, f"{reason}, {OVERTAKEN}", None)

    def _redo(self, job: Job, run: Run, reason: str, cause: BaseException | None) -> None:
        """Replace a worker that was lost at a shard, which is to be done again unless another is at it already."""
        problems, alone = job.shards[run.number].problems, job.fail(run.number)
        if alone and job.attempts[run.number] >= ATTEMPTS:
            failed = f"{ATTEMPTS} rollout workers in a row failed at the {len(problems)} problems from {problems[0].id!r} on"
            _give_up(f"{failed}: {reason}", cause)
        self._faults["faults/shards_redone"] += alone
        self._replace(run.seat, f"{reason}, sampling for problem {problems[0].id!r} and those behind it", cause)
        if alone:
            job.waiting.appendleft(run.number)

    # Workers

    def _new_seat(self) -> Seat:
        actor = self._host.remote(self._factory)
        born = actor.ready.remote()
        return Seat(actor, born, time.monotonic(), born)

    def _send_weights(self, seat: Seat) -> None:
        if self._published is not None:
            publication, version = self._published
            seat.given = self._publications
            seat.ready = seat.actor.load.remote(publication.handle, version, publication.checksum)
            seat.since = time.monotonic()

    def _await_ready(self, seats: Sequence[Seat]) -> None:
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

    def _confirm(self, seat: Seat) -> None:
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

    def _try_another(self, seat: Seat, reason: str, cause: BaseException) -> None:
        seat.failures += 1
        if seat.failures >= ATTEMPTS:
            _give_up(reason, cause)
        self._replace(seat, reason, cause)

    def _replace(self, seat: Seat, reason: str, cause: BaseException | None) -> None:
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
