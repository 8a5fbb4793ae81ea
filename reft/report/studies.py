"""Is the longer reasoning useful? What studies of chains have found, as the page shows it: charts, and tables of words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reft.chain_lengths import ALLOWED_GROWTH, judge_growth
from reft.chain_table import ALTERATIONS
from reft.report.charts import Chart, intervals, series
from reft.report.curves import estimate_of
from reft.report.read import RunRecord
from reft.statistics import Estimate
from rollout.search import names

Study = tuple[str, Mapping[str, Any]]
"""A checkpoint as the page calls it, and what was found of it."""
KINDS = {"one_try": "one-try chains", "chain": "whole chains"}
"""Chains that are held against one that takes as many tokens."""
WAYS = {"vote": "their vote", "weighted": "their weighted vote", "oracle": "an oracle over them"}
"""What is made of them."""


def usefulness(runs: Sequence[RunRecord]) -> dict[str, Any] | None:
    """Charts and tables of all studies of test problems; None where there are none."""
    several = len(runs) > 1
    studies = [
        (f"{run.name}, {name}" if several else name, study)
        for run in runs
        for name, study in _in_order(run)
        if study is not None
    ]
    if not studies:
        return None
    charts = [_use_chart(studies), _length_chart(studies), _asked_chart(studies)]
    makers = (_scaling_table, _gain_table, _content_table, _cost_table, _together_table, _sequential_table, _trend_table)
    tables = [make(studies) for make in makers]
    return {"charts": [chart for chart in charts if chart], "tables": [table for table in tables if table["rows"]]}


def _in_order(run: RunRecord) -> list[tuple[str, Mapping[str, Any]]]:
    """A run's studies on its test split, the cheapest checkpoint first."""
    own = [(str(study.get("checkpoint")), study) for study in run.studies if study.get("split") == "test"]
    return sorted(own, key=lambda pair: run.training.get(pair[0], 0.0))


def _use_chart(studies: Sequence[Study]) -> Chart | None:
    drawn = []
    for number, (name, study) in enumerate(studies):
        found = _estimates(study, "ablations", ALTERATIONS)
        if found:
            labels = [ALTERATIONS[key] for key in found]
            drawn.append(_points(name, labels, list(found.values()), number))
    axis = {"key": "x", "label": "", "log": False, "category": True}
    told = (
        "Accuracy behind the same steps, altered: reasoning that is of use falls without them. Where fewer chains can be "
        "altered, that is of those alone; a table below has the difference. The last is no accuracy, but the share of chains "
        "that go on from a value that was made false: where few do, the policy works its sums out from the problem, and not "
        "from what it wrote."
    )
    chart = _chart("use", "Use of the chain", told, axis, drawn, share=True)
    return chart and chart | {"side": "share"}


def _length_chart(studies: Sequence[Study]) -> Chart | None:
    drawn = []
    for number, (name, study) in enumerate(studies):
        rows = [((row["from"] + row["to"]) / 2, _estimate(row, "tokens")) for row in _dig(study, "difficulty", "bins") or ()]
        known = [(middle, value) for middle, value in rows if value is not None]
        if len(known) > 1:
            drawn.append(_points(name, [middle for middle, _ in known], [value for _, value in known], number))
    axis = {"key": "x", "label": "difficulty", "log": False}
    told = "Tokens a chain. A policy that thinks with a purpose thinks longer of what is harder, and no longer of what is easy."
    return _chart("length", "Length against difficulty", told, axis, drawn)


def _asked_chart(studies: Sequence[Study]) -> Chart | None:
    drawn = []
    for number, (name, study) in enumerate(studies):
        points = [point for curve in study.get("curves", []) if curve.get("strategy") == "ask" for point in curve["points"]]
        used = [(point["budget"], value) for point in points if (value := _estimate(point, "used"))]
        if used:
            drawn.append(_points(name, [budget for budget, _ in used], [value for _, value in used], number))
    axis = {"key": "x", "label": "tries asked for", "log": False}
    told = "Tries that were made, where the prompt asks for so many. Who succeeds stops before."
    return _chart("asked", "Asked for, and used", told, axis, drawn)


