"""The mathematics that algorithms share: functions of tensors, no settings, no means over a batch.

Shapes are (B, T-1), indexed by state; `mask` is the action mask.
"""

from typing import Literal

import torch
from torch import Tensor

Mean = Literal["token-mean", "seq-mean-token-mean"]
"""How token losses become one number, as verl names it: the mean over all tokens of the batch (DAPO, today's PPO), or the mean
over sequences of each one's token mean (ReFT, original GRPO)."""
Aggregation = Literal["token-mean", "seq-mean-token-mean", "seq-mean-token-sum-norm"]
"""The same, or the mean over sequences of each one's token sum over a constant (Dr. GRPO)."""
KLEstimator = Literal["k1", "k2", "k3"]
"""Estimators of KL(π‖π_ref) from samples of π (Schulman 2020, "Approximating KL divergence"), with x = log π - log π_ref: x,
½x², and exp(-x) - 1 + x."""
Scale = Literal["group", "batch", "none"]
"""What group-relative advantages are divided by, as TRL names it: the standard deviation of the group's rewards (GRPO), of the
batch's, or nothing (Dr. GRPO)."""

LOG_RATIO_BOUND = 20.0
"""exp(20) is 5e8: beyond it a ratio says nothing more, and infinity times zero would be NaN."""
K3_BOUND = 10.0
"""Of a token's k3 (verl core_algos.py, kl_penalty: low_var_kl)."""


def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float | Tensor, final: Tensor | None = None
) -> Tensor:
    """Generalised advantage estimates (arXiv 1506.02438, equation 16), 0 outside the mask.

    States outside the mask, such as a tool's tokens between actions, are jumped over.

    Args:
        lam: λ, one for all or (B,).
        final: (B,) the value behind each row's last action; 0 where it is not given, since the episode ends there.
    """
    advantages = torch.zeros_like(rewards)
    following = torch.zeros_like(rewards[:, 0])
    next_value = torch.zeros_like(following) if final is None else final
    for t in range(rewards.shape[1] - 1, -1, -1):
        here = mask[:, t]
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        advantage = delta + gamma * lam * following
        following = torch.where(here, advantage, following)
        next_value = torch.where(here, values[:, t], next_value)
        advantages[:, t] = torch.where(here, advantage, 0.0)
    return advantages


def at_last_action(scores: Tensor, mask: Tensor) -> Tensor:
    """Scores (B,) put in the state of each row's last action, 0 elsewhere; rows without actions get none."""
    placed = torch.zeros_like(mask, dtype=scores.dtype)
    columns = torch.arange(mask.shape[1], device=mask.device)
    last = torch.where(mask, columns, -1).amax(1)
    rows = torch.nonzero(last >= 0).squeeze(1)
    placed[rows, last[rows]] = scores[rows]
    return placed


def whiten(values: Tensor, mask: Tensor, epsilon: float = 1e-8) -> Tensor:
    """Masked values with mean 0 and unbiased variance 1 over the whole batch, 0 outside the mask (as trl.core.masked_whiten).

    The caller holds the global batch, so the result does not depend on ranks.
    """
    count = mask.sum()
    if count < 2:
        return torch.zeros_like(values)
    mean = masked_sum(values, mask) / count
    variance = masked_sum((values - mean) ** 2, mask) / (count - 1)
    return (values - mean) * torch.rsqrt(variance + epsilon) * mask


def masked_sum(values: Tensor, mask: Tensor) -> Tensor:
    """The sum over the mask, a scalar; what stands outside, even NaN, does not count."""
    return torch.where(mask, values, 0.0).sum()


def log_ratio(logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
    """log π(a|s) - log π_old(a|s), bounded so that its exponential is finite."""
    return (logprobs - old_logprobs).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)


def length_adaptive_lambda(lengths: Tensor, alpha: float = 0.05) -> Tensor:
    """(B,) λ = 1 - 1/(α l) for chains of l tokens, 0 at least (VAPO, arXiv 2504.05118, equation 11 and α there): the reward's
    end fades over the same share of a short chain and a long one."""
    return (1 - 1 / (alpha * lengths.clamp(min=1))).clamp(min=0)


def steered(coefficient: float, kl: float, target: float, share: float) -> float:
    """A KL coefficient moved towards what brings the KL to its target: times 1 + clip(kl/target - 1, ±0.2) · share (arXiv
    1909.08593, section 2.2). More than one horizon a batch counts as one, so that it stays above 0."""
    return coefficient * (1 + max(-0.2, min(0.2, kl / target - 1)) * min(share, 1.0))


def clipped_surrogate(
    ratio: Tensor, advantages: Tensor, clip: float, clip_high: float | None = None, dual_clip: float | None = None
) -> Tensor:
    """max(-A r, -A clamp(r, 1-clip, 1+clip_high)), the token losses of PPO (arXiv 1707.06347, equation 7). Another bound above
    than below is DAPO's (arXiv 2503.14476, equation 10); with `dual_clip`, bad actions lose -A dual_clip at most (arXiv
    1912.09729, equation 5)."""
    high = clip if clip_high is None else clip_high
    losses = torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + high))
    if dual_clip is None:
        return losses
    return torch.where(advantages < 0, torch.minimum(losses, -advantages * dual_clip), losses)


