"""What algorithms without a critic share: advantages of whole chains, compared within the group of one problem's chains.

A subclass says how rewards become advantages. The rest is PPO's clipped surrogate, a divergence from the start that is part of
the loss or of the reward, and a choice of means.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reft.algorithms import Loss, Outputs, Policy, check_ranges, ops
from reft.batch import Batch
from rollout.types import Sample


@dataclass(frozen=True, eq=False)
class Experience:
    """A batch with everything the update needs; (B, T-1) but for `counts` (B,)."""

    batch: Batch
    old_logprobs: Tensor
    reference: Tensor
    advantages: Tensor
    weights: Tensor
    counts: Tensor


@dataclass(frozen=True)
class GroupAlgorithm:
    """Hyper-parameters that all of them have."""

    clip: float = 0.2
    """Range of the policy ratio below 1, above 0 (TRL: epsilon; verl: clip_ratio_low)."""
    clip_high: float | None = None
    """Range above 1; null means `clip` (TRL: epsilon_high; DAPO: 0.28)."""
    kl_coef: float = 0.0
    """Weight of the divergence from the policy that reinforcement started from, 0 or more (TRL: beta)."""
    kl_estimator: ops.KLEstimator = "k3"
    """How it is estimated where it is part of the loss."""
    epochs: int = 1
    """Passes over each batch (TRL: num_iterations)."""
    minibatches: int = 1
    """Optimizer steps a pass."""
    stop_kl: float | None = None
    """No more minibatches of a batch behind one whose `kl/update` is above this, in nats a token; null does them all."""
    aggregation: ops.Aggregation = "token-mean"
    """How token losses are averaged."""
    longest: int = 1
    """Divisor of seq-mean-token-sum-norm; Dr. GRPO takes sampling.max_tokens."""
    filter_groups: bool = False
    """Leave out groups whose rewards are all alike, which say nothing (DAPO's dynamic sampling; train.rounds draws others)."""
    mask_truncated: bool = False
    """Leave out chains that were cut at their longest (DAPO's overlong filtering; TRL: mask_truncated_completions)."""
    importance_cap: float | None = None
    """Weigh each token by min(π_old / π_sampler, cap), where the sampler's log-probs are not the learner's; null does not."""

    def validate(self) -> None:
        check_ranges(self, above_zero=("clip", "clip_high", "importance_cap", "stop_kl"), at_least_zero=("kl_coef",))
        check_ranges(self, counts=("epochs", "minibatches", "longest"))

    def select(self, samples: Sequence[Sample]) -> list[Sample]:
        kept = [sample for sample in samples if sample.reward is not None]
        if self.mask_truncated:
            kept = [sample for sample in kept if sample.completion.finish == "stop"]
        if self.filter_groups:
            rewards: dict[str, set[float | None]] = {}
            for sample in kept:
                rewards.setdefault(sample.problem.id, set()).add(sample.reward)
            kept = [sample for sample in kept if len(rewards[sample.problem.id]) > 1]
        return kept

    def advantages(self, batch: Batch, kl: Tensor) -> Tensor:
        """(B, T-1) advantages of the actions, from the batch's rewards; `kl` are k1 estimates of the actions taken."""
        raise NotImplementedError

    def credit(self, batch: Batch, policy: Policy) -> tuple[Experience, dict[str, float]]:
        mask = batch.action_mask
        outputs = policy.forward(batch)
        measured = self.kl_coef > 0
        reference = policy.reference(batch) if measured else outputs.logprobs
        kl = (outputs.logprobs - reference) * mask
        advantages = self.advantages(batch, kl) * mask
        weights, counts = ops.aggregate(mask, self.aggregation, self.longest)
        if self.importance_cap is not None:
            weights = weights * ops.truncated_weights(outputs.logprobs, batch.sampler_logprobs, self.importance_cap)
        metrics = {
            **({"kl/reference": float(kl.sum(1).mean())} if measured else {}),
            "advantage/mean": float(advantages[mask].mean()),
            "advantage/std": float(advantages[mask].std(correction=0)),
            "group/without_signal": silent_groups(batch),
            **ops.sampler_gap(batch.sampler_logprobs, outputs.logprobs, mask),
        }
        return Experience(batch, outputs.logprobs, reference, advantages, weights, counts), metrics

    def loss(self, outputs: Outputs, experience: Experience) -> Loss:
        mask = experience.batch.action_mask
        log_ratio = ops.log_ratio(outputs.logprobs, experience.old_logprobs)
        ratio = log_ratio.exp()
        tokens = ops.clipped_surrogate(ratio, experience.advantages, self.clip, self.clip_high)
        if self.kl_coef > 0 and self.kl_in_loss:
            tokens = tokens + self.kl_coef * ops.kl(outputs.logprobs, experience.reference, self.kl_estimator)
        high = self.clip if self.clip_high is None else self.clip_high
        sums = {
            "loss/policy": tokens,
            "policy/entropy": outputs.entropies,
            "policy/ratio": ratio,
            "policy/clip_fraction": ((ratio < 1 - self.clip) | (ratio > 1 + high)).float(),
            "kl/update": ratio - 1 - log_ratio,
        }
        return Loss(
            total=ops.masked_sum(tokens * experience.weights, mask),
            sums={name: ops.masked_sum(values.detach(), mask) for name, values in sums.items()},
            highest={"policy/ratio_deviation": ((ratio.detach() - 1).abs() * mask).amax()},
        )

    @property
    def kl_in_loss(self) -> bool:
        """Whether the divergence is a term of the loss; otherwise `advantages` has taken it from the rewards."""
        return True


def silent_groups(batch: Batch) -> float:
    """The share of groups whose rewards are all alike: nothing is learnt from them."""
    spread = [batch.rewards[batch.groups == group] for group in batch.groups.unique()]
    return sum(bool((rewards == rewards[0]).all()) for rewards in spread) / len(spread)


def along(scores: Tensor, mask: Tensor) -> Tensor:
    """Scores (B,) of whole chains for each of their actions."""
    return scores[:, None].expand(mask.shape) * mask


def whole(values: Tensor, mask: Tensor) -> Tensor:
    """Sums (B,) over the actions of each chain."""
    return torch.where(mask, values, 0.0).sum(1)
