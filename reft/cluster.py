"""The Ray cluster of a run: found or started, and ended."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import psutil
import ray
from ray._private import ray_constants

from reft.config import RayConfig
from reft.errors import RunError
from reft.interrupt import ignore_termination

SPINS = "5000"
"""Turns, some tens of microseconds, that a thread of torch waits for another before it sleeps; libgomp's default is
milliseconds. One that spins keeps others from a core that they share with anybody else: beside one busy process on two cores,
steps of a small model took twelve times as long. To sleep at once costs a quarter of the speed on an idle machine, this little.
"""
SHUTDOWN_SECONDS = 60.0
"""For Ray to end, which takes it some seconds."""
SHARED_MEMORY = "/dev/shm"
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
    before = signal.getsignal(signal.SIGTERM)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        _start(config, address, cpus, before)
        _check_size(cpus, gpus)
        yield
    finally:
        _shut_down(before, started=address is None)


def _start(config: RayConfig, address: str | None, cpus: float, handler: Any) -> None:
    """Connect to a cluster, or start one. Ray's own handler of SIGTERM gives way to the program's, if it has one; what comes
    while Ray starts comes when it has."""
    quiet = {"log_to_driver": False, "logging_level": "error", "configure_logging": True}
    if address is None:
        # Workers import what this process imports, the user's own modules in the current folder included.
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
        cores = max(os.cpu_count() or 1, round(cpus + 0.5))  # ranks and workers take turns on the cores
        with _unreachable(), _unterminated(handler):
            ray.init(address="local", num_cpus=cores, include_dashboard=False, object_store_memory=_store_bytes(), **quiet)
    else:
        _reach(address)
        try:
            with _asked_once(), _unterminated(handler):
                ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise RunError(f"ray.address={address} does not answer as a Ray cluster: {_first_line(error)}") from error


def _shut_down(handler: Any, started: bool) -> None:
    """End the connection to Ray, and Ray where this process has `started` it, by force if it does not end. SIGTERM is ignored
    meanwhile, since the end has come anyway, and goes to the `handler` again behind it."""
    ending = signal.getsignal(signal.SIGTERM) is ignore_termination
    done = threading.Event()
    deaf = threading.Thread(target=_ignore_termination_until, args=(done,), daemon=True)
    deaf.start()
    force = threading.Timer(SHUTDOWN_SECONDS, _kill_children)
    force.daemon = True
    if started:
        force.start()
    try:
        ray.shutdown()
    finally:
        force.cancel()
        done.set()
        deaf.join()
        signal.signal(signal.SIGTERM, ignore_termination if ending else handler)


def _ignore_termination_until(done: threading.Event) -> None:
    """Ignore SIGTERM over and over. Early in its end Ray gives the signal back its default, behind Python's back, which would
    end this process in the seconds that the rest takes."""
    library = ctypes.CDLL(None)
    library.signal.argtypes, library.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    while True:
        library.signal(signal.SIGTERM, int(signal.SIG_IGN))
        if done.wait(0.002):
            return


def _children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _kill_children() -> None:
    """End all that this process has started. What waits for one of them goes on."""
    for process in _children():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


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
def _unterminated(handler: Any) -> Iterator[None]:
    """While it lasts, what is started does not take SIGTERM, now or later. It may be sent to all processes of a job, and
    without Ray's the run could save nothing; they end with the run. What comes meanwhile is for the `handler`, if there is one,
    and not for Ray's."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        if callable(handler):
            signal.signal(signal.SIGTERM, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _asked_once() -> Iterator[None]:
    """While it lasts, Ray asks a cluster once whether it is there, for 40 s, as far as the user has not said how often. Of
    itself it asks twenty times."""
    name = "RAY_gcs_server_port_wait_time_s"
    before = os.environ.get(name)
    os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def _store_bytes() -> int:
    """Object store for weights and batches: a fifth of the memory, 8 GiB at most, taken as it is used. Two versions of the
    weights lie in it, the one that workers hold and the next. Where a container has less shared memory, so does the store: Ray
    would put a larger one on a disk."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    shared = shutil.disk_usage(SHARED_MEMORY).free if os.path.isdir(SHARED_MEMORY) else 0
    return max(min(total // 5, 1 << 33, shared * 9 // 10), 1 << 27)


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


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else repr(error)
