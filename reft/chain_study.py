"""`reft chains`: one checkpoint or two of one task, studied with workers of a run's kind."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from reft.ablations import ablate
from reft.assessment import sampled_params
from reft.chains import Measured, compare, describe, measure
from reft.config import Config
from reft.files import write_atomically
from reft.flops import Cost
from reft.model import load_tokenizer
from reft.progress import Display
from reft.reward_config import RewardConfig
from reft.rollouts import make_checker, try_prompts
from reft.sittings import workers
from reft.tasks import SteppedTask
from rollout.codec import Codec
from rollout.worker import derive_seed


def study(config: Config, paths: Sequence[Path], split: str, n: int, budget: int, show: Display) -> list[dict[str, Any]]:
    """What the chains of each checkpoint show, on the same problems; of a second one also what it gains on the first. Written
    to `RUN/eval/chains-<checkpoint>-<split>.json` of each one's run.

    Args:
        n: chains a problem.
        budget: tries at most, or ends.

    Raises:
        ConfigError: if a checkpoint's tokenizer cannot read the problems.
    """
    problems = vars(config.task.splits())[split][: config.evaluate.limit]
    params = sampled_params(config)
    seed = derive_seed(config.seed, "chains", split)
    config = replace(config, rewards={"correct": RewardConfig("correct")})  # verdicts are all that is looked at
    for checkpoint in paths:
        try_prompts(str(checkpoint), problems)
    checker = make_checker(config.checker)
    contents: list[dict[str, Any]] = []
    before: Measured | None = None
    try:
        for checkpoint in paths:

            def note(line: str, name: str = checkpoint.name) -> None:
                show.note(f"{name}: {line}")

            cost = Cost.of(AutoConfig.from_pretrained(checkpoint))
            codec = Codec(load_tokenizer(str(checkpoint)))
            with workers(config, str(checkpoint), show) as pool:
                measured = measure(pool, config.task, problems, params, n, seed, budget, cost, checker, codec, note)
                content = {"checkpoint": checkpoint.name, "split": split, "seed": config.seed, "sampling": asdict(params)}
                content |= {"chains_per_problem": n} | describe(measured, config.task)
                note("altered chains")
                first = [group[0] for group in measured.samples]
                stepped = isinstance(config.task, SteppedTask)
                content["ablations"] = ablate(pool, config.task, first, params, seed) if stepped else None
            if before is not None:
                content["gain"] = {"before": str(paths[0])} | compare(before, measured, config.task)
            before = measured
            file = checkpoint.absolute().parent.parent / "eval" / f"chains-{checkpoint.name}-{split}.json"
            content["file"] = str(file)
            file.parent.mkdir(exist_ok=True)
            write_atomically(file, json.dumps(content, indent=2) + "\n")
            contents.append(content)
    finally:
        checker.close()
    return contents
