"""The inside of a sandbox: `python -m rewards.sandbox_child SETTINGS`, the settings as one JSON object.

Two processes. The first imports what calls need, then only watches. The second, the worker, forked from it, does the calls; the
kernel ends it where a call uses too much processor time, the parent where it takes too long, and the first forks the next,
which has everything imported in milliseconds. Both end when the parent does, however that ends.

What a worker starts ends with it, also what has a session of its own (`setsid`) and whose starters are gone: the kernel hands
such orphans to the first process (it is a "child subreaper", prctl(2)), which ends all that descend from it when a worker ends,
and when it ends itself. Until then, what a call leaves behind lives on beside the calls after it. Only where somebody kills
the first process itself, which root and its own user may, is the worker all that ends with it.

Reads `[number, function, arguments]` a line. Answers a line each: `["done", number, value]`, `["failed", number, reason]`, and,
whenever a process has been forked, `["ready", its id, the wait status of the one before]`.
"""

import ctypes
import importlib
import json
import os
import resource
import select
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

WATCH_SECONDS = 1.0
"""Between looks at whether the parent is alive, where its end of a pipe is held open by a fork of it."""
LONGEST_REASON = 300
"""Characters of an exception that are told."""
STOPS = (signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main() -> None:
    settings = json.loads(sys.argv[1])
    requests, replies = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)  # what a function prints must not be read as a reply
    for number in STOPS:
        signal.signal(number, _stop)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a parent may have it ignored, and then no end could be waited for
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        for module in settings["modules"]:
            importlib.import_module(module)
        sys.exit(_watch(settings, requests, replies))
    finally:
        for number in STOPS:
            signal.signal(number, signal.SIG_IGN)
        _end_descendants()


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3):
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def _watch(settings: Mapping[str, Any], requests: int, replies: int) -> int:
    """Have a worker at work until the parent ends, or a worker does so of itself; the exit code."""
    watcher, status = os.getpid(), 0
    while os.getppid() == settings["parent"]:
        worker = os.fork()
        if not worker:
            try:
                _work(settings, watcher, requests, replies, status)
            finally:
                os._exit(1)  # whatever was raised: only the first process goes on from here
        ended = _await_end(worker, requests, settings["parent"])
        if ended is None:
            break
        status = ended
        _end_descendants()
        if os.WIFEXITED(status) or os.WTERMSIG(status) not in (signal.SIGKILL, signal.SIGPROF):
            return os.waitstatus_to_exitcode(status) & 0xFF  # of itself: the parent hears of it, and starts anew
        _discard(requests)
    return 0


def _await_end(worker: int, requests: int, parent: int) -> int | None:
    """Wait for the end of the worker; its wait status, or None where the parent's end comes first."""
    descriptor = os.pidfd_open(worker)  # of the process itself: unlike a pipe, nothing that it starts can hold it open
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    poller.register(requests, 0)  # only for its end
    try:
        while os.getppid() == parent:
            ended = [ready for ready, _ in poller.poll(WATCH_SECONDS * 1000)]
            while (found := os.waitpid(-1, os.WNOHANG))[0]:  # orphans come here too when they end
                if found[0] == worker:
                    return found[1]
            if requests in ended:  # at once, where no fork holds it open
                return None
        return None
    finally:
        os.close(descriptor)


def _end_descendants() -> None:
    """Kill all children, and theirs, which are children of this process once their own parents are gone."""
    while children := _children():
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)


def _children() -> list[int]:
    return [int(child) for file in Path("/proc/self/task").glob("*/children") for child in file.read_text().split()]


def _discard(requests: int) -> None:
    """Read away what a killed worker has left of its request."""
    poller = select.poll()
    poller.register(requests, select.POLLIN)
    while poller.poll(0) and os.read(requests, 1 << 20):
        pass


def _work(settings: Mapping[str, Any], watcher: int, requests: int, replies: int, status: int) -> None:
    """Answer requests until there are no more, and end."""
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # of what a call starts, `terminate` must be felt
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # when the watcher ends, by whatever
    if os.getppid() != watcher:
        return
    os.setpgid(0, 0)  # what signals its own group does not reach the watcher
    broken = ""
    if settings["setup"]:
        try:
            _call(*settings["setup"])
        except BaseException as error:  # told by every call
            broken = _described(error)
    resource.setrlimit(resource.RLIMIT_AS, (settings["memory_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _write(replies, b"\n" + _line(["ready", os.getpid(), status]))  # behind what the one before left unfinished
    for line in _lines(requests):
        number, function, arguments = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, settings["cpu_seconds"])
        reply = _line(["failed", number, broken]) if broken else _answer(number, function, arguments)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _write(replies, reply)


def _lines(descriptor: int) -> Iterator[bytes]:
    """Lines of a pipe up to its end."""
    pieces: list[bytes] = []
    while chunk := os.read(descriptor, 1 << 20):
        pieces.append(chunk)
        if chunk.endswith(b"\n"):  # there is one request at a time
            yield b"".join(pieces)
            pieces = []


def _answer(number: int, function: str, arguments: list[Any]) -> bytes:
    try:
        return _line(["done", number, _call(function, arguments)])
    except BaseException as error:  # the boundary: whatever is raised inside, SystemExit too, is data outside
        return _line(["failed", number, _described(error)])


def _call(name: str, arguments: list[Any]) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)(*arguments)


def _described(error: BaseException) -> str:
    """An exception in one line; its own `str` may raise, too."""
    return " ".join("".join(traceback.format_exception_only(error)).split())[:LONGEST_REASON]


def _line(message: list[Any]) -> bytes:
    return json.dumps(message, default=_plain).encode() + b"\n"


def _plain(value: Any) -> Any:
    """Numbers of other libraries as Python's."""
    return value.tolist() if hasattr(value, "tolist") else repr(value)


def _write(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]


if __name__ == "__main__":
    main()
