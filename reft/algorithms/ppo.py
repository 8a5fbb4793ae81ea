"""PPO as ReFT runs it (arXiv 2401.08967, section 3.2; code mwp_ReFT train_rl_reft.py): the KL to the warm-up policy is part
of the reward, advantages are GAE whitened over the global batch, policy and value losses are clipped.

The defaults are the published setting for natural-language chains on 7B models. Deviations from the paper's code: masks come
from lengths and not from token ids, log-ratios are bounded before exp, and the value head starts at zero unless the
model's settings say otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from reft.algorithms import Loss, Outputs, Policy, ops
from reft.batch import Batch
from reft.errors import ConfigError
from rollout.types import Sample


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


@dataclass(frozen=True)
class PPO:
    """Hyper-parameters of PPO."""

    kl_coef: float = 0.05
    """β: the reward of each token is less β (log π_old - log π_ref). ReFT: 0.05 for text, 0.01 for programs; 0 or more."""
    gamma: float = 1.0
    """Discount, 0 to 1 (ReFT: 1)."""
    lam: float = 0.95
    """λ of GAE, 0 to 1 (ReFT: 0.95)."""
    clip: float = 0.2
    """Range of the policy ratio, above 0 (ReFT: 0.2)."""
    value_clip: float = 0.2
    """Range of the value's move, above 0 (ReFT: 0.2)."""
    vf_coef: float = 5.0
    """Weight of the value loss, 0 or more (ReFT: 5; its value loss carries the factor ½)."""
    epochs: int = 2
    """Passes over each batch (ReFT: 2)."""
    minibatches: int = 1
    """Optimizer steps a pass (ReFT: 1)."""
    aggregation: ops.Aggregation = "seq-mean-token-mean"
    """How token losses are averaged (ReFT: the mean over sequences of each one's token mean)."""

    def validate(self) -> None:
        for name in ("kl_coef", "vf_coef"):
            if not vars(self)[name] >= 0:
                raise ConfigError(f"algorithm.{name}={vars(self)[name]} is out of range; choose 0 or more")
        for name in ("gamma", "lam"):
            if not 0 <= vars(self)[name] <= 1:
                raise ConfigError(f"algorithm.{name}={vars(self)[name]} is out of range; choose 0 to 1")
        for name in ("clip", "value_clip"):
            if not vars(self)[name] > 0:
                raise ConfigError(f"algorithm.{name}={vars(self)[name]} is out of range; choose more than 0")
        for name in ("epochs", "minibatches"):
            if vars(self)[name] < 1:
                raise ConfigError(f"algorithm.{name}={vars(self)[name]} is out of range; choose 1 or more")

    def select(self, samples: Sequence[Sample]) -> list[Sample]:
        return [sample for sample in samples if sample.reward is not None]

    def credit(self, batch: Batch, policy: Policy) -> tuple[Experience, dict[str, float]]:
        mask = batch.action_mask
        outputs = policy.forward(batch)
        reference = policy.reference(batch) if self.kl_coef > 0 else outputs.logprobs
        kl = (outputs.logprobs - reference) * mask  # k1: its sum over a chain estimates the chain's KL, sign and all
        rewards = ops.at_last_action(batch.rewards, mask) - self.kl_coef * kl
        values = outputs.values * mask
        advantages = ops.gae(rewards, values, mask, self.gamma, self.lam)
        returns = advantages + values
        weights, counts = ops.aggregate(mask, self.aggregation)
        experience = Experience(
            batch=batch,
            old_logprobs=outputs.logprobs,
            old_values=values,
            advantages=ops.whiten(advantages, mask),
            returns=returns,
            weights=weights,
            counts=counts,
        )
        metrics = {
            "kl/reference": float(kl.sum(1).mean()),
            "value/mean": float(values[mask].mean()),
            "value/explained_variance": ops.explained_variance(values, returns, mask),
            "advantage/mean": float(advantages[mask].mean()),
            "advantage/std": float(advantages[mask].std(correction=0)),
            **ops.sampler_gap(batch.sampler_logprobs, outputs.logprobs, mask),
        }
        return experience, metrics

    def loss(self, outputs: Outputs, experience: Experience) -> Loss:
        mask = experience.batch.action_mask
        log_ratio = ops.log_ratio(outputs.logprobs, experience.old_logprobs)
        ratio = log_ratio.exp()
        policy = ops.clipped_surrogate(ratio, experience.advantages, self.clip)
        value = ops.clipped_value_loss(outputs.values, experience.old_values, experience.returns, self.value_clip)
        total = ops.masked_sum((policy + self.vf_coef * value) * experience.weights, mask)
        moved = (outputs.values - experience.old_values).abs()
        sums = {
            "loss/policy": policy,
            "loss/value": value,
            "policy/entropy": outputs.entropies,
            "policy/ratio": ratio,
            "policy/clip_fraction": ((ratio - 1).abs() > self.clip).float(),
            "value/clip_fraction": (moved > self.value_clip).float(),
            "kl/update": ratio - 1 - log_ratio,  # k3 of this update's move, never negative
        }
        return Loss(
            total=total,
            sums={name: ops.masked_sum(tokens.detach(), mask) for name, tokens in sums.items()},
            highest={"policy/ratio_deviation": ((ratio.detach() - 1).abs() * mask).amax()},
        )
