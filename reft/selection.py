"""Which of many sampled chains are worth imitating: the right ones, those that differ, so many a problem."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence

from reft.config import Distinct
from rollout.types import Sample

LEFT = "-+*/×÷().,%$0123456789 \t\n"
"""Characters of an equation's left side."""
RIGHT = re.compile(r"=\s*[-$]?\s*\d[\d.,]*")


def equations(text: str) -> tuple[str, ...]:
    """The equations in a chain, in order, without spaces or what ends a sentence: by them RFT tells one way to the answer from
    another (arXiv 2308.01825, section 3.3; code gsm8k-ScRel collect_rejection_sampling.py).

    >>> equations("Sam has 5 + 2 = 7 pens. So Ann has 7-3=4.")
    ('5+2=7', '7-3=4')
    """
    found = []
    for right in RIGHT.finditer(text):
        before = text[: right.start()]
        left = before[len(before.rstrip(LEFT)) :]
        if any(character.isdigit() for character in left):
            found.append(re.sub(r"[\s$]", "", left + right[0]).strip(".,"))
    return tuple(found)


def keep(samples: Sequence[Sample], distinct: Distinct, cap: int | None) -> list[Sample]:
    """The samples whose answer is right, for each problem those that are `distinct`, the first `cap` of them at most.

    A chain without equations is told from others by its text.
    """
    keys: dict[Distinct, Callable[[Sample], object]] = {
        "none": id,
        "text": lambda sample: sample.completion.chain,
        "equations": lambda sample: equations(sample.completion.chain) or sample.completion.chain,
    }
    kept: dict[str, dict[object, Sample]] = defaultdict(dict)
    for sample in samples:
        if sample.verdict.correct and sample.completion.finish == "stop":
            kept[sample.problem.id].setdefault(keys[distinct](sample), sample)
    return [sample for group in kept.values() for sample in list(group.values())[:cap]]
