"""Methods side by side: from one warm-up checkpoint, each with the same budget, a table and a chart (ReFT, arXiv 2401.08967,
table 2, for anybody's model and data).

The budget is what the config's own reinforcement takes: so many chains, or the operations or minutes that it turns out to
spend. Chains are kept to, but for what does not divide and where ReST-EM stops early. Operations and minutes are planned from
what reinforcement's chains and the warm-up's demonstrations have cost (`reft.budget`). What a method has really spent stands
beside its accuracy.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from reft.algorithms.online_st import OnlineST
from reft.budget import BILLS, Prices, cost, durations, operations
from reft.compose import Composed, compose_settings
from reft.config import ImitationConfig
from reft.errors import ConfigError, RunError
from reft.meter import Spending, loop_spending, rounds_spending
from reft.methods import METHODS, Budget, Inputs
from reft.prepare import Prepared, prepare
from reft.progress import Display
from reft.run import FRESH, WARMUP, RunDirectory, check_directory
from reft.self_training import PHASE
from reft.stages import run_stages
from reft.summary import read_summary

SHARED = ("readiness.json", "readiness.jsonl", "warmup.json", "warmup.jsonl")
"""Evaluations of the warm-up, which every method's run takes over with the checkpoint."""
RESULTS = ("reinforced", "self_trained")


@dataclass(frozen=True)
class Result:
    """A method's outcome: its summary, what it spent, and the run directory."""

    method: str
    accuracy: dict[str, dict[str, float]]
    """Greedy and sampled, each with value, n, low and high."""
    tokens_per_chain: float
    spending: Spending
    curve: list[tuple[int, float, float]]
    """Chains so far, greedy and sampled dev accuracy, at each evaluation."""
    directory: str


class MethodFailure(RunError):
    """A method's run cannot come to its end."""


def check_methods(composed: Composed, methods: Sequence[str], budget: Budget) -> None:
    """Raise `ConfigError` for what cannot be compared."""
    if unknown := [method for method in methods if method not in METHODS]:
        raise ConfigError(f"--methods: {unknown[0]!r} is unknown; choose from {', '.join(METHODS)}")
    if not methods or len(set(methods)) < len(methods):
        raise ConfigError(f"--methods {','.join(methods)!r} names none, or one twice; name each once")
    config = composed.config
    if not config.train.steps:
        raise ConfigError("train.steps=0 leaves no budget to compare by; name a config that reinforces")
    if budget != "samples" and "reft" not in methods:
        raise ConfigError(f"--budget {budget} is what reft turns out to spend; name reft among the methods, or choose samples")
    if config.train.rounds > 1:
        raise ConfigError(
            f"train.rounds={config.train.rounds} samples more than was planned, as it must; set it to 1 to compare"
        )
    inputs = Inputs(1000, 1000, composed.written)
    for method in methods:
        compose_settings(method, METHODS[method](composed.settings, 1000, inputs))  # an error of any comes now
    if config.warmup.epochs == 0:
        raise ConfigError("warmup.epochs=0 leaves no warm-up to start all methods from; raise it")


def compare(
    composed: Composed, methods: Sequence[str], budget: Budget, directory: Path, display: Display
) -> dict[str, Any] | None:
    """Run what is still to be run of a comparison in `directory`; its content, or None if somebody asked to stop."""
    prepared = prepare(composed)
    warm = directory / WARMUP
    check_directory(warm, composed)
    if read_summary(warm) is None and run_stages(prepared, warm, display, ("warmup",), 0.0) is None:
        return None
    results: dict[str, Result] = {}
    failed: dict[str, str] = {}
    plan: dict[str, int] = {}
    _note_left_out(composed, methods, display)
    for method in sorted(methods, key=lambda method: method != "reft"):  # first, since it may set the budget
        if method not in plan:
            # All the others at once, so that what the budget does not pay for is told before any of them spends it.
            planned = ["reft"] if method == "reft" else methods
            plan = {name: _chains(prepared, warm, name, budget, results.get("reft")) for name in planned}
        chains = plan[method]
        display.note(f"\n{method}: {chains:,} chains")
        folder = method if method == "reft" else f"{method}-{budget}"  # reft is the same for all budgets
        try:
            result = _run_method(prepared, method, chains, directory, folder, display)
        except MethodFailure as failure:
            if method == "reft" and budget != "samples":
                raise  # nothing says how much the others may spend
            failed[method] = str(failure)
            display.note(f"{method} failed: {failure}")
            continue
        if result is None:
            return None
        results[method] = result
    if not results:
        raise RunError("; ".join(f"{method}: {reason}" for method, reason in failed.items()))
    before = read_summary(warm)
    assert before is not None
    return {
        "name": composed.name,
        "seed": composed.config.seed,
        "budget": budget,
        "warmup": before["warmup"],
        "methods": [asdict(results[method]) for method in methods if method in results],
        "failed": failed,
        "directory": str(directory),
    }


