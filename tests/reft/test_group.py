"""Algorithms without a critic: advantages by hand, losses against TRL's own on the same tensors."""

from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from reft.algorithms import Outputs, ops
from reft.algorithms.dapo import DAPO
from reft.algorithms.dr_grpo import DrGRPO
from reft.algorithms.group import Experience, silent_groups
from reft.algorithms.grpo import GRPO
from reft.algorithms.reinforce_pp import ReinforcePP
from reft.algorithms.rloo import RLOO
from reft.batch import Batch
from reft.errors import ConfigError
from rewards.equal import Verdict
from tests.reft.test_batch import sample
from tests.reft.test_ppo import random_case

REWARDS = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0, 0.5])
GROUPS = torch.tensor([0, 0, 0, 1, 1, 2])


def test_group_advantages_by_hand() -> None:
    third = 1 / 3
    plain = [1 - third, -third, -third, 0, 0, 0]
    assert ops.group_advantages(REWARDS, GROUPS, "none").tolist() == pytest.approx(plain)
    deviation = (2 / 3 / 2) ** 0.5  # unbiased, of 1, 0, 0
    scaled = [value / (deviation + 1e-4) for value in plain]
    assert ops.group_advantages(REWARDS, GROUPS, "group").tolist() == pytest.approx(scaled, rel=1e-5)
    whole = float(REWARDS.std()) + 1e-4
    assert ops.group_advantages(REWARDS, GROUPS, "batch").tolist() == pytest.approx([value / whole for value in plain])


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_grpo_divides_as_it_is_told(scale: ops.Scale) -> None:
    batch, policy, _ = random_case(0)
    batch = replace(batch, groups=GROUPS, rewards=REWARDS)
    experience, _ = GRPO(scale_rewards=scale).credit(batch, policy)
    expected = ops.group_advantages(REWARDS, GROUPS, scale)[:, None] * batch.action_mask
    torch.testing.assert_close(experience.advantages, expected)


def test_what_is_clipped_above_and_below_is_counted() -> None:
    batch, policy, new = random_case(0)
    mask = batch.action_mask
    algorithm = GRPO(clip=0.2, clip_high=0.5)
    experience, _ = algorithm.credit(replace(batch, groups=GROUPS), policy)
    for ratio, clipped in ((0.7, True), (0.9, False), (1.3, False), (1.6, True)):
        moved = replace(new, logprobs=policy.outputs.logprobs + torch.tensor(ratio).log() * mask)
        loss = algorithm.loss(moved, experience)
        assert int(loss.sums["policy/clip_fraction"]) == int(mask.sum()) * clipped
        assert float(loss.highest["policy/ratio_deviation"]) == pytest.approx(abs(ratio - 1), rel=1e-5)


def test_leave_one_out_by_hand() -> None:
    assert ops.leave_one_out(REWARDS, GROUPS).tolist() == pytest.approx([1.0, -0.5, -0.5, 0, 0, 0])


def test_the_order_of_rows_does_not_count() -> None:
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    for function in (lambda r, g: ops.group_advantages(r, g, "group"), ops.leave_one_out):
        torch.testing.assert_close(function(REWARDS, GROUPS)[order], function(REWARDS[order], GROUPS[order]))


def test_returns_to_go_by_hand() -> None:
    rewards = torch.tensor([[0.0, 1.0, 0.0, 2.0]])
    mask = torch.tensor([[True, True, False, True]])
    assert ops.returns_to_go(rewards, mask, 1.0).tolist() == [[3.0, 3.0, 0.0, 2.0]]
    assert ops.returns_to_go(rewards, mask, 0.5).tolist() == [[1.0, 2.0, 0.0, 2.0]]


@pytest.mark.parametrize(
    ("ratio", "advantage", "low", "high", "loss", "moves"),
    [
        (1.25, 1.0, 0.2, 0.28, -1.25, True),  # between the two bounds: DAPO still pushes where PPO has stopped
        (1.25, 1.0, 0.2, None, -1.2, False),
        (1.30, 1.0, 0.2, 0.28, -1.28, False),
        (0.70, 1.0, 0.2, 0.28, -0.7, True),
        (0.70, -1.0, 0.2, 0.28, 0.8, False),
        (1.50, -1.0, 0.2, 0.28, 1.5, True),
    ],
)
def test_clipping_higher(ratio: float, advantage: float, low: float, high: float | None, loss: float, moves: bool) -> None:
    value = torch.tensor([ratio], requires_grad=True)
    found = ops.clipped_surrogate(value, torch.tensor([advantage]), low, high)
    assert found.item() == pytest.approx(loss)
    (gradient,) = torch.autograd.grad(found.sum(), value)
    assert bool(gradient != 0) == moves


