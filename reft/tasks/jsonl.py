"""Problems from JSON files: one object a line, or one list of objects. GSM8K's and ReFT's files load by config alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reft.errors import ConfigError, DataError
from reft.tasks import SplitName
from reft.tasks.records import Record, RecordTask


@dataclass(frozen=True)
class Jsonl(RecordTask):
    """Settings of the task: files, and (inherited) how a record is read. A path is relative to the current folder."""

    train: str = ""
    """File of the problems to learn from; required."""
    dev: str | None = None
    """File of the problems to choose checkpoints by; null takes 10% of `train`."""
    test: str | None = None
    """File of the problems to report on; null takes 20% of `train`."""

    def validate(self) -> None:
        RecordTask.validate(self)
        if not self.train:
            raise ConfigError("task.train is missing; name a .jsonl or .json file")

    def records(self, split: SplitName) -> Sequence[tuple[str, Record]] | None:
        path = {"train": self.train, "dev": self.dev, "test": self.test}[split]
        if path is None:
            return None
        records = load_records(f"task.{split}=", path)
        if not records:
            raise DataError(f"task.{split}={path} is empty; give it at least one record")
        for name, record in records:
            if not isinstance(record, dict):
                raise DataError(f"{name} is no JSON object but {str(record)[:60]!r}")
        return records[: self.limit]


def load_records(key: str, path: str) -> list[tuple[str, Any]]:
    """Each JSON value of the file with its place, `PATH:line` or, in a list, `PATH:number`.

    Args:
        key: what the user names the file by, as errors begin with it.

    Raises:
        DataError: if it cannot be read, or half a character stands in it.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DataError(f"{key}{path}: {reason}; name a readable .jsonl or .json file") from error
    try:
        if text.lstrip().startswith("["):
            return [_whole(f"{path}:{at}", value) for at, value in enumerate(json.loads(text), start=1)]
        lines = [(at, line) for at, line in enumerate(text.split("\n"), start=1) if line.strip()]
    except json.JSONDecodeError as error:
        raise DataError(f"{key}{path} is not JSON: {error}") from error
    return [_whole(f"{path}:{at}", _parse(line, f"{path}:{at}")) for at, line in lines]


def _parse(line: str, name: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{name} is not JSON: {error}") from error


def _whole(name: str, value: Any) -> tuple[str, Any]:
    """A value and its place. Half of a pair of surrogates is JSON, and no text: no tokenizer takes it, and no file."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        text, at = error.object, error.start
        raise DataError(
            f"{name} has half a character, \\u{ord(text[at]):04x}, behind {text[max(0, at - 30) : at]!r}; write the whole one, "
            "or remove the record"
        ) from error
    return name, value
