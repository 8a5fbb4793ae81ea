"""Ranks of a process group, each a process of its own."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_processes(module: str, world: int, arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
    """Run a module as so many ranks, with `variables` in their environment; all must end well."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    processes = []
    for rank in range(world):
        environment = os.environ | {
            "RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port), "PYTHONPATH": str(Path(__file__).parent.parent), "OMP_NUM_THREADS": "1",
            **(variables or {}),
        }  # fmt: skip
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert all(process.returncode == 0 for process in processes), "\n".join(output[-3000:] for output in outputs)
