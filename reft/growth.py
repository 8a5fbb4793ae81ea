"""How long chains are, as metrics by step: percentiles, right and wrong ones apart, and by difficulty. Chains that grow where
they are wrong, or where problems are easy, are padded."""

from collections.abc import Sequence

import numpy

from reft.tasks import SteppedTask, Task
from rollout.types import Sample

PERCENTILES = (10, 50, 90)
BINS = 5
"""Bins of difficulty at most."""


def growth(samples: Sequence[Sample], part: str) -> dict[str, float]:
    """Percentiles of the chains' lengths in tokens, what was given of them included; means of right chains and of all others,
    and how many there are of each. Without any, there is no mean.

    Args:
        part: of the metrics' names, before the stroke.
    """
    lengths = [len(sample.completion.chain_tokens) for sample in samples]
    metrics = {f"{part}/tokens_p{share}": float(numpy.percentile(lengths, share)) for share in PERCENTILES}
    for name, right in (("right", True), ("wrong", False)):
        own = [length for length, sample in zip(lengths, samples, strict=True) if sample.verdict.correct is right]
        metrics[f"{part}/{name}"] = float(len(own))
        if own:
            metrics[f"{part}/tokens_{name}"] = sum(own) / len(own)
    return metrics


def growth_by_difficulty(samples: Sequence[Sample], task: Task, part: str) -> dict[str, float]:
    """Mean length by bins of the problems' difficulty, the first the easiest. None where the task cannot tell, or where all
    problems are as difficult."""
    if not isinstance(task, SteppedTask):
        return {}
    hard = [task.difficulty(sample.problem) for sample in samples]
    found = bins(hard)
    metrics = {}
    for number, (low, high) in enumerate(found if len(found) > 1 else (), 1):
        own = [len(one.completion.chain_tokens) for one, value in zip(samples, hard, strict=True) if low <= value <= high]
        metrics[f"{part}/tokens_bin_{number}"] = sum(own) / len(own)
    return metrics


def bins(values: Sequence[float]) -> list[tuple[float, float]]:
    """Least and greatest value of each bin. Each value is a bin where they are few, else bins have about as many values each;
    equal values are in one."""
    kinds = sorted(set(values))
    if len(kinds) <= BINS:
        return [(value, value) for value in kinds]
    edges = sorted({float(edge) for edge in numpy.quantile(values, numpy.arange(1, BINS + 1) / BINS, method="higher")})
    lows = [kinds[0], *(min(kind for kind in kinds if kind > edge) for edge in edges[:-1])]
    return list(zip(lows, edges, strict=True))
