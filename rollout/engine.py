"""The narrow seam for inference: whatever can generate and load weights is an engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
import xxhash

from rollout.types import Completion, SamplingParams
from rollout.usage import Usage

Weights = Mapping[str, torch.Tensor]
"""Parameter names of the `transformers` model to tensors; tied tensors appear once."""


class Listener:
    """Who follows a call of an engine; what its methods raise ends the call. This one does not listen."""

    def take(self, place: int, completions: list[Completion]) -> None:
        """Called with each prompt's completions, when the engine has them or later, in no order."""

    def check(self) -> None:
        """Called at every step."""

    def hear(self, token: int) -> bool:
        """Called with each token, before the next is drawn, where one row alone is sampled; whether it goes on."""
        return True


NOBODY = Listener()


class WeightsError(Exception):
    """Published weights do not fit the engine's model, or did not arrive as they were sent."""


@dataclass(frozen=True)
class EngineFactory:
    """Builds an engine where it will run."""

    model: str
    """Folder or hub id."""
    dtype: str = "float32"
    device: str = "cpu"
    max_rows: int = 256
    """Chains decoded at once."""

    def __call__(self) -> "Engine":
        raise NotImplementedError


def list_stops(config: Any) -> list[int]:
    """Ids that end a chain by a config of `transformers`, which has none, one or several."""
    stops = None if config is None else config.eos_token_id
    return [] if stops is None else [stops] if isinstance(stops, int) else list(stops)


@runtime_checkable
class Engine(Protocol):
    """Samples chains from a causal language model."""

    def generate(
        self,
        prompts: Sequence[str],
        n: int,
        params: SamplingParams,
        seed: int,
        prefixes: Sequence[str] | None = None,
        listener: Listener = NOBODY,
    ) -> list[list[Completion]]:
        """`n` completions for each of P prompts, as a list of P lists. Each goes on from its prompt's prefix where there are
        P `prefixes`; the empty one is none. The `listener` follows the call.

        Every sample has its own random stream, a function of `seed` and its place alone: the same call gives the same
        chains on any machine of a kind.

        Raises:
            ValueError: if a prefix leaves no token of `params.max_tokens` to be sampled.
        """
        ...

    def load_weights(self, weights: Weights) -> int:
        """Replace the model's weights; returns the `checksum` of what is now loaded. A `Parcel` whose memory is `shared` may be
        kept as it is, others are copied."""
        ...

    def drain_usage(self) -> Usage:
        """What generating took since the last call."""
        ...


@runtime_checkable
class StreamingEngine(Engine, Protocol):
    """One that can be watched."""

    def stream(
        self,
        prompt: str,
        params: SamplingParams,
        seed: int,
        tell: Callable[[str], None],
        prefix: str = "",
        sample: int = 0,
    ) -> Completion:
        """The completion of that number, `sample`, among those that `generate` draws for this prompt alone. `tell` is called
        with pieces of its text, each as soon as its tokens are drawn; they join to the chain, the prefix first.

        Raises:
            ValueError: as `generate`.
        """
        ...


def checksum(weights: Weights) -> int:
    """A 64-bit XXH3 over names, shapes and bytes, in order of names: equal before and after a transfer, or it failed. It takes
    as long as reading the memory; a CRC takes ten times that."""
    value = xxhash.xxh3_64()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        value.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        value.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return value.intdigest()


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
