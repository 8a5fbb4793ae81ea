"""Dr. GRPO (arXiv 2503.20783): GRPO without the two divisions that bias it, by the group's standard deviation and by each
chain's length. Token losses are summed and divided by a constant; set `longest` to sampling.max_tokens. By another mean it
would be `grpo` with scale_rewards=none, and is refused under this name."""

from dataclasses import dataclass

from torch import Tensor

from reft.algorithms import ops
from reft.algorithms.group import GroupAlgorithm, along
from reft.batch import Batch
from reft.errors import ConfigError


@dataclass(frozen=True)
class DrGRPO(GroupAlgorithm):
    """Hyper-parameters of Dr. GRPO."""

    aggregation: ops.Aggregation = "seq-mean-token-sum-norm"
    """How token losses are averaged; needs `longest`, and is no other."""

    def validate(self) -> None:
        super().validate()
        if self.aggregation != "seq-mean-token-sum-norm":
            raise ConfigError(
                f"algorithm.aggregation={self.aggregation} is not Dr. GRPO's; set it to seq-mean-token-sum-norm, or take "
                "algorithm.use=grpo algorithm.scale_rewards=none"
            )

    def advantages(self, batch: Batch, kl: Tensor) -> Tensor:
        return along(ops.group_advantages(batch.rewards, batch.groups, "none"), batch.action_mask)
