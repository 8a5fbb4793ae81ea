"""Floating-point operations of a causal language model, counted exactly from its config and from lengths.

A multiplication and an addition are two. Products of matrices count, and attention over the keys that a token sees; norms,
activations and lookups of embeddings, a few in a thousand, do not (as Kaplan et al., arXiv 2001.08361, table 1, but with
attention and the last product). Learning costs three times the forward pass: once, and twice as much to go back. Where a model
chooses among experts, all are counted.
"""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from rollout.work import Work, work_of_chain, work_of_text

LEARN = 3
"""Forward passes that learning from a token costs."""


@dataclass(frozen=True)
class Cost:
    """What a model costs."""

    token: float
    """Operations a token, in products with weights."""
    pair: float
    """Operations for each key that a token sees, in all layers and heads."""

    @classmethod
    def of(cls, config: Any, kind: Any = AutoModelForCausalLM) -> "Cost":
        """From a config of `transformers`, without making the weights; of a model of this `kind`."""
        with torch.device("meta"):
            model = kind.from_config(config)
        return cls(2.0 * count_multiplied(model), count_pair(model.config))

    def forward(self, work: Work) -> float:
        """Operations of one pass forward."""
        return self.token * work.tokens + self.pair * work.pairs

    def learn(self, work: Work) -> float:
        """Operations of one pass forward and one back."""
        return LEARN * self.forward(work)

    def query(self, prompt: int, tokens: int, chains: int = 1) -> float:
        """Operations of one prompt of so many tokens, which is computed once, and one chain of so many, or several of them."""
        return self.forward(work_of_text(prompt) + work_of_chain(prompt, tokens) * chains)


def count_multiplied(model: torch.nn.Module) -> int:
    """Weights that each token is multiplied with: matrices but those that tokens or positions are looked up in, unless they are
    the last product's, too."""
    lookups = {module.weight for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    head = model.get_output_embeddings()  # type: ignore[operator]
    own = sum(weight.numel() for weight in model.parameters() if weight.dim() >= 2 and weight not in lookups)
    return own + (head.weight.numel() if head is not None and head.weight in lookups else 0)


def count_pair(config: Any) -> float:
    """Operations of attention for a token and one key: twice two for each number of each query, in all layers."""
    text = config.get_text_config()
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return 4.0 * text.num_hidden_layers * text.num_attention_heads * size
