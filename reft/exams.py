"""Exams: problems of benchmarks and tasks, how their chains are read, and whether a checkpoint can take them at all."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from reft.benchmarks import EMBEDDED, KNOWN, Questions, load_benchmark
from reft.compose import compose_settings
from reft.config import Config
from reft.errors import ConfigError, RunError
from reft.model import check_model, load_tokenizer
from reft.tasks import Splits, Task
from reft.tasks.records import RecordTask
from rewards.known import is_readable
from rewards.program import Program
from rollout.codec import Codec
from rollout.types import Problem


@dataclass(frozen=True)
class Exam:
    """Problems to be taken, and how their chains are read."""

    name: str
    source: str
    task: Task
    problems: Sequence[Problem]
    unscored: Mapping[str, str]
    """Known answers that do not parse, by the problem."""
    settings: Mapping[str, Any] | None = None
    """Of the task, `use` among them; None for a benchmark."""

    def asked(self) -> dict[str, Any]:
        """The prompt and the extractor, as the report tells them."""
        task = self.task
        prompt = task.prompt + task.opening if isinstance(task, RecordTask) else self.problems[0].prompt
        asked = {"prompt": prompt, "extractor": extractor_of(self.task)}
        return asked if self.settings is None else asked | {"task": dict(self.settings)}


def extractor_of(task: Task) -> str:
    """By what a task's chains are read: a style, or the task itself."""
    return task.style if isinstance(task, RecordTask) else f"{type(task).__module__}:{type(task).__name__}"


@dataclass(frozen=True)
class Panel:
    """The readers of several exams, each for its own problems; workers that know it can take all of them."""

    tasks: Mapping[str, Task]

    def read(self, problem: Problem, text: str) -> str | Program | None:
        return self.tasks[problem.columns["exam"]].read(problem, text)


def make_exam(name: str, config: Config, own: str, data: str | None, asked: Questions, split: str) -> Exam:
    """A benchmark, or the problems of an embedded task or of the run's own.

    Args:
        own: what the run's task is called; its settings are the run's.

    Raises:
        UserError: where it cannot be had.
    """
    settings: dict[str, Any] | None = None
    if name in KNOWN:
        loaded = load_benchmark(name, data, asked, config.evaluate.limit)
        found, unscored, task, source = loaded.problems, loaded.unscored, asked, loaded.source
    else:
        task = config.task if name == own else compose_settings(name, {"task": {"use": name}}).config.task
        splits: Splits = task.splits()
        made = name in EMBEDDED or not isinstance(task, RecordTask)
        found, unscored = [], {}
        for problem in vars(splits)[split]:
            if len(found) == config.evaluate.limit:
                break  # what is behind the last one is not looked at
            if made or is_readable(problem.answer):
                found.append(problem)
            else:
                unscored[problem.id] = problem.answer
        source = f"{split} split of task {name}"
        settings = {"use": name, **json.loads(json.dumps(asdict(task), default=str))}
    marked = [replace(problem, columns={**problem.columns, "exam": name}) for problem in found]
    return Exam(name, source, task, marked, unscored, settings)


def fitting(exam: Exam, checkpoint: str, max_tokens: int) -> tuple[Exam, list[str]]:
    """The exam without problems whose prompt leaves no room for the longest chain, and which these are.

    Raises:
        ConfigError: if the checkpoint's tokenizer is another's than its weights', or cannot read the problems.
        RunError: if no problem is left.
    """
    model, tokenizer = check_model(checkpoint), load_tokenizer(checkpoint)
    if len(tokenizer) > model.vocab_size:
        raise ConfigError(
            f"{checkpoint} has a tokenizer of {len(tokenizer):,} tokens and weights for {model.vocab_size:,}: it is another "
            "model's; put the one that the weights were trained with beside them"
        )
    codec, context = Codec(tokenizer), int(model.max_position_embeddings)
    fits: list[Problem] = []
    too_long: list[Problem] = []
    for problem in exam.problems:
        try:
            (tokens,) = codec.prompts([problem.prompt])
        except Exception as error:  # the tokenizers library raises nothing more special
            raise ConfigError(_another(checkpoint, exam, problem, str(error))) from error
        if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in tokens:
            raise ConfigError(_another(checkpoint, exam, problem, "it has no token for a part of it"))
        (fits if 0 < len(tokens) <= context - max_tokens else too_long).append(problem)
    if not fits:
        raise RunError(
            f"--on {exam.name}: no prompt leaves room for sampling.max_tokens={max_tokens} in the {context} positions of "
            f"{checkpoint}; lower it, or choose a model with a longer context"
        )
    return replace(exam, problems=fits), [problem.id for problem in too_long]


def _another(checkpoint: str, exam: Exam, problem: Problem, why: str) -> str:
    return (
        f"the tokenizer of {checkpoint} cannot read {exam.name}'s {problem.prompt[:60]!r}: {why}; it was made for another "
        "task; choose a benchmark of that task, or another checkpoint"
    )
