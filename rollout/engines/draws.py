"""Which token comes next: each sample draws one uniform number a token from a stream of its own and inverts the cumulative
distribution, so a chain does not depend on its neighbours in the batch."""

import hashlib
from collections.abc import Sequence

import torch

from rollout.types import SamplingParams


def stream_seed(seed: int, place: int, sample: int) -> int:
    """The seed of one sample's stream: of what is drawn for a prompt, by its place and the sample's number."""
    digest = hashlib.blake2b(f"{seed}/{place}/{sample}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def uniforms(seeds: Sequence[int], count: int) -> torch.Tensor:
    """Uniform numbers in [0, 1), float64 (B, T), row by row from that row's own stream. Torch's generator looks at 32 bits of a
    seed: of half a million rows, some thirty share theirs with another prompt's."""
    generator = torch.Generator()
    return torch.stack([torch.rand(count, generator=generator.manual_seed(seed), dtype=torch.float64) for seed in seeds])


def choose(logits: torch.Tensor, params: SamplingParams, uniform: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """The chosen tokens (B,) and their log-probs (B,), from float32 logits (B, V) and uniform numbers (B,); without those,
    the most likely ones."""
    if uniform is None:
        chosen = logits.argmax(-1)
        distribution = logits.log_softmax(-1)
    else:
        distribution = truncate(logits / params.temperature, params).log_softmax(-1)
        mass = distribution.exp().double().cumsum(-1)
        # The first token whose cumulative mass exceeds u: it has positive probability by construction.
        chosen = (mass <= uniform[:, None] * mass[:, -1:]).sum(-1)
    return chosen, distribution.gather(-1, chosen[:, None]).squeeze(-1)


def forbid_end(logits: torch.Tensor, stops: torch.Tensor, early: torch.Tensor | bool) -> torch.Tensor:
    """Logits (B, V) with minus infinity for tokens that end a chain (S,), in rows (B,) for which it is too `early`."""
    drawable = stops[stops < logits.shape[-1]]  # a tokenizer may have more than the model can draw
    ends = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device).index_fill(0, drawable, True)
    rows = torch.as_tensor(early, device=logits.device).reshape(-1, 1)
    return logits.masked_fill(rows & ends, -torch.inf)


def truncate(logits: torch.Tensor, params: SamplingParams) -> torch.Tensor:
    """Logits (B, V) with minus infinity for what is not to be drawn; the likeliest token always is."""
    if params.top_k > 0:
        least = logits.topk(min(params.top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if params.top_p < 1:
        ordered, places = logits.sort(descending=True, stable=True)
        share = ordered.softmax(-1)
        before = share.cumsum(-1) - share  # of all that are likelier
        cut = (before >= params.top_p).scatter(-1, places, before >= params.top_p)
        logits = logits.masked_fill(cut, -torch.inf)
    if params.min_p > 0:
        share = logits.softmax(-1)
        logits = logits.masked_fill(share < params.min_p * share.amax(-1, keepdim=True), -torch.inf)
    return logits
