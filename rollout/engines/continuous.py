"""Continuous batching: rows that are done leave the batch, and those that wait take their places."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy
import torch
from transformers.cache_utils import DynamicCache

from rollout.codec import Codec
from rollout.engine import NOBODY, Listener
from rollout.engines.chains import Start
from rollout.engines.draws import choose, forbid_end, uniforms
from rollout.engines.slots import Prefilled, Slots
from rollout.types import SamplingParams
from rollout.usage import Usage

PREFILL_TOKENS = 4096
"""Tokens of prompts, padding included, that one forward pass takes."""
LOOK = 8
"""Steps from one look for texts that end a chain to the next, since tokens must be made text for it."""
IDLE = 8
"""A batch is filled up when one row of so many is done: what a change costs is shared, and few rows stand idle."""


@dataclass
class _Rows:
    """What is known of the rows in the batch, a tensor (B, ...) each."""

    row: torch.Tensor
    """Which of all rows it is."""
    token: torch.Tensor
    """The one that was drawn last."""
    drawn: torch.Tensor
    """Tokens that were drawn."""
    budget: torch.Tensor
    living: torch.Tensor
    """Whether the row goes on."""
    uniform: torch.Tensor
    """(B, T) for all that it may draw."""

    def select(self, rows: torch.Tensor) -> "_Rows":
        return _Rows(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def join(self, other: "_Rows") -> "_Rows":
        names = [field.name for field in fields(self)]
        return _Rows(**{name: torch.cat([getattr(self, name), getattr(other, name)]) for name in names})


class ContinuousBatch:
    """All rows of one call: `n` for each start. Those of one start are next to each other, and it is prefilled once.

    Args:
        model: whose attention is `slots.attend`.
        starts: of P prompts.
        n: rows for each.
        params: how chains are drawn.
        seeds: of the rows' streams.
        codec: knows what ends a chain.
        slots: where the rows' keys go.
        listener: asked at every step whether to go on.
    """

    def __init__(
        self,
        model: Any,
        starts: Sequence[Start],
        n: int,
        params: SamplingParams,
        seeds: Sequence[int],
        codec: Codec,
        slots: Slots,
        listener: Listener = NOBODY,
    ) -> None:
        self.model, self.starts, self.n, self.params, self.seeds, self.slots = model, starts, n, params, seeds, slots
        self.codec, self.listener = codec, listener
        self.device = slots.lengths.device
        self.stops = torch.tensor(codec.stops, dtype=torch.long, device=self.device)
        count = len(starts) * n
        self.tokens = torch.zeros(count, params.max_tokens + 1, dtype=torch.int32, device=self.device)
        """(P·n, T + 1) as they were drawn; behind a row's length stands anything."""
        self.logprobs = torch.zeros(count, params.max_tokens + 1, device=self.device)
        self.lengths = torch.zeros(count, dtype=torch.long, device=self.device)
        """Tokens (P·n,) that were drawn for each row."""
        self.usage = Usage()
        """Of steps, rows and keys."""
        self._left = [n] * len(starts)
        """Rows of each start that are not done."""
        self._next = 0
        self._held: tuple[int, Prefilled, int] | None = None
        """The start that the next row begins with, as far as it has been prefilled: its number, and where."""
        self._batch: _Rows | None = None

    def run(self) -> Iterator[int]:
        """Decode all rows to their ends. Gives the number of each start whose rows have all come there."""
        while self._refill():
            batch = self._batch
            assert batch is not None
            keys = int(self.slots.lengths[: self.slots.used].sum())
            while not _is_refill_due(len(batch.living), living := int(batch.living.sum())):
                self.listener.check()
                self.slots.open()
                count = self.slots.used
                with self.slots.in_use():
                    logits = self.model(
                        input_ids=batch.token[:, None],
                        position_ids=self.slots.lengths[:count, None],
                        past_key_values=self.slots,
                        use_cache=True,
                    ).logits[:, -1]
                self.slots.close(batch.living)
                self._draw(batch, logits)
                # Each row reads its own keys and the one that comes next, which those that are done do not keep.
                self.usage += Usage(1, 0, living, self.slots.rows, keys + living, self.slots.read)
                keys += living
                if self.params.stop and self.usage.steps % LOOK == 0:
                    self._end_at_texts(batch)
            yield from self._retire()

    def _end_at_texts(self, batch: _Rows) -> None:
        """Let rows end whose text does. It may have done so some tokens before: they are cut off behind all."""
        for place in batch.living.nonzero().flatten().tolist():
            row, drawn = int(batch.row[place]), int(batch.drawn[place])
            tokens = self.tokens[row, :drawn].cpu().numpy()
            if self.codec.find_end(self.starts[row // self.n].prefix, tokens, self.params.stop) is not None:
                batch.living[place] = False

    def _retire(self) -> list[int]:
        """Let rows that are done leave; the starts of which none is left."""
        batch = self._batch
        assert batch is not None
        self.lengths[batch.row] = batch.drawn
        gone = (batch.row[~batch.living] // self.n).tolist()
        for place in gone:
            self._left[place] -= 1
        living = batch.living.nonzero().squeeze(1)
        self.slots.keep(living)
        self._batch = batch.select(living)
        return [place for place in dict.fromkeys(gone) if not self._left[place]]

    def _refill(self) -> bool:
        """Let rows begin; whether there are any."""
        while self._next < len(self.starts) * self.n and self.slots.used < self.slots.rows:
            self._begin()
        self.slots.arrange()
        return self.slots.used > 0

    def _begin(self) -> None:
        """Begin as many rows as there are slots, of starts that are prefilled together."""
        first = self._next // self.n
        if self._held is not None and self._held[0] == first:
            _, prefilled, place = self._held
            count = 1
        else:
            prefilled, place = self._prefill(first), 0
            count = len(prefilled.lengths)
        end = min((first + count) * self.n, self._next + self.slots.rows - self.slots.used)
        numbers = range(self._next, end)
        rows = torch.tensor(numbers, device=self.device)
        which = rows // self.n - first + place
        new = self.slots.admit(prefilled, which)
        self._held = None if end % self.n == 0 else (end // self.n, prefilled, end // self.n - first + place)
        self._next = end
        budgets = torch.tensor([self.starts[row // self.n].budget for row in numbers], device=self.device)
        begun = _Rows(
            row=rows,
            token=torch.zeros_like(rows),
            drawn=torch.zeros_like(rows),
            budget=budgets,
            living=torch.ones_like(rows, dtype=torch.bool),
            uniform=self._uniforms(self.seeds[numbers.start : numbers.stop]),
        )
        self._draw(begun, prefilled.logits[which])
        self._batch = begun if self._batch is None else self._batch.join(begun)
        assert new.stop == len(self._batch.row)

    def _prefill(self, first: int) -> Prefilled:
        """Run the model over starts from the `first` on: as many as fit, and rows wait for."""
        wanted = -(-(self.slots.rows - self.slots.used) // self.n)
        lengths: list[int] = []
        for start in self.starts[first : first + wanted]:
            longest = max([len(start.tokens), *lengths])
            if lengths and longest * (len(lengths) + 1) > PREFILL_TOKENS:
                break
            lengths.append(len(start.tokens))
        ids = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
        for place, length in enumerate(lengths):
            ids[place, :length] = torch.from_numpy(self.starts[first + place].tokens.astype(numpy.int64))
        ends, which = torch.tensor(lengths).unique(return_inverse=True)
        cache = DynamicCache()
        logits = self.model(
            input_ids=ids.to(self.device),
            position_ids=torch.arange(max(lengths), device=self.device)[None],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=(ends - 1).to(self.device),
        ).logits
        return Prefilled(
            keys=[layer.keys for layer in cache.layers],
            values=[layer.values for layer in cache.layers],
            lengths=torch.tensor(lengths, device=self.device),
            logits=logits[torch.arange(len(lengths), device=self.device), which.to(self.device)],
        )

    def _uniforms(self, seeds: Sequence[int]) -> torch.Tensor:
        if self.params.temperature > 0:
            return uniforms(seeds, self.params.max_tokens).to(self.device)
        return torch.zeros(len(seeds), 1, dtype=torch.float64, device=self.device)

    def _draw(self, batch: _Rows, logits: torch.Tensor) -> None:
        """Draw each row's next token from logits (B, V)."""
        greedy = self.params.temperature == 0
        uniform = None if greedy else batch.uniform.gather(1, batch.drawn.clamp(max=batch.uniform.shape[1] - 1)[:, None])[:, 0]
        if self.params.min_tokens:
            logits = forbid_end(logits, self.stops, batch.drawn < self.params.min_tokens)
        chosen, logprob = choose(logits.float(), self.params, uniform)
        # What a row that is done draws comes behind its end, where nobody looks.
        self.tokens[batch.row, batch.drawn] = chosen.int()
        self.logprobs[batch.row, batch.drawn] = logprob
        batch.token = chosen
        batch.drawn = batch.drawn + batch.living
        batch.living = batch.living & ~torch.isin(chosen, self.stops) & (batch.drawn < batch.budget)
        if len(self.lengths) == 1 and not self.listener.hear(int(chosen[0])):
            batch.living = torch.zeros_like(batch.living)


def _is_refill_due(rows: int, living: int) -> bool:
    idle = rows - living
    return idle > 0 and idle * IDLE >= rows
