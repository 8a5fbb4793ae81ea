"""Gangs of processes on the Ray cluster, called together: the learner's ranks.

Plain classes go in; `ray.remote` is applied here. Every wait has a name and a deadline.
"""

import importlib
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from reft.errors import LostProcessError, RankError, RunError, UserError
from reft.files import FULL
from rollout.actors import WATCH, Pulse, ask_whereabouts, cause_of, check_nodes
from rollout.exits import explain_exit
from rollout.stacks import describe_threads

DEATH_SECONDS = 2.0
"""For the news of a process's death to come, behind those of an error that it has caused in another."""


class RayGang:
    """Processes with ranks 0 ... world-1, called together.

    Args:
        world: number of processes.
        cpus, gpus: what Ray reserves for each.
        deadline: seconds that any call may take.
        heartbeat: seconds in which a process must show that it lives, once it is set up.
        name: what the gang is, for messages.
        preload: modules to import while nothing else is to be done.
    """

    def __init__(
        self,
        world: int,
        cpus: float,
        gpus: float,
        deadline: float,
        heartbeat: float,
        name: str,
        preload: Sequence[str] = (),
    ) -> None:
        self.world = world
        self.name = name
        self.deadline = deadline
        self._pulse = Pulse(heartbeat)
        self._group: PlacementGroup = placement_group([{"CPU": cpus, "GPU": gpus}] * world, strategy="PACK")
        # One thread works, call by call; another answers when asked how far it is.
        actor = ray.remote(concurrency_groups=WATCH)(_Member)
        self._members = [
            actor.options(
                num_cpus=cpus,
                num_gpus=gpus,
                scheduling_strategy=PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=rank),
            ).remote(rank, world, gpus > 0, list(preload))
            for rank in range(world)
        ]

    def build(self, make: Callable[[int, int], Any]) -> None:
        """Make each process's object, `make(rank, world)`, in place of an earlier one."""
        self._await_place()
        host, port = self._wait({rank: member.address.remote() for rank, member in enumerate(self._members)}, "find a port")[0]
        for member in self._members:
            self._pulse.note(member)
        self._wait({rank: member.build.remote(make, host, port) for rank, member in enumerate(self._members)}, "load")

    def call(self, method: str, *arguments: Any) -> list[Any]:
        sent = [ray.put(argument) for argument in arguments]  # once for all ranks
        return self._wait({rank: member.call.remote(method, *sent) for rank, member in enumerate(self._members)}, method)

    def refer(self, method: str, *arguments: Any) -> Any:
        references = {rank: member.call.remote(method, *arguments) for rank, member in enumerate(self._members)}
        first = references.pop(0)
        self._wait(references, method)
        return first

    def watch(self, method: str, poll: str, seconds: float, report: Callable[[Any], None]) -> list[Any]:
        """`call(method)`, and while it runs, `report` what rank 0's method `poll` says, every few seconds. The deadline is not
        on the whole, but on each answer, and on how long answers may stay the same."""
        running = {rank: member.call.remote(method) for rank, member in enumerate(self._members)}
        left, last, since = list(running.values()), None, time.monotonic()
        while left:
            _, left = ray.wait(left, num_returns=len(left), timeout=seconds)
            self._check_answer(running, [reference for reference in running.values() if reference not in left], method)
            asked = self._members[0].call.options(concurrency_group="watch").remote(poll)
            (said,) = self._wait({0: asked}, method)
            report(said)
            if said != last:
                last, since = said, time.monotonic()
            elif time.monotonic() - since > self.deadline:
                raise LostProcessError(
                    f"the {self.name} made no progress in {method!r} for {self.deadline:g} s{self._stacks()}"
                )
        return self._wait(running, method)

    def tell(self, method: str) -> None:
        """Call each process's method while another is at work in it."""
        called = [member.call.options(concurrency_group="watch").remote(method) for member in self._members]
        self._wait(dict(enumerate(called)), method)

    def close(self) -> None:
        for member in self._members:
            ray.kill(member)
        self._members = []
        remove_placement_group(self._group)

    def _await_place(self) -> None:
        """Wait until there is room for all ranks.

        Raises:
            RunError: if there is none until the deadline.
        """
        ends, placed = time.monotonic() + self.deadline, self._group.ready()
        while not ray.wait([placed], timeout=self._pulse.patience(ends - time.monotonic()))[0]:
            check_nodes()
            if time.monotonic() >= ends:
                bundles = " and ".join(str(bundle) for bundle in self._group.bundle_specs)
                free = {name: ray.available_resources().get(name, 0.0) for name in ("CPU", "GPU")}
                raise RunError(
                    f"the Ray cluster's nodes have had no room for the {self.name} within {self.deadline:g} s (ray.deadline): "
                    f"it needs {bundles}, each on one node, and {free} are free in all"
                )

    def _wait(self, references: Mapping[int, Any], phase: str) -> list[Any]:
        """The answers of ranks, each of which is awaited; the first that fails ends the wait, for the others may wait for it.

        Args:
            references: by rank.
            phase: what they are at, for messages.

        Raises:
            UserError, OSError: if one raised that, about a file or a full disk; it says itself what is to be mended.
            RankError: if one raised any other error.
            LostProcessError: if a process died or does not answer any more, or the deadline passed.
            RolloutError: if no node of the cluster is left.
        """
        ends, left = time.monotonic() + self.deadline, list(references.values())
        while left:
            done, left = ray.wait(left, num_returns=1, timeout=self._pulse.patience(ends - time.monotonic()))
            self._check_pulse(phase)
            if not done:
                check_nodes()
                if time.monotonic() < ends:
                    continue
                raise LostProcessError(
                    f"the {self.name} did not finish {phase!r} on {len(left)} ranks within {self.deadline:g} s{self._stacks()}"
                )
            self._check_answer(references, done, phase)
        return ray.get(list(references.values()))

    def _check_answer(self, references: Mapping[int, Any], done: Sequence[Any], phase: str) -> None:
        """Raise what ranks that are `done` have come to instead of an answer; a lost node before a lost rank, and that before
        an error, which may be that of another that it has left alone."""
        failed: dict[int, Any] = {}
        for rank, reference in references.items():
            if reference in done:
                try:
                    ray.get(reference)
                except ray.exceptions.RayError as error:
                    failed[rank] = error
        for rank, failure in failed.items():
            if not isinstance(failure, ray.exceptions.RayTaskError):
                check_nodes()
                told = f"the {self.name} lost rank {rank} during {phase!r}: {explain_exit(failure)}"
                raise LostProcessError(told) from failure
        for rank, failure in failed.items():
            others = [reference for reference in references.values() if reference not in done]
            if others and (late := ray.wait(others, num_returns=len(others), timeout=DEATH_SECONDS)[0]):
                self._check_answer(references, [*done, *late], phase)
            cause = cause_of(failure)
            if isinstance(cause, UserError) or (isinstance(cause, OSError) and (cause.filename or cause.errno in FULL)):
                raise cause from None
            raise RankError(f"rank {rank} of the {self.name} raised {cause!r} during {phase!r}") from cause

    def _check_pulse(self, phase: str) -> None:
        if silent := self._pulse.find_silent(self._members):
            ranks = ", ".join(str(rank) for rank, member in enumerate(self._members) if member in silent)
            raise LostProcessError(
                f"the {self.name}'s rank {ranks} has been silent for {self._pulse.seconds:g} s (ray.heartbeat) during "
                f"{phase!r}: stopped, or stuck in a library{self._stacks()}"
            )

    def _stacks(self) -> str:
        """What each rank is doing, a line behind the other."""
        return "".join(f"\nrank {rank}: {told}" for rank, told in enumerate(ask_whereabouts(self._members)))


class _Member:
    """The inside of one process of a gang."""

    def __init__(self, rank: int, world: int, gpu: bool, preload: Sequence[str]) -> None:
        self.rank, self.world = rank, world
        if not gpu:  # Ray shows a process that has reserved none all there are, and libraries would take one
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        for module in preload:
            importlib.import_module(module)

    def address(self) -> tuple[str, int]:
        """Where this process can be reached, and a free port."""
        host = ray.util.get_node_ip_address()
        with socket.socket() as listener:
            listener.bind(("", 0))
            return host, listener.getsockname()[1]

    def build(self, make: Callable[[int, int], Any], host: str, port: int) -> None:
        os.environ |= {
            "MASTER_ADDR": host,
            "MASTER_PORT": str(port),
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.world),
            "LOCAL_RANK": "0",  # Ray shows each process its own devices only
        }
        self.member = make(self.rank, self.world)

    def call(self, method: str, *arguments: Any) -> Any:
        return getattr(self.member, method)(*arguments)

    def beat(self) -> None:
        """Answered as long as this process lives."""

    def stack(self) -> str:
        """What the thread that works is doing."""
        return describe_threads()
