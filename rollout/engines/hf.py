"""The embedded engine: decoder-only language models of `transformers` that keep keys and values, on CPU or GPU, in torch.

Rows are decoded side by side, and each place that is done is taken by the next (`continuous`); of models whose rows cannot be
kept in slots, prompts are padded on the left and rows wait for the longest of theirs. Log-probs are taken in float32 from the
distribution that is sampled. Each sample draws one uniform number a token from a stream of its own and inverts the
cumulative distribution, so a chain does not depend on its neighbours in the batch.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rollout.codec import Codec, TextStream
from rollout.engine import NOBODY, EngineFactory, Listener, Weights, WeightsError, checksum, list_stops, untied
from rollout.engines.chains import Start, make_completion, make_starts
from rollout.engines.continuous import LOOK, ContinuousBatch
from rollout.engines.draws import choose, forbid_end, stream_seed, uniforms
from rollout.engines.slots import IMPLEMENTATION, Slots, fits
from rollout.parcel import Parcel
from rollout.types import Completion, SamplingParams
from rollout.usage import Usage


@dataclass(frozen=True)
class HFEngineFactory(EngineFactory):
    """Builds an `HFEngine`."""

    def __call__(self) -> "HFEngine":
        model = AutoModelForCausalLM.from_pretrained(self.model, dtype=getattr(torch, self.dtype), trust_remote_code=False)
        return HFEngine(
            model.to(self.device), AutoTokenizer.from_pretrained(self.model, trust_remote_code=False), self.max_rows
        )


class HFEngine:
    """Samples from a `transformers` model held in this process.

    Args:
        model: a causal LM; its dropout is switched off.
        tokenizer: its tokenizer.
        max_rows: chains decoded at once; more are done in turn.
    """

    def __init__(self, model: Any, tokenizer: Any, max_rows: int = 256) -> None:
        self.model = model.eval()
        self.codec = Codec(tokenizer, list_stops(model.generation_config))
        self.max_rows = max_rows
        self.longest: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        """Positions of the model, where it says how many."""
        self.continuous = fits(model)
        """Whether rows come and go; the others of models that keep more than keys and values wait for the longest of theirs."""
        if self.continuous:
            model.set_attn_implementation(IMPLEMENTATION)
        self._slots: Slots | None = None
        self._usage = Usage()
        self._borrows = False
        """Whether weights may be in memory that is not the model's own."""

    def generate(
        self,
        prompts: Sequence[str],
        n: int,
        params: SamplingParams,
        seed: int,
        prefixes: Sequence[str] | None = None,
        listener: Listener = NOBODY,
    ) -> list[list[Completion]]:
        begun = time.monotonic()
        starts = make_starts(self.codec, prompts, prefixes, params.max_tokens, self.longest)
        seeds = [stream_seed(seed, place, sample) for place in range(len(prompts)) for sample in range(n)]
        groups = self._complete(starts, n, params, seeds, listener)
        tokens = sum(len(completion.tokens) for group in groups for completion in group)
        self._usage += Usage(tokens=tokens, generating=time.monotonic() - begun)
        return groups

    def stream(
        self,
        prompt: str,
        params: SamplingParams,
        seed: int,
        tell: Callable[[str], None],
        prefix: str = "",
        sample: int = 0,
    ) -> Completion:
        (start,) = make_starts(self.codec, [prompt], [prefix], params.max_tokens, self.longest)
        text = TextStream(self.codec, start.prefix, params.stop, tell)
        ((completion,),) = self._complete([start], 1, params, [stream_seed(seed, 0, sample)], text)
        text.end(completion.text)
        return completion

    def load_weights(self, weights: Weights) -> int:
        own = untied(self.model.state_dict(keep_vars=True))
        if own.keys() != weights.keys():
            odd = sorted(own.keys() ^ weights.keys())[:4]
            raise WeightsError(f"published weights do not fit the engine's model: {odd} are on one side only")
        for name, tensor in own.items():
            if weights[name].shape != tensor.shape:
                shapes = f"{tuple(weights[name].shape)}, not {tuple(tensor.shape)}"
                raise WeightsError(f"published weights do not fit the engine's model: {name} is {shapes}")
        with torch.no_grad():
            for name, tensor in own.items():
                new = weights[name]
                if isinstance(weights, Parcel) and weights.shared and (new.dtype, new.device) == (tensor.dtype, tensor.device):
                    tensor.data = new
                    self._borrows = True
                elif self._borrows:  # others read that memory, too
                    tensor.data = torch.empty_like(tensor).copy_(new)
                else:
                    tensor.copy_(new)
        return checksum(untied(self.model.state_dict()))

    def drain_usage(self) -> Usage:
        usage, self._usage = self._usage, Usage()
        return usage

    def _complete(
        self,
        starts: Sequence[Start],
        n: int,
        params: SamplingParams,
        seeds: Sequence[int],
        listener: Listener,
    ) -> list[list[Completion]]:
        """`n` completions of each start."""
        if self.continuous:
            return self._decode_continuously(starts, n, params, seeds, listener)
        rows = [start for start in starts for _ in range(n)]
        completions: list[Completion] = []
        groups: list[list[Completion]] = []
        for at in range(0, len(rows), self.max_rows):
            part = slice(at, at + self.max_rows)
            completions += self._decode(rows[part], params, seeds[part], min(self.max_rows, len(rows)), listener)
            for place in range(len(groups), len(completions) // n):
                groups.append(completions[place * n : (place + 1) * n])
                listener.take(place, groups[place])
        return groups or [[] for _ in starts]

    @torch.inference_mode()
    def _decode_continuously(
        self,
        starts: Sequence[Start],
        n: int,
        params: SamplingParams,
        seeds: Sequence[int],
        listener: Listener,
    ) -> list[list[Completion]]:
        rows = max(min(self.max_rows, len(starts) * n), 1)
        columns = max((len(start.tokens) + start.budget for start in starts), default=1)
        slots = self._slots_of(rows, columns)
        batch = ContinuousBatch(self.model, starts, n, params, seeds, self.codec, slots, listener)
        groups: list[list[Completion]] = [[] for _ in starts]
        for place in batch.run():
            own = slice(place * n, (place + 1) * n)
            parts = zip(
                batch.tokens[own].cpu().numpy(), batch.logprobs[own].cpu().numpy(), batch.lengths[own].tolist(), strict=True
            )
            groups[place] = [
                make_completion(self.codec, starts[place], tokens[:length], logprobs[:length], params.stop)
                for tokens, logprobs, length in parts
            ]
            listener.take(place, groups[place])
        self._usage += batch.usage
        return groups

    def _slots_of(self, rows: int, columns: int) -> Slots:
        """Slots that are empty: those of the call before where they are large enough, since fresh memory takes time."""
        slots = self._slots
        if slots is None or slots.capacity < rows or slots.columns < columns:
            self._slots = None  # before others are there
            slots = Slots(rows, columns, next(self.model.parameters()).device)
        slots.clear(rows, columns)
        self._slots = slots
        return slots

    @torch.inference_mode()
    def _decode(
        self,
        starts: Sequence[Start],
        params: SamplingParams,
        seeds: Sequence[int],
        slots: int,
        listener: Listener,
    ) -> list[Completion]:
        """Completions of so many rows side by side; `slots` would have been possible."""
        device = next(self.model.parameters()).device
        ids, mask = pad_left([start.tokens for start in starts], self.codec.pad, device)
        budgets = torch.tensor([start.budget for start in starts], device=device)
        streams = uniforms(seeds, params.max_tokens).to(device) if params.temperature > 0 else None
        stops = torch.tensor(self.codec.stops, dtype=torch.long, device=device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        done = torch.zeros(len(starts), dtype=torch.bool, device=device)
        drawn = torch.zeros(len(starts), dtype=torch.long, device=device)
        tokens, logprobs, cache = [], [], None
        living, keys = len(starts), sum(len(start.tokens) for start in starts)
        for step in range(params.max_tokens):
            listener.check()
            output = self.model(
                input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
                logits_to_keep=1,
            )  # fmt: skip
            cache = output.past_key_values
            if step:
                keys += living
                self._usage += Usage(1, 0, living, slots, keys, mask.numel())
            logits = forbid_end(output.logits[:, -1].float(), stops, step < params.min_tokens)
            chosen, logprob = choose(logits, params, None if streams is None else streams[:, step])
            tokens.append(chosen.masked_fill(done, self.codec.pad))
            logprobs.append(logprob)
            drawn = drawn + ~done
            done = done | torch.isin(chosen, stops) | (budgets == step + 1)
            if params.stop and (step + 1) % LOOK == 0:
                done |= self._ended_at_texts(starts, torch.stack(tokens, 1), done, params.stop)
            living = int((~done).sum())
            if not living or (len(starts) == 1 and not listener.hear(int(chosen[0]))):
                break
            # A row that is done stays where it is: with a long prefix it may stand at the model's last position.
            ids, positions = tokens[-1][:, None], positions[:, -1:] + ~done[:, None]
            mask = torch.cat([mask, mask.new_ones(len(starts), 1)], dim=1)
        drawn_tokens = torch.stack(tokens, 1).cpu().numpy().astype(numpy.int32)
        values = torch.stack(logprobs, 1).cpu().numpy()
        return [
            make_completion(self.codec, starts[row], drawn_tokens[row, :length], values[row, :length], params.stop)
            for row, length in enumerate(drawn.tolist())
        ]

    def _ended_at_texts(
        self, starts: Sequence[Start], tokens: torch.Tensor, done: torch.Tensor, stop: Sequence[str]
    ) -> torch.Tensor:
        """Which rows (B,) that are not done hold a text that ends them among their `tokens` (B, T)."""
        rows = zip(starts, tokens.cpu().numpy(), done.tolist(), strict=True)
        ended = [not over and self.codec.find_end(start.prefix, row, stop) is not None for start, row, over in rows]
        return torch.tensor(ended, device=done.device)


def pad_left(prompts: Sequence[numpy.ndarray], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, int64 (B, T), the prompts flush right."""
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.from_numpy(prompt.astype(numpy.int64))
        mask[row, longest - len(prompt) :] = 1
    return ids.to(device), mask.to(device)
