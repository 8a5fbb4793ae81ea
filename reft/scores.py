"""What samples of problems come to: pass@k, maj@k and rates, each with n and a 95% interval.

Everything is a function of groups, the samples of one problem each, in the order in which they were drawn.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from math import comb
from statistics import fmean
from typing import Any

import numpy

from reft.statistics import Estimate, mean_over_clusters, mean_over_problems, pass_at_k, ratio_over_problems
from reft.tasks import Trace
from rewards.equal import Checker
from rollout.search.vote import has_answer
from rollout.types import Sample
from rollout.worker import derive_seed

SUBSETS = 200
"""Subsets of a problem's samples that maj@k is a mean over; all of them where there are no more."""

Group = Sequence[Sample]


def answer_kinds(group: Group, checker: Checker) -> list[int | None]:
    """Which samples have the same answer: the place of the first with it, None without one. Answers are one if their texts are,
    or if each would pass where the other is the known one, as in `rollout.search.vote.majority`."""
    firsts: list[int] = []
    known: dict[str, int] = {}
    kinds: list[int | None] = []
    for place, sample in enumerate(group):
        answer = sample.extracted
        if answer is None or not has_answer(sample):
            kinds.append(None)
            continue
        if answer not in known:
            same = (first for first in firsts if _same(answer, group[first].extracted or "", checker))
            known[answer] = next(same, place)
            if known[answer] == place:
                firsts.append(place)
        kinds.append(known[answer])
    return kinds


def picked(kinds: Sequence[int | None], weights: Sequence[float] | None = None) -> int | None:
    """The place of the first sample with the answer of most votes, or most weight; of equals, the one that came first."""
    votes: dict[int, float] = {}
    firsts: dict[int, int] = {}
    for place, kind in enumerate(kinds):
        if kind is not None:
            votes[kind] = votes.get(kind, 0.0) + (1.0 if weights is None else weights[place])
            firsts.setdefault(kind, place)
    return firsts[max(votes, key=lambda kind: votes[kind])] if votes else None


def majority_at_k(group: Group, kinds: Sequence[int | None], ks: Sequence[int], seed: int) -> list[float]:
    """For each k, the share of the subsets of `k` samples, in the order drawn, whose majority is right: all subsets, or
    `SUBSETS` at random where there are more."""
    n = len(group)
    own = numpy.array([-1 if kind is None else kind for kind in kinds])
    right = numpy.array([sample.verdict.correct for sample in group])
    names = numpy.unique(own[own >= 0])
    if not len(names) or not right.any():
        return [0.0] * len(ks)
    if right.all():
        return [1.0] * len(ks)
    drawn = numpy.random.default_rng(seed).random((SUBSETS, n)).argsort(axis=1)
    found = []
    for k in ks:
        whole = comb(n, k) <= SUBSETS
        places = numpy.array(list(combinations(range(n), k))) if whole else numpy.sort(drawn[:, :k], axis=1)
        votes = own[places][None] == names[:, None, None]  # (kinds, subsets, k)
        counts, firsts = votes.sum(axis=2), votes.argmax(axis=2)
        # Most votes, and of as many the one that came first; without any vote, a sample without an answer, which is not right.
        winner = (counts * (k + 1) - firsts).argmax(axis=0)
        at = numpy.arange(len(places))
        picks = places[at, firsts[winner, at]]
        found.append(float(right[picks].mean()))
    return found


def powers(n: int) -> list[int]:
    """1, 2, 4, ... and `n`."""
    return sorted({*(1 << bit for bit in range(n.bit_length())), n})


def majority_shares(group: Group, checker: Checker, ks: Sequence[int], seed: int, place: int) -> list[float]:
    """maj@k of one problem's samples, the `place`-th problem's, for each k."""
    return majority_at_k(group, answer_kinds(group, checker), ks, derive_seed(seed, "maj", place))


