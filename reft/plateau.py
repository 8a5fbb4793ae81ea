"""Where a curve of accuracy against compute has its plateau."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reft.statistics import Estimate

LEAST_GAIN = 0.03
"""Of accuracy per doubling of compute: what gains less is a plateau."""
LEAST_SPAN = 0.5
"""Doublings of compute that a plateau is long at least: budgets that are not spent say nothing about more compute."""


@dataclass(frozen=True)
class Plateau:
    """The tail of a curve, two points or more, in which compute buys little."""

    start: float
    """Compute at its first point."""
    end: float
    level: float
    """Mean accuracy of its points."""
    gain: float
    """Accuracy per doubling of compute, by least squares."""
    error: float
    """Half of the gain's 95% interval, from the points' own; too wide where points share problems."""

    @property
    def certain(self) -> bool:
        """Whether the interval, too, is below what a plateau may gain."""
        return self.gain + self.error < LEAST_GAIN


def find_plateau(compute: Sequence[float], accuracies: Sequence[Estimate]) -> Plateau | None:
    """The longest tail that gains less than `LEAST_GAIN` per doubling over `LEAST_SPAN` or more, and that stays at its level:
    each point is within `LEAST_GAIN` of it, or has it in its interval. None where there is none, or where there are fewer than
    three points.

    A tail that falls by as much per doubling, or more, is no plateau either, nor is one that rises and falls again: such a
    curve turns.
    """
    order = sorted(range(len(compute)), key=lambda place: compute[place])
    doublings = [math.log2(compute[place]) for place in order]
    values = [accuracies[place] for place in order]
    if len(order) < 3:
        return None
    for first in range(len(order) - 1):
        tail = doublings[first:]
        middle = sum(tail) / len(tail)
        spread = sum((at - middle) ** 2 for at in tail)
        if tail[-1] - tail[0] < LEAST_SPAN:
            return None
        shares = [(at - middle) / spread for at in tail]
        gain = sum(share * value.value for share, value in zip(shares, values[first:], strict=True))
        level = sum(value.value for value in values[first:]) / len(tail)
        if abs(gain) < LEAST_GAIN and all(_near(value, level) for value in values[first:]):
            widths = [(value.high - value.low) / 2 for value in values[first:]]
            error = math.sqrt(sum((share * width) ** 2 for share, width in zip(shares, widths, strict=True)))
            return Plateau(2 ** doublings[first], 2 ** doublings[-1], level, gain, error)
    return None


def _near(value: Estimate, level: float) -> bool:
    return abs(value.value - level) <= LEAST_GAIN + 1e-9 or value.low <= level <= value.high