def case(seed: int) -> tuple[Batch, Outputs, Outputs, Tensor]:
    """A batch of three groups of two, the old and the new policy's outputs, and the reference's log-probs."""
    batch, policy, new = random_case(seed)
    finished = torch.tensor([True, False, True, True, True, False])
    return (
        replace(batch, groups=torch.tensor([0, 0, 1, 1, 2, 2]), finished=finished),
        policy.outputs,
        new,
        policy.reference_logprobs,
    )


class Fixed:
    def __init__(self, old: Outputs, reference: Tensor) -> None:
        self.old, self.start = old, reference
        self.memory: dict[str, float] = {}

    def forward(self, batch: Batch) -> Outputs:
        return self.old

    def reference(self, batch: Batch) -> Tensor:
        return self.start


def ours(algorithm, seed: int) -> tuple[Tensor, Tensor, Experience]:  # type: ignore[no-untyped-def]
    """The loss and its gradient with respect to the new log-probs."""
    batch, old, new, reference = case(seed)
    experience, _ = algorithm.credit(batch, Fixed(old, reference))
    loss = algorithm.loss(new, experience).total / experience.counts.sum()
    (gradient,) = torch.autograd.grad(loss, new.logprobs)
    return loss.detach(), gradient, experience


def trl(loss_type: str, algorithm, seed: int) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def]
    """The same by TRL's trainer, its method called on tensors."""
    from trl import GRPOTrainer

    batch, old, new, reference = case(seed)
    scale = "none" if loss_type == "dr_grpo" else "group"
    advantages = ops.group_advantages(batch.rewards, batch.groups, scale)
    mask = batch.action_mask
    if algorithm.mask_truncated:  # as in _generate_and_score_completions
        mask = mask & batch.finished[:, None]
    weighed = algorithm.importance_cap is not None
    ratio = (old.logprobs - batch.sampler_logprobs).exp().clamp(max=algorithm.importance_cap or torch.inf)
    high = algorithm.clip if algorithm.clip_high is None else algorithm.clip_high
    logprobs = new.logprobs.detach().clone().requires_grad_()
    fake = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (logprobs, new.entropies, None),
        aux_loss_enabled=False, top_entropy_quantile=1.0, off_policy_mask_threshold=None, importance_sampling_level="token",
        beta=algorithm.kl_coef, loss_type=loss_type, epsilon_low=algorithm.clip, epsilon_high=high, use_vllm=weighed,
        vllm_importance_sampling_correction=weighed, max_completion_length=algorithm.longest,
        args=SimpleNamespace(use_bias_correction_kl=False, delta=algorithm.dual_clip, steps_per_generation=1),
        accelerator=SimpleNamespace(num_processes=1, gather=lambda value: value, reduce=lambda value, reduction: value),
        model=SimpleNamespace(training=True), current_gradient_accumulation_steps=1, _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
    )  # fmt: skip
    empty = torch.zeros(len(batch), 0, dtype=torch.long)
    inputs = {
        "prompt_ids": empty, "prompt_mask": empty, "completion_ids": batch.tokens[:, 1:], "completion_mask": mask.long(),
        "advantages": advantages, "old_per_token_logps": old.logprobs, "ref_per_token_logps": reference,
        "num_items_in_batch": mask.sum(), "importance_sampling_ratio": ratio,
    }  # fmt: skip
    loss = GRPOTrainer._compute_loss(fake, None, inputs)
    (gradient,) = torch.autograd.grad(loss, logprobs)
    return loss.detach(), gradient


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("loss_type", "algorithm"),
    [
        ("grpo", GRPO(kl_coef=0.04)),
        ("grpo", GRPO(kl_coef=0.0, clip_high=0.28)),
        ("grpo", GRPO(kl_coef=0.04, importance_cap=1.1)),
        ("grpo", GRPO(mask_truncated=True, clip=0.05, dual_clip=1.1)),
        ("dapo", DAPO(mask_truncated=False)),
        ("dapo", DAPO()),
        ("dapo", GRPO(kl_coef=0.1, aggregation="token-mean")),
        ("dr_grpo", DrGRPO(longest=9)),
        ("dr_grpo", DrGRPO(longest=9, mask_truncated=True)),
    ],
)
def test_equals_trl(loss_type: str, algorithm, seed: int) -> None:  # type: ignore[no-untyped-def]
    loss, gradient, experience = ours(algorithm, seed)
    mask = experience.batch.action_mask
    theirs, their_gradient = trl(loss_type, algorithm, seed)
    torch.testing.assert_close(loss, theirs, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(gradient * mask, their_gradient * mask, rtol=1e-5, atol=1e-7)


def test_rloo_by_hand() -> None:
    batch, old, _, reference = case(3)
    experience, _ = RLOO(kl_coef=0.1).credit(batch, Fixed(old, reference))
    mask = batch.action_mask
    worth = [float(batch.rewards[row] - 0.1 * (old.logprobs - reference)[row][mask[row]].sum()) for row in range(6)]
    expected = [worth[row] - worth[row ^ 1] for row in range(6)]
    for row in range(6):
        assert experience.advantages[row][mask[row]].tolist() == pytest.approx([expected[row]] * int(mask[row].sum()), rel=1e-4)
    assert (experience.advantages[~mask] == 0).all()


@pytest.mark.parametrize(("algorithm", "in_loss"), [(GRPO, True), (RLOO, False), (ReinforcePP, False)])
def test_the_divergence_counts_once(algorithm, in_loss: bool) -> None:  # type: ignore[no-untyped-def]
    """In the loss, or in the rewards that the advantages come from, and not in both."""
    batch, old, new, reference = case(5)
    experience, _ = algorithm(kl_coef=0.1).credit(batch, Fixed(old, reference))
    loss, other = (
        algorithm(kl_coef=0.1).loss(new, replace(experience, reference=start)).total for start in (reference, reference - 1)
    )
    assert bool(loss != other) == in_loss


@pytest.mark.parametrize("baseline", [False, True])
def test_reinforce_pp_by_hand(baseline: bool) -> None:
    batch, old, _, reference = case(4)
    experience, _ = ReinforcePP(kl_coef=0.05, gamma=0.9, baseline=baseline).credit(batch, Fixed(old, reference))
    mask, raw = batch.action_mask, torch.zeros_like(old.logprobs)
    for row in range(6):
        score = float(batch.rewards[row])
        if baseline:
            score -= float(batch.rewards[[row, row ^ 1]].mean())
        following = 0.0
        for number, t in enumerate(reversed(mask[row].nonzero().squeeze(1).tolist())):
            kl = float(old.logprobs[row, t] - reference[row, t])
            following = (score if number == 0 else 0.0) - 0.05 * kl + 0.9 * following
            raw[row, t] = following
    values = raw[mask]
    torch.testing.assert_close(
        experience.advantages[mask], (values - values.mean()) / (values.var() + 1e-8).sqrt(), rtol=1e-4, atol=1e-5
    )


def test_importance_weights_are_cut() -> None:
    batch, old, _, reference = case(5)
    engine = replace(batch, sampler_logprobs=old.logprobs - torch.tensor([5.0, 0.1, -0.1, 0, 0, 0])[:, None])
    algorithm = GRPO(importance_cap=2.0)
    experience, _ = algorithm.credit(engine, Fixed(old, reference))
    bare, _ = replace(algorithm, importance_cap=None).credit(engine, Fixed(old, reference))
    expected = torch.tensor([2.0, 0.1, -0.1, 0, 0, 0])
    expected[1:] = expected[1:].exp()
    torch.testing.assert_close(experience.advantages, bare.advantages * expected[:, None], rtol=1e-4, atol=1e-6)
    assert torch.equal(experience.weights, bare.weights), "the divergence is not weighed"


def test_selection() -> None:
    def drawn(name: str, reward: float | None, finish: str = "stop", right: bool | None = None):  # type: ignore[no-untyped-def]
        made = sample([1], [2], reward, finish)
        verdict = Verdict("equal" if (reward == 1 if right is None else right) else "different", "text", "")
        return replace(made, problem=replace(made.problem, id=name), verdict=verdict)

    rows = [
        drawn("a", 1.0),
        drawn("a", 0.0),
        drawn("b", 1.0),
        drawn("b", 1.0),
        drawn("c", 0.0, "length"),
        drawn("c", 1.0),
        drawn("d", None),
        drawn("e", 0.9, right=True),
        drawn("e", 1.0, right=True),
    ]
    assert len(GRPO().select(rows)) == 8
    assert [row.problem.id for row in DAPO().select(rows)] == ["a", "a", "c", "c"]
    assert [row.problem.id for row in DAPO(filter_groups="reward").select(rows)] == ["a", "a", "c", "c", "e", "e"]


def test_a_cut_chain_is_compared_with_and_not_learnt_from() -> None:
    batch, old, _, reference = case(5)
    batch = replace(batch, rewards=torch.tensor([1.0, 0, 1, 1, 0, 1]), finished=torch.tensor([True, False] * 3))
    for aggregation, counts in (("token-mean", batch.action_mask.sum(1) * batch.finished), ("seq-mean-token-mean", [1] * 6)):
        experience, _ = GRPO(mask_truncated=True, aggregation=aggregation).credit(batch, Fixed(old, reference))
        assert (experience.advantages[0][batch.action_mask[0]] > 0.7).all()
        assert (experience.weights.sum(1) > 0).tolist() == [True, False] * 3
        assert experience.counts.tolist() == list(counts)


@pytest.mark.parametrize("estimator", ["k2", "k3"])
def test_the_estimator_is_the_one_that_is_named(estimator: ops.KLEstimator) -> None:
    batch, old, new, reference = case(5)
    algorithm = GRPO(kl_coef=0.1, kl_estimator=estimator)
    experience, _ = algorithm.credit(batch, Fixed(old, reference))
    with_kl = algorithm.loss(new, experience).total
    without = replace(algorithm, kl_coef=0.0).loss(new, experience).total
    penalty = ops.masked_sum(ops.kl(new.logprobs, reference, estimator) * experience.weights, batch.action_mask)
    torch.testing.assert_close(with_kl - without, 0.1 * penalty, rtol=1e-3, atol=1e-6)


def test_groups_without_signal_are_counted() -> None:
    batch, *_ = case(0)
    assert silent_groups(replace(batch, rewards=torch.tensor([1.0, 1, 0, 1, 0, 0]))) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"clip": 0.0}, {"clip_high": -1.0}, {"kl_coef": -1.0}, {"epochs": 0}, {"importance_cap": 0.0}, {"longest": 0},
        {"dual_clip": 1.0}, {"kl_estimator": "k1"}, {"aggregation": "seq-mean-token-sum-norm"},
    ],
)  # fmt: skip
def test_wrong_settings(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        GRPO(**wrong).validate()


@pytest.mark.parametrize("algorithm", [RLOO, ReinforcePP])
def test_a_divergence_in_the_reward_is_k1(algorithm) -> None:  # type: ignore[no-untyped-def]
    algorithm().validate()
    with pytest.raises(ConfigError, match="kl_estimator=k3"):
        algorithm(kl_estimator="k3").validate()


def test_published_defaults() -> None:
    """As the papers name them; a changed default would be another algorithm under their name."""
    published = {
        GRPO(): {"clip": 0.2, "kl_estimator": "k3", "aggregation": "seq-mean-token-mean", "scale_rewards": "group"},
        DAPO(): {"clip": 0.2, "clip_high": 0.28, "kl_coef": 0.0, "aggregation": "token-mean", "mask_truncated": True,
                 "filter_groups": "correct"},
        DrGRPO(): {"aggregation": "seq-mean-token-sum-norm", "kl_coef": 0.0},
        RLOO(): {"kl_coef": 0.05}, ReinforcePP(): {"kl_coef": 0.01, "gamma": 1.0, "baseline": False},
    }  # fmt: skip
    for algorithm, values in published.items():
        assert {name: getattr(algorithm, name) for name in values} == values, type(algorithm)
