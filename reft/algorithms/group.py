"""What algorithms without a critic share: advantages of whole chains, compared within the group of one problem's chains.

A subclass says how rewards become advantages. The rest is PPO's clipped surrogate, a divergence from the start that is part of
the loss or of the reward, and a choice of means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from reft.algorithms import Loss, Outputs, Policy, check_ranges, ops
from reft.batch import Batch
from reft.errors import ConfigError
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
    dual_clip: float | None = None
    """Most that a bad action's ratio counts, above 1 (arXiv 1912.09729; TRL: delta; verl: clip_ratio_c, 3); null: no bound."""
    kl_coef: float = 0.0
    """Weight of the divergence from the policy that reinforcement started from, 0 or more (TRL: beta)."""
    kl_estimator: ops.KLEstimator = "k3"
    """How it is estimated where it is part of the loss: k2 or k3, since the gradient of k1 is zero on average."""
    epochs: int = 1
    """Passes over each batch (TRL: num_iterations)."""
    minibatches: int = 1
    """Optimizer steps a pass."""
    stop_kl: float | None = None
    """No more minibatches of a batch behind one whose `kl/update` is above this, in nats a token; null does them all."""
    aggregation: ops.Aggregation = "token-mean"
    """How token losses are averaged."""
    longest: int | None = None
    """Divisor of seq-mean-token-sum-norm, which needs one; Dr. GRPO takes sampling.max_tokens."""
    filter_groups: Literal["never", "reward", "correct"] = "never"
    """Leave out groups which say nothing, since their rewards are all alike, or their answers all right or all wrong (DAPO's
    dynamic sampling; verl: filter_groups.metric). train.rounds draws others for them."""
    mask_truncated: bool = False
    """Learn nothing from chains that were cut at their longest; the others of their group are compared with them still (DAPO's
    overlong filtering; TRL: mask_truncated_completions)."""
    importance_cap: float | None = None
    """Weigh each token by min(π_old / π_sampler, cap), where the sampler's log-probs are not the learner's; null does not."""

    @property
    def least_group(self) -> int:
        return 2

    @property
    def has_critic(self) -> bool:
        return False

    @property
    def imitates(self) -> bool:
        return False

    def validate(self) -> None:
        check_ranges(self, above_zero=("clip", "clip_high", "importance_cap", "stop_kl"), at_least_zero=("kl_coef",))
        check_ranges(self, counts=("epochs", "minibatches", "longest"), above_one=("dual_clip",))
        if self.aggregation == "seq-mean-token-sum-norm" and self.longest is None:
            raise ConfigError(
                f"algorithm.aggregation={self.aggregation} needs algorithm.longest; set it to sampling.max_tokens"
            )
        if self.kl_in_loss and self.kl_estimator == "k1":
            raise ConfigError(
                "algorithm.kl_estimator=k1 has no gradient on average where it is part of a loss; choose k2 or k3"
            )

    def select(self, samples: Sequence[Sample]) -> list[Sample]:
        kept = [sample for sample in samples if sample.reward is not None]
        if self.filter_groups == "never":
            return kept
        values: dict[str, set[float | bool | None]] = {}
        for sample in kept:
            value = sample.reward if self.filter_groups == "reward" else sample.verdict.correct
            values.setdefault(sample.problem.id, set()).add(value)
        return [sample for sample in kept if len(values[sample.problem.id]) > 1]

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
        weights, counts = ops.aggregate(mask, self.aggregation, self.longest or 1)
        if self.mask_truncated:
            # As TRL: such a chain is still one of the sequences that a mean over sequences counts, but none of its tokens is.
            weights = weights * batch.finished[:, None]
            counts = counts * batch.finished if self.aggregation == "token-mean" else counts
        metrics = {
            **({"kl/reference": float(kl.sum(1).mean())} if measured else {}),
            "advantage/mean": float(advantages[mask].mean()),
            "advantage/std": float(advantages[mask].std(correction=0)),
            "group/without_signal": silent_groups(batch),
            **ops.sampler_gap(batch.sampler_logprobs, outputs.logprobs, mask),
        }
        if self.importance_cap is not None:
            advantages = advantages * ops.truncated_weights(outputs.logprobs, batch.sampler_logprobs, self.importance_cap)
        return Experience(batch, outputs.logprobs, reference, advantages, weights, counts), metrics

    def loss(self, outputs: Outputs, experience: Experience) -> Loss:
        mask = experience.batch.action_mask
        log_ratio = ops.log_ratio(outputs.logprobs, experience.old_logprobs)
        ratio = log_ratio.exp()
        tokens = ops.clipped_surrogate(ratio, experience.advantages, self.clip, self.clip_high, self.dual_clip)
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


def check_reward_estimator(algorithm: GroupAlgorithm) -> None:
    """Raise `ConfigError` unless the divergence, being part of a reward, is estimated by k1: its sum over a chain estimates
    the chain's divergence, and no gradient is asked of it."""
    if algorithm.kl_estimator != "k1":
        raise ConfigError(f"algorithm.kl_estimator={algorithm.kl_estimator} is for losses; a reward takes k1, leave it out")
