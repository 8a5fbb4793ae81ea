"""An imitation that ranks and a single process do alike."""

from pathlib import Path

from transformers import AutoTokenizer

from reft.config import WarmupConfig
from reft.tasks import Demonstration
from reft.warmup import ImitatorSettings, arrange, tokenize
from rollout.codec import Codec
from rollout.types import Problem

STEPS = 24
PAIRS = [("a 1 b 2 c 3 > 6 ?", "+ a 1"), ("a 4 b 5 c 6 > 7 ?", "+ a 4 - b 9")]


def imitator_settings(model: Path, folder: Path) -> ImitatorSettings:
    """Three epochs of eight steps over 64 demonstrations of unequal length, for one process."""
    rows = [PAIRS[number % 2] for number in range(64)]
    shown = [Demonstration(Problem(str(number), prompt, "", {}), chain) for number, (prompt, chain) in enumerate(rows)]
    corpus, _ = tokenize(shown, Codec(AutoTokenizer.from_pretrained(model)), longest=80)
    config = WarmupConfig(epochs=3, schedule_epochs=4, batch_size=8, micro_batch=2, lr=3e-3, grad_clip=0.5)
    return ImitatorSettings(
        source=str(model), target=str(folder / "target"), scratch=str(folder / "scratch"), zero=0, corpus=corpus,
        rows=arrange(corpus.lengths.tolist(), config, 80), config=config, ranks=1, threads=1, gpu=False, bfloat16=False, seed=0,
    )  # fmt: skip
