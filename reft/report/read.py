"""What a run directory holds for the page. Nothing is written and no lock is taken, so a run at work can be read, too. What is
damaged is left out and told: `form` says what may be there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from reft.errors import DataError, RunError
from reft.form import REPORT, SETTINGS, SUMMARY, Complaints, fit, parse, readable
from reft.ledger import read_metrics, read_object, read_state, training_flops
from reft.report.curves import Curve, Point, estimate_of
from reft.run import WARMUP, round_name, step_name
from reft.statistics import Estimate, proportion
from rollout.search.names import counted

MODES = ("greedy", "sampled")
STAGES = ("readiness", "warmup", "reinforced", "self_trained")


@dataclass
class RunRecord:
    """A run as the page shows it."""

    name: str
    path: Path
    settings: dict[str, Any]
    summary: dict[str, Any]
    rows: dict[str, list[dict[str, Any]]]
    """Metrics by phase, oldest first."""
    curves: list[Curve]
    training: dict[str, float]
    """Operations that each checkpoint has cost, where they were counted."""
    best: str | None
    """The checkpoint that training ended with; None where it has not ended."""
    studies: list[dict[str, Any]]
    """What `reft chains` has found, a checkpoint each."""
    dev: Estimate | None
    """Greedy accuracy on dev of what reinforcement started from; its n is that of all dev accuracies."""
    notes: list[str] = field(default_factory=list)
    """What could not be read."""
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of `eval/`, by the names of their files."""


def read_run(path: Path, name: str) -> RunRecord:
    """Raises `RunError` if there is no run in the folder."""
    notes: list[str] = []
    settings = _settings(path, notes)
    rows = read_metrics(path, notes)
    files = sorted((path / "eval").glob("*.json"))
    reports = {readable(file.stem): report for file in files if (report := read_object(file, notes, REPORT))}
    state = read_state(path, notes)
    summary = read_object(path / "summary.json", notes, SUMMARY) or {}
    best = state.get("best_step")
    curves: dict[bool, list[Curve]] = {True: [], False: []}
    largest = _largest(reports)
    for stem, report in largest.items():
        try:
            curves["strategy" in report] += _curves(name, stem, report, best)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            notes.append(f"eval/{stem}.json is not of the form that was expected ({type(error).__name__}: {error})")
    training = training_flops(rows, state)
    drawn = _longest([*_join(curves[False]), *_join(curves[True])])
    drawn.sort(key=lambda curve: training.get(curve.checkpoint, float("inf")))
    readiness = reports.get("readiness", {})
    return RunRecord(
        name=name,
        path=path,
        settings=settings,
        summary=summary,
        rows=rows,
        curves=drawn,
        training=training,
        best=_best(path, best),
        studies=[report for stem, report in largest.items() if stem.startswith("chains-")],
        dev=estimate_of(readiness["greedy"]["accuracy"]) if "greedy" in readiness else None,
        notes=notes,
        reports=reports,
    )


def _best(path: Path, step: int | None) -> str | None:
    """The checkpoint of the best step or round, of whichever there is one."""
    names = [] if step is None else [step_name(step), round_name(step)]
    return next((name for name in names if (path / "checkpoints" / name).is_dir()), None)


def _settings(path: Path, notes: list[str]) -> dict[str, Any]:
    """The run's settings as they are written. Nothing that they name is looked up or run: the run may be a stranger's."""
    file = path / "config.yaml"
    if not file.is_file():
        raise RunError(f"{path} is no run directory: it has no config.yaml; name one such as runs/quickstart-82ddf6")
    try:
        content = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    except Exception as error:  # the YAML parser has a family of its own that OmegaConf does not wrap
        known = OmegaConfBaseException | OSError | ValueError | RecursionError
        if not isinstance(error, known) and not type(error).__module__.startswith("yaml"):
            raise
        raise RunError(f"{file} cannot be read ({type(error).__name__}); have the run write it again") from error
    complaints = Complaints("config.yaml")
    found: dict[str, Any] = fit(content, SETTINGS, complaints) or {}
    notes.extend(complaints.told())
    return found


def read_log(file: Path, problems: int) -> list[Curve]:
    """A published log of accuracies at token limits, as a curve: `[{token_limit, accuracy, avg_tokens_used}, ...]`.

    Raises:
        DataError: if it is none.
    """
    try:
        content = parse(file.read_text(encoding="utf-8"))
        points = tuple(
            Point(
                f"limit {int(row['token_limit']):,}",
                proportion(float(row["accuracy"]) * problems, problems),
                float(row["avg_tokens_used"]),
            )
            for row in content
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{file} is no log of accuracies ({type(error).__name__}: {error}); "
            "it should hold a list of token_limit, accuracy and avg_tokens_used"
        ) from error
    if not points or any(not 0 <= point.accuracy.value <= 1 or (point.tokens or 0) <= 0 for point in points):
        raise DataError(f"{file} has no points, or some without tokens or with an accuracy outside 0 ... 1")
    name = file.stem.removeprefix("results_log_").replace("_", " ")
    return [Curve(name, name, "published", "token limit", points)]


