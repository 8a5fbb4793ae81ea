"""Watch a checkpoint think: problems, chains and verdicts in the terminal, where chains are seen as they are written."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from reft.assessment import greedy_params, sampled_params
from reft.config import Config
from reft.errors import ConfigError
from reft.model import check_model, load_tokenizer
from reft.rollouts import local_pool, make_checker, try_prompts
from reft.searches import check_room, plan
from reft.tasks import Task
from reft.watching import Terms, Watching
from rollout.codec import Codec
from rollout.engine import Engine, StreamingEngine
from rollout.pool import LocalPool, Progress
from rollout.search.strategies import Found
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import derive_seed

BUDGET = 4
"""Of a strategy, where nobody says."""
COLOURS = {"equal": "green", "different": "red", "undecided": "yellow", "no_answer": "yellow"}
INDENT = 10
"""Columns before a chain with a verdict."""


def watch_chains(asked: Watching, terms: Terms) -> None:
    """Show what `reft sample` is asked for.

    Raises:
        UserError: in one line, for a problem that is not there, or that the checkpoint cannot be asked.
    """
    config, folder = terms.config, asked.folder
    known = find_problem(config.task, asked.prompt) if asked.prompt is not None and terms.judged else None
    if asked.prompt is not None and known is None:
        if asked.strategy is not None:
            raise ConfigError("--prompt is no problem of the task, so --strategy could not tell its answers; leave one out")
        prompt = Problem(asked.prompt, asked.prompt, "", {})
        show_prompt(fit(config, folder, [prompt]) if terms.fitted else config, folder, asked.prompt, asked.chains, asked.seed)
        return
    chosen = choose_problems(config.task, asked.problems, asked.problem, asked.seed) if known is None else [known]
    if asked.strategy is None:
        show(fit(config, folder, chosen) if terms.fitted else config, folder, chosen, asked.chains, asked.seed)
        return
    budget = asked.budget or BUDGET
    if terms.fitted:
        found = plan(asked.strategy, config.task, [budget], chosen[0])
        found.check(asked.checkpoint, chosen[0])
        config = fit(config, folder, [found.asked(problem) for problem in chosen], found.chains)
    show_search(config, folder, chosen, asked.strategy, budget, asked.seed)


def fit(config: Config, checkpoint: Path, problems: Sequence[Problem], chains: int = 1) -> Config:
    """The config with chains so short that the checkpoint's positions have room for so many behind these prompts.

    Raises:
        ConfigError: if its tokenizer cannot read them, or there is no room.
    """
    try_prompts(str(checkpoint), problems)
    codec, context = Codec(load_tokenizer(str(checkpoint))), int(check_model(str(checkpoint)).max_position_embeddings)
    room = (context - max(map(len, codec.prompts([problem.prompt for problem in problems])))) // chains
    if room < 1:
        raise ConfigError(f"a prompt leaves no room in the {context} positions of {checkpoint}; choose a shorter one")
    return replace(config, sampling=replace(config.sampling, max_tokens=min(config.sampling.max_tokens, room)))


def find_problem(task: Task, prompt: str) -> Problem | None:
    """The task's problem that has this prompt, of any split."""
    splits = task.splits()
    return next((one for one in (*splits.test, *splits.dev, *splits.train) if one.prompt == prompt), None)


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


