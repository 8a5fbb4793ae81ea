"""Weights on their way between processes, in memory that those of a node share."""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy
import torch
from numpy.typing import NDArray

from rollout.engine import Weights


class Parcel(Mapping[str, torch.Tensor]):
    """Weights that Ray hands on without a copy for each taker.

    Tensors are pickled through a stream, some copies each; the memory of arrays is passed on beside it (pickle's protocol 5,
    PEP 574): Ray puts it into the node's object store once and shows it, for reading only, to each process that takes it.

    Args:
        weights: tensors on the CPU. They are not copied, so nobody may change them until the parcel has been sent.
        shared: whether their memory can only be read, so that a taker may keep them.
    """

    def __init__(self, weights: Weights, shared: bool = False) -> None:
        self._weights = weights
        self.shared = shared

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._weights[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def __reduce__(self) -> tuple[Any, ...]:
        tensors = {name: tensor.detach().contiguous() for name, tensor in self.items()}
        kinds = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
        # Bytes, since numpy knows not all types of numbers.
        return _open, ({name: tensor.view(-1).view(torch.uint8).numpy() for name, tensor in tensors.items()}, kinds)


def _open(contents: Mapping[str, NDArray[numpy.uint8]], kinds: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]) -> Parcel:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)  # nobody writes to it
        weights = {
            name: torch.from_numpy(content).view(kinds[name][0]).view(kinds[name][1]) for name, content in contents.items()
        }
    return Parcel(weights, shared=not any(content.flags.writeable for content in contents.values()))
