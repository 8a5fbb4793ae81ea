"""What a run has spent behind its warm-up: chains, floating-point operations, seconds.

Operations are counted from tokens: 2 a weight for a token that is sampled or scored, 6 for one that is learnt from (Kaplan et
al., arXiv 2001.08361, section 2.1; attention over the context, small at these lengths, is left out).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reft.run import WARMUP, RunState

FORWARD, LEARN = 2, 6
"""Operations a weight and token."""


@dataclass(frozen=True)
class Spending:
    """What has been spent."""

    chains: int
    """Sampled, or imitated where nothing is sampled."""
    flops: float
    seconds: float
    """Wall time of sampling, scoring and learning; evaluations are not counted."""


def loop_spending(
    rows: Sequence[Mapping[str, Any]], state: RunState, weights: int, epochs: int, critic_weights: int = 0
) -> Spending:
    """Of the loop, from its metrics, for a policy of so many weights, so many passes over each batch, and a critic with so many
    weights of its own, which scores and learns with it."""
    operations = 0.0
    for row in rows:
        learnt = row["samples/learnt_tokens"]
        by_policy, by_reference = learnt * ("advantage/std" in row), learnt * ("kl/reference" in row)
        sampled = row["samples/tokens"] + row["samples/prompt_tokens"]
        operations += weights * (FORWARD * (sampled + by_policy + by_reference) + LEARN * epochs * learnt)
        operations += critic_weights * (FORWARD * by_policy + LEARN * epochs * learnt)
    return Spending(int(sum(row["samples/count"] for row in rows)), operations, state.seconds["reinforce"])


def rounds_spending(rows: Sequence[Mapping[str, Any]], state: RunState, weights: int, imitated: int) -> Spending:
    """Of rounds of self-training; `imitated` is the number of chains gone over, which counts where none is sampled."""
    tokens = sum(row.get("round/tokens", 0) + row.get("round/prompt_tokens", 0) for row in rows)
    learnt = sum(count for name, count in state.tokens_imitated.items() if name != WARMUP)
    chains = int(sum(row.get("round/samples", 0) + row.get("round/hinted", 0) for row in rows)) or imitated
    return Spending(chains, weights * (FORWARD * tokens + LEARN * learnt), state.seconds["self_training"])
