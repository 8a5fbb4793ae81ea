"""The text of each token of a chain, so that its log-prob can be shown where it stands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

Measured = tuple[list[int], list[int]] | tuple[None, None]


class Pieces:
    """Takes chains apart with a run's tokenizer.

    Args:
        tokenizer: of `tokenizers`, or None where there is none; then no chain is taken apart.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def of_run(cls, path: Path) -> "Pieces":
        """With the tokenizer of the run's last checkpoint."""
        files = sorted(path.glob("checkpoints/*/tokenizer.json"))
        if not files:
            return cls(None)
        from tokenizers import Tokenizer

        try:
            return cls(Tokenizer.from_file(str(files[-1])))
        except Exception:  # tokenizers raises nothing more special for a file that is none
            return cls(None)

    def measure(self, text: str, tokens: Sequence[Any], logprobs: Sequence[Any]) -> Measured:
        """Characters of each token's text, and log-probs as they are, in hundredths of a nat. None where there are no
        log-probs, or where the tokens do not make up the text, as where the tokenizer is another one.

        Characters are UTF-16 units, as JavaScript counts them.
        """
        if self._tokenizer is None or not tokens or len(tokens) != len(logprobs):
            return None, None
        from tokenizers.decoders import DecodeStream

        try:
            stream = DecodeStream(skip_special_tokens=True)
            pieces = [stream.step(self._tokenizer, int(token)) or "" for token in tokens]
            hundredths = [int(value) for value in logprobs]
        except Exception:  # what is no token, or no number: the chain is shown without shading
            return None, None
        if "".join(pieces) != text:
            return None, None
        return [len(piece.encode("utf-16-le")) // 2 for piece in pieces], hundredths
