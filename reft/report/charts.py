"""What the page draws: plain data, a chart each, which the page's script hands to plotly.

A chart has `axes`, of which the reader picks one if there are several, and `series`: `x` by the name of the axis, `y`, and
`low` and `high` where there are intervals. `marks` are points with a word beside them.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from reft.break_even import LEAST_BUDGETS, break_even
from reft.ledger import LOOPS
from reft.plateau import Plateau, find_plateau
from reft.report.curves import Curve, Point
from reft.report.read import MODES, RunRecord
from reft.run import WARMUP
from reft.statistics import Estimate, proportion
from rollout.search.names import short

AXES: dict[str, tuple[str, Callable[[Point], float | None]]] = {
    "flops": ("FLOPs a query", lambda point: point.flops),
    "tokens": ("tokens a query", lambda point: point.tokens),
}
LEARNING = {
    "reward/mean": "reward",
    "answer/correct": "right answers",
    "chain/tokens_mean": "tokens a chain",
    "chain/tries": "tries a chain",
    "chain/truncated": "chains cut at the longest",
    "chain/repeated_tries": "repeated tries a chain",
    "kl/reference": "KL to the reference, nats a token",
    "policy/entropy": "entropy, nats a token",
    "value/explained_variance": "variance that the critic explains",
    "optimizer/grad_norm": "gradient norm",
    "warmup/loss": "warm-up: loss, nats a token",
    "warmup/token_accuracy": "warm-up: tokens predicted",
}
"""Metrics that have a chart of their own, where there are any."""
RIGHT_AND_WRONG = {"chain/tokens_right": "right", "chain/tokens_wrong": "wrong"}
"""Metrics that share a chart, and what chains they are of."""
Chart = dict[str, Any]


def series(name: str, x: dict[str, list[Any]], y: Sequence[float], colour: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "x": x, "y": list(y), "colour": colour, **more}


def intervals(estimates: Sequence[Estimate]) -> dict[str, list[float]]:
    return {"low": [value.low for value in estimates], "high": [value.high for value in estimates]}


def training_chart(runs: Sequence[RunRecord]) -> Chart | None:
    """Accuracy on the split that picks checkpoints, against what training has cost."""
    drawn = []
    for number, run in enumerate(runs):
        loop = next((run.rows[name] for name in LOOPS if run.rows.get(name)), [])
        split = (run.settings.get("evaluate") or {}).get("select_on", "dev")
        costs = {"flops": run.training.get(WARMUP), "tokens": 0.0, "steps": 0.0}
        points: dict[str, list[tuple[dict[str, float | None], Estimate]]] = {mode: [] for mode in MODES}
        for curve in run.curves:
            if curve.checkpoint == WARMUP and curve.split == split and curve.strategy in MODES:
                points[curve.strategy].append((dict(costs), curve.points[0].accuracy))
        n = run.dev.n if run.dev is not None and split == "dev" else None
        for row in loop:
            costs["tokens"] = (costs["tokens"] or 0.0) + row.get("samples/tokens", row.get("round/tokens", 0.0))
            costs |= {"flops": row.get("compute/flops"), "steps": row["step"]}
            for mode in MODES:
                if (value := row.get(f"{split}/{mode}")) is not None:
                    estimate = proportion(value * n, n) if n else Estimate(value, 0, value, value)
                    points[mode].append((dict(costs), estimate))
        for mode, found in points.items():
            if found:
                x = {key: [cost[key] for cost, _ in found] for key in costs}
                estimates = [estimate for _, estimate in found]
                label = f"{run.name}, {mode}" if len(runs) > 1 else mode
                drawn.append(
                    series(
                        label, x, [value.value for value in estimates], number if len(runs) > 1 else MODES.index(mode),
                        dash="solid" if mode == "greedy" else "dash", n=[value.n for value in estimates],
                        **(intervals(estimates) if n else {}),
                    )
                )  # fmt: skip
    if not drawn:
        return None
    names = {"flops": "training FLOPs", "tokens": "tokens sampled in training", "steps": "steps of training"}
    axes = [{"key": key, "label": label, "log": False} for key, label in names.items() if _known(drawn, key)]
    return {"id": "training", "title": "Accuracy against training compute", "axes": axes, "series": drawn, "share": True}


def test_time_charts(curves: Sequence[Curve]) -> list[Chart]:
    """Accuracy against what a query costs, a chart for each set of problems: first those that are tested on."""
    places = {"test": 0, "dev": 2}
    splits = sorted(dict.fromkeys(curve.split for curve in curves), key=lambda split: places.get(split.split(",")[0], 1))
    return [_test_time_chart(split, [curve for curve in curves if curve.split == split]) for split in splits]


def _test_time_chart(split: str, curves: Sequence[Curve]) -> Chart:
    drawn: list[dict[str, Any]] = []
    several = len({curve.run for curve in curves}) > 1
    owners = list(dict.fromkeys((curve.run, curve.checkpoint) for curve in curves))
    strategies = list(dict.fromkeys(curve.strategy for curve in curves))
    for curve in curves:
        accuracies = [point.accuracy for point in curve.points]
        owner = f"{curve.run}, {curve.checkpoint}" if several and curve.run != curve.checkpoint else curve.checkpoint
        told = short(curve.strategy)
        x = {key: [read(point) for point in curve.points] for key, (_, read) in AXES.items()}
        drawn.append(
            series(
                f"{owner}: {told}", x, [value.value for value in accuracies],
                owners.index((curve.run, curve.checkpoint)), symbol=strategies.index(curve.strategy),
                owner=owner, short=told, natural=curve.strategy == "natural",
                labels=[point.label for point in curve.points], n=[value.n for value in accuracies],
                dash="dot" if curve.bound else "solid",
                plateau={key: _plain(_plateau(curve, read)) for key, (_, read) in AXES.items()},
                unspent={key: _unspent(curve, read) for key, (_, read) in AXES.items()},
                **intervals(accuracies),
            )
        )  # fmt: skip
    axes = [{"key": key, "label": label, "log": True} for key, (label, _) in AXES.items() if _known(drawn, key, 0.5)]
    regions = {key: _regions(curves, read) for key, (_, read) in AXES.items()}
    return {
        "id": f"test-time-{split}", "title": split, "axes": axes, "series": drawn, "share": True,
        "regions": {key: found for key, found in regions.items() if found},
    }  # fmt: skip


def _regions(curves: Sequence[Curve], read: Callable[[Point], float | None]) -> list[dict[str, Any]]:
    """Of two curves of which one goes on where the other ends (asked for more, and then voted on): what each gives, and where
    neither gives more; none where there are others, too."""
    if len(curves) != 2:
        return []
    first, whole = sorted(curves, key=lambda curve: len(curve.points))
    costs = [cost for point in whole.points if (cost := read(point)) is not None]
    shared = len(first.points)
    if len(whole.points) == shared or whole.points[:shared] != first.points or len(costs) < len(whole.points):
        return []
    plateau = _plateau(whole, read)
    ends = [costs[shared - 1], *([max(plateau.start, costs[shared - 1])] if plateau else []), costs[-1]]
    names = [first.checkpoint, whole.checkpoint, "no gain"]
    return [
        {"name": name, "start": start, "end": end}
        for name, (start, end) in zip(names, pairwise([costs[0], *ends]), strict=False)
        if start < end
    ]


def _plateau(curve: Curve, read: Callable[[Point], float | None]) -> Plateau | None:
    costs = [read(point) for point in curve.points]
    known = [cost for cost in costs if cost is not None and cost > 0]
    if len(known) < len(costs):
        return None
    return find_plateau(known, [point.accuracy for point in curve.points])


def _unspent(curve: Curve, read: Callable[[Point], float | None]) -> bool:
    """Whether the last budget costs no more than the one before, a twentieth at most."""
    costs = [read(point) or 0.0 for point in curve.points[-2:]]
    return len(costs) == 2 and costs[1] < 1.05 * costs[0]


def _plain(plateau: Plateau | None) -> dict[str, Any] | None:
    return None if plateau is None else asdict(plateau) | {"certain": plateau.certain}


def _known(drawn: Sequence[dict[str, Any]], key: str, share: float = 1.0) -> bool:
    """Whether so many of the points have a place on an axis."""
    places = [value is not None for one in drawn for value in one["x"][key]]
    return sum(places) >= max(1.0, share * len(places))


def learning_charts(runs: Sequence[RunRecord]) -> list[Chart]:
    """One for each metric that there is, against the steps of its phase."""
    charts = []
    for metric, title in LEARNING.items():
        phases = (WARMUP,) if metric.startswith(f"{WARMUP}/") else LOOPS
        drawn = []
        for number, run in enumerate(runs):
            rows = [row for phase in phases for row in run.rows.get(phase, []) if isinstance(row.get(metric), int | float)]
            if rows:
                steps = [row["step"] for row in rows]
                drawn.append(series(run.name, {"step": steps}, [row[metric] for row in rows], number, line=True))
        if drawn:
            axes = [{"key": "step", "label": "step", "log": False}]
            charts.append({"id": f"learning-{metric}", "title": title, "metric": metric, "axes": axes, "series": drawn})
        if metric == "chain/tokens_mean" and (chart := _length_chart(runs)):
            charts.append(chart)
    return charts


def _length_chart(runs: Sequence[RunRecord]) -> Chart | None:
    """Whether right chains grow, or wrong ones."""
    drawn = []
    for number, run in enumerate(runs):
        for metric, what in RIGHT_AND_WRONG.items():
            rows = [row for phase in LOOPS for row in run.rows.get(phase, []) if isinstance(row.get(metric), int | float)]
            if rows:
                steps, counts = [row["step"] for row in rows], [row.get(f"chain/{what}") for row in rows]
                name = f"{run.name}, {what}" if len(runs) > 1 else what
                dash = "solid" if what == "right" else "dash"
                values = [row[metric] for row in rows]
                drawn.append(series(name, {"step": steps}, values, number, line=True, dash=dash, n=counts))
    if not drawn:
        return None
    title, axes = "tokens, right and wrong (dashed)", [{"key": "step", "label": "step", "log": False}]
    return {
        "id": "learning-right-and-wrong",
        "title": title,
        "metric": ", ".join(RIGHT_AND_WRONG),
        "axes": axes,
        "series": drawn,
    }


def break_evens(run: RunRecord) -> list[dict[str, Any]]:
    """Of a run's checkpoints, each against the next one that has cost more, at equal accuracy, split by split; of those that
    were measured at several budgets, on as many problems: on as many as two of them were. What the run has evaluated by the way
    is left out, one point each and of other draws."""
    found = []
    for split in dict.fromkeys(curve.split for curve in run.curves):
        own = [curve for curve in run.curves if curve.split == split and curve.checkpoint in run.training and not curve.bound]
        frontiers = _frontiers([curve for curve in own if curve.strategy not in MODES])
        for earlier, later in pairwise(sorted(frontiers, key=lambda name: run.training[name])):
            pair = [(name, run.training[name], frontiers[name]) for name in (earlier, later)]
            found += [result.plain() | {"run": run.name, "split": split} for result in break_even(pair[0], pair[1])]
    return found


def _frontiers(curves: Sequence[Curve]) -> dict[str, list[tuple[float, Estimate]]]:
    """FLOPs and accuracies by checkpoint, of those with a curve, on the greatest number of problems that two have one on."""
    sizes = {point.accuracy.n for curve in curves for point in curve.points}
    for size in sorted(sizes, reverse=True):
        points: dict[str, list[tuple[float, Estimate]]] = {}
        longest: dict[str, int] = {}
        for curve in curves:
            own = [
                (point.flops, point.accuracy) for point in curve.points if point.flops is not None and point.accuracy.n == size
            ]
            points.setdefault(curve.checkpoint, []).extend(own)
            longest[curve.checkpoint] = max(longest.get(curve.checkpoint, 0), len(own))
        names = [name for name, budgets in longest.items() if budgets >= LEAST_BUDGETS]
        if len(names) > 1:
            return {name: points[name] for name in names}
    return {}
