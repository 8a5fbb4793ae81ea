"""Weights and optimizer state on disk: whole tensors by their parameters' names, whichever ranks held which part of them. So
any number of ranks reads what any other wrote, at any stage of ZeRO; and as safetensors, which hold no code."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from reft.errors import RunError

INDEX = "index.json"
WEIGHT, MOMENTS = "weight", ("exp_avg", "exp_avg_sq")
"""What there is of a parameter: its value, as the optimizer keeps it, and Adam's two moments."""
SHARD_BYTES = 1 << 31
"""Of one file, about; a writer holds as much in memory."""


def write_state(entries: Iterable[tuple[str, Tensor]], steps: int, folder: Path) -> None:
    """Write tensors, in files of some size each, with the number of steps that the optimizer has made.

    Args:
        entries: names, as `name_entry` makes them, and tensors on any device.
        steps: optimizer steps behind the moments; 0 where there are none.
        folder: made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places: dict[str, str] = {}
    shard: dict[str, Tensor] = {}

    def flush() -> None:
        file = f"state-{len(set(places.values())) + 1:05d}.safetensors"
        save_file(shard, folder / file)
        places.update(dict.fromkeys(shard, file))
        shard.clear()

    for name, tensor in entries:
        shard[name] = tensor.detach().cpu().contiguous().clone()
        if sum(kept.nbytes for kept in shard.values()) >= SHARD_BYTES:
            flush()
    if shard:
        flush()
    (folder / INDEX).write_text(json.dumps({"steps": steps, "files": places}, indent=1) + "\n", encoding="utf-8")


class SavedState:
    """What `write_state` wrote, read tensor by tensor.

    Args:
        folder: as it was given there.

    Raises:
        RunError: if it holds no such state.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(
                f"{folder} has no optimizer state that can be read: {error}; remove that checkpoint to go on from one before it"
            ) from error
        self.steps: int = content["steps"]
        self.files: Mapping[str, str] = content["files"]

    def check(self, names: Sequence[str]) -> None:
        """Raise `RunError` if these are not the parameters that were saved."""
        saved = {entry.partition(":")[2] for entry in self.files}
        if unlike := sorted(saved.symmetric_difference(names)):
            raise RunError(f"{self.folder} is of another model: {unlike[0]!r} is in one of both only")

    def read(self, name: str, kind: str) -> Tensor | None:
        """A parameter's weight or moment, on the CPU; None if there is no such moment."""
        entry = name_entry(name, kind)
        if entry not in self.files:
            return None
        with safe_open(self.folder / self.files[entry], framework="pt") as file:
            return file.get_tensor(entry)


def name_entry(name: str, kind: str) -> str:
    return f"{kind}:{name}"


def plain_entries(module: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Iterable[tuple[str, Tensor]]:
    """Entries of a module that is whole in this process."""
    for name, parameter in module.named_parameters():
        yield name_entry(name, WEIGHT), parameter
        for kind in MOMENTS:
            if kind in optimizer.state.get(parameter, {}):
                yield name_entry(name, kind), optimizer.state[parameter][kind]


@torch.no_grad()
def take_plain(module: torch.nn.Module, optimizer: torch.optim.Optimizer, saved: SavedState) -> None:
    """Put saved weights and moments into a module that is whole in this process, and into its optimizer."""
    saved.check([name for name, _ in module.named_parameters()])
    optimizer.state.clear()
    for name, parameter in module.named_parameters():
        weight = saved.read(name, WEIGHT)
        assert weight is not None
        parameter.copy_(weight)
        moments = {kind: tensor for kind in MOMENTS if (tensor := saved.read(name, kind)) is not None}
        if moments:
            begin_state(optimizer, parameter, saved.steps)
            for kind, tensor in moments.items():
                optimizer.state[parameter][kind].copy_(tensor)


def begin_state(optimizer: torch.optim.Optimizer, parameter: Tensor, steps: int) -> None:
    """Give AdamW a state for what it holds as a parameter, as if it had made `steps` steps, with moments to be filled in."""
    optimizer.state[parameter] = {
        "step": torch.tensor(float(steps)),
        **{kind: torch.zeros_like(parameter, memory_format=torch.preserve_format) for kind in MOMENTS},
    }


def count_steps(optimizer: torch.optim.Optimizer) -> int:
    """Steps that AdamW has made; 0 before the first."""
    return max((int(state["step"]) for state in optimizer.state.values() if "step" in state), default=0)
