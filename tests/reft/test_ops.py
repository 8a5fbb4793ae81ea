"""The mathematics of PPO in closed form."""

import pytest
import torch

from reft.algorithms.ops import (
    aggregate,
    at_last_action,
    clipped_surrogate,
    clipped_value_loss,
    explained_variance,
    gae,
    length_adaptive_lambda,
    log_ratio,
    masked_sum,
    steered,
    whiten,
)

REWARDS = torch.tensor([[0.0, 0.0, 1.0]])
VALUES = torch.tensor([[0.5, 0.25, 0.75]])
ALL = torch.ones(1, 3, dtype=torch.bool)


def test_gae_lambda_one_is_return_less_value() -> None:
    torch.testing.assert_close(gae(REWARDS, VALUES, ALL, 1.0, 1.0), torch.tensor([[0.5, 0.75, 0.25]]))


def test_gae_lambda_zero_is_the_one_step_error() -> None:
    torch.testing.assert_close(gae(REWARDS, VALUES, ALL, 1.0, 0.0), torch.tensor([[-0.25, 0.5, 0.25]]))


def test_gae_in_between_by_hand() -> None:
    # deltas at gamma 0.9: 0.225 - 0.5, 0.675 - 0.25, 1 - 0.75; decay 0.9 * 0.5
    last = 0.25
    middle = 0.425 + 0.45 * last
    first = -0.275 + 0.45 * middle
    torch.testing.assert_close(gae(REWARDS, VALUES, ALL, 0.9, 0.5), torch.tensor([[first, middle, last]]))


def test_gae_jumps_over_gaps_and_ends_with_the_chain() -> None:
    mask = torch.tensor([[False, True, False, True, True, False]])
    rewards = torch.tensor([[9.0, 0.0, 9.0, 0.0, 1.0, 9.0]])
    values = torch.tensor([[9.0, 0.5, 9.0, 0.25, 0.75, 9.0]])
    expected = torch.zeros(1, 6)
    expected[mask] = gae(REWARDS, VALUES, ALL, 0.9, 0.5)[0]
    torch.testing.assert_close(gae(rewards, values, mask, 0.9, 0.5), expected)


def test_gae_is_the_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(2, 7, generator=generator), torch.randn(2, 7, generator=generator)
    gamma, lam = 0.97, 0.8
    padded = torch.cat([values, torch.zeros(2, 1)], 1)
    deltas = rewards + gamma * padded[:, 1:] - values
    slow = torch.stack([sum((gamma * lam) ** (k - t) * deltas[:, k] for k in range(t, 7)) for t in range(7)], 1)
    torch.testing.assert_close(gae(rewards, values, torch.ones(2, 7, dtype=torch.bool), gamma, lam), slow)


def test_gae_goes_on_from_a_final_value() -> None:
    """A cut chain, by hand: the last delta has the discounted final value in it. Padding behind the chain is jumped over."""
    mask = torch.tensor([[True, True, True, False]])
    rewards, values = torch.tensor([[0.0, 0.0, 1.0, 9.0]]), torch.tensor([[0.5, 0.25, 0.75, 9.0]])
    last = 1.0 + 0.9 * 2.0 - 0.75
    middle = 0.425 + 0.45 * last
    expected = torch.tensor([[-0.275 + 0.45 * middle, middle, last, 0.0]])
    torch.testing.assert_close(gae(rewards, values, mask, 0.9, 0.5, torch.tensor([2.0])), expected)


def test_gae_with_a_lambda_for_each_row() -> None:
    generator = torch.Generator().manual_seed(1)
    rewards, values = torch.randn(2, 7, generator=generator), torch.randn(2, 7, generator=generator)
    mask = torch.ones(2, 7, dtype=torch.bool)
    both = gae(rewards, values, mask, 0.97, torch.tensor([0.3, 0.8]))
    torch.testing.assert_close(both[0], gae(rewards, values, mask, 0.97, 0.3)[0])
    torch.testing.assert_close(both[1], gae(rewards, values, mask, 0.97, 0.8)[1])


def test_length_adaptive_lambda_by_hand() -> None:
    torch.testing.assert_close(length_adaptive_lambda(torch.tensor([0, 10, 20, 100])), torch.tensor([0.0, 0.0, 0.0, 0.8]))


def test_steering_by_hand() -> None:
    assert steered(0.1, 5.0, 5.0, 0.5) == pytest.approx(0.1)
    assert steered(0.1, 5.5, 5.0, 0.5) == pytest.approx(0.105)  # a tenth above the target, over half the horizon
    assert steered(0.1, 500.0, 5.0, 0.5) == pytest.approx(0.11)  # a fifth at most
    assert steered(0.1, -5.0, 5.0, 1.0) == pytest.approx(0.08)


def test_reward_stands_in_the_state_of_the_last_action() -> None:
    mask = torch.tensor([[False, True, True, False], [True, False, False, False], [False] * 4])
    placed = at_last_action(torch.tensor([1.0, 2.0, 3.0]), mask)
    assert placed.tolist() == [[0, 0, 1, 0], [2, 0, 0, 0], [0, 0, 0, 0]]


