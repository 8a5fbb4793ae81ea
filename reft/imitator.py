"""One process of the warm-up: TRL's SFTTrainer on demonstrations. The only module that knows TRL."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from datasets import Dataset
from transformers import PrinterCallback
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from reft.errors import RunError
from reft.learner.group import join_group
from reft.learner.zero import gathered, only_data, trainer_arguments
from reft.model import load_causal_lm, load_tokenizer
from reft.trainer import Log, alone_in, arguments, checkpoints, discard_unsound
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
        self.schedule = schedule(settings.config, len(settings.rows), world)
        self._log = Log(self.schedule.steps, NAMES)

    def progress(self) -> tuple[int, list[dict[str, float]]]:
        """Steps done, and the metrics logged since the last call."""
        return self._log.drain()

    def halt(self) -> None:
        """From another thread: save after the step that is under way, and end there."""
        self._log.halted = True

    def run(self) -> bool:
        """Imitate, then write the folder that `transformers` loads; false if it was halted before the end."""
        settings = self.settings
        try:
            trainer = self.trainer()
            scratch = Path(settings.scratch)
            with alone_in(scratch, self.rank), only_data():
                if self.rank == 0:
                    discard_unsound(scratch)
                trainer.accelerator.wait_for_everyone()
                trainer.train(resume_from_checkpoint=next((str(path) for path in reversed(checkpoints(scratch))), None))
            if trainer.state.global_step < self.schedule.steps:
                return False
            trained = trainer.accelerator.unwrap_model(trainer.model)
            with gathered(trained, settings.zero):
                if self.rank == 0:
                    trained.config.use_cache = True
                    trained.save_pretrained(settings.target)
                    load_tokenizer(settings.source).save_pretrained(settings.target)
            return True
        finally:
            unset_hf_deepspeed_config()  # or what this process loads next is divided as it is read

    def trainer(self) -> SFTTrainer:
        """TRL's trainer as the settings want it."""
        settings = self.settings
        if "MASTER_ADDR" in os.environ:  # also of a single rank: left alone, it would listen on all interfaces
            join_group("nccl" if settings.gpu else "gloo")
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
        settings = self.settings
        divided = trainer_arguments(settings.zero, settings.gpu) if settings.zero else {}
        saving = {
            "save_strategy": "steps",
            "save_steps": self.schedule.steps_per_epoch,
            "save_total_limit": 2,
        }  # one is not yet sealed
        return SFTConfig(
            **(arguments(settings, self.schedule) | saving | divided),
            max_length=None,  # `tokenize` has left out what is too long; nothing is cut
            dataset_kwargs={"skip_prepare_dataset": True},
        )


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
