"""What Ray says of actors that fail, and what they say of themselves."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import ray

from rollout.exits import explain_exit
from rollout.pool import RolloutError

ASKED_SECONDS = 5.0
"""For a process that hangs to say where."""
WATCH = {"watch": 1}
"""Concurrency groups of an actor that can be asked while it works: one more thread, for that alone."""


def cause_of(error: Any) -> BaseException:
    """What an actor raised, from the error that Ray raises for it."""
    if isinstance(error.cause, ray.exceptions.TaskCancelledError):  # nobody waits for what was cancelled
        return RolloutError("code in an actor raised KeyboardInterrupt")
    return error.cause if isinstance(error.cause, Exception) else error


def ask_whereabouts(actors: Sequence[Any]) -> list[str]:
    """What each of the actors is doing, by its method `stack`, as far as it can still say."""
    asked = [actor.stack.options(concurrency_group="watch").remote() for actor in actors]
    answered, _ = ray.wait(asked, num_returns=len(asked), timeout=ASKED_SECONDS)
    told = []
    for reference in asked:
        try:
            told.append(ray.get(reference) if reference in answered else "does not say what it does")
        except ray.exceptions.RayError as error:
            told.append(explain_exit(error))
    return told


def check_nodes() -> None:
    """To be asked where a wait takes long: Ray itself would wait for new nodes.

    Raises:
        RolloutError: if no node of the cluster is left.
    """
    if not any(node["Alive"] for node in ray.nodes()):
        raise RolloutError(
            "no node of the Ray cluster is left: its raylet has ended, or the agent beside it has; "
            "the same command goes on from the last checkpoint"
        )


class Pulse:
    """Whether actors answer while they are at work. One whose process is stopped, or whose interpreter a library never lets
    go, does not, and Ray takes it for alive.

    They need a method `beat`, to be called in the group "watch". An actor counts from its first answer on, to this or, by
    `note`, to anything: while it is set up it has none.

    Args:
        seconds: how long one may be silent.
    """

    BEATS = 4
    """Looks in a row that find no answer. Time alone would not do: this process may have been stopped itself."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.interval = seconds / self.BEATS
        """Seconds between two looks; a wait should be no longer."""
        self._asked: dict[Any, Any] = {}
        self._missed: dict[Any, int] = {}
        """How many looks in a row an actor's answer was missing; none here before its first answer."""
        self._looked = -float("inf")

    def patience(self, left: float) -> float:
        """Seconds to wait for something, of the `left` ones that are granted: until the next look at most."""
        return max(min(left, self.interval), 0.0)

    def note(self, actor: Any) -> None:
        """An actor has answered something: it has been set up."""
        self._missed[actor] = 0

    def find_silent(self, actors: Iterable[Any]) -> list[Any]:
        """Those that have been silent for too long; to be called over and over, with all that there are: others are
        forgotten."""
        now = time.monotonic()
        if now - self._looked < self.interval:
            return []
        self._looked = now
        asked = {actor: self._asked[actor] if actor in self._asked else _ask(actor) for actor in actors}
        answered, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=0) if asked else ([], [])
        missed = {}
        for actor, reference in asked.items():
            if reference in answered:  # or dead, which whoever waits for its work is told
                missed[actor], asked[actor] = 0, _ask(actor)
            elif actor in self._missed:
                missed[actor] = self._missed[actor] + 1
        self._asked, self._missed = asked, missed
        return [actor for actor, looks in missed.items() if looks >= self.BEATS]


def _ask(actor: Any) -> Any:
    return actor.beat.options(concurrency_group="watch").remote()
