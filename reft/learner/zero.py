"""Models divided over any number of ranks, by DeepSpeed ZeRO: backward and step, and what TRL needs for the same. The only
module that knows DeepSpeed."""

import math
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import deepspeed
import torch
from accelerate.state import AcceleratorState, PartialState
from torch import Tensor, nn

from reft.config import LearnerConfig
from reft.errors import RunError
from reft.learner.optimization import make_optimizer, set_rate
from reft.model import PolicyModel

TAG = "state"
SMALL = 100_000
"""Stage 3 leaves a parameter of fewer numbers whole on every rank (DeepSpeed's default)."""


def join(backend: str) -> None:
    """Join the process group that the environment (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT) describes."""
    # DeepSpeed would compile a shared-memory all-reduce on its first start, half a minute, for a call that only
    # inference makes. Gloo does without.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(backend, verbose=False)


class DeepSpeedOptimization:
    """A DeepSpeed engine whose accumulation boundary is our own call of `step`.

    Args:
        model: moved to its device already.
        config: the learner's settings.
        bfloat16: whether the model is in bfloat16; DeepSpeed then keeps float32 master weights.
    """

    def __init__(self, model: PolicyModel, config: LearnerConfig, bfloat16: bool) -> None:
        self.world = torch.distributed.get_world_size()
        self.stage = config.zero
        self.optimizer = make_optimizer(model, config)
        # Stage 0 in float32 wraps no optimizer and reports no norm, so there the clipping is done here, where the norm
        # shows: the hook runs after gradients are reduced and before the weights move.
        self.own_clip = config.zero == 0 and not bfloat16
        self.grad_clip = config.grad_clip
        self.norm = math.nan
        if self.own_clip:
            self.optimizer.register_step_pre_hook(self._clip)
        self.engine, *_ = deepspeed.initialize(
            model=model, optimizer=self.optimizer, config=_settings(config, bfloat16, self.own_clip)
        )
        self.module: nn.Module = self.engine
        self.engine.eval()

    def backward(self, loss: Tensor) -> None:
        # DeepSpeed averages gradients over ranks; ours are parts of one sum.
        self.engine.backward(loss * self.world)

    def step(self, factor: float, critic_only: bool) -> float:
        set_rate(self.optimizer, factor, critic_only)
        self.engine.step()
        return self.norm if self.own_clip else float(self.engine.get_global_grad_norm())

    def gathered(self) -> AbstractContextManager[None]:
        return gathered(self.engine.module, self.stage)

    def save(self, folder: Path) -> None:
        self.engine.save_checkpoint(str(folder), tag=TAG)

    def load(self, folder: Path) -> None:
        path, _ = self.engine.load_checkpoint(str(folder), tag=TAG)
        if path is None:
            raise RunError(f"{folder} has no DeepSpeed state; remove that checkpoint to go on from the one before")

    def _clip(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.norm = float(nn.utils.clip_grad_norm_(parameters, self.grad_clip or math.inf))


def partition_frozen(model: nn.Module) -> nn.Module:
    """A model without gradients whose parameters are divided over the ranks (stage 3)."""
    engine, *_ = deepspeed.initialize(
        model=model, config={"train_micro_batch_size_per_gpu": 1, "zero_optimization": _division(3)}
    )
    engine.eval()
    return engine


def gathered(model: nn.Module, stage: int) -> AbstractContextManager[None]:
    """While it lasts, every rank sees all parameters whole. All ranks must enter."""
    return nullcontext() if stage < 3 else deepspeed.zero.GatheredParameters(list(model.parameters()))


def trainer_arguments(stage: int, gpu: bool) -> dict[str, Any]:
    """Join the process group, and say what `transformers.TrainingArguments` take, over what they have, for ranks that divide a
    model.

    Args:
        stage: of ZeRO, 1 to 3.
        gpu: whether each rank has one.
    """
    backend = "nccl" if gpu else "gloo"
    join(backend)
    # Left to itself, accelerate takes a rank without a GPU for the only one.
    AcceleratorState._reset_state(reset_partial_state=True)
    os.environ["ACCELERATE_USE_DEEPSPEED"] = "true"
    try:
        PartialState(backend=backend)
    finally:
        del os.environ["ACCELERATE_USE_DEEPSPEED"]
    said_there = ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
    return {
        "deepspeed": _common(stage, "auto") | dict.fromkeys(said_there, "auto"),
        "accelerator_config": {"use_configured_state": True},
        "use_cpu": False,  # with it, accelerate leaves DeepSpeed out
        "ddp_backend": None,
    }


def _settings(config: LearnerConfig, bfloat16: bool, own_clip: bool) -> dict[str, Any]:
    return _common(config.zero, bfloat16) | {
        "train_micro_batch_size_per_gpu": 1,  # a number DeepSpeed wants and does not use: we make the batches
        "gradient_accumulation_steps": 1,
        "managed_gradient_accumulation": False,
        "gradient_clipping": 0.0 if own_clip else config.grad_clip,
    }


def _common(stage: int, bfloat16: bool | Literal["auto"]) -> dict[str, Any]:
    return {
        "bf16": {"enabled": bfloat16},
        "zero_optimization": _division(stage),
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 1 << 62,
    }


def _division(stage: int) -> dict[str, Any]:
    return {"stage": stage, "stage3_param_persistence_threshold": SMALL}
