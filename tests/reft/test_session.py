"""What a session does with what an imitation has saved on the way, and what it tells of the policy by step."""

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from reft.compose import compose_settings
from reft.progress import Display
from reft.session import Session, _discard_other_ranks
from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.engines.scripted import ScriptedEngine
from rollout.pool import LocalPool
from rollout.worker import Worker
from tests.test_readme import glossary


def settings(ranks: int = 1, zero: int = 0, micro_batch: int = 8) -> SimpleNamespace:
    return SimpleNamespace(ranks=ranks, zero=zero, config=SimpleNamespace(micro_batch=micro_batch))


def test_what_the_same_ranks_saved_is_kept_and_what_others_saved_is_not(tmp_path: Path) -> None:
    scratch = tmp_path / "trainer"
    assert not _discard_other_ranks(scratch, settings()), "there is nothing yet"  # type: ignore[arg-type]
    (scratch / "checkpoint-5").mkdir()
    assert not _discard_other_ranks(scratch, settings())  # type: ignore[arg-type]
    assert (scratch / "checkpoint-5").is_dir()
    for other in (settings(ranks=2), settings(zero=2), settings(micro_batch=4), settings()):
        (scratch / "checkpoint-5").mkdir(exist_ok=True)
        assert _discard_other_ranks(scratch, other)  # type: ignore[arg-type]
        assert not list(scratch.glob("checkpoint-*"))
        assert not _discard_other_ranks(scratch, other), "the new ones have saved nothing"  # type: ignore[arg-type]


def test_what_is_told_of_a_policy_by_step() -> None:
    """Right in four tokens where there are two solutions, else wrong in nine, or right in eight."""
    config = compose_settings("x", {"task": {"use": "signed_sum"}, "sampling": {"max_tokens": 100}}).config
    task = config.task
    easy, hard = ([one for one in task._problems() if len(task._solutions(one)) == count][:2] for count in (2, 1))
    chains = dict(zip((problem.prompt for problem in [*easy, *hard]), ("yes", "yes", "by guess", "and yes"), strict=True))
    engine = ScriptedEngine(lambda text, number: chains[text])
    worker = Worker(engine, Scorer([], Checker()), lambda problem, chain: problem.answer if "yes" in chain else "0.5")
    prepared = SimpleNamespace(config=config, splits=SimpleNamespace(dev=[*easy, *hard], test=[]))
    with closing(LocalPool(worker)) as pool:
        metrics = Session(prepared, SimpleNamespace(), Display()).select(pool)  # type: ignore[arg-type]
    assert metrics == {
        "dev/greedy": 0.75, "dev/sampled": 0.75, "dev/tokens_per_chain": 25 / 4,
        "dev/tokens_p10": 4, "dev/tokens_p50": 6, "dev/tokens_p90": pytest.approx(8.7),
        "dev/right": 3, "dev/wrong": 1, "dev/tokens_right": 16 / 3, "dev/tokens_wrong": 9,
        "dev/tokens_bin_1": 4, "dev/tokens_bin_2": 8.5,
    }  # fmt: skip
    assert {name.replace("_bin_1", "_bin_N").replace("_bin_2", "_bin_N") for name in metrics} <= glossary()
