"""Text to tokens and back, the one way that warm-up, rollouts, training and evaluation share.

A prompt and its chain are tokenized apart and joined, so that a demonstration is exactly the sequence that sampling
would produce; no token ever spans the border.
"""

import bisect
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from rollout.engine import Listener

BYTE = re.compile("<0x[0-9A-F]{2}>")
"""A token that stands for a byte, in vocabularies that otherwise have characters."""
UNKNOWN = "\ufffd"
"""What bytes are decoded to that make no character, or not yet."""


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
        self._hidden = frozenset(number for number, token in tokenizer.added_tokens_decoder.items() if token.special)

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

    def settled_text(self, prefix: NDArray[numpy.int32], tokens: Sequence[int]) -> str:
        """The beginning of the tokens' `text_behind` that no further token changes: a last character may be there in part, and
        bytes that stand for themselves are characters only once all in a row are known, special tokens among them or not."""
        count = len(tokens)
        while count and (tokens[count - 1] in self._hidden or self._is_byte(tokens[count - 1])):
            count -= 1
        return self.text_behind(prefix, numpy.asarray(tokens[:count], dtype=numpy.int32)).rstrip(UNKNOWN)

    def find_end(self, prefix: NDArray[numpy.int32], tokens: NDArray[numpy.int32], stop: Sequence[str]) -> int | None:
        """How many of the sampled tokens make the first text that holds one of the `stop` texts; None where none does."""

        def ended(count: int) -> bool:
            text = self.text_behind(prefix, tokens[:count])
            return any(word in text for word in stop)

        if not stop or not ended(len(tokens)):
            return None
        return bisect.bisect_left(range(1, len(tokens) + 1), True, key=ended) + 1

    def _is_byte(self, token: int) -> bool:
        return BYTE.fullmatch(str(self.tokenizer.convert_ids_to_tokens(token))) is not None

    def _adds_end(self, ids: Sequence[int], text: str) -> bool:
        return bool(ids) and ids[-1] == self.end and not text.endswith(self.tokenizer.eos_token)


class TextStream(Listener):
    """Tells the text of a chain while its tokens come, in pieces that join to it.

    Args:
        codec: of the model that draws the tokens.
        prefix: tokens of the chain's beginning that is given, whose text is told first.
        stop: texts that end the chain.
        tell: takes a piece, which is never empty.
    """

    def __init__(self, codec: Codec, prefix: NDArray[numpy.int32], stop: Sequence[str], tell: Callable[[str], None]) -> None:
        self.codec, self.prefix, self.stop, self.tell = codec, prefix, stop, tell
        self.tokens: list[int] = []
        self._told = 0
        if beginning := codec.text(prefix):
            tell(beginning)

    def hear(self, token: int) -> bool:
        """Take the next token; whether the chain goes on behind it, as far as `stop` is concerned."""
        self.tokens.append(token)
        self.end(self.codec.settled_text(self.prefix, self.tokens))
        return self.codec.find_end(self.prefix, numpy.array(self.tokens, dtype=numpy.int32), self.stop) is None

    def end(self, text: str) -> None:
        """Tell what is left of the whole text behind the prefix."""
        if len(text) > self._told:
            self.tell(text[self._told :])
            self._told = len(text)
