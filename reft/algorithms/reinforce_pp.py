"""REINFORCE++ (arXiv 2501.03262): no critic and no group; what follows an action, less the divergence of each token, whitened
over the batch. With `baseline` the group's mean reward is taken away first (its REINFORCE++-baseline)."""

from dataclasses import dataclass

from torch import Tensor

from reft.algorithms import ops
from reft.algorithms.group import GroupAlgorithm, check_reward_estimator
from reft.batch import Batch
from reft.errors import ConfigError


@dataclass(frozen=True)
class ReinforcePP(GroupAlgorithm):
    """Hyper-parameters of REINFORCE++."""

    kl_coef: float = 0.01
    """Weight of each token's divergence in its reward."""
    kl_estimator: ops.KLEstimator = "k1"
    """How it is estimated: k1, as in every reward."""
    gamma: float = 1.0
    """Discount, 0 to 1."""
    baseline: bool = False
    """Take the group's mean from the rewards before they are whitened."""

    @property
    def least_group(self) -> int:
        return 2 if self.baseline else 1

    def validate(self) -> None:
        GroupAlgorithm.validate(self)
        check_reward_estimator(self)
        if not 0 <= self.gamma <= 1:
            raise ConfigError(f"algorithm.gamma={self.gamma} is out of range; choose 0 to 1")

    def advantages(self, batch: Batch, kl: Tensor) -> Tensor:
        scores = ops.group_advantages(batch.rewards, batch.groups, "none") if self.baseline else batch.rewards
        rewards = ops.at_last_action(scores, batch.action_mask) - self.kl_coef * kl
        return ops.whiten(ops.returns_to_go(rewards, batch.action_mask, self.gamma), batch.action_mask)

    @property
    def kl_in_loss(self) -> bool:
        return False
