"""Is the longer reasoning useful? What one policy's chains show: length and difficulty, accuracy against tokens, their use."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reft.break_even import BOUNDS, LEAST_BUDGETS, break_even, least_cost
from reft.chain_curves import Bench, Keep, Point, at_tokens, keep_none, make_point, plain_curve, shares, spent
from reft.chain_lengths import Groups, difficulty, easiest_growth, lengths, plain, slope_change
from reft.flops import Cost
from reft.statistics import mean_over_problems, ratio_over_problems
from reft.tasks import BudgetedTask, SteppedTask, Task, Trace
from reft.trends import difference
from rewards.equal import Checker
from rollout.pool import Pool
from rollout.search.cutting import Tokens
from rollout.search.forcing import Form
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import derive_seed

TOGETHER = ("one_try", "chain")
"""What the names of curves of many chains begin with."""
READ: dict[str, Callable[[Point], float]] = {
    "tokens_per_query": lambda point: point.tokens,
    "flops_per_query": lambda point: point.flops,
}


@dataclass(frozen=True)
class Measured:
    """What was sampled of one policy."""

    natural: Point
    samples: list[list[Sample]]
    """n a problem, which end as they will."""
    curves: dict[str, list[Point]]
    units: Mapping[str, str]
    """Of the curves' budgets: tries, tokens, chains, or ends, the last of which a chain is let to have."""


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
    codec: Tokens,
    note: Callable[[str], None] = lambda line: None,
    keep: Keep = keep_none,
) -> Measured:
    """Sample chains of a policy: freely, under budgets, and many together.

    Where the task's chains make tries, these are cut and called for, and there are as many chains of one try each. Where they
    make none, what they do before the answer is cut at so many tokens, and their ends are taken away with their answers, and
    nothing is put for both, since such tasks have no word for it.

    Args:
        n: chains a problem, which vote, too.
        budget: tries at most, where the task's chains make tries; else ends.
        codec: of the policy.
        note: is told what is done next.
        keep: is given the chains that end as they will (`natural`), and those of the largest budgets (`cap` and `wait` of
            tries or ends).
    """
    bench = Bench(pool, problems, params, seed, cost, keep)
    note(f"{n} chains of each of {len(problems)} problems")
    flat = pool.sample(problems, n, params, derive_seed(seed, "natural"))
    keep("natural", flat)
    groups = [flat[at : at + n] for at in range(0, len(flat), n)]
    shapes = [[spent(sample) for sample in group] for group in groups]
    natural = make_point(1, shapes, shares(groups), cost)
    curves: dict[str, list[Point]] = {}
    units: dict[str, str] = {}
    form = task.form() if isinstance(task, SteppedTask) else None
    if form is not None:
        for name, wait in (("cap", False), ("wait", True)):
            note(f"{name}: up to {budget} tries")
            curves[name], units[name] = bench.forced(budget, form, wait), "tries"
        note(f"{budget} chains of one try each")
        curves |= bench.one_try(budget, form, checker)
    elif isinstance(task, SteppedTask) and task.answering:
        note("cap: answers behind the first tokens of these chains")
        curves["cap"], units["cap"] = bench.cut(groups, task.answering, codec), "tokens"
        note(f"wait: up to {budget} ends")
        curves["wait"], units["wait"] = bench.forced(budget, Form(answering=task.answering), True), "ends"
    if isinstance(task, BudgetedTask) and task.budgets():
        note(f"ask: for {', '.join(map(str, task.budgets()))} tries")
        curves["ask"], units["ask"] = bench.asked(task, task.trace), "tries"
    curves |= bench.repeated("chain", groups, shapes, checker)
    return Measured(natural, groups, curves, {name: units.get(name, "chains") for name in curves})


def describe(measured: Measured, task: Task) -> dict[str, Any]:
    """What one policy's chains show, as it is written."""
    flat = [sample for group in measured.samples for sample in group]
    natural = measured.natural
    limits = {name: _limit(measured, name) for name in measured.curves}
    return {
        "natural": {
            "tokens_per_query": natural.tokens,
            "flops_per_query": natural.flops,
            "tries": _mean_tries(flat, task),
            "accuracy": mean_over_problems(natural.right).plain(),
        },
        "length": lengths(measured.samples),
        "difficulty": difficulty(measured.samples, task),
        "quality": quality(measured.samples, task),
        "curves": [
            {"strategy": name, "unit": measured.units[name]} | plain_curve(points, limits[name])
            for name, points in measured.curves.items()
        ],
        "sequential": sequential(measured),
        "equal_tokens": equal_tokens(measured),
        "scaling": {name: scaling(natural, points, limits[name]) for name, points in measured.curves.items()},
    }


