import pytest
import torch

from rewards.equal import Checker
from rewards.scorer import Scorer
from rewards.terms import load_term
from rollout.engine import WeightsError, checksum
from rollout.engines.scripted import ScriptedEngine
from rollout.pool import LocalPool, Publication
from rollout.types import Problem, SamplingParams
from rollout.worker import Worker, derive_seed, split

PROBLEMS = [Problem(str(number), f"{number} + 1 =", str(number + 1)) for number in range(7)]


def script(prompt: str, sample: int) -> str:
    """Right in the first sample, wrong in the second, silent in the third."""
    value = int(prompt.split()[0]) + 1
    return [f"#### {value}", f"#### {value + 1}", "hm"][sample]


@pytest.fixture
def worker() -> Worker:
    scorer = Scorer([load_term("correct", "correct", 1.0, {})], Checker())
    return Worker(ScriptedEngine(script), scorer, lambda problem, text: text.partition("#### ")[2] or None)


def test_samples_come_in_the_problems_order_with_their_scores(worker: Worker) -> None:
    samples = LocalPool(worker, shard_size=3).sample(PROBLEMS, 3, SamplingParams(1.0, 20), seed=1)
    assert [sample.problem.id for sample in samples] == [str(n) for n in range(7) for _ in range(3)]
    assert [sample.reward for sample in samples] == [1.0, 0.1, 0.0] * 7
    assert [sample.verdict.outcome for sample in samples[:3]] == ["equal", "different", "no_answer"]


def test_progress_counts_samples(worker: Worker) -> None:
    seen: list[tuple[int, int]] = []
    LocalPool(worker, 3).sample(PROBLEMS, 2, SamplingParams(), 1, lambda done, total: seen.append((done, total)))
    assert seen == [(6, 14), (12, 14), (14, 14)]


def test_shards_have_seeds_of_their_own() -> None:
    shards = split(PROBLEMS, 2, SamplingParams(), seed=9, size=3)
    assert [len(shard.problems) for shard in shards] == [3, 3, 1]
    assert len({shard.seed for shard in shards}) == 3
    assert [shard.seed for shard in split(PROBLEMS, 2, SamplingParams(), 9, 3)] == [shard.seed for shard in shards]
    assert derive_seed(1, 23) != derive_seed(12, 3)


def test_publishing_counts_versions_and_checks_what_arrived(worker: Worker) -> None:
    pool, weights = LocalPool(worker), {"w": torch.ones(3)}
    pool.publish(Publication(weights, checksum(weights)), version=4)
    assert pool.sample(PROBLEMS[:1], 1, SamplingParams(), 0)[0].policy_version == 4
    with pytest.raises(WeightsError, match="version 5"):
        pool.publish(Publication({"w": torch.zeros(3)}, checksum(weights)), version=5)
