"""Rewards that do harm in a pool on Ray, and answers that would: each is a chain that nothing is learnt from, told and counted;
the other chains are as they would be without it."""

from collections.abc import Iterator
from functools import partial

import pytest
import ray

from rewards.equal import Checker
from rewards.sandbox import Limits
from rewards.scorer import Scorer
from rewards.terms import RewardError, load_term
from rollout.engines.scripted import ScriptedEngine
from rollout.jobs import Supervision
from rollout.pool import LocalPool, count_failures
from rollout.ray_pool import RayPool
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import Worker, split

PROBLEMS = [Problem(str(number), f"{number} + 1 =", str(number + 1)) for number in range(12)]
PARAMS = SamplingParams(1.0, 2_000_000)
TOWER, LONG = "9^9^9^9", "7" * 1_000_000


def script(bad: tuple[str, ...], prompt: str, sample: int) -> str:
    number = prompt.split()[0]
    answers = {"8": TOWER, "9": LONG}
    return f"{'bad ' * (number in bad)}#### {answers.get(number, int(number) + 1)}"


def read(problem: Problem, text: str) -> str | None:
    return text.partition("#### ")[2] or None


def worker(name: str, deadline: float | None, bad: tuple[str, ...]) -> Worker:
    terms = [load_term("correct", "correct", 1.0, {}), load_term("mine", f"tests.rewards.hostile:{name}", 0.0, {}, deadline)]
    scorer = Scorer(terms, Checker(limits=Limits(seconds=4.0, cpu_seconds=0.4)), forgiving=True)
    return Worker(ScriptedEngine(partial(script, bad)), scorer, read)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=1 << 27)
    yield
    ray.shutdown()


def plain(samples: list[Sample]) -> list[tuple[str, float | None]]:
    return [(sample.problem.id, sample.reward) for sample in samples]


@pytest.fixture(scope="module")
def harmless() -> list[tuple[str, float | None]]:
    samples = LocalPool(worker("booms", None, ()), 3).sample(PROBLEMS, 2, PARAMS, seed=1)
    outcomes = {sample.problem.id: sample.verdict.outcome for sample in samples}
    assert [outcomes[str(number)] for number in range(8)] == ["equal"] * 8
    assert outcomes["8"] != "equal"
    assert outcomes["9"] != "equal"
    return plain(samples)


@pytest.mark.parametrize(
    ("name", "deadline", "lost", "told"),
    [
        ("booms", None, 0, "ZeroDivisionError('boom')"),
        ("interrupts", None, 0, "raised KeyboardInterrupt"),
        ("nans", None, 0, "returned nan"),
        ("hangs", 1.0, 0, "1 s"),
        ("kills", None, 2, "ended its process: it was killed"),
        ("leaves", None, 2, "ended its process"),
    ],
)
def test_harm_is_one_chain_that_is_told(
    cluster: None, harmless, name: str, deadline: float | None, lost: int, told: str
) -> None:  # type: ignore[no-untyped-def]
    lines: list[str] = []
    supervision = Supervision(120.0, 120.0, reward_failures=0.1)
    pool = RayPool(partial(worker, name, deadline, ("4",)), 2, 3, 0.5, 0.0, supervision, lines.append)
    samples = pool.sample(PROBLEMS, 2, PARAMS, seed=1)
    assert plain(samples) == [(problem, None if problem == "4" else reward) for problem, reward in harmless]
    faults = pool.drain_faults()
    assert plain(pool.sample(PROBLEMS, 2, PARAMS, seed=1)) == plain(samples)
    assert pool.drain_faults()["faults/worker_restarts"] == 0, "what has once had to be confined is, from then on"
    pool.close()
    assert faults["faults/worker_restarts"] == faults["faults/shards_redone"] == lost
    assert faults["faults/rewards_failed"] == 2
    assert lines.pop() == lines[-1], "the same again"
    assert lines[-1].startswith("rewards.mine failed for 2 of 24 chains, which are not learnt from; of problem '4': ")
    assert told in lines[-1]
    assert len(lines) == lost + 1 + bool(lost)
    assert [line for line in lines if "processes of their own" in line] == lines[-2:-1] * bool(lost)


def test_more_than_may_fail_stops_and_says_why(cluster: None) -> None:
    supervision = Supervision(120.0, 120.0, reward_failures=0.1)
    pool = RayPool(partial(worker, "booms", None, ("4", "5")), 2, 3, 0.5, 0.0, supervision)
    with pytest.raises(
        RewardError, match=r"mine failed for 4 of 24 .* '4': .*boom.*; more than rollout.reward_failures=0.1 of"
    ):
        pool.sample(PROBLEMS, 2, PARAMS, seed=1)
    pool.close()


@pytest.mark.parametrize(("limit", "stops"), [(0.25, False), (0.24, True), (0.0, True)])
def test_the_limit_is_the_last_share_that_may_fail(limit: float, stops: bool) -> None:
    one = worker("booms", None, ("3",))
    samples = [sample for shard in split(PROBLEMS[:4], 2, PARAMS, 1, 3) for sample in one.work(shard)]
    lines: list[str] = []
    if stops:
        with pytest.raises(RewardError, match=rf"more than rollout.reward_failures={limit:g} of them may not"):
            count_failures(samples, limit, lines.append)
    else:
        assert count_failures(samples, limit, lines.append) == 2
        assert len(lines) == 1
