"""Is the longer reasoning useful? What one policy's chains show: length and difficulty, accuracy against tokens, their use."""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy

from reft.flops import Cost
from reft.statistics import Estimate, mean_over_problems
from reft.tasks import SteppedTask, Task
from reft.trends import difference, ratio, slope, spearman
from rewards.equal import Checker
from rollout.pool import Pool
from rollout.search.forcing import Forced, force
from rollout.search.vote import any_right, majority
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import derive_seed

BINS = 5
"""Bins of difficulty at most."""

Shape = tuple[int, int]
"""Tokens of a prompt and tokens that were drawn behind it."""


@dataclass(frozen=True)
class Point:
    """Accuracy under a budget, and what it costs; `right` are the problems' shares of right answers, in their order."""

    budget: int
    tokens: float
    flops: float
    right: tuple[float, ...]

    def plain(self, natural: float) -> dict[str, Any]:
        """As it is written; `natural` is how many tokens a query takes when nobody forces it."""
        return {
            "budget": self.budget,
            "tokens_per_query": self.tokens,
            "flops_per_query": self.flops,
            "accuracy": asdict(mean_over_problems(self.right)),
            "beyond_natural": self.tokens > natural * (1 + 1e-9),
        }


@dataclass(frozen=True)
class Measured:
    """What was sampled of one policy."""

    natural: Point
    samples: list[list[Sample]]
    """n a problem, which end as they will."""
    curves: dict[str, list[Point]]


def measure(
    pool: Pool,
    task: Task,
    problems: Sequence[Problem],
    params: SamplingParams,
    n: int,
    seed: int,
    budget: int,
    cost: Cost,
    checker: Checker,
    note: Callable[[str], None] = lambda line: None,
) -> Measured:
    """Sample chains of a policy: freely, with their tries cut and called for, and one try many times.

    Args:
        n: chains a problem, which vote, too.
        budget: tries at most, where the task's chains make tries.
        note: is told what is done next.
    """
    note(f"{n} chains of each of {len(problems)} problems")
    flat = pool.sample(problems, n, params, derive_seed(seed, "natural"))
    groups = [flat[at : at + n] for at in range(0, len(flat), n)]
    natural = _point(1, [[_spent(sample) for sample in group] for group in groups], _shares(groups), cost)
    curves: dict[str, list[Point]] = {}
    form = task.form() if isinstance(task, SteppedTask) else None
    if form is not None:
        for name, wait in (("cap", False), ("wait", True)):
            note(f"{name}: up to {budget} tries")
            forced = force(pool, problems, params, derive_seed(seed, "forced"), budget, form, wait)
            curves[name] = [_forced_point(at, [history[at - 1] for history in forced], cost) for at in _doublings(budget)]
        note(f"{budget} chains of one try each")
        repeated = [problem for problem in problems for _ in range(budget)]
        single = [history[0] for history in force(pool, repeated, params, derive_seed(seed, "one"), 1, form, False)]
        tries = [single[at : at + budget] for at in range(0, len(single), budget)]
        spent = [[(_prompt(one.sample), one.tokens) for one in group] for group in tries]
        curves |= _repeated("one_try", [[one.sample for one in group] for group in tries], spent, cost, checker)
    curves |= _repeated("chain", groups, [[_spent(sample) for sample in group] for group in groups], cost, checker)
    return Measured(natural, groups, curves)


def describe(measured: Measured, task: Task) -> dict[str, Any]:
    """What one policy's chains show, as it is written."""
    flat = [sample for group in measured.samples for sample in group]
    natural = measured.natural
    # A chain that is cut is never longer than it would have been, whatever chance says of two samplings.
    limits = {name: math.inf if name == "cap" else natural.tokens for name in measured.curves}
    return {
        "natural": {
            "tokens_per_query": natural.tokens,
            "flops_per_query": natural.flops,
            "tries": _mean_tries(flat, task),
            "accuracy": asdict(mean_over_problems(natural.right)),
        },
        "length": _lengths(measured.samples),
        "difficulty": difficulty(measured.samples, task),
        "quality": _quality(measured.samples, task),
        "curves": [
            {"strategy": name, "points": _plain_points(points, limits[name])} for name, points in measured.curves.items()
        ],
        "sequential": sequential(measured),
        "scaling": {name: scaling(natural, points, limits[name]) for name, points in measured.curves.items()},
    }


