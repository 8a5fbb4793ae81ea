"""Watch a checkpoint think: problems, chains and verdicts in the terminal, where chains are seen as they are written."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from reft.assessment import greedy_params, sampled_params
from reft.config import Config
from reft.rollouts import local_pool, try_prompts
from rollout.engine import Engine, StreamingEngine
from rollout.pool import LocalPool
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import derive_seed

COLOURS = {"equal": "green", "different": "red", "undecided": "yellow", "no_answer": "yellow"}
INDENT = 10
"""Columns before a chain with a verdict."""


def show(config: Config, checkpoint: Path, problems: int, samples: int, prompt: str | None, seed: int) -> None:
    """Print a greedy chain and `samples` sampled ones for some problems of the test split, or for a prompt; in a terminal,
    token by token."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    if prompt is None:
        test = list(config.task.splits().test)
        chosen = random.Random(seed).sample(test, min(problems, len(test)))
    else:
        chosen = [Problem(prompt, prompt, "", {})]
        try_prompts(str(checkpoint), chosen)
    # Whatever engine the run has, this one can be watched.
    pool = local_pool(replace(config, rollout=replace(config.rollout, engine="hf")), str(checkpoint))
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
