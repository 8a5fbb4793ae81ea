"""Reranking: which of many chains does a classifier hold right, that has seen the warm-up's right and wrong ones?

As ReFT's (arXiv 2401.08967, section 4.4; mwp_ReFT train_reward_model.py) it starts from the checkpoint that is evaluated, and
learns from chains that the warm-up's checkpoint samples for the train split. It is kept in `rerankers/` of the run, for whoever
asks for the same again. The work itself is done in `reft.reranker`; this module stays light.
"""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

from reft.errors import ConfigError, RunError
from reft.files import build_folder, write_atomically
from reft.gang import RayGang
from reft.model import check_model, load_tokenizer
from reft.prepare import Prepared
from reft.progress import Display
from reft.rollouts import publication, sampling_params
from reft.run import WARMUP
from reft.warmup import TrainerSettings, schedule
from rollout.pool import Pool
from rollout.types import Sample
from rollout.worker import derive_seed

RECORD = "reranker.json"
SECTIONS = ("task", "checker", "programs", "model", "sampling", "rerank", "seed", "rollout", "learner.gpus")
"""Settings that decide what a classifier learns."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """Prompts with their chains, end to end: `tokens` (N,) int32, and the length of each."""

    tokens: NDArray[numpy.int32]
    lengths: NDArray[numpy.int64]

    def rows(self) -> list[NDArray[numpy.int32]]:
        return numpy.split(self.tokens, numpy.cumsum(self.lengths)[:-1])


def join(samples: Sequence[Sample], end: int) -> Sequences:
    """Samples as sequences, each with the end token last: in place of another stop token, of the last token of a text that
    ended the chain, or of where it was cut."""
    parts: list[Any] = []
    for sample in samples:
        parts += [sample.completion.prompt_tokens, sample.completion.tokens[:-1], [end]]
    lengths = [len(sample.completion.prompt_tokens) + len(sample.completion.tokens) for sample in samples]
    return Sequences(numpy.concatenate(parts).astype(numpy.int32), numpy.array(lengths, dtype=numpy.int64))


def distinct(samples: Sequence[Sample]) -> list[Sample]:
    """The samples to learn from: those that the checker decided, of each problem's chains with the same text the first."""
    firsts: dict[tuple[str, str], Sample] = {}
    for sample in samples:
        if sample.verdict.outcome != "undecided":
            firsts.setdefault((sample.problem.id, sample.completion.text), sample)
    return list(firsts.values())


@dataclass(frozen=True)
class RerankerSettings(TrainerSettings):
    """All that the process which trains needs to know."""

    sequences: Sequences
    labels: NDArray[numpy.int64]
    """1 for a right chain, else 0."""


@dataclass(frozen=True)
class ScoringSettings:
    """All that the process which scores needs to know."""

    folder: str
    sequences: Sequences
    batch: int
    """Chains a forward pass."""
    threads: int
    gpu: bool
    bfloat16: bool


