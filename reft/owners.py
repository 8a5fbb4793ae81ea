"""Where a checkpoint comes from: the run that it lies in and its settings, or none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from reft.errors import RunError
from reft.files import find_damage, is_sealed
from reft.run import read_settings


def run_of(checkpoint: Path, remedy: str = "name a folder in RUN/checkpoints") -> Path:
    """The run directory that a checkpoint lies in.

    Raises:
        RunError: if it is none, is damaged, or lies in no run, where a remedy is told.
    """
    _check_config(checkpoint)
    if not lies_in_run(checkpoint):
        raise RunError(f"{checkpoint} lies in no run directory, so its task is not known; {remedy}")
    if damage := find_damage(checkpoint):  # a run seals its checkpoints
        raise RunError(f"{checkpoint} is damaged ({damage}); name another, or have the run make it again")
    return checkpoint.absolute().parent.parent


def lies_in_run(checkpoint: Path) -> bool:
    return checkpoint.is_dir() and (checkpoint.absolute().parent.parent / "config.yaml").is_file()


def check_sound(folder: Path) -> None:
    """Raise `RunError` for a folder that is no checkpoint, or damaged."""
    _check_config(folder)
    if is_sealed(folder) and (damage := find_damage(folder)):
        raise RunError(f"{folder} is damaged ({damage}); name another, or have its run make it again")


def _check_config(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise RunError(f"{folder} is no checkpoint: it has no config.json; name one, such as a folder in RUN/checkpoints")


def settings_of(checkpoint: str) -> tuple[str, dict[str, Any]]:
    """The name and settings of a checkpoint's run; of one that lies in none, or on the hub, what `alone` says."""
    folder = Path(checkpoint)
    if not lies_in_run(folder):
        return alone(checkpoint)
    composed = read_settings(run_of(folder))
    return composed.name, composed.settings


def alone(checkpoint: str, task: str = "signed_sum") -> tuple[str, dict[str, Any]]:
    """The name and settings of a checkpoint that lies in no run, or on the hub. Where nobody names a task, one stands for
    none."""
    return Path(checkpoint).name, {"task": {"use": task}, "model": {"path": checkpoint}}


def with_overrides(settings: Mapping[str, Any], overrides: Sequence[str]) -> object:
    return OmegaConf.merge(OmegaConf.create(dict(settings)), OmegaConf.from_dotlist(list(overrides)))
