"""What an update is: minibatches and micro-batches, when it ends, and the metrics that it gives."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from reft.algorithms import Outputs
from reft.algorithms.dapo import DAPO
from reft.algorithms.dr_grpo import DrGRPO
from reft.algorithms.ppo import PPO
from reft.algorithms.reinforce_pp import ReinforcePP
from reft.algorithms.rloo import RLOO
from reft.batch import take
from reft.learner.driver import Learner, LocalGang
from reft.learner.plan import Minibatch
from reft.learner.rank import Rank, StepRecord
from tests.reft.learners import ALGORITHM, learner_of, relative_error, sample_batch, settings, shape


def test_each_minibatch_is_divided_by_its_own_count(tiny_model) -> None:
    learner = learner_of(tiny_model, critic_warmup=0)
    rank = learner.gang.rank
    experience, _ = ALGORITHM.credit(sample_batch(tiny_model, 0), learner)
    rows = torch.arange(8)  # the first of two minibatches
    part = take(experience, rows)
    loss = ALGORITHM.loss(Outputs(*rank.model(part.batch.tokens, part.batch.lengths)), part).total / 8  # a sequence counts 1
    expected = torch.autograd.grad(loss, list(rank.model.parameters()))
    found: list[list[torch.Tensor]] = []
    step = rank.optimization.step

    def watched(factor: float, critic_only: bool) -> float:
        found.append([parameter.grad.clone() for parameter in rank.model.parameters()])
        return step(factor, critic_only)

    rank.optimization.step = watched
    learner.update(experience)
    for mine, theirs in zip(found[0], expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


OTHERS = {
    "ppo": PPO(minibatches=2, stop_kl=None), "dapo": DAPO(minibatches=2, filter_groups="never"),
    "dr_grpo": DrGRPO(minibatches=2, longest=9, kl_coef=0.1), "rloo": RLOO(minibatches=2),
    "reinforce_pp": ReinforcePP(minibatches=2),
}  # fmt: skip


def two_updates(algorithm: Any, model: Path, micro_batch: int) -> dict[str, torch.Tensor]:
    """The weights behind them, in one process."""
    plain = replace(settings(model, deepspeed=False), algorithm=algorithm)
    at = shape(epochs=1, micro_batch=micro_batch, critic_warmup=0)
    learner = Learner(LocalGang(partial(Rank, settings=plain)), at)
    for update in range(2):
        batch = sample_batch(model, update)
        learner.update(algorithm.credit(batch, learner)[0])
    return {name: value.clone() for name, value in learner.gang.rank.model.state_dict().items()}


@pytest.mark.parametrize("algorithm", OTHERS.values(), ids=OTHERS)
def test_micro_batches_change_no_algorithm(tiny_model, algorithm) -> None:
    whole, cut = (two_updates(algorithm, tiny_model, micro_batch) for micro_batch in (15, 2))
    start = Rank(0, 1, settings(tiny_model, deepspeed=False)).model.state_dict()
    assert relative_error(whole, start) > 1e-4, "something was learnt"
    moved = {name: whole[name] - start[name] for name in whole}
    assert relative_error({name: cut[name] - start[name] for name in whole}, moved) < 1e-3


def test_an_update_ends_early_where_the_policy_has_moved_too_far(tiny_model) -> None:
    def steps(stop_kl: float | None) -> float:
        learner = learner_of(tiny_model, critic_warmup=0, stop_kl=stop_kl)
        experience, _ = ALGORITHM.credit(sample_batch(tiny_model, 0), learner)
        return learner.update(experience)["optimizer/steps"]

    assert steps(None) == steps(1e9) == 4
    # The first minibatch comes before any move, so its divergence is exactly zero; the second's is not.
    assert steps(1e-12) == 2
    # A token's, not a batch's: at twice the mean of the whole update none of its steps is the last before its time.
    learner = learner_of(tiny_model, critic_warmup=0)
    mean = learner.update(ALGORITHM.credit(sample_batch(tiny_model, 0), learner)[0])["kl/update"]
    assert steps(4 * mean) == 4


def watch_steps(learner: Learner) -> list[tuple[Minibatch, StepRecord]]:
    """The optimizer steps that the learner will make: what each was given and what it gave."""
    steps: list[tuple[Minibatch, StepRecord]] = []
    call = learner.gang.call

    def watched(method: str, *arguments: Any) -> list[Any]:
        answers = call(method, *arguments)
        if method == "step":
            steps.append((arguments[0], answers[0]))
        return answers

    learner.gang.call = watched
    return steps


def test_each_pass_deals_its_minibatches_anew(tiny_model) -> None:
    learner = Learner(
        LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape(critic_warmup=0, epochs=3)
    )
    steps = watch_steps(learner)
    for update in range(2):
        learner.update(ALGORITHM.credit(sample_batch(tiny_model, update), learner)[0])
    seen = [sorted(minibatch.rows.tolist()) for minibatch, _ in steps]
    halves = [seen[at : at + 2] for at in range(0, 12, 2)]
    assert all(sorted(first + second) == list(range(15)) for first, second in halves)
    assert halves[0][0] == list(range(8)), "the first pass takes them as they come"
    assert len({tuple(first) for first, _ in halves}) == 5, "the others shuffle, each update its own way"


def test_metrics_are_means_over_the_tokens_of_all_steps(tiny_model) -> None:
    learner = learner_of(tiny_model, critic_warmup=0)
    steps = watch_steps(learner)
    experience, _ = ALGORITHM.credit(sample_batch(tiny_model, 0), learner)
    metrics = learner.update(experience)
    records = [record for _, record in steps]
    tokens = sum(record.actions for record in records)
    assert tokens == 2 * int(experience.batch.action_mask.sum()), "two passes"
    assert metrics["policy/ratio"] == pytest.approx(sum(record.sums["policy/ratio"] for record in records) / tokens)
    assert metrics["policy/ratio"] == pytest.approx(1, abs=0.1)
