"""The run directory: all that a run leaves behind, and all that it needs to go on.

config.yaml  environment.json      the resolved settings; versions, revision, machine
metrics.jsonl  tensorboard/        every metric by phase and step
samples/step_*.jsonl               chains with rewards, verdicts and log-probs, to be read by people
rounds/round_NNN*                  of self-training: counts, and the chains that were kept and that were wrong
checkpoints/NAME/                  folders that `transformers` loads, `trainer/` in them for resuming
rerankers/NAME-HASH/               of `reft eval --rerank`: classifiers, what each learnt from in `reranker.json`
eval/NAME.json, NAME.jsonl         reports and the samples behind them
state.json  summary.json           counters; the result
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from omegaconf import OmegaConf

from reft.compose import SUM_KEYS, Composed, compose_settings
from reft.environment import environment
from reft.errors import RunError
from reft.files import build_folder, find_damage, is_leftover, read_json, remove_folder, remove_leftovers, write_atomically
from reft.tokens import token_columns
from rollout.types import Sample

WARMUP, FRESH = "warmup", "fresh"
"""Checkpoints of the model that reinforcement starts from, and of fresh weights."""


@dataclass
class RunState:
    """Counters that outlive the process."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Wall seconds by phase."""
    tokens_sampled: int = 0
    """By reinforcement, or by rounds of self-training."""
    tokens_imitated: dict[str, int] = field(default_factory=dict)
    """Tokens that imitation went over, prompts and repetitions included, by the checkpoint that it made."""
    flops: dict[str, float] = field(default_factory=dict)
    """Operations: of imitation by its checkpoint, of "reinforce", of sampling in "self_training"."""
    best_step: int | None = None
    best_value: float = -1.0
    """Step and dev accuracy (mean of greedy and sampled) of the best checkpoint so far."""
    peak_memory_bytes: int = 0
    worker_restarts: int = 0
    """How often a rollout worker was replaced, in steps and in evaluations."""
    learner_restarts: int = 0
    """How often the learner's processes were started again, since one was lost."""
    steps_repeated: int = 0
    """Steps of reinforcement that were done again, since they were not saved when the run ended or lost its learner."""


def default_directory(composed: Composed) -> Path:
    """`runs/NAME-HASH`: the same settings go on where they stopped, other settings get a folder of their own."""
    return Path(composed.config.run.dir or f"runs/{composed.name}-{composed.hash()[:6]}")


def check_directory(path: Path, composed: Composed) -> list[str]:
    """What is no longer as in the run that `path` holds, though it may go on so: a line for each setting.

    Raises:
        RunError: if `path` cannot hold this run: it is a file, or holds another run.
    """
    if path.exists() and not path.is_dir():
        raise RunError(f"run.dir={path} is a file; name a folder")
    file = path / "config.yaml"
    if not file.is_file():
        ours = (".lock", "environment.json")  # of one that was killed at its very start
        if any(child.is_file() and child.name not in ours and not is_leftover(child) for child in path.rglob("*")):
            raise RunError(f"run.dir={path} has files but no run in it; name a new or empty folder")
        return []
    earlier, now = read_settings(path).identity(), composed.identity()
    changed = [key for key in sorted(earlier.keys() | now.keys()) if earlier.get(key) != now.get(key)]
    for key in changed:
        if key not in SUM_KEYS:
            raise RunError(
                f"run.dir={path} holds a run with {key}={earlier.get(key)}, not {now.get(key)}; "
                "name another run.dir, or repeat its settings to go on"
            )
    return [
        f"{key}={now.get(key)}, {earlier.get(key)} when the run began: it goes on, but sums are made in another order now, so "
        "weights and metrics are no longer bit by bit those of a run without the change"
        for key in changed
    ]


def check_free(path: Path) -> None:
    """To be asked before what takes long; whoever opens the directory is asked again.

    Raises:
        RunError: if another run has it open.
    """
    if (path / ".lock").is_file():
        _lock(path / ".lock").close()


