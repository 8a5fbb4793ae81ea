"""RLOO (arXiv 2402.14740): a chain's reward, less its divergence from the start, against the mean of the other chains'."""

from dataclasses import dataclass

from torch import Tensor

from reft.algorithms import ops
from reft.algorithms.group import GroupAlgorithm, along, whole
from reft.batch import Batch


@dataclass(frozen=True)
class RLOO(GroupAlgorithm):
    """Hyper-parameters of RLOO."""

    kl_coef: float = 0.05
    """Weight of the chain's divergence (k1) in its reward (TRL: beta, 0.05)."""

    def advantages(self, batch: Batch, kl: Tensor) -> Tensor:
        rewards = batch.rewards - self.kl_coef * whole(kl, batch.action_mask)
        return along(ops.leave_one_out(rewards, batch.groups), batch.action_mask)

    @property
    def kl_in_loss(self) -> bool:
        return False
