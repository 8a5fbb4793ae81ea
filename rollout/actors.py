"""What Ray says of actors that fail, and what they say of themselves."""

from collections.abc import Sequence
from typing import Any

import ray

from rollout.exits import explain_exit

ASKED_SECONDS = 5.0
"""For a process that hangs to say where."""
WATCH = {"watch": 1}
"""Concurrency groups of an actor that can be asked while it works: one more thread, for that alone."""


def cause_of(error: Any) -> BaseException:
    """What an actor raised, from the error that Ray raises for it."""
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
