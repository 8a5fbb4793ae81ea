"""Where outputs of our own come from: what lies beside them says by which task their chains were read, and by which checker and
seed they were scored, so that they come to the same again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from reft.benchmarks import EMBEDDED, KNOWN, Questions
from reft.errors import ConfigError, DataError
from reft.exams import extractor_of
from reft.outputs import Judge, Manner, Output, Saved, as_sample
from reft.tasks import Task
from reft.tasks.records import PROGRAM, RecordTask
from rewards.scorer import Scorer
from rollout.types import Problem, Sample

QUESTIONS = f"{Questions.__module__}:{Questions.__name__}"
REMEDY = "name the task with task.use=NAME, or have the chains read as free text with --extractor lenient"


@dataclass(frozen=True)
class Origin:
    """What is known of how outputs were read and scored."""

    settings: Mapping[str, Any]
    """`task`, unless somebody names one, and `checker` and `seed` where they are known."""
    benchmark: str = ""
    """What the evaluation was of; "" for samples of a run."""


def find_origin(saved: Saved, named: bool) -> Origin:
    """What is beside outputs that an evaluation or a run of ours has written.

    Args:
        named: whether somebody names the task, so that it need not be known.

    Raises:
        DataError: if the task is not known, or several files differ in it.
    """
    read = _of_evaluation if saved.layout.kind == "evaluation" else _of_run
    found = [read(Path(path)) for path in saved.paths]
    first = found[0]
    for path, other in zip(saved.paths, found, strict=True):
        for name in ("checker",) if named else ("task", "checker"):
            if other.settings.get(name) != first.settings.get(name):
                raise DataError(f"--from-outputs: {saved.paths[0]} and {path} have another {name} each; score each apart")
        use = str(other.settings.get("task", {}).get("use", ""))
        if not named and not use:
            beside = "its .json beside it" if read is _of_evaluation else "the config.yaml of its run above it"
            raise DataError(f"--from-outputs {path} needs {beside}, which says how its chains are read; else {REMEDY}")
        if not named and ":" in use and use != QUESTIONS:
            raise DataError(f"--from-outputs {path}: its task is {use}, somebody's code, which runs only if named: {REMEDY}")
    kept = {name: value for name, value in first.settings.items() if name != "task" or not named}
    return Origin(kept, first.benchmark)


def _of_evaluation(path: Path) -> Origin:
    """By the report of `reft eval --on`."""
    try:
        setup = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["setup"]
        name, known = str(setup["benchmark"]), {"checker": dict(setup["checker"]), "seed": int(setup["seed"])}
    except (OSError, ValueError, KeyError, TypeError):
        return Origin({})
    if "task" in setup:
        return Origin({"task": dict(setup["task"]), **known}, name)
    if name in KNOWN:
        program = {"closing": "", "numeric": True} if setup["extractor"] == PROGRAM else {}
        return Origin({"task": {"use": QUESTIONS, "style": setup["extractor"], **program}, **known}, name)
    return Origin(({"task": {"use": name}} if name in EMBEDDED else {}) | known, name)


def _of_run(path: Path) -> Origin:
    """By the settings of the run in whose folder `samples` or `eval` they are."""
    file = path.absolute().parent.parent / "config.yaml"
    try:
        content: Any = OmegaConf.to_container(OmegaConf.load(file)) if file.is_file() else {}
    except Exception as error:  # the YAML parser has a family of its own that OmegaConf does not wrap
        raise DataError(f"{file} cannot be read ({type(error).__name__}), which says how chains are read; {REMEDY}") from error
    return Origin({name: content[name] for name in ("task", "checker", "seed") if name in content})


def as_task(saved: Saved, task: Task, benchmark: str, scorer: Scorer) -> Manner:
    """Chains read by their task, as when they were scored first.

    Raises:
        ConfigError: if its problems are others than those of the outputs.
        DataError: if they cannot be had.
    """
    problems = _problems(saved, task)

    def judge(outputs: Sequence[Output]) -> list[tuple[Sample, bool]]:
        asked = [problems[output.problem] for output in outputs]
        texts = [output.text for output in outputs]
        scores = scorer.score(
            prompts=[problem.prompt for problem in asked],
            completions=texts,
            completion_ids=[[] for _ in asked],
            found=[task.read(problem, text) for problem, text in zip(asked, texts, strict=True)],
            answers=[problem.answer for problem in asked],
            columns=[{} for _ in asked],
        )
        return [
            (as_sample(problem, text, score.extracted, score.verdict), True)
            for problem, text, score in zip(asked, texts, scores, strict=True)
        ]

    checked: Judge = judge
    return Manner(extractor_of(task), checked, ("scores", benchmark) if benchmark else ())


def _problems(saved: Saved, task: Task) -> dict[str, Problem]:
    """The problems of the outputs: as they are told there, where no more is needed to read a chain, or as the task has them."""
    told = {output.problem: output for output in saved.outputs}
    if isinstance(task, RecordTask) and task.style != PROGRAM:
        return {name: Problem(name, output.prompt or "", output.gold) for name, output in told.items()}
    if isinstance(task, Questions):
        raise DataError(
            f"--from-outputs {saved.paths[0]}: its chains are programs that begin in the prompt, which is not kept apart; "
            "evaluate again, or read them as text with --extractor lenient"
        )
    splits = task.splits()
    own = {problem.id: problem for part in (splits.train, splits.dev, splits.test) for problem in part}
    for name, output in told.items():
        problem = own.get(name)
        if problem is None or problem.answer != output.gold or output.prompt not in (None, problem.prompt):
            raise ConfigError(
                f"--from-outputs {saved.paths[0]}: {name!r} is no problem of the task {type(task).__name__}, or another one "
                "there; give the settings that it was made with, as task.NAME=VALUE, or read text with --extractor lenient"
            )
    return own
