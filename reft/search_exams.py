"""Exams taken by a strategy of test-time compute, with workers: accuracy, tokens and operations under budgets.

As in `reft.sittings`: a section is on the disk before the next begins, and all figures are computed from what is there.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from reft.assessment import sampled_params
from reft.chain_curves import Point, plain_curve
from reft.config import Config
from reft.exams import Exam, fitting
from reft.flops import Cost
from reft.progress import Display
from reft.rollouts import make_checker
from reft.searches import Plan, check_room, plan
from reft.sittings import Sitting, Tell, chain_row, describe, head, take_sections, write_report
from reft.statistics import mean_over_clusters, mean_over_problems
from rollout.pool import Pool
from rollout.search.names import UNITS
from rollout.search.strategies import Found, certainty
from rollout.types import Problem
from rollout.worker import derive_seed


@dataclass(frozen=True)
class Search(Sitting):
    """An exam that is taken by a strategy."""

    plan: Plan
    split: str | None
    """Of the run's own task; None where the exam was named."""


def sit_search(
    exam: Exam, config: Config, checkpoint: str, folder: Path, name: str, strategy: str, budgets: Sequence[int] | None,
    split: str | None = None,
) -> Search:  # fmt: skip
    """Prepare to take an exam by a strategy.

    Raises:
        UserError: if the checkpoint cannot take it, or not so.
    """
    longest = config.sampling.max_tokens
    fits, too_long = fitting(exam, checkpoint, longest)
    found = plan(strategy, exam.task, budgets, fits.problems[0])
    found.check(checkpoint, fits.problems[0])
    left_out = found.crowded(checkpoint, fits.problems, longest)
    if len(left_out) == len(fits.problems):
        check_room(found, left_out, longest)
    crowded = {problem.id for problem in left_out}
    fits = replace(fits, problems=[problem for problem in fits.problems if problem.id not in crowded])
    how = {
        "split": split, "strategy": strategy, "budgets": found.budgets, "unit": found.unit,
        "sampled": asdict(sampled_params(config)),
    }  # fmt: skip
    setup = describe(fits, config, checkpoint, how)
    file = folder / f"{name}-{split or exam.name}-{strategy}-budget{'-'.join(map(str, found.budgets))}.json"
    return Search(fits, checkpoint, [*too_long, *crowded], setup, file, found, split)


def take_search(search: Search, config: Config, pool: Pool, display: Display) -> list[dict[str, Any]]:
    """Sample what is not on the disk yet; returns all problems with their chains and what was picked of them."""
    cost, params = Cost.of(AutoConfig.from_pretrained(search.checkpoint)), sampled_params(config)
    # Not of the strategy: all that draw whole chains draw the same ones.
    seed = derive_seed(config.seed, "strategy", search.split or search.exam.name)
    checker = make_checker(config.checker)
    try:
        strategy = search.plan.make(search.checkpoint, checker)

        def draw(section: Sequence[Problem], start: int, tell: Tell) -> list[dict[str, Any]]:
            found = strategy.search(pool, section, params, derive_seed(seed, start), search.plan.budgets)
            tell(len(section), "")
            return [search_row(problem, own, search.plan, cost) for problem, own in zip(section, found, strict=True)]

        return take_sections(search, display, draw)
    finally:
        checker.close()


def search_row(problem: Problem, found: Sequence[Found], plan: Plan, cost: Cost) -> dict[str, Any]:
    """A problem with what a strategy came to under each budget, as JSON has it: `picked` and `chains` are places among all
    chains."""
    samples = list({id(sample): sample for one in found for sample in one.samples}.values())
    places = {id(sample): place for place, sample in enumerate(samples)}
    rows = []
    for budget, one in zip(plan.budgets, found, strict=True):
        picked = one.picked
        rows.append(
            {
                "budget": budget,
                "picked": None if picked is None else places[id(picked)],
                "extracted": None if picked is None else picked.extracted,
                "verdict": "no_answer" if picked is None else picked.verdict.outcome,
                "tokens": one.tokens,
                "discarded": one.discarded,
                "flops": cost.forward(one.work),
                "chains": [places[id(sample)] for sample in one.samples],
            }
        )
        if plan.name == "ask":
            rows[-1]["used"] = _used(problem, one, plan)
    return {
        "problem": problem.id, "prompt": problem.prompt, "answer": problem.answer, "found": rows,
        "chains": [
            chain_row(sample) | {"prompt_tokens": len(sample.completion.prompt_tokens), "certainty": sure}
            for sample, sure in zip(samples, certainty(samples), strict=True)
        ],
    }  # fmt: skip


def finish_search(search: Search, rows: Sequence[Mapping[str, Any]], seconds: float) -> dict[str, Any]:
    """Write and return the report, and the chains beside it."""
    content = head(search, seconds) | {"strategy": search.plan.name}
    if search.split is not None:
        content |= {"split": search.split}
    content["curves"] = curves(search.plan, rows)
    write_report(search, content, rows)
    return content


def curves(plan: Plan, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A strategy's curve, as reports have it; where it picks among whole chains, also that of one who would always pick a right
    one, which is a bound for all that do."""
    points: dict[str, list[Point]] = defaultdict(list)
    discarded = []
    for at, budget in enumerate(plan.budgets):
        found = [row["found"][at] for row in rows]
        tokens = [float(one["tokens"]) for one in found]
        flops = sum(one["flops"] for one in found) / len(found)
        told = {
            "tokens": mean_over_clusters(tokens),
            "no_answer": mean_over_problems([float(one["verdict"] == "no_answer") for one in found]),
        }
        if all(one.get("used") is not None for one in found):
            used = [float(one["used"]) for one in found]
            told |= {
                "used": mean_over_clusters(used),
                "control": mean_over_problems([float(amount <= budget) for amount in used]),
            }
        spent = (budget, sum(tokens) / len(tokens), flops)
        points[plan.name].append(Point(*spent, tuple(float(one["verdict"] == "equal") for one in found), told))
        if UNITS.get(plan.name) == "chains":
            any_right = (
                float(any(row["chains"][place]["verdict"] == "equal" for place in one["chains"]))
                for row, one in zip(rows, found, strict=True)
            )
            points["upper_bound"].append(Point(*spent, tuple(any_right)))
        discarded.append(sum(one["discarded"] for one in found) / len(found))
    content = []
    for name, curve in points.items():
        plain = plain_curve(curve, math.inf)
        for point, amount in zip(plain["points"], discarded, strict=True):
            del point["beyond_natural"]  # what nobody forces was not looked at
            point["discarded_per_query"] = amount
        content.append({"strategy": name, "unit": plan.unit, **plain})
    return content


def _used(problem: Problem, found: Found, plan: Plan) -> float | None:
    """What a chain uses of what it was asked to, in tries or tokens; None where the task cannot tell."""
    (sample,) = found.samples
    if plan.unit == "tokens":
        return len(sample.completion.tokens)
    trace = plan.task.trace(problem, sample.completion.chain)
    return None if trace is None else trace.tries
