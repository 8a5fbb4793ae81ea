"""PPO's own parts: a λ for the value, a steered coefficient, weights for another sampler, cut chains."""

from dataclasses import replace

import pytest
import torch

from reft.algorithms import ops
from reft.algorithms.ppo import PPO
from reft.algorithms.reft import ReFT
from reft.errors import ConfigError
from tests.reft.test_batch import sample
from tests.reft.test_reft import random_case


def test_the_value_has_a_lambda_of_its_own() -> None:
    batch, policy, _ = random_case(0)
    experience, _ = PPO(kl_coef=0.0, lam=0.5, lam_value=1.0).credit(batch, policy)
    mask = batch.action_mask
    torch.testing.assert_close(experience.returns[mask], batch.rewards[:, None].expand_as(mask)[mask])
    other, _ = PPO(kl_coef=0.0, lam=0.5, lam_value=0.5).credit(batch, policy)
    torch.testing.assert_close(experience.advantages, other.advantages)
    assert not torch.allclose(experience.returns, other.returns)


def test_lambda_may_follow_the_length() -> None:
    batch, policy, _ = random_case(1, rows=4, width=70)
    mask = batch.action_mask
    experience, _ = PPO(kl_coef=0.0, lam=None).credit(batch, policy)
    rewards, values = ops.at_last_action(batch.rewards, mask), policy.outputs.values
    rows = [
        ops.gae(rewards[[row]], values[[row]], mask[[row]], 1.0, max(0.0, 1 - 1 / (0.05 * int(mask[row].sum()))))
        for row in range(4)
    ]
    torch.testing.assert_close(experience.advantages, ops.whiten(torch.cat(rows), mask))


def test_the_coefficient_is_steered_and_remembered() -> None:
    batch, policy, _ = random_case(2)
    algorithm = PPO(kl_coef=0.1, kl_target=0.01, kl_horizon=60)
    _, first = algorithm.credit(batch, policy)
    _, second = algorithm.credit(batch, policy)
    assert first["kl/coef"] == 0.1
    push = max(-0.2, min(0.2, first["kl/reference"] / 0.01 - 1))
    assert second["kl/coef"] == pytest.approx(0.1 * (1 + push * 6 / 60))
    assert abs(push) == 0.2
    _, fixed = PPO(kl_coef=0.1).credit(*random_case(2)[:2])
    assert fixed["kl/coef"] == 0.1


@pytest.mark.parametrize("horizon", [1, 2, 6])
def test_a_coefficient_is_never_steered_to_nothing(horizon: int) -> None:
    """However many chains a batch has for each of its horizon."""
    assert ops.steered(0.1, kl=0.0, target=1.0, share=60 / horizon) == pytest.approx(0.08)
    assert ops.steered(0.1, kl=9.0, target=1.0, share=60 / horizon) == pytest.approx(0.12)


