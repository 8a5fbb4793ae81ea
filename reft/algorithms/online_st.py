"""Online self-training (ReFT, arXiv 2401.08967, section 4.2; code mwp_ReFT train_rl_sl.py:332-345): each step imitates the
chains that it sampled and that are right, and the demonstrations of the same problems, half and half. No critic, no divergence.

The loss is ½ CE(right chains) + ½ CE(demonstrations), each a mean over its own tokens; where there are none of one kind, that
half is missing. Deviations: chains that were cut are left out, and with several minibatches the halves are those of the whole
batch. No old log-probs are needed, so what the sampler said is not held against the learner. At a sampling temperature other
than 1 the likelihood is that of the distribution that was sampled from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reft.algorithms import Loss, Outputs, Policy, check_ranges, ops
from reft.batch import Batch
from reft.selection import right_and_whole
from rollout.types import Sample


@dataclass(frozen=True, eq=False)
class Experience:
    """A batch with the weight of each token, (B, T-1), and the tokens of each row, (B,)."""

    batch: Batch
    weights: Tensor
    counts: Tensor


@dataclass(frozen=True)
class OnlineST:
    """Hyper-parameters of online self-training."""

    epochs: int = 2
    """Passes over each batch (ReFT: 2)."""
    minibatches: int = 1
    """Optimizer steps a pass (ReFT: 1)."""

    @property
    def stop_kl(self) -> float | None:
        return None

    @property
    def least_group(self) -> int:
        return 1

    @property
    def has_critic(self) -> bool:
        return False

    @property
    def imitates(self) -> bool:
        return True

    def validate(self) -> None:
        check_ranges(self, counts=("epochs", "minibatches"))

    def select(self, samples: Sequence[Sample]) -> list[Sample]:
        return [sample for sample in samples if right_and_whole(sample) and sample.reward is not None]

    def credit(self, batch: Batch, policy: Policy) -> tuple[Experience, dict[str, float]]:
        counts = batch.action_mask.sum(1).float()
        halves = {kind: counts[batch.demonstrated == kind].sum() for kind in (False, True)}
        share = torch.where(batch.demonstrated, 0.5 / halves[True].clamp(min=1), 0.5 / halves[False].clamp(min=1))
        # The learner divides by the tokens of all rows; these weights make two means of the one.
        weights = batch.action_mask * (share * counts.sum())[:, None]
        return Experience(batch, weights, counts), {"imitation/demonstrated": float(halves[True] / counts.sum())}

    def loss(self, outputs: Outputs, experience: Experience) -> Loss:
        mask = experience.batch.action_mask
        tokens = -outputs.logprobs
        sums = {"loss/policy": tokens, "policy/entropy": outputs.entropies}
        return Loss(
            total=ops.masked_sum(tokens * experience.weights, mask),
            sums={name: ops.masked_sum(values.detach(), mask) for name, values in sums.items()},
        )
