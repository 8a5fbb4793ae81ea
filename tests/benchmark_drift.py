"""How far engine and learner differ in the log-probs of the same tokens: `python -m tests.benchmark_drift`.

A Llama of four layers × 256, and chains of about sixty tokens, sampled side by side; then the learner's forward pass over
prompts and chains, padded on the right. Fresh weights, whose next token is about as likely to be any, and the same times eight,
whose distributions are peaked.
"""

import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from reft.batch import collate
from reft.model import PolicyModel
from reft.workload import Workload
from rewards.equal import NO_ANSWER
from rollout.engines.hf import HFEngineFactory
from rollout.types import Problem, Sample, SamplingParams

LOAD = Workload(4, 256, 8, prompts=16, samples=12, prompt_tokens=24, mean=60, longest=256, vocabulary=60)
ROWS = 64
"""Chains of a forward pass of the learner."""


def main() -> None:
    print(f"{'weights':10}{'dtype':10}{'temperature':>12}{'tokens':>9}{'entropy':>9}{'max':>11}{'mean':>11}{'mean k1':>11}")
    with tempfile.TemporaryDirectory() as name:
        for weights, factor in (("fresh", 1.0), ("times 8", 8.0)):
            folder = Path(name) / weights
            write_model(folder, factor)
            for dtype in ("float32", "bfloat16"):
                for temperature in (0.7, 1.0, 1.3):
                    gaps, entropy = measure(folder, dtype, temperature)
                    size = gaps.abs()
                    print(
                        f"{weights:10}{dtype:10}{temperature:12}{len(gaps):9,}{entropy:9.2f}"
                        f"{size.max():11.2e}{size.mean():11.2e}{gaps.mean():11.1e}",
                        flush=True,
                    )


def write_model(folder: Path, factor: float) -> None:
    """The workload's model with its matrices times `factor`."""
    LOAD.place_model(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        for weight in model.parameters():
            weight *= factor if weight.dim() == 2 else 1.0
    model.save_pretrained(folder)


@torch.no_grad()
def measure(folder: Path, dtype: str, temperature: float) -> tuple[torch.Tensor, float]:
    """The engine's log-probs less the learner's, (N,) over all sampled tokens, and the mean entropy in nats."""
    engine = HFEngineFactory(str(folder), dtype)()
    engine.codec.stops = tuple(LOAD.ends)
    groups = engine.generate(LOAD.make_prompts(), LOAD.samples, SamplingParams(temperature, LOAD.longest), seed=0)
    chains = [chain for group in groups for chain in group]
    problem = Problem("", "", "")
    policy = PolicyModel(str(folder), getattr(torch, dtype), "shared", "zero", temperature).eval()
    gaps, entropies = [], []
    for at in range(0, len(chains), ROWS):
        batch = collate([Sample(problem, chain, None, NO_ANSWER, {}, 0.0, 0) for chain in chains[at : at + ROWS]], pad=0)
        logprobs, _, entropy, _ = policy(batch.tokens, batch.lengths)
        gaps.append((batch.sampler_logprobs - logprobs)[batch.action_mask])
        entropies.append(entropy[batch.action_mask])
    return torch.cat(gaps), float(torch.cat(entropies).mean())


if __name__ == "__main__":
    main()