def kl(logprobs: Tensor, reference: Tensor, estimator: KLEstimator) -> Tensor:
    """A token's estimate of KL(π‖π_ref), for actions drawn from π.

    The mean of k1 and of k3 is the divergence, that of k2 is near it; the mean of k2's gradient is the divergence's gradient,
    that of k1's is zero. k3 is bounded, as in verl: one token must not outweigh a batch.
    """
    apart = (logprobs - reference).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)
    match estimator:
        case "k1":
            return apart
        case "k2":
            return 0.5 * apart**2
    return (torch.exp(-apart) - 1 + apart).clamp(max=K3_BOUND)


def group_advantages(rewards: Tensor, groups: Tensor, scale: Scale, epsilon: float = 1e-4) -> Tensor:
    """Rewards (B,) less their group's mean, divided as `scale` says (GRPO, arXiv 2402.03300, section 4.1.2; TRL adds the same
    epsilon). A group of one has no other to be compared with: 0."""
    count, mean = _group_means(rewards, groups)
    apart = torch.where(count > 1, rewards - mean, 0.0)
    if scale == "none":
        return apart
    if scale == "batch":
        return apart / (rewards.std() + epsilon) if len(rewards) > 1 else apart
    variance = torch.zeros_like(mean).index_add(0, groups, apart**2)[groups] / (count - 1).clamp(min=1)
    return apart / (variance.sqrt() + epsilon)


def leave_one_out(rewards: Tensor, groups: Tensor) -> Tensor:
    """Rewards (B,) less the mean of the others of their group (RLOO, arXiv 2402.14740, equation 6); 0 in a group of one."""
    count, mean = _group_means(rewards, groups)
    return torch.where(count > 1, (rewards - mean) * count / (count - 1).clamp(min=1), 0.0)


def _group_means(rewards: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """Size and mean reward of each row's group, both (B,)."""
    size = torch.zeros(int(groups.max()) + 1, dtype=rewards.dtype)
    counts = size.index_add(0, groups, torch.ones_like(rewards))
    return counts[groups], (size.index_add(0, groups, rewards) / counts.clamp(min=1))[groups]


def returns_to_go(rewards: Tensor, mask: Tensor, gamma: float) -> Tensor:
    """Discounted sums of the rewards from each action on, 0 outside the mask; states outside it are jumped over."""
    return gae(rewards, torch.zeros_like(rewards), mask, gamma, 1.0)


def truncated_weights(old_logprobs: Tensor, sampler_logprobs: Tensor, cap: float) -> Tensor:
    """min(π_old / π_sampler, cap), the weight of a token that another engine has drawn (truncated importance sampling)."""
    return log_ratio(old_logprobs, sampler_logprobs).exp().clamp(max=cap)


def clipped_value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip: float) -> Tensor:
    """½ max((V-R)², (V_old + clamp(V-V_old, ±clip) - R)²), a token's."""
    near = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * torch.maximum((values - returns) ** 2, (near - returns) ** 2)


def sampler_gap(sampler_logprobs: Tensor, logprobs: Tensor, mask: Tensor) -> dict[str, float]:
    """Metrics of how far the sampler's log-probs of its tokens, and their probabilities, are from the learner's."""
    gap = (sampler_logprobs - logprobs)[mask].abs()
    probability_gap = (sampler_logprobs.exp() - logprobs.exp())[mask].abs()
    return {
        "sampler/logprob_gap_mean": float(gap.mean()),
        "sampler/logprob_gap_max": float(gap.max()),
        "sampler/probability_gap_mean": float(probability_gap.mean()),
        "sampler/probability_gap_max": float(probability_gap.max()),
    }


def aggregate(mask: Tensor, aggregation: Aggregation, longest: int = 1) -> tuple[Tensor, Tensor]:
    """Weights (B, T-1) of the token losses, and counts (B,): the loss is Σ weight·token loss / Σ counts, whichever way
    rows are spread. Rows without actions count nothing. `longest` is the divisor of seq-mean-token-sum-norm."""
    lengths = mask.sum(1)
    if aggregation == "seq-mean-token-sum-norm":
        return mask.float() / longest, (lengths > 0).float()
    if aggregation == "token-mean":
        return mask.float(), lengths.float()
    return mask / lengths.clamp(min=1)[:, None], (lengths > 0).float()


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """1 - Var(R-V)/Var(R) over the mask: 1 is perfect, 0 no better than a constant; 0 where returns do not vary."""
    spread = returns[mask].var()
    if not spread > 0:
        return 0.0
    return float(1 - (returns - values)[mask].var() / spread)
