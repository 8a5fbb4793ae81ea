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


def make_starts(
    codec: Codec, prompts: Sequence[str], prefixes: Sequence[str] | None, max_tokens: int, positions: int | None = None
) -> list[Start]:
    """The start of each of P prompts.

    Raises:
        ValueError: if a prefix leaves nothing of `max_tokens` to be sampled, if a prompt has no token, or with its longest
            chain more than the model's `positions`.
    """
    if prefixes is not None and len(prefixes) != len(prompts):
        raise ValueError(f"{len(prefixes)} prefixes are not one for each of {len(prompts)} prompts")
    parts = zip(codec.prompts(prompts), codec.prefixes(prefixes or [""] * len(prompts)), strict=True)
    starts = [Start(numpy.concatenate([prompt, prefix]), prefix, max_tokens - len(prefix)) for prompt, prefix in parts]
    if any(start.budget < 1 for start in starts):
        raise ValueError(f"a prefix has max_tokens={max_tokens} tokens or more, so nothing is left to be sampled")
    if empty := [place for place, start in enumerate(starts) if not len(start.tokens)]:
        raise ValueError(f"prompt {empty[0]} has no token, so there is nothing to go on from")
    most = max((len(start.tokens) + start.budget for start in starts), default=0)
    if positions is not None and most > positions:
        raise ValueError(f"a prompt and its longest chain have {most} tokens, and the model {positions} positions")
    return starts


def make_completion(
    codec: Codec, start: Start, tokens: numpy.ndarray, logprobs: numpy.ndarray, stop: Sequence[str]
) -> Completion:
    """The chain of sampled tokens (T,), all that were drawn, and their log-probs (T,), cut behind the first text that holds one
    of `stop`."""
    end, drawn = codec.find_end(start.prefix, tokens, stop), len(tokens)
    tokens, logprobs = tokens[:end], logprobs[:end]
    return Completion(
        prompt_tokens=start.tokens,
        tokens=tokens.copy(),
        logprobs=logprobs.copy(),
        text=codec.text_behind(start.prefix, tokens),
        finish="stop" if end is not None or tokens[-1] in codec.stops else "length",
        prefix=codec.text(start.prefix),
        prefix_length=len(start.prefix),
        discarded=drawn - len(tokens),
    )
