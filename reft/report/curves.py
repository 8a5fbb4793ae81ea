"""Accuracy against compute: points, curves, and when training longer is cheaper than sampling more."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reft.statistics import Estimate

BOUNDS = ("oracle", "upper_bound", "pass@k")
"""Strategies that know the answers, or what the names of such end with: bounds, which nobody can buy."""


@dataclass(frozen=True)
class Point:
    """Accuracy at a budget; what it costs a query, in tokens and operations, where that is known."""

    label: str
    accuracy: Estimate
    tokens: float | None
    flops: float | None = None


@dataclass(frozen=True)
class Curve:
    """A checkpoint's accuracy by one strategy, budget by budget."""

    run: str
    checkpoint: str
    split: str
    strategy: str
    points: tuple[Point, ...]

    @property
    def bound(self) -> bool:
        """Whether it needs to know the answers."""
        return self.strategy.endswith(BOUNDS)


def least_cost(points: Sequence[tuple[float, float]], accuracy: float) -> float | None:
    """The least compute that reaches an accuracy on the way between (compute, accuracy) points, interpolated by the logarithm
    of compute; None where none does.

    Only the frontier counts: points that no cheaper one equals.
    """
    frontier: list[tuple[float, float]] = []
    for cost, value in sorted(points, key=lambda point: (point[0], -point[1])):
        if not frontier or value > frontier[-1][1]:
            frontier.append((cost, value))
    for place, (cost, value) in enumerate(frontier):
        if value >= accuracy:
            if place == 0:
                return cost
            before, lower = frontier[place - 1]
            share = (accuracy - lower) / (value - lower)
            return before * (cost / before) ** share
    return None


@dataclass(frozen=True)
class BreakEven:
    """Two checkpoints at one accuracy: from how many queries on the one that was trained longer has been cheaper in all."""

    accuracy: float
    earlier: str
    later: str
    training: tuple[float, float]
    """Operations that each has cost to train."""
    query: tuple[float | None, float | None]
    """Operations of a query with which each reaches the accuracy; None where no budget that was measured does."""

    @property
    def queries(self) -> float | None:
        """(C_later - C_earlier) / (f_earlier - f_later); infinite where the later one's queries are no cheaper; None where the
        accuracy is out of reach for one of them."""
        earlier, later = self.query
        if earlier is None or later is None:
            return None
        return (self.training[1] - self.training[0]) / (earlier - later) if earlier > later else math.inf


def break_even(
    earlier: tuple[str, float, Sequence[tuple[float, float]]],
    later: tuple[str, float, Sequence[tuple[float, float]]],
    step: float = 0.1,
) -> list[BreakEven]:
    """Two checkpoints, each as (name, operations of training, points of its frontier), at the accuracies between the least and
    the greatest that either reaches, multiples of `step`, and at the greatest of each."""
    best = [max(value for _, value in points) for _, _, points in (earlier, later)]
    least = min(value for _, _, points in (earlier, later) for _, value in points)
    grid = [round(number * step, 6) for number in range(1, math.ceil(1 / step))]
    targets = sorted({*(target for target in grid if least < target < max(best)), *best})
    return [
        BreakEven(
            accuracy,
            earlier[0],
            later[0],
            (earlier[1], later[1]),
            (least_cost(earlier[2], accuracy), least_cost(later[2], accuracy)),
        )
        for accuracy in targets
    ]


def estimate_of(content: dict[str, float]) -> Estimate:
    """An accuracy as reports hold it."""
    return Estimate(float(content["value"]), int(content["n"]), float(content["low"]), float(content["high"]))
