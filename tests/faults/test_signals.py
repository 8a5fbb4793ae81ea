"""SIGTERM as schedulers send it: more than once, to a run and while it ends."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults.test_matrix import steps
from tests.faults.test_processes import await_step, start

pytestmark = pytest.mark.faults


def test_sigterm_over_and_over_saves_and_ends_well(tmp_path: Path) -> None:
    process = start(tmp_path, "run", "train.steps=400")
    await_step(process, tmp_path / "run", 3)
    while process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
        time.sleep(0.25)
    told = (tmp_path / "run.log").read_text()
    assert process.returncode == 0, told[-3000:]
    assert "SIGTERM: stopped and saved; the same command goes on" in told
    assert "Traceback" not in told
    last = steps(tmp_path / "run")[-1]["step"]
    assert (tmp_path / "run" / "checkpoints" / f"step_{last:06d}" / "manifest.json").is_file()
