"""Which of many sampled chains are worth imitating: the right ones, those that differ, so many a problem."""

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from rapidfuzz.distance import Levenshtein

from reft.config import Distinct
from rollout.types import Sample

OPERAND = r"(?:\( *){0,8}(?:[-+] *)?(?:\$ *)?\d+(?:,\d{3})*(?:\.\d+)?(?: *%)?(?: *\)){0,8}"
TERM = re.compile(rf"{OPERAND}(?: *[-+*/×÷] *{OPERAND})*")
"""Numbers with signs of operations between them. None of it begins with spaces, so that a long chain is read in linear time."""
EQUALS = re.compile(r" *= *")
KEYS: Mapping[Distinct, Callable[[Sample], object]] = {
    "none": id,
    "text": lambda sample: sample.completion.chain,
    "equations": lambda sample: equations(sample.completion.chain) or sample.completion.chain,
}
"""What tells a problem's chains apart."""


def equations(text: str) -> tuple[str, ...]:
    """The equations in a chain, in order, without spaces: by them RFT tells one way to the answer from another (arXiv
    2308.01825, section 3.3; code gsm8k-ScRel collect_rejection_sampling.py).

    >>> equations("Sam has 5 + 2 = 7 pens. So Ann has 7-3=4.")
    ('5+2=7', '7-3=4')
    >>> equations("In 2020, 3/4 of $1,200 is 0.75 * 1,200 = $900 = 1800 / 2, and x = 5")
    ('0.75*1,200=900', '900=1800/2')
    """
    terms = list(TERM.finditer(text))
    found = [
        f"{left[0]}={right[0]}"
        for left, right in itertools.pairwise(terms)
        if EQUALS.fullmatch(text, left.end(), right.start())
    ]
    return tuple(re.sub(r"[ $]", "", equation) for equation in found)


def right_and_whole(sample: Sample) -> bool:
    """Whether a chain ends, and in the right answer."""
    return sample.verdict.correct and sample.completion.finish == "stop"


def keep(samples: Sequence[Sample], distinct: Distinct, cap: int | None, least_distance: float = 0.2) -> list[Sample]:
    """The samples whose answer is right, for each problem those that are `distinct`, `cap` of them at most.

    A chain without equations is told from others by its text. By edits, chains are taken that are `least_distance` apart.
    """
    right: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if right_and_whole(sample):
            right[sample.problem.id].append(sample)
    if distinct == "edits":
        return [sample for group in right.values() for sample in spread(group, least_distance, cap)]
    firsts: dict[str, dict[object, Sample]] = defaultdict(dict)
    for name, group in right.items():
        for sample in group:
            firsts[name].setdefault(KEYS[distinct](sample), sample)
    return [sample for group in firsts.values() for sample in list(group.values())[:cap]]


def spread(samples: Sequence[Sample], least: float, cap: int | None) -> list[Sample]:
    """The first sample, then again and again the one that is farthest from all that are taken, until none is `least` away.

    The distance is that of Levenshtein between words, over the words of the longer chain: 0 to 1.
    """
    words = [sample.completion.chain.split() for sample in samples]
    taken, apart = [0], [1.0] * len(samples)
    while cap is None or len(taken) < cap:
        apart = [
            min(far, Levenshtein.normalized_distance(words[taken[-1]], own)) for far, own in zip(apart, words, strict=True)
        ]
        farthest = max(range(len(samples)), key=apart.__getitem__)
        if apart[farthest] < least:
            break
        taken.append(farthest)
    return [samples[at] for at in sorted(taken)]
