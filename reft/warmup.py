"""Warm-up by imitation: demonstrations as tokens, and how many steps of which size go over them.

The loss is on the chain alone and the end token is learnt. As in ReFT's scripts, the learning rate is laid out for more
epochs than are run (mwp_ReFT exps/paper_exps/SFT), so it is still near its peak where reinforcement starts. The work itself
is done by TRL, in `reft.imitator`; this module stays light.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from reft.config import ImitationConfig
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


def schedule(config: ImitationConfig, rows: int, ranks: int) -> Schedule:
    """How many steps of which size `config` means for `rows` demonstrations; `ranks` divide its batch."""
    share = config.batch_size // ranks
    accumulation = next(parts for parts in range(1, share + 1) if share % parts == 0 and share // parts <= config.micro_batch)
    steps_per_epoch = math.ceil(rows / config.batch_size)
    steps = max(1, round(config.epochs * steps_per_epoch))
    horizon = max(steps, round((config.schedule_epochs or config.epochs) * steps_per_epoch))
    return Schedule(share // accumulation, accumulation, steps, horizon, steps_per_epoch)


@dataclass(frozen=True)
class TrainerSettings:
    """What a process that trains a model needs to know besides its data."""

    source: str
    """Folder or hub id to start from."""
    target: str
    """Folder to write the result to."""
    scratch: str
    """Folder for the trainer's own checkpoints, from which an interrupted warm-up goes on."""
    config: ImitationConfig
    ranks: int
    threads: int
    gpu: bool
    bfloat16: bool
    seed: int


@dataclass(frozen=True)
class ImitatorSettings(TrainerSettings):
    """All that a warm-up process needs to know."""

    corpus: Corpus
