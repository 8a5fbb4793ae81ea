"""What an engine samples, prompt by prompt, while it samples the rest."""

import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from rollout.engine import Listener
from rollout.types import Completion

_END = object()


class Abandoned(Exception):
    """Nobody waits any more for what is sampled."""


class Background(Listener):
    """A context that gives prompts' places and completions as an engine has them.

    It samples in a thread beside, and whoever takes the completions works in the thread that he has been called in: there a
    person's Ctrl-C arrives, and there is what the functions he calls expect. Left early, it lets the engine end at its next
    step, and waits for that: an engine does one thing at a time, and a program does not end well around torch at work.

    Args:
        generate: calls the engine, with the `listener` that it is given.
    """

    def __init__(self, generate: Callable[..., Any]) -> None:
        self._generate = generate
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._abandoned = False
        self._error: BaseException | None = None
        # A second Ctrl-C, while it is waited for, is the end.
        self._thread = threading.Thread(target=self._run, name="sampling", daemon=True)

    def __enter__(self) -> "Background":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._abandoned = True
        self._thread.join()

    def __iter__(self) -> Iterator[tuple[int, list[Completion]]]:
        """
        Raises:
            Exception: that the engine raised.
        """
        while (item := self._done.get()) is not _END:
            yield item
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._generate(listener=self)
        except BaseException as error:  # it is raised where somebody waits
            self._error = error
        self._done.put(_END)

    def take(self, place: int, completions: list[Completion]) -> None:
        self._done.put((place, completions))

    def check(self) -> None:
        if self._abandoned:
            raise Abandoned
