"""One process of a reranker: `transformers`' Trainer on labelled chains, and the trained classifier asked about others.

Classes for sequences pool the rightmost token whose id is not that of padding. `reft.reranking` ends every sequence with the
end token, and padding here has any other id: so the last token is pooled, whatever the tokenizer pads with.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PrinterCallback, Trainer, TrainingArguments

from reft.model import check_model, load_tokenizer, without_dropout
from reft.reranking import RerankerSettings, ScoringSettings
from reft.trainer import Log, arguments
from reft.warmup import schedule
from rollout.worker import derive_seed

LABELS = {0: "not right", 1: "right"}


class RerankerTrainer:
    """The process that trains. `run` works; `progress` may be asked meanwhile from another thread.

    Args:
        rank, world: this process among its peers; it is to be the only one.
        settings: which chains are right, and how that is learnt.
    """

    def __init__(self, rank: int, world: int, settings: RerankerSettings) -> None:
        torch.set_num_threads(settings.threads)
        self.settings = settings
        self.schedule = schedule(settings.config, len(settings.labels), world)
        self._log = Log(self.schedule.steps, {"loss": "loss"})

    def progress(self) -> tuple[int, list[dict[str, float]]]:
        """Steps done, and the metrics logged since the last call."""
        return self._log.drain()

    def run(self) -> None:
        """Learn, then write the folder that `AutoModelForSequenceClassification` loads."""
        settings = self.settings
        tokenizer = load_tokenizer(settings.source)
        pad = padding(tokenizer)
        model = new_classifier(settings.source, pad, derive_seed(settings.seed, "head"))
        model.config.use_cache = False
        rows = zip(settings.sequences.rows(), settings.labels.tolist(), strict=True)
        trainer = Trainer(
            model=model,
            args=TrainingArguments(**arguments(settings, self.schedule), remove_unused_columns=False),
            train_dataset=[{"input_ids": tokens, "labels": label} for tokens, label in rows],
            data_collator=partial(collate, pad=pad),
            callbacks=[self._log],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        model.config.use_cache = True
        model.save_pretrained(settings.target)
        tokenizer.pad_token, tokenizer.padding_side = tokenizer.convert_ids_to_tokens(pad), "right"
        tokenizer.save_pretrained(settings.target)


class Reranker:
    """The process that scores. `run` works; `progress` may be asked meanwhile from another thread.

    Args:
        rank, world: this process among its peers; it is to be the only one.
        settings: which classifier is asked about which chains.
    """

    def __init__(self, rank: int, world: int, settings: ScoringSettings) -> None:
        torch.set_num_threads(settings.threads)
        dtype = torch.bfloat16 if settings.gpu and settings.bfloat16 else torch.float32
        model = AutoModelForSequenceClassification.from_pretrained(settings.folder, dtype=dtype)
        self.model = model.to("cuda" if settings.gpu else "cpu").eval()
        self.settings = settings
        self._done = 0

    def progress(self) -> int:
        """Chains scored."""
        return self._done

    def run(self) -> NDArray[numpy.float64]:
        return score(self.model, self.settings.sequences.rows(), self.settings.batch, self._report)

    def _report(self, done: int) -> None:
        self._done = done


def padding(tokenizer: Any) -> int:
    """The id to pad with: the tokenizer's, or, where that is missing or the end token's, the lowest that is not the end's."""
    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    if pad is not None and pad != end:
        return int(pad)
    return 0 if end != 0 else 1


def new_classifier(source: str, pad: int, seed: int) -> Any:
    """A classifier of two labels on the trunk of the causal LM in a folder or on the hub: float32, dropout off, its head drawn
    by `seed`."""
    config = without_dropout(check_model(source))
    config.id2label, config.label2id = LABELS, {name: label for label, name in LABELS.items()}
    config.problem_type = "single_label_classification"
    config.get_text_config().pad_token_id = pad
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForSequenceClassification.from_pretrained(source, config=config, dtype=torch.float32)


def collate(rows: Sequence[Mapping[str, Any]], pad: int) -> dict[str, Tensor]:
    """`input_ids` (B, T) int64, padded on the right; `attention_mask` (B, T), from lengths; `labels` (B,) where there are."""
    lengths = torch.tensor([len(row["input_ids"]) for row in rows])
    tokens = torch.full((len(rows), int(lengths.max())), pad, dtype=torch.long)
    for place, row in enumerate(rows):
        tokens[place, : lengths[place]] = torch.as_tensor(row["input_ids"])
    batch = {"input_ids": tokens, "attention_mask": (torch.arange(tokens.shape[1]) < lengths[:, None]).long()}
    if "labels" in rows[0]:
        batch["labels"] = torch.tensor([row["labels"] for row in rows])
    return batch


@torch.inference_mode()
def score(
    model: Any, sequences: Sequence[NDArray[numpy.int32]], batch: int, report: Callable[[int], None] | None = None
) -> NDArray[numpy.float64]:
    """How likely each sequence is right, P(label 1), by its last token, in the order given; worked through by length.

    In float64, since near certainty float32 no longer tells one chain from another.
    """
    pad = model.config.get_text_config().pad_token_id
    order = sorted(range(len(sequences)), key=lambda place: len(sequences[place]))
    scores = numpy.zeros(len(sequences))
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        inputs = collate([{"input_ids": sequences[place]} for place in places], pad)
        logits = model(**{name: tensor.to(model.device) for name, tensor in inputs.items()}, use_cache=False).logits
        scores[places] = logits.double().softmax(-1)[:, 1].cpu().numpy()
        if report is not None:
            report(start + len(places))
    return scores
