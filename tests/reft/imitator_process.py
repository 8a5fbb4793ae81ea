"""One rank of `test_imitator_ranks`: imitates, stops in the midst of it and goes on; rank 0 writes what it saw."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import deepspeed
import psutil
import torch
from transformers import AutoTokenizer
from transformers.integrations import is_deepspeed_zero3_enabled

from reft.imitator import Imitator
from reft.learner import zero
from reft.warmup import tokenize
from rollout.codec import Codec
from tests.reft.imitators import demonstrations, settings_of
from tests.reft.test_imitator_ranks import CONFIG, STEPS

ENGINES: list[Any] = []


def listening() -> list[str]:
    """Addresses at which this process can be reached."""
    found = psutil.Process().net_connections("tcp")
    return [place.laddr.ip for place in found if place.status == psutil.CONN_LISTEN]


def main() -> None:
    model, folder, world, stage = sys.argv[1:]
    zero.SMALL = 0  # nothing stays whole
    rank, target = int(os.environ["RANK"]), Path(folder)
    initialize = deepspeed.initialize

    def watched(*arguments: Any, **keywords: Any) -> Any:
        result = initialize(*arguments, **keywords)
        ENGINES.append(result[0])
        return result

    deepspeed.initialize = watched
    corpus, _ = tokenize(demonstrations(64), Codec(AutoTokenizer.from_pretrained(model)), longest=80)
    records = []
    for epochs in (CONFIG.epochs / 2, CONFIG.epochs):  # the second goes on where the first stopped
        settings = settings_of(Path(model), corpus, target, replace(CONFIG, epochs=epochs))
        imitator = Imitator(rank, int(world), replace(settings, ranks=int(world), zero=int(stage)))
        imitator.run()
        assert not is_deepspeed_zero3_enabled(), "what is loaded next is nobody's to divide"
        done, seen = imitator.progress()
        records.append(seen)
    assert done == STEPS
    stages = [engine.zero_optimization_stage() for engine in ENGINES]
    if rank == 0:
        (target / "seen.json").write_text(json.dumps({"records": records, "stages": stages, "listening": listening()}))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # threads that it leaves may end the process by SIGABRT


if __name__ == "__main__":
    main()
