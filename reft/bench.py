"""How fast chains are sampled, beside what people would use instead and beside what the machine allows.

All contenders sample in one process, in turn, run by run, so that whatever else the machine does befalls them alike: what is
told is the median of the ratios of such pairs.
"""

import importlib.util
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from reft.config import ModelConfig
from reft.machine import Machine, count_work, measure_machine
from reft.model import load_tokenizer, make_fresh
from reft.tokenizer import word_tokenizer
from rollout.engines.hf import HFEngine, HFEngineFactory
from rollout.engines.vllm_engine import VLLMEngine, VLLMEngineFactory
from rollout.types import SamplingParams

SIZES = (32, 64, 128, 256, 512)
"""Batch sizes that a peer may choose from."""


@dataclass(frozen=True)
class Workload:
    """Chains to be sampled from fresh weights, whose next token is about as likely to be any."""

    layers: int
    width: int
    heads: int
    prompts: int
    samples: int
    """Chains a prompt."""
    prompt_tokens: int
    mean: int | None
    """Of chains' lengths, which are geometric as those of a policy are: one token in so many ends a chain. None lets all be as
    long as the longest."""
    longest: int
    vocabulary: int

    @property
    def ends(self) -> list[int]:
        """Tokens that end a chain."""
        return [] if self.mean is None else list(range(1, 1 + max(1, round(self.vocabulary / self.mean))))

    def write_model(self, folder: Path) -> None:
        """Fresh weights of a Llama, and a tokenizer of as many words."""
        context = self.prompt_tokens + self.longest
        hidden = -(-self.width * 8 // 3 // 16) * 16
        shape = ModelConfig("", "llama", self.layers, self.width, self.heads, context, {"intermediate_size": hidden})
        make_fresh(shape, word_tokenizer(self.words, context), 0, folder)

    @property
    def words(self) -> list[str]:
        return [f"w{number}" for number in range(self.vocabulary - 2)]

    def make_prompts(self) -> list[str]:
        draw = random.Random(0)
        return [" ".join(draw.choices(self.words, k=self.prompt_tokens)) for _ in range(self.prompts)]


@dataclass(frozen=True)
class Timing:
    """What one run took."""

    lengths: list[list[int]]
    """Tokens of each chain, prompt by prompt."""
    seconds: float

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return sum(map(sum, self.lengths)) / self.seconds


Contender = Callable[[int], Timing]
"""Samples a workload with a seed."""


def embedded(folder: Path, load: Workload, rows: int) -> Contender:
    """The embedded engine."""
    return _engine(HFEngineFactory(str(folder), max_rows=rows)(), load)


def vllm(folder: Path, load: Workload, rows: int) -> Contender:
    """The vLLM engine, on the CPU."""
    return _engine(VLLMEngineFactory(str(folder), max_rows=rows)(), load)


def _engine(engine: HFEngine | VLLMEngine, load: Workload) -> Contender:
    engine.codec.stops = tuple(load.ends)
    prompts = load.make_prompts()

    def sample(seed: int) -> Timing:
        begun = time.perf_counter()
        groups = engine.generate(prompts, load.samples, SamplingParams(1.0, load.longest), seed)
        return Timing([[len(chain.tokens) for chain in group] for group in groups], time.perf_counter() - begun)

    return sample


def find_vllm(load: Workload) -> str | None:
    """Why vLLM does not sample the workload beside the others; None where it does."""
    if importlib.util.find_spec("vllm") is None:
        return "vLLM is not installed"
    if torch.cuda.is_available():
        return "vLLM would take the GPU, and the others the CPU"
    size = load.width // load.heads
    return f"heads of {size} are none of vLLM's on a CPU; choose a multiple of 32" if size % 32 else None


def generate(folder: Path, load: Workload, rows: int) -> Contender:
    """`transformers.generate`, so many chains a call."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=load.longest, pad_token_id=0,
        eos_token_id=load.ends or None,
    )  # fmt: skip
    tokenizer = load_tokenizer(str(folder))
    ends = torch.tensor(load.ends)

    def sample(seed: int) -> Timing:
        torch.manual_seed(seed)
        begun = time.perf_counter()
        lengths: list[int] = []
        texts = [prompt for prompt in load.make_prompts() for _ in range(load.samples)]
        for at in range(0, len(texts), rows):
            inputs = tokenizer(texts[at : at + rows], return_tensors="pt")
            with torch.inference_mode():
                chains = model.generate(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
            ended = torch.isin(chains[:, load.prompt_tokens :], ends)
            lengths += torch.where(ended.any(1), ended.int().argmax(1) + 1, ended.shape[1]).tolist()
        seconds = time.perf_counter() - begun
        return Timing([lengths[at : at + load.samples] for at in range(0, len(lengths), load.samples)], seconds)

    return sample


def choose_size(make: Callable[[int], Contender], chains: int, notify: Callable[[str], None]) -> int:
    """The batch size at which a peer is fastest, by a run each behind one to warm up: larger ones until it is slower by a tenth
    than it was."""
    rates: dict[int, float] = {}
    for size in [size for size in SIZES if size <= chains] or [chains]:
        contender = make(size)
        if not rates:
            contender(0)
        rates[size] = contender(1).rate
        notify(f"transformers.generate, {size} chains a call: {rates[size]:,.0f} tokens/s")
        if rates[size] < 0.9 * max(rates.values()):
            break
    return max(rates, key=lambda size: rates[size])


def compare_sampling(load: Workload, rows: int, runs: int, notify: Callable[[str], None]) -> dict[str, Any]:
    """The embedded engine beside its peer and the machine's limit.

    Args:
        load: what is sampled.
        rows: chains that the embedded engine decodes at once (`rollout.max_rows`).
        runs: pairs.
        notify: told, in a line, how it gets on.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        load.write_model(folder)
        size = choose_size(lambda size: generate(folder, load, size), load.prompts * load.samples, notify)
        own, peer = embedded(folder, load, rows), generate(folder, load, size)
        model = AutoModelForCausalLM.from_pretrained(folder)
        own(0)
        further = None
        if lacking := find_vllm(load):
            notify(f"vllm is left out: {lacking}")
        else:
            further = vllm(folder, load, rows)
            further(0)
        pairs, shares, machines, furthers = [], [], [], []
        for run in range(1, runs + 1):
            machines.append(measure_machine())
            pairs.append((own(run), peer(run)))
            beside = min(rows, load.prompts * load.samples)
            work = count_work(model, [load.prompt_tokens] * load.prompts, pairs[-1][0].lengths, beside)
            shares.append(work.least_seconds(machines[-1]) / pairs[-1][0].seconds)
            rates = [f"{timing.rate:,.0f}" for timing in pairs[-1]]
            told = ""
            if further is not None:
                furthers.append(further(run))
                told = f", vllm {furthers[-1].rate:,.0f}"
            notify(
                f"run {run} of {runs}: {rates[0]} tokens/s, transformers.generate {rates[1]}{told}, "
                f"{shares[-1]:.0%} of the limit"
            )
    content = {
        "workload": asdict(load),
        "weights": sum(weight.numel() for weight in model.parameters()),
        "threads": torch.get_num_threads(),
        "rows": rows,
        "runs": runs,
        "machine": asdict(_median_machine(machines)),
        "embedded": _spread([own.rate for own, _ in pairs]),
        "generate": {"chains_a_call": size, **_spread([peer.rate for _, peer in pairs])},
        "ratio": _spread([own.rate / peer.rate for own, peer in pairs]),
        "share_of_limit": _spread(shares),
    }
    if furthers:
        content["vllm"] = _spread([timing.rate for timing in furthers])
        content["ratio_to_vllm"] = _spread([own.rate / timing.rate for (own, _), timing in zip(pairs, furthers, strict=True)])
    return content


def format_comparison(content: dict[str, Any]) -> str:
    """The comparison as a table."""
    load = content["workload"]
    lengths = f"all of {load['longest']} tokens" if load["mean"] is None else (
        f"geometric, mean {load['mean']}, {load['longest']} at most"
    )  # fmt: skip
    machine = content["machine"]
    rows = [
        ("embedded engine", "embedded", "{:,.0f} tokens/s"),
        (f"transformers.generate, {content['generate']['chains_a_call']} chains a call", "generate", "{:,.0f} tokens/s"),
        ("ratio", "ratio", "{:.2f} times"),
        ("vLLM", "vllm", "{:,.0f} tokens/s"),
        ("ratio to vLLM", "ratio_to_vllm", "{:.2f} times"),
        ("share of the machine's limit", "share_of_limit", "{:.2f}"),
    ]
    lines = [
        f"{load['prompts']} prompts of {load['prompt_tokens']} tokens × {load['samples']} chains, {lengths}",
        f"Llama, {load['layers']} layers × {load['width']}, {content['weights']:,} weights; {content['threads']} threads",
        f"the machine: {machine['flops'] / 1e9:,.0f} GFLOP/s in products, {machine['bytes'] / 1e9:,.1f} GB/s in copies",
        "",
        *(
            f"{name:44} {form.format(content[key]['median']):>18}   "
            f"({form.format(content[key]['least'])} to {form.format(content[key]['most'])})"
            for name, key, form in rows
            if key in content
        ),
        f"medians of {content['runs']} runs in pairs, least to most",
    ]
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def _median_machine(machines: Sequence[Machine]) -> Machine:
    return Machine(
        flops=statistics.median(machine.flops for machine in machines),
        bytes=statistics.median(machine.bytes for machine in machines),
    )
