"""Estimates with their uncertainty: no accuracy leaves this project without n and an interval."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

Z95 = 1.959963984540054
"""The normal distribution's 97.5% quantile."""


@dataclass(frozen=True)
class Estimate:
    """A mean over n problems with its 95% interval, whose ends are infinite where the data tell none."""

    value: float
    n: int
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def plain(self) -> dict[str, Any]:
        """As JSON has it: ends that are infinite are null."""
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}


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
    alike, so the interval comes from the spread over problems (clusters), cut to 0 ... 1; where problems hardly differ, it is
    as wide at least as if so many of them were all 0, or all 1, as Wilson's interval allows to have been missed.
    """
    n = len(shares)
    if all(share in (0.0, 1.0) for share in shares):
        return proportion(sum(shares), n)
    mean = sum(shares) / n
    half = Z95 * math.sqrt(sum((share - mean) ** 2 for share in shares) / max(1, n - 1) / n)
    missed = proportion(0, n).high
    return Estimate(mean, n, max(0.0, mean - max(half, missed * mean)), min(1.0, mean + max(half, missed * (1 - mean))))


def mean_over_clusters(values: Sequence[float]) -> Estimate:
    """The mean of one number a problem, of any size, with an interval from their spread. A single problem, or problems that are
    all alike, say nothing of how far others may be, so the interval has no ends.

    Raises:
        ValueError: without values.
    """
    n = len(values)
    if n < 1:
        raise ValueError("an estimate needs at least one observation")
    mean = sum(values) / n
    return _around(mean, n, math.sqrt(sum((value - mean) ** 2 for value in values) / max(1, n - 1) / n))


def ratio_over_problems(parts: Sequence[float], wholes: Sequence[float], share: bool = True) -> Estimate | None:
    """Parts in all over wholes in all, one pair a problem, such as false verdicts of all verdicts; None where all wholes are 0.

    The interval is that of a ratio of means over clusters (linearised), of those problems that have a whole. Where they do not
    differ it would be empty: then Wilson's of the wholes stands in its place. `n` is the sum of the wholes.

    Args:
        share: whether parts are of their wholes; else the ratio may be more than 1, and where problems do not differ, the
            interval has no ends.
    """
    total = sum(wholes)
    if total <= 0:
        return None
    value, n = sum(parts) / total, sum(whole > 0 for whole in wholes)
    spread = sum((part - value * whole) ** 2 for part, whole in zip(parts, wholes, strict=True))
    error = math.sqrt(spread * n / max(1, n - 1)) / total
    if not share:
        return _around(value, round(total), error, 0.0)
    if value in (0.0, 1.0) or n == 1 or max(wholes) == 1 or error < 1e-12:
        return proportion(sum(parts), round(total))
    half = Z95 * error
    return Estimate(value, round(total), max(0.0, value - half), min(1.0, value + half))


def _around(value: float, n: int, error: float, least: float = -math.inf) -> Estimate:
    """With the normal interval, which has no ends where the data do not differ."""
    half = Z95 * error if error > 1e-12 * abs(value) else math.inf
    low = value - half
    return Estimate(value, n, low if half == math.inf else max(least, low), value + half)


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
