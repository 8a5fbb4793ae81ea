"""DAPO (arXiv 2503.14476): GRPO with a higher bound above, the mean over all tokens, no divergence, no groups without signal.

Its soft punishment of overlong chains is a reward (`overlong` in `rewards.builtin`). Groups that are left out are not drawn
anew: a step with few groups left learns from few.
"""

from dataclasses import dataclass

from torch import Tensor

from reft.algorithms import ops
from reft.algorithms.group import GroupAlgorithm, along
from reft.batch import Batch


@dataclass(frozen=True)
class DAPO(GroupAlgorithm):
    """Hyper-parameters of DAPO."""

    clip_high: float | None = 0.28
    """Range of the policy ratio above 1."""
    filter_groups: bool = True
    """Leave out groups whose rewards are all alike."""
    mask_truncated: bool = True
    """Leave out chains that were cut at their longest."""

    def advantages(self, batch: Batch, kl: Tensor) -> Tensor:
        return along(ops.group_advantages(batch.rewards, batch.groups, "group"), batch.action_mask)