def _scaling_table(studies: Sequence[Study]) -> dict[str, Any]:
    rows = []
    for name, study in studies:
        tokens, accuracy = _dig(study, "natural", "tokens_per_query"), _estimate(study, "natural", "accuracy")
        if tokens is None or accuracy is None:
            continue
        own, first = [f"{tokens:.1f}", _show(accuracy)], name
        for strategy, found in (_dig(study, "scaling") or {}).items():
            if gain := _estimate(found, "gain"):
                bound = " (upper bound)" if strategy.endswith("oracle") else ""
                spent = [f"{_strategy(study, strategy)}{bound}", str(_dig(found, "budget")), _show(gain, sign=True)]
                rows.append([first, *spent, *own])
                own, first = ["", ""], ""
        if first:
            rows.append([first, "nothing goes beyond it", "", "", *own])
    return {
        "title": "Gains beyond the natural length",
        "note": "What greater budgets gain on chains that nobody forces, on the same problems, with 95% intervals. A gain "
        "below 0 is a loss against those chains.",
        "columns": ["checkpoint", "spent on", "budget", "gain", "natural tokens", "accuracy"],
        "numbers": [2, 3, 4, 5],
        "rows": rows,
    }


def _gain_table(studies: Sequence[Study]) -> dict[str, Any]:
    rows = []
    for name, study in studies:
        if total := _estimate(study, "gain", "total"):
            parts = [_show(_estimate(study, "gain", key), sign=True) for key in ("quality", "persistence")]
            rows.append([f"{name} on {_before(study)}", _show(total, sign=True), *parts])
    return {
        "title": "What training has gained",
        "note": "Quality: its chains, cut at the other's natural length, are better. Persistence: it goes on for longer.",
        "columns": ["checkpoint", "in all", "quality", "persistence"],
        "numbers": [1, 2, 3],
        "rows": rows,
    }


def _content_table(studies: Sequence[Study]) -> dict[str, Any]:
    told = {
        "repeated_tries": "repeated tries, of all tries",
        "verdict_error": "false verdicts, of all verdicts",
        "trace_error": "right answer by a wrong step, of right answers",
    }
    rows = []
    for key, words in told.items():
        found = [_estimate(study, "quality", key) for _, study in studies]
        if any(found):
            rows.append([words, *(_show(value) for value in found)])
    return {
        "title": "What is in the chains",
        "note": "Length that is padding would repeat itself, or be wrong.",
        "columns": ["", *(name for name, _ in studies)],
        "numbers": list(range(1, len(studies) + 1)),
        "rows": rows,
    }


def _cost_table(studies: Sequence[Study]) -> dict[str, Any]:
    rows = []
    for name, study in studies:
        first = name
        for key, words in ALTERATIONS.items():
            altered, same = _estimate(study, "ablations", key), _dig(study, "ablations", "against", key)
            if altered and (intact := _estimate(same, "none")):
                lost = _show(_estimate(same, "difference"), sign=True)
                rows.append([first, words, lost, _show(intact), _show(altered), str(altered.n)])
                first = ""
    return {
        "title": "What alterations cost",
        "note": "Accuracy behind altered steps against that behind the same chains' steps as they were, with 95% intervals; "
        "both times, what stands behind the steps is drawn anew.",
        "columns": ["checkpoint", "alteration", "difference", "intact", "altered", "chains"],
        "numbers": [2, 3, 4, 5],
        "rows": rows,
    }


def _together_table(studies: Sequence[Study]) -> dict[str, Any]:
    rows = []
    for name, study in studies:
        against = [("", row) for row in _dig(study, "equal_tokens") or ()]
        before = f" of {_before(study)}"
        against += [(before, row) for row in _dig(study, "gain", "equal_tokens") or ()]
        together: dict[tuple[str, str], dict[str, Any]] = {}
        for whose, row in against:
            budget = row.get("budget")
            long = "natural length" if budget is None else f"{names.short('wait')}, {budget}"
            kind, _, way = row["against"].rpartition("_")
            if kind in KINDS and way in WAYS:
                together.setdefault((long, KINDS[kind] + whose), {})[way] = row
        first = name
        for (long, several), ways in together.items():
            row = next(iter(ways.values()))
            tokens = [f"{row[key]:.1f}" for key in ("tokens_per_query", "their_tokens")]
            rows.append([first, long, several, *(_show(_estimate(ways.get(way), "gain"), sign=True) for way in WAYS), *tokens])
            first = ""
    return {
        "title": "Gain of one chain on several that take as many tokens",
        "note": "Or on all that were drawn, where those take fewer. An oracle picks a right one where there is one: no policy "
        "can do better with them. A gain below 0 is a loss against the several.",
        "columns": ["checkpoint", "one chain", "against", *(f"gain on {words}" for words in WAYS.values()), "tokens", "theirs"],
        "numbers": list(range(3, 5 + len(WAYS))),
        "rows": rows,
    }


