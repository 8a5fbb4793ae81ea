"""What passes through a rollout: a problem, its completion, the scored sample. Each stage builds the next type."""

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
    reward functions by name.
    """

    id: str
    prompt: str
    answer: str
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SamplingParams:
    """How chains are drawn. Training samples from the model's own distribution: no top-p, top-k or penalties."""

    temperature: float = 1.0
    """Logits are divided by it; 0 takes the most likely token."""
    max_tokens: int = 256
    """Longest chain, in tokens, the end token included."""


@dataclass(frozen=True, eq=False)
class Completion:
    """One sampled chain.

    `tokens` (T,) int32 includes the end token where `finish` is "stop"; `logprobs` (T,) float32 are natural logarithms
    under the distribution sampled from (after temperature); greedy ones are under temperature 1.
    """

    prompt_tokens: NDArray[numpy.int32]
    tokens: NDArray[numpy.int32]
    logprobs: NDArray[numpy.float32]
    text: str
    finish: Finish


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


Reader = Callable[[Problem, str], str | Program | None]
"""Finds the final answer, or the program that computes it, in a chain that was written for a problem."""