def scaling(natural: Point, points: Sequence[Point], limit: float) -> dict[str, Any] | None:
    """What the largest budget gains on the chains that nobody forces, on the same problems; None where it takes no more tokens
    than the limit, their length: what is gained up to there is no more than what cutting them had lost."""
    beyond = [point for point in points if point.tokens > limit * (1 + 1e-9)]
    if not beyond:
        return None
    return {"budget": beyond[-1].budget, "gain": difference(beyond[-1].right, natural.right).plain()}


def sequential(measured: Measured) -> list[dict[str, Any]]:
    """What tries one behind the other gain on as many chains of one try each, though an oracle picks among those; on the same
    problems, for each budget. None where chains make no tries."""
    others = measured.curves.get("one_try_oracle", [])
    pairs = zip(measured.curves["wait"], others, strict=True) if others else ()
    return [{"budget": one.budget, "gain": difference(one.right, other.right).plain()} for one, other in pairs]


def equal_tokens(measured: Measured) -> list[dict[str, Any]]:
    """What one long chain gains on several short ones that take as many tokens together, on the same problems: chains of each
    budget of those that are made to go on, and those that end as they will, whose `budget` is None."""
    longs = [(None, measured.natural), *((point.budget, point) for point in measured.curves.get("wait", []))]
    found = []
    for budget, point in longs:
        # One whole chain that ends as it will is what those of whole chains begin with.
        names = [name for name in measured.curves if name.startswith("one_try" if budget is None else TOGETHER)]
        found += [{"budget": budget} | row for row in _against(point, measured, names)]
    return found


def _against(long: Point, measured: Measured, names: Sequence[str]) -> list[dict[str, Any]]:
    """What chains gain on several others at as many tokens, between budgets along log2 of tokens, or at all that those take
    where that is less. None where one of them alone takes more."""
    rows = []
    for name in names:
        points = measured.curves[name]
        if long.tokens >= points[0].tokens * (1 - 1e-9):
            tokens = min(long.tokens, points[-1].tokens)
            gain = difference(long.right, at_tokens(points, tokens)).plain()
            rows.append({"against": name, "tokens_per_query": long.tokens, "their_tokens": tokens, "gain": gain})
    return rows


def compare(before: Measured, after: Measured, task: Task) -> dict[str, Any]:
    """What another policy gains, on the same problems: in all, at matched budgets, and on several of the first one's chains
    that take as many tokens together; how much longer it has become where problems are easiest, and with difficulty; and what
    a query takes of both at equal accuracy.

    Where chains can be cut, the gain is two parts: quality, what its chains are better by when they are cut at the other's
    natural length in tokens (between budgets, along log2 of tokens), and persistence, what its own natural length adds.
    """
    total = difference(after.natural.right, before.natural.right)
    content: dict[str, Any] = {"total": total.plain(), "matched": {}}
    for name, points in after.curves.items():
        pairs = [(point, other) for point in points for other in before.curves.get(name, []) if point.budget == other.budget]
        content["matched"][name] = [
            {"budget": point.budget, "gain": difference(point.right, other.right).plain()} for point, other in pairs
        ]
    if "cap" in after.curves:
        curve = [point for point in after.curves["cap"] if point.tokens < after.natural.tokens] + [after.natural]
        matched = at_tokens(curve, before.natural.tokens)
        content["quality"] = difference(matched, before.natural.right).plain()
        content["persistence"] = difference(after.natural.right, matched).plain()
    together = [name for name in before.curves if name.startswith(TOGETHER)]
    return content | {
        "equal_tokens": _against(after.natural, before, together),
        "easiest": easiest_growth(before.samples, after.samples, task),
        "slope": slope_change(before.samples, after.samples, task),
        "equal_accuracy": equal_accuracy(before, after),
    }