class Reranking:
    """The classifier for one checkpoint of a run, trained before or still to be.

    Args:
        prepared: the run's inputs.
        checkpoint: the folder that is evaluated; the classifier starts from it.
        display: where a person looks.

    Raises:
        ConfigError: if the architecture has no class for sequences.
        RunError: if the classifier is still to be trained and the run has no warm-up checkpoint.
    """

    def __init__(self, prepared: Prepared, checkpoint: Path, display: Display) -> None:
        self.prepared, self.checkpoint, self.display = prepared, checkpoint.absolute(), display
        self.config = prepared.config
        kind = check_model(str(checkpoint))
        if type(kind) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
            raise ConfigError(
                f"{checkpoint} is a {kind.model_type}, for which transformers has no classifier of sequences; "
                "evaluate it without --rerank"
            )
        self.settings = _settings(prepared, self.checkpoint)
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True, default=str).encode()).hexdigest()
        self.folder = self.checkpoint.parent.parent / "rerankers" / f"{checkpoint.name}-{digest[:6]}"
        self.warmup = self.checkpoint.parent / WARMUP
        self._lesson: list[Sample] = []
        if not self.is_trained() and not (self.warmup / "config.json").is_file():
            raise RunError(f"{self.warmup} is not there, and from its chains a reranker learns; evaluate without --rerank")

    def is_trained(self) -> bool:
        return (self.folder / RECORD).is_file()

    def record(self) -> dict[str, Any]:
        """What the trained classifier is: its folder, its settings, and what it learnt from."""
        return {"folder": str(self.folder), **json.loads((self.folder / RECORD).read_text(encoding="utf-8"))}

    def sample(self, pool: Pool) -> None:
        """Draw the chains to learn from, unless that is done with; the pool is left with the warm-up's weights.

        Raises:
            RunError: if all of them are right, or none.
        """
        if self.is_trained():
            self.display.note(f"reranker {self.folder} is there already")
            return
        config, train = self.config, self.prepared.splits.train
        rerank, chance = config.rerank, random.Random(derive_seed(config.seed, "rerank", "problems"))
        problems = chance.sample(train, min(rerank.prompts or len(train), len(train)))
        seed = derive_seed(config.seed, "rerank", "chains")
        pool.publish(publication(config, str(self.warmup)), version=0)
        params = sampling_params(config.sampling)
        with self.display.bar("rerank: sample the warm-up", len(problems) * rerank.samples_per_prompt, "chain") as bar:
            drawn = pool.sample(problems, rerank.samples_per_prompt, params, seed, lambda done, _: bar.update(done))
        self._lesson = distinct(drawn)
        right = sum(sample.verdict.correct for sample in self._lesson)
        if right in (0, len(self._lesson)):
            raise RunError(
                f"{right / max(len(self._lesson), 1):.3f} of {len(self._lesson)} different chains of the warm-up are right, so "
                "there is nothing to tell apart; raise rerank.samples_per_prompt, or evaluate without --rerank"
            )

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        """How likely the classifier, which is trained first where it is not, holds each sample right."""
        config, learner = self.config, self.config.learner
        gang = RayGang(1, learner.cpus, learner.gpus, config.ray.deadline, config.ray.heartbeat, "reranker", ["reft.reranker"])
        try:
            if not self.is_trained():
                build_folder(self.folder, partial(self._train, gang))
            settings = ScoringSettings(
                folder=str(self.folder),
                sequences=join(samples, self._end()),
                batch=config.rerank.micro_batch,
                threads=learner.threads,
                gpu=learner.gpus > 0,
                bfloat16=config.model.dtype == "bfloat16",
            )
            gang.build(partial(_reranker, settings=settings))
            with self.display.bar("rerank: score", len(samples), "chain") as bar:
                return gang.watch("run", "progress", 1.0, bar.update)[0].tolist()
        finally:
            gang.close()

    def _train(self, gang: RayGang, folder: Path) -> None:
        config, learner = self.config, self.config.learner
        labels = numpy.array([int(sample.verdict.correct) for sample in self._lesson])
        settings = RerankerSettings(
            source=str(self.checkpoint),
            target=str(folder),
            scratch=str(folder),
            sequences=join(self._lesson, self._end()),
            labels=labels,
            config=config.rerank,
            ranks=1,
            threads=learner.threads,
            gpu=learner.gpus > 0,
            bfloat16=config.model.dtype == "bfloat16",
            seed=derive_seed(config.seed, "reranker"),
        )
        gang.build(partial(_trainer, settings=settings))
        steps, losses = schedule(config.rerank, len(labels), 1).steps, list[float]()
        with self.display.bar("rerank: train", steps, "step") as bar:

            def show(progress: tuple[int, list[dict[str, float]]]) -> None:
                done, records = progress
                losses.extend(record["loss"] for record in records)
                bar.update(done, f"loss {losses[-1]:.3f}" if losses else "")

            gang.watch("run", "progress", 1.0, show)
        content = {
            "settings": self.settings,
            "problems": len({sample.problem.id for sample in self._lesson}),
            "chains": len(labels),
            "right": float(labels.mean()),
            "steps": steps,
            "loss": losses[-1],
        }
        write_atomically(folder / RECORD, json.dumps(content, indent=2) + "\n")

    def _end(self) -> int:
        return int(load_tokenizer(str(self.checkpoint)).eos_token_id)


def _settings(prepared: Prepared, checkpoint: Path) -> dict[str, Any]:
    """What decides what a classifier learns, by dotted key."""
    identity = prepared.composed.identity()
    chosen = {key: value for key, value in identity.items() if any(f"{key}.".startswith(f"{name}.") for name in SECTIONS)}
    return {"checkpoint": checkpoint.name, **chosen}


def _trainer(rank: int, world: int, settings: RerankerSettings) -> Any:
    from reft.reranker import RerankerTrainer  # the Trainer is imported in the process that works

    return RerankerTrainer(rank, world, settings)


def _reranker(rank: int, world: int, settings: ScoringSettings) -> Any:
    from reft.reranker import Reranker

    return Reranker(rank, world, settings)
