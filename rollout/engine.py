"""The narrow seam for inference: whatever can generate and load weights is an engine."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from rollout.types import Completion, SamplingParams
from rollout.usage import Usage

Weights = Mapping[str, torch.Tensor]
"""Parameter names of the `transformers` model to tensors; tied tensors appear once."""


class WeightsError(Exception):
    """Published weights do not fit the engine's model, or did not arrive as they were sent."""


@runtime_checkable
class Engine(Protocol):
    """Samples chains from a causal language model."""

    def generate(
        self, prompts: Sequence[str], n: int, params: SamplingParams, seed: int, prefixes: Sequence[str] | None = None
    ) -> list[list[Completion]]:
        """`n` completions for each of P prompts, as a list of P lists. Each goes on from its prompt's prefix where there are
        P `prefixes`; the empty one is none.

        Every sample has its own random stream, a function of `seed` and its place alone: the same call gives the same
        chains on any machine of a kind.

        Raises:
            ValueError: if a prefix leaves no token of `params.max_tokens` to be sampled.
        """
        ...

    def load_weights(self, weights: Weights) -> int:
        """Replace the model's weights; returns the `checksum` of what is now loaded."""
        ...

    def drain_usage(self) -> Usage:
        """What generating took since the last call."""
        ...


def checksum(weights: Weights) -> int:
    """A 32-bit CRC over names, shapes and bytes, in order of names: equal before and after a transfer, or it failed."""
    value = 0
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        value = zlib.crc32(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode(), value)
        value = zlib.crc32(tensor.view(-1).view(torch.uint8).numpy().data, value)
    return value


def untied(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """`state` without second names of the same tensor (tied embeddings), in order."""
    seen: set[tuple[int, tuple[int, ...]]] = set()
    kept: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        key = (tensor.data_ptr(), tuple(tensor.shape))
        if key not in seen or tensor.numel() == 0:
            kept[name] = tensor
        seen.add(key)
    return kept
