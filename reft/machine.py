"""What a machine can do at most, measured, and how long sampling would take at that."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from reft.flops import count_multiplied, count_pair
from rollout.work import work_of_chain, work_of_text

SIDE = 1024
"""Of the square matrices that are multiplied."""
COPIED = 1 << 26
"""Numbers that are copied: far more than caches hold."""
TRIES = 7


@dataclass(frozen=True)
class Machine:
    """Rates of a device, in one type of numbers; a CPU's are with torch's threads."""

    flops: float
    """Multiplications and additions a second, in a product of matrices."""
    bytes: float
    """Bytes read and written a second, in a copy."""


def measure_machine(device: str = "cpu", dtype: torch.dtype = torch.float32) -> Machine:
    """The best of some tries of each, about a second in all."""
    side = SIDE if device == "cpu" else 8 * SIDE  # a GPU is not busy with less
    left, right = torch.rand(2, side, side, device=device, dtype=dtype)
    source = torch.rand(COPIED, device=device)
    target = torch.empty_like(source)
    return Machine(
        flops=2 * side**3 / _least_seconds(lambda: torch.mm(left, right), device),
        bytes=2 * 4 * COPIED / _least_seconds(lambda: target.copy_(source), device),
    )


@dataclass(frozen=True)
class Work:
    """What must be computed and moved to sample some chains, whoever does it."""

    matrix_flops: float
    """In products with weights: two for each weight that is multiplied, token by token."""
    attention_flops: float
    weight_bytes: float
    """Of all weights, once a step of the fullest batch."""
    cache_bytes: float
    """Of keys and values, as each token reads those of its own row."""

    def least_seconds(self, machine: Machine) -> float:
        """At the machine's rates: of what is computed and what is moved, the slower, in products and in attention. No padding,
        no element-wise work, nothing done twice. A machine could do better by reading a prompt's keys once for all its chains,
        and by moving for attention while it computes products: by a third to a half of the time, where both are as large."""
        products = max(self.matrix_flops / machine.flops, self.weight_bytes / machine.bytes)
        return products + max(self.attention_flops / machine.flops, self.cache_bytes / machine.bytes)


def count_work(model: Any, prompts: list[int], lengths: list[list[int]], rows: int) -> Work:
    """The work of sampling chains of these `lengths` for prompts of these lengths, `rows` at once, from a `transformers` model.
    A prompt is computed once, however many chains it has; the last token of a chain is not put into the model."""
    config = model.config.get_text_config()
    embedding = model.get_input_embeddings().weight
    multiplied = count_multiplied(model)
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    shared = getattr(config, "num_key_value_heads", None) or heads
    decoded = work_of_text(0)
    for prompt, group in zip(prompts, lengths, strict=True):
        for length in group:
            decoded += work_of_chain(prompt, length)
    whole = sum(map(work_of_text, prompts), decoded)
    bytes_each = embedding.element_size()
    return Work(
        matrix_flops=2.0 * multiplied * whole.tokens,
        attention_flops=count_pair(config) * whole.pairs,
        weight_bytes=bytes_each * multiplied * (1 + decoded.tokens / rows),
        cache_bytes=2.0 * bytes_each * config.num_hidden_layers * shared * size * decoded.pairs,
    )


def await_device(device: str) -> None:
    """Return when it has done all that it was given: a GPU works behind the program's back."""
    if device != "cpu":
        torch.accelerator.synchronize()


def _least_seconds(work: Callable[[], object], device: str) -> float:
    seconds = []
    for _ in range(TRIES):
        await_device(device)
        begun = time.perf_counter()
        work()
        await_device(device)
        seconds.append(time.perf_counter() - begun)
    return min(seconds)
