"""`reft eval --strategy` and `reft sample` on checkpoints, as a user types them: in a run and alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reft.cli import main
from reft.compose import compose
from reft.files import build_folder
from reft.report.read import read_run
from tests.test_readme import glossary

SETTINGS = ["evaluate.limit=9", "rollout.shard_size=4", "sampling.max_tokens=40"]


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a checkpoint, and the same model alone."""
    folder = tmp_path_factory.mktemp("search")
    shutil.copytree(tiny_model, folder / "alone")
    (folder / "run").mkdir()
    (folder / "run" / "config.yaml").write_text(compose("quickstart", []).yaml())

    def fill(path: Path) -> None:
        shutil.copytree(tiny_model, path, dirs_exist_ok=True)

    build_folder(folder / "run" / "checkpoints" / "step_000001", fill)
    return folder


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    command = [sys.executable, "-m", "reft", "eval", *words, *SETTINGS]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False)


def names(content: Any) -> set[str]:
    """Fields of what is reported, those of estimates and of the setup apart."""
    if isinstance(content, list):
        return set().union(*map(names, content))
    if not isinstance(content, dict) or {"value", "low"} <= content.keys():
        return set()
    return set(content) | set().union(*(names(value) for key, value in content.items() if key != "setup"))


@pytest.mark.slow
def test_a_run_s_checkpoint_takes_its_task_by_a_strategy(folder: Path) -> None:
    words = ["run/checkpoints/step_000001", "--strategy", "wait", "--budget", "4,1,2"]
    done = run(folder, *words, "rollout.workers=2")
    assert done.returncode == 0, done.stderr[-3000:]
    file = folder / "run" / "eval" / "step_000001-test-wait-budget1-2-4.json"
    content = json.loads(file.read_text())
    rows = [json.loads(line) for line in file.with_suffix(".jsonl").read_text().splitlines()]
    assert len(rows) == content["problems"] == 9
    (curve,) = content["curves"]
    for at, point in enumerate(curve["points"]):
        assert point["accuracy"]["n"] == 9
        assert point["tokens_per_query"] == sum(row["found"][at]["tokens"] for row in rows) / 9
        assert f"│ {point['budget']:>5} │ {point['accuracy']['value']:.3f} [" in done.stdout
        for row in rows:
            one = row["found"][at]
            drawn = sum(row["chains"][place]["tokens"] for place in one["chains"])
            assert one["tokens"] == drawn + one["discarded"], "each token that was drawn"
    assert sum(one["discarded"] for row in rows for one in row["found"]) > 0, "this engine looks at every eighth"
    assert "were drawn behind an ending before the engine looked for one" in done.stdout
    assert names(content) - glossary() == set()
    again = run(folder, *words, "rollout.workers=2")
    assert "problem/s" not in again.stderr, "what is done is not done again"
    assert again.stdout == done.stdout
    whole = run(folder, *words, "--out", "whole", "rollout.workers=1")
    assert whole.returncode == 0, whole.stderr[-3000:]
    other = folder / "whole" / f"run-{file.stem}.jsonl"
    assert other.read_text() == file.with_suffix(".jsonl").read_text(), "the number of workers changes nothing"
    (drawn_curve,) = [curve for curve in read_run(folder / "run", "run").curves if curve.strategy == "wait"]
    assert [point.label for point in drawn_curve.points] == ["1 try", "2 tries", "4 tries"]
    assert (drawn_curve.checkpoint, drawn_curve.split) == ("step_000001", "test")


def test_a_checkpoint_alone_takes_what_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run(folder, "alone", "--on", "signed_sum", "--strategy", "vote", "--budget", "1,3", "--split", "dev")
    assert done.returncode == 0, done.stderr[-3000:]
    content = json.loads((folder / "eval" / "alone-signed_sum-vote-budget1-3.json").read_text())
    assert content["setup"]["source"] == "dev split of task signed_sum"
    assert [curve["strategy"] for curve in content["curves"]] == ["vote", "upper_bound"]
    assert names(content) - glossary() == set()
    assert main(["eval", str(folder / "alone"), "--strategy", "vote"]) == 2
    assert "lies in no run directory, so its task is not known; add --on NAME" in capsys.readouterr().err
    assert main(["eval", str(folder / "alone"), "--on", "signed_sum", "--strategy", "revise", *SETTINGS]) == 2
    assert "--strategy revise puts words before the model that the tokenizer of" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--task", "signed_sum"], ["--config", "quickstart"], ["--task", "signed_sum", "--problem", "3"]]
)
def test_a_checkpoint_alone_is_watched(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(["sample", str(folder / "alone"), *words]) == 0
    text = capsys.readouterr().out
    shown = 1 if "--problem" in words else 3
    assert (text.count("  greedy  "), text.count("  sampled ")) == (shown, 2 * shown)
    assert text.count("tokens, ended by") == 3 * shown, "and judged"


def test_a_checkpoint_alone_is_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", str(folder / "alone"), "--prompt", "a 1 b 1 c 1 > 1 ?", "--samples", "1"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("a 1 b 1 c 1 > 1 ?\n")
    assert "ended by" not in text, "nobody can judge"
    assert (
        main(["sample", str(folder / "alone"), "--task", "signed_sum", "--strategy", "vote", "--budget", "2", "-n", "1"]) == 0
    )
    assert capsys.readouterr().out.count("→ vote 2: ") == 1
    assert main(["sample", str(folder / "alone"), "--task", "word_problems"]) == 2
    assert "it was made for" in capsys.readouterr().err
