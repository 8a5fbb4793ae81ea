"""ReFT as a whole, against a literal, slow port of the ReFT paper's update (arXiv 2401.08967; mwp_ReFT train_rl_reft.py)."""

import numpy
import pytest
import torch

from reft.algorithms import Outputs
from reft.algorithms.reft import ReFT
from reft.batch import Batch, take
from reft.errors import ConfigError


class FixedPolicy:
    """Says what it is told to; stands for the learner in credit assignment."""

    def __init__(self, outputs: Outputs, reference: torch.Tensor) -> None:
        self.outputs, self.reference_logprobs = outputs, reference
        self.memory: dict[str, float] = {}

    def forward(self, batch: Batch) -> Outputs:
        return self.outputs

    def reference(self, batch: Batch) -> torch.Tensor:
        return self.reference_logprobs


def random_case(seed: int, rows: int = 6, width: int = 11) -> tuple[Batch, FixedPolicy, Outputs]:
    """A batch with prompts of 3, chains of 1 to 7 tokens, and a policy that has moved since."""
    generator = torch.Generator().manual_seed(seed)
    chains = torch.randint(1, width - 3, (rows,), generator=generator)
    places = torch.arange(width - 1)
    mask = (places >= 2) & (places < 2 + chains[:, None])
    random = lambda: torch.randn(rows, width - 1, generator=generator)  # noqa: E731
    batch = Batch(
        tokens=torch.randint(3, 20, (rows, width), generator=generator),
        lengths=3 + chains,
        action_mask=mask,
        sampler_logprobs=torch.zeros(rows, width - 1),
        rewards=torch.tensor([1.0, 0.1, 0.0])[torch.randint(0, 3, (rows,), generator=generator)],
        finished=torch.ones(rows, dtype=torch.bool),
        groups=torch.arange(rows),
        demonstrated=torch.zeros(rows, dtype=torch.bool),
    )
    old = Outputs(-random().abs() * mask, random() * mask, random().abs() * mask, random()[:, 0])
    policy = FixedPolicy(old, (old.logprobs + 0.3 * random()) * mask)
    moved = [(tensor + 0.3 * random()).requires_grad_() for tensor in (old.logprobs, old.values)]
    new = Outputs(*moved, random(), old.final_values)
    return batch, policy, new


def paper_loss(
    batch: Batch, policy: FixedPolicy, new: Outputs, beta: float, gamma: float, lam: float, vf: float
) -> torch.Tensor:
    """The loss of one pass over a batch, row by row and token by token, as the paper's code computes it."""
    per_row, rows = [], []
    for row in range(len(batch)):
        states = batch.action_mask[row].nonzero().squeeze(1).tolist()
        kl = [float(policy.outputs.logprobs[row, t] - policy.reference_logprobs[row, t]) for t in states]
        reward = [-beta * value for value in kl]
        reward[-1] += float(batch.rewards[row])
        value = [float(policy.outputs.values[row, t]) for t in states] + [0.0]
        advantages, following = [0.0] * len(states), 0.0
        for k in reversed(range(len(states))):
            following = reward[k] + gamma * value[k + 1] - value[k] + gamma * lam * following
            advantages[k] = following
        rows.append((states, advantages, [a + v for a, v in zip(advantages, value, strict=False)]))
    every = numpy.array([a for _, advantages, _ in rows for a in advantages])
    mean, std = every.mean(), numpy.sqrt(every.var(ddof=1) + 1e-8)
    for row, (states, advantages, returns) in enumerate(rows):
        policy_losses, value_losses = [], []
        for t, advantage, target in zip(states, advantages, returns, strict=True):
            white = (advantage - mean) / std
            ratio = torch.exp(new.logprobs[row, t] - policy.outputs.logprobs[row, t])
            policy_losses.append(torch.max(-white * ratio, -white * torch.clamp(ratio, 0.8, 1.2)))
            old_value = policy.outputs.values[row, t]
            near = torch.clamp(new.values[row, t], old_value - 0.2, old_value + 0.2)
            value_losses.append(torch.max((new.values[row, t] - target) ** 2, (near - target) ** 2))
        per_row.append(torch.stack(policy_losses).mean() + vf * 0.5 * torch.stack(value_losses).mean())
    return torch.stack(per_row).mean()


@pytest.mark.parametrize("seed", range(8))
def test_equals_the_paper_s_code(seed: int) -> None:
    batch, policy, new = random_case(seed)
    algorithm = ReFT(kl_coef=0.05, gamma=1.0, lam=0.95, vf_coef=5.0)
    experience, _ = algorithm.credit(batch, policy)
    loss = algorithm.loss(new, experience).total / experience.counts.sum()
    grads = torch.autograd.grad(loss, [new.logprobs, new.values])
    expected = paper_loss(batch, policy, new, 0.05, 1.0, 0.95, 5.0)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(grads, torch.autograd.grad(expected, [new.logprobs, new.values]), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("aggregation", ["token-mean", "seq-mean-token-mean"])
def test_sums_do_not_depend_on_how_rows_are_cut(aggregation: str) -> None:
    batch, policy, new = random_case(3)
    algorithm = ReFT(aggregation=aggregation)
    experience, _ = algorithm.credit(batch, policy)
    whole = algorithm.loss(new, experience)
    parts = []
    for rows in (torch.tensor([5, 0]), torch.tensor([3]), torch.tensor([1, 2, 4])):
        parts.append(algorithm.loss(Outputs(*(tensor[rows] for tensor in vars(new).values())), take(experience, rows)))
    torch.testing.assert_close(sum(part.total for part in parts), whole.total)
    for name in whole.sums:
        torch.testing.assert_close(sum(part.sums[name] for part in parts), whole.sums[name])


def test_gamma_and_lambda_one_without_kl_make_the_advantage_reward_less_value() -> None:
    batch, policy, _ = random_case(0)
    experience, _ = ReFT(kl_coef=0.0, lam=1.0).credit(batch, policy)
    mask = batch.action_mask
    torch.testing.assert_close(experience.returns[mask], batch.rewards[:, None].expand_as(mask)[mask])


def test_an_untouched_policy_has_ratio_one_and_nothing_clipped() -> None:
    batch, policy, _ = random_case(1)
    experience, _ = ReFT().credit(batch, policy)
    loss = ReFT().loss(policy.outputs, experience)
    assert loss.highest["policy/ratio_deviation"] == 0
    assert loss.sums["policy/clip_fraction"] == 0
    assert loss.sums["policy/ratio"] == batch.action_mask.sum()


def test_without_a_kl_coefficient_the_reference_is_not_asked() -> None:
    batch, policy, _ = random_case(2)
    policy.reference = None  # type: ignore[assignment]
    _, metrics = ReFT(kl_coef=0.0).credit(batch, policy)
    assert "kl/reference" not in metrics, "what is not measured is not said to be 0"


def test_select_drops_what_has_no_reward() -> None:
    from tests.reft.test_batch import sample

    assert len(ReFT().select([sample([1], [2]), sample([1], [2], None), sample([1], [2], 0.0)])) == 2


@pytest.mark.parametrize(
    "wrong", [{"lam": 1.1}, {"gamma": -0.1}, {"clip": 0.0}, {"kl_coef": -1.0}, {"epochs": 0}, {"vf_coef": float("nan")}]
)
def test_out_of_range(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ReFT(**wrong).validate()
