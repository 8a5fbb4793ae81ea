"""What algorithms with a critic share: targets from a value of every state, and the clipped losses of policy and value.

ReFT and PPO are settings of these two functions; what differs between them stands in their own modules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from reft.algorithms import Loss, Outputs, Policy, ops
from reft.batch import Batch
from rollout.types import Sample

Truncation = Literal["terminal", "bootstrap", "mask"]
"""What the end of a chain that was cut at its longest is worth: nothing, as behind an end token, since the limit is part of the
task; the value of its last state, as if it went on (arXiv 1712.00378); or the chain is left out of the update."""


@dataclass(frozen=True, eq=False)
class Experience:
    """A batch with everything the update needs; (B, T-1) but for `counts` (B,)."""

    batch: Batch
    old_logprobs: Tensor
    old_values: Tensor
    advantages: Tensor
    returns: Tensor
    weights: Tensor
    counts: Tensor


def select(samples: Sequence[Sample], truncation: Truncation) -> list[Sample]:
    """The samples that have a reward, without those that `truncation` leaves out."""
    kept = [sample for sample in samples if sample.reward is not None]
    return [sample for sample in kept if sample.completion.finish == "stop"] if truncation == "mask" else kept


def token_rewards(batch: Batch, outputs: Outputs, policy: Policy, kl_coef: float) -> tuple[Tensor, Tensor | None]:
    """Rewards of the actions, (B, T-1): the chain's reward at its last action, less `kl_coef` times the k1 estimate of each;
    and these estimates, whose sum over a chain estimates its KL, sign and all. None at 0, when nobody asks the reference."""
    rewards = ops.at_last_action(batch.rewards, batch.action_mask)
    if kl_coef == 0:
        return rewards, None
    kl = (outputs.logprobs - policy.reference(batch)) * batch.action_mask
    return rewards - kl_coef * kl, kl


def bootstrap_values(batch: Batch, outputs: Outputs, truncation: Truncation) -> Tensor:
    """(B,) values behind the last actions: 0, but for cut chains where they are to be taken as going on."""
    return outputs.final_values * (~batch.finished) if truncation == "bootstrap" else outputs.final_values * 0


def describe(experience: Experience, kl: Tensor | None, advantages: Tensor) -> dict[str, float]:
    """Metrics of the targets; `advantages` before whitening."""
    mask, values = experience.batch.action_mask, experience.old_values
    return {
        **({} if kl is None else {"kl/reference": float(kl.sum(1).mean())}),
        "value/mean": float(values[mask].mean()),
        "value/explained_variance": ops.explained_variance(values, experience.returns, mask),
        "advantage/mean": float(advantages[mask].mean()),
        "advantage/std": float(advantages[mask].std(correction=0)),
        **ops.sampler_gap(experience.batch.sampler_logprobs, experience.old_logprobs, mask),
    }


def clipped_losses(
    outputs: Outputs, experience: Experience, clip: float, value_clip: float, vf_coef: float, dual_clip: float | None = None
) -> Loss:
    """Σ weight · (policy loss + `vf_coef` · value loss), both clipped."""
    mask = experience.batch.action_mask
    log_ratio = ops.log_ratio(outputs.logprobs, experience.old_logprobs)
    ratio = log_ratio.exp()
    policy = ops.clipped_surrogate(ratio, experience.advantages, clip, dual_clip=dual_clip)
    value = ops.clipped_value_loss(outputs.values, experience.old_values, experience.returns, value_clip)
    moved = (outputs.values - experience.old_values).abs()
    sums = {
        "loss/policy": policy,
        "loss/value": value,
        "policy/entropy": outputs.entropies,
        "policy/ratio": ratio,
        "policy/clip_fraction": ((ratio - 1).abs() > clip).float(),
        "value/clip_fraction": (moved > value_clip).float(),
        "kl/update": ratio - 1 - log_ratio,  # k3 of this update's move, never negative
    }
    return Loss(
        total=ops.masked_sum((policy + vf_coef * value) * experience.weights, mask),
        sums={name: ops.masked_sum(tokens.detach(), mask) for name, tokens in sums.items()},
        highest={"policy/ratio_deviation": ((ratio.detach() - 1).abs() * mask).amax()},
    )
