"""Accuracy against compute: points and curves."""

from dataclasses import dataclass

from reft.break_even import BOUNDS
from reft.statistics import Estimate


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


def estimate_of(content: dict[str, float]) -> Estimate:
    """An accuracy as reports hold it."""
    return Estimate(float(content["value"]), int(content["n"]), float(content["low"]), float(content["high"]))
