"""One process of the warm-up: TRL's SFTTrainer on demonstrations. The only module that knows TRL."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from reft.errors import RunError
from reft.model import load_causal_lm, load_tokenizer
from reft.warmup import Corpus, ImitatorSettings, schedule


class Imitator:
    """One process of the warm-up. `run` works; `progress` may be asked meanwhile from another thread.

    Args:
        rank, world: this process among its peers.
        settings: what to imitate and how.
    """

    def __init__(self, rank: int, world: int, settings: ImitatorSettings) -> None:
        torch.set_num_threads(settings.threads)
        self.rank, self.settings = rank, settings
        self.schedule = schedule(settings.config, len(settings.rows), world)
        self._log = _Log(self.schedule.steps)

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
        model = load_causal_lm(settings.source, torch.float32)
        if settings.config.packing:
            _check_apart(model)
        trainer = SFTTrainer(
            model=model,
            args=self._arguments(),
            train_dataset=_dataset(settings.corpus, settings.rows),
            processing_class=tokenizer,
            data_collator=_PackedCollator(tokenizer.pad_token_id, return_position_ids=True)
            if settings.config.packing
            else None,
            callbacks=[self._log],
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _arguments(self) -> SFTConfig:
        settings, config, shape = self.settings, self.settings.config, self.schedule
        return SFTConfig(
            output_dir=settings.scratch,
            max_steps=shape.horizon,
            per_device_train_batch_size=shape.per_device,
            gradient_accumulation_steps=shape.accumulation,
            train_sampling_strategy="group_by_length" if config.group_by_length else "random",
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
            ddp_backend="gloo" if settings.ranks > 1 and not settings.gpu else None,
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


class _PackedCollator(DataCollatorForLanguageModeling):
    """Rows of several chains, told apart by positions that begin anew. TRL's own way lays a whole batch end to end, which only
    kernels for such rows are fast at; an attention mask would have transformers overlook the positions."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        output = super().torch_call(examples)
        del output["attention_mask"]
        return output


@torch.no_grad()
def _check_apart(model: Any) -> None:
    """Raise `RunError` if a chain's logits depend on the one before it in its row."""
    tokens, positions = torch.tensor([[5, 6, 7, 5, 6, 7], [4, 3, 2, 5, 6, 7]]), torch.tensor([[0, 1, 2, 0, 1, 2]] * 2)
    first, second = model(input_ids=tokens, position_ids=positions, use_cache=False).logits[:, 3:]
    if not torch.equal(first, second):  # what is masked counts exactly nothing
        raise RunError(
            f"packing=true does not keep chains apart in a {model.config.model_type}: one changes what is made of the next; "
            "set packing=false, group_by_length=true saves padding too"
        )


def _dataset(corpus: Corpus, rows: Sequence[Sequence[int]]) -> Dataset:
    """Rows of `input_ids`, `labels`, which hide prompts, and `seq_lengths`, the lengths of the chains in a row."""
    starts = numpy.cumsum(corpus.lengths) - corpus.lengths
    made = []
    for row in rows:
        ids: list[int] = []
        labels: list[int] = []
        for number in row:
            start, length, prompt = (int(column[number]) for column in (starts, corpus.lengths, corpus.prompt_lengths))
            chain = corpus.tokens[start : start + length].tolist()
            ids += chain
            labels += [-100] * prompt + chain[prompt:]
        made.append({"input_ids": ids, "labels": labels, "seq_lengths": [int(corpus.lengths[number]) for number in row]})
    return Dataset.from_list(made)
