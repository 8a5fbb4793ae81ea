"""What a run has spent: chains, floating-point operations, seconds. Operations are counted as `flops` does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reft.flops import Cost
from reft.run import WARMUP, RunState
from rollout.work import Work

NOTHING = Cost(0, 0)


@dataclass(frozen=True)
class Meter:
    """Counts the loop's operations, step by step from what the step has noted."""

    policy: Cost = NOTHING
    """Of the policy and of the reference, which is one of its kind."""
    critic: Cost = NOTHING
    """Of a critic with weights of its own, which scores and learns as the policy does."""
    epochs: int = 0
    """Passes over each batch; one that ends early by `stop_kl` counts whole."""

    def read(self, row: Mapping[str, Any]) -> dict[str, float]:
        """Operations of a step, from its metrics: of sampling, of scoring (by the policy, its critic and the reference), and of
        the update."""
        learnt = Work(row["samples/learnt_tokens"], row["samples/learnt_pairs"])
        by_policy, by_reference = "advantage/std" in row, "kl/reference" in row
        return {
            "compute/sample": self.policy.forward(Work(row["samples/computed_tokens"], row["samples/computed_pairs"])),
            "compute/score": self.policy.forward(learnt) * (by_policy + by_reference) + self.critic.forward(learnt) * by_policy,
            "compute/update": self.epochs * (self.policy.learn(learnt) + self.critic.learn(learnt)),
        }


@dataclass(frozen=True)
class Spending:
    """What has been spent behind the warm-up."""

    chains: int
    """Sampled, or imitated where nothing is sampled."""
    flops: float
    seconds: float
    """Wall time of sampling, scoring and learning; evaluations are not counted."""


def loop_spending(rows: Sequence[Mapping[str, Any]], state: RunState) -> Spending:
    """Of the loop, from its metrics."""
    return Spending(int(sum(row["samples/count"] for row in rows)), state.flops["reinforce"], state.seconds["reinforce"])


def rounds_spending(rows: Sequence[Mapping[str, Any]], state: RunState, imitated: int) -> Spending:
    """Of rounds of self-training; `imitated` is the number of chains gone over, which counts where none is sampled."""
    chains = int(sum(row.get("round/samples", 0) + row.get("round/hinted", 0) for row in rows)) or imitated
    spent = sum(flops for name, flops in state.flops.items() if name != WARMUP)
    return Spending(chains, spent, state.seconds["self_training"])
