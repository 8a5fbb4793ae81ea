"""One DeepSpeed rank of `test_learner_state`: takes up a checkpoint if there is one, makes some updates, writes another."""

import json
import os
import sys
from pathlib import Path

from reft.config import LearnerConfig, ModelConfig
from reft.learner import zero
from reft.learner.driver import Learner
from reft.learner.rank import Rank, RankSettings
from tests.reft.learner_process import CollectiveGang
from tests.reft.learners import ALGORITHM, LEARNER, sample_batch, shape


def main() -> None:
    order = json.loads(sys.argv[1])
    model, world = Path(order["model"]), order["world"]
    zero.SMALL = 0  # nothing stays whole
    config = LearnerConfig(**LEARNER, ranks=world, zero=order["zero"], gpus=float(order["device"] == "cuda"))
    settings = RankSettings(str(model), str(model), ModelConfig(dtype=order["dtype"]), config, ALGORITHM, 1.0, 0)
    rank = Rank(int(os.environ["RANK"]), world, settings)
    learner = Learner(CollectiveGang(rank, world), shape(dtype=order["dtype"]))
    for number, target in enumerate(order["loads"]):
        if number and rank.rank == 0:  # so that the second finds optimizer state that is not its own
            assert learner.updates
        learner.load(Path(target))
    for update in range(learner.updates, order["until"]):
        experience, _ = ALGORITHM.credit(sample_batch(model, update), learner)
        learner.update(experience)
    learner.save(Path(order["target"]))
    learner.close()  # threads that a process group leaves may end the process by SIGABRT


if __name__ == "__main__":
    main()
