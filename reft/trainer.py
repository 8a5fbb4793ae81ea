"""What a trainer of `transformers` is told, and what it tells meanwhile. TRL's is one of them."""

import fcntl
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from reft.errors import RunError
from reft.files import find_damage, is_sealed, seal_folder
from reft.warmup import Schedule, TrainerSettings

ORPHAN_SECONDS = 60.0
"""For a process whose run was killed to notice that and end; Ray takes some seconds."""


def arguments(settings: TrainerSettings, shape: Schedule) -> dict[str, Any]:
    """Fields of `transformers.TrainingArguments` as the settings mean them. By these alone nothing is saved on the way."""
    config = settings.config
    return {
        "output_dir": settings.scratch,
        "max_steps": shape.horizon,
        "per_device_train_batch_size": shape.per_device,
        "gradient_accumulation_steps": shape.accumulation,
        "train_sampling_strategy": "group_by_length" if config.group_by_length else "random",
        "learning_rate": config.lr,
        "lr_scheduler_type": config.schedule if config.schedule != "constant" else "constant_with_warmup",
        "warmup_steps": round(config.warmup_share * shape.horizon) if config.warmup_steps is None else config.warmup_steps,
        "adam_beta1": config.betas[0],
        "adam_beta2": config.betas[1],
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.grad_clip,
        "logging_steps": max(1, min(25, shape.steps // 4)),
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": not settings.gpu,
        "ddp_backend": "gloo" if settings.ranks > 1 and not settings.gpu else None,
        "bf16": settings.gpu and settings.bfloat16,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": settings.gpu,
        "seed": settings.seed % 2**32,
    }


class Log(TrainerCallback):
    """Counts steps, keeps metrics until they are asked for, ends the training where the run ends and not its schedule, seals
    what is saved on the way. Of a training that is taken up again it tells what was logged before, too.

    Args:
        steps: after which the training ends.
        names: what a trainer logs, and what it is called here.
    """

    def __init__(self, steps: int, names: Mapping[str, str]) -> None:
        self.steps, self.names = steps, names
        self.done = 0
        self.halted = False
        """Whether the training is to end before its end, with what it has learnt saved."""
        self.records: list[dict[str, float]] = []
        self.lock = threading.Lock()

    def drain(self) -> tuple[int, list[dict[str, float]]]:
        """Steps done, and the metrics logged since the last call. From any thread."""
        with self.lock:
            records, self.records = self.records, []
            return self.done, records

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.done = state.global_step
        if self._is_halted(args.device) and state.global_step < self.steps:
            control.should_training_stop = control.should_save = True
        # What is logged is a mean since the last time, so one that goes on from here must begin its next mean here as well.
        control.should_log = control.should_log or control.should_save
        if state.global_step >= self.steps:
            control.should_training_stop = True
            control.should_log = True
            control.should_save = False

    def _is_halted(self, device: torch.device) -> bool:
        """Whether any rank was told to halt; all ranks must do so at the same step."""
        if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1:
            return self.halted
        flag = torch.tensor([float(self.halted)], device=device)
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
        return bool(flag.item())

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        for logs in state.log_history:
            self._note(logs["step"], logs)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        self._note(state.global_step, logs or {})

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if torch.distributed.is_initialized():
            torch.distributed.barrier()  # every rank has written its part
        if state.is_world_process_zero:
            seal_folder(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    def _note(self, step: float, logs: Mapping[str, float]) -> None:
        if "loss" in logs:
            record = {"step": float(step), **{name: float(logs[key]) for key, name in self.names.items()}}
            with self.lock:
                self.records.append(record)


def checkpoints(scratch: Path) -> list[Path]:
    """What a trainer has saved on the way and sealed, oldest first."""
    found = [path for path in scratch.glob("checkpoint-*") if is_sealed(path)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def discard_unsound(scratch: Path) -> None:
    """Delete what a trainer that was killed left half written, and what has been damaged since."""
    for path in scratch.glob("checkpoint-*"):
        if find_damage(path) is not None:
            shutil.rmtree(path)


@contextmanager
def alone_in(scratch: Path, rank: int) -> Iterator[None]:
    """Hold a folder for one rank of a trainer, behind a process that is still at it though its run was killed.

    Raises:
        RunError: if that process does not end.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with (scratch / f".lock-{rank}").open("w") as file:
        ends = time.monotonic() + ORPHAN_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > ends:
                    raise RunError(f"a process of an earlier run still trains in {scratch}; end it, and run again") from None
                time.sleep(0.1)
        yield
