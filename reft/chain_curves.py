"""Accuracy against tokens: what a policy's chains reach under budgets of several kinds, and many of them together."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy

from reft.flops import Cost
from reft.plateau import find_plateau
from reft.statistics import Estimate, mean_over_clusters, mean_over_problems
from reft.tasks import BudgetedTask
from reft.trends import difference
from rewards.equal import Checker
from rollout.pool import Pool
from rollout.search.cutting import Tokens, cut
from rollout.search.forcing import Forced, Form, force
from rollout.search.strategies import certainty
from rollout.search.vote import any_right, majority, weighted_majority
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import derive_seed

Shape = tuple[int, int]
"""Tokens of a prompt and tokens that a chain takes behind it."""
Keep = Callable[[str, Sequence[Sample]], None]
"""Is given chains, and how they came to be."""


def keep_none(how: str, samples: Sequence[Sample]) -> None:
    """Forgets them."""


@dataclass(frozen=True)
class Point:
    """Accuracy under a budget, and what it costs; `right` are the problems' shares of right answers, in their order."""

    budget: int
    tokens: float
    flops: float
    right: tuple[float, ...]
    told: Mapping[str, Estimate] = field(default_factory=dict)
    """What else is known of the chains."""

    def plain(self, natural: float) -> dict[str, Any]:
        """As it is written; `natural` is how many tokens a query takes when nobody forces it."""
        return {
            "budget": self.budget,
            "tokens_per_query": self.tokens,
            "flops_per_query": self.flops,
            "accuracy": mean_over_problems(self.right).plain(),
            "beyond_natural": self.tokens > natural * (1 + 1e-9),
        } | {name: estimate.plain() for name, estimate in self.told.items()}


@dataclass(frozen=True)
class Bench:
    """Where chains come from, and what they cost."""

    pool: Pool
    problems: Sequence[Problem]
    params: SamplingParams
    seed: int
    cost: Cost
    keep: Keep = keep_none

    def forced(self, budget: int, form: Form, wait: bool) -> list[Point]:
        """Attempts cut, or called for, too: one chain a problem."""
        forced = force(self.pool, self.problems, self.params, derive_seed(self.seed, "forced"), budget, form, wait)
        self.keep("wait" if wait else "cap", [history[-1].sample for history in forced])
        points = []
        for at in doublings(budget):
            chains = [history[at - 1] for history in forced]
            shapes = [[(_prompt(one.sample), taken(one, form))] for one in chains]
            points.append(make_point(at, shapes, [float(one.sample.verdict.correct) for one in chains], self.cost))
        return points

    def cut(self, groups: Sequence[Sequence[Sample]], answering: str, codec: Tokens) -> list[Point]:
        """Thinking cut at 1, 2, 4, ... tokens, up to the longest of these chains."""
        flat = [sample for group in groups for sample in group]
        points = []
        for budget in doublings(max(len(sample.completion.tokens) for sample in flat)):
            seed = derive_seed(self.seed, "cut", budget)
            cuts = iter(cut(self.pool, flat, self.params, seed, budget, answering, codec))
            own = [list(itertools.islice(cuts, len(group))) for group in groups]
            # What asks for the answer is put in and not drawn, as a prompt is.
            spent = [
                [(len(one.sample.completion.prompt_tokens) + len(one.sample.completion.tokens) - one.tokens, one.tokens)
                 for one in group] for group in own
            ]  # fmt: skip
            points.append(make_point(budget, spent, shares([[one.sample for one in group] for group in own]), self.cost))
        return points

    def asked(self, task: BudgetedTask, trace: Callable[[Problem, str], Any]) -> list[Point]:
        """Prompts that ask for so many tries; also how many were made, and how often no more than that."""
        points = []
        for budget in task.budgets():
            asked = [task.asked(problem, budget) for problem in self.problems]
            samples = self.pool.sample(asked, 1, self.params, derive_seed(self.seed, "ask", budget))
            point = make_point(budget, [[spent(one)] for one in samples], shares([[one] for one in samples]), self.cost)
            traces = [trace(one.problem, one.completion.chain) for one in samples]
            if all(found is not None for found in traces):
                used = [float(found.tries) for found in traces]
                control = mean_over_problems([float(tries <= budget) for tries in used])
                point = replace(point, told={"used": mean_over_clusters(used), "control": control})
            points.append(point)
        return points

    def one_try(self, budget: int, form: Form, checker: Checker) -> dict[str, list[Point]]:
        """As many chains of one try each."""
        repeated = [problem for problem in self.problems for _ in range(budget)]
        seed = derive_seed(self.seed, "one")
        single = [history[0] for history in force(self.pool, repeated, self.params, seed, 1, form, False)]
        tries = [single[at : at + budget] for at in range(0, len(single), budget)]
        shapes = [[(_prompt(one.sample), taken(one, form)) for one in group] for group in tries]
        return self.repeated("one_try", [[one.sample for one in group] for group in tries], shapes, checker)

    def repeated(
        self, name: str, groups: Sequence[Sequence[Sample]], shapes: Sequence[Sequence[Shape]], checker: Checker
    ) -> dict[str, list[Point]]:
        """Curves of 1, 2, 4, ... chains together: `_vote` picks by majority, `_weighted` by votes that count as much as the
        policy was sure, `_oracle` finds a right one wherever there is one. A problem's share is of as many lots of so many
        chains as it has, none of them in two."""
        curves: dict[str, list[Point]] = defaultdict(list)
        n = len(groups[0])
        for count in doublings(n):
            lots = [[group[at : at + count] for at in range(0, n - count + 1, count)] for group in groups]
            for picker, judge in _pickers(checker).items():
                right = [sum(map(judge, own)) / len(own) for own in lots]
                curves[f"{name}_{picker}"].append(make_point(count, shapes, right, self.cost, count))
        return dict(curves)


