"""`reft chains` as a user types it: a small policy that has warmed up, with one worker and with two."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from reft.compose import compose
from reft.report.read import read_run
from tests.test_end_to_end import command, run
from tests.test_readme import glossary
from tests.test_rerank import warm_up

TOTALS = """
task: {use: running_total, operands: 2, long_share: 0.9, train_size: 99, dev_size: 20, test_size: 40, demonstrations_size: 1280}
model: {layers: 1, width: 32, heads: 2, context: 32}
warmup: {epochs: 8, batch_size: 64, lr: 1.0e-2, ready_at: null}
sampling: {max_tokens: 12}
learner: {threads: 1}
rollout: {workers: 2, shard_size: 8}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chains")
    (folder / "totals.yaml").write_text(TOTALS)
    warm_up(folder / "two", compose(str(folder / "totals.yaml")))
    shutil.copytree(folder / "two", folder / "one")
    written = (folder / "one" / "config.yaml").read_text()
    assert "workers: 2" in written
    (folder / "one" / "config.yaml").write_text(written.replace("workers: 2", "workers: 1"))
    for name in ("one", "two"):
        done = run(folder, "chains", f"{name}/checkpoints/warmup", "-n", "3", "--budget", "2")
        assert done.returncode == 0, done.stderr[-3000:]
        (folder / f"{name}.txt").write_text(done.stdout)
    return folder


def report(folder: Path, name: str) -> dict:
    return json.loads((folder / name / "eval" / "chains-warmup-test-n3-budget2.json").read_text())


def test_the_number_of_workers_changes_nothing(folder: Path) -> None:
    one, two = (report(folder, name) for name in ("one", "two"))
    assert one.pop("file") != two.pop("file")
    assert one == two


def test_the_page_reads_all_that_is_written(folder: Path) -> None:
    record = read_run(folder / "one", "one")
    assert len(record.studies) == 1
    assert record.notes == []


@pytest.mark.slow
def test_killed_or_interrupted_it_goes_on_to_the_same_end(folder: Path) -> None:
    shutil.copytree(folder / "one", folder / "ended", ignore=shutil.ignore_patterns("chains-*"))
    words = command(folder, "chains", "ended/checkpoints/warmup", "-n", "3", "--budget", "2")
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    parts = folder / "ended" / "eval" / "chains-warmup-test-n3-budget2.parts"
    counts = []
    for end in (signal.SIGKILL, signal.SIGINT):
        before = len(list(parts.glob("*.jsonl")))
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + 240
        while len(list(parts.glob("*.jsonl"))) < before + 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        (os.killpg if end == signal.SIGKILL else os.kill)(process.pid, end)
        _, told = process.communicate(timeout=240)
        counts.append(len(list(parts.glob("*.jsonl"))))
        assert (process.returncode, counts[-1] >= 2) == (-end if end == signal.SIGKILL else 130, True)
    assert f"{counts[0]} parts with " in told
    assert "stopped; the same command goes on" in told
    done = run(folder, *words[3:])
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{counts[1]} parts with " in done.stderr
    assert counts[0] < counts[1]
    assert done.stdout.replace("/ended/", "/one/") == (folder / "one.txt").read_text()
    for file in (folder / "one" / "eval").glob("chains-*"):
        written = (folder / "ended" / "eval" / file.name).read_text()
        assert written.replace("/ended/", "/one/") == file.read_text()
    assert not parts.exists()


def test_cut_chains_end_in_the_natural_ones(folder: Path) -> None:
    content = report(folder, "one")
    natural, curves = content["natural"], {curve["strategy"]: curve for curve in content["curves"]}
    assert set(curves) == {"cap", "wait", "chain_vote", "chain_weighted", "chain_oracle"}
    budgets = [point["budget"] for point in curves["cap"]["points"]]
    tokens = [point["tokens_per_query"] for point in curves["cap"]["points"]]
    assert budgets[:4] == [1, 2, 4, 8]
    assert budgets[-1] <= 12
    assert curves["cap"]["unit"] == "tokens"
    last = curves["cap"]["points"][-1]
    for name in ("tokens_per_query", "flops_per_query", "accuracy"):
        assert last[name] == natural[name], "the last budget is the longest chain's"
    assert tokens[0] < tokens[2] < tokens[-1]
    assert 0 < natural["accuracy"]["value"] < 1


def test_each_key_is_explained(folder: Path) -> None:
    content = report(folder, "one")
    names = {*content, *content["curves"][0]} - {
        "checkpoint",
        "split",
        "seed",
        "sampling",
        "weights",
        "file",
        "strategy",
        "points",
    }
    assert names - glossary() - {"chains_per_problem"} == set()
    assert "scaling by ends taken away" in (folder / "one.txt").read_text()
