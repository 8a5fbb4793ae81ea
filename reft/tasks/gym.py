"""Problems of reasoning-gym (an extra), made by any of its data sets: arithmetic, logic, games, and GSM8K's templates.

Where more than one answer is right, the data set's own `score_answer` judges: what it scores with 1 is read as the known
answer, so that checker, rewards and evaluation agree. Several of these functions evaluate what a model wrote, so they run in
a confined process (`rewards.program_child`); an answer that gets itself run there can still forge its own score, and no more.

Answers of several lines need a closing such as `<answer>{answer}</answer>` and `style: strict`. `gsm_symbolic` comes with
worked solutions, to be imitated; for it and others whose answer is one number the checker is the better judge
(`judge: checker`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from reft.errors import ConfigError, DataError
from reft.tasks import SplitName
from reft.tasks.records import Record, RecordTask
from rewards.program import Program
from rewards.program_child import WALL, confined
from rewards.sandbox import Limits, Sandbox
from rollout.types import Problem

ANY = "any that is right"
"""The known answer where the data set knows none and only judges."""
SCORE_SECONDS = 2.0
START_SECONDS = 300.0
"""The library takes seconds to import, and much longer on a busy machine."""


@dataclass(frozen=True)
class Gym(RecordTask):
    """Settings of the task: which data set, and (inherited) how a record is read. Records have `question`, `answer`, and
    what the data set says besides, such as `answer_cot`."""

    name: str = ""
    """Name of the data set, such as `gsm_symbolic` or `countdown`; required."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The data set's own settings, such as `{difficulty: 1.0}`."""
    size: int = 10_000
    """Problems drawn, over all splits; equal ones count once."""
    judge: Literal["score", "checker"] = "score"
    """Who says that an answer is right: the data set's `score_answer` (or the checker, where it finds the known answer), or the
    checker alone."""
    chain: str | None = "{answer_cot}"
    """Template of the worked solution; where the data set has none there is nothing to warm up on."""
    remove: str | None = r"\s*####[^\n]*\s*\Z"
    """Regular expression of what to delete from solutions; `closing` says the answer instead."""
    answer: str = "{answer}"
    """Template of the answer."""

    def validate(self) -> None:
        RecordTask.validate(self)
        if not self.name:
            raise ConfigError("task.name is missing; name a data set of reasoning-gym, such as gsm_symbolic")
        if self.size < 1:
            raise ConfigError(f"task.size={self.size} is out of range; choose 1 or more")
        if "size" in self.settings:
            raise ConfigError(f"task.settings.size={self.settings['size']} is not read; set task.size")

    def records(self, split: SplitName) -> Sequence[tuple[str, Record]] | None:
        if split != "train":
            return None  # dev and test are carved out of all problems
        data = _data_set(self.name, self._settings())
        count = self.size if self.limit is None else min(self.limit, self.size)
        entries = [data[at] for at in range(count)]
        if self.judge == "checker" and any(entry["answer"] is None for entry in entries):
            raise DataError(f"task.name={self.name} has problems without a known answer; set task.judge=score")
        return [(f"{self.name}:{at}", _record(entry)) for at, entry in enumerate(entries)]

    def read(self, problem: Problem, text: str) -> str | Program | None:
        found = RecordTask.read(self, problem, text)
        if self.judge == "checker" or not isinstance(found, str) or found == problem.answer:
            return found
        at = int(problem.id.rpartition(":")[2])
        outcome = _sandbox().call("reft.tasks.gym:score", self.name, self._settings(), at, found)
        right = outcome.status == "done" and outcome.value[0] is not None and float(outcome.value[0]) >= 1
        return problem.answer if right else found

    def _settings(self) -> str:
        return json.dumps({"seed": 0, **self.settings, "size": self.size}, sort_keys=True)


def score(name: str, settings: str, at: int, answer: str) -> list[Any]:
    """Inside a sandbox: how the data set scores an answer to its problem `at`, as `rewards.program_child.confined` says it."""
    data = _data_set(name, settings)
    entry = data[at]
    return confined(lambda: str(float(data.score_answer(answer, entry))), SCORE_SECONDS)


@lru_cache(maxsize=8)
def _data_set(name: str, settings: str) -> Any:
    try:
        import reasoning_gym  # heavy, and only this task needs it
    except ModuleNotFoundError as error:
        raise ConfigError(f"task.use=gym: there is no module {error.name}; pip install 'reft-rl[gym]'") from error
    try:
        return reasoning_gym.create_dataset(name, **json.loads(settings))
    except (ValueError, TypeError, AssertionError) as error:
        raise DataError(f"task.name={name}: reasoning-gym cannot make it with {settings}: {error}") from error


def _record(entry: Mapping[str, Any]) -> Record:
    answer = ANY if entry["answer"] is None else entry["answer"]
    return {**entry["metadata"], "question": entry["question"], "answer": answer}


@lru_cache(maxsize=1)
def _sandbox() -> Sandbox:
    limits = Limits(WALL * SCORE_SECONDS + 5.0, memory_bytes=4 << 30, start_seconds=START_SECONDS)
    return Sandbox(limits, modules=["reft.tasks.gym", "reasoning_gym"])