def at_k(groups: Sequence[Group], majorities: Sequence[Sequence[float]]) -> dict[str, dict[str, Any]]:
    """pass@k and maj@k, the latter from each problem's `majorities`, for k = 1, 2, 4, ... up to the fewest samples."""
    rights = [(len(group), sum(sample.verdict.correct for sample in group)) for group in groups]
    found: dict[str, dict[str, Any]] = {"pass@k": {}, "maj@k": {}}
    for place, k in enumerate(powers(min(map(len, groups)))):
        found["pass@k"][str(k)] = asdict(mean_over_problems([pass_at_k(size, right, k) for size, right in rights]))
        found["maj@k"][str(k)] = asdict(mean_over_problems([shares[place] for shares in majorities]))
    return found


def many(groups: Sequence[Group], checker: Checker, seed: int) -> dict[str, dict[str, Any]]:
    """pass@k (unbiased) and maj@k for k = 1, 2, 4, ... up to the fewest samples that a problem has. Where others have more,
    `uneven` says how many problems have how many, and for which k therefore nothing is told.

    Raises:
        ValueError: without groups.
    """
    if not groups:
        raise ValueError("an estimate needs at least one observation")
    n = min(map(len, groups))
    found = at_k(groups, [majority_shares(group, checker, powers(n), seed, place) for place, group in enumerate(groups)])
    counts = Counter(map(len, groups))
    if len(counts) > 1:
        by_samples = {str(samples): counts[samples] for samples in sorted(counts)}
        found["uneven"] = {"problems_by_samples": by_samples, "left_out": [k for k in powers(max(counts)) if k > n]}
    return found


def rates(groups: Sequence[Group], traces: Sequence[Sequence[Trace | None]]) -> dict[str, Estimate | None]:
    """Accuracy, rates and lengths with their intervals; problems are what is independent. None where nothing can be told.

    Args:
        traces: of the samples, None where the task cannot tell.
    """
    pairs = [list(zip(group, found, strict=True)) for group, found in zip(groups, traces, strict=True)]
    outcomes = [[sample.verdict.outcome for sample in group] for group in groups]
    told = [[trace for trace in found if trace is not None] for found in traces]
    right = [[trace for sample, trace in pair if trace and trace.steps and sample.verdict.correct] for pair in pairs]
    return {
        "accuracy": mean_over_problems([fmean(outcome == "equal" for outcome in row) for row in outcomes]),
        "no_answer": mean_over_problems([fmean(outcome == "no_answer" for outcome in row) for row in outcomes]),
        "undecided": mean_over_problems([fmean(outcome == "undecided" for outcome in row) for row in outcomes]),
        "truncated": mean_over_problems([fmean(sample.completion.finish == "length" for sample in group) for group in groups]),
        "tokens_per_chain": mean_over_clusters([fmean(len(sample.completion.tokens) for sample in group) for group in groups]),
        "tries_per_chain": _mean([[trace.tries for trace in found] for found in told]),
        "verdict_error": _ratio([[(trace.wrong_verdicts, trace.verdicts) for trace in found] for found in told]),
        "trace_error": _ratio([[(not trace.well_formed or trace.wrong_steps > 0, 1) for trace in found] for found in right]),
    }


def plain(estimates: Mapping[str, Estimate | None]) -> dict[str, Any]:
    """Estimates as JSON has them."""
    return {name: None if estimate is None else estimate.plain() for name, estimate in estimates.items()}


def _mean(groups: Sequence[Sequence[float]]) -> Estimate | None:
    means = [fmean(group) for group in groups if group]
    return mean_over_clusters(means) if means else None


def _ratio(groups: Sequence[Sequence[tuple[float, float]]]) -> Estimate | None:
    return ratio_over_problems(
        [sum(part for part, _ in group) for group in groups], [sum(whole for _, whole in group) for group in groups]
    )


def _same(answer: str, known: str, checker: Checker) -> bool:
    return checker.check(answer, known).correct and checker.check(known, answer).correct
