"""Demonstrations of two problems, and what a process needs to imitate them."""

from pathlib import Path

from reft.config import WarmupConfig
from reft.tasks import Demonstration
from reft.warmup import Corpus, ImitatorSettings, arrange
from rollout.types import Problem

PAIRS = [("a 1 b 2 c 3 > 6 ?", "+ a 1"), ("a 4 b 5 c 6 > 7 ?", "+ a 4 - b 9")]


def demonstrations(count: int) -> list[Demonstration]:
    rows = [PAIRS[number % 2] for number in range(count)]
    return [Demonstration(Problem(str(number), prompt, "", {}), chain) for number, (prompt, chain) in enumerate(rows)]


def settings_of(model: Path, corpus: Corpus, folder: Path, config: WarmupConfig) -> ImitatorSettings:
    return ImitatorSettings(
        source=str(model), target=str(folder / "target"), scratch=str(folder / "scratch"), zero=0, corpus=corpus,
        rows=arrange(corpus.lengths.tolist(), config, 80), config=config, ranks=1, threads=1, gpu=False, bfloat16=False, seed=0,
    )  # fmt: skip
