"""Estimators of the divergence from the start: values and gradients by enumeration over five tokens."""

import pytest
import torch

from reft.algorithms import ops

POLICY = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05])
START = torch.tensor([0.2, 0.3, 0.25, 0.15, 0.1])


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_divergence_by_enumeration(estimator: ops.KLEstimator) -> None:
    """Over a vocabulary of five, the estimates' mean is the divergence."""
    exact = float((POLICY * (POLICY / START).log()).sum())
    estimates = ops.kl(POLICY.log(), START.log(), estimator)
    assert float((POLICY * estimates).sum()) == pytest.approx(exact, rel=1e-6)
    if estimator == "k3":
        assert (estimates >= 0).all()


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_gradients_of_divergences_by_enumeration(estimator: ops.KLEstimator) -> None:
    """Differentiated through the log-prob alone, as a loss is, k1's mean gradient is zero, k2's that of KL(π‖π_ref), and k3's
    that of KL(π_ref‖π)."""
    logits = POLICY.log().clone().requires_grad_()
    logprobs = logits.log_softmax(0)
    meant = {
        "k1": (logprobs * 0).sum(),
        "k2": (logprobs.exp() * (logprobs - START.log())).sum(),
        "k3": (START * (START.log() - logprobs)).sum(),
    }
    (exact,) = torch.autograd.grad(meant[estimator], logits, retain_graph=True)
    (found,) = torch.autograd.grad((POLICY * ops.kl(logprobs, START.log(), estimator)).sum(), logits)
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-6)


def test_k3_is_bounded() -> None:
    far = torch.tensor([-30.0, -3.0])
    assert ops.kl(far, torch.zeros(2), "k3").tolist() == [ops.K3_BOUND, ops.K3_BOUND]
    assert ops.kl(-far, torch.zeros(2), "k1").tolist() == [ops.LOG_RATIO_BOUND, 3.0]
