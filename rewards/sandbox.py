"""Processes that can be killed, for work that can hang, blow up or lie.

A `Sandbox` keeps a few child processes, each running `rewards.sandbox_child`. A call is one line of JSON down a pipe and
one line back; no code, pickle or file crosses. A child that misses its deadline, exceeds its memory or dies is killed
with its whole process group and replaced at the next call. The parent uses no signals, so any thread may call.

What it does not do: it limits time and memory, not the file system or the network. Only functions of this project run
inside, on data; it is no place for a model's programs.
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


@dataclass(frozen=True)
class Limits:
    """What one call may use."""

    seconds: float = 2.0
    """Wall seconds until the child is killed."""
    memory_bytes: int = 1 << 30
    """Address space of a child."""
    start_seconds: float = 60.0
    """Wall seconds a child may take to start and import what it needs."""


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
        modules: modules that a child imports before its first call, so that no call pays for them.
    """

    def __init__(self, limits: Limits | None = None, processes: int = 1, modules: Iterable[str] = ()) -> None:
        self.limits = limits or Limits()
        self.modules = tuple(modules)
        self.processes = processes
        self._begin()

    def _begin(self) -> None:
        """Have no child; each is started when it is first needed."""
        self._owner = os.getpid()
        self._idle: SimpleQueue[_Child | None] = SimpleQueue()
        for _ in range(self.processes):
            self._idle.put(None)

    def call(self, function: str, *arguments: Any) -> Outcome:
        """The outcome of `module:function` on JSON arguments. Never raises for what happens inside, never blocks for
        longer than the limits (plus the wait for an idle child, where more threads than children call)."""
        if self._owner != os.getpid():  # behind a fork: the children are the parent's
            self._begin()
        child = self._idle.get()
        try:
            if child is None:
                child = _Child(self.limits, self.modules)
            outcome = child.call(function, arguments)
        except BaseException:
            if child is not None:
                child.kill()
            self._idle.put(None)
            raise
        if outcome.status in ("timeout", "died"):
            child.kill()
            child = None
        self._idle.put(child)
        return outcome

    def close(self) -> None:
        """Kill every child; waits for calls in flight. A later call starts children anew."""
        for child in [self._idle.get() for _ in range(self.processes)]:
            if child is not None:
                child.kill()
            self._idle.put(None)

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Child:
    """One child process and the pipe to it."""

    def __init__(self, limits: Limits, modules: tuple[str, ...]) -> None:
        self.limits = limits
        self.started = False
        self.buffer = b""
        arguments = [str(limits.memory_bytes), str(max(1, round(limits.seconds))), *modules]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rewards.sandbox_child", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        self.kill = weakref.finalize(self, _kill, self.process, os.getpid())
        """Ends the process group; also called when this object is forgotten, and when the interpreter ends."""

    def call(self, function: str, arguments: tuple[Any, ...]) -> Outcome:
        request = json.dumps([function, list(arguments)]).encode() + b"\n"
        deadline = time.monotonic() + self.limits.seconds + (0 if self.started else self.limits.start_seconds)
        try:
            if not self.started:
                self._read_line(deadline)  # the child says when its imports are done
                self.started = True
                deadline = time.monotonic() + self.limits.seconds
            assert self.process.stdin is not None
            self.process.stdin.write(request)
            self.process.stdin.flush()
            status, value = json.loads(self._read_line(deadline))
        except TimeoutError:
            return Outcome("timeout", None, f"{function} took longer than {self.limits.seconds:g} s")
        except (BrokenPipeError, EOFError):
            self.kill()
            return Outcome("died", None, f"{function} ended its process: exit code {self.process.returncode}")
        return Outcome("done", value, "") if status == "done" else Outcome("failed", None, value)

    def _read_line(self, deadline: float) -> bytes:
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        poller = select.poll()  # unlike select(), good for descriptors above 1024
        poller.register(descriptor, select.POLLIN | select.POLLHUP)
        while b"\n" not in self.buffer:
            if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                raise EOFError
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line


def _kill(process: "subprocess.Popen[bytes]", owner: int) -> None:
    if os.getpid() != owner:  # a fork has inherited the object, not the child
        return
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # a request may still stand in the buffer of a dead child's pipe
                pipe.close()
