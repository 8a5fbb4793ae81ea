"""Text to tokens and back, the one way that warm-up, rollouts, training and evaluation share.

A prompt and its chain are tokenized apart and joined, so that a demonstration is exactly the sequence that sampling
would produce; no token ever spans the border.
"""

import bisect
from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray


class Codec:
    """A tokenizer, narrowed to what chains need.

    Args:
        tokenizer: a `transformers` tokenizer with an end token.
        stop_tokens: further ids that end a chain (a model's generation config may name several).
    """

    def __init__(self, tokenizer: Any, stop_tokens: Sequence[int] = ()) -> None:
        self.tokenizer = tokenizer
        self.end: int = tokenizer.eos_token_id
        self.stops = tuple(sorted({self.end, *stop_tokens}))
        # Padding is masked by lengths everywhere, so the end token can serve where there is no padding token.
        self.pad: int = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id

    def prompts(self, texts: Sequence[str]) -> list[NDArray[numpy.int32]]:
        """Tokens (T,) of each prompt, with the begin token where the tokenizer puts one, never with an end token."""
        rows = self.tokenizer(list(texts))["input_ids"] if texts else []
        return [
            numpy.asarray(ids[:-1] if self._adds_end(ids, text) else ids, dtype=numpy.int32)
            for ids, text in zip(rows, texts, strict=True)
        ]

    def chains(self, texts: Sequence[str]) -> list[NDArray[numpy.int32]]:
        """Tokens (T,) of each whole chain, the end token last."""
        rows = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
        return [numpy.asarray([*ids, self.end], dtype=numpy.int32) for ids in rows]

    def prefixes(self, texts: Sequence[str]) -> list[NDArray[numpy.int32]]:
        """Tokens (T,) of each beginning of a chain; none for an empty one."""
        return [tokens[:-1] for tokens in self.chains(texts)]

    def text(self, tokens: Sequence[int] | NDArray[numpy.int32]) -> str:
        """The text of sampled tokens without special tokens."""
        ids = [int(token) for token in tokens]
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def text_behind(self, prefix: NDArray[numpy.int32], tokens: NDArray[numpy.int32]) -> str:
        """The text of sampled tokens behind a prefix's: with that of the prefix before it, it is the text of both together,
        whatever the tokenizer puts between two tokens or takes from the first."""
        return self.text([*prefix, *tokens])[len(self.text(prefix)) :]

    def find_end(self, prefix: NDArray[numpy.int32], tokens: NDArray[numpy.int32], stop: Sequence[str]) -> int | None:
        """How many of the sampled tokens make the first text that holds one of the `stop` texts; None where none does."""

        def ended(count: int) -> bool:
            text = self.text_behind(prefix, tokens[:count])
            return any(word in text for word in stop)

        if not stop or not ended(len(tokens)):
            return None
        return bisect.bisect_left(range(1, len(tokens) + 1), True, key=ended) + 1

    def _adds_end(self, ids: Sequence[int], text: str) -> bool:
        return bool(ids) and ids[-1] == self.end and not text.endswith(self.tokenizer.eos_token)
