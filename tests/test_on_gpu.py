"""Whole runs on a GPU that learner and worker share: they agree, a killed one goes on as itself, nothing else is taken."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.devices import GPU
from tests.test_end_to_end import SMALL, samples

pytestmark = GPU
SHARED = ("learner.gpus=0.5", "rollout.gpus=0.5", "rollout.workers=1")


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    (folder / "small.yaml").write_text(SMALL)
    environment = {key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", "DS_ACCELERATOR")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-m", "reft", *words], cwd=folder, env=environment, text=True, **pipes)


def run(folder: Path, *words: str) -> str:
    process = start(folder, *words)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err[-3000:]
    return out


def metrics(folder: Path, name: str, phase: str) -> list[dict[str, float]]:
    """Without what is of the clock."""
    rows = [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in row.items() if not name.startswith("time/") and "per_second" not in name}
        for row in rows
        if row["phase"] == phase
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def together(folder: Path) -> Path:
    """A complete run whose learner and worker are on one GPU."""
    run(folder, "run", "small.yaml", "run.dir=shared", *SHARED)
    return folder / "shared"


def test_learner_and_worker_agree(together: Path) -> None:
    steps = metrics(together.parent, "shared", "reinforce")
    assert [row["step"] for row in steps] == [1, 2, 3, 4]
    assert all(row["policy/ratio_deviation_first"] <= 1e-4 for row in steps)
    assert all(row["sampler/logprob_gap_max"] < 1e-4 for row in steps)


def test_its_checkpoints_are_evaluated_and_studied_there(together: Path) -> None:
    folder, checkpoint = together.parent, "shared/checkpoints/step_000004"
    assert "n = 10" in run(folder, "eval", checkpoint, "evaluate.limit=10", "--vote", "4")
    assert "sampled" in run(folder, "sample", checkpoint, "-n", "2")
    assert "length" in run(folder, "chains", checkpoint, "--limit", "10", "-n", "2")
    run(folder, "report", "shared")


def test_one_that_was_killed_goes_on_as_itself(together: Path) -> None:
    folder = together.parent
    process = start(folder, "run", "small.yaml", "run.dir=killed", *SHARED)
    ends = time.monotonic() + 300
    while not (folder / "killed" / "checkpoints" / "step_000002").exists():
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < ends
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    run(folder, "run", "small.yaml", "run.dir=killed", *SHARED)
    assert metrics(folder, "killed", "warmup") == metrics(folder, "shared", "warmup")
    assert metrics(folder, "killed", "reinforce") == metrics(folder, "shared", "reinforce")
    assert samples(folder, "killed") == samples(folder, "shared")


def test_a_divided_model_in_bfloat16(folder: Path) -> None:
    words = ("learner.zero=3", "model.dtype=bfloat16", "model.critic=separate")
    run(folder, "run", "small.yaml", "run.dir=divided", *SHARED, *words)
    assert all(0 <= row["sampler/logprob_gap_max"] < 0.5 for row in metrics(folder, "divided", "reinforce"))


def test_a_gpu_that_is_not_asked_for_is_left_alone(folder: Path) -> None:
    run(folder, "run", "small.yaml", "run.dir=plain", "rollout.workers=1")
    assert len(metrics(folder, "plain", "reinforce")) == 4
