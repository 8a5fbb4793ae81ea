"""PPO's own parts: a λ for the value, a steered coefficient, weights for another sampler, cut chains."""

from dataclasses import replace

import pytest
import torch

from reft.algorithms import ops
from reft.algorithms.ppo import PPO
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


@pytest.mark.parametrize("truncation", ["terminal", "bootstrap"])
def test_the_end_of_a_cut_chain(truncation: str) -> None:
    """At γ = λ = 1 without KL every return is the reward, and behind it the last value where the chain is taken as going on."""
    batch, policy, _ = random_case(4)
    batch = replace(batch, finished=torch.tensor([True, False, True, False, True, True]))
    experience, _ = PPO(kl_coef=0.0, lam=1.0, truncation=truncation).credit(batch, policy)
    expected = batch.rewards.clone()
    if truncation == "bootstrap":
        expected[[1, 3]] += policy.outputs.final_values[[1, 3]]
    mask = batch.action_mask
    torch.testing.assert_close(experience.returns[mask], expected[:, None].expand_as(mask)[mask])


def test_cut_chains_may_be_left_out() -> None:
    samples = [sample([1], [2]), sample([1], [2], finish="length"), sample([1], [2], None)]
    assert len(PPO(truncation="mask").select(samples)) == 1
    assert len(PPO(truncation="terminal").select(samples)) == 2


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
