"""What must be known before any process starts: problems, demonstrations, tokenizer, and whether they fit the model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from reft.compose import Composed
from reft.config import Config
from reft.curriculum import Cuttable, find_cuttable
from reft.errors import ConfigError, DataError, RunError
from reft.flops import Cost
from reft.model import check_model, fresh_config, load_tokenizer, make_fresh
from reft.rollouts import try_policy, try_rewards
from reft.tasks import Demonstration, Splits
from reft.tokenizer import bpe_tokenizer, word_tokenizer
from rewards.known import is_readable
from rollout.codec import Codec
from rollout.types import Problem
from rollout.worker import derive_seed


@dataclass(frozen=True)
class Prepared:
    """The inputs of a run, checked against each other."""

    composed: Composed
    splits: Splits
    demonstrations: Sequence[Demonstration]
    tokenizer: PreTrainedTokenizerBase
    model_config: Any
    """The `transformers` config of the policy."""
    context: int
    """Positions of the policy, prompt and chain together."""
    too_long: int
    """Problems left out because prompt and longest chain do not fit into the context."""
    unreadable: int
    """Problems whose known answer the checker can compare by its text alone."""
    cuttable: Cuttable | None
    """The demonstrations that episodes start from; None without a curriculum."""

    @property
    def config(self) -> Config:
        return self.composed.config

    @property
    def cost(self) -> Cost:
        """Of the policy, in operations."""
        return Cost.of(self.model_config)

    @property
    def codec(self) -> Codec:
        return Codec(self.tokenizer)


def prepare(composed: Composed) -> Prepared:
    """Load and check everything that can be checked without starting a process.

    Raises:
        UserError: in one line, for what is missing, empty, too long or not there.
    """
    config = composed.config
    _check_devices(config)
    _check_engine(config)
    model_config = None if config.model.path is None else check_model(config.model.path)
    splits = config.task.splits()
    for name, problems in vars(splits).items():
        if not problems:
            raise DataError(f"the {name} split of task {composed.settings['task']['use']!r} is empty; give it problems")
        if unanswered := next((problem.id for problem in problems if not problem.answer.strip()), None):
            raise DataError(f"problem {unanswered!r} of the {name} split has no answer; give it one, or leave it out")
    demonstrations: Sequence[Demonstration] = []
    rounds = config.self_training.rounds and config.self_training.demonstrations
    loop = config.curriculum.stages or (config.train.steps and config.algorithm.imitates)
    if config.warmup.epochs > 0 or rounds or loop:
        demonstrations = config.task.demonstrations(splits.train, derive_seed(config.seed, "demonstrations"))
    tokenizer = _tokenizer(config, demonstrations, splits)
    if model_config is None:
        model_config = fresh_config(config.model, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id)
    check_stop(config.sampling.stop, tokenizer)
    context = int(model_config.max_position_embeddings)
    fitting, too_long = _fit(config, splits, Codec(tokenizer), context)
    unreadable = sum(not is_readable(problem.answer) for problems in vars(fitting).values() for problem in problems)
    try_rewards(config, (demonstrations or [Demonstration(fitting.train[0], "")])[0])
    cuttable = None
    if config.curriculum.stages:
        cuttable = find_cuttable(config, plain(demonstrations, fitting.train), Codec(tokenizer))
    return Prepared(composed, fitting, demonstrations, tokenizer, model_config, context, too_long, unreadable, cuttable)


def check_stop(stop: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise `ConfigError` for a text that no chain can have."""
    for text in stop:
        if special := next((token for token in tokenizer.all_special_tokens if token in text), None):
            raise ConfigError(
                f"sampling.stop={text!r} has the special token {special!r}, which is no text of a chain; name it as "
                "eos_token_id in the model's generation_config.json"
            )


def plain(demonstrations: Sequence[Demonstration], problems: Sequence[Problem]) -> list[Demonstration]:
    """The demonstrations of `problems` as they are, without a hint in the prompt."""
    prompts = {problem.id: problem.prompt for problem in problems}
    return [shown for shown in demonstrations if prompts.get(shown.problem.id) == shown.problem.prompt]


def materialise(prepared: Prepared, folder: Path) -> None:
    """Write the fresh model to `folder`."""
    config = prepared.config
    make_fresh(config.model, prepared.tokenizer, derive_seed(config.seed, "weights"), folder)
    try_policy(config, str(folder), prepared.splits.train[0].prompt)


def _tokenizer(config: Config, demonstrations: Sequence[Demonstration], splits: Splits) -> PreTrainedTokenizerBase:
    if config.model.path is not None:
        return load_tokenizer(config.model.path)
    words = config.task.words()
    if words is not None:
        return word_tokenizer(words, config.model.context)
    return bpe_tokenizer(_texts(demonstrations, splits), config.model.vocabulary, config.model.context)


def _texts(demonstrations: Sequence[Demonstration], splits: Splits) -> list[str]:
    """What a tokenizer may learn from: training text only."""
    chains = [demonstration.chain for demonstration in demonstrations]
    return [*(problem.prompt for problem in splits.train), *chains]


def _check_engine(config: Config) -> None:
    """vLLM must be there where it is to sample; on a cluster, too, as it is where the program runs."""
    if config.rollout.engine == "vllm" and find_spec("vllm") is None:
        raise ConfigError(
            "rollout.engine=vllm needs vLLM, which is not installed; pip install 'reft-rl[vllm]', or choose rollout.engine=hf"
        )


def _check_devices(config: Config) -> None:
    """A GPU that is asked for on this machine must be there; on a cluster, Ray is asked when it is reached."""
    if config.ray.address is not None:
        return
    there = torch.cuda.device_count()
    for key, count in (("learner.gpus", config.learner.gpus * config.learner.ranks),
                       ("rollout.gpus", config.rollout.gpus * config.rollout.workers)):  # fmt: skip
        if count > there:
            raise ConfigError(f"{key} asks for {count:g} GPUs and this machine has {there}; set {key}=0 or use a cluster")


def _fit(config: Config, splits: Splits, codec: Codec, context: int) -> tuple[Splits, int]:
    """The problems whose prompt, with a hint where it may get one, leaves room for the longest chain. A prompt is never cut."""
    kept: dict[str, list[Problem]] = {}
    dropped, max_tokens = 0, config.sampling.max_tokens
    for name, problems in vars(splits).items():
        hinted = name == "train" and config.self_training.rounds and config.self_training.rationalize
        prompts = [config.task.hinted(problem).prompt if hinted else problem.prompt for problem in problems]
        lengths = map(len, codec.prompts(prompts))
        fits = [problem for problem, length in zip(problems, lengths, strict=True) if 0 < length <= context - max_tokens]
        if not fits:
            raise RunError(
                f"no prompt of the {name} split leaves room for sampling.max_tokens={max_tokens} in the model's "
                f"{context} positions; lower it or use a model with a longer context"
            )
        kept[name] = fits
        dropped += len(problems) - len(fits)
    return replace(splits, **kept), dropped
