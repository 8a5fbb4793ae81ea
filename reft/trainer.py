"""What a trainer of `transformers` is told, and what it tells meanwhile. TRL's is one of them."""

import threading
from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback

from reft.warmup import Schedule, TrainerSettings


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
    """Counts steps, keeps metrics until they are asked for, ends the training where the run ends and not its schedule.

    Args:
        steps: after which the training ends.
        names: what a trainer logs, and what it is called here.
    """

    def __init__(self, steps: int, names: Mapping[str, str]) -> None:
        self.steps, self.names = steps, names
        self.done = 0
        self.records: list[dict[str, float]] = []
        self.lock = threading.Lock()

    def drain(self) -> tuple[int, list[dict[str, float]]]:
        """Steps done, and the metrics logged since the last call. From any thread."""
        with self.lock:
            records, self.records = self.records, []
            return self.done, records

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.done = state.global_step
        if state.global_step >= self.steps:
            control.should_training_stop = True
            control.should_log = True
            control.should_save = False

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            record = {"step": float(state.global_step), **{name: float(logs[key]) for key, name in self.names.items()}}
            with self.lock:
                self.records.append(record)
