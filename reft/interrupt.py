"""Ctrl-C in two grades: the first asks the loop to end after its step, the second stops at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType


class StopRequest:
    """While the context lasts, SIGINT and SIGTERM set `requested`; a second signal raises KeyboardInterrupt.

    Use it in the main thread only, around work that looks at `requested`.

    Args:
        announce: called at the first signal, to tell the person.
    """

    def __init__(self, announce: Callable[[], None]) -> None:
        self.announce = announce
        self.requested = False

    def __enter__(self) -> "StopRequest":
        self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self.announce()


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """While the context lasts, SIGTERM ends the program as Ctrl-C does, tidily. Use it in the main thread only."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
