"""Test-time compute: ways to spend many tokens on a problem and come back with one answer, over any pool and checkpoint."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rewards.equal import Checker
from rollout.codec import UNKNOWN
from rollout.pool import Pool
from rollout.search.cutting import Tokens, cut
from rollout.search.forcing import WAIT, Forced, Form, force
from rollout.search.names import STRATEGIES
from rollout.search.vote import best, has_answer, majority, weighted_majority
from rollout.types import Problem, Sample, SamplingParams
from rollout.work import Work, work_of_going_on, work_of_sampling
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
    discarded: int
    """Of these, what the engine had drawn behind endings before it looked for one (`Completion.discarded`)."""
    work: Work
    """What the model had to compute for them, by who keeps what has been computed: operations follow from it."""


class Strategy(Protocol):
    """A way to spend tokens."""

    def search(
        self, pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int, budgets: Sequence[int]
    ) -> list[list[Found]]:
        """For each of P problems one answer for each of B budgets, P lists of B. Where chains of a smaller budget can be among
        those of a larger one, they are, so that both are drawn once, and what is gained is gained on the same chains.

        Raises:
            ValueError: for a budget below 1.
        """
        ...


def certainty(samples: Sequence[Sample]) -> list[float]:
    """Mean probability of a chain's tokens, geometrically: how sure the policy was, 0 to 1."""
    return [math.exp(float(sample.completion.logprobs.mean())) for sample in samples]


@dataclass(frozen=True)
class MajorityVote:
    """The answer that most of so many chains give (self-consistency, Wang et al., arXiv 2203.11171), as `vote.majority`
    counts."""

    checker: Checker

    def search(
        self, pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int, budgets: Sequence[int]
    ) -> list[list[Found]]:
        groups = _draw(pool, problems, _most(budgets), params, seed)
        return [
            [_found(problem, majority(group[:budget], self.checker), group[:budget]) for budget in budgets]
            for problem, group in zip(problems, groups, strict=True)
        ]


@dataclass(frozen=True)
class BestOf:
    """The best of so many chains by a scorer; weighted, the answer whose chains have most of it together (Li et al., arXiv
    2206.02336)."""

    checker: Checker
    scorer: Scorer = certainty
    weighted: bool = False

    def search(
        self, pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int, budgets: Sequence[int]
    ) -> list[list[Found]]:
        n = _most(budgets)
        groups = _draw(pool, problems, n, params, seed)
        scores = self.scorer([sample for group in groups for sample in group])
        return [
            [
                _found(problem, self._pick(group[:budget], scores[place * n : place * n + budget]), group[:budget])
                for budget in budgets
            ]
            for place, (problem, group) in enumerate(zip(problems, groups, strict=True))
        ]

    def _pick(self, samples: Sequence[Sample], scores: Sequence[float]) -> Sample | None:
        return weighted_majority(samples, scores, self.checker) if self.weighted else best(samples, scores)


@dataclass(frozen=True)
class BudgetForcing:
    """A chain that is ended behind so many attempts, and with `wait` not before, unless it is satisfied."""

    form: Form
    wait: bool = True

    def search(
        self, pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int, budgets: Sequence[int]
    ) -> list[list[Found]]:
        histories = force(pool, problems, params, seed, _most(budgets), self.form, self.wait)
        return [
            [self._found(problem, history[:budget]) for budget in budgets]
            for problem, history in zip(problems, histories, strict=True)
        ]

    def _found(self, problem: Problem, history: Sequence[Forced]) -> Found:
        last = history[-1]
        samples = list({id(forced.sample): forced.sample for forced in history}.values())  # one that is over stands again
        picked = last.sample if has_answer(last.sample) else None
        work = work_of_going_on([sample.completion for sample in samples])
        return Found(problem, picked, samples, last.tokens, last.discarded, work)


@dataclass(frozen=True)
class ThoughtCutting:
    """A chain that thinks for so many tokens at most and is then asked for its answer, as `cutting.cut` does. It is drawn
    whole, since the same one is cut at all budgets; what is counted is what a budget lets it have."""

    answering: str
    codec: Tokens

    def search(
        self, pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int, budgets: Sequence[int]
    ) -> list[list[Found]]:
        _most(budgets)
        whole = pool.sample(problems, 1, params, seed)
        found: list[list[Found]] = [[] for _ in problems]
        for budget in budgets:
            cuts = cut(pool, whole, params, derive_seed(seed, "cut", budget), budget, self.answering, self.codec)
            for own, problem, one in zip(found, problems, cuts, strict=True):
                completion = one.sample.completion
                # What was kept of the thinking was put in as it would have been while it was drawn.
                work = work_of_going_on([completion])
                tokens = one.tokens + completion.discarded
                own.append(Found(problem, _last([one.sample]), [one.sample], tokens, completion.discarded, work))
        return found


