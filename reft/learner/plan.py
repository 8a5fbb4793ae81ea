"""Which rows of a batch go into which optimizer step, to which rank, in which forward pass.

The plan is a function of counts and lengths alone. Scoring follows the plan of the first epoch, so that old and new log-probs
come from forward passes of the same shape, and the ratio of an untouched policy is one to the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Minibatch:
    """The rows of one optimizer step: `rows` all of them, `shares[rank]` that rank's micro-batches.

    Every rank has the same number of micro-batches; one that has run out repeats a row with `real` false, which counts
    nothing but keeps collective operations in step.
    """

    rows: Tensor
    shares: Sequence[Sequence["MicroBatch"]]


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """Row numbers of one forward pass; `real` is false for a stand-in."""

    rows: Tensor
    real: bool


def plan(order: Tensor, lengths: Tensor, minibatches: int, ranks: int, micro_batch: int) -> list[Minibatch]:
    """Minibatches of nearly equal size over the rows in `order`; never one without rows.

    Which rows are in a minibatch is up to `order`. Within it the longest come first, so that rows of a forward pass need little
    padding, ranks have equal work, and what does not fit into memory shows at once.

    Args:
        order: (B,) row numbers, each once.
        lengths: (B,) tokens of each row.
        minibatches: optimizer steps wanted; fewer if there are fewer rows.
        ranks: processes that share each of them.
        micro_batch: rows of a forward pass at most.
    """
    parts = [part for part in torch.tensor_split(order, minibatches) if len(part)]
    parts = [part[lengths[part].argsort(descending=True, stable=True)] for part in parts]
    return [Minibatch(part, _shares(part, ranks, micro_batch)) for part in parts]


def _shares(rows: Tensor, ranks: int, micro_batch: int) -> list[list[MicroBatch]]:
    dealt = [rows[rank::ranks] for rank in range(ranks)]
    passes = -(-max(map(len, dealt)) // micro_batch)
    return [
        [
            MicroBatch(piece, True) if len(piece := share[at * micro_batch : (at + 1) * micro_batch]) else idle
            for at in range(passes)
        ]
        for share in dealt
        for idle in [MicroBatch(rows[:1], False)]
    ]