class WatchedPool(LocalPool):
    """A worker in this process whose chains are shown with their verdicts: while they are drawn, where terminal and engine
    can, else when they are done, in the same words."""

    def __init__(self, pool: LocalPool, console: Console) -> None:
        super().__init__(pool.worker, pool.shard_size)
        self.console = console
        self.label = ""
        """Of chains; without one, they are numbered."""
        self.shown = 0

    def sample(
        self, problems: Sequence[Problem], n: int, params: SamplingParams, seed: int, progress: Progress | None = None
    ) -> list[Sample]:
        write = writer(self.console, INDENT)
        if not (n and self.console.is_terminal and isinstance(self.worker.engine, StreamingEngine)):
            samples = super().sample(problems, n, params, seed, progress) if n else []
            for sample in samples:
                self._begin()
                write(sample.completion.chain)
                self._end(sample)
            return samples
        if len(problems) != 1:
            raise ValueError(f"{len(problems)} problems cannot be watched at once; sample them one by one")
        (problem,) = problems
        samples = []
        for number in range(n):
            self._begin()
            samples.append(self.watch(problem, params, seed, write, number))
            self._end(samples[-1])
        return samples

    def _begin(self) -> None:
        self.shown += 1
        self.console.print(f"  {self.label or self.shown!s:8}", end="")

    def _end(self, sample: Sample) -> None:
        verdict, completion = sample.verdict, sample.completion
        tokens = f"{len(completion.tokens)} tokens{' more' * (completion.prefix_length > 0)}"
        told = f"{verdict.outcome} ({verdict.reason}), {tokens}, ended by {completion.finish}"
        self.console.print(f"\n{' ' * INDENT}{told}", style=COLOURS[verdict.outcome])


def watch(config: Config, checkpoint: Path, console: Console) -> WatchedPool:
    """A worker in this process; whatever engine the run has, this one can be watched."""
    return WatchedPool(local_pool(replace(config, rollout=replace(config.rollout, engine="hf")), str(checkpoint)), console)


def show_search(config: Config, checkpoint: Path, problems: Sequence[Problem], name: str, budget: int, seed: int) -> None:
    """Print what a strategy makes of problems: each chain that it draws, the one that it picks, and what all cost."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    found = plan(name, config.task, [budget], problems[0])
    found.check(str(checkpoint), problems[0])
    check_room(found, found.crowded(str(checkpoint), problems, config.sampling.max_tokens), config.sampling.max_tokens)
    pool, checker = watch(config, checkpoint, console), make_checker(config.checker)
    try:
        strategy = found.make(str(checkpoint), checker)
        for problem in problems:
            console.print(problem.prompt, style="bold")
            pool.shown = 0
            ((one,),) = strategy.search(pool, [problem], sampled_params(config), derive_seed(seed, problem.id), [budget])
            _print_found(console, one, f"{name} {budget}")
            console.print()
    finally:
        pool.close()
        checker.close()


def show(config: Config, checkpoint: Path, problems: Sequence[Problem], samples: int, seed: int) -> None:
    """Print a greedy chain and `samples` sampled ones for problems, with their verdicts; in a terminal, token by token."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    pool = watch(config, checkpoint, console)
    try:
        for problem in problems:
            console.print(problem.prompt, style="bold")
            for mode, params, count in _modes(config, samples):
                pool.label = mode
                pool.sample([problem], count, params, derive_seed(seed, problem.id))
            console.print()
    finally:
        pool.close()


def show_prompt(config: Config, checkpoint: Path, prompt: str, samples: int, seed: int) -> None:
    """Print a greedy chain and `samples` sampled ones for a prompt whose answer nobody knows; in a terminal, token by token."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    try_prompts(str(checkpoint), [Problem(prompt, prompt, "", {})])
    pool = watch(config, checkpoint, console)
    try:
        console.print(prompt, style="bold")
        for _, params, count in _modes(config, samples):
            show_completions(console, pool.worker.engine, prompt, params, count, seed)
        console.print()
    finally:
        pool.close()


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


def _modes(config: Config, samples: int) -> list[tuple[str, SamplingParams, int]]:
    return [("greedy", greedy_params(config), 1), ("sampled", sampled_params(config), samples)]


def _print_found(console: Console, found: Found, what: str) -> None:
    # What an engine that nobody watches draws behind endings is none that is shown.
    cost = f"{found.tokens - found.discarded} tokens sampled in all"
    if found.picked is None:
        console.print(f"→ {what}: no answer; {cost}")
        return
    number = next(place for place, sample in enumerate(found.samples, 1) if sample is found.picked)
    style = COLOURS[found.picked.verdict.outcome]
    console.print(f"→ {what}: answers {found.picked.extracted}, by chain {number}; {cost}", style=style)
