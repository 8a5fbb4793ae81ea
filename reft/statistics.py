"""Estimates with their uncertainty: no accuracy leaves this project without n and an interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054
"""The normal distribution's 97.5% quantile."""


@dataclass(frozen=True)
class Estimate:
    """A mean over n problems with its 95% interval."""

    value: float
    n: int
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def proportion(successes: float, n: int) -> Estimate:
    """A share with Wilson's score interval (JASA 22, 1927), sound near 0 and 1 too."""
    if n < 1:
        raise ValueError("an estimate needs at least one observation")
    value = successes / n
    centre = (value + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * math.sqrt(value * (1 - value) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    # Rounding may leave the interval a hair on the wrong side of the value where that is 0 or 1.
    return Estimate(value, n, min(value, max(0.0, centre - half)), max(value, min(1.0, centre + half)))


def mean_over_problems(shares: Sequence[float]) -> Estimate:
    """The mean of each problem's share of right samples.

    One sample a problem makes shares of 0 and 1, and the interval is Wilson's. With several, samples of one problem are
    alike, so the interval comes from the spread over problems (clusters), cut to 0 ... 1.
    """
    n = len(shares)
    if all(share in (0.0, 1.0) for share in shares):
        return proportion(sum(shares), n)
    mean = sum(shares) / n
    error = math.sqrt(sum((share - mean) ** 2 for share in shares) / max(1, n - 1) / n)
    return Estimate(mean, n, max(0.0, mean - Z95 * error), min(1.0, mean + Z95 * error))
