"""The Ray cluster of a run, and gangs of processes on it. The only module of this package that knows Ray.

Plain classes go in; `ray.remote` is applied here. Every wait has a name and a deadline.
"""

import contextlib
import importlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
from ray._private import ray_constants
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from reft.config import RayConfig
from reft.errors import LostProcessError, RunError
from rollout.actors import WATCH, Pulse, ask_whereabouts, cause_of, check_nodes
from rollout.exits import explain_exit
from rollout.stacks import describe_threads

SPINS = "5000"
"""Turns, some tens of microseconds, that a thread of torch waits for another before it sleeps; libgomp's default is
milliseconds. One that spins keeps others from a core that they share with anybody else: beside one busy process on two cores,
steps of a small model took twelve times as long. To sleep at once costs a quarter of the speed on an idle machine, this little.
"""
CONNECT_SECONDS = 5.0
"""A cluster that is up answers a connection in milliseconds."""


@contextlib.contextmanager
def cluster(config: RayConfig, cpus: float, gpus: float) -> Iterator[None]:
    """Connect to a cluster, or start one on this machine for as long as the context lasts.

    Args:
        config: where the cluster is.
        cpus, gpus: what the run will reserve in all.

    Raises:
        RunError: if the cluster does not answer or is too small.
    """
    address = config.address or os.environ.get("RAY_ADDRESS")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    quiet = {"log_to_driver": False, "logging_level": "error", "configure_logging": True}
    if address is None:
        # Workers import what this process imports, the user's own modules in the current folder included.
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
        cores = max(os.cpu_count() or 1, round(cpus + 0.5))  # ranks and workers take turns on the cores
        with _unreachable(), _unterminated():
            ray.init(address="local", num_cpus=cores, include_dashboard=False, object_store_memory=_store_bytes(), **quiet)
    else:
        _reach(address)
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise RunError(f"ray.address={address} does not answer as a Ray cluster: {_first_line(error)}") from error
    try:
        _check_size(cpus, gpus)
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _unreachable() -> Iterator[None]:
    """While it lasts, Ray starts on this machine's loopback address alone, as it does of itself on a Mac. Whoever can reach a
    process of Ray can have it run code."""
    there, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = there


@contextlib.contextmanager
def _unterminated() -> Iterator[None]:
    """While it lasts, what is started does not take SIGTERM, now or later. It may be sent to all processes of a job, and
    without Ray's the run could save nothing; they end with the run."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _store_bytes() -> int:
    """Object store for weights and batches: a fifth of the memory, half a GiB at most where there is no GPU to feed."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(total // 5, 1 << 29)


def _reach(address: str) -> None:
    """Fail in seconds where nothing listens; Ray itself would try for minutes."""
    if address == "auto":
        return
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not separator or not port.isdigit():
        raise RunError(f"ray.address={address!r} is no address; write host:port, auto or null")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise RunError(
            f"ray.address={address} does not answer: {error}; start one with `ray start --head`, or leave it null"
        ) from error


def _check_size(cpus: float, gpus: float) -> None:
    there = ray.cluster_resources()
    for name, needed in (("CPU", cpus), ("GPU", gpus)):
        if needed > there.get(name, 0.0) + 1e-6:
            raise RunError(
                f"the run reserves {needed:g} {name}s and the Ray cluster has {there.get(name, 0.0):g}; "
                f"lower learner.{name.lower()}s, rollout.{name.lower()}s or the number of processes"
            )


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
            ).remote(rank, world, list(preload))
            for rank in range(world)
        ]

    def build(self, make: Callable[[int, int], Any]) -> None:
        """Make each process's object, `make(rank, world)`, in place of an earlier one."""
        host, port = self._wait([self._members[0].address.remote()], "find a port")[0]
        self._wait([member.build.remote(make, host, port) for member in self._members], "load")
        for member in self._members:
            self._pulse.note(member)

    def call(self, method: str, *arguments: Any) -> list[Any]:
        sent = [ray.put(argument) for argument in arguments]  # once for all ranks
        return self._wait([member.call.remote(method, *sent) for member in self._members], method)

    def refer(self, method: str, *arguments: Any) -> Any:
        references = [member.call.remote(method, *arguments) for member in self._members]
        self._wait(references[1:], method)
        return references[0]

    def watch(self, method: str, poll: str, seconds: float, report: Callable[[Any], None]) -> list[Any]:
        """`call(method)`, and while it runs, `report` what rank 0's method `poll` says, every few seconds. The deadline is not
        on the whole, but on each answer, and on how long answers may stay the same."""
        running = [member.call.remote(method) for member in self._members]
        left, last, since = running, None, time.monotonic()
        while left:
            _, left = ray.wait(left, num_returns=len(left), timeout=seconds)
            if any(reference not in left for reference in running):
                self._wait([reference for reference in running if reference not in left], method)
            asked = self._members[0].call.options(concurrency_group="watch").remote(poll)
            (said,) = self._wait([asked], method)
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
        self._wait([member.call.options(concurrency_group="watch").remote(method) for member in self._members], method)

    def close(self) -> None:
        for member in self._members:
            ray.kill(member)
        self._members = []
        remove_placement_group(self._group)

    def _wait(self, references: Sequence[Any], phase: str) -> list[Any]:
        """The answers of ranks, each of which is awaited; the first that fails ends the wait, for the others may wait for it.

        Raises:
            LostProcessError: if a process died or does not answer any more, or the deadline passed.
            RolloutError: if no node of the cluster is left.
        """
        ends, left = time.monotonic() + self.deadline, list(references)
        while left:
            patience = min(ends - time.monotonic(), self._pulse.interval)
            done, left = ray.wait(left, num_returns=1, timeout=max(patience, 0.0))
            self._check_pulse(phase)
            if not done:
                check_nodes()
            if not done and time.monotonic() < ends:
                continue
            if not done:
                raise LostProcessError(
                    f"the {self.name} did not finish {phase!r} on {len(left)} ranks within {self.deadline:g} s{self._stacks()}"
                )
            try:
                ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise cause_of(error) from None
            except ray.exceptions.RayError as error:
                raise LostProcessError(f"the {self.name} lost a rank during {phase!r}: {explain_exit(error)}") from error
        return ray.get(list(references))

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

    def __init__(self, rank: int, world: int, preload: Sequence[str]) -> None:
        self.rank, self.world = rank, world
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


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else repr(error)
