"""DAPO (arXiv 2503.14476): GRPO with a higher bound above, the mean over all tokens, no divergence, no groups without signal.

Its soft punishment of overlong chains is a reward (`overlong` in `rewards.builtin`). Its dynamic sampling is `filter_groups`
here and train.rounds, which draws other problems until as many groups as wanted have a signal.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from reft.algorithms import ops
from reft.algorithms.group import GroupAlgorithm, along
from reft.batch import Batch


@dataclass(frozen=True)
class DAPO(GroupAlgorithm):
    """Hyper-parameters of DAPO."""

    clip_high: float | None = 0.28
    """Range of the policy ratio above 1."""
    filter_groups: Literal["never", "reward", "correct"] = "correct"
    """Leave out groups whose answers are all right or all wrong."""
    mask_truncated: bool = True
    """Learn nothing from chains that were cut at their longest."""

    def advantages(self, batch: Batch, kl: Tensor) -> Tensor:
        return along(ops.group_advantages(batch.rewards, batch.groups, "group"), batch.action_mask)