def test_whiten_by_hand() -> None:
    mask = torch.tensor([[True, True, False], [True, False, False]])
    values = torch.tensor([[1.0, 2.0, 100.0], [3.0, float("nan"), 0.0]])
    values[1, 1] = 7.0
    white = whiten(values, mask)
    torch.testing.assert_close(white, torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))  # unbiased variance is 1


def test_whiten_one_action_gives_no_signal_and_no_nan() -> None:
    assert whiten(torch.tensor([[5.0, 1.0]]), torch.tensor([[True, False]])).tolist() == [[0.0, 0.0]]
    assert whiten(torch.tensor([[5.0, 5.0]]), torch.tensor([[True, True]])).tolist() == [[0.0, 0.0]], "all alike"


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        (1.0, 1.0, -1.0, -1.0),
        (1.3, 1.0, -1.2, 0.0),  # good action, already more likely: clipped
        (0.7, 1.0, -0.7, -1.0),  # good action, became less likely: pushed back
        (1.3, -1.0, 1.3, 1.0),  # bad action, became more likely: pushed back
        (0.7, -1.0, 0.8, 0.0),  # bad action, already less likely: clipped
        (1.0, -2.0, 2.0, 2.0),
        (1.3, 0.0, 0.0, 0.0),
    ],
)
def test_clip_table(ratio: float, advantage: float, loss: float, gradient: float) -> None:
    r = torch.tensor(ratio, requires_grad=True)
    value = clipped_surrogate(r, torch.tensor(advantage), 0.2)
    value.backward()
    torch.testing.assert_close(value.detach(), torch.tensor(loss))
    torch.testing.assert_close(r.grad, torch.tensor(gradient))


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        (2.0, -1.0, 2.0, 1.0),  # bad, more likely, below the bound: as ever
        (4.0, -1.0, 3.0, 0.0),  # beyond it: no more than that
        (0.5, -1.0, 0.8, 0.0),
        (4.0, 1.0, -1.2, 0.0),  # good actions do not know the bound
    ],
)
def test_dual_clip_table(ratio: float, advantage: float, loss: float, gradient: float) -> None:
    r = torch.tensor(ratio, requires_grad=True)
    value = clipped_surrogate(r, torch.tensor(advantage), 0.2, dual_clip=3.0)
    value.backward()
    torch.testing.assert_close(value.detach(), torch.tensor(loss))
    torch.testing.assert_close(r.grad, torch.tensor(gradient))


@pytest.mark.parametrize(
    ("value", "old", "target", "loss", "gradient"),
    [
        (0.5, 0.5, 1.0, 0.125, -0.5),
        (0.8, 0.5, 1.0, 0.5 * 0.3**2, 0.0),  # moved 0.3 toward the target: held at 0.7
        (0.2, 0.5, 1.0, 0.5 * 0.8**2, -0.8),  # moved away: the worse of both counts
        (0.6, 0.5, 1.0, 0.5 * 0.4**2, -0.4),
    ],
)
def test_value_clip_table(value: float, old: float, target: float, loss: float, gradient: float) -> None:
    v = torch.tensor(value, requires_grad=True)
    result = clipped_value_loss(v, torch.tensor(old), torch.tensor(target), 0.2)
    result.backward()
    torch.testing.assert_close(result.detach(), torch.tensor(loss))
    torch.testing.assert_close(v.grad, torch.tensor(gradient))


def test_aggregations_by_hand() -> None:
    mask = torch.tensor([[True, True, True], [True, False, False], [False, False, False]])
    losses = torch.tensor([[1.0, 2.0, 3.0], [10.0, 99.0, 99.0], [99.0, 99.0, 99.0]])
    means = (
        ("token-mean", (1 + 2 + 3 + 10) / 4),
        ("seq-mean-token-mean", (2 + 10) / 2),
        ("seq-mean-token-sum-norm", (6 / 8 + 10 / 8) / 2),
    )
    for name, expected in means:
        weights, counts = aggregate(mask, name, longest=8)
        assert torch.isfinite(weights).all()
        assert counts[2] == 0, "a row without actions is none"
        torch.testing.assert_close(masked_sum(losses * weights, mask) / counts.sum(), torch.tensor(expected))


def test_log_ratio_is_bounded() -> None:
    apart = log_ratio(torch.tensor([-1e4, -15.0, 0.0, 15.0, 1e4]), torch.zeros(5))
    assert apart.tolist() == [-20.0, -15.0, 0.0, 15.0, 20.0]
    assert torch.isfinite(apart.exp()).all()


def test_masked_sum_ignores_nan_outside() -> None:
    assert masked_sum(torch.tensor([1.0, float("nan")]), torch.tensor([True, False])) == 1


def test_explained_variance() -> None:
    mask = torch.ones(1, 4, dtype=torch.bool)
    returns = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert explained_variance(returns, returns, mask) == 1
    assert explained_variance(torch.full((1, 4), 2.5), returns, mask) == pytest.approx(0)
    assert explained_variance(returns, torch.ones(1, 4), mask) == 0
