"""A wheel, built and used where the checkout is not."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(words, check=True, timeout=300)
    (file,) = folder.glob("reft_rl-*.whl")
    return file


def test_it_holds_what_is_needed_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"reft", "rollout", "rewards"}
    assert {f"reft/configs/{path.name}" for path in ROOT.glob("configs/*.yaml")} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    sources = {
        str(path.relative_to(ROOT)) for folder in ("reft", "rollout", "rewards") for path in ROOT.glob(f"{folder}/**/*.py")
    }
    assert {name for name in names if name.endswith(".py")} == sources


def test_it_works_elsewhere(wheel: Path, tmp_path: Path) -> None:
    there = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(there), str(wheel)]
    subprocess.run(pip, check=True, timeout=300)
    # Dependencies come from this environment; the project itself must come from `there`.
    environment = {**os.environ, "PYTHONPATH": str(there)}
    where = subprocess.run(
        [sys.executable, "-c", "import reft; print(reft.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(there))
    done = subprocess.run(
        [str(there / "bin" / "reft"), "check", "quickstart"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "50 steps × 256 prompts" in done.stdout
