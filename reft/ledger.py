"""A run's metrics and other files, read without its lock, so that a run at work can be read, too. What is damaged is left out
and told: `form` says what may be there."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reft.form import ROW, STATE, Complaints, Fields, fit, parse, readable
from reft.run import WARMUP, round_name, step_name

LOOPS = ("reinforce", "self_training")
"""Phases whose metrics count operations."""


def read_lines(file: Path, notes: list[str], form: Fields | None = None) -> Iterator[dict[str, Any]]:
    """Rows of a file of JSON lines, what of them is of a form; what is not is counted and told. A file that is not there has
    none."""
    if not file.is_file():
        return
    bad = 0
    name = readable(f"{file.parent.name}/{file.name}")
    complaints = Complaints(name)
    with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            try:
                content = parse(line)
            except ValueError:
                content = None
            if isinstance(content, dict):
                row = content if form is None else fit(content, form, complaints, f"line {number}: ")
                if row is not None:
                    yield row
            elif line.strip():
                bad += 1
    if bad:
        notes.append(f"{name}: {bad} lines are damaged and left out")
    notes.extend(complaints.told())


def read_object(file: Path, notes: list[str], form: Fields) -> dict[str, Any] | None:
    """What of a JSON file is of a form; what is not is told. None for one that is not there, or no object."""
    if not file.is_file():
        return None
    try:
        content = parse(file.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    name = readable(f"{file.parent.name}/{file.name}")
    if not isinstance(content, dict):
        notes.append(f"{name} is damaged and left out")
        return None
    complaints = Complaints(name)
    found: dict[str, Any] | None = fit(content, form, complaints)
    notes.extend(complaints.told())
    return found


def read_metrics(path: Path, notes: list[str]) -> dict[str, list[dict[str, Any]]]:
    """A run's metrics by phase, oldest first."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for content in read_lines(path / "metrics.jsonl", notes, ROW):
        rows.setdefault(content["phase"], []).append(content)
    return rows


def read_state(path: Path, notes: list[str]) -> dict[str, Any]:
    """A run's counters; none where they were not written."""
    return read_object(path / "state.json", notes, STATE) or {}


def training_flops(rows: Mapping[str, Sequence[Mapping[str, Any]]], state: Mapping[str, Any]) -> dict[str, float]:
    """Operations up to each checkpoint of a run, by its metrics by phase and its `state.json`, where they were counted."""
    found: dict[str, float] = {}
    if WARMUP in (spent := state.get("flops") or {}):
        found[WARMUP] = float(spent[WARMUP])
    for loop, name in zip(LOOPS, (step_name, round_name), strict=True):
        found |= {name(row["step"]): row["compute/flops"] for row in rows.get(loop, []) if "compute/flops" in row}
    return found