def difficulty(groups: Sequence[Sequence[Sample]], task: Task) -> dict[str, Any] | None:
    """Length against difficulty: bins, tokens for each unit of difficulty, and the correlation of ranks, over problems. None
    where the task cannot tell; slope and ranks are None where all problems are as difficult."""
    if not isinstance(task, SteppedTask):
        return None
    hard = [task.difficulty(group[0].problem) for group in groups]
    tokens = [float(numpy.mean([len(sample.completion.tokens) for sample in group])) for group in groups]
    right = _shares(groups)
    rows = []
    for low, high in _bins(hard):
        places = [place for place, value in enumerate(hard) if low <= value <= high]
        rows.append(
            {
                "from": low,
                "to": high,
                "tokens": asdict(_mean([tokens[place] for place in places])),
                "accuracy": asdict(mean_over_problems([right[place] for place in places])),
            }
        )
    return {"bins": rows, "slope": _plain(slope(hard, tokens)), "spearman": _plain(spearman(hard, tokens))}


def scaling(natural: Point, points: Sequence[Point], limit: float) -> dict[str, Any] | None:
    """What the largest budget gains on the chains that nobody forces, on the same problems; None where it takes no more tokens
    than the limit, their length: what is gained up to there is no more than what cutting them had lost."""
    beyond = [point for point in points if point.tokens > limit * (1 + 1e-9)]
    if not beyond:
        return None
    return {"budget": beyond[-1].budget, "gain": asdict(difference(beyond[-1].right, natural.right))}


def sequential(measured: Measured) -> list[dict[str, Any]]:
    """What tries one behind the other gain on as many chains of one try each, though an oracle picks among those; on the same
    problems, for each budget."""
    pairs = zip(measured.curves.get("wait", []), measured.curves.get("one_try_oracle", []), strict=True)
    return [{"budget": one.budget, "gain": asdict(difference(one.right, other.right))} for one, other in pairs]


def compare(before: Measured, after: Measured) -> dict[str, Any]:
    """What another policy gains, on the same problems: in all, and at matched budgets.

    Where chains make tries, the gain is two parts: quality, what its chains are better by when they are cut at the other's
    natural length in tokens (between budgets, along log2 of tokens), and persistence, what its own natural length adds.
    """
    total = difference(after.natural.right, before.natural.right)
    content: dict[str, Any] = {"total": asdict(total), "matched": {}}
    for name, points in after.curves.items():
        pairs = [(point, other) for point in points for other in before.curves.get(name, []) if point.budget == other.budget]
        content["matched"][name] = [
            {"budget": point.budget, "gain": asdict(difference(point.right, other.right))} for point, other in pairs
        ]
    if "cap" in after.curves:
        curve = [point for point in after.curves["cap"] if point.tokens < after.natural.tokens] + [after.natural]
        matched = at_tokens(curve, before.natural.tokens)
        content["quality"] = asdict(difference(matched, before.natural.right))
        content["persistence"] = asdict(difference(after.natural.right, matched))
    return content


def at_tokens(points: Sequence[Point], tokens: float) -> list[float]:
    """The problems' shares at so many tokens, between two points along log2 of tokens; outside of all points, the nearest."""
    ordered = sorted(points, key=lambda point: point.tokens)
    x = numpy.log2([point.tokens for point in ordered])
    return [
        float(numpy.interp(numpy.log2(tokens), x, [point.right[place] for point in ordered]))
        for place in range(len(ordered[0].right))
    ]


def _repeated(
    name: str,
    groups: Sequence[Sequence[Sample]],
    spent: Sequence[Sequence[Shape]],
    cost: Cost,
    checker: Checker,
) -> dict[str, list[Point]]:
    """Curves of 1, 2, 4, ... chains together: `_vote` picks by majority, `_oracle` finds a right one wherever there is one. A
    problem's share is of as many lots of so many chains as it has, none of them in two."""
    curves: dict[str, list[Point]] = defaultdict(list)
    n = len(groups[0])
    for count in _doublings(n):
        lots = [[group[at : at + count] for at in range(0, n - count + 1, count)] for group in groups]
        for picker, judge in (("vote", lambda lot: _voted(lot, checker)), ("oracle", any_right)):
            right = [sum(map(judge, own)) / len(own) for own in lots]
            curves[f"{name}_{picker}"].append(_point(count, spent, right, cost, count))
    return dict(curves)


def _voted(samples: Sequence[Sample], checker: Checker) -> bool:
    picked = majority(samples, checker)
    return picked is not None and picked.verdict.correct


