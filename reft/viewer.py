"""Watch a checkpoint think: problems, chains and verdicts in the terminal."""

import random
from pathlib import Path

from rich.console import Console

from reft.assessment import sampled_params
from reft.config import Config
from reft.rollouts import local_pool, try_prompts
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import derive_seed

COLOURS = {"equal": "green", "different": "red", "undecided": "yellow", "no_answer": "yellow"}


def show(config: Config, checkpoint: Path, problems: int, samples: int, prompt: str | None, seed: int) -> None:
    """Print a greedy chain and `samples` sampled ones for some problems of the test split, or for a prompt."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if prompt is None:
        test = list(config.task.splits().test)
        chosen = random.Random(seed).sample(test, min(problems, len(test)))
    else:
        chosen = [Problem(prompt, prompt, "", {})]
        try_prompts(str(checkpoint), chosen)
    pool = local_pool(config, str(checkpoint))
    try:
        greedy = SamplingParams(0.0, config.sampling.max_tokens)
        sampled = sampled_params(config)
        for problem in chosen:
            console.print(problem.prompt, style="bold")
            for params, count in ((greedy, 1), (sampled, samples)):
                if prompt is None:
                    drawn = pool.sample([problem], count, params, derive_seed(seed, problem.id)) if count else []
                    for sample in drawn:
                        _print_sample(console, sample, "greedy" if params is greedy else "sampled")
                elif count:
                    engine = pool.worker.engine
                    for completion in engine.generate([prompt], count, params, seed)[0]:
                        console.print(f"  {completion.text}")
            console.print()
    finally:
        pool.close()


def _print_sample(console: Console, sample: Sample, mode: str) -> None:
    completion = sample.completion
    console.print(f"  {mode:8}{completion.chain}")
    verdict = sample.verdict
    console.print(
        f"          {verdict.outcome} ({verdict.reason}), {len(completion.tokens)} tokens, ended by {completion.finish}",
        style=COLOURS[verdict.outcome],
    )
