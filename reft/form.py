"""What files of a run may hold, said once: whatever else they hold is left out and told, and nothing further on need ask.

A form is a `Leaf`, a list of a form, `Fields`, or `Maybe`, of which null is no damage.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GREATEST = 1e100
"""Numbers are smaller than this: products of some of them are finite still."""
NAMED = 3
"""Places of a file that are told; of more, the count."""


@dataclass(frozen=True)
class Leaf:
    """A value without parts: what it is called, and whether a value is one."""

    name: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True)
class Maybe:
    form: Any


@dataclass(frozen=True)
class Fields:
    """An object: fields of which none may be missing, fields that may, and the form of all others (as they are)."""

    needed: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, Any] = field(default_factory=dict)
    other: Any = None


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < GREATEST


ANY = Leaf("anything", lambda value: True)
TEXT = Leaf("text", lambda value: isinstance(value, str))
NUMBER = Leaf("a number", is_number)
AMOUNT = Leaf("a number from 0 up", lambda value: is_number(value) and value >= 0)
COST = Leaf("a number above 0", lambda value: is_number(value) and value > 0)
SHARE = Leaf("a share from 0 to 1", lambda value: is_number(value) and 0 <= value <= 1)
COUNT = Leaf("a count", lambda value: is_number(value) and isinstance(value, int) and 0 <= value < 1e15)

ESTIMATE = Fields({"value": SHARE, "n": COUNT, "low": SHARE, "high": SHARE})
COSTS = {"tokens_per_query": Maybe(AMOUNT), "flops_per_query": Maybe(COST)}
MEASURE = Fields({"value": NUMBER, "n": COUNT, "low": Maybe(NUMBER), "high": Maybe(NUMBER)})
"""An estimate of what is no share: tokens, tries, gains. Of a single problem there is no interval."""
POINT = Fields({"budget": ANY, "accuracy": ESTIMATE}, COSTS | {"used": Maybe(MEASURE)})
CURVE = Fields({"strategy": TEXT, "points": [POINT]}, {"unit": Maybe(TEXT)})
MODE = Fields(
    {"accuracy": ESTIMATE, "tokens_per_chain": AMOUNT},
    {"flops_per_query": Maybe(COST), "maj@k": Fields(other=ESTIMATE), "pass@k": Fields(other=ESTIMATE)},
)
BESTS = {name: ESTIMATE for name in ("vote", "rerank", "upper_bound")}
AGAINST = Fields(
    {"against": TEXT, "tokens_per_query": AMOUNT, "their_tokens": AMOUNT, "gain": MEASURE}, {"budget": Maybe(COUNT)}
)
"""One chain against several."""
BIN = Fields({"from": NUMBER, "to": NUMBER}, {"tokens": Maybe(MEASURE)})
ALTERED = Fields({"none": ESTIMATE, "difference": MEASURE})
"""Chains with their steps as they were, and what an alteration makes of their accuracy."""
PARTS = {name: Maybe(MEASURE) for name in ("total", "quality", "persistence")}
STUDY = {
    "difficulty": Maybe(
        Fields({}, {"bins": [BIN], "slope": Maybe(MEASURE), "spearman": Maybe(MEASURE), "spearman_most": Maybe(NUMBER)})
    ),
    "ablations": Maybe(
        Fields({}, {"chains": COUNT, "with_steps": COUNT, "against": Fields(other=Maybe(ALTERED))}, Maybe(ESTIMATE))
    ),
    "quality": Maybe(Fields(other=Maybe(MEASURE))),
    "scaling": Maybe(Fields(other=Maybe(Fields({"budget": ANY, "gain": MEASURE})))),
    "sequential": [Fields({"budget": COUNT, "gain": MEASURE})],
    "equal_tokens": [AGAINST],
    "gain": Maybe(
        Fields({}, {"before": TEXT, "easiest": Maybe(Fields({}, {"times": Maybe(MEASURE)})), "equal_tokens": [AGAINST]} | PARTS)
    ),
}
"""What a study of chains has found beside its curves."""
REPORT = Fields(
    {},
    {"checkpoint": TEXT, "split": TEXT, "benchmark": TEXT, "curves": [CURVE], "greedy": MODE, "sampled": MODE,
     "natural": Maybe(Fields({"accuracy": ESTIMATE}, COSTS)), "strategy": TEXT,
     "search": Fields({"chains": COUNT}, BESTS | COSTS | {"scoring_flops_per_query": Maybe(COST)})} | STUDY,
)  # fmt: skip
"""`eval/NAME.json`."""
STATE = Fields({}, {"best_step": Maybe(COUNT), "flops": Fields(other=AMOUNT)})
STAGE = Fields({}, {"greedy": ESTIMATE, "sampled": ESTIMATE, "tokens_per_chain": NUMBER})
SUMMARY = Fields(
    {},
    {"best_step": Maybe(COUNT), "steps": COUNT, "training_flops": NUMBER, "tokens_sampled": NUMBER,
     "seconds": Fields(other=NUMBER), "warmup": STAGE, "reinforced": STAGE, "self_trained": STAGE},
)  # fmt: skip
SHARES = {f"{split}/{mode}": SHARE for split in ("train", "dev", "test") for mode in ("greedy", "sampled")}
ROW = Fields({"phase": TEXT, "step": COUNT}, {"compute/flops": AMOUNT, "samples/tokens": AMOUNT} | SHARES, NUMBER)
"""A line of `metrics.jsonl`."""
SETTINGS = Fields(
    {},
    {"task": Fields({}, {"use": TEXT}), "algorithm": Fields({}, {"use": TEXT}), "evaluate": Fields({}, {"select_on": TEXT}),
     "train": Fields({}, {"steps": COUNT}), "self_training": Fields({}, {"rounds": COUNT}), "seed": Maybe(NUMBER)},
)  # fmt: skip

_GONE = object()


class Complaints:
    """What of a file was left out, counted, and told in a line."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[str] = []
        self._count = 0

    def add(self, place: str, wanted: str, value: Any) -> None:
        self._count += 1
        if len(self._found) < NAMED:
            shown = "null or not finite" if value is None else json.dumps(value, default=str)
            shown = shown if len(shown) <= 40 else f"{shown[:40]} …"
            self._found.append(f"{place} is missing" if value is _GONE else f"{place or 'it'} is {shown}, not {wanted}")

    def told(self) -> Iterator[str]:
        """A line, or none where there is nothing to tell."""
        if self._count:
            more = f", and {self._count - len(self._found):,} more" if self._count > len(self._found) else ""
            yield f"{self.file} is damaged, which is left out: {'; '.join(self._found)}{more}"


