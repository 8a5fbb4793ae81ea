"""`reft chains` as a whole, with workers that are scripted: what is computed, what is written, what the page makes of it."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from reft import chain_study
from reft.chain_study import study, study_name
from reft.chain_table import print_chains
from reft.compose import compose_settings
from reft.config import Config
from reft.progress import Display
from reft.report.chains import _rows
from reft.report.charts import break_evens
from reft.report.read import read_run
from reft.run import step_name
from reft.sittings import weights_digest
from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.pool import LocalPool
from rollout.worker import Worker
from tests.reft.test_chains import Searcher

PATIENCE = {"warmup": 2, step_name(2): 4}
"""Tries that each checkpoint makes; the third is right."""
N, BUDGET, LIMIT = 2, 4, 6


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> Config:
    settings = {
        "task": {"use": "signed_sum"}, "model": {"path": str(tiny_model)}, "sampling": {"max_tokens": 300},
        "evaluate": {"limit": LIMIT},
    }  # fmt: skip
    return compose_settings("x", settings).config


@pytest.fixture(scope="module")
def run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with two checkpoints."""
    path = tmp_path_factory.mktemp("runs") / "run"
    for name in PATIENCE:
        shutil.copytree(tiny_model, path / "checkpoints" / name)
    (path / "config.yaml").write_text("name: run\n")
    (path / "metrics.jsonl").write_text(json.dumps({"phase": "reinforce", "step": 2, "compute/flops": 7e9}) + "\n")
    (path / "state.json").write_text(json.dumps({"best_step": 2, "flops": {"warmup": 3e9}}))
    return path


@pytest.fixture(scope="module")
def found(config: Config, run: Path) -> list[dict[str, Any]]:
    return studied(config, run)


def studied(
    config: Config, run: Path, n: int = N, names: Sequence[str] = tuple(PATIENCE), limit: int | None = None
) -> list[dict[str, Any]]:
    problems = config.task.splits().test[:LIMIT]

    @contextmanager
    def workers(config: Config, checkpoint: str, display: Display) -> Iterator[LocalPool]:
        engine = Searcher(PATIENCE[Path(checkpoint).name], problems)
        with closing(LocalPool(Worker(engine, Scorer([], Checker()), config.task.read))) as pool:
            yield pool

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chain_study, "workers", workers)
        return study(config, [run / "checkpoints" / name for name in names], "test", n, BUDGET, Display(), limit)


def test_what_is_written_says_how_it_was_made(found: list[dict[str, Any]], run: Path, config: Config) -> None:
    for name, content in zip(PATIENCE, found, strict=True):
        file = run / "eval" / f"chains-{name}-test-n{N}-budget{BUDGET}.json"
        assert content["file"] == str(file)
        assert json.loads(file.read_text()) == json.loads(json.dumps(content))
        assert content["settings"] == {"n": N, "budget": BUDGET, "limit": None, "problems": LIMIT}
        assert content["seed"] == config.seed
        assert content["weights"] == weights_digest(str(run / "checkpoints" / name))
    assert [content["compute"]["training_flops"] for content in found] == [3e9, 7e9]


def test_what_a_second_checkpoint_gains(found: list[dict[str, Any]]) -> None:
    before, after = found
    assert [content["natural"]["accuracy"]["value"] for content in found] == [0, 1]
    gain = after["gain"]
    assert gain["training_flops"] == [3e9, 7e9]
    assert (gain["total"]["value"], gain["quality"]["value"], gain["persistence"]["value"]) == (1, 0, 1)
    assert [row["accuracy"]["value"] for row in gain["equal_accuracy"]] == [0, 1]
    wait = next(curve for curve in before["curves"] if curve["strategy"] == "wait")
    own = after["natural"]["tokens_per_query"]
    assert gain["equal_accuracy"][1]["tokens_per_query"] == pytest.approx([wait["points"][-1]["tokens_per_query"], own])
    assert {row["against"] for row in gain["equal_tokens"]} == {
        f"{what}_{how}" for what in ("one_try", "chain") for how in ("vote", "weighted", "oracle")
    }
    assert [row["gain"]["value"] for row in gain["equal_tokens"]] == [1] * 6, "votes of the first one's chains are wrong"


