"""Evaluation of a policy with workers of a run's kind."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reft.cluster import cluster
from reft.config import Config
from reft.evaluate import Report, evaluate
from reft.files import write_atomically
from reft.prepare import Prepared
from reft.progress import Display
from reft.rollouts import ray_pool, try_prompts
from rollout.pool import Pool, Progress
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import derive_seed


def evaluate_policy(
    config: Config, pool: Pool, problems: Sequence[Problem], name: str, display: Display
) -> dict[str, tuple[Report, list[Sample]]]:
    """Reports on the pool's policy, behind a bar."""
    params = SamplingParams(config.sampling.temperature, config.sampling.max_tokens)
    total = len(problems) * (1 + config.evaluate.samples)
    with display.bar(f"evaluate {name}", total, "chain") as bar:

        def progress(mode: str) -> Progress:
            before = 0 if mode == "greedy" else len(problems)
            return lambda done, _: bar.update(before + done, mode)

        seed = derive_seed(config.seed, "evaluate", name)
        return evaluate(pool, config.task, problems, params, config.evaluate.samples, seed, progress)


def evaluate_checkpoint(prepared: Prepared, checkpoint: Path, display: Display, split: str) -> dict[str, Any]:
    """Evaluate a checkpoint on a split of its run's task, with workers of its run's kind; writes the report beside it."""
    config = prepared.config
    problems = vars(prepared.splits)[split][: config.evaluate.limit]
    try_prompts(str(checkpoint), problems)
    rollout = config.rollout
    with cluster(config.ray, rollout.workers * rollout.cpus, rollout.workers * rollout.gpus):
        pool = ray_pool(config, str(checkpoint.absolute()))
        try:
            reports = evaluate_policy(config, pool, problems, split, display)
        finally:
            pool.close()
    file = checkpoint.absolute().parent.parent / "eval" / f"{checkpoint.name}-{split}.json"
    content: dict[str, Any] = {mode: report.plain() for mode, (report, _) in reports.items()}
    content |= {"checkpoint": str(checkpoint), "split": split, "file": str(file)}
    write_atomically(file, json.dumps(content, indent=2) + "\n")
    return content