@dataclass(frozen=True)
class Revisions:
    """Chains one after the other, each shown the one before; the last that has an answer stands (Snell et al., arXiv
    2408.03314, section 6). One that is no text is shown to nobody, and the last. For models that were taught to revise, or to
    follow instructions."""

    template: str = REVISION

    def search(
        self, pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int, budgets: Sequence[int]
    ) -> list[list[Found]]:
        prompts = dict(enumerate(problems))
        groups: list[list[Sample]] = [[] for _ in problems]
        for number in range(_most(budgets)):
            drawn = pool.sample(list(prompts.values()), 1, params, derive_seed(seed, "revision", number)) if prompts else []
            for place, sample in zip(list(prompts), drawn, strict=True):
                problem, chain = problems[place], sample.completion.chain
                groups[place].append(replace(sample, problem=problem))
                prompts[place] = replace(problem, prompt=self.template.format(prompt=problem.prompt, chain=chain))
                if UNKNOWN in chain:  # what is no text would be longer in a prompt than as it was drawn
                    del prompts[place]
        return [
            [_found(problem, _last(group[:budget]), group[:budget]) for budget in budgets]
            for problem, group in zip(problems, groups, strict=True)
        ]


def request(problem: Problem, budget: int) -> Problem:
    """The problem whose prompt asks in words for so many tokens."""
    return replace(problem, prompt=REQUEST.format(prompt=problem.prompt, budget=budget))


@dataclass(frozen=True)
class Asking:
    """One chain whose prompt asks for a budget. What it uses is the model's to say: look at what was drawn."""

    ask: Ask = request

    def search(
        self, pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int, budgets: Sequence[int]
    ) -> list[list[Found]]:
        _most(budgets)
        found: list[list[Found]] = [[] for _ in problems]
        for budget in budgets:
            drawn = pool.sample([self.ask(problem, budget) for problem in problems], 1, params, seed)
            for own, problem, sample in zip(found, problems, drawn, strict=True):
                own.append(_found(problem, _last(group := [replace(sample, problem=problem)]), group))
        return found


def make_strategy(
    name: str, checker: Checker, form: Form | None, codec: Tokens | None = None, answering: str = "", ask: Ask = request
) -> Strategy:
    """The strategy of a name.

    Args:
        form: how chains show attempts; where they make none, what is capped is their thinking, and they wait in words.
        codec: of the model, for thinking that is capped.
        answering: what stands between thinking and answer, likewise.

    Raises:
        ValueError: for another name, or where there is nothing to cap.
    """
    match name:
        case "vote":
            return MajorityVote(checker)
        case "best" | "weighted":
            return BestOf(checker, weighted=name == "weighted")
        case "cap" if form is None:
            if codec is None or not answering.strip():
                raise ValueError("chains without attempts are capped before their answers; give codec and answering")
            return ThoughtCutting(answering, codec)
        case "cap" | "wait":
            return BudgetForcing(form or WAIT, wait=name == "wait")
        case "ask":
            return Asking(ask)
        case "revise":
            return Revisions()
    raise ValueError(f"there is no strategy {name!r}; choose one of {', '.join(STRATEGIES)}")


def _most(budgets: Sequence[int]) -> int:
    if not budgets or min(budgets) < 1:
        raise ValueError(f"budgets={list(budgets)} are out of range; choose some of 1 or more")
    return max(budgets)


def _draw(pool: Pool, problems: Sequence[Problem], n: int, params: SamplingParams, seed: int) -> list[list[Sample]]:
    samples = pool.sample(problems, n, params, seed)
    return [samples[at : at + n] for at in range(0, len(samples), n)]


def _last(samples: Sequence[Sample]) -> Sample | None:
    """The last that has an answer."""
    return next((sample for sample in reversed(samples) if has_answer(sample)), None)


def _found(problem: Problem, picked: Sample | None, samples: Sequence[Sample]) -> Found:
    """Of chains that were drawn apart."""
    completions = [sample.completion for sample in samples]
    discarded = sum(completion.discarded for completion in completions)
    tokens = sum(completion.drawn for completion in completions)
    return Found(problem, picked, samples, tokens, discarded, work_of_sampling(completions))