def test_break_even_is_what_the_page_has(found: list[dict[str, Any]], run: Path) -> None:
    told = found[1]["gain"]["break_even"]
    assert [row["accuracy"] for row in told] == [round(0.1 * number, 1) for number in range(1, 11)]
    assert {(row["earlier"], row["later"]) for row in told} == {tuple(PATIENCE)}
    last = told[-1]
    assert last["query"][0] == last["query"][1]
    assert last["never"], "whoever is made to go on is as right for as much"
    page = break_evens(read_run(run, "run"))
    assert [{name: row[name] for name in told[0]} for row in page] == told
    assert {row["split"] for row in page} == {"test"}


def test_chains_are_kept(found: list[dict[str, Any]]) -> None:
    for content in found:
        rows = [json.loads(line) for line in Path(content["file"]).with_suffix(".jsonl").read_text().splitlines()]
        counts = Counter(row["how"] for row in rows)
        assert (counts["natural"], counts["cap"], counts["wait"]) == (N * LIMIT, LIMIT, LIMIT)
        assert counts["steps: cut"] == content["ablations"]["cut"]["n"] > 0
        right = [row["verdict"] == "equal" for row in rows if row["how"] == "natural"]
        assert sum(right) / len(right) == content["natural"]["accuracy"]["value"]
        assert sum(row["tokens"] for row in rows if row["how"] == "natural") / (N * LIMIT) == pytest.approx(
            content["natural"]["tokens_per_query"]
        )


def test_tables_of_a_study(found: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    print_chains(found)
    text = capsys.readouterr().out
    assert "training: 3e+09 FLOPs up to the first one, 7e+09 up to this one" in text
    assert "what stands behind steps is drawn anew" in text
    assert "the whole chain as it was sampled" in text
    assert "natural length: " in text
    assert "Gain of one chain on several of the first one's that take as many tokens" in text
    assert "…" not in text
    assert "called for, None" not in text
    assert text.count("│ natural length ") == len(found), "against chains of one try"
    assert "natural accuracy, 1.000: " in text
    assert "step_000002 has been cheaper than warmup, for all that its training has cost 4e+09 FLOPs more" in text
    cost = f"{found[1]['gain']['break_even'][-1]['query'][0]:.3g}"
    (row,) = [line for line in text.splitlines() if line.count(cost) == 2 and "never [" in line]
    assert row.split()[:6] == ["│", "1.000", "│", cost, "│", cost]


def test_a_smaller_study_has_a_file_of_its_own_and_the_page_the_larger_one(
    found: list[dict[str, Any]], run: Path, config: Config
) -> None:
    large = Path(found[0]["file"])
    before = large.read_bytes()
    (small,) = studied(config, run, n=3, names=("warmup",), limit=2)
    assert small["file"].endswith("-n3-budget4-limit2.json")
    assert small["settings"]["problems"] == 2
    assert large.read_bytes() == before
    record = read_run(run, "run")
    assert record.notes == []
    natural = [curve for curve in record.curves if curve.strategy == "natural"]
    assert {(curve.checkpoint, curve.points[0].accuracy.n) for curve in natural} == {(name, LIMIT) for name in PATIENCE}
    listed = {(source, step) for source, step, _ in _rows(record) if "-n2-" in source}
    assert listed == {(f"{Path(content['file']).stem}, natural", step) for content, step in zip(found, (0, 2), strict=True)}, (
        "what is forced or altered is not listed, and each chain at the step of its checkpoint"
    )


def test_names_tell_what_is_not_as_usual() -> None:
    assert study_name("warmup", "dev", {"n": 4, "budget": 8, "limit": None}) == "chains-warmup-dev"
    assert study_name("warmup", "dev", {"n": 4, "budget": 8, "limit": 300}) == "chains-warmup-dev-limit300"
