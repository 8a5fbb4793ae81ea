"""How well workers are used, counted by hand: which rows went on, how many there was room for, whose keys were read."""

from dataclasses import replace

import pytest

from reft.config import ModelConfig
from reft.model import make_fresh
from reft.tokenizer import word_tokenizer
from rewards.equal import Checker
from rewards.scorer import Scorer
from rewards.terms import load_term
from rollout.engines.hf import HFEngine, HFEngineFactory
from rollout.pool import LocalPool
from rollout.types import Problem, SamplingParams
from rollout.usage import Usage
from rollout.worker import Worker

WORDS = [*"abcdefgh", "?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("model")
    make_fresh(ModelConfig("", "llama", 2, 16, 2, 64), word_tokenizer(WORDS, 64), 3, path)
    return path


@pytest.fixture
def engine(folder) -> HFEngine:
    """One whose chains have no end but their longest."""
    engine = HFEngineFactory(str(folder), max_rows=2)()
    engine.codec.stops = ()
    return engine


def counted(usage: Usage) -> Usage:
    """What does not depend on time."""
    return replace(usage, generating=0.0)


ASKED = (["a b c", "a", "b"], 1, SamplingParams(1.0, 4), 0, ["", "a b", ""])
"""Three chains of four tokens; two of the second are given. So 4, 2 and 4 are drawn, behind 3, 3 and 1."""


def test_rows_that_come_and_go(engine: HFEngine) -> None:
    """With two slots, in one span, as (rows' keys), width: (4, 4), 4; then the second is done, and the third takes its place:
    (5, 2), 5; (6, 3), 6; then it is alone: (4,), 4."""
    engine.generate(*ASKED)
    usage = engine.drain_usage()
    assert counted(usage) == Usage(
        steps=4, tokens=10, rows=2 + 2 + 2 + 1, slots=4 * 2, keys=8 + 7 + 9 + 4, keys_read=2 * 4 + 2 * 5 + 2 * 6 + 4
    )
    assert usage.generating > 0
    assert engine.drain_usage() == Usage()
    assert usage.shares() == {"rollout/steps": 4.0, "rollout/occupancy": 7 / 8, "rollout/padding": pytest.approx(6 / 34)}


def test_rows_that_wait_for_the_longest(engine: HFEngine) -> None:
    """Two rows side by side: (4, 4), 4; (5, 4), 5; (6, 4), 6. Then the third where two could be: (2,), (3,), (4,)."""
    engine.continuous = False
    engine.generate(*ASKED)
    assert counted(engine.drain_usage()) == Usage(
        steps=6, tokens=10, rows=2 + 1 + 1 + 3, slots=6 * 2, keys=8 + 9 + 10 + 9, keys_read=8 + 10 + 12 + 9
    )


def test_a_row_that_is_done_and_stays_for_a_while(engine: HFEngine) -> None:
    """Nine rows, of which one has drawn all its tokens a step before the others: (2) · 8 and (3), 3 wide; (3) · 9, 4 wide."""
    engine.max_rows = 9
    engine.generate(["a"] * 9, 1, SamplingParams(1.0, 3), 0, ["a", *[""] * 8])
    assert counted(engine.drain_usage()) == Usage(
        steps=2, tokens=26, rows=9 + 8, slots=18, keys=19 + 27, keys_read=9 * 3 + 9 * 4
    )


def test_it_does_not_depend_on_what_was_before(engine: HFEngine, folder) -> None:
    """Slots that are kept from longer rows are no wider for it."""
    fresh = HFEngineFactory(str(folder), max_rows=9)()
    fresh.codec.stops, engine.max_rows = (), 9
    engine.generate(["a b c d e f"] * 9, 2, SamplingParams(1.0, 50), 0)
    engine.drain_usage()
    for one in (engine, fresh):
        one.generate(["a"] * 8 + ["a b"], 1, SamplingParams(1.0, 9), 0, [""] * 8 + ["a b c d e"])
    assert counted(engine.drain_usage()) == counted(fresh.drain_usage())


def test_nothing_is_sampled(engine: HFEngine) -> None:
    engine.generate([], 1, SamplingParams(), 0)
    assert engine.drain_usage().shares() == {}
    engine.generate(["a"], 2, SamplingParams(1.0, 1), 0)
    usage = engine.drain_usage()
    assert counted(usage) == Usage(tokens=2), "what is drawn behind a prompt is no step's"
    assert usage.shares() == {}


def test_metrics_are_ratios_of_what_adds_up() -> None:
    one = Usage(steps=10, tokens=30, rows=20, slots=40, keys=60, keys_read=100, generating=2.0, busy=3.0, present=4.0)
    other = Usage(steps=30, tokens=70, rows=60, slots=60, keys=90, keys_read=100, generating=3.0, busy=3.0, present=8.0)
    assert one + Usage() == Usage() + one == one
    assert (one + other).shares() == {"rollout/steps": 40.0, "rollout/occupancy": 0.8, "rollout/padding": 0.25}
    assert (one + other).rates() == {"rollout/tokens_per_second": 20.0, "time/waiting": 0.5}
    assert Usage().shares() == Usage().rates() == {}


def test_a_pool_adds_up_its_shards(engine: HFEngine) -> None:
    """As many problems a shard as slots: each of the two shards does a step for both tokens behind the first."""
    scorer = Scorer([load_term("correct", "correct", 1.0, {})], Checker())
    pool = LocalPool(Worker(engine, scorer, lambda problem, text: None), shard_size=2)
    problems = [Problem(str(number), "a", "1") for number in range(3)]
    pool.sample(problems, 1, SamplingParams(1.0, 3), seed=0)
    assert pool.drain_usage() == {"rollout/steps": 4.0, "rollout/occupancy": 1.0, "rollout/padding": 0.0}
    assert pool.drain_usage() == {}
    pool.close()
