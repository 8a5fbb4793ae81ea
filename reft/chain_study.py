"""`reft chains`: one checkpoint or two of one task, studied with workers of a run's kind."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from reft import __version__
from reft.ablations import ablate
from reft.assessment import sampled_params
from reft.chains import Measured, break_evens, compare, describe, measure
from reft.config import Config
from reft.files import write_atomically
from reft.flops import Cost
from reft.ledger import read_metrics, read_state, training_flops
from reft.model import load_tokenizer
from reft.parts import KeptPool
from reft.progress import Display
from reft.reward_config import RewardConfig
from reft.rollouts import make_checker, try_prompts
from reft.run import row, write_lines
from reft.sittings import weights_digest, workers
from reft.tasks import SteppedTask
from rollout.codec import Codec
from rollout.pool import Pool
from rollout.types import Sample
from rollout.worker import derive_seed

USUAL = {"n": 4, "budget": 8, "limit": None}
"""Settings of a study whose file's name does not tell them."""


def study(
    config: Config, paths: Sequence[Path], split: str, n: int, budget: int, show: Display, limit: int | None = None
) -> list[dict[str, Any]]:
    """What the chains of each checkpoint show, on the same problems; of a second one also what it gains on the first. Written
    to `RUN/eval/chains-<checkpoint>-<split>.json` of each one's run, and the chains beside it, a line each. Settings that are
    not the usual ones are part of the name, so that no study overwrites another one's.

    What is drawn lies beside it, as `.parts`, until all checkpoints are done: a study that was ended goes on behind it, and
    comes to the same.

    Args:
        n: chains a problem.
        budget: tries at most, or ends.
        limit: problems at most, where not those that the config evaluates on.

    Raises:
        ConfigError: if a checkpoint's tokenizer cannot read the problems.
    """
    whole = vars(config.task.splits())[split]
    usual = whole[: config.evaluate.limit]
    problems = usual if limit is None else whole[:limit]
    settings = {"n": n, "budget": budget, "limit": None if len(problems) == len(usual) else len(problems)}
    params = sampled_params(config)
    seed = derive_seed(config.seed, "chains", split)
    config = replace(config, rewards={"correct": RewardConfig("correct")})  # verdicts are all that is looked at
    for checkpoint in paths:
        try_prompts(str(checkpoint), problems)
    checker = make_checker(config.checker)
    contents: list[dict[str, Any]] = []
    pools: list[KeptPool] = []
    before: Measured | None = None
    try:
        for checkpoint in paths:

            def note(line: str, name: str = checkpoint.name) -> None:
                show.note(f"{name}: {line}")

            kept: list[dict[str, Any]] = []

            def keep(how: str, samples: Sequence[Sample], rows: list[dict[str, Any]] = kept) -> None:
                rows += [{"how": how, **row(sample)} for sample in samples]

            run = checkpoint.absolute().parent.parent
            spent_by = training_flops(read_metrics(run, []), read_state(run, []))
            cost = Cost.of(AutoConfig.from_pretrained(checkpoint))
            codec = Codec(load_tokenizer(str(checkpoint)))
            file = run / "eval" / f"{study_name(checkpoint.name, split, settings)}.json"
            weights = weights_digest(str(checkpoint))
            with ExitStack() as stack:
                start = partial(_start, stack, config, str(checkpoint), show)
                pool = KeptPool(start, file.with_suffix(".parts"), _setup(config, weights))
                pools.append(pool)
                if (found := pool.found())[0]:
                    note("{} parts with {:,} chains are sampled already; going on behind them".format(*found))
                measured = measure(pool, config.task, problems, params, n, seed, budget, cost, checker, codec, note, keep)
                content = {
                    "checkpoint": checkpoint.name, "split": split, "seed": config.seed, "sampling": asdict(params),
                    "settings": settings | {"problems": len(problems)}, "weights": weights,
                    "chains_per_problem": n, "compute": {"training_flops": spent_by.get(checkpoint.name)},
                    **describe(measured, config.task),
                }  # fmt: skip
                note("altered chains")
                first = [group[0] for group in measured.samples]
                stepped = isinstance(config.task, SteppedTask)
                content["ablations"] = ablate(pool, config.task, first, params, seed, keep) if stepped else None
            if before is not None:
                spent = [one["compute"]["training_flops"] for one in (contents[0], content)]
                gain = compare(before, measured, config.task)
                gain["break_even"] = break_evens(before, measured, names_of((paths[0], checkpoint)), spent)
                content["gain"] = {"before": str(paths[0]), "training_flops": spent} | gain
            before = measured
            content["file"] = str(file)
            file.parent.mkdir(exist_ok=True)
            write_lines(file.with_suffix(".jsonl"), kept)
            write_atomically(file, json.dumps(content, indent=2) + "\n")
            contents.append(content)
    finally:
        checker.close()
    for kept_pool in pools:
        kept_pool.forget()
    return contents


def names_of(pair: tuple[Path, Path]) -> tuple[str, str]:
    """What two checkpoints are called: by their runs, too, where both have one name."""
    first, second = (path.name for path in pair)
    if first != second:
        return first, second
    runs = [path.absolute().parent.parent.name for path in pair]
    return f"{runs[0]}/{first}", f"{runs[1]}/{second}"


def _start(stack: ExitStack, config: Config, checkpoint: str, show: Display) -> Pool:
    return stack.enter_context(workers(config, checkpoint, show))


def _setup(config: Config, weights: str) -> dict[str, Any]:
    """What chains and their verdicts depend on, besides what is asked for."""
    rollout = config.rollout
    return {
        "version": __version__, "weights": weights, "task": repr(config.task), "checker": asdict(config.checker),
        "programs": asdict(config.programs), "engine": rollout.engine, "dtype": config.model.dtype,
        "shard_size": rollout.shard_size,
    }  # fmt: skip


def study_name(checkpoint: str, split: str, settings: Mapping[str, Any]) -> str:
    """Of a study's files: it tells what is not as usual."""
    others = [f"-{name}{value}" for name, value in settings.items() if value != USUAL[name]]
    return f"chains-{checkpoint}-{split}" + "".join(others)
