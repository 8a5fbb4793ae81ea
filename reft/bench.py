"""How fast chains are sampled, beside what people would use instead and beside what the machine allows.

All contenders sample in one process, in turn, run by run, so that whatever else the machine does befalls them alike: what is
told is the median of the ratios of such pairs.
"""

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from reft.machine import Machine, await_device, count_work, measure_machine
from reft.model import load_tokenizer
from reft.workload import Load
from rollout.codec import Codec
from rollout.engine import list_stops
from rollout.engines.hf import HFEngine, HFEngineFactory, pad_left
from rollout.engines.vllm_engine import VLLMEngine, VLLMEngineFactory
from rollout.types import SamplingParams

SHARE = 0.4
"""Of a GPU's memory for vLLM, beside the others."""
SIZES = (32, 64, 128, 256, 512)
"""Batch sizes that a peer may choose from."""


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


@dataclass(frozen=True)
class Arena:
    """What all contenders are given: a model in a folder, what is asked of it, and what it runs on."""

    folder: Path
    load: Load
    device: str = "cpu"
    dtype: str = "float32"


Contender = Callable[[int], Timing]
"""Samples a workload with a seed."""


def embedded(arena: Arena, rows: int) -> Contender:
    """The embedded engine."""
    return _engine(HFEngineFactory(str(arena.folder), arena.dtype, arena.device, rows)(), arena.load)


def vllm(arena: Arena, rows: int) -> Contender:
    """The vLLM engine."""
    return _engine(VLLMEngineFactory(str(arena.folder), arena.dtype, arena.device, rows, memory=SHARE)(), arena.load)


def _engine(engine: HFEngine | VLLMEngine, load: Load) -> Contender:
    if load.ends is not None:
        engine.codec.stops = tuple(load.ends)
    prompts = load.make_prompts()

    def sample(seed: int) -> Timing:
        begun = time.perf_counter()
        groups = engine.generate(prompts, load.samples, SamplingParams(1.0, load.longest), seed)
        return Timing([[len(chain.tokens) for chain in group] for group in groups], time.perf_counter() - begun)

    return sample


def find_vllm(arena: Arena) -> str | None:
    """Why vLLM does not sample the workload beside the others; None where it does."""
    if importlib.util.find_spec("vllm") is None:
        return "vLLM is not installed"
    if torch.cuda.is_available() and arena.device == "cpu":
        return "vLLM would take the GPU, and the others the CPU"
    config = AutoConfig.from_pretrained(arena.folder).get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    odd = arena.device == "cpu" and size % 32
    return f"heads of {size} are none of vLLM's on a CPU; choose a multiple of 32" if odd else None


def generate(arena: Arena, rows: int) -> Contender:
    """`transformers.generate`, so many chains a call."""
    load, folder = arena.load, arena.folder
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, arena.dtype)).eval().to(arena.device)
    codec = Codec(load_tokenizer(str(folder)), list_stops(model.generation_config))
    stops = list(codec.stops) if load.ends is None else list(load.ends)
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=load.longest,
        pad_token_id=codec.pad, eos_token_id=stops or None,
    )  # fmt: skip
    ends = torch.tensor(stops, device=arena.device)

    def sample(seed: int) -> Timing:
        torch.manual_seed(seed)
        begun = time.perf_counter()
        lengths: list[int] = []
        texts = [prompt for prompt in load.make_prompts() for _ in range(load.samples)]
        for at in range(0, len(texts), rows):
            ids, mask = pad_left(codec.prompts(texts[at : at + rows]), codec.pad, torch.device(arena.device))
            with torch.inference_mode():
                chains = model.generate(input_ids=ids, attention_mask=mask)
            ended = torch.isin(chains[:, ids.shape[1] :], ends)
            lengths += torch.where(ended.any(1), ended.int().argmax(1) + 1, ended.shape[1]).tolist()
        await_device(arena.device)
        seconds = time.perf_counter() - begun
        return Timing([lengths[at : at + load.samples] for at in range(0, len(lengths), load.samples)], seconds)

    return sample


@torch.inference_mode()
def measure_gap(arena: Arena, rows: int) -> dict[str, float]:
    """How far the embedded engine's log-probs are from those of one forward pass over each chain, as a learner makes it."""
    engine = HFEngineFactory(str(arena.folder), arena.dtype, arena.device, rows)()
    if arena.load.ends is not None:
        engine.codec.stops = tuple(arena.load.ends)
    groups = engine.generate(arena.load.make_prompts(), min(8, arena.load.samples), SamplingParams(1.0, arena.load.longest), 0)
    model = AutoModelForCausalLM.from_pretrained(arena.folder, dtype=getattr(torch, arena.dtype)).eval().to(arena.device)
    gaps = []
    for chain in (chain for group in groups for chain in group):
        row = torch.from_numpy(numpy.concatenate([chain.prompt_tokens, chain.tokens])).long().to(arena.device)
        logprobs = model(row[None]).logits[0, len(chain.prompt_tokens) - 1 : -1].float().log_softmax(-1)
        known = logprobs.gather(1, row[len(chain.prompt_tokens) :, None])[:, 0].cpu()
        gaps.append((known - torch.from_numpy(chain.logprobs)).abs())
    gap = torch.cat(gaps)
    return {"mean": float(gap.mean()), "max": float(gap.max()), "tokens": len(gap)}


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


