"""One DeepSpeed rank of `test_learner`: five updates, then rank 0 writes what it saw."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed

from reft.config import LearnerConfig, ModelConfig
from reft.learner import zero
from reft.learner.driver import Learner
from reft.learner.rank import Rank, RankSettings
from tests.reft.learners import ALGORITHM, LEARNER, five_updates, shape


class CollectiveGang:
    """The ranks of a process group, each driven by its own copy of the same program."""

    def __init__(self, rank: Rank, world: int) -> None:
        self.rank, self.world = rank, world

    def call(self, method: str, *arguments: Any) -> list[Any]:
        results: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(results, getattr(self.rank, method)(*arguments))
        return results

    def refer(self, method: str, *arguments: Any) -> Any:
        return self.call(method, *arguments)[0]

    def close(self) -> None:
        torch.distributed.destroy_process_group()


def main() -> None:
    model, target, world, stage, dtype, gpus, longest = sys.argv[1:]
    zero.SMALL = 0  # nothing stays whole
    from deepspeed.utils import safe_get_full_grad

    config = LearnerConfig(**LEARNER, ranks=int(world), zero=int(stage), gpus=float(gpus))
    settings = RankSettings(model, model, ModelConfig(dtype=dtype), config, ALGORITHM, 1.0, 0)
    rank = Rank(int(os.environ["RANK"]), int(world), settings)
    grads: list[dict[str, torch.Tensor]] = []
    optimization = rank.optimization

    take_step = optimization.engine._take_model_step

    def watched(*arguments: Any) -> None:
        """Reduced and whole, but not clipped yet: DeepSpeed has gradients in this shape here alone, at every stage."""
        named = list(rank.model.named_parameters())
        grads.append({name: safe_get_full_grad(parameter).float().cpu().clone() for name, parameter in named})
        take_step(*arguments)

    optimization.engine._take_model_step = watched
    learner = Learner(CollectiveGang(rank, int(world)), shape(dtype=dtype))
    history = five_updates(learner, Path(model), int(longest))
    with optimization.gathered():
        weights = {name: value.detach().cpu().clone() for name, value in rank.model.state_dict().items()}
        if rank.rank == 0:
            torch.save({"history": history, "grads": grads, "weights": weights}, Path(target) / "result.pt")
    learner.close()  # threads that a process group leaves may end the process by SIGABRT


if __name__ == "__main__":
    main()
