"""What a thread computes with: mpmath at a precision of its own, and the time that it may take.

The precision of `mpmath` itself belongs to the whole process. A context apart for each thread needs no lock, and leaves alone
what others of the process compute (https://mpmath.org/doc/current/contexts.html).
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mpmath import MPContext

Real = Any
"""A real number of the thread's context: its `mpf`."""
Complex = Any
"""A real or complex one: its `mpf` or `mpc`."""


STEPS = 16
"""Between looks at the clock, which take longer than most steps."""


class TooLong(Exception):
    """The time that the thread may take is over."""


class _Arithmetic(threading.local):
    """A thread's context, under the names that `mpmath` has, and its deadline."""

    def __init__(self) -> None:
        self.context = MPContext()
        self.deadline = math.inf
        self.steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.context, name)


mp = _Arithmetic()
"""The calling thread's context. Its numbers stay in the thread."""


def is_real(value: Complex | None) -> bool:
    """Whether a number is none of the complex ones."""
    return hasattr(value, "_mpf_")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """While the context lasts, `tick` raises once this thread has used so many seconds of the processor; what other threads and
    processes do does not count."""
    mp.deadline = time.thread_time() + seconds
    try:
        yield
    finally:
        mp.deadline = math.inf


def tick() -> None:
    """Go on, unless time is over. Called at every step that takes a bounded time.

    Raises:
        TooLong: where it is.
    """
    mp.steps += 1
    if mp.steps % STEPS == 0 and time.thread_time() > mp.deadline:
        raise TooLong
