"""What a config's values may be: ranges, and what must agree."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from importlib.util import find_spec
from typing import Any

from reft.config import Config, ImitationConfig
from reft.errors import ConfigError
from reft.tasks import HintedTask

IMITATIONS = ("warmup", "self_training", "rerank")
"""Sections that hold the settings of an imitation."""
AT_LEAST = {
    "model.layers": 1, "model.width": 1, "model.heads": 1, "model.context": 2, "model.vocabulary": 260,
    **{f"{section}.{name}": least for section in IMITATIONS for name, least in (
        ("batch_size", 1), ("micro_batch", 1), ("pack_to", 1), ("lr", 0), ("warmup_share", 0), ("warmup_steps", 0),
        ("weight_decay", 0), ("grad_clip", 0),
    )},
    "warmup.epochs": 0, "sampling.max_tokens": 1, "train.steps": 0, "train.prompts": 1,
    "train.samples_per_prompt": 1, "train.rounds": 1, "train.eval_every": 1, "train.save_every": 1, "train.samples_logged": 0,
    "curriculum.stages": 0, "curriculum.share": 0,
    **{f"self_training.{name}": least for name, least in (
        ("rounds", 0), ("prompts", 1), ("samples_per_prompt", 0), ("rationalize", 0), ("cap", 1),
        ("growth", 1), ("patience", 0),
    )},
    "rerank.samples_per_prompt": 1, "rerank.prompts": 1,
    "learner.ranks": 1, "learner.threads": 1, "learner.cpus": 0, "learner.gpus": 0, "learner.micro_batch": 1,
    "learner.lr": 0, "learner.critic_lr": 0, "learner.warmup_steps": 0, "learner.critic_warmup": 0, "learner.weight_decay": 0,
    "learner.grad_clip": 0, "learner.restarts": 0,
    "rollout.workers": 1, "rollout.threads": 1, "rollout.cpus": 0, "rollout.gpus": 0,
    "rollout.shard_size": 1, "rollout.max_rows": 1, "rollout.restarts": 0, "rollout.tensor_parallel": 1,
    "rollout.reward_failures": 0,
    "checker.tolerance": 0, "checker.rounding": 0, "checker.memory_mb": 256, "checker.processes": 1,
    "programs.memory_mb": 128, "programs.processes": 1, "evaluate.limit": 1,
    "evaluate.dev_limit": 1, "evaluate.samples": 1, "evaluate.top_k": 0, "evaluate.min_p": 0,
    "run.keep_last": 1, "run.keep_best": 1, "seed": 0,
}  # fmt: skip
AT_MOST = {
    **{f"{section}.warmup_share": 1 for section in IMITATIONS},
    "warmup.ready_at": 1, "learner.gpus": 1, "rollout.reward_failures": 1, "rollout.gpu_memory": 1, "curriculum.share": 1,
    "self_training.rationalize": 1, "self_training.least_distance": 1, "evaluate.top_p": 1, "evaluate.min_p": 1,
}  # fmt: skip
ABOVE = {
    "sampling.temperature": 0, "learner.eps": 0, "checker.seconds": 0, "programs.seconds": 0, "ray.deadline": 0,
    "ray.heartbeat": 0, "rollout.restart_window": 0, "rollout.gpu_memory": 0,
    "warmup.ready_at": 0, "train.sampler_gap": 0, "train.sampler_warning": 0,
    "self_training.epochs": 0, "self_training.temperature": 0, "self_training.least_distance": 0,
    "rerank.epochs": 0, "evaluate.temperature": 0, "evaluate.top_p": 0,
}  # fmt: skip

LEAST_TEMPERATURE = 0.01
"""vLLM raises lower ones to it."""


def validate(config: Config) -> None:
    """Raise `ConfigError` for the first value that is out of range, by name, before any process starts."""
    for key, bound in AT_LEAST.items():
        _bound(config, key, lambda value, bound=bound: value >= bound, f"{bound} or more")
    for key, bound in AT_MOST.items():
        _bound(config, key, lambda value, bound=bound: value <= bound, f"{bound} or less")
    for key, bound in ABOVE.items():
        _bound(config, key, lambda value, bound=bound: value > bound, f"more than {bound}")
    for key in (*(f"{section}.betas" for section in IMITATIONS), "learner.betas"):
        _bound(config, key, lambda betas: all(0 <= beta < 1 for beta in betas), "two numbers from 0 to below 1")
    _check_agreement(config)
    if not config.rewards:
        raise ConfigError("rewards is empty; name at least one, e.g. rewards.correct.use=correct")
    _check_imports(config.programs.imports)
    for text in config.sampling.stop:
        if text == "" or not isinstance(text, str):  # lists of lists pass as lists of texts
            raise ConfigError(f"sampling.stop={config.sampling.stop}: {text!r} is no text to look for; remove it")
    for key, value in _numbers(config, ""):
        if not math.isfinite(value):
            raise ConfigError(f"{key}={value} is out of range; choose a finite number")
    config.task.validate()
    config.algorithm.validate()


def _check_agreement(config: Config) -> None:
    """Settings that must fit each other."""
    if config.model.path is None and config.model.width % config.model.heads:
        raise ConfigError(f"model.width={config.model.width} is no multiple of model.heads={config.model.heads}")
    for section in IMITATIONS:
        imitation: ImitationConfig = getattr(config, section)
        horizon, epochs = imitation.schedule_epochs, imitation.epochs
        if horizon is not None and horizon < epochs:
            raise ConfigError(f"{section}.schedule_epochs={horizon} is less than {section}.epochs={epochs}; raise it")
    for section, used in (("warmup", config.warmup.epochs), ("self_training", config.self_training.rounds)):
        size = getattr(config, section).batch_size
        if used and size % config.learner.ranks:
            raise ConfigError(
                f"{section}.batch_size={size} is no multiple of learner.ranks={config.learner.ranks}; change one of them"
            )
    chains = config.train.prompts * config.train.samples_per_prompt
    if config.train.steps and config.algorithm.minibatches > chains:
        raise ConfigError(
            f"algorithm.minibatches={config.algorithm.minibatches} is more than the {chains} chains of a step; lower it"
        )
    if config.learner.gpus not in (0, 1) and config.learner.ranks > 1:
        raise ConfigError(
            f"learner.gpus={config.learner.gpus} is not whole; each of several ranks has one GPU or none, and one rank alone "
            "may share its own"
        )
    if config.self_training.rounds and config.train.steps:
        raise ConfigError(
            f"self_training.rounds={config.self_training.rounds} and train.steps={config.train.steps} are two ways to go on "
            "from the warm-up; set one of them to 0"
        )
    if config.self_training.rounds and config.curriculum.stages:
        raise ConfigError(
            f"curriculum.stages={config.curriculum.stages} is for reinforcement, and self_training.rounds="
            f"{config.self_training.rounds} trains in rounds instead; set one of them to 0"
        )
    if config.rerank.packing:
        raise ConfigError("rerank.packing=true is not to be had: a score belongs to a row; set it to false")
    _check_rounds(config)
    _check_critic(config)
    _check_engine(config)
    if config.train.samples_per_prompt < config.algorithm.least_group:
        raise ConfigError(
            f"train.samples_per_prompt={config.train.samples_per_prompt} leaves nothing to compare a chain with; "
            f"this algorithm takes {config.algorithm.least_group} or more chains a problem"
        )


def _check_critic(config: Config) -> None:
    """Settings of the critic must leave the policy something to learn, and belong to an algorithm that has one."""
    warmup, steps = config.learner.critic_warmup, config.train.steps
    if steps and warmup >= steps:
        raise ConfigError(f"learner.critic_warmup={warmup} of train.steps={steps} leaves none for the policy; lower it")
    if not config.algorithm.has_critic and (warmup or config.model.critic == "separate"):
        told = f"learner.critic_warmup={warmup}" if warmup else "model.critic=separate"
        raise ConfigError(f"{told} is for an algorithm with a critic, and this one has none; leave it out")


def _check_engine(config: Config) -> None:
    """What vLLM needs, and what it cannot do."""
    rollout = config.rollout
    if rollout.engine != "vllm":
        if rollout.tensor_parallel > 1:
            raise ConfigError(f"rollout.tensor_parallel={rollout.tensor_parallel} is for rollout.engine=vllm; leave it out")
        return
    if 0 < rollout.gpus < 1 and rollout.gpu_memory > rollout.gpus:
        raise ConfigError(
            f"rollout.gpu_memory={rollout.gpu_memory:g} is more than a worker's rollout.gpus={rollout.gpus:g} of the GPU, "
            f"where the learner or other workers keep theirs; set rollout.gpu_memory={rollout.gpus:g} or less"
        )
    if rollout.tensor_parallel > 1 and rollout.gpus not in (0, rollout.tensor_parallel):
        raise ConfigError(
            f"rollout.tensor_parallel={rollout.tensor_parallel} shares a worker's weights over as many GPUs; set "
            f"rollout.gpus={rollout.tensor_parallel}"
        )
    for key, value in (
        ("sampling.temperature", config.sampling.temperature),
        ("self_training.temperature", config.self_training.temperature),
        ("evaluate.temperature", config.evaluate.temperature),
    ):
        if value is not None and value < LEAST_TEMPERATURE:
            raise ConfigError(f"{key}={value} is below what rollout.engine=vllm takes; choose {LEAST_TEMPERATURE} or more")
    if config.evaluate.top_p < 1 and config.evaluate.min_p > 0:
        raise ConfigError(
            f"evaluate.min_p={config.evaluate.min_p:g} and evaluate.top_p={config.evaluate.top_p:g} are taken in another order "
            "by rollout.engine=vllm; choose one of them"
        )


def _check_rounds(config: Config) -> None:
    """What rounds of self-training need."""
    settings = config.self_training
    if settings.samples_per_prompt == 0 and not settings.demonstrations:
        raise ConfigError(
            "self_training.samples_per_prompt=0 leaves nothing to imitate; raise it, or set self_training.demonstrations=true"
        )
    if settings.rationalize:
        if settings.samples_per_prompt == 0:
            raise ConfigError("self_training.rationalize takes chains that were wrong; set self_training.samples_per_prompt")
        if not isinstance(config.task, HintedTask):
            raise ConfigError(
                f"self_training.rationalize={settings.rationalize:g} needs hints, and the task has none; give it a method "
                "`hinted`, as signed_sum, jsonl and hub have"
            )


def _check_imports(names: Sequence[str]) -> None:
    for name in names:
        if not name.isidentifier() or find_spec(name) is None:
            raise ConfigError(f"programs.imports: {name!r} is no module that is installed here; remove it")


def _numbers(value: Any, key: str) -> Iterator[tuple[str, float]]:
    """Every number of the settings with its dotted key."""
    if isinstance(value, float):
        yield key, value
    elif is_dataclass(value) or isinstance(value, dict):
        items = value.items() if isinstance(value, dict) else vars(value).items()
        for name, item in items:
            yield from _numbers(item, f"{key}.{name}".lstrip("."))


def _bound(config: Config, key: str, holds: Any, remedy: str) -> None:
    value: Any = config
    for part in key.split("."):
        value = vars(value)[part]
    # A NaN compares false with everything, so it is out of every range.
    if value is not None and not holds(value):
        raise ConfigError(f"{key}={value} is out of range; choose {remedy}")
