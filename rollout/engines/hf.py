"""The embedded engine: any Hugging Face causal LM, sampled with plain torch on CPU or GPU.

Prompts are padded on the left and decoded in step with a key/value cache. Log-probs are taken in float32 from the
distribution that is sampled. Each sample draws one uniform number a token from a stream of its own and inverts the
cumulative distribution, so a chain does not depend on its neighbours in the batch.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rollout.codec import Codec
from rollout.engine import Weights, WeightsError, checksum, untied
from rollout.types import Completion, SamplingParams


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

    def generate(
        self, prompts: Sequence[str], n: int, params: SamplingParams, seed: int, prefixes: Sequence[str] | None = None
    ) -> list[list[Completion]]:
        starts = self._starts(prompts, prefixes or [""] * len(prompts), params.max_tokens)
        rows = [(place, sample) for place in range(len(prompts)) for sample in range(n)]
        completions: list[Completion] = []
        for start in range(0, len(rows), self.max_rows):
            part = rows[start : start + self.max_rows]
            seeds = [_stream_seed(seed, place, sample) for place, sample in part]
            completions += self._decode([starts[place] for place, _ in part], params, seeds)
        return [completions[place * n : (place + 1) * n] for place in range(len(prompts))]

    def load_weights(self, weights: Weights) -> int:
        own = untied(self.model.state_dict())
        if own.keys() != weights.keys():
            odd = sorted(own.keys() ^ weights.keys())[:4]
            raise WeightsError(f"published weights do not fit the engine's model: {odd} are on one side only")
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(weights[name])
        return checksum(untied(self.model.state_dict()))

    def _starts(self, prompts: Sequence[str], prefixes: Sequence[str], max_tokens: int) -> list["_Start"]:
        parts = zip(self.codec.prompts(prompts), self.codec.prefixes(prefixes), strict=True)
        starts = [_Start(numpy.concatenate([prompt, prefix]), prefix, max_tokens - len(prefix)) for prompt, prefix in parts]
        if any(start.budget < 1 for start in starts):
            raise ValueError(f"a prefix has max_tokens={max_tokens} tokens or more, so nothing is left to be sampled")
        return starts

    @torch.inference_mode()
    def _decode(self, starts: Sequence["_Start"], params: SamplingParams, seeds: Sequence[int]) -> list[Completion]:
        device = next(self.model.parameters()).device
        ids, mask = _pad_left([start.tokens for start in starts], self.codec.pad, device)
        budgets = torch.tensor([start.budget for start in starts], device=device)
        uniforms = _uniforms(seeds, params.max_tokens).to(device) if params.temperature > 0 else None
        stops = torch.tensor(self.codec.stops, device=device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        done = torch.zeros(len(starts), dtype=torch.bool, device=device)
        tokens, logprobs, cache = [], [], None
        for step in range(params.max_tokens):
            output = self.model(
                input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
                logits_to_keep=1,
            )  # fmt: skip
            cache = output.past_key_values
            chosen, logprob = _choose(
                output.logits[:, -1].float(), params.temperature, None if uniforms is None else uniforms[:, step]
            )
            tokens.append(chosen.masked_fill(done, self.codec.pad))
            logprobs.append(logprob)
            done = done | torch.isin(chosen, stops) | (budgets == step + 1)
            if done.all():
                break
            # A row that is done stays where it is: with a long prefix it may stand at the model's last position.
            ids, positions = tokens[-1][:, None], positions[:, -1:] + ~done[:, None]
            mask = torch.cat([mask, mask.new_ones(len(starts), 1)], dim=1)
        return self._completions(starts, torch.stack(tokens, 1).cpu(), torch.stack(logprobs, 1).cpu())

    def _completions(self, starts: Sequence["_Start"], tokens: torch.Tensor, logprobs: torch.Tensor) -> list[Completion]:
        budgets = torch.tensor([start.budget for start in starts])
        # Behind a row's budget stands padding, which may be the end token.
        sampled = torch.arange(tokens.shape[1]) < budgets[:, None]
        stopped = torch.isin(tokens, torch.tensor(self.codec.stops)) & sampled
        lengths = torch.where(stopped.any(1), stopped.int().argmax(1) + 1, budgets).tolist()
        ids, values = tokens.numpy().astype(numpy.int32), logprobs.numpy()
        return [
            Completion(
                prompt_tokens=starts[row].tokens,
                tokens=ids[row, :length].copy(),
                logprobs=values[row, :length].copy(),
                text=self.codec.text_behind(starts[row].prefix, ids[row, :length]),
                finish="stop" if stopped[row].any() else "length",
                prefix=self.codec.text(starts[row].prefix),
                prefix_length=len(starts[row].prefix),
            )
            for row, length in enumerate(lengths)
        ]


@dataclass(frozen=True, eq=False)
class _Start:
    """Where a row begins: the tokens of prompt and prefix, those of the prefix, and how many may follow."""

    tokens: numpy.ndarray
    prefix: numpy.ndarray
    budget: int


def _stream_seed(seed: int, place: int, sample: int) -> int:
    digest = hashlib.blake2b(f"{seed}/{place}/{sample}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _uniforms(seeds: Sequence[int], count: int) -> torch.Tensor:
    """Uniform numbers in [0, 1), float64 (B, T), row by row from that row's own stream."""
    generator = torch.Generator()
    return torch.stack([torch.rand(count, generator=generator.manual_seed(seed), dtype=torch.float64) for seed in seeds])


def _pad_left(prompts: Sequence[numpy.ndarray], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, int64 (B, T), the prompts flush right."""
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.from_numpy(prompt.astype(numpy.int64))
        mask[row, longest - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def _choose(logits: torch.Tensor, temperature: float, uniforms: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """The chosen tokens (B,) and their log-probs (B,), from float32 logits (B, V) and uniform numbers (B,)."""
    if uniforms is None:
        chosen = logits.argmax(-1)
        distribution = logits.log_softmax(-1)
    else:
        distribution = (logits / temperature).log_softmax(-1)
        mass = distribution.exp().double().cumsum(-1)
        # The first token whose cumulative mass exceeds u: it has positive probability by construction.
        chosen = (mass <= uniforms[:, None] * mass[:, -1:]).sum(-1)
    return chosen, distribution.gather(-1, chosen[:, None]).squeeze(-1)
