"""Chains to be sampled for a benchmark: from fresh weights, or from those of a run."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reft.config import ModelConfig
from reft.model import make_fresh
from reft.tokenizer import word_tokenizer


class Load(Protocol):
    """A model and what is asked of it."""

    @property
    def samples(self) -> int:
        """Chains a prompt."""
        ...

    @property
    def longest(self) -> int:
        """Tokens of the longest chain."""
        ...

    @property
    def ends(self) -> Sequence[int] | None:
        """Tokens that end a chain; None where the model says so itself."""
        ...

    def place_model(self, folder: Path) -> Path:
        """Where the model is, in a folder that may be written to or elsewhere."""
        ...

    def make_prompts(self) -> list[str]: ...

    def describe(self) -> str: ...


@dataclass(frozen=True)
class Workload:
    """Chains to be sampled from fresh weights, whose next token is about as likely to be any."""

    layers: int
    width: int
    heads: int
    prompts: int
    samples: int
    """Chains a prompt."""
    prompt_tokens: int
    mean: int | None
    """Of chains' lengths, which are geometric as those of a policy are: one token in so many ends a chain. None lets all be as
    long as the longest."""
    longest: int
    vocabulary: int

    @property
    def ends(self) -> list[int]:
        """Tokens that end a chain."""
        return [] if self.mean is None else list(range(1, 1 + max(1, round(self.vocabulary / self.mean))))

    def place_model(self, folder: Path) -> Path:
        """Fresh weights of a Llama, and a tokenizer of as many words."""
        context = self.prompt_tokens + self.longest
        hidden = -(-self.width * 8 // 3 // 16) * 16
        shape = ModelConfig("", "llama", self.layers, self.width, self.heads, context, {"intermediate_size": hidden})
        make_fresh(shape, word_tokenizer(self.words, context), 0, folder)
        return folder

    @property
    def words(self) -> list[str]:
        return [f"w{number}" for number in range(self.vocabulary - 2)]

    def make_prompts(self) -> list[str]:
        draw = random.Random(0)
        return [" ".join(draw.choices(self.words, k=self.prompt_tokens)) for _ in range(self.prompts)]

    def describe(self) -> str:
        lengths = (
            f"all of {self.longest} tokens" if self.mean is None else f"geometric, mean {self.mean}, {self.longest} at most"
        )
        return f"{self.prompts} prompts of {self.prompt_tokens} tokens × {self.samples} chains, {lengths}"


@dataclass(frozen=True)
class CheckpointWorkload:
    """Chains that a checkpoint samples for prompts of its own, as long as they come."""

    checkpoint: str
    prompts: tuple[str, ...]
    samples: int
    longest: int
    ends: None = None

    def place_model(self, folder: Path) -> Path:
        return Path(self.checkpoint)

    def make_prompts(self) -> list[str]:
        return list(self.prompts)

    def describe(self) -> str:
        return f"{len(self.prompts)} prompts × {self.samples} chains of {self.checkpoint}, {self.longest} tokens at most"
