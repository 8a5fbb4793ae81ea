"""The page: one file of HTML with everything in it. All text of runs is data in it, escaped, and only ever shown as text.

A content policy lets no script run but the page's own, by their hashes, and lets nothing be fetched.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reft import __version__
from reft.form import readable
from reft.ledger import LOOPS
from reft.report.chains import Packed, pack_chains
from reft.report.charts import break_evens, learning_charts, test_time_charts, training_chart
from reft.report.curves import Curve
from reft.report.read import RunRecord
from reft.report.studies import usefulness
from reft.run import WARMUP

HERE = Path(__file__).parent
SCRIPTS = ("charts.js", "tables.js", "browser.js", "page.js")
SPLITS = ("test", "dev", "train")
"""Of a run's own task; other names are those of benchmarks."""
TILES = ("warmup", "reinforced", "self_trained")


def as_data(content: Any) -> str:
    """JSON that stands in HTML as it is: no character that could end the element it stands in, or a line of JavaScript."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def build_page(runs: Sequence[RunRecord], logs: Sequence[Curve] = ()) -> tuple[str, Packed]:
    """The page on runs, and on published logs; what it holds of the chains."""
    import plotly.offline

    packed = pack_chains(runs)
    curves = [curve for run in runs for curve in _apart(run, runs)] + list(logs)
    training = training_chart(runs)
    data = {
        "runs": [_run_card(run) for run in runs],
        "training": _finite(training),
        "test_time": _finite(test_time_charts(curves)),
        "learning": _finite(learning_charts(runs)),
        "useful": _finite(usefulness(runs)),
        "unstudied": [str(run.path) for run in runs if run.summary and not run.studies],
        "break_even": [row for run in runs for row in break_evens(run)],
        "chains": {"shown": packed.shown, "total": packed.total},
        "notes": [f"{run.name}: {note}" for run in runs for note in run.notes],
    }
    title = ", ".join([*(run.name for run in runs), *(curve.run for curve in logs)])
    library = plotly.offline.get_plotlyjs()
    own = "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    scripts = [_script(library), _script(own)]
    policy = (
        f"default-src 'none'; script-src {' '.join(script.hash for script in scripts)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "POLICY": policy,
        "TITLE": html.escape(readable(title)),
        "STYLE": (HERE / "page.css").read_text(encoding="utf-8"),
        "DATA": as_data(data),
        "CHAINS": packed.text,
        "PLOTLY": scripts[0].text,
        "SCRIPT": scripts[1].text,
        "VERSION": html.escape(__version__),
    }
    template = (HERE / "page.html").read_text(encoding="utf-8")
    # In one go, so that no part is looked through for the names of others.
    return re.sub(r"@@([A-Z]+)@@", lambda match: parts[match[1]], template), packed


@dataclass(frozen=True)
class Script:
    """A script as it stands in the page, and its hash for the content policy."""

    text: str
    hash: str


def _script(text: str) -> Script:
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # as a browser reads HTML, and then hashes it
    text = re.sub(r"</(script)", r"<\\/\1", text, flags=re.IGNORECASE)
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return Script(text, f"'sha256-{digest}'")


def _apart(run: RunRecord, runs: Sequence[RunRecord]) -> list[Curve]:
    """A run's curves; where others' problems are not its own, its splits are called by the first run that has its task."""
    if all(other.settings.get("task") == run.settings.get("task") for other in runs):
        return run.curves
    first = next(other for other in runs if other.settings.get("task") == run.settings.get("task"))
    return [replace(curve, split=f"{curve.split}, {first.name}") if curve.split in SPLITS else curve for curve in run.curves]


def _run_card(run: RunRecord) -> dict[str, Any]:
    """What is told of a run at the top of the page."""
    summary = run.summary
    algorithm = run.settings.get("algorithm", {}).get("use")
    task = run.settings.get("task", {}).get("use")
    return _finite(
        {
            "name": run.name,
            "path": readable(run.path),
            "task": task,
            "algorithm": algorithm,
            "seed": run.settings.get("seed"),
            "steps": summary.get("steps"),
            "best_step": summary.get("best_step"),
            "unfinished": None if summary else _how_far(run),
            "flops": summary.get("training_flops") or max(run.training.values(), default=None),
            "tokens": summary.get("tokens_sampled"),
            "seconds": summary.get("seconds", {}).get("total"),
            "stages": {name: summary[name] for name in TILES if name in summary},
        }
    )


def _how_far(run: RunRecord) -> str:
    """Where a run is that has not written what came of it."""
    total = {
        "reinforce": run.settings.get("train", {}).get("steps"),
        "self_training": run.settings.get("self_training", {}).get("rounds"),
    }
    for loop, kind in zip(LOOPS, ("step", "round"), strict=True):
        if rows := run.rows.get(loop):
            return f"{kind} {rows[-1]['step']}" + (f" of {total[loop]}" if total[loop] else "")
    rows = run.rows.get(WARMUP)
    return f"warm-up, step {rows[-1]['step']}" if rows else "no step yet"


def _finite(content: Any) -> Any:
    """The same without numbers that JSON does not have."""
    if isinstance(content, float):
        return content if abs(content) < float("inf") else None
    if isinstance(content, dict):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return content
