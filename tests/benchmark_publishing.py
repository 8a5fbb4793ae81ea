"""How long workers take to have new weights: `python -m tests.benchmark_publishing [RUNS] [LAYERS WIDTH]`.

A learner of one rank and two rollout workers on this machine, as in a run, with fresh weights of a Llama, 100 million unless
told otherwise: from the call of the learner to the last worker's word that it holds what was sent.
"""

import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

from reft.cluster import cluster
from reft.config import LearnerConfig, ModelConfig, RayConfig
from reft.gang import RayGang
from reft.learner.driver import Learner
from reft.learner.rank import Rank, RankSettings
from reft.workload import Workload
from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.engines.hf import HFEngineFactory
from rollout.ray_pool import RayPool, Supervision
from rollout.worker import Worker
from tests.reft.learners import ALGORITHM, shape

WORKERS = 2


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    layers, width = map(int, sys.argv[2:4]) if len(sys.argv) > 3 else (12, 768)
    load = Workload(layers, width, width // 64, 1, 1, 16, None, 16, 10_000)
    with tempfile.TemporaryDirectory() as name, cluster(RayConfig(), 2, 0):
        folder = Path(name) / "model"
        load.place_model(folder)
        settings = RankSettings(str(folder), str(folder), ModelConfig(), LearnerConfig(), ALGORITHM, 1.0, 0, deepspeed=False)
        gang = RayGang(1, 0.5, 0, 300, 60, "learner")
        gang.build(partial(Rank, settings=settings))
        learner = Learner(gang, shape())
        pool = RayPool(partial(make_worker, folder), WORKERS, 1, 0.5, 0, Supervision(300, 300))
        weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        publish(learner, pool, 0)  # while processes still load
        taken = [publish(learner, pool, version) for version in range(1, runs + 1)]
        pool.close()
        learner.close()
    spread = f"median {median(taken):.3f} s, {min(taken):.3f} to {max(taken):.3f}"
    print(f"{weights / 4e6:.0f} million weights to {WORKERS} workers, {runs} times: {spread}")


def publish(learner: Learner, pool: RayPool, version: int) -> float:
    begun = time.perf_counter()
    pool.publish(learner.weights(), version)
    return time.perf_counter() - begun


def make_worker(folder: Path) -> Worker:
    return Worker(HFEngineFactory(str(folder))(), Scorer([], Checker()), lambda problem, chain: None)


if __name__ == "__main__":
    main()
