"""What accuracy costs, and from how many queries on training longer is cheaper than sampling more."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reft.statistics import Estimate

BOUNDS = ("oracle", "upper_bound", "pass@k")
"""Strategies that know the answers, or what the names of such end with: bounds, which nobody can buy."""
LEAST_BUDGETS = 3
"""Of a strategy, that break-even is read from: one or two points are no curve."""


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
    low: float
    """Queries where all accuracies are at those ends of their intervals that speak for training; 0 where the earlier one does
    not reach the accuracy then."""
    high: float
    """Where all are at the ends that speak against it; infinite where it does not pay then, or does not reach the accuracy."""

    @property
    def queries(self) -> float | None:
        """(C_later - C_earlier) / (f_earlier - f_later); infinite where the later one's queries are no cheaper; None where the
        accuracy is out of reach for one of them."""
        return None if None in self.query else _queries(self.training, self.query)

    def plain(self) -> dict[str, Any]:
        """As it is written: infinite numbers are null, and `never` says that `queries` is."""
        found = {"queries": self.queries, "low": self.low, "high": self.high}
        countable = {name: None if value == math.inf else value for name, value in found.items()}
        return asdict(self) | countable | {"never": self.queries == math.inf}


Measured = tuple[str, float, Sequence[tuple[float, Estimate]]]
"""A checkpoint: its name, operations of its training, operations of a query and accuracy budget by budget."""


def break_even(earlier: Measured, later: Measured, step: float = 0.1) -> list[BreakEven]:
    """Two checkpoints at the accuracies between the least and the greatest that either reaches, multiples of `step`, and at the
    greatest of each."""
    best = [max(value.value for _, value in points) for _, _, points in (earlier, later)]
    least = min(value.value for _, _, points in (earlier, later) for _, value in points)
    grid = [round(number * step, 6) for number in range(1, math.ceil(1 / step))]
    targets = sorted({*(target for target in grid if least < target < max(best)), *best})
    training = (earlier[1], later[1])
    found = []
    for accuracy in targets:
        costs = {
            end: [
                least_cost([(cost, getattr(value, end)) for cost, value in points], accuracy)
                for _, _, points in (earlier, later)
            ]
            for end in ("value", "low", "high")
        }
        low = _queries(training, (costs["low"][0], costs["high"][1]))
        high = _queries(training, (costs["high"][0], costs["low"][1]))
        query = (costs["value"][0], costs["value"][1])
        found.append(BreakEven(accuracy, earlier[0], later[0], training, query, low, high))
    return found


def _queries(training: tuple[float, float], query: tuple[float | None, float | None]) -> float:
    """Queries from which the later one is cheaper in all: infinite where it never is, 0 where it alone reaches the accuracy."""
    earlier, later = query
    if later is None:
        return math.inf
    if earlier is None:
        return 0.0
    return max(0.0, (training[1] - training[0]) / (earlier - later)) if earlier > later else math.inf
