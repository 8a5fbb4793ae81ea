"""Keys and values of rows that are decoded side by side, each as long as it has become: in place, never copied to grow.

A row's keys stand flush left in its slot. Attention is computed span by span: a span is some rows in a row, as wide as its
longest. Rows that are longest stand first, so little of a span is padding.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

IMPLEMENTATION = "slots"
"""Name of `attend` among the implementations that a model's config can name."""
SPANS = 8
"""Spans of a full batch."""
SPAN_ROWS = 16
"""Fewest rows of a span: a call costs some tens of microseconds."""


def fits(model: Any) -> bool:
    """Whether a model's rows can be kept in slots: every layer attends to all that was before, in the usual way."""
    config = model.config.get_text_config()
    layers = DynamicCache(config=model.config).layers
    odd = ("attn_logit_softcapping", "attention_chunk_size", "sliding_window")
    return (
        bool(getattr(model, "_supports_attention_backend", False))
        and all(type(layer) is DynamicLayer for layer in layers)
        and len(layers) == config.num_hidden_layers
        and all(getattr(config, name, None) is None for name in odd)
    )


@dataclass(frozen=True)
class Prefilled:
    """What a model made of P prompts."""

    keys: Sequence[torch.Tensor]
    """(P, H, T, D) of each layer; behind a prompt's end stands anything."""
    values: Sequence[torch.Tensor]
    lengths: torch.Tensor
    """Tokens (P,) of each prompt."""
    logits: torch.Tensor
    """(P, V) behind each prompt's end."""


