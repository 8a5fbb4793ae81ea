"""What passes through a rollout: a problem, its completion, the scored sample. Each stage builds the next type."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy
from numpy.typing import NDArray

from rewards.equal import Verdict
from rewards.program import Program

Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class Problem:
    """A question with a known answer.

    `prompt` is the whole text the model continues; `columns` holds what else the data set says about it, handed to
    reward functions by name. `prefix` is the beginning of a chain that is given: the model goes on from there.
    """

    id: str
    prompt: str
    answer: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""


@dataclass(frozen=True)
class SamplingParams:
    """How chains are drawn. Training samples from the model's own distribution, which the learner knows: `top_p`, `top_k` and
    `min_p` are for evaluation. They take effect in the order in which they stand here, as in `transformers`."""

    temperature: float = 1.0
    """Logits are divided by it; 0 takes the most likely token."""
    max_tokens: int = 256
    """Longest chain, in tokens, the end token and a prefix that is given included."""
    top_k: int = 0
    """Draw from that many likeliest tokens; 0 is all."""
    top_p: float = 1.0
    """Draw from the fewest likeliest tokens that have this share of the probability, above 0 to 1 (nucleus sampling, Holtzman
    et al. 2020)."""
    min_p: float = 0.0
    """Draw from tokens with at least this share of the likeliest one's probability, 0 to 1 (Nguyen et al. 2024)."""

    stop: tuple[str, ...] = ()
    """Texts that end a chain, as the end token does, behind the token that completes one."""
    min_tokens: int = 0
    """Tokens, a prefix apart, before which a token that ends the chain is not drawn; the others share its probability."""

    def __post_init__(self) -> None:
        fine = {
            "temperature": 0 <= self.temperature < math.inf,
            "max_tokens": self.max_tokens >= 1,
            "top_k": self.top_k >= 0,
            "top_p": 0 < self.top_p <= 1,
            "min_p": 0 <= self.min_p <= 1,
            "min_tokens": self.min_tokens >= 0,
            "stop": not isinstance(self.stop, str) and all(self.stop),
        }
        if wrong := [f"{name}={vars(self)[name]!r}" for name, right in fine.items() if not right]:
            raise ValueError(f"{', '.join(wrong)} is out of range; see rollout.types.SamplingParams")

    @property
    def truncated(self) -> bool:
        """Whether some tokens are never drawn, so that the log-probs are not those of the policy."""
        return self.top_k > 0 or self.top_p < 1 or self.min_p > 0 or self.min_tokens > 0


@dataclass(frozen=True, eq=False)
class Completion:
    """One sampled chain.

    `tokens` (T,) int32 includes the end token, or the text, that ended it where `finish` is "stop"; `logprobs` (T,) float32 are
    natural logarithms under the distribution sampled from (after temperature and truncation); greedy ones are under temperature
    1. `text` is what was sampled.
    Where a beginning of the chain was given, `prefix` is its text and `prefix_length` its tokens, the last of `prompt_tokens`:
    nobody sampled them, so nothing downstream takes them for actions.
    An engine that looks for texts which end a chain only now and then has `discarded` tokens drawn behind one before it looked.
    They are no part of the chain, and how many there are is the engine's affair; but they have been paid for.
    """

    prompt_tokens: NDArray[numpy.int32]
    tokens: NDArray[numpy.int32]
    logprobs: NDArray[numpy.float32]
    text: str
    finish: Finish
    prefix: str = ""
    prefix_length: int = 0
    discarded: int = 0

    @property
    def drawn(self) -> int:
        """Tokens that were drawn, those that were discarded included."""
        return len(self.tokens) + self.discarded

    @property
    def chain(self) -> str:
        """The text of the whole chain, what was given and what was sampled."""
        return self.prefix + self.text

    @property
    def chain_tokens(self) -> NDArray[numpy.int32]:
        """The tokens of the whole chain."""
        return numpy.concatenate([self.prompt_tokens[len(self.prompt_tokens) - self.prefix_length :], self.tokens])


@dataclass(frozen=True, eq=False)
class Sample:
    """A completion of a problem with what it earned.

    `reward` is None where no reward function applies; such a sample is counted and not learned from. `policy_version`
    is the step behind which the policy that wrote the chain was published, 0 for the one that reinforcement started from.
    """

    problem: Problem
    completion: Completion
    extracted: str | None
    verdict: Verdict
    rewards: Mapping[str, float | None]
    reward: float | None
    policy_version: int
    demonstrated: bool = False
    """Whether the chain is a demonstration put among samples, to be imitated with them."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why reward functions said nothing of the chain though they should have, by their names; there is no `reward` then."""


Reader = Callable[[Problem, str], str | Program | None]
"""Finds the final answer, or the program that computes it, in a chain that was written for a problem."""
