"""Reward functions that come with the project, in TRL's signature.

A reward function takes lists of equal length as keywords, one entry a sample, and returns a list of numbers, None
meaning "does not apply to this sample":

    prompts, completions    texts; a completion is the whole chain, also where its beginning was given (`curriculum`)
    completion_ids          its tokens
    answer                  the known answer of the problem
    extracted               the final answer found in the completion, or None
    verdict                 "equal", "different", "undecided" or "no_answer", from the answer checker

and the problem's other columns. Take what is needed and `**columns` for the rest.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any


def correct(verdict: Sequence[str], partial: float = 0.1, **columns: Any) -> list[float]:
    """ReFT's reward (arXiv 2401.08967, section 3.2): 1 for the right answer, `partial` for a wrong one, 0 for none.

    An undecided answer earns 0: it was given, but nothing vouches for it.
    """
    value = {"equal": 1.0, "different": partial, "undecided": 0.0, "no_answer": 0.0}
    return [value[outcome] for outcome in verdict]


def reft_exact(
    completions: Sequence[str],
    answer: Sequence[str],
    extracted: Sequence[str | None],
    programs: bool = False,
    trigger: str = "\nTherefore, the answer is: ",
    choices: bool = False,
    **columns: Any,
) -> list[float]:
    """ReFT's reward as its code computes it (mwp_ReFT train_rl_reft.py, 61-70 and 297-316), to repeat its numbers, no better:
    what stands behind the last `trigger`, or the whole chain where there is none, is read by Python's float, so that 1,000 is
    no answer and nan is one; 1 within 0.01 of the known answer, 0.1 else. With `programs` (P-CoT) it is what the program
    returned, which may be a Fraction, and is never nan or True here. With `choices` (MathQA) texts are compared without case
    and quotes, and anything is an answer, no result too. `correct` with checker.tolerance=0.01 is its repaired form.

    Raises:
        ValueError: if a known answer is no number, without `choices`.
    """
    given = (
        [text and _as_float(text) for text in extracted]
        if programs
        else [completion.split(trigger)[-1].strip() for completion in completions]
    )
    if choices:
        same: list[bool | None] = [_bare(str(text)) == _bare(known) for text, known in zip(given, answer, strict=True)]
    else:
        same = [_is_near(text, _known_number(known)) for text, known in zip(given, answer, strict=True)]
    return [0.0 if verdict is None else 1.0 if verdict else 0.1 for verdict in same]


def _is_near(text: str | None, known: float) -> bool | None:
    """Whether a text is a number within 0.01 of the known one; None where Python reads no number from it."""
    try:
        return None if text is None else abs(float(text) - known) <= 1e-2
    except ValueError:
        return None


def _as_float(text: str) -> str:
    """A fraction such as 1/2, which `float` takes as a value and not as a text."""
    try:
        return str(float(Fraction(text))) if "/" in text else text
    except (ValueError, ZeroDivisionError, OverflowError):
        return text


def _known_number(text: str) -> float:
    try:
        return float(text.replace(",", ""))  # as the paper's code does with the known answer, and not with the given one
    except ValueError:
        raise ValueError(f"the known answer {text[:40]!r} is no number, which reft_exact needs; set choices=true") from None


def _bare(text: str) -> str:
    return text.replace('"', "").replace("'", "").strip().lower()


def answered(extracted: Sequence[str | None], **columns: Any) -> list[float]:
    """1 where the chain ends in an answer of the expected form, right or wrong, else 0."""
    return [float(answer is not None) for answer in extracted]


# What follows shapes the length of chains. All are off unless a config names them.


def overlong(completion_ids: Sequence[Sequence[int]], longest: int, buffer: int, **columns: Any) -> list[float]:
    """DAPO's soft punishment (arXiv 2503.14476, equation 13): 0 up to `longest` - `buffer` tokens, from there linearly down to
    -1 at `longest`, and -1 beyond."""
    if not 0 < buffer < longest:
        raise ValueError(f"buffer={buffer} is out of range; choose 1 to below longest={longest}")
    return [max(-1.0, min(0.0, (longest - buffer - len(ids)) / buffer)) for ids in completion_ids]


def cosine(
    completion_ids: Sequence[Sequence[int]],
    verdict: Sequence[str],
    longest: int,
    right: tuple[float, float] = (1.0, 0.5),
    wrong: tuple[float, float] = (-1.0, -0.5),
    exceeded: float | None = None,
    **columns: Any,
) -> list[float]:
    """A reward for length that depends on being right (arXiv 2502.03373, section 4.2): along half a cosine from the first value
    of `right` or `wrong`, for no tokens, to the second, for `longest`; and `exceeded` for a chain that has reached it, where
    one is given. With the defaults, open-r1's, short is better where the answer is right, and long where it is not. The
    paper's: right (2, 1), wrong (-10, 0), exceeded -10."""
    if longest < 1:
        raise ValueError(f"longest={longest} is out of range; choose 1 or more")
    for name, pair in (("right", right), ("wrong", wrong)):
        if len(pair) != 2:
            raise ValueError(f"{name}={list(pair)} is no pair; write the values of the shortest chain and of the longest")
    rewards = []
    for ids, outcome in zip(completion_ids, verdict, strict=True):
        if exceeded is not None and len(ids) >= longest:
            rewards.append(exceeded)
            continue
        start, end = right if outcome == "equal" else wrong
        progress = min(len(ids) / longest, 1.0)
        rewards.append(end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * progress)))
    return rewards


def repetition(completion_ids: Sequence[Sequence[int]], ngram: int = 4, **columns: Any) -> list[float]:
    """Minus the share of n-grams of tokens that the chain has had before, -1 to 0: one number a chain, as open-r1 has it, where
    arXiv 2502.03373 (appendix C.2) takes it from each token that repeats."""
    if ngram < 1:
        raise ValueError(f"ngram={ngram} is out of range; choose 1 or more")
    rewards = []
    for ids in completion_ids:
        grams = [tuple(ids[at : at + ngram]) for at in range(len(ids) - ngram + 1)]
        rewards.append(-(1.0 - len(set(grams)) / len(grams)) if grams else 0.0)
    return rewards
