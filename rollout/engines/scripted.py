"""An engine that says what it is told to: the rest of the system can be run and tested without a model."""

from collections.abc import Callable, Sequence

import numpy

from rollout.engine import NOBODY, Listener, Weights, checksum
from rollout.types import Completion, SamplingParams
from rollout.usage import Usage


class ScriptedEngine:
    """Replays texts, up to the first that ends a chain. A token is a character's code point; the end token is 0; every token
    has probability 1/2.

    Args:
        script: gives the chain for a prompt and the sample's number; behind a prefix, the rest of it for both together.
        look: how many tokens are drawn from one look for texts that end a chain to the next.
    """

    def __init__(self, script: Callable[[str, int], str], look: int = 1) -> None:
        self.script, self.look = script, look
        self.loaded: list[int] = []
        """Checksums of the weights received, in order."""

    def generate(
        self,
        prompts: Sequence[str],
        n: int,
        params: SamplingParams,
        seed: int,
        prefixes: Sequence[str] | None = None,
        listener: Listener = NOBODY,
    ) -> list[list[Completion]]:
        pairs = zip(prompts, prefixes or [""] * len(prompts), strict=True)
        groups = []
        for place, (prompt, prefix) in enumerate(pairs):
            groups.append([self._complete(prompt, prefix, sample, params) for sample in range(n)])
            listener.take(place, groups[-1])
        return groups

    def load_weights(self, weights: Weights) -> int:
        self.loaded.append(checksum(weights))
        return self.loaded[-1]

    def drain_usage(self) -> Usage:
        return Usage()

    def _complete(self, prompt: str, prefix: str, sample: int, params: SamplingParams) -> Completion:
        budget = params.max_tokens - len(prefix)
        if budget < 1:
            raise ValueError(f"a prefix has max_tokens={params.max_tokens} tokens or more, so nothing is left to be sampled")
        whole = self.script(prompt + prefix, sample)
        text, most = whole[:budget], min(len(whole) + 1, budget)
        stops = [text.index(stop) + len(stop) for stop in params.stop if stop in text]
        text = text[: min(stops, default=len(text))]
        ended = not stops and len(text) < budget
        finished = bool(stops) or ended
        tokens = numpy.array([ord(character) for character in text] + [0] * ended, dtype=numpy.int32)
        return Completion(
            prompt_tokens=numpy.array([ord(character) for character in prompt + prefix], dtype=numpy.int32),
            tokens=tokens,
            logprobs=numpy.full(len(tokens), numpy.log(0.5), dtype=numpy.float32),
            text=text,
            finish="stop" if finished else "length",
            prefix=prefix,
            prefix_length=len(prefix),
            discarded=min(-(-len(text) // self.look) * self.look, most) - len(text) if stops else 0,
        )
