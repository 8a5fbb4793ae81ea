"""Two policies on the same problems: is the difference between them more than chance?

Greedy chains are right or wrong, and McNemar's exact test looks at the problems where the two differ. Shares of right samples
are compared by flipping signs at random. The difference's interval is a bootstrap's over problems, which both have in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from reft.statistics import Estimate

RESAMPLES = 10_000
LEAST_OF_SIGNS = 1 / (1 + RESAMPLES)
"""No p of random signs is below it."""
LEAST_P = 1e-300
"""No p is told that is smaller: it is less than this then."""


@dataclass(frozen=True)
class Comparison:
    """The first policy's accuracy minus the second's."""

    difference: Estimate
    """Over the problems, with the bootstrap's 95% interval (percentiles)."""
    first_only: int
    """Problems on which the first is better."""
    second_only: int
    """Problems on which the second is better."""
    p: float
    """Probability of a difference at least so large, either way, if the two were alike; `LEAST_P` stands for all below it."""
    test: str
    """What `p` is of: McNemar's exact test, or random signs."""


def compare(first: Sequence[float], second: Sequence[float], seed: int) -> Comparison:
    """Compare shares of right samples, one a problem, of the same problems in the same order.

    Raises:
        ValueError: if they are not as many, or none.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"{len(first)} and {len(second)} problems cannot be paired")
    differences = numpy.asarray(first, float) - numpy.asarray(second, float)
    generator = numpy.random.default_rng(seed)
    n = len(differences)
    means = [differences[generator.integers(0, n, n)].mean() for _ in range(RESAMPLES)]
    low, high = numpy.percentile(means, [2.5, 97.5])
    value = float(differences.mean())
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    binary = {*first, *second} <= {0.0, 1.0}
    p = mcnemar(better, worse) if binary else _signs(differences, generator)
    test = "McNemar, exact" if binary else f"random signs, {RESAMPLES}"
    return Comparison(Estimate(value, n, min(float(low), value), max(float(high), value)), better, worse, p, test)


def mcnemar(first_only: int, second_only: int) -> float:
    """Two-sided p of McNemar's exact test: a fair coin for each problem on which just one of the two is right. Whole numbers,
    whose quotient alone is rounded; no less than `LEAST_P`."""
    n, few = first_only + second_only, min(first_only, second_only)
    ways = total = 1
    for k in range(few):
        ways = ways * (n - k) // (k + 1)
        total += ways
    return max(LEAST_P, min(1.0, 2 * total / (1 << n)))


def _signs(differences: "numpy.ndarray", generator: numpy.random.Generator) -> float:
    """Two-sided p of the mean of differences whose signs are chance; the one observed counts as one of the draws."""
    moved = differences[differences != 0]
    if not len(moved):
        return 1.0
    observed = abs(moved.sum()) - 1e-12
    flipped = sum(abs((moved * generator.choice((-1.0, 1.0), len(moved))).sum()) >= observed for _ in range(RESAMPLES))
    return (1 + flipped) / (1 + RESAMPLES)
