"""Backward and step over any number of ranks, by DeepSpeed ZeRO. The only module that knows DeepSpeed."""

import math
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import deepspeed
import torch
from torch import Tensor, nn

from reft.config import LearnerConfig
from reft.errors import RunError
from reft.learner.optimization import make_optimizer, set_rate
from reft.model import PolicyModel

TAG = "state"


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
        if self.stage < 3:
            return nullcontext()
        return deepspeed.zero.GatheredParameters(list(self.engine.module.parameters()))

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
        model=model, config={"train_micro_batch_size_per_gpu": 1, "zero_optimization": {"stage": 3}}
    )
    engine.eval()
    return engine


def _settings(config: LearnerConfig, bfloat16: bool, own_clip: bool) -> dict[str, Any]:
    return {
        "train_micro_batch_size_per_gpu": 1,  # a number DeepSpeed wants and does not use: we make the batches
        "gradient_accumulation_steps": 1,
        "managed_gradient_accumulation": False,
        "gradient_clipping": 0.0 if own_clip else config.grad_clip,
        "bf16": {"enabled": bfloat16},
        "zero_optimization": {"stage": config.zero},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 1 << 62,
    }
