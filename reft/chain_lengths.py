"""How long chains are: right and wrong ones, by difficulty, and against another policy's on the easiest problems."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy

from reft.chain_curves import shares
from reft.growth import PERCENTILES, bins
from reft.statistics import Estimate, mean_over_clusters, mean_over_problems, ratio_over_problems
from reft.tasks import SteppedTask, Task
from reft.trends import most_spearman, slope, spearman
from rollout.types import Sample

ALLOWED_GROWTH = 1.3
"""On the easiest problems; chains that grow more there are padded."""


def judge_growth(low: float | None, high: float | None) -> str:
    """What an interval of the growth on the easiest problems says, in words; None is an end that is not finite."""
    if low is not None and low > ALLOWED_GROWTH:
        return "padded"
    return "fine" if high is not None and high <= ALLOWED_GROWTH else "too few to tell"


Groups = Sequence[Sequence[Sample]]
"""Chains of each problem."""


def lengths(groups: Groups) -> dict[str, Any]:
    """Percentiles of all lengths, in tokens, and the means of right and of wrong chains."""
    flat = [len(sample.completion.tokens) for group in groups for sample in group]
    content: dict[str, Any] = {f"p{share}": float(numpy.percentile(flat, share)) for share in PERCENTILES}
    return content | {name: plain(_mean_length(groups, right)) for name, right in (("right", True), ("wrong", False))}


def difficulty(groups: Groups, task: Task) -> dict[str, Any] | None:
    """Length against difficulty: bins, tokens for each unit of difficulty, and the correlation of ranks, over problems, with
    the most that it can be where no two lengths are equal. None where the task cannot tell; slope and ranks are None where all
    problems are as difficult."""
    if not isinstance(task, SteppedTask):
        return None
    hard = [task.difficulty(group[0].problem) for group in groups]
    tokens = _tokens(groups)
    rows = []
    for low, high in bins(hard):
        own = [group for group, value in zip(groups, hard, strict=True) if low <= value <= high]
        rows.append(
            {
                "from": low,
                "to": high,
                "tokens": mean_over_clusters(_tokens(own)).plain(),
                "tokens_right": plain(_mean_length(own, True)),
                "tokens_wrong": plain(_mean_length(own, False)),
                "accuracy": mean_over_problems(shares(own)).plain(),
            }
        )
    ranks = {"spearman": plain(spearman(hard, tokens)), "spearman_most": most_spearman(hard)}
    return {"bins": rows, "slope": plain(slope(hard, tokens)), **ranks}


def easiest_growth(before: Groups, after: Groups, task: Task) -> dict[str, Any] | None:
    """How many times as long another policy's chains are on the easiest bin of the same problems; None where the task cannot
    tell, or where all problems are as difficult."""
    if not isinstance(task, SteppedTask):
        return None
    hard = [task.difficulty(group[0].problem) for group in before]
    found = bins(hard)
    if len(found) < 2:
        return None
    low, high = found[0]
    easy = [place for place, value in enumerate(hard) if low <= value <= high]
    first, second = ([tokens[place] for place in easy] for tokens in (_tokens(before), _tokens(after)))
    times = ratio_over_problems(second, first, share=False)
    return {"from": low, "to": high, "times": plain(times and replace(times, n=len(easy)))}


def slope_change(before: Groups, after: Groups, task: Task) -> dict[str, Any] | None:
    """By how many tokens more another policy's chains grow with each unit of difficulty, on the same problems; None where the
    task cannot tell, or where all problems are as difficult."""
    if not isinstance(task, SteppedTask):
        return None
    hard = [task.difficulty(group[0].problem) for group in before]
    grown = [second - first for first, second in zip(_tokens(before), _tokens(after), strict=True)]
    return plain(slope(hard, grown))


def plain(estimate: Estimate | None) -> dict[str, Any] | None:
    """As it is written."""
    return None if estimate is None else estimate.plain()


def _tokens(groups: Groups) -> list[float]:
    """Mean length, problem by problem."""
    return [float(numpy.mean([len(sample.completion.tokens) for sample in group])) for group in groups]


def _mean_length(groups: Groups, right: bool) -> Estimate | None:
    """Tokens a chain, of right or of wrong ones, whose number `n` is; None where there are none."""
    own = [[len(one.completion.tokens) for one in group if one.verdict.correct is right] for group in groups]
    return ratio_over_problems([float(sum(tokens)) for tokens in own], [float(len(tokens)) for tokens in own], share=False)
