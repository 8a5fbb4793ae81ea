"""Algorithms: each is one module with one frozen dataclass, its hyper-parameters, and three methods.

`select` chooses samples to learn from, `credit` turns a batch into targets, `loss` turns the policy's outputs into a sum
to minimise. A loss knows no device, rank, micro-batch or mean: the learner divides by the global count, so results do
not depend on how the work is cut. To add one, write `reft/algorithms/NAME.py` and a config with `algorithm.use: NAME`.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from reft.batch import Batch
from reft.errors import ConfigError
from rollout.types import Sample


@dataclass(frozen=True, eq=False)
class Outputs:
    """What the policy says of a batch, (B, T-1) float32 but for the last: log-probs of the actions taken, values of the states
    they were taken in, entropies (nats) of the distributions they were drawn from, and (B,) the values of the states behind the
    last tokens."""

    logprobs: Tensor
    values: Tensor
    entropies: Tensor
    final_values: Tensor


@dataclass(frozen=True, eq=False)
class Loss:
    """Sums over a micro-batch.

    `total` is to be minimised once it is divided by the minibatch's count; `sums` are per-token metrics to be divided by
    the number of actions; `highest` are metrics of which the largest counts.
    """

    total: Tensor
    sums: Mapping[str, Tensor]
    highest: Mapping[str, Tensor] = field(default_factory=dict)


class Experience(Protocol):
    """A batch with its targets; a frozen dataclass of tensors with B rows, so that the learner can cut it."""

    @property
    def batch(self) -> Batch: ...

    @property
    def counts(self) -> Tensor:
        """(B,) float32, each row's part in the divisor of the loss: its tokens, or 1 a sequence."""
        ...


class Policy(Protocol):
    """The part of a learner that credit assignment may ask."""

    @property
    def memory(self) -> MutableMapping[str, float]:
        """Numbers that an algorithm keeps from one update to the next; they are saved with the learner."""
        ...

    def forward(self, batch: Batch) -> Outputs:
        """The current policy's outputs, without gradients."""
        ...

    def reference(self, batch: Batch) -> Tensor:
        """(B, T-1) log-probs of the actions under the frozen policy that reinforcement started from."""
        ...


class Algorithm(Protocol):
    """Three functions and the shape of the update."""

    @property
    def epochs(self) -> int:
        """Passes over each batch."""
        ...

    @property
    def minibatches(self) -> int:
        """Optimizer steps a pass."""
        ...

    @property
    def stop_kl(self) -> float | None:
        """The `kl/update` of a minibatch, in nats a token, behind which an update ends early; None never does."""
        ...

    @property
    def least_group(self) -> int:
        """Chains of one problem that credit takes to say anything: 1, or 2 where they are compared with each other."""
        ...

    @property
    def has_critic(self) -> bool:
        """Whether it learns from values of states, so that settings of the critic mean something."""
        ...

    @property
    def imitates(self) -> bool:
        """Whether a step learns from the demonstrations of its problems as well."""
        ...

    def validate(self) -> None:
        """Raise `ConfigError` where a hyper-parameter is out of range."""
        ...

    def select(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples worth learning from; none at all means that the step updates nothing."""
        ...

    def credit(self, batch: Batch, policy: Policy) -> tuple[Any, dict[str, float]]:
        """The experience to learn from, and metrics of it."""
        ...

    def loss(self, outputs: Outputs, experience: Any) -> Loss:
        """The loss of a micro-batch, as sums."""
        ...


def check_ranges(
    settings: Any,
    above_zero: Sequence[str] = (),
    at_least_zero: Sequence[str] = (),
    shares: Sequence[str] = (),
    counts: Sequence[str] = (),
    above_one: Sequence[str] = (),
) -> None:
    """Check the named hyper-parameters of an algorithm; None is always in range, NaN never.

    Raises:
        ConfigError: for the first that is not more than 0, 0 or more, 0 to 1, 1 or more, or more than 1.
    """
    kinds = [
        (above_zero, lambda value: value > 0, "more than 0"),
        (at_least_zero, lambda value: value >= 0, "0 or more"),
        (shares, lambda value: 0 <= value <= 1, "0 to 1"),
        (counts, lambda value: value >= 1, "1 or more"),
        (above_one, lambda value: value > 1, "more than 1"),
    ]
    for names, holds, remedy in kinds:
        for name in names:
            value = vars(settings)[name]
            if value is not None and not holds(value):
                raise ConfigError(f"algorithm.{name}={value} is out of range; choose {remedy}")
