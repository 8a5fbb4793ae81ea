"""ReFT (arXiv 2401.08967, section 3.2; code mwp_ReFT train_rl_reft.py): PPO from a supervised warm-up. The KL to the warm-up
policy is part of the reward, advantages are GAE whitened over the global batch, policy and value losses are clipped.

The defaults are the published setting for natural-language chains on 7B models. Where the paper's code has a trap, what it does
is here by name:

    of the paper's code                           here
    each sequence counts alike, whatever its      aggregation: seq-mean-token-mean is the default, since the published numbers
    length                                        are of it; token-mean is today's practice
    a cut chain ends like a finished one          truncation: terminal is the default, since the limit holds in evaluation too
    the value head starts at random               model.value_head: uniform; the default is zero
    nan, inf and any text count as an answer      the reward `reft_exact` (of programs with kwargs.programs=true); `correct`
                                                  takes the form that the task asks for
    |x - y| <= 0.01 is right                      checker.tolerance: 0.01; the default is exact
    the best of all evaluations on test           evaluate.select_on: test; the default is dev
    one sample a problem                          train.samples_per_prompt: 1, the default

Not to be had, since they are errors that change nothing in the published runs: masks from token ids, so that an end token in
the prompt or a sampled pad token cuts the chain, and positions that count padding (the paper's models have rotary or
mask-based positions).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reft.algorithms import Loss, Outputs, Policy, actor_critic, check_ranges, ops
from reft.algorithms.actor_critic import Experience
from reft.batch import Batch
from rollout.types import Sample


@dataclass(frozen=True)
class ReFT:
    """Hyper-parameters of ReFT."""

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
    aggregation: ops.Mean = "seq-mean-token-mean"
    """How token losses are averaged (ReFT: the mean over sequences of each one's token mean)."""
    truncation: actor_critic.Truncation = "terminal"
    """What the end of a chain that was cut is worth (ReFT: nothing, terminal)."""
    stop_kl: float | None = None
    """No more minibatches of a batch behind one whose `kl/update` is above this, in nats a token; null does them all (ReFT)."""

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
        check_ranges(self, at_least_zero=("kl_coef", "vf_coef"), shares=("gamma", "lam"), counts=("epochs", "minibatches"))
        check_ranges(self, above_zero=("clip", "value_clip", "stop_kl"))

    def select(self, samples: Sequence[Sample]) -> list[Sample]:
        return actor_critic.select(samples, self.truncation)

    def credit(self, batch: Batch, policy: Policy) -> tuple[Experience, dict[str, float]]:
        mask = batch.action_mask
        outputs = policy.forward(batch)
        rewards, kl = actor_critic.token_rewards(batch, outputs, policy, self.kl_coef)
        values = outputs.values * mask
        final = actor_critic.bootstrap_values(batch, outputs, self.truncation)
        advantages = ops.gae(rewards, values, mask, self.gamma, self.lam, final)
        weights, counts = ops.aggregate(mask, self.aggregation)
        experience = Experience(
            batch=batch,
            old_logprobs=outputs.logprobs,
            old_values=values,
            advantages=ops.whiten(advantages, mask),
            returns=advantages + values,
            weights=weights,
            counts=counts,
        )
        return experience, actor_critic.describe(experience, kl, advantages)

    def loss(self, outputs: Outputs, experience: Experience) -> Loss:
        return actor_critic.clipped_losses(outputs, experience, self.clip, self.value_clip, self.vf_coef)