def read_settings(path: Path) -> Composed:
    """The settings of the run in a directory.

    Raises:
        RunError: if there is none.
    """
    file = path / "config.yaml"
    if not file.is_file():
        raise RunError(f"{path} is no run directory: it has no config.yaml")
    return compose_settings(path.name, OmegaConf.load(file))


class RunDirectory:
    """An open run directory. One process holds it at a time.

    Args:
        path: made if it is not there.
        composed: the run's settings.

    Raises:
        RunError: if another run has it open.
    """

    def __init__(self, path: Path, composed: Composed) -> None:
        self.path = path
        for name in ("samples", "rounds", "checkpoints", "eval"):
            (path / name).mkdir(parents=True, exist_ok=True)
        self._lock = _lock(path / ".lock")
        for folder in (path, path / "checkpoints", path / "eval"):
            remove_leftovers(folder)
        for scratch in (path / "checkpoints").glob(".*-trainer"):  # of an imitation that was killed at its very end
            if self.has_checkpoint(scratch.name[1:].removesuffix("-trainer")):
                shutil.rmtree(scratch)
        if not (path / "config.yaml").exists():
            write_atomically(path / "environment.json", json.dumps(environment(), indent=2) + "\n")
            write_atomically(path / "config.yaml", composed.yaml())  # last: with it, this is a run
        self.state = self._read_state()
        try:
            # Now, so that one that cannot be written is told before anything is done.
            self._metrics: IO[str] | None = _open_for_more(path / "metrics.jsonl")
        except OSError:
            self._lock.close()
            raise
        self._board: Any = None
        self._phases: list[tuple[str, float]] = []

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.save_state()
        if self._metrics is not None:
            self._metrics.close()
        if self._board is not None:
            self._board.close()
        self._lock.close()

    # Phases

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count wall time to `name`; a phase inside another takes its time from it."""
        self._book()
        self._phases.append((name, time.monotonic()))
        try:
            yield
        finally:
            self._book()
            self._phases.pop()
            if self._phases:
                self._phases[-1] = (self._phases[-1][0], time.monotonic())

    def _book(self) -> None:
        if self._phases:
            name, since = self._phases[-1]
            now = time.monotonic()
            self.state.seconds[name] = self.state.seconds.get(name, 0.0) + now - since
            self._phases[-1] = (name, now)

    # Checkpoints

    def checkpoint(self, name: str) -> Path:
        return self.path / "checkpoints" / name

    def has_checkpoint(self, name: str) -> bool:
        return (self.checkpoint(name) / "config.json").is_file()

    def write_checkpoint(self, name: str, fill: Callable[[Path], None]) -> Path:
        """Write a checkpoint, whole or not at all."""
        build_folder(self.checkpoint(name), fill)
        return self.checkpoint(name)

    def set_aside(self, name: str) -> str | None:
        """Rename a checkpoint that is damaged to `damaged_NAME`, and say what is wrong with it; None if it is sound or not
        there."""
        folder = self.checkpoint(name)
        damage = find_damage(folder) if folder.is_dir() else None
        if damage is not None:
            aside = self.checkpoint(f"damaged_{name}")
            if aside.exists():
                shutil.rmtree(aside)
            folder.rename(aside)
        return damage

    def steps_saved(self) -> list[int]:
        """Steps of the checkpoints of reinforcement, oldest first."""
        return sorted(step for folder in self.path.glob("checkpoints/step_*") if (step := _step_of(folder.name)) is not None)

    def rounds_saved(self) -> list[int]:
        """Rounds of self-training whose checkpoints are there, oldest first."""
        names = (folder.name.removeprefix("round_") for folder in self.path.glob("checkpoints/round_*"))
        return sorted(int(name) for name in names if name.isdecimal())

    def prune(self, keep_last: int, best: Collection[int]) -> None:
        """Delete all checkpoints of reinforcement but the last few and the best ones."""
        for step in self.steps_saved()[:-keep_last]:
            if step not in best:
                remove_folder(self.checkpoint(step_name(step)))

    # Records

    def log(self, phase: str, step: int, metrics: Mapping[str, float]) -> None:
        """Append metrics to `metrics.jsonl` and TensorBoard."""
        if self._metrics is None:
            self._metrics = _open_for_more(self.path / "metrics.jsonl")
        self._metrics.write(json.dumps({"phase": phase, "step": step, **metrics}) + "\n")
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter  # slow to import

            self._board = SummaryWriter(str(self.path / "tensorboard"))
        for name, value in metrics.items():
            # A round's imitation counts its steps from one, as the warm-up did: each has curves of its own.
            tag = name.replace(f"{WARMUP}/", f"{phase}/", 1) if name.startswith(f"{WARMUP}/") else name
            self._board.add_scalar(tag, value, step)

    def flush(self) -> None:
        """Have what was logged on the disk, before a checkpoint is that stands behind it."""
        if self._metrics is not None:
            os.fsync(self._metrics.fileno())

    def rows(self, phase: str) -> list[dict[str, Any]]:
        """The recorded metrics of a phase, oldest first."""
        lines = file.read_text(encoding="utf-8").splitlines() if (file := self.path / "metrics.jsonl").exists() else []
        return [row for line in lines if _is_whole(line) and (row := json.loads(line))["phase"] == phase]

    def forget_after(self, phase: str, step: int) -> None:
        """Drop metrics of a phase behind `step` that a killed process wrote; the steps will be done again."""
        file = self.path / "metrics.jsonl"
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None
        if file.exists():
            rows = [line for line in file.read_text(encoding="utf-8").splitlines() if _is_whole(line)]
            kept = [line for line in rows if (row := json.loads(line))["phase"] != phase or row["step"] <= step]
            write_atomically(file, "".join(line + "\n" for line in kept))

    def forget_samples_after(self, step: int) -> None:
        """Drop the loop's samples behind `step`, for the same reason."""
        for path in self.path.glob("samples/step_*.jsonl"):
            if (of := _step_of(path.stem)) is not None and of > step:
                path.unlink()

    def write_samples(self, step: int, samples: Sequence[Sample]) -> None:
        rows = ({**row(sample), **token_columns(sample.completion)} for sample in samples)
        write_lines(self.path / "samples" / f"{step_name(step)}.jsonl", rows)

    def write_rows(self, path: Path, samples: Sequence[Sample]) -> None:
        write_lines(path, map(row, samples))

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        path = self.path / name
        write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        return path

    def read_json(self, name: str) -> dict[str, Any] | None:
        return read_json(path) if (path := self.path / name).is_file() else None

    def save_state(self) -> None:
        self.write_json("state.json", asdict(self.state))

    def _read_state(self) -> RunState:
        content = self.read_json("state.json")
        return RunState(**content) if content else RunState()


