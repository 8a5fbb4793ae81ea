"""The Slurm script, with stand-ins for Slurm's own commands that do their work on this machine: real Ray, a real run."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.test_end_to_end import SMALL

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent.parent / "launch" / "slurm.sh"
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
case $* in "hostname --ip-address") echo ::1 127.0.0.1; exit;; esac
exec "$@"
"""
SCONTROL = """#!/bin/bash
case "$1 $2" in
    "show hostnames") printf 'here\\nthere\\n';;
    "show job") echo "JobState=$(cat state)";;
    *) echo "$@" >> scontrol.log;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(SMALL.replace("steps: 4", "steps: 400").replace("eval_every: 2", "eval_every: 100"))
    (tmp_path / "state").write_text("RUNNING")
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(stat.S_IRWXU)
    return tmp_path


def start(folder: Path, nodes: int, *words: str) -> "subprocess.Popen[str]":
    places = [str(folder), str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"} | {
        "PATH": os.pathsep.join(places),
        "PORT": str(free_port()),
        "SLURM_JOB_NUM_NODES": str(nodes),
        "SLURM_JOB_NODELIST": "here,there",
        "SLURM_JOB_ID": "77",
        "SLURM_CPUS_ON_NODE": "2",
    }
    with (folder / "log").open("a") as log:
        return subprocess.Popen(
            ["bash", str(SCRIPT), *words], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True
        )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("", 0))
        return listener.getsockname()[1]


def await_text(process: "subprocess.Popen[str]", file: Path, text: str) -> None:
    ends = time.monotonic() + 300
    while not file.exists() or text not in file.read_text():
        assert process.poll() is None, f"it ended with {process.returncode}"
        assert time.monotonic() < ends
        time.sleep(0.1)


def test_a_run_over_two_nodes_saves_when_it_is_asked_to_and_is_queued_again(folder: Path) -> None:
    process = start(folder, 2, "small.yaml", f"run.dir={folder / 'run'}")
    await_text(process, folder / "run" / "metrics.jsonl", '"phase": "reinforce"')
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 0
    assert (folder / "scontrol.log").read_text() == "requeue 77\n"
    assert "ray.address" not in (folder / "log").read_text()
    assert (folder / "reft-77.ray.log").read_text().count("Ray runtime started") == 2
    saved = sorted(path.name for path in (folder / "run" / "checkpoints").glob("step_*"))
    assert saved
    again = start(folder, 2, "small.yaml", f"run.dir={folder / 'run'}", f"train.steps={int(saved[-1][5:]) + 2}")
    told = folder / "log"
    assert again.wait(timeout=300) == 2, "other settings are another run"
    assert "holds a run with train.steps=400" in told.read_text()
    assert (folder / "scontrol.log").read_text() == "requeue 77\n", "and nothing to queue again"


def test_a_job_that_is_cancelled_saves_and_is_not_queued_again(folder: Path) -> None:
    process = start(folder, 1, "small.yaml", f"run.dir={folder / 'run'}")
    await_text(process, folder / "run" / "metrics.jsonl", '"phase": "reinforce"')
    (folder / "state").write_text("COMPLETING")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 0
    assert "SIGTERM: stopped and saved" in (folder / "log").read_text()
    assert list((folder / "run" / "checkpoints").glob("step_*"))
    assert not (folder / "scontrol.log").exists()


def test_what_is_no_job_or_has_no_folder_is_refused(folder: Path) -> None:
    assert start(folder, 1, "small.yaml").wait(timeout=60) == 2
    assert "usage: sbatch" in (folder / "log").read_text()
    done = subprocess.run(
        ["bash", str(SCRIPT), "small.yaml", "run.dir=x"], cwd=folder, capture_output=True, text=True, check=False,
        env={key: value for key, value in os.environ.items() if key != "SLURM_JOB_NUM_NODES"},
    )  # fmt: skip
    assert done.returncode != 0
    assert "submit this script with sbatch" in done.stderr