def _largest(reports: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """All reports, but of several studies of one checkpoint's chains only that of the most problems, and most chains. What a
    strategy came to is no study."""
    best: dict[tuple[str, str], tuple[tuple[float, ...], str]] = {}
    for stem, report in reports.items():
        if _is_study(report):
            told = report.get("settings")
            told = told if isinstance(told, dict) else {}
            size = tuple(float(told.get(name) or 0) for name in ("problems", "n", "budget"))
            key = (str(report.get("checkpoint")), str(report.get("split")))
            best[key] = max(best.get(key, (size, stem)), (size, stem))
    kept = {stem for _, stem in best.values()}
    return {stem: report for stem, report in reports.items() if not _is_study(report) or stem in kept}


def _is_study(report: Mapping[str, Any]) -> bool:
    return "curves" in report and "strategy" not in report


def _longest(curves: Sequence[Curve]) -> list[Curve]:
    """Of several curves of one strategy, which were measured apart, the one of the most problems, and of most points."""
    best: dict[tuple[str, str, str, str], Curve] = {}
    for curve in curves:
        key = (curve.run, curve.checkpoint, curve.split, curve.strategy)
        best[key] = max(
            best.get(key, curve), curve, key=lambda one: (max((at.accuracy.n for at in one.points), default=0), len(one.points))
        )
    return list(best.values())


def _curves(run: str, stem: str, report: Mapping[str, Any], best: int | None) -> list[Curve]:
    """Curves of one report, many of them of a single point."""
    names = {
        "readiness": (WARMUP, "dev"),
        "warmup": (WARMUP, "test"),
        "reinforced": (step_name(best) if best is not None else "reinforced", "test"),
        "self_trained": (round_name(best) if best is not None else "self_trained", "test"),
    }
    default = (Path(str(report.get("checkpoint", stem))).name, "test")
    checkpoint, split = names.get(stem, default)
    split = str(report.get("split", report.get("benchmark", split)))
    found = []
    for curve in report.get("curves", []):
        points = tuple(
            Point(
                counted(point["budget"], str(curve["unit"])) if "unit" in curve else str(point["budget"]),
                estimate_of(point["accuracy"]),
                point.get("tokens_per_query"),
                point.get("flops_per_query"),
            )
            for point in curve["points"]
        )
        found.append(Curve(run, checkpoint, split, str(curve["strategy"]), points))
    if (natural := report.get("natural")) and "accuracy" in natural:
        point = Point(
            "natural length", estimate_of(natural["accuracy"]), natural.get("tokens_per_query"), natural.get("flops_per_query")
        )
        found.append(Curve(run, checkpoint, split, "natural", (point,)))
    for mode in MODES:
        if isinstance(one := report.get(mode), dict) and "accuracy" in one:
            point = Point(mode, estimate_of(one["accuracy"]), one["tokens_per_chain"], one.get("flops_per_query"))
            found.append(Curve(run, checkpoint, split, mode, (point,)))
    one = report.get("sampled") or {}
    for strategy in ("maj@k", "pass@k"):
        points = tuple(
            Point(f"k = {k}", estimate_of(estimate), one["tokens_per_chain"] * int(k), _times(one, int(k)))
            for k, estimate in (one.get(strategy) or {}).items()
        )
        if points:
            found.append(Curve(run, checkpoint, split, strategy, points))
    if search := report.get("search"):
        n = search["chains"]
        tokens, flops = search.get("tokens_per_query"), search.get("flops_per_query")
        if flops is None:  # as reports once were
            tokens, flops = one["tokens_per_chain"] * n, _times(one, n)
        for strategy in ("vote", "rerank", "upper_bound"):
            if strategy in search:
                more = search.get("scoring_flops_per_query") or 0.0 if strategy == "rerank" else 0.0
                point = Point(f"{n} chains", estimate_of(search[strategy]), tokens, None if flops is None else flops + more)
                found.append(Curve(run, checkpoint, split, strategy, (point,)))
    return found


def _times(report: Mapping[str, Any], chains: int) -> float | None:
    """Operations of many chains for a query, whose prompt is computed once. Where a report does not tell the prompt's, they are
    those of as many queries, which is a bit more."""
    flops, prompt = report.get("flops_per_query"), report.get("flops_per_prompt", 0.0)
    return None if flops is None else prompt + (flops - prompt) * chains


def _join(curves: Sequence[Curve]) -> list[Curve]:
    """Curves of one strategy made one, their points in the order of cost; votes begin with a single chain."""
    points: dict[tuple[str, str, str, str], dict[str, Point]] = {}
    for curve in curves:
        here = points.setdefault((curve.run, curve.checkpoint, curve.split, curve.strategy), {})
        here |= {point.label: point for point in curve.points}
    for (run, checkpoint, split, strategy), here in points.items():
        single = points.get((run, checkpoint, split, "sampled"), {}).get("sampled")
        if single is not None and strategy in ("vote", "rerank", "upper_bound"):
            here["1 chain"] = Point("1 chain", single.accuracy, single.tokens, single.flops)
    return [
        Curve(*key, tuple(sorted(here.values(), key=lambda point: (point.tokens or 0.0, point.flops or 0.0))))
        for key, here in points.items()
    ]
