"""Where chains begin and what becomes of sampled tokens: the same for every engine that samples from a model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from rollout.codec import Codec
from rollout.types import Completion


@dataclass(frozen=True, eq=False)
class Start:
    """Where rows begin: the tokens of prompt and prefix, those of the prefix, and how many may follow."""

    tokens: numpy.ndarray
    prefix: numpy.ndarray
    budget: int


def make_starts(codec: Codec, prompts: Sequence[str], prefixes: Sequence[str] | None, max_tokens: int) -> list[Start]:
    """The start of each of P prompts.

    Raises:
        ValueError: if a prefix leaves nothing of `max_tokens` to be sampled.
    """
    parts = zip(codec.prompts(prompts), codec.prefixes(prefixes or [""] * len(prompts)), strict=True)
    starts = [Start(numpy.concatenate([prompt, prefix]), prefix, max_tokens - len(prefix)) for prompt, prefix in parts]
    if any(start.budget < 1 for start in starts):
        raise ValueError(f"a prefix has max_tokens={max_tokens} tokens or more, so nothing is left to be sampled")
    return starts


def make_completion(
    codec: Codec, start: Start, tokens: numpy.ndarray, logprobs: numpy.ndarray, stop: Sequence[str]
) -> Completion:
    """The chain of sampled tokens (T,) and their log-probs (T,), cut behind the first text that holds one of `stop`."""
    end = codec.find_end(start.prefix, tokens, stop)
    tokens, logprobs = tokens[:end], logprobs[:end]
    return Completion(
        prompt_tokens=start.tokens,
        tokens=tokens.copy(),
        logprobs=logprobs.copy(),
        text=codec.text_behind(start.prefix, tokens),
        finish="stop" if end is not None or tokens[-1] in codec.stops else "length",
        prefix=codec.text(start.prefix),
        prefix_length=len(start.prefix),
    )