def test_the_value_loss_has_its_weight() -> None:
    batch, policy, new = random_case(6)
    experience, _ = PPO().credit(batch, policy)
    values = ops.clipped_value_loss(new.values, experience.old_values, experience.returns, 0.5)
    losses = [PPO(vf_coef=weight).loss(new, experience).total for weight in (0.0, 2.0)]
    expected = ops.masked_sum(values * experience.weights, batch.action_mask)
    torch.testing.assert_close(losses[1] - losses[0], 2.0 * expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("algorithm", [PPO, ReFT])
@pytest.mark.parametrize("aggregation", ["token-mean", "seq-mean-token-mean"])
def test_tokens_are_averaged_as_named(algorithm: type, aggregation: ops.Mean) -> None:
    batch, policy, _ = random_case(6)
    lengths = batch.action_mask.sum(1)
    experience, _ = algorithm(aggregation=aggregation).credit(batch, policy)
    assert experience.counts.tolist() == (lengths.tolist() if aggregation == "token-mean" else [1.0] * 6)
    torch.testing.assert_close(experience.weights.sum(1), experience.counts)


def test_a_discount_holds_for_policy_and_value() -> None:
    batch, policy, _ = random_case(0)
    mask = batch.action_mask
    experience, _ = PPO(kl_coef=0.0, gamma=0.9, lam=1.0, lam_value=1.0).credit(batch, policy)
    left = mask.flip(1).cumsum(1).flip(1) - 1  # actions behind this one
    torch.testing.assert_close(experience.returns[mask], (batch.rewards[:, None] * 0.9**left)[mask])
    bare = (experience.returns - policy.outputs.values * mask) * mask
    torch.testing.assert_close(experience.advantages, ops.whiten(bare, mask))


def test_tokens_of_another_sampler_weigh_what_they_are_worth() -> None:
    batch, policy, _ = random_case(3)
    mask = batch.action_mask
    apart = torch.linspace(-1.0, 1.0, mask.numel()).reshape(mask.shape)
    batch = replace(batch, sampler_logprobs=(policy.outputs.logprobs - apart) * mask)
    plain, _ = PPO().credit(batch, policy)
    weighed, _ = PPO(importance_cap=1.5).credit(batch, policy)
    torch.testing.assert_close(weighed.advantages[mask], (plain.advantages * apart.exp().clamp(max=1.5))[mask])
    torch.testing.assert_close(weighed.returns, plain.returns)


def test_the_loss_of_bad_actions_is_bounded() -> None:
    batch, policy, new = random_case(5)
    moved = replace(new, logprobs=policy.outputs.logprobs + 2.0)  # ratios of 7.4
    experience, _ = PPO().credit(batch, policy)
    bad = batch.action_mask & (experience.advantages < 0)
    bounded, free = (PPO(dual_clip=clip, vf_coef=0.0).loss(moved, experience).total for clip in (3.0, None))
    torch.testing.assert_close(free - bounded, (-experience.advantages[bad] * (torch.tensor(2.0).exp() - 3.0)).sum())


@pytest.mark.parametrize("algorithm", [PPO, ReFT])
@pytest.mark.parametrize("truncation", ["terminal", "bootstrap"])
def test_the_end_of_a_cut_chain(truncation: str, algorithm: type) -> None:
    """At γ = λ = 1 without KL every return is the reward, and behind it the last value where the chain is taken as going on."""
    batch, policy, _ = random_case(4)
    batch = replace(batch, finished=torch.tensor([True, False, True, False, True, True]))
    experience, _ = algorithm(kl_coef=0.0, lam=1.0, truncation=truncation).credit(batch, policy)
    expected = batch.rewards.clone()
    if truncation == "bootstrap":
        expected[[1, 3]] += policy.outputs.final_values[[1, 3]]
    mask = batch.action_mask
    torch.testing.assert_close(experience.returns[mask], expected[:, None].expand_as(mask)[mask])
    torch.testing.assert_close(experience.advantages, ops.whiten((expected[:, None] - policy.outputs.values) * mask, mask))


@pytest.mark.parametrize("algorithm", [PPO, ReFT])
def test_the_divergence_lowers_the_reward(algorithm: type) -> None:
    """At γ = λ = 1 a return is the reward less β Σ (log π - log π_ref) from there on, whatever its sign."""
    batch, policy, _ = random_case(7)
    mask = batch.action_mask
    experience, metrics = algorithm(kl_coef=0.3, lam=1.0).credit(batch, policy)
    apart = (policy.outputs.logprobs - policy.reference_logprobs) * mask
    to_come = apart.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(experience.returns[mask], (batch.rewards[:, None] - 0.3 * to_come)[mask])
    assert metrics["kl/reference"] == pytest.approx(float(apart.sum() / len(batch))), "nats a chain"


@pytest.mark.parametrize("algorithm", [PPO, ReFT])
def test_policy_and_value_are_clipped_each_by_its_own_range(algorithm: type) -> None:
    batch, policy, new = random_case(8)
    settings = algorithm(clip=0.05, value_clip=0.4, vf_coef=0.7)
    experience, _ = settings.credit(batch, policy)
    ratio = (new.logprobs - policy.outputs.logprobs).exp()
    losses = ops.clipped_surrogate(ratio, experience.advantages, 0.05)
    values = ops.clipped_value_loss(new.values, policy.outputs.values * batch.action_mask, experience.returns, 0.4)
    expected = ops.masked_sum((losses + 0.7 * values) * experience.weights, batch.action_mask)
    torch.testing.assert_close(settings.loss(new, experience).total, expected)


def test_metrics_of_targets_and_losses_by_hand() -> None:
    batch, policy, new = random_case(9)
    mask = batch.action_mask
    sampler = torch.where(torch.arange(mask.shape[1]) % 2 == 0, 0.1, -0.1)  # which cancel, did their signs count
    batch = replace(batch, sampler_logprobs=policy.outputs.logprobs + sampler)
    settings = PPO(kl_coef=0.0, lam=1.0, clip=0.2, value_clip=0.3)
    experience, metrics = settings.credit(batch, policy)
    values, returns = policy.outputs.values[mask], experience.returns[mask]
    assert metrics["sampler/logprob_gap_mean"] == pytest.approx(0.1, rel=1e-4)
    assert metrics["value/mean"] == pytest.approx(float(values.mean()))
    assert metrics["value/explained_variance"] == pytest.approx(float(1 - (returns - values).var() / returns.var()), rel=1e-4)
    bare = returns - values
    assert metrics["advantage/mean"] == pytest.approx(float(bare.mean()), rel=1e-4)
    assert metrics["advantage/std"] == pytest.approx(float(bare.std(correction=0)), rel=1e-4)
    lower = replace(new, logprobs=policy.outputs.logprobs + torch.log(torch.tensor(0.5)) * mask)  # every ratio is a half
    loss = settings.loss(replace(lower, values=policy.outputs.values + 0.4), experience)
    assert float(loss.highest["policy/ratio_deviation"]) == pytest.approx(0.5)
    assert loss.sums["policy/clip_fraction"] == loss.sums["value/clip_fraction"] == mask.sum()
    assert float(loss.sums["policy/ratio"]) == pytest.approx(0.5 * int(mask.sum()))
    inside = settings.loss(replace(lower, logprobs=policy.outputs.logprobs, values=policy.outputs.values + 0.2), experience)
    assert inside.sums["policy/clip_fraction"] == inside.sums["value/clip_fraction"] == 0


@pytest.mark.parametrize("algorithm", [PPO, ReFT])
def test_cut_chains_may_be_left_out(algorithm: type) -> None:
    whole, cut, silent = sample([1], [2]), sample([1], [2], finish="length"), sample([1], [2], None)
    chosen = algorithm(truncation="mask").select([cut, whole, silent, cut])
    assert [id(kept) for kept in chosen] == [id(whole)]
    for truncation in ("terminal", "bootstrap"):
        assert len(algorithm(truncation=truncation).select([cut, whole, silent, cut])) == 3


def test_published_defaults() -> None:
    """Of verl's PPO and of ReFT's code; a changed one would be another algorithm under the name."""
    assert vars(PPO()) == {
        "kl_coef": 0.01, "kl_target": None, "kl_horizon": 10_000, "gamma": 1.0, "lam": 0.95, "lam_value": 1.0, "clip": 0.2,
        "dual_clip": 3.0, "value_clip": 0.5, "vf_coef": 0.5, "epochs": 1, "minibatches": 4, "stop_kl": 0.1,
        "aggregation": "token-mean", "truncation": "terminal", "importance_cap": None,
    }  # fmt: skip
    assert vars(ReFT()) == {
        "kl_coef": 0.05, "gamma": 1.0, "lam": 0.95, "clip": 0.2, "value_clip": 0.2, "vf_coef": 5.0, "epochs": 2,
        "minibatches": 1, "aggregation": "seq-mean-token-mean", "truncation": "terminal", "stop_kl": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [{"lam": 1.1}, {"lam_value": -0.1}, {"dual_clip": 1.0}, {"kl_target": 0.0}, {"kl_target": 1.0, "kl_coef": 0.0},
     {"kl_horizon": 0}, {"stop_kl": -1.0},
     {"importance_cap": 0.0}, {"value_clip": float("nan")}],
)  # fmt: skip
def test_out_of_range(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        PPO(**wrong).validate()
    PPO(lam=None, dual_clip=None, stop_kl=None).validate()
