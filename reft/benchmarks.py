"""Benchmarks by name: where each is, what its records must have, and how one becomes a problem with a known answer.

Records come from the hub through `datasets`, or from a file, or from a folder in which the benchmark's file is found by its
name. A benchmark may be told in several forms, as different people keep it; a record must have all fields of one of them.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reft.errors import ConfigError, DataError
from reft.tasks import SplitName, Task, Trace
from reft.tasks.hub import load_split
from reft.tasks.jsonl import load_records
from reft.tasks.records import PROGRAM, Record, RecordTask
from rewards.boxes import last_box
from rewards.equal import read
from rewards.known import is_readable, known_answer
from rewards.program import Program
from rollout.types import Problem

EMBEDDED = ("running_total", "signed_sum", "word_problems")
"""Tasks whose problems are made here."""
EXTENSIONS = (".jsonl", ".json")


@dataclass(frozen=True)
class Form:
    """Where a record has its question and its answer: names of fields, joined by a space where there are several."""

    question: tuple[str, ...]
    answer: str
    after: str = ""
    """What stands before the answer inside its field, as GSM8K's `####`; or `box` for the content of the last box."""
    remove: str = ""
    """Regular expression of what is no part of the answer."""

    @property
    def fields(self) -> tuple[str, ...]:
        return (*self.question, self.answer)

    @property
    def where(self) -> str:
        """In which part of its field the answer is, in words; "" where it is all of it."""
        return " (in a box)" if self.after == "box" else f" (behind {self.after})" if self.after else ""

    def flaw(self, record: Record) -> str:
        """What is of another type than questions and answers are; "" where nothing is."""
        for name in self.fields:
            value, texts = record[name], name in self.question
            parts = value if isinstance(value, list) and not texts else [value]
            for part in parts:
                number = isinstance(part, int | float) and not isinstance(part, bool) and math.isfinite(part)
                if not (part is None or isinstance(part, str) or (number and not texts)):
                    wanted = "text" if texts else "a text, a finite number or a list of these"
                    return f"{name!r} is {str(value)[:40]!r}, a {type(value).__name__}, not {wanted}"
        return ""

    def told(self, record: Record) -> tuple[str, str]:
        """The question and the known answer, "" where there is none."""
        *first, last = ("" if record[name] is None else str(record[name]).strip() for name in self.question)
        ended = [part if part.endswith((".", "?", "!")) else f"{part}." for part in first if part]
        return " ".join([*ended, last]), self._answer(record[self.answer])

    def _answer(self, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, list):
            return ", ".join(str(part).strip().strip("$") for part in value)
        text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        if self.after == "box":
            return last_box(text) or ""
        if self.after:
            text = text.rpartition(self.after)[2] if self.after in text else ""
        return re.sub(self.remove, "", text).strip() if self.remove else text.strip()


@dataclass(frozen=True)
class Benchmark:
    """A known set of problems."""

    hub: str
    forms: tuple[Form, ...]
    subset: str | None = None
    split: str = "test"
    files: tuple[str, ...] = ()
    """Names of its file or its file's folder, besides its own."""

    @property
    def needs(self) -> str:
        """What a record must have, in words."""
        return ", or ".join(" + ".join(form.fields) + form.where for form in self.forms)


REFT_FORM = Form(("question",), "answer_value")
PLAIN = (Form(("problem",), "answer"), Form(("question",), "answer"), Form(("problem",), "expected_answer"))

KNOWN: Mapping[str, Benchmark] = {
    "gsm8k": Benchmark(
        "openai/gsm8k", (Form(("question",), "answer", "####"), REFT_FORM), "main", files=("gsm8k_test_set",)
    ),
    "svamp": Benchmark("ChilleD/SVAMP", (Form(("Body", "Question"), "Answer"), REFT_FORM), files=("svamp_test_set",)),
    "asdiv": Benchmark(
        "EleutherAI/asdiv", (Form(("body", "question"), "answer", remove=r"(?<=\w)\s*\([^()]*\)"),), "asdiv", "validation"
    ),
    "math500": Benchmark("HuggingFaceH4/MATH-500", PLAIN, files=("math_500",)),
    "aime24": Benchmark("HuggingFaceH4/aime_2024", PLAIN, split="train", files=("aime_2024", "aime2024")),
    "aime25": Benchmark("math-ai/aime25", PLAIN, files=("aime_2025", "aime2025")),
    "amc23": Benchmark("math-ai/amc23", PLAIN),
    "minerva": Benchmark(
        "math-ai/minervamath", (Form(("problem",), "solution", "box"), *PLAIN), files=("minerva_math", "minervamath")
    ),
    "olympiadbench": Benchmark(
        "Hothan/OlympiadBench", (Form(("question",), "final_answer"),), "OE_TO_maths_en_COMP", "train", ("olympiad_bench",)
    ),
}  # fmt: skip


def describe() -> str:
    """The known names, and what each needs."""
    known = [f"{name} (hub {known.hub}; a record has {known.needs})" for name, known in KNOWN.items()]
    return "; ".join([*known, f"{', '.join(EMBEDDED)} (made here; need nothing)"])


def check_name(name: str, own: str) -> None:
    """Raise `ConfigError` for a name that is neither a benchmark's, nor an embedded task's, nor the run's own task."""
    if name not in KNOWN and name not in EMBEDDED and name != own:
        extra = f"; {own}, the run's own task" * (bool(own) and own not in EMBEDDED)
        raise ConfigError(f"--on {name!r} is no known benchmark; there are: {describe()}{extra}")