def _forced_point(budget: int, forced: Sequence[Forced], cost: Cost) -> Point:
    spent = [[(_prompt(one.sample), one.tokens)] for one in forced]
    return _point(budget, spent, [float(one.sample.verdict.correct) for one in forced], cost)


def _point(budget: int, spent: Sequence[Sequence[Shape]], right: Sequence[float], cost: Cost, chains: int = 1) -> Point:
    """`spent` are the problems' chains, of which a query takes so many."""
    shapes = [shape for group in spent for shape in group]
    tokens = chains * sum(tokens for _, tokens in shapes) / len(shapes)
    return Point(budget, tokens, chains * sum(cost.query(*shape) for shape in shapes) / len(shapes), tuple(right))


def _prompt(sample: Sample) -> int:
    return len(sample.completion.prompt_tokens) - sample.completion.prefix_length


def _spent(sample: Sample) -> Shape:
    return _prompt(sample), len(sample.completion.tokens)


def _shares(groups: Sequence[Sequence[Sample]]) -> list[float]:
    return [sum(sample.verdict.correct for sample in group) / len(group) for group in groups]


def _plain_points(points: Sequence[Point], natural: float) -> list[dict[str, Any]]:
    """Points as they are written, each but the first with what it gains on the one before it."""
    gains = [difference(point.right, before.right) for before, point in itertools.pairwise(points)]
    return [point.plain(natural) | {"gain": _plain(gain)} for point, gain in zip(points, [None, *gains], strict=True)]


def _doublings(most: int) -> list[int]:
    """1, 2, 4, ... and the most."""
    return sorted({2**power for power in range(most.bit_length())} | {most})


def _bins(values: Sequence[float]) -> list[tuple[float, float]]:
    """Each value a bin where they are few, else bins of about as many problems each; equal values are in one."""
    kinds = sorted(set(values))
    if len(kinds) <= BINS:
        return [(value, value) for value in kinds]
    edges = sorted({float(edge) for edge in numpy.quantile(values, numpy.arange(1, BINS + 1) / BINS, method="higher")})
    lows = [kinds[0], *(min(kind for kind in kinds if kind > edge) for edge in edges[:-1])]
    return list(zip(lows, edges, strict=True))


def _lengths(groups: Sequence[Sequence[Sample]]) -> dict[str, Any]:
    flat = [sample for group in groups for sample in group]
    lengths = [len(sample.completion.tokens) for sample in flat]
    content: dict[str, Any] = {f"p{share}": float(numpy.percentile(lengths, share)) for share in (10, 50, 90)}
    for name, wanted in (("right", True), ("wrong", False)):
        own = [[len(one.completion.tokens) for one in group if one.verdict.correct is wanted] for group in groups]
        content[name] = _plain(ratio([float(sum(lengths)) for lengths in own], [float(len(lengths)) for lengths in own]))
    return content


def _quality(groups: Sequence[Sequence[Sample]], task: Task) -> dict[str, Any] | None:
    """Repeated tries a try, false verdicts a verdict, right answers by a wrong step a right answer, each over problems."""
    traced = [[(one, task.trace(one.problem, one.completion.chain)) for one in group] for group in groups]
    if any(trace is None for group in traced for _, trace in group):
        return None
    pairs = {
        "repeated_tries": lambda one, trace: (trace.repeated_tries, trace.tries),
        "verdict_error": lambda one, trace: (trace.wrong_verdicts, trace.verdicts),
        "trace_error": lambda one, trace: (
            (one.verdict.correct and trace.steps > 0) and (not trace.well_formed or trace.wrong_steps > 0),
            one.verdict.correct and trace.steps > 0,
        ),
    }
    content = {}
    for name, read in pairs.items():
        counted = [[read(one, trace) for one, trace in group] for group in traced]
        parts, wholes = ([float(sum(pair[at] for pair in group)) for group in counted] for at in (0, 1))
        content[name] = _plain(ratio(parts, wholes))
    return content


def _mean_tries(samples: Sequence[Sample], task: Task) -> float | None:
    traces = [task.trace(sample.problem, sample.completion.chain) for sample in samples]
    return sum(trace.tries for trace in traces if trace) / len(traces) if all(traces) else None


def _mean(values: Sequence[float]) -> Estimate:
    return difference(values, [0.0] * len(values))


def _plain(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else asdict(estimate)
