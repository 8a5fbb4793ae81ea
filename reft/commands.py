"""What each command does. Every function returns the exit status."""

import importlib.metadata
import importlib.util
import json
import logging
import os
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from reft.compose import annotated_defaults, compose, compose_settings
from reft.config import Config
from reft.errors import ConfigError
from reft.methods import Budget
from reft.owners import run_of, settings_of, with_overrides
from reft.progress import Display
from reft.run import check_directory, check_free, default_directory, read_settings
from reft.summary import print_summary, read_summary
from reft.watching import Watching, check_watching
from rewards.answer import Mode

STAGES = {"run": ("warmup", "reinforce"), "warmup": ("warmup",), "train": ("reinforce",)}
"""What each of the commands that work on a run does of it."""


def run(command: str, config: str, overrides: Sequence[str]) -> int:
    """Do the stages of a run that `command` stands for, and print the table."""
    stages = STAGES[command]
    composed = compose(config, overrides)
    directory = default_directory(composed)
    changed = check_directory(directory, composed)
    display = Display()
    display.note("\n".join([f"{composed.name}, seed {composed.config.seed} → {directory}", *changed]))
    if "reinforce" in stages and (finished := read_summary(directory)) and finished.keys() & {"reinforced", "self_trained"}:
        print_summary(finished)
        display.note("\nThis run is complete. Change a setting, or run.dir, for another.")
        return 0
    check_free(directory)
    _quiet()

    from reft.arithmetic import headline
    from reft.prepare import prepare
    from reft.stages import run_stages

    prepared = prepare(composed)
    display.note(headline(prepared))
    started = max(time.time() - psutil.Process().create_time(), 0.0)  # the clock may have been put back
    content = run_stages(prepared, directory, display, stages, started)
    if content is None:
        display.note(f"go on with: {shlex.join(['reft', command, config, *overrides])}")
        return 130
    print_summary(content)
    return 0


def check(config: str | None, overrides: Sequence[str], defaults: bool) -> int:
    """Print the arithmetic of a config, or all defaults."""
    if defaults:
        print(annotated_defaults())
        return 0
    if config is None:
        raise ConfigError("check needs a config; name a YAML file or a shipped config")
    composed = compose(config, overrides)
    check_directory(default_directory(composed), composed)
    _quiet()

    from reft.arithmetic import arithmetic
    from reft.prepare import prepare

    print(arithmetic(prepare(composed)))
    return 0


def compare(config: str, overrides: Sequence[str], methods: Sequence[str], budget: Budget) -> int:
    """Run methods side by side, print the table and draw the chart."""
    composed = compose(config, overrides)
    directory = Path(composed.config.run.dir or f"runs/{composed.name}-compare-{composed.hash()[:6]}")
    display = Display()
    _quiet()

    from reft.chart import draw_comparison
    from reft.comparison import check_methods
    from reft.comparison import compare as run_methods
    from reft.files import write_atomically
    from reft.summary import print_comparison

    check_methods(composed, methods, budget)
    display.note(f"{composed.name}, seed {composed.config.seed}: {', '.join(methods)} → {directory}")
    content = run_methods(composed, methods, budget, directory, display)
    if content is None:
        words = ["reft", "compare", config, *overrides, "--methods", ",".join(methods), "--budget", budget]
        display.note(f"go on with: {shlex.join(words)}")
        return 130
    write_atomically(directory / f"comparison-{budget}.json", json.dumps(content, indent=2) + "\n")
    draw_comparison(content, directory / f"comparison-{budget}.svg")
    print_comparison(content)
    return 2 if content["failed"] else 0


def evaluate(checkpoint: Path, overrides: Sequence[str], split: str, vote: int | None, rerank: bool) -> int:
    """Evaluate a checkpoint as its run does, and print the report."""
    if vote is not None and vote < 1:
        raise ConfigError(f"--vote {vote} is out of range; choose 1 chain a problem or more")
    if rerank and vote is None:
        raise ConfigError("--rerank picks one of the chains of --vote; add --vote K, e.g. --vote 100")
    run_directory = run_of(checkpoint)
    settings = read_settings(run_directory)
    composed = compose_settings(settings.name, with_overrides(settings.settings, overrides))
    _quiet()

    from reft.assessment import evaluate_checkpoint
    from reft.prepare import prepare
    from reft.summary import print_reports

    prepared = prepare(composed)
    content = evaluate_checkpoint(prepared, checkpoint, Display(), split, vote, rerank)
    print_reports(content)
    return 0