def equal_accuracy(before: Measured, after: Measured) -> list[dict[str, Any]]:
    """What a query takes of two policies, the first's number first, by whatever way needs no oracle: at the accuracy of each
    one's chains that end as they will, between points along the logarithm of what they take. None where a policy reaches it
    nowhere."""
    rows = []
    for natural in (before.natural, after.natural):
        accuracy = mean_over_problems(natural.right)
        row: dict[str, Any] = {"accuracy": accuracy.plain()}
        for name, read in READ.items():
            row[name] = [least_cost(_reached(measured, read), accuracy.value) for measured in (before, after)]
        rows.append(row)
    return rows


def break_evens(
    before: Measured, after: Measured, names: tuple[str, str], training: Sequence[float | None]
) -> list[dict[str, Any]] | None:
    """From how many queries on the policy that has cost more to train has been cheaper in all, at equal accuracies, as the page
    of `reft report` has it. None where training was not counted, or where budgets are too few.

    Args:
        names: of both.
        training: operations of each.
    """
    known = [cost for cost in training if cost is not None]
    longest = [max((len(points) for points in _buyable(measured).values()), default=0) for measured in (before, after)]
    if len(known) < 2 or min(longest) < LEAST_BUDGETS:
        return None
    policies = []
    for name, cost, measured in zip(names, known, (before, after), strict=True):
        points = [measured.natural, *(point for curve in _buyable(measured).values() for point in curve)]
        policies.append((name, cost, [(point.flops, mean_over_problems(point.right)) for point in points]))
    earlier, later = sorted(policies, key=lambda policy: policy[1])
    return [found.plain() for found in break_even(earlier, later)]


def _buyable(measured: Measured) -> dict[str, list[Point]]:
    """Curves of strategies that need not know the answers."""
    return {name: points for name, points in measured.curves.items() if not name.endswith(BOUNDS)}


def _reached(measured: Measured, read: Callable[[Point], float]) -> list[tuple[float, float]]:
    """What is paid, and the accuracy that is had for it."""
    points = [point for curve in _buyable(measured).values() for point in curve]
    return [(read(point), sum(point.right) / len(point.right)) for point in [measured.natural, *points]]


def quality(groups: Groups, task: Task) -> dict[str, Any] | None:
    """Repeated tries a try, other ones a token, false verdicts a verdict, right answers by a wrong step a right answer, with
    intervals over problems; n are tries, tokens, verdicts and right answers. Tries are counted where chains make them."""
    traced = [[(one, task.trace(one.problem, one.completion.chain)) for one in group] for group in groups]
    if any(trace is None for group in traced for _, trace in group):
        return None
    pairs: dict[str, Callable[[Sample, Any], tuple[float, float]]] = {
        "repeated_tries": lambda one, trace: (trace.repeated_tries, trace.tries),
        "verdict_error": lambda one, trace: (trace.wrong_verdicts, trace.verdicts),
        "trace_error": lambda one, trace: (
            (one.verdict.correct and trace.steps > 0) and (not trace.well_formed or trace.wrong_steps > 0),
            one.verdict.correct and trace.steps > 0,
        ),
    }
    if isinstance(task, SteppedTask) and task.form() is not None:
        pairs["new_tries_per_token"] = lambda one, trace: (_new_tries(trace), len(one.completion.tokens))
    content = {}
    for name, read in pairs.items():
        counted = [[read(one, trace) for one, trace in group] for group in traced]
        parts, wholes = ([float(sum(pair[at] for pair in group)) for group in counted] for at in (0, 1))
        content[name] = plain(ratio_over_problems(parts, wholes))
    return content


def _limit(measured: Measured, name: str) -> float:
    """Tokens beyond which a point of a curve takes more than nobody's forcing it: whatever chance says of two samplings, a
    chain that is cut is never longer than it would have been, and none that ends at its first end is."""
    natural = measured.natural.tokens
    if name == "cap":
        return math.inf
    return max(natural, measured.curves[name][0].tokens) if measured.units[name] == "ends" else natural


def _new_tries(trace: Trace) -> int:
    """Tries that are not one that the chain has made before."""
    return trace.tries - trace.repeated_tries


def _mean_tries(samples: Sequence[Sample], task: Task) -> float | None:
    traces = [task.trace(sample.problem, sample.completion.chain) for sample in samples]
    return sum(trace.tries for trace in traces if trace) / len(traces) if all(traces) else None
