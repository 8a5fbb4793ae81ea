"""PPO as it is practised today (arXiv 1707.06347; the parts are those of verl and OpenRLHF): every token counts alike, the
value learns with a λ of its own, losses of bad actions are bounded, the divergence from the start may be steered towards a
target, and a batch is left when the policy has moved far enough.

Belonging to it, but settings of the model and the learner: a value head that starts at zero (`model.value_head`), a critic with
a trunk of its own or not (`model.critic`), its learning rate (`learner.critic_lr`), and steps in which only the critic learns
(`learner.critic_warmup`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from reft.algorithms import Loss, Outputs, Policy, actor_critic, check_ranges, ops
from reft.algorithms.actor_critic import Experience
from reft.batch import Batch
from reft.errors import ConfigError
from rollout.types import Sample


@dataclass(frozen=True)
class PPO:
    """Hyper-parameters of PPO."""

    kl_coef: float = 0.01
    """β: the reward of each token is less β (log π_old - log π_ref); with a target, where it starts. 0 or more."""
    kl_target: float | None = None
    """The KL to the start, in nats a chain, that β is steered to (arXiv 1909.08593, section 2.2); null leaves β alone."""
    kl_horizon: int = 10_000
    """Chains over which β moves by as much as the KL is off, a fifth at most (TRL, verl: 10,000)."""
    gamma: float = 1.0
    """Discount, 0 to 1."""
    lam: float | None = 0.95
    """λ of the policy's advantages, 0 to 1; null takes 1 - 1/(0.05·l) for a chain of l tokens (VAPO, arXiv 2504.05118)."""
    lam_value: float = 1.0
    """λ of the value's returns, 0 to 1; at 1 they are the chain's rewards to come (VC-PPO, arXiv 2503.01491)."""
    clip: float = 0.2
    """Range of the policy ratio, above 0."""
    dual_clip: float | None = 3.0
    """Most that a bad action's ratio counts, above 1 (arXiv 1912.09729; verl: clip_ratio_c); null sets no bound."""
    value_clip: float = 0.5
    """Range of the value's move, above 0."""
    vf_coef: float = 0.5
    """Weight of the value loss, 0 or more; the value loss carries the factor ½."""
    epochs: int = 1
    """Passes over each batch."""
    minibatches: int = 4
    """Optimizer steps a pass."""
    stop_kl: float | None = 0.1
    """No more minibatches of a batch behind one whose `kl/update` is above this, in nats a token; null does them all."""
    aggregation: ops.Mean = "token-mean"
    """How token losses are averaged."""
    truncation: actor_critic.Truncation = "terminal"
    """What the end of a chain that was cut is worth."""
    importance_cap: float | None = None
    """Weigh each token by min(π_old / π_sampler, cap), where the sampler's log-probs are not the learner's; null does not."""

    @property
    def least_group(self) -> int:
        return 1

    @property
    def has_critic(self) -> bool:
        return True

    @property
    def imitates(self) -> bool:
        return False

    def validate(self) -> None:
        check_ranges(self, at_least_zero=("kl_coef", "vf_coef"), shares=("gamma", "lam", "lam_value"))
        check_ranges(self, above_zero=("kl_target", "clip", "value_clip", "stop_kl", "importance_cap"))
        check_ranges(self, counts=("epochs", "minibatches", "kl_horizon"), above_one=("dual_clip",))
        if self.kl_target is not None and self.kl_coef == 0:
            raise ConfigError(f"algorithm.kl_target={self.kl_target} steers algorithm.kl_coef, which is 0; start it above 0")

    def select(self, samples: Sequence[Sample]) -> list[Sample]:
        return actor_critic.select(samples, self.truncation)

    def credit(self, batch: Batch, policy: Policy) -> tuple[Experience, dict[str, float]]:
        mask = batch.action_mask
        kl_coef = policy.memory.get("kl_coef", self.kl_coef)
        outputs = policy.forward(batch)
        rewards, kl = actor_critic.token_rewards(batch, outputs, policy, kl_coef)
        values = outputs.values * mask
        final = actor_critic.bootstrap_values(batch, outputs, self.truncation)
        lam: float | Tensor = ops.length_adaptive_lambda(mask.sum(1)) if self.lam is None else self.lam
        advantages = ops.gae(rewards, values, mask, self.gamma, lam, final)
        returns = ops.gae(rewards, values, mask, self.gamma, self.lam_value, final) + values
        white = ops.whiten(advantages, mask)
        if self.importance_cap is not None:
            white = white * ops.truncated_weights(outputs.logprobs, batch.sampler_logprobs, self.importance_cap)
        weights, counts = ops.aggregate(mask, self.aggregation)
        experience = Experience(batch, outputs.logprobs, values, white, returns, weights, counts)
        metrics = actor_critic.describe(experience, kl, advantages) | {"kl/coef": kl_coef}
        if self.kl_target is not None:
            policy.memory["kl_coef"] = ops.steered(
                kl_coef, metrics["kl/reference"], self.kl_target, len(batch) / self.kl_horizon
            )
        return experience, metrics

    def loss(self, outputs: Outputs, experience: Experience) -> Loss:
        return actor_critic.clipped_losses(outputs, experience, self.clip, self.value_clip, self.vf_coef, self.dual_clip)
