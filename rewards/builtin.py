"""Reward functions that come with the project, in TRL's signature.

A reward function takes lists of equal length as keywords, one entry a sample, and returns a list of numbers, None
meaning "does not apply to this sample":

    prompts, completions    texts
    completion_ids          the sampled tokens
    answer                  the known answer of the problem
    extracted               the final answer found in the completion, or None
    verdict                 "equal", "different", "undecided" or "no_answer", from the answer checker

and the problem's other columns. Take what is needed and `**columns` for the rest.
"""

from collections.abc import Sequence
from typing import Any


def correct(verdict: Sequence[str], partial: float = 0.1, **columns: Any) -> list[float]:
    """ReFT's reward (arXiv 2401.08967, section 3.2): 1 for the right answer, `partial` for a wrong one, 0 for none.

    An undecided answer earns 0: it was given, but nothing vouches for it.
    """
    value = {"equal": 1.0, "different": partial, "undecided": 0.0, "no_answer": 0.0}
    return [value[outcome] for outcome in verdict]


def answered(extracted: Sequence[str | None], **columns: Any) -> list[float]:
    """1 where the chain ends in an answer of the expected form, right or wrong, else 0."""
    return [float(answer is not None) for answer in extracted]