def fit(content: Any, form: Any, complaints: Complaints, place: str = "") -> Any:
    """What of a value is of a form, without the rest; None where nothing is. `place` is where in the file it stands."""
    found = _fit(content, form, place, complaints)
    return None if found is _GONE else found


def _fit(content: Any, form: Any, place: str, complaints: Complaints) -> Any:
    if isinstance(form, Maybe):
        return None if content is None else _fit(content, form.form, place, complaints)
    if isinstance(form, Leaf):
        if form.holds(content):
            return content
        complaints.add(place, form.name, content)
        return _GONE
    if isinstance(form, list):
        if isinstance(content, list):
            items = (_fit(item, form[0], f"{place}[{number}]", complaints) for number, item in enumerate(content))
            return [item for item in items if item is not _GONE]
        complaints.add(place, "a list", content)
        return _GONE
    if isinstance(content, dict):
        return _fit_fields(content, form, place, complaints)
    complaints.add(place, "an object", content)
    return _GONE


def _fit_fields(content: dict[Any, Any], form: Fields, place: str, complaints: Complaints) -> Any:
    before = f"{place}{'' if place.endswith(' ') else '.'}" if place else ""
    for name in form.needed:
        if name not in content:
            complaints.add(f"{before}{name}", "", _GONE)
            return _GONE
    found = {}
    for name, value in content.items():
        wanted = form.needed.get(name, form.known.get(name, form.other))
        fitting = value if wanted is None else _fit(value, wanted, f"{before}{name}", complaints)
        if fitting is not _GONE:
            found[str(name)] = fitting
        elif name in form.needed:
            return _GONE
    return found


def parse(text: str) -> Any:
    """JSON as others than Python know it, too: what is no finite number, or greater than any that is used, is null.

    Raises:
        ValueError: if it is none, or is too deep.
    """
    try:
        return json.loads(text, parse_constant=lambda _: None, parse_int=_integer, parse_float=_real)
    except RecursionError as error:
        raise ValueError("too deep") from error


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) < math.log10(GREATEST) else None


def _real(digits: str) -> float | None:
    value = float(digits)
    return value if is_number(value) else None


def readable(path: Path | str) -> str:
    """A path as text that can be written, whatever the bytes of its name."""
    return str(path).encode("utf-8", "replace").decode("utf-8")