@dataclass(frozen=True)
class Questions(RecordTask):
    """How a benchmark's problems are asked and its chains read; the settings are those of records (`reft.tasks.records`)."""

    style: str = "lenient"

    def records(self, split: SplitName) -> Sequence[tuple[str, Record]] | None:
        return None

    def read(self, problem: Problem, text: str) -> str | Program | None:
        if self.style in ("strict", "lenient"):  # which look at the known answer, too, for a letter or several parts
            return read(text, "text", "strict" if self.style == "strict" else "lenient", problem.answer)
        return RecordTask.read(self, problem, text)

    def trace(self, problem: Problem, text: str) -> Trace | None:
        return None

    def ask(self, name: str, question: str, answer: str) -> Problem:
        """A problem by its question and its known answer."""
        return self._problem({"question": question, "answer_value": answer}, name)


def questions(task: Task, prompt: str | None, style: str | None) -> Questions:
    """How to ask: as the run's task does where that is one of records, and as told where something is."""
    asked = {"prompt": task.prompt, "opening": task.opening, "style": task.style} if isinstance(task, RecordTask) else {}
    if prompt is not None:
        asked |= {"prompt": prompt, "opening": ""}
    if style is not None:
        asked["style"] = style
    program = asked.get("style") == PROGRAM
    found = Questions(**asked, **({"closing": "", "numeric": True} if program else {}))  # type: ignore[arg-type]
    found.validate()
    return found


@dataclass(frozen=True)
class Loaded:
    """A benchmark's problems, those that can be scored and those that cannot."""

    name: str
    source: str
    """Where the records come from."""
    problems: list[Problem]
    unscored: dict[str, str] = field(default_factory=dict)
    """Known answers that do not parse, by the problem: they are counted, and score nothing."""


def load_benchmark(name: str, data: str | None, asked: Questions, limit: int | None = None) -> Loaded:
    """The problems of a known benchmark, from `data`, a file or a folder, or from the hub where that is None.

    Args:
        limit: problems at most that can be scored; what is behind the last of them is not looked at.

    Raises:
        DataError: if they cannot be had, or a record has not the fields of any known form.
    """
    known = KNOWN[name]
    if data is None:
        try:
            rows = load_split(f"--on {name}: {known.hub}", known.hub, known.subset, known.split, None)
        except DataError as error:
            raise DataError(f"{error}; where the hub is out of reach, name its file or a folder with --data") from error
        source, records = f"hub: {known.hub}", [(f"{known.hub}/{known.split}:{at}", row) for at, row in enumerate(rows)]
    else:
        path = find_file(name, Path(data))
        source, records = str(path), load_records("--data ", str(path))
    if not records:
        raise DataError(f"--on {name}: {source} is empty; give it at least one record")
    problems: list[Problem] = []
    unscored: dict[str, str] = {}
    form = _form(name, known, records[0])
    for at, (place, record) in enumerate(records):
        if len(problems) == limit:
            break
        if not isinstance(record, dict) or any(key not in record for key in form.fields):
            form = _form(name, known, (place, record))
        if flaw := form.flaw(record):
            raise DataError(f"--on {name}: the fields have changed: {place}: {flaw}")
        question, answer = form.told(record)
        key = f"{name}:{at}"
        if not question or not record[form.question[-1]]:
            raise DataError(f"--on {name}: {place} has an empty {form.question[-1]}; mend it or remove the record")
        if not answer or not is_readable(answer):
            flaw = known_answer(answer).flaw if answer else "there is none"
            unscored[key] = f"{str(record[form.answer])[-60:]!r}: {flaw or 'the checker cannot read it'}"
            continue
        problems.append(asked.ask(key, question, answer))
    if not problems:
        raise DataError(f"--on {name}: no known answer of {source} parses, e.g. {next(iter(unscored.values()))}")
    return Loaded(name, source, problems, unscored)


def find_file(name: str, data: Path) -> Path:
    """The benchmark's file: `data` itself, or the first file in that folder that bears one of its names, or is the `test` file
    of a folder that does; the fewer folders down, the earlier, then by the alphabet.

    Raises:
        DataError: if there is none.
    """
    if data.is_file():
        return data
    if not data.is_dir():
        raise DataError(f"--data {data} is not there; name a file of {name}, or a folder that has one")
    names = [name, *KNOWN[name].files]
    files = sorted(
        (path for extension in EXTENSIONS for path in data.rglob(f"*{extension}")),
        key=lambda path: (len(path.parts), str(path)),
    )
    for wanted in names:
        for path in files:
            folder = path.parent.name.lower() if path.stem.lower() == "test" else ""
            if wanted in (path.stem.lower(), folder):
                return path
    looked = ", ".join(f"{wanted}.jsonl or {wanted}/test.jsonl" for wanted in names)
    raise DataError(f"--data {data} has no file of {name}; looked for {looked}; name the file itself, or leave --data out")


def _form(name: str, known: Benchmark, entry: tuple[str, Any]) -> Form:
    place, record = entry
    if not isinstance(record, dict):
        raise DataError(f"--on {name}: {place} is no JSON object but {str(record)[:60]!r}")
    for form in known.forms:
        if all(key in record for key in form.fields) and (not form.after or form.told(record)[1]):
            return form
    nearest = min(known.forms, key=lambda form: sum(key not in record for key in form.fields))
    missing = [key for key in nearest.fields if key not in record]
    what = f"there is no field {', '.join(map(repr, missing))}" if missing else f"{nearest.answer!r} has no {nearest.after!r}"
    raise DataError(
        f"--on {name}: the fields have changed: {place}: {what}; it has {', '.join(map(str, record))}, and needs {known.needs}"
    )
