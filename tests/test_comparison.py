"""`reft compare` as its users run it, small: one warm-up for all, equal budgets, a table, a chart, and going on."""

import json
import re
from pathlib import Path

import pytest

from tests.test_end_to_end import run
from tests.test_self_training import STAR

CONFIG = STAR.replace("train: {steps: 0}", "train: {steps: 2, prompts: 30, eval_every: 1, save_every: 1}").replace(
    STAR[STAR.index("self_training:") : STAR.index("learner:")], ""
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparison")
    (folder / "tiny.yaml").write_text(CONFIG)
    done = run(folder, "compare", "tiny.yaml", "run.dir=all", "--methods", "sft,star,online-st,reft")
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "all.out").write_text(done.stdout)
    return folder


def content(folder: Path, budget: str = "samples") -> dict:
    return json.loads((folder / "all" / f"comparison-{budget}.json").read_text())


def test_every_method_starts_from_the_one_warm_up(folder: Path) -> None:
    weights = (folder / "all" / "warmup" / "checkpoints" / "warmup" / "model.safetensors").read_bytes()
    for method in ("sft-samples", "star-samples", "online-st-samples", "reft"):
        assert (folder / "all" / method / "checkpoints" / "warmup" / "model.safetensors").read_bytes() == weights
        phases = {json.loads(line)["phase"] for line in (folder / "all" / method / "metrics.jsonl").read_text().splitlines()}
        assert "warmup" not in phases, "no warm-up of its own"


def test_budgets_are_equal_and_what_was_spent_is_told(folder: Path) -> None:
    results = {result["method"]: result for result in content(folder)["methods"]}
    assert list(results) == ["sft", "star", "online-st", "reft"], "in the order that was asked for"
    assert {method: result["spending"]["chains"] for method, result in results.items()} == {
        "sft": 60, "star": 60, "online-st": 60, "reft": 60,
    }  # fmt: skip
    assert all(result["spending"]["flops"] > 0 and result["spending"]["seconds"] > 0 for result in results.values())
    assert [point[0] for point in results["reft"]["curve"]] == [30, 60]
    assert [point[0] for point in results["star"]["curve"]] == [20, 40, 60]
    for result in results.values():
        for estimate in result["accuracy"].values():
            assert estimate["n"] == 40
            assert estimate["low"] <= estimate["value"] <= estimate["high"]


def test_the_table_and_the_chart(folder: Path) -> None:
    text = (folder / "all.out").read_text()
    rows = [line for line in text.splitlines() if line.startswith("│")]
    assert [row.split()[1] for row in rows] == ["warm-up", "sft", "star", "online-st", "reft"]
    assert all(len(row.split("[")) == 3 for row in rows), "two intervals a row, unbroken"
    drawn = (folder / "all" / "comparison-samples.svg").read_text()
    assert drawn.startswith("<?xml")
    assert "</svg>" in drawn


@pytest.mark.slow
def test_a_second_command_starts_nothing_and_another_budget_only_what_differs(folder: Path) -> None:
    before = content(folder)
    again = run(folder, "compare", "tiny.yaml", "run.dir=all", "--methods", "sft,star,online-st,reft")
    assert again.returncode == 0
    assert content(folder) == before
    assert "imitate" not in again.stderr
    done = run(folder, "compare", "tiny.yaml", "run.dir=all", "--methods", "reft,star", "--budget", "flops")
    assert done.returncode == 0, done.stderr[-3000:]
    spent = {result["method"]: result["spending"] for result in content(folder, "flops")["methods"]}
    assert spent["star"]["chains"] > spent["reft"]["chains"] == 60, "sampling costs less than learning"
    assert 0.4 < spent["star"]["flops"] / spent["reft"]["flops"] < 2.5, "a few chains are hard to plan, but so far"
    assert done.stderr.count("reinforce") == 0, "reft is the same whatever the budget"
    other = run(folder, "compare", "tiny.yaml", "run.dir=all", "train.steps=3", "--methods", "reft")
    assert other.returncode == 2
    assert "holds a run with train.steps=2, not 3" in other.stderr


def test_minutes_are_planned_from_the_speed_of_the_warm_up(folder: Path) -> None:
    """How many chains they buy is the machine's; that they buy some, which are all spent, is ours."""
    done = run(folder, "compare", "tiny.yaml", "run.dir=all", "--methods", "sft,reft", "--budget", "minutes")
    assert done.returncode == 0, done.stderr[-3000:]
    (sft, reft) = content(folder, "minutes")["methods"]
    assert reft == content(folder)["methods"][-1], "the run that is there"
    planned = re.search(r"sft: ([\d,]+) chains", done.stderr)
    assert planned is not None
    assert sft["spending"]["chains"] == int(planned[1].replace(",", "")) > 0
    assert sft["directory"] != content(folder)["methods"][0]["directory"]


def test_what_a_budget_does_not_pay_for_is_said_before_any_method_spends_it(folder: Path) -> None:
    done = run(folder, "compare", "tiny.yaml", "run.dir=all", "--methods", "reft,rest-em,offline-st", "--budget", "flops")
    assert done.returncode == 2
    assert "--budget flops: offline-st imitates the demonstrations anew, which costs" in done.stderr
    assert "rest-em:" not in done.stderr
    assert not (folder / "all" / "rest-em-flops").exists()


@pytest.mark.slow
def test_a_method_that_fails_is_named_and_the_others_stand(folder: Path) -> None:
    """Three chains of a model that knows nothing hold no right one for STaR to imitate."""
    small = ["warmup.epochs=0.02", "train.steps=1", "train.prompts=3", "self_training.growth=1.5"]
    done = run(folder, "compare", "tiny.yaml", "run.dir=part", *small, "--methods", "star,reft")
    assert done.returncode == 2, done.stderr[-3000:]
    assert "not compared: self_training.growth; a method's rounds follow from the budget" in done.stderr
    assert "star failed: round 1: 0.000 of 1 sampled chains are right" in done.stdout
    written = json.loads((folder / "part" / "comparison-samples.json").read_text())
    assert [result["method"] for result in written["methods"]] == ["reft"]
    assert list(written["failed"]) == ["star"]
    alone = run(folder, "compare", "tiny.yaml", "run.dir=part", *small, "--methods", "star")
    assert alone.returncode == 2
    assert "reft: star: round 1: 0.000 of 1 sampled chains" in alone.stderr


def test_a_wrong_method_is_one_line(folder: Path) -> None:
    done = run(folder, "compare", "tiny.yaml", "--methods", "sft,magic")
    assert done.returncode == 2
    assert (
        "reft: --methods: 'magic' is unknown; choose from sft, star, rft, rest-em, offline-st, online-st, reft" in done.stderr
    )
    assert not (folder / "runs").exists()
