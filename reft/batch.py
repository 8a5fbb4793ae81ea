"""Samples to tensors. Masks are built here, once, from lengths; nothing downstream looks at token ids to find padding.

Convention: quantities of actions are indexed by the *state* in which the action is taken, so column t speaks of
token t+1 and has width T-1. A chain of n tokens behind a prompt of p tokens has its actions in columns p-1 ... p+n-2;
the end token is an action like any other.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from rollout.types import Sample

Record = TypeVar("Record")


@dataclass(frozen=True, eq=False)
class Batch:
    """B prompts with their chains, padded on the right to T tokens."""

    tokens: Tensor
    """(B, T) int64."""
    lengths: Tensor
    """(B,) int64, prompt and chain."""
    action_mask: Tensor
    """(B, T-1) bool, true where the action of a state was sampled."""
    sampler_logprobs: Tensor
    """(B, T-1) float32 as the engine reported them, 0 outside the mask."""
    rewards: Tensor
    """(B,) float32."""
    finished: Tensor
    """(B,) bool, false where the chain was cut at its longest."""
    groups: Tensor
    """(B,) int64, the same number for chains of the same problem."""
    demonstrated: Tensor
    """(B,) bool, true where the chain is a demonstration, which no policy has sampled."""

    def __len__(self) -> int:
        return self.tokens.shape[0]


def collate(samples: Sequence[Sample], pad: int) -> Batch:
    """The batch of `samples`, which must all have a reward. `pad` fills the right; any id will do."""
    prompts = [len(sample.completion.prompt_tokens) for sample in samples]
    chains = [len(sample.completion.tokens) for sample in samples]
    width = max(prompt + chain for prompt, chain in zip(prompts, chains, strict=True))
    numbers = {name: number for number, name in enumerate(dict.fromkeys(sample.problem.id for sample in samples))}
    tokens = torch.full((len(samples), width), pad, dtype=torch.long)
    mask = torch.zeros(len(samples), width - 1, dtype=torch.bool)
    logprobs = torch.zeros(len(samples), width - 1)
    rewards = torch.zeros(len(samples))
    for row, (sample, prompt, chain) in enumerate(zip(samples, prompts, chains, strict=True)):
        tokens[row, :prompt] = torch.tensor(sample.completion.prompt_tokens)
        tokens[row, prompt : prompt + chain] = torch.tensor(sample.completion.tokens)
        actions = slice(prompt - 1, prompt + chain - 1)
        mask[row, actions] = True
        logprobs[row, actions] = torch.tensor(sample.completion.logprobs)
        if sample.reward is None:
            raise ValueError(f"sample of {sample.problem.id} has no reward; select it away before collating")
        rewards[row] = sample.reward
    return Batch(
        tokens=tokens,
        lengths=torch.tensor([prompt + chain for prompt, chain in zip(prompts, chains, strict=True)]),
        action_mask=mask,
        sampler_logprobs=logprobs,
        rewards=rewards,
        finished=torch.tensor([sample.completion.finish == "stop" for sample in samples]),
        groups=torch.tensor([numbers[sample.problem.id] for sample in samples]),
        demonstrated=torch.tensor([sample.demonstrated for sample in samples]),
    )


def take(record: Record, rows: Tensor) -> Record:
    """The given rows of a frozen dataclass of tensors whose first dimension is B, nested ones included."""
    changed: dict[str, Any] = {}
    for item in dataclasses.fields(record):  # type: ignore[arg-type]
        value = getattr(record, item.name)
        if isinstance(value, Tensor):
            changed[item.name] = value[rows]
        elif dataclasses.is_dataclass(value):
            changed[item.name] = take(value, rows)
    return dataclasses.replace(record, **changed)  # type: ignore[type-var]


def trim(record: Record, width: int) -> Record:
    """The first `width` token columns of a frozen dataclass of tensors: T becomes `width`, T-1 becomes `width` - 1."""
    changed: dict[str, Any] = {}
    for item in dataclasses.fields(record):  # type: ignore[arg-type]
        value = getattr(record, item.name)
        if isinstance(value, Tensor) and value.dim() == 2:
            changed[item.name] = value[:, : width if item.name == "tokens" else width - 1]
        elif dataclasses.is_dataclass(value):
            changed[item.name] = trim(value, width)
    return dataclasses.replace(record, **changed)  # type: ignore[type-var]
