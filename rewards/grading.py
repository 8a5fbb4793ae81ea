"""Grade responses: extract the answer, compare it with the known one. One call, or a line of a file of pairs."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, get_args

from rewards.algebra.scalar import Policy
from rewards.answer import Mode
from rewards.equal import Checker, Form, Verdict, VerdictOutcome, read

LONGEST_LINE = 64_000_000
"""Characters of a line, and of a text put together from parts."""


@dataclass(frozen=True)
class Grade:
    """The verdict on a response, the answer found in it (None if there is none), and the wall seconds it took."""

    verdict: Verdict
    extracted: str | None
    seconds: float

    @property
    def accepted(self) -> bool:
        return self.verdict.correct


class PairError(ValueError):
    """A line is no pair; the message says why."""


@lru_cache(maxsize=8)
def _shared(policy: Policy) -> Checker:
    return Checker(policy)


def grade(
    gold: str,
    prediction: str,
    *,
    gold_form: Form = "answer",
    prediction_form: Form = "text",
    mode: Mode = "strict",
    policy: Policy | None = None,
    checker: Checker | None = None,
) -> Grade:
    """Whether a response gives the known answer.

    Args:
        gold: the known answer.
        prediction: what a model wrote.
        gold_form, prediction_form: "answer" (a bare answer), "latex" (one formula, with or without dollar signs), or "text" (a
            response to extract an answer from).
        mode: "strict", for rewards, takes a box, a tag, a marker or a bare answer; "lenient", for evaluation and the default of
            `reft grade`, the last formula or number too.
        policy: what counts as the same where mathematics leaves it open.
        checker: one of your own, with its own policy, instead of a shared one.

    Raises:
        TypeError: if the known answer or the response is no str, the policy no Policy, the checker no Checker, or both are
            given.
        ValueError: if a mode or form is unknown.
    """
    for name, text in (("gold", gold), ("prediction", prediction)):
        if not isinstance(text, str):
            raise TypeError(f"{name}={repr(text)[:80]} is a {type(text).__name__}; give a str")
    for option, given, kind in (("policy", policy, Policy), ("checker", checker, Checker)):
        if given is not None and not isinstance(given, kind):
            raise TypeError(f"{option}={repr(given)[:80]} is a {type(given).__name__}; give a rewards.{kind.__name__}(...)")
    if policy is not None and checker is not None:
        raise TypeError("policy and checker are both given; a checker has a policy, so give Checker(policy)")
    for name, value, kinds in (
        ("mode", mode, Mode),
        ("gold_form", gold_form, Form),
        ("prediction_form", prediction_form, Form),
    ):
        if value not in get_args(kinds):
            raise ValueError(f"{name}={value!r} is unknown; choose from {', '.join(get_args(kinds))}")
    begun = time.perf_counter()
    known = read(gold, "text", "lenient") if gold_form == "text" else gold
    known = gold if known is None else known
    extracted = read(prediction, prediction_form, mode, known)
    verdict = (checker or _shared(policy or Policy())).check(extracted, known)
    return Grade(verdict, extracted, time.perf_counter() - begun)


@dataclass(frozen=True)
class Pair:
    """A line of a file of pairs."""

    number: int
    id: str
    gold: str
    prediction: str
    gold_form: Form
    prediction_form: Form
    expected: bool | None
    kind: str


def parse_pair(line: str, number: int) -> Pair:
    """The pair on a line of JSON.

    Raises:
        PairError: where it is none.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: also integers too long for Python
        raise PairError(f"no JSON: {error}") from error
    if not isinstance(row, dict):
        raise PairError("no JSON object")
    forms = {key: row.get(key, "answer") for key in ("gold_form", "prediction_form")}
    for key, form in forms.items():
        if form not in get_args(Form):
            raise PairError(f"{key} {form!r} is none of {', '.join(get_args(Form))}")
    expected = row.get("expected")
    if expected is not None and not isinstance(expected, bool):
        raise PairError(f"expected is {expected!r}, not true or false")
    return Pair(
        number, str(row.get("id",
        number)), _text(row, "gold"), _text(row, "prediction"), forms["gold_form"], forms["prediction_form"],
        expected, str(row.get("kind", "")),
    )  # fmt: skip


def _text(row: Mapping[str, Any], key: str) -> str:
    """The text of a field, put together where it is given in parts; a null is an empty text."""
    if f"{key}_parts" in row and row.get(key) is None and row[f"{key}_parts"] is not None:
        try:
            pieces = [(str(piece), count) for piece, count in row[f"{key}_parts"]]
        except (TypeError, ValueError) as error:
            raise PairError(f"{key}_parts is no list of [piece, count]") from error
        for _, count in pieces:
            if not isinstance(count, int) or count < 0:
                raise PairError(f"{key}_parts has a count of {repr(count)[:80]}; give a whole number, 0 or more")
        if sum(len(piece) * count for piece, count in pieces) > LONGEST_LINE:
            raise PairError(f"{key}_parts make more than {LONGEST_LINE} characters")
        return "".join(piece * count for piece, count in pieces)
    if key not in row:
        raise PairError(f"there is no field {key!r}")
    if row[key] is None:
        return ""
    if not isinstance(row[key], str | int | float) or isinstance(row[key], bool):
        raise PairError(f"{key} is {json.dumps(row[key])[:80]}, no text or number")
    return str(row[key])


@dataclass
class Tally:
    """Counts of a file: by stage, by outcome, by kind where it is known what is expected."""

    lines: int = 0
    bad: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    stages: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[VerdictOutcome] = field(default_factory=Counter)
    timeouts: int = 0
    kinds: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    """Right and all, by kind."""

    def add(self, pair: Pair, graded: Grade) -> None:
        self.lines += 1
        self.seconds += graded.seconds
        self.slowest = max(self.slowest, graded.seconds)
        self.stages[graded.verdict.stage] += 1
        self.outcomes[graded.verdict.outcome] += 1
        self.timeouts += graded.verdict.unfinished
        if pair.expected is not None:
            count = self.kinds[pair.kind]
            count[0] += graded.accepted == pair.expected
            count[1] += 1


Line = tuple[int, str | PairError]
"""A line's number and its text, or what is wrong with it already."""
Result = tuple[Pair, Grade] | tuple[int, PairError]
"""A pair with its grade, or the number of a line that is none with what is wrong with it."""


def parsed(number: int, line: str | PairError) -> Pair | PairError:
    """The pair on a line, or what is wrong with it."""
    if isinstance(line, PairError):
        return line
    try:
        return parse_pair(line, number)
    except PairError as error:
        return error


def grade_line(number: int, line: str | PairError, mode: Mode, checker: Checker) -> Result:
    """The grade of a numbered line."""
    pair = parsed(number, line)
    if isinstance(pair, PairError):
        return number, pair
    return pair, grade(
        pair.gold, pair.prediction, gold_form=pair.gold_form, prediction_form=pair.prediction_form, mode=mode, checker=checker
    )