def _try_vllm(arena: Arena, rows: int, notify: Callable[[str], None]) -> Contender | None:
    lacking = find_vllm(arena)
    if lacking is None:
        try:
            contender = vllm(arena, rows)
            contender(0)
            return contender
        except Exception as error:  # it is somebody else's, and the others need not wait for it to be mended
            lacking = f"it raised {error!r}"
    notify(f"vllm is left out: {lacking}")
    return None


def compare_sampling(
    load: Load, rows: int, runs: int, notify: Callable[[str], None], device: str = "cpu", dtype: str = "float32"
) -> dict[str, Any]:
    """The embedded engine beside its peer and the machine's limit.

    Args:
        load: what is sampled.
        rows: chains that the embedded engine decodes at once (`rollout.max_rows`).
        runs: pairs.
        notify: told, in a line, how it gets on.
        device, dtype: what all of them run on, and in.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = load.place_model(Path(temporary) / "model")
        arena = Arena(folder, load, device, dtype)
        prompts = [len(tokens) for tokens in Codec(load_tokenizer(str(folder))).prompts(load.make_prompts())]
        chains = len(prompts) * load.samples
        size = choose_size(lambda size: generate(arena, size), chains, notify)
        own, peer = embedded(arena, rows), generate(arena, size)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
        own(0)
        further = _try_vllm(arena, rows, notify)
        gap = measure_gap(arena, rows)
        pairs, shares, machines, furthers = [], [], [], []
        for run in range(1, runs + 1):
            machines.append(measure_machine(device, getattr(torch, dtype)))
            pairs.append((own(run), peer(run)))
            work = count_work(model, prompts, pairs[-1][0].lengths, min(rows, chains))
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
        "workload": {"description": load.describe(), **asdict(load)},  # type: ignore[call-overload]
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "dtype": dtype,
        "weights": sum(weight.numel() for weight in model.parameters()),
        "threads": torch.get_num_threads(),
        "rows": rows,
        "runs": runs,
        "machine": asdict(_median_machine(machines)),
        "embedded": _spread([own.rate for own, _ in pairs]),
        "generate": {"chains_a_call": size, **_spread([peer.rate for _, peer in pairs])},
        "ratio": _spread([own.rate / peer.rate for own, peer in pairs]),
        "share_of_limit": _spread(shares),
        "gap": gap,
    }
    if furthers:
        content["vllm"] = _spread([timing.rate for timing in furthers])
        content["ratio_to_vllm"] = _spread([own.rate / timing.rate for (own, _), timing in zip(pairs, furthers, strict=True)])
    return content


def format_comparison(content: dict[str, Any]) -> str:
    """The comparison as a table."""
    machine, gap = content["machine"], content["gap"]
    rows = [
        ("embedded engine", "embedded", "{:,.0f} tokens/s"),
        (f"transformers.generate, {content['generate']['chains_a_call']} chains a call", "generate", "{:,.0f} tokens/s"),
        ("ratio", "ratio", "{:.2f} times"),
        ("vLLM", "vllm", "{:,.0f} tokens/s"),
        ("ratio to vLLM", "ratio_to_vllm", "{:.2f} times"),
        ("share of the machine's limit", "share_of_limit", "{:.2f}"),
    ]
    lines = [
        content["workload"]["description"],
        f"{content['weights']:,} weights in {content['dtype']} on {content['device']}; {content['threads']} threads",
        f"the machine: {machine['flops'] / 1e9:,.0f} GFLOP/s in products, {machine['bytes'] / 1e9:,.1f} GB/s in copies",
        "",
        *(
            f"{name:44} {form.format(content[key]['median']):>18}   "
            f"({form.format(content[key]['least'])} to {form.format(content[key]['most'])})"
            for name, key, form in rows
            if key in content
        ),
        f"medians of {content['runs']} runs in pairs, least to most",
        f"log-probs beside one pass: {gap['mean']:.1e} apart on average, {gap['max']:.1e} at most, {gap['tokens']:,} tokens",
    ]
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def _median_machine(machines: Sequence[Machine]) -> Machine:
    return Machine(
        flops=statistics.median(machine.flops for machine in machines),
        bytes=statistics.median(machine.bytes for machine in machines),
    )
