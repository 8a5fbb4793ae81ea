"""Each process of a run, Ray's own among them, killed in the middle of it: the run outlives that, or the same command goes on,
to the weights, samples and metrics of a run without."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.test_matrix import CONFIG, drawn, lasting, steps

pytestmark = pytest.mark.faults

KINDS = {
    "rollout worker": "ray::WorkerHost",
    "learner": "ray::_Member",
    "raylet": "/raylet/raylet ",
    "gcs": "/gcs_server ",
    "runtime agent": "ray::RuntimeEnvAgent",
    "log monitor": "/log_monitor.py",
}
"""What in a process's command says which it is."""
STEPS = 12


def start(folder: Path, name: str, *words: str) -> "subprocess.Popen[bytes]":
    (folder / "small.yaml").write_text(CONFIG)
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    command = [sys.executable, "-m", "reft", "run", "small.yaml", f"run.dir={name}", f"train.steps={STEPS}", "ray.heartbeat=20"]
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen([*command, *words], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)


def find(run: psutil.Process, kind: str) -> list[psutil.Process]:
    found = []
    for process in run.children(recursive=True):
        try:
            if KINDS[kind] in " ".join(process.cmdline()) + " ":
                found.append(process)
        except psutil.NoSuchProcess:
            continue  # it has just ended
    return found


def await_step(process: "subprocess.Popen[bytes]", path: Path, step: int) -> None:
    ends = time.monotonic() + 300
    while not (path / "metrics.jsonl").exists() or len(steps(path)) < step:
        assert process.poll() is None, "it ended early"
        assert time.monotonic() < ends
        time.sleep(0.02)


def ended_by_ray(pid: int) -> bool:
    """Whether Ray has ended the process that ran it, at once and without a word of Python's: so it does, now and then before
    anything else, where the object store in its raylet does not answer any more."""
    logs = Path("/tmp/ray/session_latest/logs").glob(f"python-core-driver-*_{pid}.log")
    return any("connection to the plasma store is failed. Terminate the process" in log.read_text() for log in logs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def straight(folder: Path) -> Path:
    process = start(folder, "straight")
    assert process.wait(timeout=400) == 0, (folder / "straight.log").read_text()[-3000:]
    return folder / "straight"


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_outlives_the_end_of_its(kind: str, folder: Path, straight: Path) -> None:
    name = kind.replace(" ", "-")
    process = start(folder, name)
    await_step(process, folder / name, 5)
    killed = find(psutil.Process(process.pid), kind)
    assert killed, f"there is no {kind}"
    killed[0].send_signal(signal.SIGKILL)
    commands, begun = 1, time.monotonic()
    while process.wait(timeout=400) != 0:
        said = (folder / f"{name}.log").read_text()
        assert kind in ("raylet", "gcs", "runtime agent"), said[-3000:]
        assert commands < 2
        if kind == "runtime agent":  # Ray ends a raylet that has lost it
            assert "reft: no node of the Ray cluster is left" in said or ended_by_ray(process.pid), said[-3000:]
        commands += 1
        process = start(folder, name)
    print(f"\n{kind}: {commands} commands, {time.monotonic() - begun:.1f} s behind the kill")
    assert lasting(folder / name) == lasting(straight), "metrics"
    assert drawn(folder / name) == drawn(straight), "samples"
    last = f"checkpoints/step_{STEPS:06d}/model.safetensors"
    assert (folder / name / last).read_bytes() == (straight / last).read_bytes(), "weights"
