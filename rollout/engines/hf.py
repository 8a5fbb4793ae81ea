"""The embedded engine: any Hugging Face causal LM, sampled with plain torch on CPU or GPU.

Prompts are padded on the left and decoded in step with a key/value cache. Log-probs are taken in float32 from the
distribution that is sampled. Each sample draws one uniform number a token from a stream of its own and inverts the
cumulative distribution, so a chain does not depend on its neighbours in the batch.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rollout.codec import Codec
from rollout.engine import Notify, Weights, WeightsError, checksum, untied
from rollout.engines.continuous import ContinuousBatch, Start
from rollout.engines.draws import choose, stream_seed, uniforms
from rollout.engines.slots import IMPLEMENTATION, Slots, fits
from rollout.parcel import Parcel
from rollout.types import Completion, SamplingParams
from rollout.usage import Usage


@dataclass(frozen=True)
class HFEngineFactory:
    """Builds an `HFEngine` where it will run."""

    model: str
    """Folder or hub id."""
    dtype: str = "float32"
    device: str = "cpu"
    max_rows: int = 256
    """Chains decoded at once."""

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
        stops = model.generation_config.eos_token_id if model.generation_config is not None else None
        self.codec = Codec(tokenizer, [] if stops is None else [stops] if isinstance(stops, int) else stops)
        self.max_rows = max_rows
        self.continuous = fits(model)
        """Whether rows come and go; the others of models that keep more than keys and values wait for the longest of theirs."""
        if self.continuous:
            model.set_attn_implementation(IMPLEMENTATION)
        self._slots: Slots | None = None
        self._usage = Usage()

    def generate(
        self,
        prompts: Sequence[str],
        n: int,
        params: SamplingParams,
        seed: int,
        prefixes: Sequence[str] | None = None,
        notify: Notify | None = None,
    ) -> list[list[Completion]]:
        notify = notify or (lambda place, completions: None)
        begun = time.monotonic()
        starts = self._starts(prompts, prefixes or [""] * len(prompts), params.max_tokens)
        if self.continuous:
            groups = self._decode_continuously(starts, n, params, seed, notify)
        else:
            groups = self._decode_in_turn(starts, n, params, seed)
            for place, group in enumerate(groups):
                notify(place, group)
        tokens = sum(len(completion.tokens) for group in groups for completion in group)
        self._usage += Usage(tokens=tokens, generating=time.monotonic() - begun)
        return groups

    def load_weights(self, weights: Weights) -> int:
        own = untied(self.model.state_dict(keep_vars=True))
        if own.keys() != weights.keys():
            odd = sorted(own.keys() ^ weights.keys())[:4]
            raise WeightsError(f"published weights do not fit the engine's model: {odd} are on one side only")
        with torch.no_grad():
            for name, tensor in own.items():
                new = weights[name]
                if isinstance(weights, Parcel) and weights.shared and (new.dtype, new.device) == (tensor.dtype, tensor.device):
                    tensor.data = new
                else:
                    tensor.copy_(new)
        return checksum(untied(self.model.state_dict()))

    def drain_usage(self) -> Usage:
        usage, self._usage = self._usage, Usage()
        return usage

    def _starts(self, prompts: Sequence[str], prefixes: Sequence[str], max_tokens: int) -> list[Start]:
        parts = zip(self.codec.prompts(prompts), self.codec.prefixes(prefixes), strict=True)
        starts = [Start(numpy.concatenate([prompt, prefix]), prefix, max_tokens - len(prefix)) for prompt, prefix in parts]
        if any(start.budget < 1 for start in starts):
            raise ValueError(f"a prefix has max_tokens={max_tokens} tokens or more, so nothing is left to be sampled")
        return starts

    @torch.inference_mode()
    def _decode_continuously(
        self, starts: Sequence[Start], n: int, params: SamplingParams, seed: int, notify: Notify
    ) -> list[list[Completion]]:
        rows = max(min(self.max_rows, len(starts) * n), 1)
        columns = max((len(start.tokens) + start.budget for start in starts), default=1)
        batch = ContinuousBatch(self.model, starts, n, params, seed, self.codec, self._slots_of(rows, columns))
        groups: list[list[Completion]] = [[] for _ in starts]
        for place in batch.run():
            own = slice(place * n, (place + 1) * n)
            parts = zip(
                batch.tokens[own].cpu().numpy(), batch.logprobs[own].cpu().numpy(), batch.lengths[own].tolist(), strict=True
            )
            groups[place] = [
                self._completion(starts[place], tokens[:length], logprobs[:length], params.stop)
                for tokens, logprobs, length in parts
            ]
            notify(place, groups[place])
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

    def _decode_in_turn(self, starts: Sequence[Start], n: int, params: SamplingParams, seed: int) -> list[list[Completion]]:
        rows = [(place, sample) for place in range(len(starts)) for sample in range(n)]
        completions: list[Completion] = []
        for start in range(0, len(rows), self.max_rows):
            part = rows[start : start + self.max_rows]
            seeds = [stream_seed(seed, place, sample) for place, sample in part]
            completions += self._decode([starts[place] for place, _ in part], params, seeds, min(self.max_rows, len(rows)))
        return [completions[place * n : (place + 1) * n] for place in range(len(starts))]

    @torch.inference_mode()
    def _decode(self, starts: Sequence[Start], params: SamplingParams, seeds: Sequence[int], slots: int) -> list[Completion]:
        """Completions of so many rows side by side; `slots` would have been possible."""
        device = next(self.model.parameters()).device
        ids, mask = _pad_left([start.tokens for start in starts], self.codec.pad, device)
        budgets = torch.tensor([start.budget for start in starts], device=device)
        streams = uniforms(seeds, params.max_tokens).to(device) if params.temperature > 0 else None
        stops = torch.tensor(self.codec.stops, device=device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        done = torch.zeros(len(starts), dtype=torch.bool, device=device)
        tokens, logprobs, cache = [], [], None
        living, keys = len(starts), sum(len(start.tokens) for start in starts)
        for step in range(params.max_tokens):
            output = self.model(
                input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
                logits_to_keep=1,
            )  # fmt: skip
            cache = output.past_key_values
            if step:
                keys += living
                self._usage += Usage(1, 0, living, slots, keys, mask.numel())
            chosen, logprob = choose(output.logits[:, -1].float(), params, None if streams is None else streams[:, step])
            tokens.append(chosen.masked_fill(done, self.codec.pad))
            logprobs.append(logprob)
            done = done | torch.isin(chosen, stops) | (budgets == step + 1)
            living = int((~done).sum())
            if not living:
                break
            # A row that is done stays where it is: with a long prefix it may stand at the model's last position.
            ids, positions = tokens[-1][:, None], positions[:, -1:] + ~done[:, None]
            mask = torch.cat([mask, mask.new_ones(len(starts), 1)], dim=1)
        return self._completions(starts, torch.stack(tokens, 1).cpu(), torch.stack(logprobs, 1).cpu(), params.stop)

    def _completions(
        self, starts: Sequence[Start], tokens: torch.Tensor, logprobs: torch.Tensor, stop: Sequence[str]
    ) -> list[Completion]:
        budgets = torch.tensor([start.budget for start in starts])
        # Behind a row's budget stands padding, which may be the end token.
        sampled = torch.arange(tokens.shape[1]) < budgets[:, None]
        stopped = torch.isin(tokens, torch.tensor(self.codec.stops)) & sampled
        lengths = torch.where(stopped.any(1), stopped.int().argmax(1) + 1, budgets).tolist()
        ids, values = tokens.numpy().astype(numpy.int32), logprobs.numpy()
        return [
            self._completion(starts[row], ids[row, :length], values[row, :length], stop) for row, length in enumerate(lengths)
        ]

    def _completion(self, start: Start, tokens: numpy.ndarray, logprobs: numpy.ndarray, stop: Sequence[str]) -> Completion:
        end = self.codec.find_end(start.prefix, tokens, stop)
        tokens, logprobs = tokens[:end], logprobs[:end]
        return Completion(
            prompt_tokens=start.tokens,
            tokens=tokens.copy(),
            logprobs=logprobs.copy(),
            text=self.codec.text_behind(start.prefix, tokens),
            finish="stop" if end is not None or tokens[-1] in self.codec.stops else "length",
            prefix=self.codec.text(start.prefix),
            prefix_length=len(start.prefix),
        )


def _pad_left(prompts: Sequence[numpy.ndarray], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, int64 (B, T), the prompts flush right."""
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.from_numpy(prompt.astype(numpy.int64))
        mask[row, longest - len(prompt) :] = 1
    return ids.to(device), mask.to(device)
