"""The rules of the house, read from the source: one direction of imports, heavy libraries in their rooms, small modules."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("rewards", "rollout", "reft")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

ROOMS = {
    "sympy": {"rewards/algebra/symbolic.py"},
    "ray": {"rollout/actors.py", "rollout/ray_pool.py", "reft/cluster.py", "reft/gang.py"},
    "deepspeed": {"reft/learner/zero.py"},
    "matplotlib": {"reft/chart.py"},
    "plotly": {"reft/report/page.py"},
    "tokenizers": {"reft/report/pieces.py", "reft/tokenizer.py"},
    "rapidfuzz": {"reft/selection.py"},
    "reasoning_gym": {"reft/tasks/gym.py"},
    "trl": {"reft/imitator.py"},
    "vllm": {"rollout/engines/vllm_engine.py"},
    "datasets": {"reft/imitator.py", "reft/tasks/hub.py"},
    "rich": {"reft/chain_table.py", "reft/grader.py", "reft/progress.py", "reft/summary.py", "reft/viewer.py"},
    "psutil": {"reft/memory.py", "reft/commands.py", "reft/cluster.py"},
}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            found.add(node.module or "")
    return found


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_go_one_way(path: Path) -> None:
    package = name(path).split("/")[0]
    allowed = PACKAGES[: PACKAGES.index(package) + 1]
    ours = {module.split(".")[0] for module in imports(path)} & set(PACKAGES)
    assert ours <= set(allowed), f"{name(path)} imports {ours - set(allowed)}"


@pytest.mark.parametrize("library", ROOMS)
def test_heavy_libraries_stay_in_their_rooms(library: str) -> None:
    users = {name(path) for path in MODULES if library in {module.split(".")[0] for module in imports(path)}}
    assert users == ROOMS[library]


def test_no_module_bears_the_name_of_a_library_it_imports() -> None:
    for path in MODULES:
        libraries = {module.split(".")[0] for module in imports(path)} - set(PACKAGES)
        assert path.stem not in libraries, name(path)


def test_imports_have_no_cycles() -> None:
    def modules(path: Path) -> set[str]:
        """Project modules imported when the file is, not later."""
        tree = ast.parse(path.read_text())
        found = set()
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
                found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        return found

    dotted = {name(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in MODULES}
    graph = {module: {found for found in modules(path) if found in dotted} - {module} for module, path in dotted.items()}
    done: set[str] = set()
    while free := {module for module in graph if module not in done and graph[module] <= done}:
        done |= free
    assert set(graph) == done, f"a cycle among {sorted(set(graph) - done)}"


def test_modules_are_small() -> None:
    long = {name(path): lines for path in MODULES if (lines := len(path.read_text().splitlines())) > 350}
    assert not long


def test_the_loop_fits_on_a_screen() -> None:
    tree = ast.parse((ROOT / "reft/train.py").read_text())
    train = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "train")
    assert train.end_lineno is not None
    assert train.end_lineno - train.lineno < 40


def test_the_engines_import_no_vllm() -> None:
    code = "import sys, rollout.engines.vllm_engine, reft.rollouts; print('vllm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, reft.cli; reft.cli.build_parser(); print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for library in (
        "torch",
        "ray",
        "transformers",
        "deepspeed",
        "trl",
        "datasets",
        "sympy",
        "numpy",
        "omegaconf",
        "rich",
        "vllm",
    ):
        assert f"'{library}'" not in loaded
