"""What a run was done with."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any


def environment() -> dict[str, Any]:
    """What a result depends on besides its settings."""
    names = ("reft-rl", "torch", "transformers", "deepspeed", "ray", "trl", "datasets", "sympy", "omegaconf")
    found = {dist.metadata["Name"].lower(): dist.version for dist in importlib.metadata.distributions()}
    revision = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return {
        "packages": {name: found.get(name) for name in names},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "git_revision": revision.stdout.strip() or None,
        "command": sys.argv,
    }