def make_point(budget: int, shapes: Sequence[Sequence[Shape]], right: Sequence[float], cost: Cost, chains: int = 1) -> Point:
    """`shapes` are of the problems' chains, of which a query takes so many, behind one prompt."""
    flat = [shape for group in shapes for shape in group]
    tokens = chains * sum(tokens for _, tokens in flat) / len(flat)
    return Point(budget, tokens, sum(cost.query(*shape, chains) for shape in flat) / len(flat), tuple(right))


def taken(forced: Forced, form: Form) -> int:
    """Tokens that a query takes for a chain under a budget: all that were drawn for it, and an end token for a chain that is
    stopped at an attempt's ending. Nobody has drawn that one, but what a policy ends itself has it, and neither is to look
    cheaper. What the engine has discarded is left out: how often it looks for endings is nothing that a budget does."""
    completion = forced.sample.completion
    stopped = completion.finish == "stop" and any(ending in completion.text for ending in form.endings)
    return forced.tokens - forced.discarded + stopped


def plain_curve(points: Sequence[Point], natural: float) -> dict[str, Any]:
    """A curve as it is written: points, each but the first with what it gains on the one before it; the last budget that gains
    for sure; and the plateau, if there is one, whose gain is per doubling of tokens."""
    gains = [difference(point.right, before.right) for before, point in itertools.pairwise(points)]
    sure = [point.budget for point, gain in zip(points[1:], gains, strict=True) if gain.low > 0]
    return {
        "points": [
            point.plain(natural) | {"gain": None if gain is None else gain.plain()}
            for point, gain in zip(points, [None, *gains], strict=True)
        ],
        "gains_until": sure[-1] if sure else points[0].budget,
        "plateau": _plain_plateau(points),
    }


def at_tokens(points: Sequence[Point], tokens: float) -> list[float]:
    """The problems' shares at so many tokens, between two points along log2 of tokens; outside of all points, the nearest."""
    ordered = sorted(points, key=lambda point: point.tokens)
    x = numpy.log2([point.tokens for point in ordered])
    return [
        float(numpy.interp(numpy.log2(tokens), x, [point.right[place] for point in ordered]))
        for place in range(len(ordered[0].right))
    ]


def doublings(most: int) -> list[int]:
    """1, 2, 4, ... and the most."""
    return sorted({2**power for power in range(most.bit_length())} | {most})


def spent(sample: Sample) -> Shape:
    """What a chain that nobody has forced takes."""
    return _prompt(sample), len(sample.completion.tokens)


def shares(groups: Sequence[Sequence[Sample]]) -> list[float]:
    """Of right answers, problem by problem."""
    return [sum(sample.verdict.correct for sample in group) / len(group) for group in groups]


def _plain_plateau(points: Sequence[Point]) -> dict[str, Any] | None:
    accuracies = [mean_over_problems(point.right) for point in points]
    found = find_plateau([point.tokens for point in points], accuracies)
    if found is None:
        return None
    first = min(points, key=lambda point: abs(point.tokens - found.start))
    gain = Estimate(found.gain, len(points[0].right), found.gain - found.error, found.gain + found.error)
    return {
        "budget": first.budget,
        "tokens_per_query": first.tokens,
        "accuracy": found.level,
        "gain": gain.plain(),
        "certain": found.certain,
    }


def _pickers(checker: Checker) -> dict[str, Callable[[Sequence[Sample]], bool]]:
    """Whether what each picks of some chains is right."""
    return {
        "vote": lambda lot: _is_right(majority(lot, checker)),
        "weighted": lambda lot: _is_right(weighted_majority(lot, certainty(lot), checker)),
        "oracle": any_right,
    }


def _is_right(picked: Sample | None) -> bool:
    return picked is not None and picked.verdict.correct


def _prompt(sample: Sample) -> int:
    return len(sample.completion.prompt_tokens) - sample.completion.prefix_length
