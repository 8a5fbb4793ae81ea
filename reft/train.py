"""The loop of reinforcement: sample, select, credit, update, publish; evaluate, log, save."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol, TypeVar

import torch

from reft.algorithms import Algorithm
from reft.batch import collate
from reft.config import SamplingConfig, TrainConfig
from reft.errors import RunError
from reft.growth import growth
from reft.learner.driver import Learner
from reft.rollouts import sampling_params
from reft.tasks import Task
from rollout.pool import Pool
from rollout.types import Problem, Sample, SamplingParams
from rollout.work import work_of_sampling, work_of_text
from rollout.worker import derive_seed

T = TypeVar("T")

SAMPLER_GAP = 0.01
"""How far sampler and learner may differ in a token's probability, on average, where `train.sampler_gap` says nothing."""
FLOAT32_GAP = 1e-3
"""How far, there, its log-prob may differ in float32, in nats."""


class Stream:
    """Problems for each step: shuffled passes over a list, a pure function of seed and step, so resuming needs no cursor.

    Args:
        problems: the training split.
        size: problems a step.
        seed: of the shuffling.
        demonstrations: by problems' ids, what a step imitates besides; none where the algorithm does not.
    """

    def __init__(
        self, problems: Sequence[Problem], size: int, seed: int, demonstrations: Mapping[str, Sample] | None = None
    ) -> None:
        self.problems, self.size, self.seed = problems, size, seed
        self.demonstrations = demonstrations or {}

    def batch(self, step: int, attempt: int = 0) -> list[Problem]:
        """The `size` problems of a step; a step may span two passes. Further attempts at it follow orders of their own."""
        places = range(step * self.size, (step + 1) * self.size)
        numbers = {place // len(self.problems) for place in places}
        orders = {number: self._order(number, attempt) for number in numbers}
        return [self.problems[orders[place // len(self.problems)][place % len(self.problems)]] for place in places]

    def _order(self, number: int, attempt: int) -> list[int]:
        key = ("pass", number) if attempt == 0 else ("pass", number, attempt)
        generator = torch.Generator().manual_seed(derive_seed(self.seed, *key))
        return torch.randperm(len(self.problems), generator=generator).tolist()


class Journal(Protocol):
    """What the loop tells its surroundings, and what it asks them."""

    def steps(self, steps: int) -> Iterator[int]:
        """The steps still to do, behind the last checkpoint; ends early when somebody asks for it."""
        ...

    def timed(self, name: str) -> AbstractContextManager[None]:
        """Time a part of the step."""
        ...

    def attempt(self, step: int, work: Callable[[], T]) -> T | None:
        """Do work behind `step` steps that can be done again; None if it was ended since the program must end soon."""
        ...

    def record(self, step: int, metrics: Mapping[str, float], samples: Sequence[Sample]) -> None:
        """Note what happened in a step, with the parts' times."""
        ...

    def evaluate(self, step: int, pool: Pool) -> Mapping[str, float]:
        """Metrics on the dev split, if they are due behind `step` steps."""
        ...

    def save(self, step: int, learner: Learner) -> None:
        """Write a checkpoint, if it is due behind `step` steps and not there yet."""
        ...


def train(
    problems: Stream,
    task: Task,
    algorithm: Algorithm,
    learner: Learner,
    pool: Pool,
    journal: Journal,
    settings: TrainConfig,
    sampling: SamplingConfig,
    seed: int,
) -> None:
    """Reinforce the learner's policy, which stands at the last checkpoint, until the journal says that it is enough."""
    params = sampling_params(sampling)
    for step in journal.steps(settings.steps):
        step_seed = derive_seed(seed, "train", step)
        with journal.timed("sample"):
            pool.drain_usage()  # an evaluation's
            drawn = journal.attempt(step, partial(draw, problems, algorithm, pool, params, settings, step_seed, step))
        if drawn is None:
            journal.save(step, learner)
            return
        samples, kept = drawn
        metrics = {**summarise(samples, kept, task), **pool.drain_usage()}
        if kept:
            with journal.timed("credit"):
                experience, credit = algorithm.credit(collate(kept, pad=0), learner)
                check_sampler(credit, settings.sampler_gap, learner.shape.dtype)
            with journal.timed("update"):
                metrics |= credit | learner.update(experience)
            with journal.timed("publish"):
                pool.publish(learner.weights(), version=step + 1)
        metrics |= {**journal.evaluate(step + 1, pool), **pool.drain_faults()}
        journal.record(step + 1, metrics, samples)
        journal.save(step + 1, learner)


def draw(
    problems: Stream,
    algorithm: Algorithm,
    pool: Pool,
    params: SamplingParams,
    settings: TrainConfig,
    seed: int,
    step: int,
) -> tuple[list[Sample], list[Sample]]:
    """Everything that was sampled for a step, and what is learnt from: samples of `prompts` problems at most, drawn in as many
    rounds as it takes to have them, or are allowed; and the demonstrations of all that were asked, if they are imitated."""
    samples: list[Sample] = []
    kept: list[Sample] = []
    for attempt in range(settings.rounds):
        shard_seed = seed if attempt == 0 else derive_seed(seed, "attempt", attempt)
        known = {sample.problem.id for sample in samples}  # a group is drawn once, or it would be drawn until it pleases
        batch = [problem for problem in problems.batch(step, attempt) if problem.id not in known]
        drawn = pool.sample(batch, settings.samples_per_prompt, params, shard_seed)
        samples += drawn
        kept += algorithm.select(drawn)
        if len({sample.problem.id for sample in kept}) >= settings.prompts:
            break
    wanted = list(dict.fromkeys(sample.problem.id for sample in kept))[: settings.prompts]
    asked = {sample.problem.id: None for sample in samples}
    shown = [problems.demonstrations[name] for name in asked if name in problems.demonstrations]
    return samples, [*(sample for sample in kept if sample.problem.id in wanted), *shown]


def check_sampler(metrics: Mapping[str, float], limit: float | None, dtype: str) -> None:
    """Stop where the sampler gave its tokens other probabilities than the policy that should have drawn them.

    Args:
        metrics: `sampler/...` of the step; where there are none, there was nothing to compare.
        limit: `train.sampler_gap`.
        dtype: of both models.

    Raises:
        RunError: with the difference.
    """
    limits = {"probability": SAMPLER_GAP if limit is None else limit}
    if limit is None and dtype == "float32":
        limits["logprob"] = FLOAT32_GAP
    for what, most in limits.items():
        gap = metrics.get(f"sampler/{what}_gap_mean", 0.0)
        if not gap <= most:
            raise RunError(
                f"sampler and learner differ by {gap:.2g} on average in the {what} of the same tokens, more than {most:g}: "
                "they hold different policies, or one that is not causal; train.sampler_gap allows more"
            )


def summarise(samples: Sequence[Sample], kept: Sequence[Sample], task: Task) -> dict[str, float]:
    """Metrics of a step's samples, before anything is learnt from them."""
    count = len(samples)
    rewards = torch.tensor([sample.reward for sample in samples if sample.reward is not None] or [0.0])
    sampled = sum(len(sample.completion.tokens) for sample in samples)
    lengths = torch.tensor([float(len(sample.completion.chain_tokens)) for sample in samples])
    outcomes = [sample.verdict.outcome for sample in samples]
    sampling = work_of_sampling(sample.completion for sample in samples)
    learning = sum((work_of_text(_row_tokens(sample)) for sample in kept), work_of_text(0))
    metrics: dict[str, Any] = {
        "reward/mean": float(rewards.mean()),
        "reward/std": float(rewards.std(correction=0)),
        "answer/correct": outcomes.count("equal") / count,
        "answer/wrong": outcomes.count("different") / count,
        "answer/none": outcomes.count("no_answer") / count,
        "answer/undecided": outcomes.count("undecided") / count,
        "samples/count": float(count),
        "samples/kept": float(len(kept)),
        "samples/tokens": float(sampled),
        "samples/prompt_tokens": float(sum(len(sample.completion.prompt_tokens) for sample in samples)),
        "samples/computed_tokens": float(sampling.tokens),
        "samples/computed_pairs": float(sampling.pairs),
        "samples/learnt_tokens": float(learning.tokens),
        "samples/learnt_pairs": float(learning.pairs),
        "chain/tokens_mean": float(lengths.mean()),
        "chain/tokens_max": float(lengths.max()),
        **growth(samples, "chain"),
        "chain/truncated": sum(sample.completion.finish == "length" for sample in samples) / count,
    }
    for name in samples[0].rewards:
        values = [value for sample in samples if (value := sample.rewards[name]) is not None]
        metrics[f"reward/{name}"] = sum(values) / len(values) if values else 0.0
    traces = [trace for sample in samples if (trace := task.trace(sample.problem, sample.completion.chain)) is not None]
    if traces:
        metrics["chain/tries"] = sum(trace.tries for trace in traces) / len(traces)
        metrics["chain/repeated_tries"] = sum(trace.repeated_tries for trace in traces) / len(traces)
        metrics["chain/valid"] = sum(trace.valid for trace in traces) / len(traces)
    whole = [sample.verdict.correct for sample in samples if not sample.problem.prefix]
    if len(whole) < count:
        metrics["curriculum/given"] = 1 - len(whole) / count
        if whole:
            metrics["curriculum/whole_correct"] = sum(whole) / len(whole)
    return metrics


def _row_tokens(sample: Sample) -> int:
    """Tokens of a prompt and its chain."""
    return len(sample.completion.prompt_tokens) + len(sample.completion.tokens)
