"""Reverse curriculum: episodes that start from beginnings of right demonstrations, so that a reward for the answer alone acts
step by step (R3, Xi et al., arXiv 2402.05808).

A start that slides from near the end of a demonstration to its beginning makes a policy forget the stages behind it, so R3
mixes all of them, and the whole problem, in each batch. What is given of a chain is no action: it carries no loss, no advantage
and no divergence.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from reft.config import Config, CurriculumConfig
from reft.errors import DataError
from reft.rollouts import make_scorer
from reft.tasks import Demonstration
from reft.train import Stream
from rollout.codec import Codec
from rollout.types import Problem, Sample
from rollout.worker import derive_seed

CHECKED_AT_ONCE = 256
"""Demonstrations whose answers are read together, so that programs among them run side by side."""


def beginning(chain: str, stage: int, stages: int) -> str:
    """The first `stage` / (`stages` + 1) of a chain's steps, rounded down but to one at least, never all of them: its lines
    where there are several, as in R3's data, else its words. Lines keep their ends and words the spaces before them, as
    tokenizers join both.

    >>> [beginning("one two three four", stage, 3) for stage in (0, 1, 2, 3)]
    ['', 'one', 'one two', 'one two three']
    >>> beginning("2 + 3 = 5\\n5 * 2 = 10", 1, 1)
    '2 + 3 = 5\\n'
    """
    lines = re.findall(r"\s*\S[^\n]*\n*", chain)
    steps = lines if len(lines) > 1 else re.findall(r"\s*\S+", chain)
    least = 1 if stage and len(steps) > 1 else 0
    return "".join(steps[: max(least, len(steps) * stage // (stages + 1))])


class Curriculum(Stream):
    """A stream whose problems may come with a prefix; which one is a function of seed, step and problem alone. So the chains of
    a problem in one step share their prefix, and can be compared with each other.

    Args:
        problems: the training split; those without a chain are left out.
        chains: right demonstrations by problem id.
        size: problems a step.
        settings: how many stages, and how often.
        seed: of the shuffling and of the choice.
        demonstrations: as of every stream, what a step imitates besides.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        chains: Mapping[str, Sequence[str]],
        size: int,
        settings: CurriculumConfig,
        seed: int,
        demonstrations: Mapping[str, Sample] | None = None,
    ) -> None:
        super().__init__([problem for problem in problems if problem.id in chains], size, seed, demonstrations)
        self.chains, self.settings = chains, settings

    def batch(self, step: int, attempt: int = 0) -> list[Problem]:
        return [replace(problem, prefix=self._prefix(step, problem)) for problem in super().batch(step, attempt)]

    def _prefix(self, step: int, problem: Problem) -> str:
        stages, share = self.settings.stages, self.settings.share
        generator = Random(derive_seed(self.seed, "prefix", step, problem.id))
        if generator.random() >= (stages / (stages + 1) if share is None else share):
            return ""
        return beginning(generator.choice(self.chains[problem.id]), generator.randint(1, stages), stages)


@dataclass(frozen=True)
class Cuttable:
    """Demonstrations that episodes may start from, by problem id, and how many there are and were looked at."""

    chains: Mapping[str, Sequence[str]]
    count: int
    looked_at: int


def find_cuttable(config: Config, demonstrations: Sequence[Demonstration], codec: Codec) -> Cuttable:
    """The demonstrations whose own answer is right, by the run's reader and checker, and which end within sampling.max_tokens,
    so that each of their beginnings can be ended as well. No reward function is asked.

    Raises:
        DataError: if there is none.
    """
    found: dict[str, list[str]] = defaultdict(list)
    scorer = make_scorer({}, config.checker, config.programs)
    try:
        for at in range(0, len(demonstrations), CHECKED_AT_ONCE):
            problems = [demonstration.problem for demonstration in demonstrations[at : at + CHECKED_AT_ONCE]]
            chains = [demonstration.chain for demonstration in demonstrations[at : at + CHECKED_AT_ONCE]]
            scores = scorer.score(
                prompts=[problem.prompt for problem in problems],
                completions=chains,
                completion_ids=[[] for _ in chains],
                found=[config.task.read(problem, chain) for problem, chain in zip(problems, chains, strict=True)],
                answers=[problem.answer for problem in problems],
                columns=[problem.columns for problem in problems],
            )
            fits = _fit(chains, config.curriculum.stages, config.sampling.max_tokens, codec)
            for problem, chain, score, fit in zip(problems, chains, scores, fits, strict=True):
                if score.verdict.correct and fit:
                    found[problem.id].append(chain)
    finally:
        scorer.close()
    if not found:
        raise DataError(
            f"none of {len(demonstrations)} demonstrations is right and ends within sampling.max_tokens="
            f"{config.sampling.max_tokens}, so a curriculum has none to start from; mend them, or set curriculum.stages=0"
        )
    return Cuttable(found, sum(map(len, found.values())), len(demonstrations))


def _fit(chains: Sequence[str], stages: int, most: int, codec: Codec) -> list[bool]:
    """Whether each chain has at most `most` tokens, and its longest beginning fewer, which could take more than the chain."""
    whole = codec.chains(chains)
    longest = codec.prefixes([beginning(chain, stages, stages) for chain in chains])
    return [len(left) <= most and len(right) < most for left, right in zip(whole, longest, strict=True)]
