"""Chains behind a given prefix: what is given is no action, and what is made of it is judged as a whole."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reft.algorithms import Outputs, Policy
from reft.algorithms.grpo import GRPO
from reft.algorithms.ppo import PPO
from reft.algorithms.reft import ReFT
from reft.batch import Batch, collate
from reft.config import CurriculumConfig, TrainConfig
from reft.curriculum import Curriculum
from reft.evaluate import report
from reft.run import row
from reft.selection import keep
from reft.tasks.signed_sum import SignedSum
from reft.train import draw, summarise
from rewards.equal import Checker
from rewards.scorer import Scorer
from rewards.terms import load_term
from rollout.engines.hf import HFEngineFactory
from rollout.pool import LocalPool
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import Worker

PROMPT, PREFIX = "a 5 b 3 c 4 > 4 ?", "b - 3 2 c + 4 6 x"
PLAIN = Problem("plain", f"{PROMPT} {PREFIX}", "4", {"digits": (5, 3, 4)})
GIVEN = Problem("given", PROMPT, "4", {"digits": (5, 3, 4)}, PREFIX)


@pytest.fixture(scope="module")
def pool(tiny_model: Path) -> LocalPool:
    scorer = Scorer([load_term("correct", "correct", 1.0, {})], Checker())
    return LocalPool(Worker(HFEngineFactory(str(tiny_model))(), scorer, SignedSum().read))


@pytest.fixture(scope="module")
def batches(pool: LocalPool) -> tuple[Batch, Batch]:
    """The same rows with a prefix, and as prompts that end in it, with made-up rewards."""
    given, plain = (
        pool.sample([problem], 6, SamplingParams(1.0, longest), 3) for problem, longest in ((GIVEN, 18), (PLAIN, 9))
    )
    rewards = [1.0, 0.0, 0.3, 0.0, 1.0, 0.6]
    left, right = (
        collate([replace(sample, reward=reward) for sample, reward in zip(samples, rewards, strict=True)], pad=0)
        for samples in (given, plain)
    )
    return left, right


class Table:
    """A policy whose logits are given for each place of a batch; its start has others."""

    def __init__(self, batch: Batch, seed: int = 0) -> None:
        self.memory: dict[str, float] = {}
        generator = torch.Generator().manual_seed(seed)
        self.logits = torch.randn(*batch.action_mask.shape, 80, generator=generator, requires_grad=True)
        self.values = torch.randn(batch.action_mask.shape, generator=generator, requires_grad=True)
        self.start = self.logits.detach() + torch.randn(*batch.action_mask.shape, 80, generator=generator)

    def forward(self, batch: Batch) -> Outputs:
        with torch.no_grad():
            return self.outputs(batch)

    def outputs(self, batch: Batch) -> Outputs:
        every = self.logits.log_softmax(-1)
        return Outputs(_taken(every, batch), self.values * 1, -(every.exp() * every).sum(-1), torch.zeros(len(batch)))

    def reference(self, batch: Batch) -> Tensor:
        return _taken(self.start.log_softmax(-1), batch)


def _taken(every: Tensor, batch: Batch) -> Tensor:
    return every.gather(-1, batch.tokens[:, 1:, None]).squeeze(-1)


ALGORITHMS = [
    ReFT(kl_coef=0.1),
    PPO(kl_coef=0.1),
    GRPO(kl_coef=0.1),
]


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda algorithm: type(algorithm).__name__)
def test_a_prefix_is_learnt_from_as_the_end_of_a_prompt_is(algorithm: Any, batches: tuple[Batch, Batch]) -> None:
    """Masks, divergence and advantages of both are the same, and so is what is learnt from them."""
    given, plain = batches
    for name in ("tokens", "action_mask", "sampler_logprobs", "lengths"):
        torch.testing.assert_close(getattr(given, name), getattr(plain, name))
    policy: Policy = Table(given)
    (left, first), (right, second) = algorithm.credit(given, policy), algorithm.credit(plain, policy)
    torch.testing.assert_close(left.advantages, right.advantages)
    assert first == second


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda algorithm: type(algorithm).__name__)
def test_nothing_is_learnt_where_a_prefix_stands(algorithm: Any, batches: tuple[Batch, Batch]) -> None:
    given, _ = batches
    prefix = len(PREFIX.split())
    begins = len(PROMPT.split()) + prefix - 1
    assert not given.action_mask[:, :begins].any()
    assert given.action_mask[:, begins].all()
    table = Table(given)
    experience, _ = algorithm.credit(given, table)
    assert not experience.advantages[:, :begins].any()
    with torch.no_grad():
        table.logits += 0.1 * torch.randn(table.logits.shape, generator=torch.Generator().manual_seed(1))
    algorithm.loss(table.outputs(given), experience).total.backward()
    gradients = [table.logits.grad]
    if algorithm is not ALGORITHMS[2]:
        gradients.append(table.values.grad)
    for gradient in gradients:
        assert gradient is not None
        assert not gradient[:, :begins].any()
        assert gradient[:, begins].any()


def test_the_reward_of_a_prefixed_chain_is_that_of_the_whole(pool: LocalPool) -> None:
    """A prefix that says it all: the chain is right by it where nothing but the end is sampled."""
    told = replace(GIVEN, prefix="b + 3 8 c - 4 4 ok")
    samples = pool.sample([told], 600, SamplingParams(1.0, 10), 0)
    ended = [sample for sample in samples if sample.completion.finish == "stop"]
    assert 0 < len(ended) < 600
    for sample in samples:
        assert row(sample)["prefix"] == told.prefix
        assert row(sample)["chain"] == told.prefix + sample.completion.text
        assert row(sample)["tokens"] == 1
        if sample in ended:
            assert (sample.extracted, sample.verdict.correct, sample.reward) == ("5 + 3 - 4", True, 1.0)
        elif sample.completion.text.strip():
            assert not sample.verdict.correct, "a word behind the verdict is no try"


def test_metrics_tell_whole_problems_from_those_that_start_ahead(pool: LocalPool) -> None:
    task = SignedSum()
    nearly = replace(GIVEN, id="nearly", prefix="b + 3 8 c - 4 4")
    samples = pool.sample([nearly, PLAIN, replace(PLAIN, id="other")], 1, SamplingParams(1.0, 10), 0)
    right = [replace(sample, verdict=Checker().check("4", "4" if at < 2 else "5")) for at, sample in enumerate(samples)]
    metrics = summarise(right, right, task)
    assert metrics["answer/correct"] == pytest.approx(2 / 3)
    assert metrics["curriculum/given"] == pytest.approx(1 / 3)
    assert metrics["curriculum/whole_correct"] == 0.5
    assert metrics["samples/tokens"] == sum(len(sample.completion.tokens) for sample in samples)
    assert metrics["chain/tokens_mean"] == pytest.approx((metrics["samples/tokens"] + 8) / 3)
    assert not {name for name in summarise(samples[1:], samples[1:], task) if name.startswith("curriculum/")}
    assert "curriculum/whole_correct" not in summarise(samples[:1], samples[:1], task)


def test_chains_are_looked_at_as_a_whole(pool: LocalPool) -> None:
    """A try that was given counts among the tries, and chains that differ in what was given are different."""
    other = replace(GIVEN, prefix="b - 3 2 c - 4 -2 x")
    samples: list[Sample] = pool.sample([GIVEN, other], 1, SamplingParams(1.0, 10), 0)
    ended = [
        replace(sample, completion=replace(sample.completion, text="", finish="stop"), verdict=Checker().check("4", "4"))
        for sample in samples
    ]
    assert summarise(ended, ended, SignedSum())["chain/tries"] == 1
    assert report(ended, SignedSum()).tries_per_chain == 1
    assert len(keep(ended, "text", None)) == 2
    equations = [
        replace(sample, completion=replace(sample.completion, prefix=prefix))
        for sample, prefix in zip(ended, ("5-3=2", "so 5-3=2"), strict=True)
    ]
    assert len(keep(equations, "equations", None)) == 1
    equations[0] = replace(ended[0], completion=replace(ended[0].completion, prefix="5+3=8"))
    assert len(keep(equations, "equations", None)) == 2


def test_the_loop_draws_groups_behind_one_prefix(pool: LocalPool) -> None:
    prompts = SignedSum().splits().train[:6]
    chains = {problem.id: [PREFIX] for problem in prompts}
    stream = Curriculum(prompts, chains, 4, CurriculumConfig(3), 0)
    settings = TrainConfig(prompts=4, samples_per_prompt=3)
    samples, kept = draw(stream, GRPO(), pool, SamplingParams(1.0, 20), settings, 5, 2)
    groups: dict[str, set[str]] = {}
    for sample in kept:
        groups.setdefault(sample.problem.id, set()).add(sample.completion.prefix)
    assert {len(prefixes) for prefixes in groups.values()} == {1}
    assert len(samples) == 12
    assert {sample.problem.prefix for sample in samples} - {""}
    assert all(sample.completion.prefix == sample.problem.prefix for sample in samples)
