"""One process of the warm-up: TRL's SFTTrainer on demonstrations. The only module that knows TRL."""

from pathlib import Path

import numpy
import torch
from datasets import Dataset
from transformers import PrinterCallback
from transformers.trainer_utils import get_last_checkpoint
from trl import SFTConfig, SFTTrainer

from reft.model import load_causal_lm, load_tokenizer
from reft.trainer import Log, arguments
from reft.warmup import Corpus, ImitatorSettings, schedule

NAMES = {
    "loss": "warmup/loss", "learning_rate": "warmup/lr", "grad_norm": "warmup/grad_norm",
    "mean_token_accuracy": "warmup/token_accuracy",
}  # fmt: skip
"""What TRL logs, and the metrics that it becomes."""


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
        self._log = Log(self.schedule.steps, NAMES)

    def progress(self) -> tuple[int, list[dict[str, float]]]:
        """Steps done, and the metrics logged since the last call."""
        return self._log.drain()

    def run(self) -> None:
        """Imitate, then write the folder that `transformers` loads."""
        settings = self.settings
        trainer = self.trainer()
        scratch = Path(settings.scratch)
        trainer.train(resume_from_checkpoint=get_last_checkpoint(str(scratch)) if scratch.is_dir() else None)
        if self.rank == 0:
            trained = trainer.accelerator.unwrap_model(trainer.model)
            trained.config.use_cache = True
            trained.save_pretrained(settings.target)
            load_tokenizer(settings.source).save_pretrained(settings.target)

    def trainer(self) -> SFTTrainer:
        """TRL's trainer as the settings want it."""
        settings = self.settings
        tokenizer = load_tokenizer(settings.source)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token  # attention masks and labels hide it
        trainer = SFTTrainer(
            model=load_causal_lm(settings.source, torch.float32),
            args=self._arguments(),
            train_dataset=_dataset(settings.corpus),
            processing_class=tokenizer,
            callbacks=[self._log],
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _arguments(self) -> SFTConfig:
        saving = {"save_strategy": "steps", "save_steps": self.schedule.steps_per_epoch, "save_total_limit": 1}
        return SFTConfig(
            **(arguments(self.settings, self.schedule) | saving),
            max_length=None,  # `tokenize` has left out what is too long; nothing is cut
            dataset_kwargs={"skip_prepare_dataset": True},
        )


def _dataset(corpus: Corpus) -> Dataset:
    """Rows of `input_ids` and `labels`; labels hide the prompt."""
    ends = numpy.cumsum(corpus.lengths)
    rows = []
    for end, length, prompt in zip(ends.tolist(), corpus.lengths.tolist(), corpus.prompt_lengths.tolist(), strict=True):
        ids = corpus.tokens[end - length : end].tolist()
        rows.append({"input_ids": ids, "labels": [-100] * prompt + ids[prompt:]})
    return Dataset.from_list(rows)