def _sequential_table(studies: Sequence[Study]) -> dict[str, Any]:
    found = [(name, {row["budget"]: row for row in _dig(study, "sequential") or ()}) for name, study in studies]
    budgets = sorted({budget for _, points in found for budget in points})
    rows = [
        [name, *(_show(_estimate(points.get(budget), "gain"), sign=True) for budget in budgets)]
        for name, points in found
        if points
    ]
    return {
        "title": "Tries one behind the other",
        "note": "What so many tries in one chain gain on as many chains of one try, of which an oracle picks a right one where "
        "there is one. A gain below 0 is a loss.",
        "columns": ["checkpoint", *(names.counted(budget, "tries") for budget in budgets)],
        "numbers": list(range(1, len(budgets) + 1)),
        "rows": rows,
    }


def _trend_table(studies: Sequence[Study]) -> dict[str, Any]:
    rows = []
    for name, study in studies:
        slope, ranks = (_estimate(study, "difficulty", key) for key in ("slope", "spearman"))
        most, grown = _dig(study, "difficulty", "spearman_most"), _estimate(study, "gain", "easiest", "times")
        if slope or ranks or grown:
            easiest = f"{_show(grown)} times {_before(study)}, {judge_growth(grown.low, grown.high)}" if grown else "–"
            rows.append([name, _show(slope), _show(ranks), "–" if most is None else f"{most:.3f}", easiest])
    return {
        "title": "Length with difficulty",
        "note": "Spearman's correlation is of tokens with difficulty, and the most that it can be where no two lengths are "
        f"equal. On the easiest problems, chains surely more than {ALLOWED_GROWTH} times as long as before are padded.",
        "columns": ["checkpoint", "tokens a unit of difficulty", "Spearman", "at most", "length on the easiest"],
        "numbers": [1, 2, 3],
        "rows": rows,
    }


def _before(study: Mapping[str, Any]) -> str:
    """Whom a study's gain is held against."""
    return str(_dig(study, "gain", "before") or "the first one").rsplit("/", 1)[-1]


def _strategy(study: Mapping[str, Any], strategy: str) -> str:
    """What the study's strategy is called: by its unit, where it has one."""
    units = {str(curve.get("strategy")): str(curve.get("unit")) for curve in study.get("curves", [])}
    return names.words(strategy, units.get(strategy, ""))


def _points(name: str, x: Sequence[Any], values: Sequence[Estimate], colour: int) -> dict[str, Any]:
    return series(
        name, {"x": list(x)}, [value.value for value in values], colour, n=[value.n for value in values], **intervals(values)
    )


def _chart(
    name: str, title: str, caption: str, axis: dict[str, Any], drawn: list[dict[str, Any]], share: bool = False
) -> Chart | None:
    if not drawn:
        return None
    return {"id": f"useful-{name}", "title": title, "caption": caption, "axes": [axis], "series": drawn, "share": share}


def _estimates(study: Mapping[str, Any], part: str, names: Mapping[str, str]) -> dict[str, Estimate]:
    found = {name: _estimate(study, part, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _estimate(content: Any, *path: str) -> Estimate | None:
    """The estimate at a place; None where there is none, or none with an interval."""
    found = _dig(content, *path)
    return None if found is None or None in found.values() else estimate_of(found)


def _dig(content: Any, *path: str) -> Any:
    """What is at a place; None where that, or what should hold it, is not there."""
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _show(value: Estimate | None, sign: bool = False) -> str:
    if value is None:
        return "–"
    form: Callable[[float], str] = ("{:+.3f}" if sign else "{:.3f}").format
    return f"{form(value.value)} [{form(value.low)}, {form(value.high)}]"