class Slots(Cache):
    """A batch's keys and values.

    Args:
        capacity: slots.
        columns: tokens that a slot holds.
    """

    def __init__(self, capacity: int, columns: int, device: torch.device) -> None:
        self.capacity, self.columns = capacity, columns
        self.rows = capacity
        """Slots that may be used."""
        self.longest = columns
        """Tokens of the longest row that may come."""
        self.places = torch.arange(capacity, device=device)
        self.lengths = torch.zeros(capacity, dtype=torch.long, device=device)
        """Tokens of each slot's row; the next one's keys go there."""
        self.used = 0
        """Slots in use, the first ones."""
        self.spans: list[tuple[int, int, int]] = []
        """First row, the one behind the last, and tokens of the longest with the one that comes next."""
        self.bias: torch.Tensor | None = None
        """(capacity, columns), added to attention's scores: 0 where a row has keys, else minus infinity."""
        super().__init__(layers=[])

    @property
    def read(self) -> int:
        """Keys that attention reads in a step, in one head of one layer."""
        return sum((end - first) * width for first, end, width in self.spans)

    def clear(self, rows: int, longest: int) -> None:
        """Empty all slots; so many may be used from now on, by rows of at most so many tokens."""
        self.used, self.rows, self.longest = 0, rows, longest

    def admit(self, prefilled: Prefilled, which: torch.Tensor) -> slice:
        """Give slots behind those in use to rows that begin with the `which`-th prompts; returns the slots."""
        if not self.layers:
            self._allocate(prefilled)
        assert self.bias is not None
        new = slice(self.used, self.used + len(which))
        width = prefilled.keys[0].shape[2]
        for layer, keys, values in zip(self.layers, prefilled.keys, prefilled.values, strict=True):
            layer.keys[new, :, :width] = keys[which]
            layer.values[new, :, :width] = values[which]
        self.lengths[new] = prefilled.lengths[which]
        behind = torch.arange(self.columns, device=self.lengths.device) >= self.lengths[new, None]
        self.bias[new] = torch.zeros_like(self.bias[new]).masked_fill(behind, -torch.inf)
        self.used = new.stop
        return new

    def keep(self, rows: torch.Tensor) -> None:
        """Keep these rows alone, in ascending order, in the first slots."""
        count, same = len(rows), int((rows == self.places[: len(rows)]).cumprod(0).sum())
        for first, end, _ in self.spans:
            target = slice(max(first, same), min(end, count))  # no row moves up, so none is overwritten before it has moved
            if target.start < target.stop:
                source = rows[target]
                width = int(self.lengths[source].max())
                for layer in self.layers:
                    layer.keys[target, :, :width] = layer.keys[source, :, :width]
                    layer.values[target, :, :width] = layer.values[source, :, :width]
        assert self.bias is not None
        self.lengths[:count] = self.lengths[rows]
        self.bias[:count] = self.bias[rows]
        self.used = count

    def arrange(self) -> None:
        """Cut the rows in use into spans."""
        size = max(SPAN_ROWS, -(-self.used // SPANS))
        lengths = self.lengths[: self.used].tolist()
        starts = range(0, self.used, size)
        self.spans = [(at, min(at + size, self.used), max(lengths[at : at + size])) for at in starts]

    def open(self) -> None:
        """Make room for the next token of each row."""
        assert self.bias is not None
        self.bias[self.places[: self.used], self.lengths[: self.used]] = 0
        self.spans = [(first, end, min(width + 1, self.longest)) for first, end, width in self.spans]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While it lasts, attention is over these."""
        token = IN_USE.set(self)
        try:
            yield
        finally:
            IN_USE.reset(token)

    def close(self, living: torch.Tensor) -> None:
        """Count the token that has come; rows that are not `living` (B,) stay as long as they are."""
        self.lengths[: self.used] += living

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return max((width for _, _, width in self.spans), default=0)

    def _allocate(self, prefilled: Prefilled) -> None:
        for keys, values in zip(prefilled.keys, prefilled.values, strict=True):
            layer = _SlotLayer(self)
            # What is masked must be finite all the same.
            layer.keys = keys.new_zeros(self.capacity, keys.shape[1], self.columns, keys.shape[3])
            layer.values = values.new_zeros(self.capacity, values.shape[1], self.columns, values.shape[3])
            layer.is_initialized = True
            self.layers.append(layer)
        self.bias = prefilled.keys[0].new_empty(self.capacity, self.columns)


IN_USE: ContextVar[Slots | None] = ContextVar("slots", default=None)
"""Those that the model is run over in this thread. Not every model hands further arguments down to its attention."""


class _SlotLayer(CacheLayerMixin):
    """One layer's keys and values, (capacity, H, columns, D)."""

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        self.slots = slots

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        raise AssertionError("slots are allocated by what is admitted first")

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put the keys and values (B, H, 1, D) of each row's next token into its slot."""
        count = len(key_states)
        rows, columns = self.slots.places[:count], self.slots.lengths[:count]
        self.keys[rows, :, columns] = key_states[:, :, 0]
        self.values[rows, :, columns] = value_states[:, :, 0]
        return self.keys[:count], self.values[:count]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        return self.slots.get_seq_length()

    def get_max_length(self) -> int:
        return self.slots.columns


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as `transformers` calls it: over slots where some are `IN_USE`, else over prompts that stand flush left, where
    what comes behind a prompt's end changes nothing before it."""
    slots = IN_USE.get()
    if slots is None:
        return sdpa_attention_forward(module, query, key, value, None, scaling=scaling, is_causal=True)
    assert slots.bias is not None
    # Heads that share keys are queries of one head.
    grouped = query.reshape(len(query), key.shape[1], -1, query.shape[-1])
    result = grouped.new_empty(*grouped.shape[:3], value.shape[-1])
    for first, end, width in slots.spans:
        rows = slice(first, end)
        result[rows] = torch.nn.functional.scaled_dot_product_attention(
            grouped[rows],
            key[rows, :, :width],
            value[rows, :, :width],
            attn_mask=slots.bias[rows, None, None, :width],
            scale=scaling,
        )
    return result.reshape(len(query), 1, query.shape[1], value.shape[-1]), None


AttentionInterface.register(IMPLEMENTATION, attend)
