"""One process of the learner: forward passes and updates on its share of the rows."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from reft.algorithms import Algorithm, Outputs
from reft.batch import Batch, take, trim
from reft.config import LearnerConfig, ModelConfig
from reft.learner.optimization import Optimization, TorchOptimization
from reft.learner.plan import MicroBatch, Minibatch
from reft.model import PolicyModel, load_tokenizer, save_value
from rollout.engine import checksum, untied
from rollout.parcel import Parcel


@dataclass(frozen=True)
class RankSettings:
    """All that a rank needs to know."""

    policy: str
    """Folder or hub id of the policy."""
    reference: str
    """Folder or hub id of the frozen policy that reinforcement started from."""
    model: ModelConfig
    learner: LearnerConfig
    algorithm: Algorithm
    temperature: float
    seed: int
    deepspeed: bool = True
    """False steps with plain torch in one process."""


@dataclass(frozen=True)
class StepRecord:
    """One optimizer step as one rank saw it: metric sums over its rows, maxima, the loss's part, the gradient norm."""

    loss: float
    sums: Mapping[str, float]
    highest: Mapping[str, float]
    actions: int
    grad_norm: float

    def mean(self, name: str) -> float:
        """The mean over tokens of a metric that is summed."""
        return self.sums[name] / max(self.actions, 1)


