"""Differences, slopes and ranks with their intervals: how one number goes with another, problem by problem."""

import math
from collections.abc import Sequence

import numpy

from reft.statistics import Z95, Estimate


def difference(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """The mean of first minus second, shares of the same problems in the same order, with the interval of Agresti and Min
    (Statistics in Medicine 24, 2005): normal, of paired differences, but with two problems more, of which one gains or loses
    all and one nothing. So it keeps a width where all differences are one.

    Raises:
        ValueError: if there are not as many of both, or none.
    """
    gaps = [one - other for one, other in zip(first, second, strict=True)]
    if not gaps:
        raise ValueError("a difference needs at least one problem")
    mean, n = sum(gaps) / len(gaps), len(gaps) + 2
    centre = sum(gaps) / n
    half = Z95 * math.sqrt(max(0.0, (sum(gap**2 for gap in gaps) + 1) / n - centre**2) / n)
    return Estimate(mean, len(gaps), max(-1.0, min(mean, centre - half)), min(1.0, max(mean, centre + half)))


def slope(x: Sequence[float], y: Sequence[float]) -> Estimate | None:
    """Least squares of y on x, with the interval that holds where the spread differs along x (White, Econometrica 48, 1980).
    None for fewer than three points or where all x are one."""
    xs, ys = numpy.asarray(x, float), numpy.asarray(y, float)
    if len(xs) < 3 or numpy.ptp(xs) == 0:
        return None
    centred = xs - xs.mean()
    total = float(centred @ centred)
    value = float(centred @ ys) / total
    residuals = ys - ys.mean() - value * centred
    half = Z95 * math.sqrt(float((centred**2) @ (residuals**2)) * len(xs) / (len(xs) - 2)) / total
    return Estimate(value, len(xs), value - half, value + half)


def spearman(x: Sequence[float], y: Sequence[float]) -> Estimate | None:
    """Spearman's rank correlation, equal values sharing their mean rank, with the interval of Bonett and Wright (Psychometrika
    65, 2000). None for fewer than four points or where all of one are equal."""
    if len(x) < 4 or min(x) == max(x) or min(y) == max(y):
        return None
    value = float(numpy.corrcoef(_ranks(x), _ranks(y))[0, 1])
    value = max(-1.0, min(1.0, value))
    if abs(value) > 1 - 1e-12:
        return Estimate(round(value), len(x), round(value), round(value))
    half = Z95 * math.sqrt((1 + value**2 / 2) / (len(x) - 3))
    return Estimate(value, len(x), math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half))


def most_spearman(x: Sequence[float]) -> float | None:
    """What the correlation of ranks comes to where y has no equal values and is in the order of x: below 1 by as much as equal
    values of x leave open (Kendall, Rank Correlation Methods, 3.7, with ties in one ranking). None where `spearman` is."""
    if len(x) < 4 or min(x) == max(x):
        return None
    _, counts = numpy.unique(numpy.asarray(x, float), return_counts=True)
    n, ties = float(len(x)), counts.astype(float)
    return math.sqrt(1 - float((ties**3 - ties).sum()) / (n**3 - n))


def _ranks(values: Sequence[float]) -> numpy.ndarray:
    _, places, counts = numpy.unique(numpy.asarray(values, float), return_inverse=True, return_counts=True)
    return (numpy.cumsum(counts) - (counts - 1) / 2)[places]
