"""`reft eval --on` as a user types it: a fresh model, several benchmarks, workers, killed half-way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reft.config import ModelConfig
from reft.model import make_fresh
from reft.tokenizer import bpe_tokenizer

QUESTIONS = [f"Ann has {at} pens and Bob has {at % 7}. How many pens have they together?" for at in range(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("eval")
    tokenizer = bpe_tokenizer(QUESTIONS, 300, 128)
    make_fresh(ModelConfig(layers=1, width=16, heads=2, context=128), tokenizer, 0, folder / "fresh")
    (folder / "data").mkdir()
    rows = [{"question": text, "answer": f"#### {at + at % 7}"} for at, text in enumerate(QUESTIONS)]
    rows[7]["answer"] = "#### \\\\frac{1"
    (folder / "data" / "gsm8k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "data" / "amc23.jsonl").write_text(json.dumps({"problem": QUESTIONS[0], "answer": 0.0}) + "\n")
    return folder


def command(*words: str) -> list[str]:
    settings = ["sampling.max_tokens=24", "evaluate.samples=4", "rollout.workers=2", "rollout.shard_size=32"]
    return [sys.executable, "-m", "reft", "eval", "fresh", "--data", "data", *settings, *words]


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=folder, env=environment(), capture_output=True, text=True, timeout=600, check=False
    )


def test_killed_half_way_it_goes_on_to_the_same_end(folder: Path) -> None:
    process = subprocess.Popen(
        command("--on", "gsm8k"), cwd=folder, env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    part, deadline = folder / "eval" / "fresh-gsm8k.part.jsonl", time.monotonic() + 240
    while not (part.exists() and len(part.read_text().splitlines()) > 1):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = len(part.read_text().splitlines()) - 1
    assert 256 <= done < 599, "it was killed half-way"
    went_on = run(folder, "--on", "gsm8k,amc23")
    assert went_on.returncode == 0, went_on.stderr[-3000:]
    assert "of 599 problems are done already; going on" in went_on.stderr
    whole = run(folder, "--on", "gsm8k", "--out", "whole", "rollout.workers=1")
    assert whole.returncode == 0, whole.stderr[-3000:]
    files = [folder / name / "fresh-gsm8k.jsonl" for name in ("eval", "whole")]
    assert files[0].read_text() == files[1].read_text(), "neither the kill nor the number of workers changes a chain"
    content = json.loads((folder / "eval" / "fresh-gsm8k.json").read_text())
    assert content["unscored"]["count"] == 1
    assert content["sampled"]["estimates"]["tokens_per_chain"]["n"] == content["problems"] == 599
    assert content["sampled"]["verdict_error"] is None, "nobody can tell"
    assert json.loads((folder / "eval" / "fresh-amc23.json").read_text())["problems"] == 1


def test_what_is_done_is_not_done_again(folder: Path) -> None:
    begun = run(folder, "--on", "amc23", "--against", "fresh")
    assert begun.returncode == 0, begun.stderr[-3000:]
    assert "+0.000 [+0.000, +0.000], better on 0, worse on 0; p = 1" in begun.stdout
    assert "chain/s" not in run(folder, "--on", "amc23").stderr
