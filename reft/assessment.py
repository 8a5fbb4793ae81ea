"""Evaluation of a policy with workers of a run's kind: its chains one by one, and what many of them make together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from transformers import AutoModelForSequenceClassification

from reft.cluster import cluster
from reft.config import Config
from reft.evaluate import Report, evaluate
from reft.files import write_atomically
from reft.flops import Cost
from reft.prepare import Prepared
from reft.progress import Display
from reft.reranking import Reranking
from reft.rollouts import make_checker, ray_pool, sampling_params, try_prompts
from reft.run import row, write_lines
from reft.statistics import proportion
from rollout.pool import Pool, Progress
from rollout.search.vote import any_right, best, majority
from rollout.types import Problem, Sample, SamplingParams
from rollout.work import work_of_sampling, work_of_text
from rollout.worker import derive_seed


def sampled_params(config: Config) -> SamplingParams:
    """How sampled chains are drawn in evaluation."""
    how = config.evaluate
    params = sampling_params(config.sampling, how.temperature)
    return replace(params, top_k=how.top_k, top_p=how.top_p, min_p=how.min_p)


def greedy_params(config: Config) -> SamplingParams:
    """How greedy chains are drawn."""
    return sampling_params(config.sampling, 0.0)


def evaluate_policy(
    config: Config, pool: Pool, problems: Sequence[Problem], name: str, display: Display
) -> dict[str, tuple[Report, list[Sample]]]:
    """Reports on the pool's policy, behind a bar."""
    params = sampled_params(config)
    total = len(problems) * (1 + config.evaluate.samples)
    with display.bar(f"evaluate {name}", total, "chain") as bar:

        def progress(mode: str) -> Progress:
            before = 0 if mode == "greedy" else len(problems)
            return lambda done, _: bar.update(before + done, mode)

        seed = derive_seed(config.seed, "evaluate", name)
        return evaluate(pool, config.task, problems, params, config.evaluate.samples, seed, progress)


def evaluate_checkpoint(
    prepared: Prepared, checkpoint: Path, display: Display, split: str, vote: int | None = None, rerank: bool = False
) -> dict[str, Any]:
    """Evaluate a checkpoint on a split of its run's task, with workers of its run's kind; writes the report beside it.

    Args:
        vote: chains a problem to pick one from, by majority; null picks none.
        rerank: whether one is also picked by a classifier.

    Raises:
        UserError: in one line, if the classifier cannot be trained.
    """
    config = prepared.config
    problems = vars(prepared.splits)[split][: config.evaluate.limit]
    try_prompts(str(checkpoint), problems)
    reranking = Reranking(prepared, checkpoint, display) if rerank else None
    rollout, learner = config.rollout, config.learner
    cpus, gpus = rollout.workers * rollout.cpus, rollout.workers * rollout.gpus
    if reranking is not None:  # its process starts when the workers are gone
        cpus, gpus = max(cpus, learner.cpus), max(gpus, learner.gpus)
    with cluster(config.ray, cpus, gpus):
        pool = ray_pool(config, str(checkpoint.absolute()), display.note)
        try:
            reports = evaluate_policy(config, pool, problems, split, display)
            drawn = _draw(config, pool, problems, vote, split, display) if vote else []
            if reranking is not None:
                reranking.sample(pool)
        finally:
            pool.close()
        scores = reranking.scores(drawn) if reranking is not None else None
    content = plain_reports(reports, prepared.cost)
    name = f"{checkpoint.name}-{split}"
    if vote:
        name += f"-vote{vote}"
        scoring = None if scores is None else Cost.of(prepared.model_config, AutoModelForSequenceClassification)
        content["search"] = search_report(config, drawn, vote, scores, prepared.cost, scoring)
    if reranking is not None:
        name += "-rerank"
        content["search"]["reranker"] = reranking.record()
    file = checkpoint.absolute().parent.parent / "eval" / f"{name}.json"
    content |= {"checkpoint": str(checkpoint), "split": split, "file": str(file)}
    write_atomically(file, json.dumps(content, indent=2) + "\n")
    rows = [row(sample) for _, samples in reports.values() for sample in samples]
    rows += [row(sample) | ({} if scores is None else {"score": scores[place]}) for place, sample in enumerate(drawn)]
    write_lines(file.with_suffix(".jsonl"), rows)
    return content


def plain_reports(reports: Mapping[str, tuple[Report, Sequence[Sample]]], cost: Cost) -> dict[str, Any]:
    """Reports as they are written, with the operations of a query, of a prompt and one chain for it, and of the prompt alone,
    which many chains have in common."""
    content: dict[str, Any] = {}
    for mode, (report, samples) in reports.items():
        shapes = [(len(sample.completion.prompt_tokens), len(sample.completion.tokens)) for sample in samples]
        queries = {shape: cost.query(*shape) for shape in set(shapes)}  # few are another's
        prompts = {prompt: cost.forward(work_of_text(prompt)) for prompt, _ in queries}
        content[mode] = report.plain() | {
            "flops_per_query": sum(queries[shape] for shape in shapes) / len(samples),
            "flops_per_prompt": sum(prompts[prompt] for prompt, _ in shapes) / len(samples),
        }
    return content


def search_report(
    config: Config, samples: Sequence[Sample], n: int, scores: Sequence[float] | None, cost: Cost, scoring: Cost | None = None
) -> dict[str, Any]:
    """What picking one of `n` chains a problem comes to: accuracy by majority, by scores where there are any, and of whoever
    would always pick a right one; and what a query takes, in tokens and operations.

    Args:
        samples: `n` of each problem, one problem behind the other.
        scores: of each sample, the higher the better.
        cost: of the policy.
        scoring: of what scores, which reads each chain whole.
    """
    groups = [samples[start : start + n] for start in range(0, len(samples), n)]
    checker = make_checker(config.checker)
    try:
        picked = {"vote": [majority(group, checker) for group in groups]}
    finally:
        checker.close()
    if scores is not None:
        picked["rerank"] = [best(group, scores[place * n : (place + 1) * n]) for place, group in enumerate(groups)]
    right = {name: sum(sample is not None and sample.verdict.correct for sample in chosen) for name, chosen in picked.items()}
    right["upper_bound"] = sum(map(any_right, groups))
    chains = [[sample.completion for sample in group] for group in groups]
    spent = {
        "tokens_per_query": sum(completion.drawn for group in chains for completion in group) / len(groups),
        "flops_per_query": sum(cost.forward(work_of_sampling(group)) for group in chains) / len(groups),
    }
    if scoring is not None:
        read = [work_of_text(len(one.prompt_tokens) + len(one.tokens)) for group in chains for one in group]
        spent["scoring_flops_per_query"] = sum(map(scoring.forward, read)) / len(groups)
    return {
        "chains": n,
        **spent,
        **asdict(sampled_params(config)),
        **{name: asdict(proportion(count, len(groups))) for name, count in right.items()},
    }


def _draw(config: Config, pool: Pool, problems: Sequence[Problem], n: int, split: str, display: Display) -> list[Sample]:
    params = sampled_params(config)
    with display.bar("vote: sample", len(problems) * n, "chain") as bar:
        seed = derive_seed(config.seed, "vote", split)
        return pool.sample(problems, n, params, seed, lambda done, _: bar.update(done))
