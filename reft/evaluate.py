"""Greedy and sampled accuracy side by side, by the same prompts, stop rule, reader and checker as training."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reft.statistics import Estimate, mean_over_problems
from reft.tasks import Task, Trace
from rollout.pool import Pool, Progress
from rollout.types import Problem, Sample, SamplingParams


@dataclass(frozen=True)
class Report:
    """What a set of samples shows. Rates are shares; None where the task cannot tell."""

    accuracy: Estimate
    tokens_per_chain: float
    truncated: float
    """Share of chains cut at their longest."""
    no_answer: float
    """Share of chains without a final answer."""
    undecided: float
    """Share of answers that the checker could not decide."""
    valid: float | None
    """Share of chains with steps (or out of form) whose every step and verdict is right; without traces, that answer at all."""
    tries_per_chain: float | None
    repeated_tries: float | None
    """Repeated tries a chain."""
    verdict_error: float | None
    """Share of a chain's own verdicts that are false."""
    trace_error: float | None
    """Share of right answers reached by a wrong step (Uesato et al., arXiv 2211.14275)."""
    tokens: int
    """Tokens sampled in all."""

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def report(samples: Sequence[Sample], task: Task, traces: Sequence[Trace | None] | None = None) -> Report:
    """The report on samples, several of one problem standing for that problem together.

    Args:
        traces: the task's, of the samples, where they are there already.

    Raises:
        ValueError: without samples.
    """
    shares: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        shares[sample.problem.id].append(float(sample.verdict.correct))
    tokens = sum(len(sample.completion.tokens) for sample in samples)
    outcomes = [sample.verdict.outcome for sample in samples]
    if traces is None:
        traces = [task.trace(sample.problem, sample.completion.chain) for sample in samples]
    return Report(
        accuracy=mean_over_problems([sum(group) / len(group) for group in shares.values()]),
        tokens_per_chain=tokens / len(samples),
        truncated=_share(sample.completion.finish == "length" for sample in samples) or 0.0,
        no_answer=outcomes.count("no_answer") / len(samples),
        undecided=outcomes.count("undecided") / len(samples),
        **_trace_rates(samples, [trace for trace in traces if trace is not None]),
        tokens=tokens,
    )


def evaluate(
    pool: Pool,
    task: Task,
    problems: Sequence[Problem],
    sampled: SamplingParams,
    n: int,
    seed: int,
    progress: Callable[[str], Progress] | None = None,
) -> dict[str, tuple[Report, list[Sample]]]:
    """Reports and samples, "greedy" (one chain a problem) and "sampled" (n a problem)."""
    modes = {"greedy": (SamplingParams(0.0, sampled.max_tokens, stop=sampled.stop), 1), "sampled": (sampled, n)}
    result = {}
    for mode, (params, count) in modes.items():
        samples = pool.sample(problems, count, params, seed, progress(mode) if progress else None)
        result[mode] = (report(samples, task), samples)
    return result


def _trace_rates(samples: Sequence[Sample], traces: Sequence[Trace]) -> dict[str, float | None]:
    if len(traces) < len(samples):
        valid = _share(sample.extracted is not None for sample in samples)
        return {
            "valid": valid, "tries_per_chain": None, "repeated_tries": None, "verdict_error": None, "trace_error": None,
        }  # fmt: skip
    shown = [trace for trace in traces if trace.steps or not trace.well_formed]
    verdicts = sum(trace.verdicts for trace in traces)
    right = [trace for sample, trace in zip(samples, traces, strict=True) if sample.verdict.correct and trace.steps]
    return {
        "valid": _share(trace.valid for trace in shown),
        "tries_per_chain": sum(trace.tries for trace in traces) / len(traces),
        "repeated_tries": sum(trace.repeated_tries for trace in traces) / len(traces),
        "verdict_error": sum(trace.wrong_verdicts for trace in traces) / verdicts if verdicts else None,
        "trace_error": _share(not trace.well_formed or trace.wrong_steps > 0 for trace in right),
    }


def _share(flags: Any) -> float | None:
    values = [bool(flag) for flag in flags]
    return sum(values) / len(values) if values else None
