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
from rewards.equal import Verdict
from rollout.codec import Codec
from rollout.types import Completion, Sample


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


def as_samples(demonstrations: Sequence[Demonstration], codec: Codec, longest: int) -> dict[str, Sample]:
    """By problem, its first demonstration of at most `longest` tokens, as a sample to be imitated among others (reward 1).
    Demonstrations must be of the problems' own prompts."""
    prompts = codec.prompts([demonstration.problem.prompt for demonstration in demonstrations])
    chains = codec.chains([demonstration.chain for demonstration in demonstrations])
    samples: dict[str, Sample] = {}
    for shown, prompt, chain in zip(demonstrations, prompts, chains, strict=True):
        if len(prompt) + len(chain) <= longest and shown.problem.id not in samples:
            completion = Completion(prompt, chain, numpy.zeros(len(chain), dtype=numpy.float32), shown.chain, "stop")
            verdict = Verdict("equal", "text", "it is a demonstration")
            samples[shown.problem.id] = Sample(shown.problem, completion, None, verdict, {}, 1.0, 0, demonstrated=True)
    return samples


def row_length(config: ImitationConfig, context: int) -> int:
    """Tokens that a row of a batch may have, in a model of `context` positions."""
    return min(config.pack_to or context, context) if config.packing else context


def arrange(lengths: Sequence[int], config: ImitationConfig, longest: int) -> list[list[int]]:
    """The rows of batches: numbers of the chains in each, one a row, or packed, as many as fit into `longest` tokens.

    Packing is best fit, longest first, as TRL's `pack_dataset` does it; here, since a run must know its steps before TRL is
    loaded.
    """
    if not config.packing:
        return [[number] for number in range(len(lengths))]
    rows: list[list[int]] = []
    open_rows: dict[int, list[int]] = {}  # rows by the tokens that they have left
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        length = int(lengths[number])
        left = next((left for left in range(length, longest + 1) if open_rows.get(left)), None)
        if left is None:
            row, left = len(rows), longest
            rows.append([])
        else:
            row = open_rows[left].pop()
        rows[row].append(number)
        open_rows.setdefault(left - length, []).append(row)
    return rows


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
    passes: float
    """How often each row is gone over by these steps; an epoch's last step has what is left of them."""


def schedule(config: ImitationConfig, rows: int, ranks: int) -> Schedule:
    """How many steps of which size `config` means for so many rows (see `arrange`); `ranks` divide its batch."""
    share = config.batch_size // ranks
    accumulation = next(parts for parts in range(1, share + 1) if share % parts == 0 and share // parts <= config.micro_batch)
    steps_per_epoch = math.ceil(rows / config.batch_size)
    steps = max(1, round(config.epochs * steps_per_epoch))
    horizon = max(steps, round((config.schedule_epochs or config.epochs) * steps_per_epoch))
    done, rest = divmod(steps, steps_per_epoch)
    passes = done + rest * config.batch_size / rows
    return Schedule(share // accumulation, accumulation, steps, horizon, steps_per_epoch, passes)


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

    zero: int
    """DeepSpeed ZeRO stage: what is divided over the ranks. At 0 each holds all, by torch's own data parallelism."""
    corpus: Corpus
    rows: Sequence[Sequence[int]]
    """Numbers of the corpus's chains in each row."""
