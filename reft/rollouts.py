"""From a run's settings to rollout workers: engine, reader, rewards, checker."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy
import torch
from transformers import AutoModelForCausalLM

from reft.config import Config, SamplingConfig
from reft.errors import ConfigError
from reft.model import load_causal_lm, load_tokenizer
from reft.reward_config import CheckerConfig, ProgramsConfig, RewardConfig
from reft.tasks import Demonstration, Task
from rewards.algebra.scalar import Policy
from rewards.equal import Checker
from rewards.program import Programs
from rewards.sandbox import Limits
from rewards.scorer import Scorer
from rewards.terms import RewardError, load_term
from rollout.codec import Codec
from rollout.engine import Engine, checksum, untied
from rollout.engines.hf import HFEngineFactory
from rollout.engines.vllm_engine import VLLMEngineFactory
from rollout.jobs import Supervision
from rollout.parcel import Parcel
from rollout.pool import LocalPool, Publication
from rollout.ray_pool import RayPool
from rollout.types import Problem, SamplingParams
from rollout.worker import Worker

TRIAL_SECONDS = 60.0
"""For one sample, before a run starts; a judge over a network may be slow."""


@dataclass(frozen=True)
class WorkerSettings:
    """All that a rollout worker needs to know; it travels to the worker's process and is built there."""

    engine: Callable[[], Engine]
    threads: int
    task: Task
    rewards: Mapping[str, RewardConfig]
    checker: CheckerConfig
    programs: ProgramsConfig


def sampling_params(sampling: SamplingConfig, temperature: float | None = None) -> SamplingParams:
    """How chains are drawn, at another temperature where one is given."""
    temperature = sampling.temperature if temperature is None else temperature
    return SamplingParams(temperature, sampling.max_tokens, stop=tuple(sampling.stop))


def worker_settings(config: Config, model: str) -> WorkerSettings:
    """The settings of a worker that samples from the model in a folder or on the hub."""
    rollout = config.rollout
    device = "cuda" if rollout.gpus else "cpu"
    engine: Callable[[], Engine]
    if rollout.engine == "vllm":
        sleeps = 0 < rollout.gpus < 1
        engine = VLLMEngineFactory(
            model, config.model.dtype, device, rollout.max_rows, rollout.tensor_parallel, rollout.gpu_memory, sleeps
        )
    else:
        engine = HFEngineFactory(model, config.model.dtype, device, rollout.max_rows)
    return WorkerSettings(engine, rollout.threads, config.task, config.rewards, config.checker, config.programs)


def make_checker(checker: CheckerConfig) -> Checker:
    """The checker that a config describes."""
    limits = Limits(seconds=10 * checker.seconds, cpu_seconds=checker.seconds, memory_bytes=checker.memory_mb << 20)
    policy = Policy(
        rounding=checker.rounding,
        percent=checker.percent,
        units=checker.units,
        ordered=checker.ordered,
        several=checker.several,
        tolerance=checker.tolerance,
    )
    return Checker(policy, limits, checker.processes)


def make_scorer(
    rewards: Mapping[str, RewardConfig], checker: CheckerConfig, programs: ProgramsConfig, forgiving: bool = False
) -> Scorer:
    """The scorer that a config describes; `forgiving` of functions that fail for some completions, as in a run.

    Raises:
        rewards.terms.RewardError: if a reward function cannot be found or does not fit.
    """
    terms = [load_term(name, reward.use, reward.weight, reward.kwargs, reward.deadline) for name, reward in rewards.items()]
    program_limits = Limits(seconds=programs.seconds, memory_bytes=programs.memory_mb << 20)
    runner = Programs(program_limits, programs.processes, programs.imports)
    return Scorer(terms, make_checker(checker), runner, forgiving)


def make_worker(settings: WorkerSettings) -> Worker:
    """A worker in this process."""
    torch.set_num_threads(settings.threads)
    scorer = make_scorer(settings.rewards, settings.checker, settings.programs, forgiving=True)
    return Worker(settings.engine(), scorer, settings.task.read)


