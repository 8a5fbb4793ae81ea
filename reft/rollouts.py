"""From a run's settings to rollout workers: engine, reader, rewards, checker."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from reft.config import CheckerConfig, Config, RewardConfig
from reft.tasks import Demonstration, Task
from rewards.equal import Checker
from rewards.sandbox import Limits
from rewards.scalar import Policy
from rewards.scorer import Scorer, load_term
from rollout.engines.hf import HFEngineFactory
from rollout.pool import LocalPool, RayPool
from rollout.worker import Worker


@dataclass(frozen=True)
class WorkerSettings:
    """All that a rollout worker needs to know; it travels to the worker's process and is built there."""

    engine: HFEngineFactory
    threads: int
    task: Task
    rewards: Mapping[str, RewardConfig]
    checker: CheckerConfig


def worker_settings(config: Config, model: str) -> WorkerSettings:
    """The settings of a worker that samples from the model in a folder or on the hub."""
    rollout = config.rollout
    device = "cuda" if rollout.gpus else "cpu"
    engine = HFEngineFactory(model, config.model.dtype, device, rollout.max_rows)
    return WorkerSettings(engine, rollout.threads, config.task, config.rewards, config.checker)


def make_scorer(rewards: Mapping[str, RewardConfig], checker: CheckerConfig) -> Scorer:
    """The scorer that a config describes.

    Raises:
        rewards.scorer.RewardError: if a reward function cannot be found or does not fit.
    """
    terms = [load_term(name, reward.use, reward.weight, reward.kwargs, reward.deadline) for name, reward in rewards.items()]
    limits = Limits(seconds=checker.seconds, memory_bytes=checker.memory_mb << 20)
    policy = Policy(checker.rounding, checker.percent, checker.units, checker.ordered, checker.tolerance)
    return Scorer(terms, Checker(policy, limits, checker.processes))


def make_worker(settings: WorkerSettings) -> Worker:
    """A worker in this process."""
    torch.set_num_threads(settings.threads)
    return Worker(settings.engine(), make_scorer(settings.rewards, settings.checker), settings.task.read)


def ray_pool(config: Config, model: str) -> RayPool:
    """The config's workers on the Ray cluster that this process is connected to."""
    rollout = config.rollout
    make = partial(make_worker, worker_settings(config, model))
    return RayPool(make, rollout.workers, rollout.shard_size, rollout.cpus, rollout.gpus, config.ray.deadline)


def local_pool(config: Config, model: str) -> LocalPool:
    """One worker in this process."""
    return LocalPool(make_worker(worker_settings(config, model)), config.rollout.shard_size)


def try_rewards(config: Config, demonstration: Demonstration) -> None:
    """Score one demonstration, so that a reward function that cannot work fails before anything is started.

    Raises:
        rewards.scorer.RewardError: names the function and what is wrong with it.
    """
    scorer = make_scorer(config.rewards, config.checker)
    problem, columns = demonstration.problem, dict[str, Any](demonstration.problem.columns)
    try:
        extracted = config.task.read(problem, demonstration.chain)
        scorer.score([problem.prompt], [demonstration.chain], [[0]], [extracted], [problem.answer], [columns])
    finally:
        scorer.close()
