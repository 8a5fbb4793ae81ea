"""Thinking that is cut: a chain stops at so many tokens and is asked for its answer at once.

After s1 (Muennighoff et al., arXiv 2501.19393, section 3.1): where thinking is too long, what ends it and begins an answer is
put behind what has been thought, and the answer is drawn behind that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median_low
from typing import Protocol

import numpy
from numpy.typing import NDArray

from rollout.codec import UNKNOWN
from rollout.pool import Pool
from rollout.types import Completion, Sample, SamplingParams

NOTHING = numpy.zeros(0, numpy.int32)


class Tokens(Protocol):
    """Tokens to text and back, as a `Codec` does."""

    def settled_text(self, prefix: NDArray[numpy.int32], tokens: Sequence[int]) -> str: ...

    def prefixes(self, texts: Sequence[str]) -> list[NDArray[numpy.int32]]: ...


@dataclass(frozen=True)
class Cut:
    """A chain whose thinking has had a budget."""

    sample: Sample
    """The whole chain, scored; where it was cut, what was kept and what asks for the answer are the completion's prefix."""
    tokens: int
    """All that were drawn for it: those kept, and the answer's."""


def cut(
    pool: Pool, samples: Sequence[Sample], params: SamplingParams, seed: int, budget: int, answering: str, codec: Tokens
) -> list[Cut]:
    """Chains that think for `budget` tokens at most. One that answers before, or ends, stays as it is, and so does one of no
    text or with no room left for an answer. Answers take no more tokens than those that the chains have of themselves, so that
    none goes on thinking instead.

    Args:
        samples: chains that nobody has forced, without prefixes.
        params: how answers are drawn; `max_tokens` bounds the whole chain, whatever the budget.
        budget: tokens, at least 1.
        answering: stands between thinking and answer.
        codec: of the model.

    Raises:
        ValueError: for a budget below 1, or where nothing stands before an answer.
    """
    if budget < 1:
        raise ValueError(f"budget={budget} is out of range; choose 1 token or more")
    if not answering.strip():
        raise ValueError(
            "chains have nothing that stands before an answer, so none can be asked for; cut their attempts instead"
        )
    room = answer_length(samples, answering, codec)
    begun, lengths = {}, [0]
    for place, sample in enumerate(samples):
        kept = _kept(sample.completion, budget, answering, codec)
        if kept is not None:
            prefix = join(kept, answering)
            length = len(codec.prefixes([prefix])[0])
            if length < params.max_tokens:
                begun[place] = replace(sample.problem, prefix=prefix)
                lengths.append(length)
    params = replace(params, max_tokens=min(params.max_tokens, max(lengths) + room))
    drawn = pool.sample(list(begun.values()), 1, params, seed) if begun else []
    cuts = [Cut(sample, len(sample.completion.tokens)) for sample in samples]
    for place, sample in zip(begun, drawn, strict=True):
        whole = replace(sample, problem=samples[place].problem)
        cuts[place] = Cut(whole, budget + len(sample.completion.tokens))
    return cuts


def answer_length(samples: Sequence[Sample], answering: str, codec: Tokens) -> int:
    """Tokens, the end token included, of the longest answer among right chains; where none is right, the median of all answers,
    and 1 where there is none."""
    found: dict[bool, list[int]] = {True: [], False: []}
    for sample in samples:
        thinking, mark, answer = sample.completion.text.partition(answering.strip())
        if mark:
            asked = join(thinking, answering) if thinking else answering
            drawn = len(codec.prefixes([asked + answer])[0]) - len(codec.prefixes([asked])[0])
            found[sample.verdict.correct].append(max(drawn, 0) + 1)
    return max(found[True]) if found[True] else median_low(found[False] or [1])


def join(kept: str, answering: str) -> str:
    """Both, with a space between them where none is."""
    spaced = not kept or kept[-1].isspace() or answering[0].isspace()
    return kept + " " * (not spaced) + answering


def _kept(completion: Completion, budget: int, answering: str, codec: Tokens) -> str | None:
    """The thinking that is kept; None where the chain stays as it is."""
    if budget >= len(completion.tokens):
        return None
    kept = codec.settled_text(NOTHING, completion.tokens[:budget].tolist())
    thinking, found, _ = completion.text.partition(answering.strip())
    over = len(kept) >= len(completion.text) or (found and len(kept) > len(thinking))
    return None if over or UNKNOWN in kept else kept
