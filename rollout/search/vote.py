"""One chain out of many for the same problem: by majority, by scores, and whether any would do.

ReFT's voting@k and rerank@k (arXiv 2401.08967, section 4.4; mwp_ReFT train_reward_model.py). A chain without a final answer is
never picked. All are pure functions of the samples of one problem, in the order in which they were drawn.
"""

from collections.abc import Sequence

from rewards.equal import Checker
from rollout.types import Sample


def has_answer(sample: Sample) -> bool:
    """Whether the chain gives a final answer, be it right, wrong or undecided."""
    return sample.extracted is not None and sample.verdict.outcome != "no_answer"


def majority(samples: Sequence[Sample], checker: Checker) -> Sample | None:
    """The first sample with the answer that most samples give; of answers with as many votes, the one that came first. None
    where no sample has an answer.

    Answers are one if their texts are, or if each would pass where the other is the known one: what rounds only one way, as
    0.333 and 0.3333, stays two. Each is compared with the first of its kind. ReFT counts texts alone.
    """
    return weighted_majority(samples, [1] * len(samples), checker)


def weighted_majority(samples: Sequence[Sample], weights: Sequence[float], checker: Checker) -> Sample | None:
    """As `majority`, but each sample's vote counts as its weight."""
    firsts: list[Sample] = []
    votes: list[float] = []
    kinds: dict[str, int] = {}
    for sample, weight in zip(samples, weights, strict=True):
        if sample.extracted is None or not has_answer(sample):
            continue
        if sample.extracted not in kinds:
            kinds[sample.extracted] = _kind(sample.extracted, firsts, checker)
            if kinds[sample.extracted] == len(firsts):
                firsts.append(sample)
                votes.append(0)
        votes[kinds[sample.extracted]] += weight
    return firsts[votes.index(max(votes))] if firsts else None


def best(samples: Sequence[Sample], scores: Sequence[float]) -> Sample | None:
    """The sample with an answer whose score is the highest, the first of several; None where no sample has an answer."""
    answered = [(score, sample) for score, sample in zip(scores, samples, strict=True) if has_answer(sample)]
    return max(answered, key=lambda pair: pair[0])[1] if answered else None


def any_right(samples: Sequence[Sample]) -> bool:
    """Whether some sample is right: what no way to pick one can exceed (pass@k, of k samples)."""
    return any(sample.verdict.correct for sample in samples)


def _kind(answer: str, firsts: Sequence[Sample], checker: Checker) -> int:
    """The place of the first sample with an answer of this value, or the one behind the last."""
    for place, first in enumerate(firsts):
        known = first.extracted or ""
        if checker.check(answer, known).correct and checker.check(known, answer).correct:
            return place
    return len(firsts)