def _run_method(prepared: Prepared, method: str, chains: int, directory: Path, folder: str, display: Display) -> Result | None:
    """The result of a method's run, which is done, or taken up where it stopped, in a folder of the comparison's; None if
    somebody asked to stop."""
    composed, path = prepared.composed, directory / folder
    settings = METHODS[method](composed.settings, chains, _inputs(prepared))
    own = compose_settings(f"{composed.name}-{method}", settings)
    check_directory(path, own)
    summary = read_summary(path)
    if summary is None:
        _take_over(directory / WARMUP, path, own)
        try:
            summary = run_stages(prepare(own), path, display, ("reinforce",), 0.0)
        except RunError as error:
            raise MethodFailure(str(error)) from error
        if summary is None:
            return None
    outcome = next(summary[name] for name in RESULTS if name in summary)
    with RunDirectory(path, own) as run:
        rounds, steps = run.rows(PHASE), run.rows("reinforce")
        spending = loop_spending(steps, run.state) if steps else rounds_spending(rounds, run.state, chains)
        return Result(
            method=method,
            accuracy={mode: outcome[mode] for mode in ("greedy", "sampled")},
            tokens_per_chain=outcome["tokens_per_chain"],
            spending=spending,
            curve=_curve([*steps, *rounds], own.config.evaluate.select_on, spending.chains),
            directory=str(path),
        )


def _take_over(warm: Path, path: Path, own: Composed) -> None:
    """Begin a run directory with the warm-up of another."""
    with RunDirectory(path, own) as run:
        for name in (FRESH, WARMUP):
            source = warm / "checkpoints" / name
            if source.is_dir() and not run.has_checkpoint(name):
                run.write_checkpoint(name, partial(shutil.copytree, source, dirs_exist_ok=True))
        for file in SHARED:
            shutil.copyfile(warm / "eval" / file, path / "eval" / file)


def _curve(rows: Sequence[dict[str, Any]], split: str, chains: int) -> list[tuple[int, float, float]]:
    found, done = [], 0
    for row in rows:
        done += int(row.get("samples/count", 0) + row.get("round/samples", 0) + row.get("round/hinted", 0))
        if f"{split}/greedy" in row:
            found.append((done or chains, row[f"{split}/greedy"], row[f"{split}/sampled"]))
    return found


def _chains(prepared: Prepared, warm: Path, method: str, budget: Budget, reference: Result | None) -> int:
    """How many chains a method may sample, or imitate where it samples none.

    Raises:
        ConfigError: if the budget does not pay for what the method does besides.
    """
    train = prepared.config.train
    if budget == "samples" or method == "reft":
        return train.steps * train.prompts * train.samples_per_prompt
    assert reference is not None
    prices = _prices(prepared, warm, Path(reference.directory), budget)
    amount = reference.spending.flops if budget == "flops" else reference.spending.seconds
    inputs = _inputs(prepared)
    planned = METHODS[method](prepared.composed.settings, 1, inputs)
    epochs = OnlineST.epochs if method == "online-st" else planned["self_training"]["epochs"]
    shown = len({demonstration.problem.id for demonstration in prepared.demonstrations}) / inputs.problems
    fixed, chain = cost(BILLS[method], prices, epochs, inputs.demonstrations, shown)
    if fixed >= amount:
        raise ConfigError(
            f"--budget {budget}: {method} imitates the demonstrations anew, which costs {fixed:.3g} of the "
            f"{amount:.3g} that reft has spent; choose --budget samples, or raise train.steps"
        )
    return max(1, round((amount - fixed) / chain))


def _inputs(prepared: Prepared) -> Inputs:
    return Inputs(len(prepared.splits.train), len(prepared.demonstrations), prepared.composed.written)


def _note_left_out(composed: Composed, methods: Sequence[str], display: Display) -> None:
    """Say which settings of the config's own rounds are no part of a comparison."""
    imitation = {f"self_training.{item.name}" for item in fields(ImitationConfig)}
    left_out = sorted(key for key in composed.written - imitation if key.startswith("self_training."))
    if left_out and any(METHODS[method] is not METHODS["reft"] for method in methods):
        display.note(f"not compared: {', '.join(left_out)}; a method's rounds follow from the budget")


def _prices(prepared: Prepared, warm: Path, reinforced: Path, budget: Budget) -> Prices:
    config = prepared.config
    shown = config.warmup.epochs * len(prepared.demonstrations)
    with RunDirectory(warm, prepared.composed) as run:
        state = run.state
    with RunDirectory(reinforced, prepared.composed) as run:
        rows = run.rows("reinforce")
    if budget == "flops":
        return operations(rows, state, prepared.cost, shown)
    return durations(rows, state, config.algorithm.epochs, shown)
