"""Tokens as the scripted engine has them: characters."""

from collections.abc import Sequence

import numpy
from numpy.typing import NDArray


class Characters:
    """Stands in for a codec. The end token, 0, is no text."""

    def settled_text(self, prefix: NDArray[numpy.int32], tokens: Sequence[int]) -> str:
        return "".join(chr(token) for token in tokens if token)

    def prefixes(self, texts: Sequence[str]) -> list[NDArray[numpy.int32]]:
        return [numpy.array([ord(character) for character in text], dtype=numpy.int32) for text in texts]
