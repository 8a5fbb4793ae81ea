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


def find_strangers(model: Any, weights: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of weights that are on one side only, in the model or among those that are sent to it."""
    packing = _packing(model)
    names = {name for path, kind, _, _ in _held(model) for name in _names(path, kind, packing)}
    return sorted(names ^ weights.keys())


def find_faults(model: Any, weights: Mapping[str, torch.Tensor], rank: int, ranks: int) -> list[str]:
    """Names of weights that are not loaded as they were sent, this process being one of `ranks` that share them."""
    packing = _packing(model)
    pieces = (piece for held in _held(model) for piece in _pieces(*held, packing))
    wrong = {
        piece.name: None
        for piece in pieces
        if not any(
            torch.equal(piece.tensor.to(share.dtype), share.to(piece.tensor.device))
            for share in _shares(weights[piece.name], piece, rank, ranks)
        )
    }
    return list(wrong)


def _packing(model: Any) -> Packing:
    return getattr(model, "packed_modules_mapping", {})  # a model that joins nothing may have none


def _held(model: Any) -> Iterator[tuple[str, str, Any, torch.Tensor]]:
    """Path, kind, module and value of all that a model computes with. What is tied has its first path, and comes as often as a
    module has it in a form of its own."""
    paths: dict[int, str] = {}
    for own, module in model.named_modules():
        for kind, parameter in module.named_parameters(recurse=False):
            path = paths.setdefault(id(parameter), own)
            if path == own or (kind == "weight" and "cpu_linear" in vars(module)):
                yield path, kind, module, parameter


def _names(path: str, kind: str, packing: Packing) -> list[str]:
    """Those of `transformers` for a weight or bias: of each part where it is joined."""
    parent, dot, last = path.rpartition(".")
    parts = packing.get(last, [])
    return [f"{parent}{dot}{part}.{kind}" for part in parts] if len(parts) > 1 else [f"{path}.{kind}"]


def _pieces(path: str, kind: str, module: Any, parameter: torch.Tensor, packing: Packing) -> Iterator[Piece]:
    """The parts of what a module holds, without what pads a vocabulary."""
    forms = [parameter.data] if parameter.numel() else []
    if kind == "weight" and "cpu_linear" in vars(module):
        forms.append(_unpacked(module, parameter))
    names = _names(path, kind, packing)
    for form in forms:
        if "shard_indices" in vars(module):
            indices = module.shard_indices
            yield Piece(names[0], form[: indices.num_org_elements], indices.org_vocab_start_index)
        else:
            parts = form.split(module.output_partition_sizes) if len(names) > 1 else [form]
            yield from (Piece(name, part) for name, part in zip(names, parts, strict=True))


def _unpacked(module: Any, parameter: torch.Tensor) -> torch.Tensor:
    """The weight (out, in) of a layer that has it in a form of its own: what it makes of the unit vectors, which is exact."""
    width = parameter.shape[1] if parameter.numel() else module.input_size_per_partition
    unpacked: torch.Tensor = module.cpu_linear(torch.eye(width, dtype=parameter.dtype), parameter, None).T
    return unpacked


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
