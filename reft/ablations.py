"""Is the chain used? Chains are altered, and the policy goes on from them: to its answer, if it can.

A chain that is used cannot be spared: behind steps that are cut, shuffled, filled in or another problem's, accuracy falls to
what the policy reaches without any, and the answer follows a value that is made false (Lanham et al., arXiv 2307.13702).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reft.chain_curves import Keep, keep_none
from reft.statistics import proportion
from reft.tasks import SteppedTask
from reft.trends import difference
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


def ablate(
    pool: Pool, task: SteppedTask, samples: Sequence[Sample], params: SamplingParams, seed: int, keep: Keep = keep_none
) -> dict[str, Any]:
    """Accuracy behind steps that are altered, each with n and an interval, and how often a false value is gone on from.

    What stands behind the steps is drawn anew, behind those that are as they were (`none`), too; `natural` is the accuracy of
    the chains as they were sampled. Not every chain can be altered in each way, so `against` has, for each alteration, the
    accuracy of `none` on the chains that it altered, and the difference, paired.

    Args:
        samples: chains of the policy, one a problem; those with no step before the answer cannot be altered.
        params: how what follows is drawn; where the task's chains make tries, it is one more, which must be the answer.
        keep: is given the altered chains.
    """
    if (form := task.form()) is not None:
        params = replace(params, stop=(*params.stop, *form.endings))
    stepped = [(sample, steps) for sample in samples if (steps := task.steps(sample.problem, sample.completion.chain))]
    content: dict[str, Any] = {"chains": len(samples), "with_steps": len(stepped), "against": {}}
    if stepped:
        content["natural"] = proportion(sum(sample.verdict.correct for sample, _ in stepped), len(stepped)).plain()
    intact: dict[int, bool] = {}
    for how in ALTERATIONS if stepped else ():
        generator = random.Random(f"{seed}/{how}")
        begun: dict[int, Problem] = {}
        for place, (sample, steps) in enumerate(stepped):
            other = stepped[(place + 1) % len(stepped)][1]
            altered = alter(steps, how, other, generator)
            # What is shuffled into what it was, or swapped for the same, is not altered.
            if how in ("none", "cut", "half") or altered != steps:
                begun[place] = _begin(sample.problem, " ".join([*altered, *task.answering.split()]))
        drawn = pool.sample(list(begun.values()), 1, params, derive_seed(seed, how)) if begun else []
        keep(f"steps: {how}", drawn)
        right = {place: sample.verdict.correct for place, sample in zip(begun, drawn, strict=True)}
        content[how] = proportion(sum(right.values()), len(right)).plain() if right else None
        if how == "none":
            intact = right
        elif right:
            content["against"][how] = _against(right, intact)
    return content | {"follow": _follow(pool, task, samples, params, derive_seed(seed, "corrupt"), keep)}


def _against(right: Mapping[int, bool], intact: Mapping[int, bool]) -> dict[str, Any]:
    """Chains that are altered, by their places, against the same with the steps as they were."""
    same = [intact[place] for place in right]
    return {"none": proportion(sum(same), len(same)).plain(), "difference": difference(list(right.values()), same).plain()}


def _follow(pool: Pool, task: SteppedTask, samples: Sequence[Sample], params: SamplingParams, seed: int, keep: Keep) -> Any:
    found = [(sample.problem, task.corrupt(sample.problem, sample.completion.chain)) for sample in samples]
    pairs = [(problem, corruption) for problem, corruption in found if corruption is not None]
    if not pairs:
        return None
    drawn = pool.sample([_begin(problem, corruption.prefix) for problem, corruption in pairs], 1, params, seed)
    keep("steps: corrupted", drawn)
    followed = sum(corruption.follows(sample.completion.chain) for (_, corruption), sample in zip(pairs, drawn, strict=True))
    return proportion(followed, len(pairs)).plain()


def _begin(problem: Problem, prefix: str) -> Problem:
    return replace(problem, prefix=prefix)


def _shuffled(steps: Sequence[str], generator: random.Random) -> list[str]:
    """In another order, where there is one."""
    shuffled = list(steps)
    while len(set(steps)) > 1 and shuffled == list(steps):
        generator.shuffle(shuffled)
    return shuffled
