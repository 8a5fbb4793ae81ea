"""A node of the cluster that goes in the middle of a run, and one that comes: workers go on where there is room."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from tests.faults.test_matrix import CONFIG, drawn, lasting

pytestmark = pytest.mark.faults

WORDS = (
    "train.steps=14", "train.save_every=7", "train.eval_every=14", "learner.cpus=3", "rollout.cpus=1", "rollout.workers=2",
)  # fmt: skip
"""The learner fits on the head alone, and fills it; so each node has a worker."""


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "object_store_memory": 1 << 27})
    yield made
    made.shutdown()


def start(folder: Path, name: str, address: str | None) -> subprocess.Popen[str]:
    (folder / "small.yaml").write_text(CONFIG)
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    place = [f"ray.address={address}"] if address else []
    words = [sys.executable, "-m", "reft", "run", "small.yaml", f"run.dir={folder / name}", *WORDS, *place]
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True)


def await_step(process: subprocess.Popen[str], path: Path, step: int) -> None:
    ends = time.monotonic() + 300
    while not any(row.stem == f"step_{step:06d}" for row in (path / "samples").glob("*.jsonl")):
        assert process.poll() is None, "it ended early"
        assert time.monotonic() < ends
        time.sleep(0.1)


def restarts(path: Path) -> int:
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return int(sum(row.get("faults/worker_restarts", 0) for row in rows))


def test_a_node_goes_and_another_comes(tmp_path: Path, nodes: Cluster) -> None:
    straight = start(tmp_path, "straight", None)
    assert straight.wait(timeout=400) == 0, (tmp_path / "straight.log").read_text()[-3000:]
    first, second = (add(nodes) for _ in range(2))
    process = start(tmp_path, "run", nodes.address)
    await_step(process, tmp_path / "run", 2)
    nodes.remove_node(second, allow_graceful=False)
    await_step(process, tmp_path / "run", 6)  # by the worker that is left
    add(nodes)
    await_step(process, tmp_path / "run", 9)
    nodes.remove_node(first, allow_graceful=False)  # now the one on the new node is the only one
    told = (tmp_path / "run.log").read_text
    assert process.wait(timeout=400) == 0, told()[-3000:]
    assert told().count("another takes its place") == restarts(tmp_path / "run") >= 2
    assert "its node is gone" in told()
    assert drawn(tmp_path / "run") == drawn(tmp_path / "straight"), "no sample is lost, none is another"
    assert lasting(tmp_path / "run") == lasting(tmp_path / "straight"), "metrics"


def add(nodes: Cluster) -> Any:
    return nodes.add_node(num_cpus=1, object_store_memory=1 << 27)
