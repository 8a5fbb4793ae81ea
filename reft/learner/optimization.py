"""Backward and step for one process, in plain torch: what every other way must equal. Also the learning rate's shape."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from reft.config import LearnerConfig
from reft.learner.state import SavedState, count_steps, plain_entries, take_plain, write_state
from reft.model import PolicyModel


class Optimization(Protocol):
    """How one rank turns losses into new weights together with its peers."""

    world: int
    module: nn.Module
    """Call it for a forward pass."""

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of this rank's part of the loss; parts add up over ranks."""
        ...

    def step(self, factor: float, critic_only: bool) -> float:
        """Update the weights with `factor` times the peak learning rates, the policy's not at all if `critic_only`; returns
        the gradient norm before clipping."""
        ...

    def gathered(self) -> AbstractContextManager[None]:
        """A context in which the module's parameters are whole on rank 0."""
        ...

    def save(self, folder: Path) -> None:
        """Write weights and optimizer state; every rank calls it."""
        ...

    def load(self, folder: Path) -> None:
        """Read what `save` wrote, on any number of ranks.

        Raises:
            RunError: if it is not there, or of another model.
        """
        ...


def make_optimizer(model: PolicyModel, config: LearnerConfig) -> torch.optim.AdamW:
    """AdamW over the policy and, with a learning rate of their own, value head and separate critic. Groups carry their `peak`
    rate."""
    policy = list(model.lm.parameters())
    rest = [*model.value_head.parameters(), *(model.critic.parameters() if model.critic is not None else ())]
    critic_lr = config.lr if config.critic_lr is None else config.critic_lr
    groups = [
        {"params": policy, "lr": config.lr, "peak": config.lr},
        {"params": rest, "lr": critic_lr, "peak": critic_lr},
    ]
    return torch.optim.AdamW(groups, betas=config.betas, eps=config.eps, weight_decay=config.weight_decay)


def set_rate(optimizer: torch.optim.Optimizer, factor: float, critic_only: bool) -> None:
    """Set each group's learning rate to `factor` times its peak, the policy's to 0 if `critic_only`."""
    policy, critic = optimizer.param_groups
    policy["lr"] = 0.0 if critic_only else policy["peak"] * factor
    critic["lr"] = critic["peak"] * factor


def rate_factor(schedule: str, warmup_steps: int, step: int, steps: int) -> float:
    """The learning rate at `step` (from 0) of `steps`, as a share of its peak; it rises over `warmup_steps`, then falls to
    nothing behind the last step along a line or half a cosine, or stays."""
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    left = 1 - (step - warmup_steps) / max(1, steps - warmup_steps)
    return {"constant": 1.0, "linear": left, "cosine": 0.5 * (1 - math.cos(math.pi * left))}[schedule]


class TorchOptimization:
    """One process, no partitioning."""

    world = 1

    def __init__(self, model: PolicyModel, config: LearnerConfig) -> None:
        self.module: nn.Module = model
        self.grad_clip = config.grad_clip
        self.optimizer = make_optimizer(model, config)

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def step(self, factor: float, critic_only: bool) -> float:
        set_rate(self.optimizer, factor, critic_only)
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.grad_clip or math.inf)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(norm)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        yield

    def save(self, folder: Path) -> None:
        write_state(plain_entries(self.module, self.optimizer), count_steps(self.optimizer), folder)

    def load(self, folder: Path) -> None:
        take_plain(self.module, self.optimizer, SavedState(folder))
