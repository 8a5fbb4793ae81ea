"""Chains that are on the disk as soon as they are drawn: whoever is killed, and begins again, goes on behind them.

A part is what one call of `sample` has drawn, in a file of its own that is whole or not there. What was asked is its name, so a
part is only ever taken for what would be drawn anew: the same problems, by the same weights, settings and seed.
"""

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy

from reft.files import write_atomically
from rewards.equal import Verdict
from rollout.pool import Pool, Progress, Publication
from rollout.types import Completion, Problem, Sample, SamplingParams

ARRAYS = {"prompt_tokens": numpy.int32, "tokens": numpy.int32, "logprobs": numpy.float32}
PLAIN = [field.name for field in fields(Completion) if field.name not in ARRAYS]
"""The rest of a completion."""


class KeptPool:
    """A pool whose chains are kept in a folder, and are not drawn again where they are there.

    Args:
        start: gives the pool; it is called when there is something to draw.
        folder: of the parts; it need not be there.
        setup: what chains depend on besides what is asked: weights, task, checker and the like, as JSON has it.
    """

    def __init__(self, start: Callable[[], Pool], folder: Path, setup: Mapping[str, Any]) -> None:
        self.start, self.folder = start, folder
        self.setup = _digest(setup)
        self._pool: Pool | None = None

    def found(self) -> tuple[int, int]:
        """Parts of this setup that are there, and their chains."""
        heads = [_head(file) for file in sorted(self.folder.glob(f"{self.setup}-*.jsonl"))]
        return len(heads), sum(heads)

    def sample(
        self, problems: Sequence[Problem], n: int, params: SamplingParams, seed: int, progress: Progress | None = None
    ) -> list[Sample]:
        asked = [[one.id, one.prompt, one.prefix, one.answer] for one in problems]
        file = self.folder / f"{self.setup}-{_digest([asked, n, asdict(params), seed])}.jsonl"
        kept = _read(file, [problem for problem in problems for _ in range(n)])
        if kept is not None:
            return kept
        samples = self._started().sample(problems, n, params, seed, progress)
        lines = [json.dumps(_plain(sample)) for sample in samples]
        head = json.dumps({"chains": len(lines), "blake2b": _digest(lines)})
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, "\n".join([head, *lines]))
        return samples

    def forget(self) -> None:
        """Delete all parts: what they were drawn for is done."""
        shutil.rmtree(self.folder, ignore_errors=True)  # what cannot be deleted does no harm

    def publish(self, publication: Publication, version: int) -> None:
        raise TypeError("chains that are kept are of one policy; publish to the pool itself")

    def drain_faults(self) -> Mapping[str, float]:
        return {} if self._pool is None else self._pool.drain_faults()

    def drain_usage(self) -> Mapping[str, float]:
        return {} if self._pool is None else self._pool.drain_usage()

    def close(self) -> None:
        """The pool is closed by who gave it."""

    def _started(self) -> Pool:
        self._pool = self._pool or self.start()
        return self._pool


def _plain(sample: Sample) -> dict[str, Any]:
    """All of a sample but its problem."""
    completion = sample.completion
    return {
        **{name: base64.b85encode(getattr(completion, name).astype(kind).tobytes()).decode() for name, kind in ARRAYS.items()},
        **{name: getattr(completion, name) for name in PLAIN},
        **{name: getattr(sample, name) for name in ("extracted", "reward", "policy_version")},
        "verdict": asdict(sample.verdict), "rewards": dict(sample.rewards), "failures": dict(sample.failures),
    }  # fmt: skip


def _sample(problem: Problem, content: dict[str, Any]) -> Sample:
    arrays: dict[str, Any] = {
        name: numpy.frombuffer(base64.b85decode(content.pop(name)), kind) for name, kind in ARRAYS.items()
    }
    plain = {name: content.pop(name) for name in PLAIN}
    return Sample(problem, Completion(**arrays, **plain), verdict=Verdict(**content.pop("verdict")), **content)


def _read(file: Path, problems: Sequence[Problem]) -> list[Sample] | None:
    """A part's samples, of these problems; None where it is not there, or not as it was written."""
    try:
        head, *lines = file.read_text(encoding="utf-8").split("\n")
        if json.loads(head) != {"chains": len(problems), "blake2b": _digest(lines)}:
            return None
        return [_sample(problem, json.loads(line)) for problem, line in zip(problems, lines, strict=True)]
    except (OSError, ValueError):
        return None


def _head(file: Path) -> int:
    """Chains of a part, as its first line tells; 0 where that is damaged."""
    try:
        with file.open(encoding="utf-8") as lines:
            return int(json.loads(lines.readline())["chains"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _digest(content: Any) -> str:
    return hashlib.blake2b(json.dumps(content, default=str).encode(), digest_size=8).hexdigest()
