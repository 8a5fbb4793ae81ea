"""The inside of a sandbox: `python -m rewards.sandbox_child SETTINGS`, the settings as one JSON object.

Two processes. The first imports what calls need, then only watches. The second, forked from it, does the calls; the kernel
ends it where a call uses too much processor time, the parent where it takes too long, and the first forks the next, which has
everything imported in milliseconds. Both end when the parent does, however that ends.

Reads `[function, arguments]` a line. Answers a line each: `["done", value]`, `["failed", reason]`, and, whenever a process has
been forked, `["ready", its id, the wait status of the one before]`.
"""

import contextlib
import importlib
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

WATCH_SECONDS = 1.0
"""Between looks at whether the parent is alive, where its end of a pipe is held open by a fork of it."""


def main() -> None:
    settings = json.loads(sys.argv[1])
    requests, replies = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)  # what a function prints must not be read as a reply
    signal.signal(signal.SIGTERM, _stop)
    for module in settings["modules"]:
        importlib.import_module(module)
    watcher, status = os.getpid(), 0
    while os.getppid() == settings["parent"]:
        watched, held = os.pipe()  # closed by the kernel when the worker ends
        worker = os.fork()
        if not worker:
            os.close(watched)
            _work(settings, watcher, requests, replies, status)
            os._exit(0)
        os.close(held)
        try:
            ended = _has_ended(watched, requests, settings["parent"])
        except SystemExit:
            ended = False
        if not ended:
            _end(worker)
            return
        os.close(watched)
        _, status = os.waitpid(worker, 0)
        if os.WIFEXITED(status) or os.WTERMSIG(status) not in (signal.SIGKILL, signal.SIGPROF):
            sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)  # of itself: the parent hears of it, and starts anew


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _end(worker: int) -> None:
    for kill in (os.killpg, os.kill):  # it may not have a group of its own yet
        with contextlib.suppress(ProcessLookupError):
            kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)


def _has_ended(worker: int, requests: int, parent: int) -> bool:
    """Wait for the end of the worker, whose pipe is given; False where the parent's comes first."""
    poller = select.poll()
    for descriptor in (worker, requests):
        poller.register(descriptor, 0)  # only for its end
    while os.getppid() == parent:
        ended = [descriptor for descriptor, _ in poller.poll(WATCH_SECONDS * 1000)]
        if worker in ended:
            return True
        if requests in ended:  # at once, where no fork holds it open
            return False
    return False


def _work(settings: Mapping[str, Any], watcher: int, requests: int, replies: int, status: int) -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setpgid(0, 0)  # so that it is killed with what it starts, and the watcher is not
    broken = ""
    if settings["setup"]:
        kind, reason = _call(*settings["setup"])
        broken = reason if kind == "failed" else ""
    resource.setrlimit(resource.RLIMIT_AS, (settings["memory_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _write(replies, b"\n" + _line(["ready", os.getpid(), status]))  # behind what the one before left unfinished
    for line in _lines(requests, watcher):
        signal.setitimer(signal.ITIMER_PROF, settings["cpu_seconds"])
        reply = ["failed", broken] if broken else _call(*json.loads(line))
        signal.setitimer(signal.ITIMER_PROF, 0)
        _write(replies, _line(reply))


def _lines(descriptor: int, watcher: int) -> Iterator[bytes]:
    """Lines of a pipe up to its end, or to that of the watcher."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    pieces: list[bytes] = []
    while os.getppid() == watcher:
        if not poller.poll(WATCH_SECONDS * 1000):
            continue
        chunk = os.read(descriptor, 1 << 20)
        if not chunk:
            return
        pieces.append(chunk)
        if chunk.endswith(b"\n"):  # there is one request at a time
            yield b"".join(pieces)
            pieces = []


def _call(name: str, arguments: list[Any]) -> list[Any]:
    module, _, function = name.partition(":")
    try:
        return ["done", getattr(importlib.import_module(module), function)(*arguments)]
    except Exception as error:  # the boundary: whatever failed inside is data outside
        return ["failed", f"{type(error).__name__}: {str(error)[:200]}"]


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
