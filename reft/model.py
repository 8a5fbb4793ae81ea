"""The policy: any Hugging Face causal LM with a value for every state.

Weights come from the hub, from a folder, or fresh from an architecture and sizes; from there on everything works on a folder
or hub id that plain `transformers` loads.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from reft.config import ModelConfig
from reft.errors import ConfigError, RunError

VALUE_FILE = "value.safetensors"


def fresh_config(model: ModelConfig, tokens: int, pad: int | None, end: int | None) -> Any:
    """The architecture's config with the wanted sizes, dropout off.

    Raises:
        ConfigError: if `transformers` does not know the architecture or a field of `model.extra`.
    """
    sizes: dict[str, Any] = {
        "vocab_size": tokens,
        "hidden_size": model.width,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "max_position_embeddings": model.context,
        "pad_token_id": pad,
        "eos_token_id": end,
        "bos_token_id": None,
    }
    try:
        known = AutoConfig.for_model(model.architecture)
    except ValueError as error:
        raise ConfigError(f"model.architecture={model.architecture!r} is unknown to transformers") from error
    # Where an architecture has these fields, their defaults belong to a model of billions of weights.
    related = {"intermediate_size": 4 * model.width, "num_key_value_heads": model.heads}
    related["head_dim"] = model.width // model.heads
    sizes |= {name: value for name, value in related.items() if name in known.to_dict()}
    if unknown := sorted(model.extra.keys() - known.to_dict().keys()):
        raise ConfigError(f"model.extra: {model.architecture} has no {', '.join(unknown)}")
    return without_dropout(AutoConfig.for_model(model.architecture, **(sizes | model.extra)))


def without_dropout(config: Any) -> Any:
    """`config` with every dropout rate set to zero: old and new log-probs must come from the same function."""
    for name, value in config.to_dict().items():
        if isinstance(value, float) and ("dropout" in name or name.endswith("pdrop")):
            setattr(config, name, 0.0)
    return config


def make_fresh(model: ModelConfig, tokenizer: PreTrainedTokenizerBase, seed: int, folder: Path) -> None:
    """Write fresh weights, and the tokenizer they are for, to `folder`.

    Raises:
        ConfigError: if the architecture is no causal language model.
    """
    config = fresh_config(model, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            weights = AutoModelForCausalLM.from_config(config)
        except ValueError as error:
            raise ConfigError(
                f"model.architecture={model.architecture!r} is no causal language model; try gpt2 or llama"
            ) from error
    weights.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or hub id.

    Raises:
        RunError: if there is none, or it has no end token.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{path!r} has no tokenizer that transformers can load: {_first_line(error)}") from error
    if tokenizer.eos_token_id is None:
        raise RunError(f"the tokenizer of {path!r} has no end token; chains could never end")
    return tokenizer


def check_model(path: str) -> Any:
    """The `transformers` config of a folder or hub id.

    Raises:
        RunError: if it is no causal language model.
    """
    folder = Path(path)
    if folder.exists() and not (folder / "config.json").is_file():
        raise RunError(f"{path!r} is no checkpoint: it has no config.json; name a folder that transformers can load")
    try:
        return AutoConfig.from_pretrained(path, trust_remote_code=False)  # left out, it would ask at the terminal
    except (OSError, ValueError, json.JSONDecodeError) as error:
        raise RunError(f"{path!r} is neither a checkpoint folder nor a hub model within reach: {_first_line(error)}") from error


def load_causal_lm(path: str, dtype: torch.dtype) -> Any:
    """The weights of a folder or hub id, dropout off, in evaluation mode."""
    config = without_dropout(check_model(path))
    try:
        return AutoModelForCausalLM.from_pretrained(path, config=config, dtype=dtype, trust_remote_code=False).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise RunError(f"{path!r} cannot be loaded as a causal language model: {_first_line(error)}") from error


class PolicyModel(nn.Module):
    """A causal LM, a value head, and, if asked for, a trunk of the critic's own.

    Args:
        path: folder or hub id. A folder saved by `save_value` brings its value head along.
        dtype: of the weights; logits, log-probs and values are float32 whatever it is.
        critic: "shared" puts the value head on the policy's trunk, "separate" on a copy of it.
        value_head: "zero" or "uniform", how a new head starts.
        temperature: logits are divided by it before log-probs are taken, as the sampler does.
    """

    def __init__(self, path: str, dtype: torch.dtype, critic: str, value_head: str, temperature: float) -> None:
        super().__init__()
        self.lm = load_causal_lm(path, dtype)
        self.critic = load_causal_lm(path, dtype).base_model if critic == "separate" else None
        width = self.lm.get_output_embeddings().in_features
        self.value_head = nn.Linear(width, 1, dtype=dtype)
        if value_head == "zero":
            nn.init.zeros_(self.value_head.weight)
            nn.init.zeros_(self.value_head.bias)
        self.temperature = temperature
        if (saved := Path(path) / VALUE_FILE).is_file():
            self.load_value(saved)

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Log-probs of tokens 1..T-1 given what stands before them, values, and entropies, all (B, T-1) float32, and the values
        behind the last tokens, (B,): the fields of `Outputs`. A plain tuple, because ZeRO-3 must find the tensors in it.

        Args:
            tokens: (B, T) int64, padded on the right.
            lengths: (B,) int64.
        """
        places = torch.arange(tokens.shape[1], device=tokens.device)
        inputs = {
            "input_ids": tokens,
            "attention_mask": (places < lengths[:, None]).long(),
            "position_ids": places.expand_as(tokens),
            "use_cache": False,
        }
        output = self.lm(**inputs, output_hidden_states=self.critic is None)
        hidden = output.hidden_states[-1] if self.critic is None else self.critic(**inputs).last_hidden_state
        distribution = (output.logits[:, :-1].float() / self.temperature).log_softmax(-1)
        logprobs = distribution.gather(-1, tokens[:, 1:, None]).squeeze(-1)
        with torch.no_grad():
            entropies = -(distribution.exp() * distribution).sum(-1)
        head = self.value_head
        values = nn.functional.linear(hidden.float(), head.weight.float(), head.bias.float()).squeeze(-1)
        return logprobs, values[:, :-1], entropies, values.gather(1, lengths[:, None] - 1).squeeze(1)

    def value_state(self) -> dict[str, Tensor]:
        """What the causal LM's own folder does not hold: the value head, and the critic's trunk if there is one."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith("lm.")}

    def load_value(self, file: Path) -> None:
        """Load what `save_value` wrote."""
        state = load_file(file)
        missing = self.value_state().keys() ^ state.keys()
        if missing:
            raise RunError(f"{file} does not fit model.critic: {', '.join(sorted(missing)[:3])} is on one side only")
        self.load_state_dict(state, strict=False)


def save_value(state: dict[str, Tensor], folder: Path) -> None:
    """Write `PolicyModel.value_state` beside a causal LM's weights."""
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, folder / VALUE_FILE)


def parameter_count(config: Any) -> int:
    """Weights of a model of this config, tied ones once, without making them."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(math.prod(parameter.shape) for parameter in model.parameters())


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
