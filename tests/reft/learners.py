"""Small learners, and batches of the fresh model for them."""

from functools import partial
from pathlib import Path

import torch

from reft.algorithms.reft import ReFT
from reft.batch import Batch, collate
from reft.config import LearnerConfig, ModelConfig
from reft.learner.driver import Learner, LocalGang, UpdateShape
from reft.learner.rank import Rank, RankSettings
from rewards.equal import NO_ANSWER
from rollout.engines.hf import HFEngineFactory
from rollout.types import Problem, Sample, SamplingParams

PROMPTS = ["a 5 b 3 c 4 > 4 ?", "a 1 b 1 c 1 > 1 ?", "a 9 b 2 c 3 > 14 ?", "a 2 b 7 c 7 > 2 ?", "a 6 b 6 c 1 > 1 ?"]
ALGORITHM = ReFT(kl_coef=0.05, epochs=2, minibatches=2)

# The gradient of GPT-2's key bias is zero but for rounding, which Adam with its usual epsilon would blow up to full steps.
# Of fifteen chains in two minibatches, two ranks get four and four, then four and three: at three a forward pass, one of them
# has nothing left for the last pass and must stand in.
LEARNER = {"threads": 1, "lr": 1e-3, "critic_lr": 1e-2, "micro_batch": 3, "eps": 1e-5}


def settings(model: Path, deepspeed: bool) -> RankSettings:
    config = LearnerConfig(**LEARNER)
    return RankSettings(str(model), str(model), ModelConfig(), config, ALGORITHM, 1.0, 0, deepspeed)


def shape(**changes: object) -> UpdateShape:
    return UpdateShape(**{
        "epochs": 2, "minibatches": 2, "micro_batch": 3, "schedule": "linear", "warmup_steps": 1, "critic_warmup": 1,
        "steps": 5, "stop_kl": None, "lr": 1e-3, "dtype": "float32", "seed": 0, **changes,
    })  # fmt: skip


def learner_of(model: Path, **changes: object) -> Learner:
    """In this process, in plain torch; `changes` are of the update's shape."""
    return Learner(LocalGang(partial(Rank, settings=settings(model, deepspeed=False))), shape(**changes))


def sample_batch(model: Path, seed: int, longest: int = 9) -> Batch:
    """Fifteen chains of the fresh model, rewarded by their length."""
    engine = HFEngineFactory(str(model))()
    groups = engine.generate(PROMPTS, 3, SamplingParams(1.0, longest), seed)
    return collate(
        [
            Sample(Problem("p", "", ""), completion, None, NO_ANSWER, {}, len(completion.tokens) % 3 / 2, 0)
            for group in groups
            for completion in group
        ],
        pad=0,
    )


def five_updates(learner: Learner, model: Path, longest: int = 9) -> list[dict[str, float]]:
    history = []
    for update in range(5):
        batch = sample_batch(model, update, longest)
        experience, metrics = ALGORITHM.credit(batch, learner)
        history.append(metrics | learner.update(experience))
    return history


def relative_error(mine: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """|a - b| / |b| over all tensors together."""
    apart = sum(float(((mine[name] - theirs[name]) ** 2).sum()) for name in theirs)
    return (apart / sum(float((theirs[name] ** 2).sum()) for name in theirs)) ** 0.5
