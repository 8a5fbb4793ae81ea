"""What a model of vLLM's has loaded, compared with what it was sent.

vLLM joins projections that read the same input into one weight, divides weights over processes, pads vocabularies, and on a
CPU repacks weights and keeps no other copy. So nothing can be summed up as it was sent: each weight that was sent is looked
for where it must have gone, to the last bit (a zero's sign apart).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

Packing = Mapping[str, list[str]]
"""Last names of joined modules to those of the modules that they are made of, in order (vLLM's `packed_modules_mapping`)."""


@dataclass(frozen=True, eq=False)
class Piece:
    """What this process holds of a weight."""

    name: str
    """As `transformers` names it."""
    tensor: torch.Tensor
    first: int | None = None
    """Row of the whole that it begins with, where that does not follow from its size."""


def find_faults(model: Any, weights: Mapping[str, torch.Tensor], rank: int, ranks: int) -> list[str]:
    """What is wrong with each weight that is not loaded as it was sent, this process being one of `ranks` that share them."""
    loaded: dict[str, bool] = {}
    for piece in pieces(model):
        sent = weights.get(piece.name)
        right = sent is not None and any(
            torch.equal(piece.tensor.to(sent.dtype), share.to(piece.tensor.device))
            for share in _shares(sent, piece, rank, ranks)
        )
        loaded[piece.name] = loaded.get(piece.name, True) and right
    odd = [f"{name} is on one side only" for name in sorted(loaded.keys() ^ weights.keys())]
    return odd or [f"{name} is not what was sent" for name, right in loaded.items() if not right]


def pieces(model: Any) -> Iterator[Piece]:
    """All that a model computes with. A tied weight has its first name, and comes as often as it is held in another form."""
    packing: Packing = getattr(model, "packed_modules_mapping", {})
    paths: dict[int, str] = {}
    for own, module in model.named_modules():
        for kind, parameter in module.named_parameters(recurse=False):
            path = paths.setdefault(id(parameter), own)
            if kind == "weight" and "cpu_linear" in vars(module):
                yield from _split(path, kind, module, _unpacked(module, parameter), packing)
            if parameter.numel() and path == own:
                yield from _split(path, kind, module, parameter.data, packing)


def _unpacked(module: Any, parameter: torch.Tensor) -> torch.Tensor:
    """The weight (out, in) of a layer that has it in a form of its own: what it makes of the unit vectors, which is exact."""
    width = parameter.shape[1] if parameter.numel() else module.input_size_per_partition
    unpacked: torch.Tensor = module.cpu_linear(torch.eye(width, dtype=parameter.dtype), parameter, None).T
    return unpacked


def _split(path: str, kind: str, module: Any, tensor: torch.Tensor, packing: Packing) -> Iterator[Piece]:
    """The parts of a joined weight or bias; of any other, the whole, without what pads a vocabulary."""
    parent, dot, last = path.rpartition(".")
    if len(parts := packing.get(last, [])) > 1:
        split = zip(parts, tensor.split(module.output_partition_sizes), strict=True)
        yield from (Piece(f"{parent}{dot}{part}.{kind}", piece) for part, piece in split)
    elif "shard_indices" in vars(module):
        indices = module.shard_indices
        yield Piece(f"{path}.{kind}", tensor[: indices.num_org_elements], indices.org_vocab_start_index)
    else:
        yield Piece(f"{path}.{kind}", tensor)


def _shares(sent: torch.Tensor, piece: Piece, rank: int, ranks: int) -> Iterator[torch.Tensor]:
    """What a process may hold of a weight: its share, or its share of the transpose, since GPT-2's are (in, out)."""
    for whole in [sent, sent.T] if sent.ndim == 2 else [sent]:
        share = whole
        for dim, size in enumerate(piece.tensor.shape):
            if dim == 0 and piece.first is not None:
                share = share[piece.first : piece.first + size]
            elif dim < share.ndim and share.shape[dim] > size:
                shares = share.shape[dim] // size  # where they are fewer than processes, some of these hold the same
                share = share.narrow(dim, rank * shares // ranks * size, size)
        if share.shape == piece.tensor.shape:
            yield share
