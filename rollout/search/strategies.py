"""Test-time compute: ways to spend many tokens on a problem and come back with one answer, over any pool and checkpoint."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rewards.equal import Checker
from rollout.pool import Pool
from rollout.search.forcing import Form, force
from rollout.search.vote import best, has_answer, majority, weighted_majority
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import derive_seed

Scorer = Callable[[Sequence[Sample]], Sequence[float]]
"""How good samples are, the higher the better; for a weighted vote at least 0."""
REVISION = "{prompt}{chain}\nThis may be wrong. Look at it again, and answer anew.\n"
"""The prompt of a revision: what was asked, and what was answered last."""
REQUEST = "{prompt}\nUse around {budget} tokens to think, and look at your answer again if you come to it early.\n"
"""The prompt that asks for so much thinking, of models that follow instructions; after the reconstruction of o1's curve by
hughbzhang (o1_inference_scaling_laws, o1.py)."""
Ask = Callable[[Problem, int], Problem]
"""The problem whose prompt asks for a budget."""


@dataclass(frozen=True)
class Found:
    """What a strategy has come to for one problem."""

    problem: Problem
    picked: Sample | None
    """Whose answer it is; None where no chain has one."""
    samples: Sequence[Sample]
    """Of all chains that it could pick from, in the order in which they were drawn."""
    tokens: int
    """Sampled in all, whatever became of them."""


class Strategy(Protocol):
    """A way to spend tokens."""

    def search(self, pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int) -> list[Found]:
        """One answer for each problem."""
        ...


def certainty(samples: Sequence[Sample]) -> list[float]:
    """Mean probability of a chain's tokens, geometrically: how sure the policy was, 0 to 1."""
    return [math.exp(float(sample.completion.logprobs.mean())) for sample in samples]


@dataclass(frozen=True)
class MajorityVote:
    """The answer that most of `n` chains give (self-consistency, Wang et al., arXiv 2203.11171), as `vote.majority` counts."""

    n: int
    checker: Checker

    def search(self, pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int) -> list[Found]:
        groups = _draw(pool, problems, self.n, params, seed)
        return [_found(problem, majority(group, self.checker), group) for problem, group in zip(problems, groups, strict=True)]


@dataclass(frozen=True)
class BestOf:
    """The best of `n` chains by a scorer; weighted, the answer whose chains have most of it together (Li et al., arXiv
    2206.02336)."""

    n: int
    checker: Checker
    scorer: Scorer = certainty
    weighted: bool = False

    def search(self, pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int) -> list[Found]:
        groups = _draw(pool, problems, self.n, params, seed)
        scores = self.scorer([sample for group in groups for sample in group])
        found = []
        for place, (problem, group) in enumerate(zip(problems, groups, strict=True)):
            own = scores[place * self.n : (place + 1) * self.n]
            picked = weighted_majority(group, own, self.checker) if self.weighted else best(group, own)
            found.append(_found(problem, picked, group))
        return found


@dataclass(frozen=True)
class BudgetForcing:
    """A chain that is ended behind `budget` attempts, and with `wait` not before, unless it is satisfied."""

    budget: int
    form: Form
    wait: bool = True

    def search(self, pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int) -> list[Found]:
        histories = force(pool, problems, params, seed, self.budget, self.form, self.wait)
        found = []
        for problem, history in zip(problems, histories, strict=True):
            last = history[-1]
            samples = list({id(forced.sample): forced.sample for forced in history}.values())  # one that is over stands again
            found.append(Found(problem, last.sample if has_answer(last.sample) else None, samples, last.tokens))
        return found


@dataclass(frozen=True)
class Revisions:
    """Chains one after the other, each shown the one before; the last that has an answer stands (Snell et al., arXiv
    2408.03314, section 6). For models that were taught to revise, or to follow instructions."""

    rounds: int
    template: str = REVISION

    def search(self, pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int) -> list[Found]:
        prompts = list(problems)
        groups: list[list[Sample]] = [[] for _ in problems]
        for number in range(self.rounds):
            drawn = pool.sample(prompts, 1, params, derive_seed(seed, "revision", number))
            for place, (problem, sample) in enumerate(zip(problems, drawn, strict=True)):
                groups[place].append(replace(sample, problem=problem))
                prompt = self.template.format(prompt=problem.prompt, chain=sample.completion.chain)
                prompts[place] = replace(problem, prompt=prompt)
        last = [next((sample for sample in reversed(group) if has_answer(sample)), None) for group in groups]
        return [_found(problem, picked, group) for problem, picked, group in zip(problems, last, groups, strict=True)]


def request(problem: Problem, budget: int) -> Problem:
    """The problem whose prompt asks in words for so many tokens."""
    return replace(problem, prompt=REQUEST.format(prompt=problem.prompt, budget=budget))


@dataclass(frozen=True)
class Asking:
    """One chain whose prompt asks for a budget. What it uses is the model's to say: look at what was drawn."""

    budget: int
    ask: Ask = request

    def search(self, pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int) -> list[Found]:
        drawn = pool.sample([self.ask(problem, self.budget) for problem in problems], 1, params, seed)
        samples = [replace(sample, problem=problem) for problem, sample in zip(problems, drawn, strict=True)]
        return [_found(sample.problem, sample if has_answer(sample) else None, [sample]) for sample in samples]


STRATEGIES = ("vote", "best", "weighted", "cap", "wait", "ask", "revise")


def make_strategy(name: str, budget: int, checker: Checker, form: Form, ask: Ask = request) -> Strategy:
    """The strategy of a name, with so many chains, attempts or rounds, or asking for so much.

    Raises:
        ValueError: for another name, or a budget below 1.
    """
    if budget < 1:
        raise ValueError(f"budget={budget} is out of range; choose 1 or more")
    match name:
        case "vote":
            return MajorityVote(budget, checker)
        case "best" | "weighted":
            return BestOf(budget, checker, weighted=name == "weighted")
        case "cap" | "wait":
            return BudgetForcing(budget, form, wait=name == "wait")
        case "ask":
            return Asking(budget, ask)
        case "revise":
            return Revisions(budget)
    raise ValueError(f"there is no strategy {name!r}; choose one of {', '.join(STRATEGIES)}")


def _draw(pool: Pool, problems: Sequence[Problem], n: int, params: SamplingParams, seed: int) -> list[list[Sample]]:
    samples = pool.sample(problems, n, params, seed)
    return [samples[at : at + n] for at in range(0, len(samples), n)]


def _found(problem: Problem, picked: Sample | None, samples: Sequence[Sample]) -> Found:
    return Found(problem, picked, samples, sum(len(sample.completion.tokens) for sample in samples))