def step_name(step: int) -> str:
    return f"step_{step:06d}"


def _step_of(name: str) -> int | None:
    """The step that a file or folder of this name is of; None where a person has put another there, as a copy."""
    number = name.removeprefix("step_")
    return int(number) if number.isdecimal() else None


def round_name(number: int) -> str:
    return f"round_{number:03d}"


def row(sample: Sample) -> dict[str, Any]:
    """A sample as a person reads it: `prefix` is what was given of the chain, `tokens` were sampled."""
    return {
        "problem": sample.problem.id,
        "prompt": sample.problem.prompt,
        "prefix": sample.completion.prefix,
        "chain": sample.completion.chain,
        "answer": sample.problem.answer,
        "extracted": sample.extracted,
        "verdict": sample.verdict.outcome,
        "why": sample.verdict.reason,
        "reward": sample.reward,
        "rewards": dict(sample.rewards),
        "failures": dict(sample.failures),
        "tokens": len(sample.completion.tokens),
        "finish": sample.completion.finish,
        "policy_version": sample.policy_version,
    }


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON, a line each."""
    write_atomically(path, "".join(json.dumps(content, ensure_ascii=False) + "\n" for content in rows))


def _open_for_more(path: Path) -> IO[str]:
    return path.open("a", encoding="utf-8", buffering=1)


def _lock(path: Path) -> IO[str]:
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise RunError(f"run.dir={path.parent} is in use by another run; wait for it or name another folder") from error
    return file


def _is_whole(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except json.JSONDecodeError:  # the last line of a process that was killed
        return False
