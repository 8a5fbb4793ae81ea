"""Models divided over any number of ranks, by DeepSpeed ZeRO: backward and step, and what TRL needs for the same. The only
module that knows DeepSpeed."""

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import deepspeed
import torch
from accelerate.state import AcceleratorState, PartialState
from deepspeed.runtime.fp16.loss_scaler import LossScaler
from deepspeed.runtime.zero.config import ZeroStageEnum
from deepspeed.utils.tensor_fragment import fragment_address
from torch import Tensor, nn

from reft.config import LearnerConfig
from reft.learner.group import join_group
from reft.learner.optimization import make_optimizer, set_rate
from reft.learner.state import (
    MOMENTS,
    WEIGHT,
    SavedState,
    begin_state,
    count_steps,
    name_entry,
    plain_entries,
    take_plain,
    write_state,
)
from reft.model import PolicyModel

FORCED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
SMALL = 100_000
"""Stage 3 leaves a parameter of fewer numbers whole on every rank (DeepSpeed's default)."""


def join(backend: str) -> None:
    """Join the process group that the environment (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT) describes."""
    # DeepSpeed would compile a shared-memory all-reduce on its first start, half a minute, for a call that only
    # inference makes. Gloo does without.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    join_group(backend)
    deepspeed.init_distributed(backend, verbose=False)  # which finds the group


class DeepSpeedOptimization:
    """A DeepSpeed engine whose accumulation boundary is our own call of `step`.

    Args:
        model: moved to its device already.
        config: the learner's settings.
        bfloat16: whether the model is in bfloat16; DeepSpeed then keeps float32 master weights.
    """

    def __init__(self, model: PolicyModel, config: LearnerConfig, bfloat16: bool) -> None:
        self.world = torch.distributed.get_world_size()
        # At stage 0 DeepSpeed keeps master weights in a way of its own, whose moments it cannot name.
        self.stage = max(config.zero, 1) if bfloat16 else config.zero
        self.optimizer = make_optimizer(model, config)
        # Stage 0 in float32 wraps no optimizer and reports no norm, so there the clipping is done here, where the norm
        # shows: the hook runs after gradients are reduced and before the weights move.
        self.own_clip = self.stage == 0
        self.grad_clip = config.grad_clip
        self.norm = math.nan
        if self.own_clip:
            self.optimizer.register_step_pre_hook(self._clip)
        self.engine, *_ = deepspeed.initialize(
            model=model, optimizer=self.optimizer, config=_settings(config, self.stage, bfloat16)
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
        steps, entries = count_steps(self.optimizer), self._entries()
        if torch.distributed.get_rank() == 0:
            write_state(entries, steps, folder)
        else:
            for _ in entries:  # takes part in making them whole
                pass
        torch.distributed.barrier()

    def load(self, folder: Path) -> None:
        saved = SavedState(folder)
        if self.own_clip:
            take_plain(self.engine.module, self.optimizer, saved)
        else:
            self._take(saved)
        torch.distributed.barrier()

    def _entries(self) -> Iterable[tuple[str, Tensor]]:
        """The state by parameters; every rank must go through all of it."""
        if self.own_clip:
            yield from plain_entries(self.engine.module, self.optimizer)
            return
        kinds = MOMENTS if count_steps(self.optimizer) else ()
        self._link()
        for name, parameter in self.engine.module.named_parameters():
            yield name_entry(name, WEIGHT), deepspeed.utils.safe_get_full_fp32_param(parameter)
            for kind in kinds:
                yield name_entry(name, kind), deepspeed.utils.safe_get_full_optimizer_state(parameter, kind)

    @torch.no_grad()
    def _take(self, saved: SavedState) -> None:
        """Put saved tensors where this rank's part of them belongs."""
        named = list(self.engine.module.named_parameters())
        saved.check([name for name, _ in named])
        self._begin_states(saved.steps)
        for name, parameter in named:
            weight = saved.read(name, WEIGHT)
            assert weight is not None
            self._put(parameter, weight)
            with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0, enabled=self.stage == 3):
                parameter.copy_(weight)
            for kind in MOMENTS if saved.steps else ():
                moment = saved.read(name, kind)
                assert moment is not None
                self._put(parameter, moment, kind)

    def _put(self, parameter: Tensor, value: Tensor, kind: str | None = None) -> None:
        """Put this rank's part of a moment, or of the weight that the optimizer keeps, in its place."""
        value = value.to(self.engine.device)
        if self.stage < 3:
            if kind is None:
                deepspeed.utils.safe_set_full_fp32_param(parameter, value)
            else:
                deepspeed.utils.safe_set_full_optimizer_state(parameter, value, kind)
            return
        # DeepSpeed's way for whole tensors fails where ranks do not divide one evenly: the last rank's part is filled up.
        length = parameter.ds_tensor.numel()  # type: ignore[attr-defined]
        filled = nn.functional.pad(value.flatten(), (0, self.world * length - value.numel()))
        part = filled.narrow(0, torch.distributed.get_rank() * length, length)
        if kind is None:
            deepspeed.utils.safe_set_local_fp32_param(parameter, part)
        else:
            deepspeed.utils.safe_set_local_optimizer_state(parameter, part, kind)

    def _begin_states(self, steps: int) -> None:
        """Have AdamW's state for this rank's partitions, which it makes at its first step only."""
        self.optimizer.state.clear()
        if not steps:
            return
        if self.stage == 3:
            partitions = self.engine.optimizer.fp32_partitioned_groups_flat
        else:
            partitions = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        for partition in partitions:
            begin_state(self.optimizer, partition, steps)
        self._link()

    def _link(self) -> None:
        """Tell parameters where their moments lie. DeepSpeed does that once, behind the first group's first step: too early
        for the second group."""
        if self.stage < 3 and self.optimizer.state:
            self.engine.optimizer._hp_optimizer_states_linked = False
            self.engine.optimizer._lazy_init_hp_params_optimizer_state()

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


@contextmanager
def only_data() -> Iterator[None]:
    """While it lasts, `torch.load` takes tensors, plain values and three classes of DeepSpeed's, whatever it is asked for:
    DeepSpeed, which TRL's trainer saves with, asks for anything, and code in a file would run."""
    before = os.environ.get(FORCED)
    os.environ[FORCED] = "1"
    try:
        with torch.serialization.safe_globals([LossScaler, fragment_address, ZeroStageEnum]):
            yield
    finally:
        if before is None:
            del os.environ[FORCED]
        else:
            os.environ[FORCED] = before


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


def _settings(config: LearnerConfig, stage: int, bfloat16: bool) -> dict[str, Any]:
    return _common(stage, bfloat16) | {
        "train_micro_batch_size_per_gpu": 1,  # a number DeepSpeed wants and does not use: we make the batches
        "gradient_accumulation_steps": 1,
        "managed_gradient_accumulation": False,
        "gradient_clipping": config.grad_clip if stage else 0.0,
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
