"""A learner's state goes from any number of ranks, and any stage of ZeRO, to any other, bit by bit; and what goes on from it
learns as one that was never stopped."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reft.errors import RunError
from reft.learner.state import SavedState, write_state
from tests.devices import GPU
from tests.processes import run_processes
from tests.reft.learners import five_updates, learner_of, relative_error

Step = Callable[..., Path]


@pytest.fixture
def step(tiny_model: Path, tmp_path: Path) -> Step:
    """Let ranks go on from a checkpoint to another."""

    def take(
        name: str, world: int, zero: int, until: int, loads: Sequence[Path] = (), dtype: str = "float32", device: str = "cpu"
    ) -> Path:
        target = tmp_path / name
        target.mkdir()
        order = {
            "model": str(tiny_model), "world": world, "zero": zero, "until": until, "dtype": dtype,
            "loads": [str(path) for path in loads], "target": str(target), "device": device,
        }  # fmt: skip
        run_processes("tests.reft.resume_process", world, [json.dumps(order)], {"DS_ACCELERATOR": device})
        return target

    return take


def state(folder: Path) -> dict[str, torch.Tensor]:
    index = json.loads((folder / "trainer" / "index.json").read_text())
    found: dict[str, torch.Tensor] = {"steps": torch.tensor(index["steps"])}
    for file in set(index["files"].values()):
        found |= load_file(folder / "trainer" / file)
    return found


def assert_same(mine: Path, theirs: Path) -> None:
    left, right = state(mine), state(theirs)
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name
    one, other = (load_file(folder / "model.safetensors") for folder in (mine, theirs))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_state_passes_from_ranks_to_ranks_unchanged(step: Step, dtype: str) -> None:
    first = step("first", 2, 3, until=3, dtype=dtype)
    saved = state(first)
    assert saved["steps"] == 12, "three updates of two epochs in two minibatches"
    assert any(bool(tensor.any()) for name, tensor in saved.items() if name.startswith("exp_avg_sq:"))
    before = first
    shapes = [(1, 0), (2, 2), (1, 3), (2, 1), (2, 3)] if dtype == "float32" else [(1, 0), (2, 2), (2, 0), (2, 3)]
    for number, (world, zero) in enumerate(shapes):
        after = step(f"then{number}", world, zero, until=3, loads=[before], dtype=dtype)
        assert_same(after, before)
        before = after


def test_bfloat16_is_saved_at_the_default_stage(step: Step) -> None:
    first = step("first", 1, 0, until=1, dtype="bfloat16")
    assert_same(step("then", 1, 0, until=1, loads=[first], dtype="bfloat16"), first)


@pytest.mark.parametrize("dtype", [pytest.param(dtype, marks=GPU) for dtype in ("float32", "bfloat16")])
def test_state_passes_from_a_cpu_to_a_gpu_and_back_unchanged(step: Step, dtype: str) -> None:
    before = step("first", 2, 3, until=3, dtype=dtype)
    for number, (zero, device) in enumerate([(2, "cuda"), (2, "cpu"), (3, "cuda"), (3, "cpu")]):
        after = step(f"then{number}", 1, zero, until=3, loads=[before], dtype=dtype, device=device)
        assert_same(after, before)
        before = after


@pytest.mark.parametrize(
    ("world", "zero", "device"),
    [
        pytest.param(1, 0, "cpu", marks=pytest.mark.slow),
        (2, 2, "cpu"),
        pytest.param(2, 3, "cpu", marks=pytest.mark.slow),
        *(pytest.param(1, zero, "cuda", marks=GPU) for zero in (0, 2, 3)),
    ],
)
def test_the_same_ranks_go_on_bit_by_bit(step: Step, world: int, zero: int, device: str) -> None:
    straight = step("straight", world, zero, until=5, device=device)
    stopped = step("stopped", world, zero, until=3, device=device)
    assert_same(step("resumed", world, zero, until=5, loads=[stopped], device=device), straight)


def test_other_ranks_go_on_as_one_that_was_never_stopped(step: Step, tiny_model: Path) -> None:
    learner = learner_of(tiny_model)
    five_updates(learner, tiny_model)
    weights = {name: tensor for name, tensor in learner.weights().handle.items()}
    stopped = step("stopped", 2, 3, until=3)
    moved = load_file(step("resumed", 1, 0, until=5, loads=[stopped]) / "model.safetensors")
    assert relative_error(moved, {name: weights[name] for name in moved}) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("world", "zero"), [(1, 0), (2, 2), (2, 3)])
def test_what_was_there_before_leaves_no_trace(step: Step, world: int, zero: int) -> None:
    early, late = step("early", world, zero, until=0), step("late", world, zero, until=2)
    assert state(early)["steps"] == 0
    assert not any(name.startswith("exp_avg") for name in state(early))
    assert_same(step("again", world, zero, until=0, loads=[late, early]), early)


def test_another_models_state_is_refused(tmp_path: Path) -> None:
    write_state([("weight:a", torch.ones(2)), ("weight:b", torch.ones(2))], 3, tmp_path / "state")
    saved = SavedState(tmp_path / "state")
    saved.check(["a", "b"])
    with pytest.raises(RunError, match="is of another model: 'c' is in one of both only"):
        saved.check(["a", "b", "c"])
    with pytest.raises(RunError, match="has no optimizer state that can be read"):
        SavedState(tmp_path / "none")


def test_state_is_written_in_files_of_some_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reft.learner.state.SHARD_BYTES", 100)
    tensors = {f"weight:{number}": torch.full((20,), float(number)) for number in range(5)}
    write_state(tensors.items(), 1, tmp_path)
    assert len(list(tmp_path.glob("state-*.safetensors"))) == 3
    saved = SavedState(tmp_path)
    for name, tensor in tensors.items():
        found = saved.read(name.partition(":")[2], "weight")
        assert found is not None
        assert torch.equal(found, tensor)
    assert saved.read("0", "exp_avg") is None
