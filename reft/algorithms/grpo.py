"""GRPO (arXiv 2402.03300): a chain's advantage is its reward against those of the other chains for the same problem.

As published: rewards divided by the group's standard deviation, each chain's token mean, k3 in the loss with weight 0.04. TRL's
defaults since are no divergence and the mean over all tokens; here they are the paper's but for the divergence's weight.
"""

from dataclasses import dataclass

from torch import Tensor

from reft.algorithms import ops
from reft.algorithms.group import GroupAlgorithm, along
from reft.batch import Batch


@dataclass(frozen=True)
class GRPO(GroupAlgorithm):
    """Hyper-parameters of GRPO."""

    aggregation: ops.Aggregation = "seq-mean-token-mean"
    """How token losses are averaged (the paper: each chain's mean)."""
    scale_rewards: ops.Scale = "group"
    """What advantages are divided by (TRL's name and values)."""

    def advantages(self, batch: Batch, kl: Tensor) -> Tensor:
        return along(ops.group_advantages(batch.rewards, batch.groups, self.scale_rewards), batch.action_mask)