def examine(
    checkpoint: str, overrides: Sequence[str], on: str, split: str | None, against: str | None, how: Mapping[str, str | None]
) -> int:
    """Have a checkpoint, and another beside it, take benchmarks, and print the reports."""
    name, settings = settings_of(checkpoint)
    _quiet()

    from reft.examine import examine_checkpoints

    composed = compose_settings(name, with_overrides(settings, overrides))
    return examine_checkpoints(composed, checkpoint, on, split, against, how)


def search(
    checkpoint: str, overrides: Sequence[str], on: str | None, split: str | None, strategy: str, budget: str | None,
    how: Mapping[str, str | None],
) -> int:  # fmt: skip
    """Have a checkpoint take its run's task, or benchmarks, by a strategy under budgets, and print the reports."""
    budgets = None if budget is None else _read_budgets(budget)
    if on is None:
        run_of(Path(checkpoint), "add --on NAME, such as --on gsm8k or --on signed_sum")
    name, settings = settings_of(checkpoint)
    _quiet()

    from reft.examine import search_checkpoint

    composed = compose_settings(name, with_overrides(settings, overrides))
    return search_checkpoint(composed, checkpoint, on, split, strategy, budgets, how)


def _read_budgets(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    if wrong := [word for word in words if not word.isdecimal() or int(word) < 1]:
        raise ConfigError(f"--budget {text}: {wrong[0]!r} is no whole number above 0; write some, such as 1,2,4,8")
    return sorted({int(word) for word in words})


def score_outputs(paths: Sequence[str], overrides: Sequence[str], extractor: str | None, out: str | None) -> int:
    """Grade saved outputs of models, and print what they come to."""
    from reft.examine import grade_outputs

    def composed(known: dict[str, Any]) -> Config:
        return compose_settings("outputs", with_overrides(known, overrides)).config

    named = any(word.startswith("task.use=") for word in overrides)
    return grade_outputs(paths, composed, named, extractor, out)


CHAINS, TRIES = 4, 8
"""Chains a problem and tries of a study where nothing else is asked for."""


def chains(checkpoints: Sequence[Path], split: str, n: int, budget: int, limit: int | None) -> int:
    """Study the chains of a checkpoint, or of two on the same problems, and print the tables."""
    if len(checkpoints) > 2:
        raise ConfigError(f"{len(checkpoints)} checkpoints are too many; name one, or two to compare")
    for name, value in (("-n", n), ("--budget", budget), ("--limit", 1 if limit is None else limit)):
        if value < 1:
            raise ConfigError(f"{name} {value} is out of range; choose 1 or more")
    checkpoints = [checkpoint if checkpoint.name not in ("", "..") else checkpoint.resolve() for checkpoint in checkpoints]
    if len({checkpoint.resolve() for checkpoint in checkpoints}) < len(checkpoints):
        raise ConfigError(f"{checkpoints[0]} is named twice; name it once, or another one to compare")
    config, *others = [read_settings(run_of(checkpoint)).config for checkpoint in checkpoints]
    if any(other.task != config.task for other in others):
        raise ConfigError(f"{checkpoints[0]} and {checkpoints[1]} are of different tasks; name two of one task")
    _quiet()

    from reft.chain_study import study
    from reft.chain_table import print_chains

    print_chains(study(config, checkpoints, split, n, budget, Display(), limit))
    return 0


def sample(asked: Watching) -> int:
    """Print chains of a checkpoint for problems of a task, or for a prompt of one's own; or what a strategy makes of them."""
    terms = check_watching(asked)
    _quiet()

    from reft.viewer import watch_chains

    watch_chains(asked, terms)
    return 0


def grade(pairs: str, out: str | None, mode: Mode, workers: int) -> int:
    """Grade a file of pairs; 2 if a line of it was no pair, which loses no other."""
    if workers < 1:
        raise ConfigError(f"--workers {workers} is out of range; choose 1 or more")
    from reft.grader import grade_file

    return grade_file(pairs, out, mode, workers, Display())


def bench(numbers: dict[str, int], fixed: bool, checkpoint: str | None, device: str, dtype: str, out: str | None) -> int:
    """Measure how fast chains are sampled, from fresh weights or a checkpoint's, and print the table."""
    for name, value in numbers.items():
        if value < (name != "threads"):
            raise ConfigError(f"--{name.replace('_', '-')} {value} is out of range; choose 1 or more")
    if numbers["width"] % numbers["heads"]:
        raise ConfigError(f"--width {numbers['width']} is no multiple of --heads {numbers['heads']}")
    if numbers["vocabulary"] < 4:
        raise ConfigError(f"--vocabulary {numbers['vocabulary']} is out of range; choose 4 or more")
    settings = None if checkpoint is None else read_settings(run_of(Path(checkpoint)))
    _quiet()

    import torch

    from reft.bench import compare_sampling, format_comparison
    from reft.files import write_atomically
    from reft.workload import CheckpointWorkload, Load, Workload

    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda needs a GPU, and torch finds none; leave it out")
    rows, runs, threads = (numbers.pop(name) for name in ("rows", "runs", "threads"))
    if threads:
        torch.set_num_threads(threads)
    load: Load
    if settings is None:
        load = Workload(**(numbers | ({"mean": None} if fixed else {})))  # type: ignore[arg-type]  # None is for "mean" alone
    else:
        problems = settings.config.task.splits().test[: numbers["prompts"]]
        prompts = tuple(problem.prompt for problem in problems)
        load = CheckpointWorkload(str(checkpoint), prompts, numbers["samples"], settings.config.sampling.max_tokens)
    content = compare_sampling(load, rows, runs, Display().note, device, dtype)
    print(format_comparison(content))
    if out is not None:
        write_atomically(Path(out), json.dumps(content, indent=2) + "\n")
    return 0


def report(runs: Sequence[Path], logs: Sequence[Path], problems: int, out: Path | None, study: bool) -> int:
    """Write a page on runs; with `study`, their chains are studied before, where that has not been done."""
    from reft.report.command import report as write_report
    from reft.report.command import unstudied

    for run in runs if study else ():
        if missing := unstudied(run):
            chains(missing, "test", CHAINS, TRIES, None)
    return write_report(runs, logs, problems, out)


def doctor() -> int:
    """Print what is there and what is missing."""
    import torch

    print(f"python        {sys.version.split()[0]}  {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB")
    wanted = [line.split(";")[0].strip() for line in importlib.metadata.requires("reft-rl") or [] if "extra ==" not in line]
    for requirement in wanted:
        name = re.split(r"[<>=!~ ]", requirement)[0]
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "MISSING"
        print(f"{name:13} {version:14} needs {requirement.removeprefix(name) or 'any'}")
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    print(f"GPUs          {', '.join(gpus) if gpus else 'none: learner and workers run on the CPU'}")
    extras = {
        "vllm": ("vllm", "the engine for GPUs: rollout.engine=vllm"),
        "gym": ("reasoning_gym", "reasoning-gym's problems: task.use=gym"),
        "test": ("pytest", "the tests: pip install 'reft-rl[test]'"),
    }
    for extra, (module, gives) in extras.items():
        there = importlib.util.find_spec(module) is not None
        print(f"extra {extra:7} {'installed' if there else f'missing; would give {gives}'}")
    return 0


def _quiet() -> None:
    """Libraries speak when something is wrong."""
    import torch
    import transformers

    if not torch.cuda.is_available():  # DeepSpeed would look for other accelerators, and say so
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name in ("ray", "huggingface_hub", "httpx"):
        logging.getLogger(name).setLevel(logging.ERROR)
