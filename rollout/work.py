"""What a model has to compute for chains: tokens that are put in, and keys that they see. Operations follow from both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy

from rollout.types import Completion


@dataclass(frozen=True)
class Work:
    """Tokens that are put into a model, and keys that they see, summed over layers' one head: what operations depend on."""

    tokens: float
    pairs: float

    def __add__(self, other: "Work") -> "Work":
        return Work(self.tokens + other.tokens, self.pairs + other.pairs)

    def __mul__(self, times: float) -> "Work":
        return Work(self.tokens * times, self.pairs * times)


NOTHING = Work(0, 0)


def work_of_text(tokens: int, context: int = 0) -> Work:
    """Of so many tokens behind a context that has been computed; each sees itself and all before it."""
    return Work(tokens, tokens * context + tokens * (tokens + 1) // 2)


def work_of_chain(context: int, tokens: int) -> Work:
    """Of sampling so many tokens, at least one, behind a context that has been computed. The last is not put in."""
    return work_of_text(tokens - 1, context)


def work_of_sampling(completions: Iterable[Completion]) -> Work:
    """Of sampling these, what was drawn behind their ends included; equal prompts are computed once."""
    total = NOTHING
    prompts = set()
    for completion in completions:
        context = len(completion.prompt_tokens)
        prompt = completion.prompt_tokens.tobytes()
        if prompt not in prompts:
            prompts.add(prompt)
            total += work_of_text(context)
        total += work_of_chain(context, completion.drawn)
    return total


def work_of_going_on(parts: Sequence[Completion]) -> Work:
    """Of sampling a chain in parts, each behind the one before, by who keeps what has been computed: of what a part begins
    with, only what is not as the part before had it is computed anew, and what was drawn behind the end of a part besides."""
    total, known = NOTHING, numpy.empty(0, numpy.int32)
    for part in parts:
        begun = part.prompt_tokens
        both = min(len(known), len(begun))
        other = numpy.flatnonzero(known[:both] != begun[:both])
        kept = int(other[0]) if len(other) else both
        total += work_of_text(len(begun) - kept, kept) + work_of_chain(len(begun), part.drawn)
        known = numpy.concatenate([begun, part.tokens[:-1]])
    return total
