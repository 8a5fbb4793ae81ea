"""What one rollout worker does: sample a shard of problems, read the answers, score the chains."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from rewards.scorer import Scorer
from rollout.background import Background
from rollout.engine import Engine, Weights, WeightsError
from rollout.types import Completion, Problem, Reader, Sample, SamplingParams


@dataclass(frozen=True)
class Shard:
    """A piece of work that any worker does alike: its seed belongs to it, not to the worker."""

    problems: Sequence[Problem]
    n: int
    params: SamplingParams
    seed: int
    confined: bool = False
    """Whether reward functions run apart from the worker, since this shard has taken workers with it."""


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from what it is for, e.g. `derive_seed(run_seed, "train", step)`."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def split(problems: Sequence[Problem], n: int, params: SamplingParams, seed: int, size: int) -> list[Shard]:
    """Shards of at most `size` problems. The size is the run's, not the pool's, so more workers change no sample."""
    starts = range(0, len(problems), size)
    return [Shard(problems[at : at + size], n, params, derive_seed(seed, at)) for at in starts]


PIECES = 4
"""Into which a shard is cut to be scored: a few, since a call of a judge may be slow, however little it asks."""


class Worker:
    """An engine and a scorer in one process. Stateless but for the weights.

    Args:
        engine: samples the chains.
        scorer: turns them into rewards.
        reader: finds the final answer in a chain, or the program that computes it.
    """

    def __init__(self, engine: Engine, scorer: Scorer, reader: Reader) -> None:
        self.engine = engine
        self.scorer = scorer
        self.reader = reader
        self.version = 0

    def load(self, weights: Weights, version: int, checksum: int) -> None:
        """Take new weights.

        Raises:
            WeightsError: if what is loaded is not what was sent.
        """
        loaded = self.engine.load_weights(weights)
        if loaded != checksum:
            raise WeightsError(f"weights of version {version} arrived with checksum {loaded:016x}, not {checksum:016x}")
        self.version = version

    def work(self, shard: Shard) -> list[Sample]:
        """`n` scored samples for each problem of the shard, in the problems' order. What is read and scored is the whole chain,
        a prefix that was given included. A piece of the shard, of problems next to each other, is scored when its chains are
        there, while others are sampled in another thread."""
        prompts = [problem.prompt for problem in shard.problems]
        prefixes = [problem.prefix for problem in shard.problems]
        size = -(-len(shard.problems) // PIECES)
        columns = {name for problem in shard.problems for name in problem.columns}
        groups: dict[int, list[Completion]] = {}
        samples: dict[int, list[Sample]] = {}
        with Background(partial(self.engine.generate, prompts, shard.n, shard.params, shard.seed, prefixes)) as sampled:
            for place, completions in sampled:
                groups[place] = completions
                first = place - place % size
                piece = range(first, min(first + size, len(prompts)))
                if all(other in groups for other in piece):
                    pairs = [(shard.problems[at], chain) for at in piece for chain in groups[at]]
                    samples[first] = self.score(pairs, shard.confined, columns)
        return [sample for first in sorted(samples) for sample in samples[first]]

    def score(
        self, pairs: Sequence[tuple[Problem, Completion]], confined: bool = False, columns: Iterable[str] = ()
    ) -> list[Sample]:
        """Completions of problems as samples. Reward functions get these `columns` also where no problem has them."""
        missing = dict.fromkeys(columns)
        scores = self.scorer.score(
            prompts=[problem.prompt for problem, _ in pairs],
            completions=[completion.chain for _, completion in pairs],
            completion_ids=[completion.chain_tokens.tolist() for _, completion in pairs],
            found=[self.reader(problem, completion.chain) for problem, completion in pairs],
            answers=[problem.answer for problem, _ in pairs],
            columns=[{**missing, **problem.columns} for problem, _ in pairs],
            confined=confined,
        )
        version = self.version
        return [
            Sample(
                problem, completion, score.extracted, score.verdict, score.parts, score.reward, version, failures=score.failures
            )
            for (problem, completion), score in zip(pairs, scores, strict=True)
        ]

    def close(self) -> None:
        self.scorer.close()
