"""A disk that is full in the middle of a run: told in a line, and gone on from where it was."""

import errno
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.test_matrix import CONFIG, drawn, lasting

pytestmark = pytest.mark.faults

SIZE = 24 << 20
"""Bytes of the disk; two runs of `CONFIG` take a few MiB."""
STEPS = 12


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("disk")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(path)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"a small disk cannot be made here: {made.stderr.strip()}")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def start(folder: Path, name: str) -> "subprocess.Popen[str]":
    (folder / "small.yaml").write_text(CONFIG)
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    words = [
        sys.executable,
        "-m",
        "reft",
        "run",
        str(folder / "small.yaml"),
        f"run.dir={folder / name}",
        f"train.steps={STEPS}",
    ]
    return subprocess.Popen(
        words, cwd=tempfile.gettempdir(), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def end(process: "subprocess.Popen[str]") -> tuple[int, str]:
    told, _ = process.communicate(timeout=400)
    return process.returncode, told


def await_row(process: "subprocess.Popen[str]", path: Path, phase: str) -> None:
    ends = time.monotonic() + 300
    file = path / "metrics.jsonl"
    while not file.exists() or f'"phase": "{phase}"' not in file.read_text():
        assert process.poll() is None, "it ended early"
        assert time.monotonic() < ends
        time.sleep(0.02)


def fill(disk: Path) -> Path:
    """Take what is left of the disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                file.writelines(itertools.repeat(b"x" * size))
    return ballast


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("straight")
    status, told = end(start(folder, "run"))
    assert status == 0, told[-3000:]
    return folder / "run"


@pytest.mark.parametrize("phase", ["warmup", "reinforce"])
def test_a_run_on_a_full_disk_goes_on_when_there_is_space_again(phase: str, straight: Path, disk: Path) -> None:
    process = start(disk, phase)
    await_row(process, disk / phase, phase)
    ballast = fill(disk)
    status, told = end(process)
    assert status == 2, told[-3000:]
    assert "Traceback" not in told
    assert "No space left on device; free some space, then the same command goes on" in told.splitlines()[-1]
    assert str(disk) in told.splitlines()[-1], "which disk"
    ballast.unlink()
    status, told = end(start(disk, phase))
    assert status == 0, told[-3000:]
    assert lasting(disk / phase) == lasting(straight), "metrics"
    assert drawn(disk / phase) == drawn(straight), "samples"
    last = f"checkpoints/step_{STEPS:06d}/model.safetensors"
    assert (disk / phase / last).read_bytes() == (straight / last).read_bytes(), "weights"
