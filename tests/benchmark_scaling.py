"""How the cost of sampling grows: `python -m tests.benchmark_scaling [RUNS] [--svg FILE]`.

Chains of one length from fresh weights of a Llama, with the embedded engine: as they are, then four times as many, four times
as long, from four times the weights, each in turn and often; and the same chains by one rollout worker of one thread, and by
two. What is linear costs four times as much, or with two workers half. Attention alone is more: each token reads all before it,
so its part, by count of operations and bytes, is told beside. Five runs of each where none are asked for, about ten minutes on
two cores.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import matplotlib
import torch
from transformers import AutoModelForCausalLM

from reft.bench import Arena, embedded
from reft.cluster import cluster
from reft.config import RayConfig
from reft.machine import Machine, count_work, measure_machine
from reft.workload import Workload
from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.engine import checksum, untied
from rollout.engines.hf import HFEngineFactory
from rollout.parcel import Parcel
from rollout.pool import Publication
from rollout.ray_pool import RayPool, Supervision
from rollout.types import Problem, SamplingParams
from rollout.worker import Worker

BASE = Workload(4, 256, 4, 32, 4, 32, None, 64, 1000)
LOADS = {
    "as it is": BASE,
    "4 × samples": replace(BASE, samples=16),
    "4 × length": replace(BASE, longest=256),
    "4 × weights": replace(BASE, width=512, heads=8),
}
ROWS = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=int, nargs="?", default=5)
    parser.add_argument("--svg", help="draw the table into this file")
    options = parser.parse_args()
    machine = measure_machine()
    with tempfile.TemporaryDirectory() as name:
        parts = {label: weigh(load, Path(name) / str(at), machine) for at, (label, load) in enumerate(LOADS.items())}
        contenders = [embedded(Arena(Path(name) / str(at), load), ROWS) for at, load in enumerate(LOADS.values())]
        for contender in contenders:
            contender(0)
        taken = [[contender(run).seconds for contender in contenders] for run in range(1, options.runs + 1)]
        ratios = {label: [row[at] / row[0] for row in taken] for at, label in enumerate(LOADS)}
        torch.set_num_threads(1)
        workers = time_workers(Path(name) / "1", LOADS["4 × samples"], options.runs)
    base = median(row[0] for row in taken)
    print(
        f"{BASE.prompts} prompts × {BASE.samples} chains of {BASE.longest} tokens, {BASE.layers} layers × {BASE.width}: "
        f"{base:.2f} s"
    )
    print(f"{'':14}{'seconds':>9}{'times':>8}{'':4}{'least to most':16}{'of the least possible':>22}{'attention':>11}")
    for at, (label, values) in enumerate(ratios.items()):
        limit, attention = parts[label]
        print(
            f"{label:14}{median(row[at] for row in taken):9.2f}{median(values):8.2f}{'':4}{spread(values):16}"
            f"{limit / parts['as it is'][0]:18.2f} times{attention:11.0%}"
        )
    speedup = [one / two for one, two in workers]
    print(f"two workers of one thread against one: {median(speedup):.2f} times as fast, {spread(speedup)}")
    if options.svg:
        draw(ratios, {label: limit / parts["as it is"][0] for label, (limit, _) in parts.items()}, speedup, Path(options.svg))


def spread(values: list[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def weigh(load: Workload, folder: Path, machine: Machine) -> tuple[float, float]:
    """Write the model; the least seconds that its chains take on the machine, and attention's share of them."""
    load.place_model(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    lengths = [[load.longest] * load.samples] * load.prompts
    work = count_work(model, [load.prompt_tokens] * load.prompts, lengths, ROWS)
    all_of_it = work.least_seconds(machine)
    return all_of_it, 1 - replace(work, attention_flops=0, cache_bytes=0).least_seconds(machine) / all_of_it


def time_workers(folder: Path, load: Workload, runs: int) -> list[tuple[float, float]]:
    """Seconds with one and with two rollout workers, in turn."""
    problems = [Problem(prompt, prompt, "") for prompt in load.make_prompts()]
    state = untied(AutoModelForCausalLM.from_pretrained(folder).state_dict())
    publication = Publication(Parcel(state), checksum(state))
    with cluster(RayConfig(), 2, 0):
        pools = [
            RayPool(partial(make_worker, folder), count, load.prompts // 4, 0.5, 0, Supervision(300, 300)) for count in (1, 2)
        ]
        for pool in pools:
            pool.publish(publication, 0)
        sample = [partial(pool.sample, problems, load.samples, SamplingParams(1.0, load.longest)) for pool in pools]
        for work in sample:
            work(0)
        taken = [(timed(sample[0], run), timed(sample[1], run)) for run in range(1, runs + 1)]
        for pool in pools:
            pool.close()
    return taken


def timed(work: Callable[[int], object], seed: int) -> float:
    begun = time.perf_counter()
    work(seed)
    return time.perf_counter() - begun


def make_worker(folder: Path) -> Worker:
    torch.set_num_threads(1)
    engine = HFEngineFactory(str(folder), max_rows=ROWS)()
    engine.codec.stops = ()  # all chains are as long as the longest
    return Worker(engine, Scorer([], Checker()), lambda problem, chain: None)


def draw(ratios: dict[str, list[float]], least: dict[str, float], speedup: list[float], file: Path) -> None:
    """The table as bars, with what the machine would take at least as marks."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    with pyplot.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = pyplot.subplots(figsize=(6.5, 2.6), layout="constrained")
        names = [*ratios, "2 workers, not 1"]
        values = [*ratios.values(), [1 / value for value in speedup]]
        middle = [median(runs) for runs in values]
        reach = [[median(runs) - min(runs) for runs in values], [max(runs) - median(runs) for runs in values]]
        axes.barh(names, middle, xerr=reach, color="#99d5dc", capsize=2, label="measured: median, least to most")
        axes.plot([*least.values(), 0.5], names, "|", color="#e8590c", markersize=18, markeredgewidth=2, label="least possible")
        axes.axvline(4, color="grey", linewidth=0.8, linestyle=":")
        axes.invert_yaxis()
        axes.set(xlabel="cost, as times that of the first")
        axes.legend(frameon=False, loc="lower right")
        figure.savefig(file)
        pyplot.close(figure)


if __name__ == "__main__":
    main()
