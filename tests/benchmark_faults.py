"""What it costs to lose workers, and to save: `python -m tests.benchmark_faults [PAIRS]`.

From one warm-up of the quickstart, runs of 40 steps by turns: as they are, and with a rollout worker killed behind every tenth
step. A step is sampling, credit, update and publishing; recovery is from finding a worker lost to its successor being ready.
Three pairs, where none are asked for; each takes three to four minutes on two cores.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil

STEPS = 40
EVERY = 10
PARTS = ("time/sample", "time/credit", "time/update", "time/publish")
WORKER = "ray::WorkerHost"


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reft(folder, "warmup", "start").check_returncode()
        rows = [(measure(folder, f"plain{pair}", 0), measure(folder, f"killed{pair}", EVERY)) for pair in range(pairs)]
    print(f"\n{'pair':>4}{'s a step':>10}{'killed':>10}{'ratio':>8}{'workers lost':>14}{'back (s)':>10}{'a checkpoint':>14}")
    for pair, (plain, killed) in enumerate(rows):
        print(
            f"{pair:4}{plain['step']:10.3f}{killed['step']:10.3f}{killed['step'] / plain['step']:8.2f}{killed['lost']:14.0f}"
            f"{killed['back']:10.1f}{plain['save'] / plain['step']:14.1%}"
        )
    ratio = median(killed["step"] / plain["step"] for plain, killed in rows)
    saving = median(plain["save"] / plain["step"] for plain, _ in rows)
    print(f"median: {ratio:.2f} times the step time with a worker killed every {EVERY}; a checkpoint is {saving:.1%} of a step")


def reft(folder: Path, command: str, name: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(line(command, name, *words), cwd=folder, check=False, text=True, stdout=subprocess.DEVNULL)


def line(command: str, name: str, *words: str) -> list[str]:
    settings = [f"train.steps={STEPS}", "train.save_every=5", f"train.eval_every={STEPS}", "evaluate.limit=50", *words]
    return [sys.executable, "-m", "reft", command, "quickstart", f"run.dir={name}", *settings]


def measure(folder: Path, name: str, every: int) -> dict[str, float]:
    """Means of one run's steps, with a worker killed behind each `every`-th step, or never."""
    shutil.copytree(folder / "start", folder / name)
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    process = subprocess.Popen(line("train", name), cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    done = 0
    while process.poll() is None:
        count = len(steps(folder / name))
        if every and count // every > done // every and count < STEPS:
            kill_worker(process.pid)
        done = count
        time.sleep(0.02)
    assert process.returncode == 0, f"{name} ended with {process.returncode}"
    rows = steps(folder / name)
    assert len(rows) == STEPS
    saves = [row["time/save"] for row in rows if "time/save" in row]
    return {
        "step": sum(row[part] for row in rows for part in PARTS) / STEPS,
        "save": sum(saves) / len(saves),
        "lost": sum(row["faults/worker_restarts"] for row in rows),
        "back": max(row["faults/recovery_seconds"] for row in rows),
    }


def steps(path: Path) -> list[dict[str, Any]]:
    file = path / "metrics.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
    rows = [json.loads(text) for text in lines if text.endswith("\n")]
    return [row for row in rows if row["phase"] == "reinforce"]


def kill_worker(run: int) -> None:
    for process in psutil.Process(run).children(recursive=True):
        if WORKER in " ".join(process.cmdline()):
            process.send_signal(signal.SIGKILL)
            return


if __name__ == "__main__":
    main()
