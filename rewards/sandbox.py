"""Processes that can be killed, for work that can hang, blow up or lie.

A `Sandbox` keeps a few children (`rewards.sandbox_child`), each with everything imported that its calls need. A call is one
line of JSON down a pipe and one line back; no code, pickle or file crosses. A call that misses its deadline, or uses too much
processor time or memory, ends the process that does it, and the next is forked from the child's first process in
milliseconds. The parent uses no signals, so any thread may call. When the parent ends, by whatever, its children do, with all
that was started in them; what a call leaves behind when it returns lives as long as the process that did the call.

What it does not do: it limits time and memory, the latter of each process, not the file system, the network, or what a process
may do to others of its user. Only functions of this project and a user's own plug-ins run inside, on data; it is no place for a
model's programs.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Literal

END_SECONDS = 2.0
"""Wall seconds in which a child is given to end when it is asked to."""
LONGEST_REPLY = 1 << 26
"""Bytes of a reply."""


@dataclass(frozen=True)
class Limits:
    """What one call may use."""

    seconds: float = 2.0
    """Wall seconds until its process is killed."""
    cpu_seconds: float | None = None
    """Processor seconds, which unlike those on the wall do not depend on what else the machine does; None sets no limit."""
    memory_bytes: int = 1 << 30
    """Address space of a process."""
    start_seconds: float = 60.0
    """Wall seconds a process may take to start, import what it needs, and be set up. No call pays for them."""


@dataclass(frozen=True)
class Outcome:
    """How a call ended: `value` where `status` is "done", otherwise `reason` says what happened."""

    status: Literal["done", "failed", "timeout", "died"]
    value: Any
    reason: str


class Sandbox:
    """A pool of killable child processes that call functions by name.

    Args:
        limits: what one call may use.
        processes: children kept, i.e. calls that run at once.
        modules: modules that are imported once, before processes are forked from the one that has them; they must bear that.
        setup: a function, as `module:function`, and JSON arguments for it. Each process calls it before its first call; where
            it fails, so does every call.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        processes: int = 1,
        modules: Iterable[str] = (),
        setup: tuple[str, list[Any]] | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.modules = tuple(modules)
        self.processes = processes
        self.setup = setup
        self._begin()

    def _begin(self) -> None:
        """Have no child; each is started when it is first needed."""
        self._owner = os.getpid()
        self._idle: SimpleQueue[_Child | None] = SimpleQueue()
        for _ in range(self.processes):
            self._idle.put(None)

    def start(self) -> None:
        """Start the children without waiting for them, so that the first call finds them ready."""
        if self._owner == os.getpid():
            for _ in range(self.processes):
                child = self._idle.get()
                try:
                    child = child or self._child()
                finally:  # also where none can be started: a call tries again
                    self._idle.put(child)

    def _child(self) -> "_Child":
        return _Child(self.limits, self.modules, self.setup)

    def call(self, function: str, *arguments: Any) -> Outcome:
        """The outcome of `module:function` on JSON arguments. Never raises for what happens inside, never blocks for
        longer than the limits (plus the wait for an idle child, where more threads than children call)."""
        if self._owner != os.getpid():  # behind a fork: the children are the parent's
            self._begin()
        child = self._idle.get()
        try:
            if child is None:
                child = self._child()
            outcome = child.call(function, arguments)
        except BaseException:
            if child is not None:
                child.kill()
            self._idle.put(None)
            raise
        if child.closed:
            child = None
        self._idle.put(child)
        return outcome

    def close(self) -> None:
        """Kill every child; waits for calls in flight. A later call starts children anew."""
        if self._owner != os.getpid():
            return
        for child in [self._idle.get() for _ in range(self.processes)]:
            if child is not None:
                child.kill()
            self._idle.put(None)

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Child:
    """One child, the process it has forked to do calls, and the pipes to them."""

    def __init__(self, limits: Limits, modules: tuple[str, ...], setup: tuple[str, list[Any]] | None) -> None:
        self.limits = limits
        self.buffer = bytearray()
        self.calls = 0
        settings = {
            "parent": os.getpid(), "modules": modules, "setup": setup,
            "memory_bytes": limits.memory_bytes, "cpu_seconds": limits.cpu_seconds or 0,
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rewards.sandbox_child", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.replies = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.requests, False)
        self.worker: list[int] = []
        """The process that does the calls, once it is known to be ready."""
        self.kill = weakref.finalize(self, _kill, self.process, os.getpid())
        """Ends both processes; also called when this object is forgotten, and when the interpreter ends."""

    @property
    def closed(self) -> bool:
        return not self.kill.alive

    def call(self, function: str, arguments: tuple[Any, ...]) -> Outcome:
        self.calls += 1
        request = json.dumps([self.calls, function, list(arguments)]).encode() + b"\n"
        started = bool(self.worker)
        try:
            if not started:
                self._await_worker(time.monotonic() + self.limits.start_seconds)
                started = True
            deadline = time.monotonic() + self.limits.seconds
            self._send(request, deadline)
            kind, told = self._reply(deadline)
        except TimeoutError:
            if not started:
                self.kill()
                return Outcome("timeout", None, f"{function} was not there within {self.limits.start_seconds:g} s")
            self._end_worker()
            return Outcome("timeout", None, f"{function} took longer than {self.limits.seconds:g} s")
        except (BrokenPipeError, EOFError):
            self.kill()
            return Outcome("died", None, f"{function} ended its process: exit code {self.process.returncode}")
        except OverflowError as error:
            self.kill()
            return Outcome("failed", None, f"{function} {error}")
        if kind == "ready":  # the process has ended, and there is another
            if os.WTERMSIG(told) == signal.SIGPROF:
                return Outcome("timeout", None, f"{function} took longer than {self.limits.cpu_seconds:g} s of the processor")
            self.kill()  # it may have been killed while it read, and left half a request
            return Outcome("died", None, f"{function} ended its process: it was killed")
        return Outcome("done", told, "") if kind == "done" else Outcome("failed", None, told)

    def _end_worker(self) -> None:
        """Kill the process that does the calls; the child's first one ends what it has started, and forks the next."""
        with contextlib.suppress(ProcessLookupError):  # it may have ended this moment
            os.kill(self.worker.pop(), signal.SIGKILL)

    def _await_worker(self, deadline: float) -> None:
        while not self.worker:
            self._message(deadline)  # a reply that came too late is passed over

    def _send(self, request: bytes, deadline: float) -> None:
        view = memoryview(request)
        while view:
            _await(self.requests, select.POLLOUT, deadline)
            view = view[os.write(self.requests, view[: 1 << 16]) :]

    def _reply(self, deadline: float) -> tuple[str, Any]:
        """What became of the call that was sent last, or of the process that should have done it."""
        while True:
            kind, number, told = self._message(deadline)
            if kind == "ready" or number == self.calls:
                return kind, told

    def _message(self, deadline: float) -> tuple[str, int, Any]:
        """The next message. What is none, such as half a one of a process that was killed while it wrote, is passed over."""
        while True:
            try:
                kind, number, told = json.loads(self._line(deadline))
            except (ValueError, TypeError, RecursionError):
                continue
            if kind == "ready":
                self.worker[:] = [number]
            return kind, number, told

    def _line(self, deadline: float) -> bytes:
        looked = 0
        while (end := self.buffer.find(b"\n", looked)) < 0:
            looked = len(self.buffer)
            _await(self.replies, select.POLLIN, deadline)
            chunk = os.read(self.replies, 1 << 16)
            if not chunk:
                raise EOFError
            self.buffer += chunk
            if len(self.buffer) > LONGEST_REPLY:
                raise OverflowError(f"returned more than {LONGEST_REPLY} bytes")
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 1]
        return line


def _await(descriptor: int, event: int, deadline: float) -> None:
    """Wait until a pipe can be read or written, or has been closed.

    Raises:
        TimeoutError: at the deadline.
    """
    poller = select.poll()  # unlike select(), good for descriptors above 1024
    poller.register(descriptor, event)
    if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError


def _kill(process: "subprocess.Popen[bytes]", owner: int) -> None:
    if os.getpid() != owner:  # a fork has inherited the object, not the child
        return
    process.send_signal(signal.SIGHUP)  # it ends all that descends from it first; SIGTERM may be blocked here, and so there
    process.send_signal(signal.SIGCONT)  # also where it has been stopped
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:  # it imports something that does not return
        with contextlib.suppress(ProcessLookupError):  # not yet waited for, its id is its own
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
