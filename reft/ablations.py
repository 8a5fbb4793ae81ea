"""Is the chain used? Chains are altered, and the policy goes on from them: to its answer, if it can.

A chain that is used cannot be spared: behind steps that are cut, shuffled, filled in or another problem's, accuracy falls to
what the policy reaches without any, and the answer follows a value that is made false (Lanham et al., arXiv 2307.13702).
"""

import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from reft.statistics import proportion
from reft.tasks import SteppedTask
from rollout.pool import Pool
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import derive_seed

FILLER = "0"
"""The word that stands for each word of the steps; each embedded task has it."""
ALTERATIONS = ("none", "cut", "half", "shuffle", "filler", "swap")


def alter(steps: Sequence[str], how: str, other: Sequence[str], generator: random.Random) -> list[str]:
    """The steps, altered: `cut` leaves none and `half` the first half of them, `shuffle` has them in another order, `filler` a
    word without meaning for each word, `swap` another problem's."""
    match how:
        case "none":
            return list(steps)
        case "cut":
            return []
        case "half":
            return list(steps[: len(steps) // 2])
        case "shuffle":
            return _shuffled(steps, generator)
        case "filler":
            return [" ".join([FILLER] * len(step.split())) for step in steps]
        case "swap":
            return list(other)
    raise ValueError(f"no alteration is called {how!r}; choose from {', '.join(ALTERATIONS)}")


def ablate(pool: Pool, task: SteppedTask, samples: Sequence[Sample], params: SamplingParams, seed: int) -> dict[str, Any]:
    """Accuracy behind steps that are altered, each with n and an interval, and how often a false value is gone on from.

    Args:
        samples: chains of the policy, one a problem; those with no step before the answer cannot be altered.
        params: how what follows is drawn; where the task's chains make tries, it is one more, which must be the answer.
    """
    if (form := task.form()) is not None:
        params = replace(params, stop=(*params.stop, *form.endings))
    stepped = [(sample, steps) for sample in samples if (steps := task.steps(sample.problem, sample.completion.chain))]
    content: dict[str, Any] = {"chains": len(samples), "with_steps": len(stepped)}
    for how in ALTERATIONS if stepped else ():
        generator = random.Random(f"{seed}/{how}")
        begun = []
        for place, (sample, steps) in enumerate(stepped):
            other = stepped[(place + 1) % len(stepped)][1]
            altered = alter(steps, how, other, generator)
            # What is shuffled into what it was, or swapped for the same, is not altered.
            if how in ("none", "cut", "half") or altered != steps:
                begun.append(_begin(sample.problem, " ".join([*altered, *task.answering.split()])))
        drawn = pool.sample(begun, 1, params, derive_seed(seed, how)) if begun else []
        content[how] = asdict(proportion(sum(sample.verdict.correct for sample in drawn), len(drawn))) if drawn else None
    return content | {"follow": _follow(pool, task, samples, params, derive_seed(seed, "corrupt"))}


def _follow(pool: Pool, task: SteppedTask, samples: Sequence[Sample], params: SamplingParams, seed: int) -> Any:
    found = [(sample.problem, task.corrupt(sample.problem, sample.completion.chain)) for sample in samples]
    pairs = [(problem, corruption) for problem, corruption in found if corruption is not None]
    if not pairs:
        return None
    drawn = pool.sample([_begin(problem, corruption.prefix) for problem, corruption in pairs], 1, params, seed)
    followed = sum(corruption.follows(sample.completion.chain) for (_, corruption), sample in zip(pairs, drawn, strict=True))
    return asdict(proportion(followed, len(pairs)))


def _begin(problem: Problem, prefix: str) -> Problem:
    return replace(problem, prefix=prefix)


def _shuffled(steps: Sequence[str], generator: random.Random) -> list[str]:
    """In another order, where there is one."""
    shuffled = list(steps)
    while len(set(steps)) > 1 and shuffled == list(steps):
        generator.shuffle(shuffled)
    return shuffled