class Rank:
    """Holds the policy's weights (or its partition of them) and the optimizer.

    Args:
        rank, world: this process among its peers; the environment must describe the process group.
        settings: what to load and how to learn.
    """

    def __init__(self, rank: int, world: int, settings: RankSettings) -> None:
        torch.set_num_threads(settings.learner.threads)
        self.rank, self.settings = rank, settings
        self.device = torch.device("cuda" if settings.learner.gpus else "cpu")
        if settings.learner.gpus:
            _repeat_sums()
        torch.manual_seed(settings.seed)
        model = self._load(settings.policy, settings.model.critic)
        self.model = model
        self._critic_only = False
        for parameter in model.lm.parameters():
            parameter.register_hook(self._policy_gradient)
        self.optimization: Optimization
        if settings.deepspeed:
            from reft.learner import zero  # slow to import, and plain torch does without

            zero.join("nccl" if settings.learner.gpus else "gloo")
            bfloat16 = settings.model.dtype == "bfloat16"
            self.optimization = zero.DeepSpeedOptimization(model, settings.learner, bfloat16)
        elif world == 1 and settings.model.dtype == "float32":
            self.optimization = TorchOptimization(model, settings.learner)
        else:
            raise ValueError(f"{world} ranks in {settings.model.dtype} need DeepSpeed")
        self._reference: torch.nn.Module | None = None
        self._experience: Any = None
        self._checksum: int | None = None

    @torch.no_grad()
    def forward(self, batch: Batch, plan: Sequence[Minibatch]) -> list[tuple[Tensor, Outputs]]:
        """Row numbers and the policy's outputs for this rank's share of the plan."""
        return self._score(self.optimization.module, batch, plan)

    @torch.no_grad()
    def reference(self, batch: Batch, plan: Sequence[Minibatch]) -> list[tuple[Tensor, Outputs]]:
        """The same of the reference policy, which is loaded when it is first asked."""
        if self._reference is None:
            self._reference = self._load(self.settings.reference, "shared").requires_grad_(False)  # nobody asks its values
            if self.settings.deepspeed and self.settings.learner.zero == 3:
                from reft.learner import zero

                self._reference = zero.partition_frozen(self._reference)
        return self._score(self._reference, batch, plan)

    def begin(self, experience: Any) -> None:
        """Hold what the next steps learn from."""
        self._experience = experience

    def step(self, minibatch: Minibatch, factor: float, critic_only: bool) -> StepRecord:
        """One optimizer step with `factor` times the peak learning rate; only of the critic, if so wanted."""
        experience, self._critic_only = self._experience, critic_only
        count = float(experience.counts[minibatch.rows].sum())
        loss, actions = 0.0, 0
        sums: dict[str, float] = {}
        highest: dict[str, float] = {}
        for micro in minibatch.shares[self.rank]:
            piece = self._piece(experience, experience.batch, micro)
            outputs = Outputs(*self.optimization.module(piece.batch.tokens, piece.batch.lengths))
            result = self.settings.algorithm.loss(outputs, piece)
            self.optimization.backward(result.total * (float(micro.real) / max(count, 1.0)))
            if micro.real:
                loss += float(result.total.detach()) / max(count, 1.0)
                actions += int(piece.batch.action_mask.sum())
                for name, value in result.sums.items():
                    sums[name] = sums.get(name, 0.0) + float(value)
                for name, value in result.highest.items():
                    highest[name] = max(highest.get(name, -float("inf")), float(value))
        return StepRecord(loss, sums, highest, actions, self.optimization.step(factor, critic_only))

    def weights(self) -> Parcel | None:
        """The causal LM's weights on rank 0, tied ones once; None on other ranks, which take part in gathering them. On a CPU
        they are the model's own memory, to be sent before it changes."""
        self._checksum = None
        with self.optimization.gathered():
            if self.rank != 0:
                return None
            state = {name: tensor.detach().cpu() for name, tensor in untied(self.model.lm.state_dict()).items()}
            if self.settings.learner.zero == 3:  # what is gathered goes again
                state = {name: tensor.clone() for name, tensor in state.items()}
        self._checksum = checksum(state)
        return Parcel(state)

    def checksum(self) -> int | None:
        """Of what `weights` gave last; None on other ranks than 0.

        Raises:
            RuntimeError: if it gave nothing, which nobody has been told who takes the weights from elsewhere.
        """
        if self.rank == 0 and self._checksum is None:
            raise RuntimeError("the weights could not be gathered for publication: out of memory?")
        return self._checksum

    def save(self, folder: str) -> None:
        """Write a folder that `transformers` loads, the critic beside it, and the optimizer's state in `trainer/`."""
        target = Path(folder)
        with self.optimization.gathered():
            if self.rank == 0:
                self.model.lm.save_pretrained(target)
                load_tokenizer(self.settings.policy).save_pretrained(target)
                save_value(self.model.value_state(), target)
        self.optimization.save(target / "trainer")

    def load(self, folder: str) -> None:
        """Take up the weights and optimizer state that `save` wrote."""
        self.optimization.load(Path(folder) / "trainer")

    def process(self) -> int:
        """This process's id."""
        return os.getpid()

    def _load(self, path: str, critic: Literal["shared", "separate"]) -> PolicyModel:
        model = self.settings.model
        dtype = getattr(torch, model.dtype)
        return PolicyModel(path, dtype, critic, model.value_head, self.settings.temperature).eval().to(self.device)

    def _policy_gradient(self, gradient: Tensor) -> Tensor | None:
        """None, which leaves it, or zeros while only the critic learns: not even Adam's moments are to know of the advantages
        and trunk gradients of a value that knows nothing yet."""
        return torch.zeros_like(gradient) if self._critic_only else None

    def _score(self, module: torch.nn.Module, batch: Batch, plan: Sequence[Minibatch]) -> list[tuple[Tensor, Outputs]]:
        scored = []
        for minibatch in plan:
            for micro in minibatch.shares[self.rank]:
                piece = self._piece(batch, batch, micro)
                outputs = module(piece.tokens, piece.lengths)
                if micro.real:
                    scored.append((micro.rows, Outputs(*(tensor.cpu() for tensor in outputs))))
        return scored

    def _piece(self, record: Any, batch: Batch, micro: MicroBatch) -> Any:
        """The rows of a micro-batch on this rank's device, without columns that are padding for all of them."""
        width = int(batch.lengths[micro.rows].max())
        return _to(trim(take(record, micro.rows), width), self.device)


def _repeat_sums() -> None:
    """Have a GPU make its sums in the same order each time, so that a run that goes on, or is done again, comes out as it was:
    else one update, of rows of up to 69 tokens on an H100, came to four results in four times."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # torch demands it
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nobody reads that


def _to(record: Any, device: torch.device) -> Any:
    if device.type == "cpu":
        return record
    moved = {
        name: value.to(device) if isinstance(value, Tensor) else _to(value, device) if isinstance(value, Batch) else value
        for name, value in vars(record).items()
    }
    return type(record)(**moved)
