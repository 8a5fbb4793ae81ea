"""Watch a checkpoint think: problems, chains and verdicts in the terminal, where chains are seen as they are written."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from reft.assessment import greedy_params, sampled_params
from reft.config import Config
from reft.errors import ConfigError
from reft.rollouts import local_pool, make_checker, try_prompts
from reft.tasks import SteppedTask, Task
from rollout.engine import Engine, StreamingEngine
from rollout.pool import LocalPool
from rollout.search.forcing import WAIT
from rollout.search.strategies import REVISION, make_strategy
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import derive_seed

COLOURS = {"equal": "green", "different": "red", "undecided": "yellow", "no_answer": "yellow"}
INDENT = 10
"""Columns before a chain with a verdict."""


def choose_problems(task: Task, count: int, wanted: str | None, seed: int) -> list[Problem]:
    """Some problems of the test split at random, or the `wanted` one: by its id in any split, or its number in this one.

    Raises:
        ConfigError: if there is none.
    """
    splits = task.splits()
    test = list(splits.test)
    if wanted is None:
        return random.Random(seed).sample(test, min(count, len(test)))
    for problem in (*test, *splits.dev, *splits.train):
        if problem.id == wanted:
            return [problem]
    if wanted.isdecimal() and int(wanted) < len(test):
        return [test[int(wanted)]]
    raise ConfigError(f"there is no problem {wanted!r}; name its id, such as {test[0].id!r}, or its number below {len(test)}")


def watchable(config: Config, checkpoint: Path) -> LocalPool:
    """A worker in this process; whatever engine the run has, this one can be watched."""
    return local_pool(replace(config, rollout=replace(config.rollout, engine="hf")), str(checkpoint))


def show_search(config: Config, checkpoint: Path, problems: Sequence[Problem], name: str, budget: int, seed: int) -> None:
    """Print what a strategy makes of problems: each chain that it could pick from, the one that it picks, and what all cost."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    if name == "revise":
        try_prompts(str(checkpoint), [replace(one, prompt=REVISION.format(prompt=one.prompt, chain="")) for one in problems])
    form = config.task.form() if isinstance(config.task, SteppedTask) else None
    pool, checker = watchable(config, checkpoint), make_checker(config.checker)
    try:
        strategy = make_strategy(name, budget, checker, form or WAIT)
        for problem in problems:
            console.print(problem.prompt, style="bold")
            (found,) = strategy.search(pool, [problem], sampled_params(config), derive_seed(seed, problem.id))
            for number, sample in enumerate(found.samples, 1):
                mark = "→" if sample is found.picked else " "
                console.print(f"{mark} {number:<6}  {sample.completion.chain}")
                _print_verdict(console, sample)
            answer = "no answer" if found.picked is None else f"answers {found.picked.extracted}"
            console.print(f"  {name} {budget}: {answer}; {found.tokens} tokens sampled in all")
            console.print()
    finally:
        pool.close()
        checker.close()


def show(config: Config, checkpoint: Path, problems: Sequence[Problem], samples: int, prompt: str | None, seed: int) -> None:
    """Print a greedy chain and `samples` sampled ones for problems, or for a prompt; in a terminal, token by token."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    chosen = list(problems)
    if prompt is not None:
        chosen = [Problem(prompt, prompt, "", {})]
        try_prompts(str(checkpoint), chosen)
    pool = watchable(config, checkpoint)
    try:
        for problem in chosen:
            console.print(problem.prompt, style="bold")
            for mode, params, count in (("greedy", greedy_params(config), 1), ("sampled", sampled_params(config), samples)):
                if prompt is None:
                    show_samples(console, pool, problem, mode, params, count, derive_seed(seed, problem.id))
                else:
                    show_completions(console, pool.worker.engine, prompt, params, count, seed)
            console.print()
    finally:
        pool.close()


def show_samples(
    console: Console, pool: LocalPool, problem: Problem, mode: str, params: SamplingParams, count: int, seed: int
) -> None:
    """Print `count` samples of a problem with their verdicts, one by one where they can be watched."""
    label = f"  {mode:8}".ljust(INDENT)
    if console.is_terminal and isinstance(pool.worker.engine, StreamingEngine):
        for number in range(count):
            console.print(label, end="")
            sample = pool.watch(problem, params, seed, writer(console, INDENT), number)
            console.print()
            _print_verdict(console, sample)
        return
    for sample in pool.sample([problem], count, params, seed) if count else []:
        console.print(label + sample.completion.chain)
        _print_verdict(console, sample)


def show_completions(console: Console, engine: Engine, prompt: str, params: SamplingParams, count: int, seed: int) -> None:
    """Print `count` chains for a prompt, one by one where they can be watched."""
    if console.is_terminal and isinstance(engine, StreamingEngine):
        for number in range(count):
            console.print("  ", end="")
            engine.stream(prompt, params, seed, writer(console, 2), sample=number)
            console.print()
        return
    for completion in engine.generate([prompt], count, params, seed)[0] if count else []:
        console.print(f"  {completion.text}")


def writer(console: Console, indent: int) -> Callable[[str], None]:
    """Writes pieces of a text one behind the other; its further lines begin at column `indent`."""
    return lambda piece: console.print(piece.replace("\n", "\n" + " " * indent), end="")


def _print_verdict(console: Console, sample: Sample) -> None:
    verdict, completion = sample.verdict, sample.completion
    console.print(
        f"{' ' * INDENT}{verdict.outcome} ({verdict.reason}), {len(completion.tokens)} tokens, ended by {completion.finish}",
        style=COLOURS[verdict.outcome],
    )
