"""Problems from any data set that `datasets` loads: a hub name, a local folder of data files, or one saved to disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reft.errors import ConfigError, DataError
from reft.tasks import SplitName
from reft.tasks.records import Record, RecordTask


@dataclass(frozen=True)
class Hub(RecordTask):
    """Settings of the task: which data set, and (inherited) how a record is read."""

    name: str = ""
    """Hub name such as `openai/gsm8k`, or a folder; required."""
    subset: str | None = None
    """The data set's configuration, such as `main`."""
    revision: str | None = None
    """Commit, branch or tag on the hub; name a commit for a run that can be repeated."""
    train: str = "train"
    """Split to learn from."""
    dev: str | None = None
    """Split to choose checkpoints by; null takes 10% of `train`."""
    test: str | None = None
    """Split to report on; null takes 20% of `train`."""

    def validate(self) -> None:
        RecordTask.validate(self)
        if not self.name:
            raise ConfigError("task.name is missing; give a data set's hub name or folder")

    def records(self, split: SplitName) -> Sequence[tuple[str, Record]] | None:
        part = {"train": self.train, "dev": self.dev, "test": self.test}[split]
        if part is None:
            return None
        rows = load_split(f"task.name={self.name}", self.name, self.subset, part, self.revision)
        if len(rows) == 0:
            raise DataError(f"task.name={self.name}: split {part!r} is empty; choose another as task.{split}")
        count = len(rows) if self.limit is None else min(self.limit, len(rows))
        return [(f"{self.name}/{part}:{at}", rows[at]) for at in range(count)]


def load_split(key: str, name: str, subset: str | None, part: str, revision: str | None) -> Any:
    """The rows of a data set's split.

    Args:
        key: what the user names the data set by, as errors begin with it.
        name: hub name, or a folder.

    Raises:
        DataError: if it cannot be had.
    """
    import datasets  # heavy, and only this needs it

    try:
        if (Path(name) / "dataset_dict.json").exists():
            return datasets.load_from_disk(name)[part]
        return datasets.load_dataset(name, subset, split=part, revision=revision)
    except KeyError as error:
        raise DataError(f"{key} has no split {part!r}; see its data card") from error
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{key}, split {part!r}, cannot be loaded: {reason}") from error
