"""An engine that says what it is told to: the rest of the system can be run and tested without a model."""

from collections.abc import Callable, Sequence

import numpy

from rollout.engine import Weights, checksum
from rollout.types import Completion, SamplingParams


class ScriptedEngine:
    """Replays texts. A token is a character's code point; the end token is 0; every token has probability 1/2.

    Args:
        script: gives the chain for a prompt and the sample's number.
    """

    def __init__(self, script: Callable[[str, int], str]) -> None:
        self.script = script
        self.loaded: list[int] = []
        """Checksums of the weights received, in order."""

    def generate(self, prompts: Sequence[str], n: int, params: SamplingParams, seed: int) -> list[list[Completion]]:
        return [[self._complete(prompt, sample, params) for sample in range(n)] for prompt in prompts]

    def load_weights(self, weights: Weights) -> int:
        self.loaded.append(checksum(weights))
        return self.loaded[-1]

    def _complete(self, prompt: str, sample: int, params: SamplingParams) -> Completion:
        text = self.script(prompt, sample)[: params.max_tokens]
        finished = len(text) < params.max_tokens
        tokens = numpy.array([ord(character) for character in text] + [0] * finished, dtype=numpy.int32)
        return Completion(
            prompt_tokens=numpy.array([ord(character) for character in prompt], dtype=numpy.int32),
            tokens=tokens,
            logprobs=numpy.full(len(tokens), numpy.log(0.5), dtype=numpy.float32),
            text=text,
            finish="stop" if finished else "length",
        )
