"""What signals ask for: the first Ctrl-C that work ends at a good place, the second that it ends at once; SIGTERM, as
schedulers send it, that it ends at a good place that is near, within the seconds that they grant."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TypeVar

from reft.errors import LostProcessError

T = TypeVar("T")


class Terminated(KeyboardInterrupt):
    """SIGTERM has come, and what could be saved is."""


def ignore_termination(number: int, frame: FrameType | None) -> None:
    """A handler for SIGTERM where the program ends already: a second one must not disturb that. Not SIG_IGN, which programs
    that are started would inherit."""


class StopRequest:
    """While the context lasts, SIGINT and SIGTERM set `requested`. A second SIGINT raises KeyboardInterrupt; a second SIGTERM
    changes nothing, since what runs under a scheduler may get it from several sides.

    Use it in the main thread only, around work that looks at `requested`.

    Args:
        announce: called at the first signal with its name, to tell the person.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self.announce = announce
        self.requested = False
        self.terminated = False
        """Whether SIGTERM was among the signals."""
        self._abandonable = self._abandoned = False

    def __enter__(self) -> "StopRequest":
        self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            ending = number == signal.SIGTERM and self.terminated
            signal.signal(number, ignore_termination if ending else handler)
        if self.requested and isinstance(error, LostProcessError):
            raise self.interruption() from error  # it is not taken up again

    def interruption(self) -> KeyboardInterrupt:
        """What to raise where work has ended because of the signals."""
        return Terminated() if self.terminated else KeyboardInterrupt()

    def attempt(self, work: Callable[[], T]) -> T | None:
        """Do work that can be done again; None if SIGTERM ended it, or came before."""
        try:
            return self._attempt(work)
        except KeyboardInterrupt:  # Ray turns whatever a handler raises into this
            if not self._abandoned:
                raise
            return None

    def _attempt(self, work: Callable[[], T]) -> T | None:
        self._abandonable = True
        try:
            return None if self.terminated else work()
        finally:
            self._abandonable = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first, self.requested = not self.requested, True
        if first:
            self.announce(signal.Signals(number).name)
        if number == signal.SIGTERM:
            self.terminated = True
            if self._abandonable and not self._abandoned:
                self._abandoned = True
                raise KeyboardInterrupt
        elif not first:
            self._abandoned = False
            raise KeyboardInterrupt


@contextmanager
def termination_named() -> Iterator[None]:
    """While the context lasts, SIGTERM ends the program as Ctrl-C does, tidily, but as `Terminated`; others that come behind it
    are ignored. Use it in the main thread only."""
    came = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.signal(signal.SIGTERM, ignore_termination)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    except KeyboardInterrupt as error:
        if came:
            raise Terminated from error
        raise
    finally:
        if not came and signal.getsignal(signal.SIGTERM) is not ignore_termination:
            signal.signal(signal.SIGTERM, before)
