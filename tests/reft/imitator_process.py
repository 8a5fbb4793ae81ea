"""One rank of `test_imitator_ranks`: imitates, stops in the midst of it and goes on; rank 0 writes what it saw."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import deepspeed

from reft.imitator import Imitator
from reft.learner import zero as room
from tests.reft.imitators import STEPS, imitator_settings

ENGINES: list[Any] = []


def main() -> None:
    model, folder, world, zero = sys.argv[1:]
    room.SMALL = 0  # nothing stays whole
    rank, target = int(os.environ["RANK"]), Path(folder)
    initialize = deepspeed.initialize

    def watched(*arguments: Any, **keywords: Any) -> Any:
        result = initialize(*arguments, **keywords)
        ENGINES.append(result[0])
        return result

    deepspeed.initialize = watched
    settings = replace(imitator_settings(Path(model), target), ranks=int(world), zero=int(zero))
    records = []
    for epochs in (settings.config.epochs / 2, settings.config.epochs):  # the second goes on where the first stopped
        imitator = Imitator(rank, int(world), replace(settings, config=replace(settings.config, epochs=epochs)))
        imitator.run()
        done, seen = imitator.progress()
        records.append(seen)
    assert done == STEPS
    stages = [engine.zero_optimization_stage() for engine in ENGINES]
    if rank == 0:
        (target / "seen.json").write_text(json.dumps({"records": records, "stages": stages}))


if __name__ == "__main__":
    main()
