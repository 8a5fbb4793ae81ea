r"""Answers to multiple-choice questions: a letter, a letter with its text, or the text alone."""

import re
from dataclasses import dataclass

from rewards import denial

_OPENING = r"\s*+(?:\\text\w*\s*\{|\\mathrm\s*\{|\\mathbf\s*\{|[$*])*\s*+"
_LETTER = re.compile(rf"{_OPENING}\(?([A-J])\)?\s*+[}}$*]*\s*+")
_SMALL_LETTER = re.compile(rf"{_OPENING}\(([a-j])\)\s*+[}}$*]*\s*+")
_LED = re.compile(r"\s*+(?:\\text\w*\s*\{|\*\*)?\s*+\(?([A-J])(?:\)[.:]?|[.:])[*\s}]*\S")
"""A letter with any text behind it: `D. it cannot be A`, `(C) 12`."""
_TOLD = re.compile(rf"{_OPENING}\(?([A-J])[).][.:]?(?:[}}*$\s~]|\\[ ,;:!]|\\q?quad)+(?=[\w$\\-]|[(\[]\s*-?\d)")
"""A letter up to its text: `(B) 3/4`, `C. 15`, `\\textbf{(C)}\\ 17`."""

_SEVERAL = re.compile(r"\W*+(?:text\w*\W*+)?[A-Z]\W{1,5}(?:(?:or|and)\W+)?[A-Z](?![A-Za-z'])")
"""A letter and another one behind nothing but signs and a joint."""


@dataclass(frozen=True)
class Choice:
    """What was chosen: the letter, and the text that stands behind it."""

    letter: str
    text: str


def letter(answer: str) -> str | None:
    r"""The letter that an answer is, with what dresses it up: `(B)`, `\text{B}`, `**B**`; None where there is more to it."""
    match = _LETTER.fullmatch(answer)
    return match[1] if match else None


def small_letter(answer: str) -> str | None:
    """The letter, as a capital, of an answer that is a small one in brackets, as beside lettered choices: `(b)`."""
    match = _SMALL_LETTER.fullmatch(answer)
    return match[1].upper() if match else None


def told(answer: str) -> Choice | None:
    """The choice of an answer that gives both the letter and its text; else None."""
    match = _TOLD.match(answer)
    if match is None:
        return None
    text = answer[match.end() :].rstrip()
    if text.endswith("}") and text.count("}") > text.count("{"):
        text = text[:-1].rstrip()  # of the command that the letter stands in
    return Choice(match[1], text)


def led(answer: str) -> str | None:
    """The letter that an answer begins with, whatever follows; else None."""
    match = _LED.match(answer)
    return match[1] if match else None


def several(answer: str) -> bool:
    """Whether an answer begins with more than one letter, which is no choice."""
    return _SEVERAL.match(answer) is not None


def is_chosen(match: re.Match[str], text: str) -> bool:
    """Whether a letter in a sentence is chosen there: neither denied, nor the word `I` or `A`, which stands before another."""
    behind = text[match.end() :]
    word = match[1] in "IA" and match[0] == match[1] and re.match(r"\s+[a-z]", behind) is not None
    return not (word or denial.before(text[: match.start()]) or denial.behind(behind))