def ray_pool(config: Config, model: str, notify: Callable[[str], None]) -> RayPool:
    """The config's workers on the Ray cluster that this process is connected to; `notify` is told what happens to them."""
    rollout = config.rollout
    make = partial(make_worker, worker_settings(config, model))
    supervision = Supervision(
        starting=config.ray.deadline,
        working=config.ray.deadline,
        heartbeat=config.ray.heartbeat,
        restarts=rollout.restarts,
        window=rollout.restart_window,
        reward_failures=rollout.reward_failures,
    )
    return RayPool(make, rollout.workers, rollout.shard_size, rollout.cpus, rollout.gpus, supervision, notify)


def publication(config: Config, model: str) -> Publication:
    """The weights of a folder or hub id, as workers take them."""
    state = untied(AutoModelForCausalLM.from_pretrained(model, dtype=config.model.dtype, trust_remote_code=False).state_dict())
    return Publication(Parcel(state), checksum(state))


def local_pool(config: Config, model: str) -> LocalPool:
    """One worker in this process."""
    return LocalPool(make_worker(worker_settings(config, model)), config.rollout.shard_size)


def try_rewards(config: Config, demonstration: Demonstration) -> None:
    """Score one demonstration, so that a reward function that cannot work fails before anything is started.

    Raises:
        rewards.terms.RewardError: names the function and what is wrong with it.
    """
    scorer = make_scorer(config.rewards, config.checker, config.programs)
    problem, columns = demonstration.problem, dict[str, Any](demonstration.problem.columns)
    found = config.task.read(problem, demonstration.chain)
    failures: list[BaseException] = []

    def score() -> None:
        try:
            scorer.score([problem.prompt], [demonstration.chain], [[0]], [found], [problem.answer], [columns])
        except BaseException as error:
            failures.append(error)

    # A thread of its own, so that one that hangs is noticed; it ends with this process.
    trial = threading.Thread(target=score, name="reward trial", daemon=True)
    trial.start()
    trial.join(TRIAL_SECONDS)
    if trial.is_alive():
        raise RewardError(
            f"the rewards {', '.join(config.rewards)} took longer than {TRIAL_SECONDS:g} s for one sample; "
            "mend the one that hangs, or give it a deadline"
        )
    scorer.close()
    if failures:
        raise failures[0]


def try_prompts(model: str, problems: Sequence[Problem]) -> None:
    """Tokenize prompts as a model will.

    Raises:
        ConfigError: if its tokenizer cannot, as one made for another task.
    """
    codec = Codec(load_tokenizer(model))
    for problem in problems:
        try:
            codec.prompts([problem.prompt])
        except Exception as error:  # the tokenizers library raises nothing more special
            raise ConfigError(
                f"the tokenizer of {model} cannot read {problem.prompt[:60]!r}: {error}; "
                "evaluate it on the task that it was made for"
            ) from error


def try_policy(config: Config, folder: str, prompt: str) -> None:
    """Sample a few tokens from a fresh model and score them in one pass, as learner and sampler will; both must agree.

    Raises:
        ConfigError: if the architecture cannot be sampled step by step, or looks at tokens that are still to come.
    """
    name = config.model.architecture
    try:
        engine = HFEngineFactory(folder)()
        (completion,) = engine.generate([prompt], 1, SamplingParams(1.0, 8), seed=0)[0]
    except (AttributeError, TypeError, KeyError, RuntimeError) as error:
        raise ConfigError(f"model.architecture={name!r} cannot be sampled with a key/value cache: {error!r}") from error
    row = torch.from_numpy(numpy.concatenate([completion.prompt_tokens, completion.tokens])).long()[None]
    with torch.no_grad():
        logprobs = load_causal_lm(folder, torch.float32)(row).logits[0, :-1].float().log_softmax(-1)
    known = logprobs.gather(1, row[0, 1:, None])[-len(completion.tokens) :, 0].numpy()
    gap = float(numpy.abs(known - completion.logprobs).max())
    if gap > 1e-3:
        raise ConfigError(
            f"model.architecture={name!r} is not causal: log-probs change by {gap:.2g} with later tokens; try gpt2"
        )
