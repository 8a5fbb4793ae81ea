"""RLOO (arXiv 2402.14740): a chain's reward, less its divergence from the start, against the mean of the other chains'."""

from dataclasses import dataclass

from torch import Tensor

from reft.algorithms import ops
from reft.algorithms.group import GroupAlgorithm, along, check_reward_estimator, whole
from reft.batch import Batch


@dataclass(frozen=True)
class RLOO(GroupAlgorithm):
    """Hyper-parameters of RLOO."""

    kl_coef: float = 0.05
    """Weight of the chain's divergence in its reward (TRL: beta, 0.05)."""
    kl_estimator: ops.KLEstimator = "k1"
    """How it is estimated: k1, as in every reward."""

    def validate(self) -> None:
        GroupAlgorithm.validate(self)
        check_reward_estimator(self)

    def advantages(self, batch: Batch, kl: Tensor) -> Tensor:
        rewards = batch.rewards - self.kl_coef * whole(kl, batch.action_mask)
        return along(ops.leave_one_out(rewards, batch.groups), batch.action_mask)

    @property
    def kl_in_loss(self) -> bool:
        return False
