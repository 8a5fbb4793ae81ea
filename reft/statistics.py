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


def mean_over_clusters(values: Sequence[float]) -> Estimate:
    """The mean of one number a problem, of any size, with an interval from their spread.

    Raises:
        ValueError: without values.
    """
    n = len(values)
    if n < 1:
        raise ValueError("an estimate needs at least one observation")
    mean = sum(values) / n
    error = math.sqrt(sum((value - mean) ** 2 for value in values) / max(1, n - 1) / n)
    return Estimate(mean, n, mean - Z95 * error, mean + Z95 * error)


def ratio_over_problems(parts: Sequence[float], wholes: Sequence[float]) -> Estimate | None:
    """A share whose parts and wholes come by the problem, such as false verdicts of all verdicts; None where all wholes are 0.

    The interval is that of a ratio of means over clusters (linearised). Where problems do not differ it would be empty, and
    Wilson's of the wholes stands in its place. `n` is the sum of the wholes.
    """
    total = sum(wholes)
    if total <= 0:
        return None
    value, n = sum(parts) / total, len(wholes)
    spread = sum((part - value * whole) ** 2 for part, whole in zip(parts, wholes, strict=True))
    if value in (0.0, 1.0) or n == 1 or max(wholes) == 1:
        return proportion(sum(parts), round(total))
    half = Z95 * math.sqrt(spread * n / (n - 1)) / total
    return Estimate(value, round(total), max(0.0, value - half), min(1.0, value + half))


def pass_at_k(n: int, right: int, k: int) -> float:
    """The probability that of `k` samples, drawn from `n` of which so many are right, one is right: unbiased (Chen et al.,
    arXiv 2107.03374, section 2.1).

    Raises:
        ValueError: if `k` is more than `n`, or less than 1.
    """
    if not 1 <= k <= n or not 0 <= right <= n:
        raise ValueError(f"pass@{k} needs 1 to {n} of {n} samples, of which {right} are right")
    ways = math.comb(n, k)
    return (ways - math.comb(n - right, k)) / ways
