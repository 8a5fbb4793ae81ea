"""The learner as the loop sees it: one object, six verbs, any number of ranks behind it."""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from reft.algorithms import Outputs
from reft.batch import Batch
from reft.errors import RunError
from reft.learner.optimization import rate_factor
from reft.learner.plan import Minibatch, plan
from reft.learner.rank import Rank, StepRecord
from rollout.pool import Publication
from rollout.worker import derive_seed

FILE = "learner.json"
RATIO_TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2}
"""How far the ratio of an untouched policy may be from 1."""


class Gang(Protocol):
    """Ranks that are called together."""

    @property
    def world(self) -> int: ...

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """The method's result of every rank, in order of ranks."""
        ...

    def refer(self, method: str, *arguments: Any) -> Any:
        """Call every rank, but leave rank 0's result where it is: a handle to hand on."""
        ...

    def close(self) -> None: ...


class LocalGang:
    """One rank in this process."""

    world = 1

    def __init__(self, make: Callable[[int, int], Rank]) -> None:
        self.rank = make(0, 1)

    def call(self, method: str, *arguments: Any) -> list[Any]:
        return [getattr(self.rank, method)(*arguments)]

    def refer(self, method: str, *arguments: Any) -> Any:
        return getattr(self.rank, method)(*arguments)

    def close(self) -> None:
        """Nothing to end."""


@dataclass(frozen=True)
class UpdateShape:
    """How batches are cut and how the learning rate runs."""

    epochs: int
    minibatches: int
    micro_batch: int
    schedule: str
    warmup_steps: int
    critic_warmup: int
    steps: int
    stop_kl: float | None
    lr: float
    dtype: str
    seed: int


class Learner:
    """Cuts batches over the ranks of a gang and puts their results together.

    Args:
        gang: the ranks.
        shape: how batches are cut and how the learning rate runs.
    """

    def __init__(self, gang: Gang, shape: UpdateShape) -> None:
        self.gang = gang
        self.shape = shape
        self.updates = 0
        """Updates done so far; the order of rows and the learning rate follow from it."""
        self.memory: dict[str, float] = {}
        """Numbers that the algorithm keeps between updates."""

    def forward(self, batch: Batch) -> Outputs:
        """The current policy's outputs, without gradients, by the same forward passes as the next update's first epoch."""
        return self._assemble(batch, self.gang.call("forward", batch, self._plan(batch, epoch=0)))

    def reference(self, batch: Batch) -> Tensor:
        """(B, T-1) log-probs under the reference policy."""
        return self._assemble(batch, self.gang.call("reference", batch, self._plan(batch, epoch=0))).logprobs

    def update(self, experience: Any) -> dict[str, float]:
        """Learn from an experience; returns metrics.

        Raises:
            RunError: if the first minibatch's ratio is not 1, i.e. old and new log-probs disagree before anything moved.
        """
        factor = rate_factor(self.shape.schedule, self.shape.warmup_steps, self.updates, self.shape.steps)
        critic_only = self.updates < self.shape.critic_warmup
        epochs = [self._plan(experience.batch, epoch) for epoch in range(self.shape.epochs)]
        self.gang.call("begin", experience)
        steps: list[StepRecord] = []
        for minibatch in itertools.chain.from_iterable(epochs):
            steps.append(_merge(self.gang.call("step", minibatch, factor, critic_only)))
            if len(steps) == 1:
                self._check_first(steps[0])
            if self.shape.stop_kl is not None and steps[-1].mean("kl/update") > self.shape.stop_kl:
                break
        self.updates += 1
        actions = sum(step.actions for step in steps)
        metrics = {
            "loss/total": sum(step.loss for step in steps) / len(steps),
            "optimizer/grad_norm": sum(step.grad_norm for step in steps) / len(steps),
            "optimizer/lr": self.shape.lr * factor,
            "optimizer/steps": float(len(steps)),
        }
        for name in steps[0].sums:
            metrics[name] = sum(step.sums[name] for step in steps) / max(actions, 1)
        for name in steps[0].highest:
            metrics[f"{name}_max"] = max(step.highest[name] for step in steps)
            metrics[f"{name}_first"] = steps[0].highest[name]
        return metrics

    def weights(self) -> Publication:
        """The policy's weights, ready to be published."""
        return Publication(self.gang.refer("weights"), self.gang.call("checksum")[0])

    def save(self, folder: Path) -> None:
        """Write a checkpoint into `folder`, which every rank must see."""
        self.gang.call("save", str(folder.absolute()))  # ranks may stand in other folders
        (folder / "trainer" / FILE).write_text(json.dumps({"updates": self.updates, "memory": self.memory}) + "\n")

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint."""
        self.gang.call("load", str(folder.absolute()))
        state = json.loads((folder / "trainer" / FILE).read_text())
        self.updates, self.memory = state["updates"], state["memory"]

    def close(self) -> None:
        self.gang.close()

    def _plan(self, batch: Batch, epoch: int) -> list[Minibatch]:
        if epoch == 0:
            order = torch.arange(len(batch))
        else:
            generator = torch.Generator().manual_seed(derive_seed(self.shape.seed, "order", self.updates, epoch))
            order = torch.randperm(len(batch), generator=generator)
        return plan(order, batch.lengths, self.shape.minibatches, self.gang.world, self.shape.micro_batch)

    def _assemble(self, batch: Batch, shares: Sequence[list[tuple[Tensor, Outputs]]]) -> Outputs:
        """The outputs of all rows, 0 outside the action mask."""
        logprobs, values, entropies = (torch.zeros(batch.action_mask.shape) for _ in range(3))
        final_values = torch.zeros(len(batch))
        for rows, outputs in (piece for share in shares for piece in share):
            width = outputs.logprobs.shape[1]
            logprobs[rows, :width] = outputs.logprobs
            values[rows, :width] = outputs.values
            entropies[rows, :width] = outputs.entropies
            final_values[rows] = outputs.final_values
        mask = batch.action_mask
        return Outputs(logprobs * mask, values * mask, entropies * mask, final_values)

    def _check_first(self, step: StepRecord) -> None:
        tolerance = RATIO_TOLERANCE[self.shape.dtype]
        for name, value in step.highest.items():
            if name == "policy/ratio_deviation" and not value <= tolerance:
                raise RunError(
                    f"the first minibatch of update {self.updates} has a ratio of 1±{value:.2g}, more than {tolerance:g}: "
                    "log-probs of the same policy disagree; look for dropout, padding or precision that differ"
                )
        if (clipped := step.sums.get("policy/clip_fraction", 0.0)) > 0:
            raise RunError(f"{clipped:.0f} tokens are clipped in the first minibatch of update {self.updates}, not 0")


def _merge(records: Sequence[StepRecord]) -> StepRecord:
    """One optimizer step from what its ranks saw."""
    return StepRecord(
        loss=sum(record.loss for record in records),
        sums={
            name: sum(record.sums.get(name, 0.0) for record in records)
            for name in {name for record in records for name in record.sums}
        },
        highest={
            name: max(record.highest.get(name, -float("inf")) for record in records)
            for name in {name for record in records for name in record.highest}
        },
        actions=sum(record.actions for record in records),
        grad_norm=records[0].grad_norm,
    )
