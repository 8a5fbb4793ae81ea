"""Warm-up: imitation of demonstrations by TRL's SFTTrainer. The only module that knows TRL.

The loss is on the chain alone and the end token is learnt. As in ReFT's scripts, the learning rate is laid out for more
epochs than are run (reft.md 2.2), so it is still near its peak where reinforcement starts.
"""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PrinterCallback, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint
from trl import SFTConfig, SFTTrainer

from reft.config import WarmupConfig
from reft.errors import ConfigError
from reft.model import load_causal_lm, load_tokenizer
from reft.tasks import Demonstration
from rollout.codec import Codec


@dataclass(frozen=True, eq=False)
class Corpus:
    """Tokenized demonstrations, end to end: `tokens` (N,) int32, and for each its length and that of its prompt."""

    tokens: NDArray[numpy.int32]
    lengths: NDArray[numpy.int32]
    prompt_lengths: NDArray[numpy.int32]

    def __len__(self) -> int:
        return len(self.lengths)


def tokenize(demonstrations: Sequence[Demonstration], codec: Codec, longest: int) -> tuple[Corpus, int]:
    """The corpus of demonstrations of at most `longest` tokens, and how many longer ones were left out."""
    rows, lengths, prompts = [], [], []
    pairs = zip(
        codec.prompts([demonstration.problem.prompt for demonstration in demonstrations]),
        codec.chains([demonstration.chain for demonstration in demonstrations]),
        strict=True,
    )
    for prompt, chain in pairs:
        if len(prompt) + len(chain) <= longest:
            rows += [prompt, chain]
            lengths.append(len(prompt) + len(chain))
            prompts.append(len(prompt))
    tokens = numpy.concatenate(rows) if rows else numpy.zeros(0, dtype=numpy.int32)
    corpus = Corpus(tokens, numpy.array(lengths, dtype=numpy.int32), numpy.array(prompts, dtype=numpy.int32))
    return corpus, len(demonstrations) - len(corpus)


@dataclass(frozen=True)
class Schedule:
    """The arithmetic of a warm-up."""

    per_device: int
    """Rows of a forward pass."""
    accumulation: int
    """Forward passes an optimizer step."""
    steps: int
    """Optimizer steps that are run."""
    horizon: int
    """Optimizer steps the learning rate is laid out for."""
    steps_per_epoch: int


def schedule(config: WarmupConfig, rows: int, ranks: int) -> Schedule:
    """How many steps of which size `config` means for `rows` demonstrations.

    Raises:
        ConfigError: if the batch cannot be divided over the ranks.
    """
    share, rest = divmod(config.batch_size, ranks)
    if rest:
        raise ConfigError(f"warmup.batch_size={config.batch_size} is no multiple of learner.ranks={ranks}")
    accumulation = next(parts for parts in range(1, share + 1) if share % parts == 0 and share // parts <= config.micro_batch)
    steps_per_epoch = math.ceil(rows / config.batch_size)
    steps = max(1, round(config.epochs * steps_per_epoch))
    horizon = max(steps, round((config.schedule_epochs or config.epochs) * steps_per_epoch))
    return Schedule(share // accumulation, accumulation, steps, horizon, steps_per_epoch)


@dataclass(frozen=True)
class ImitatorSettings:
    """All that a warm-up process needs to know."""

    source: str
    """Folder or hub id to start from."""
    target: str
    """Folder to write the result to."""
    scratch: str
    """Folder for the trainer's own checkpoints, from which an interrupted warm-up goes on."""
    corpus: Corpus
    config: WarmupConfig
    ranks: int
    threads: int
    gpu: bool
    bfloat16: bool
    seed: int


class Imitator:
    """One process of the warm-up. `run` works; `progress` may be asked meanwhile from another thread.

    Args:
        rank, world: this process among its peers.
        settings: what to imitate and how.
    """

    def __init__(self, rank: int, world: int, settings: ImitatorSettings) -> None:
        torch.set_num_threads(settings.threads)
        self.rank, self.settings = rank, settings
        self.schedule = schedule(settings.config, len(settings.corpus), world)
        self._log = _Log(self.schedule.steps)

    def progress(self) -> tuple[int, list[dict[str, float]]]:
        """Steps done, and the metrics logged since the last call."""
        return self._log.drain()

    def run(self) -> None:
        """Imitate, then write the folder that `transformers` loads."""
        settings = self.settings
        model = load_causal_lm(settings.source, torch.float32)
        tokenizer = load_tokenizer(settings.source)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token  # attention masks and labels hide it
        trainer = SFTTrainer(
            model=model,
            args=self._arguments(),
            train_dataset=_dataset(settings.corpus),
            processing_class=tokenizer,
            callbacks=[self._log],
        )
        trainer.remove_callback(PrinterCallback)
        scratch = Path(settings.scratch)
        trainer.train(resume_from_checkpoint=get_last_checkpoint(str(scratch)) if scratch.is_dir() else None)
        if self.rank == 0:
            trained = trainer.accelerator.unwrap_model(trainer.model)
            trained.config.use_cache = True
            trained.save_pretrained(settings.target)
            load_tokenizer(settings.source).save_pretrained(settings.target)

    def _arguments(self) -> SFTConfig:
        settings, config, shape = self.settings, self.settings.config, self.schedule
        return SFTConfig(
            output_dir=settings.scratch,
            max_steps=shape.horizon,
            per_device_train_batch_size=shape.per_device,
            gradient_accumulation_steps=shape.accumulation,
            learning_rate=config.lr,
            lr_scheduler_type=config.schedule if config.schedule != "constant" else "constant_with_warmup",
            warmup_steps=round(config.warmup_share * shape.horizon),
            adam_beta1=config.betas[0],
            adam_beta2=config.betas[1],
            weight_decay=config.weight_decay,
            max_grad_norm=config.grad_clip,
            logging_steps=max(1, min(25, shape.steps // 4)),
            save_strategy="steps",
            save_steps=shape.steps_per_epoch,
            save_total_limit=1,
            report_to=[],
            disable_tqdm=True,
            use_cpu=not settings.gpu,
            ddp_backend=None if settings.gpu else "gloo",
            bf16=settings.gpu and settings.bfloat16,
            gradient_checkpointing=False,
            dataloader_pin_memory=settings.gpu,
            max_length=None,  # `tokenize` has left out what is too long; nothing is cut
            dataset_kwargs={"skip_prepare_dataset": True},
            seed=settings.seed % 2**32,
        )


class _Log(TrainerCallback):
    """Counts steps, keeps metrics until they are asked for, ends the training where the run ends and not its schedule."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.done = 0
        self.records: list[dict[str, float]] = []
        self.lock = threading.Lock()
        self.start = time.monotonic()

    def drain(self) -> tuple[int, list[dict[str, float]]]:
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
            record = {
                "step": float(state.global_step),
                "warmup/loss": float(logs["loss"]),
                "warmup/lr": float(logs["learning_rate"]),
                "warmup/grad_norm": float(logs["grad_norm"]),
                "warmup/token_accuracy": float(logs["mean_token_accuracy"]),
            }
            with self.lock:
                self.records.append(record)


def _dataset(corpus: Corpus) -> Dataset:
    """Rows of `input_ids` and `labels`; labels hide the prompt."""
    ends = numpy.cumsum(corpus.lengths)
    rows = []
    for end, length, prompt in zip(ends.tolist(), corpus.lengths.tolist(), corpus.prompt_lengths.tolist(), strict=True):
        ids = corpus.tokens[end - length : end].tolist()
        rows.append({"input_ids": ids, "labels": [-100] * prompt + ids[prompt:]})
    return Dataset.from_list(rows)
