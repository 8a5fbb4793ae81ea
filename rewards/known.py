"""A known answer: read once, as far as it is needed, and flagged where it is none.

One that the parser cannot read, in plain words or mathematics of a kind that it does not know, is met by its text alone. One
that is broken for certain, or stands for a missing value, earns nothing, whatever is given: nobody can tell what is right.
"""

import re
from collections import Counter
from functools import cached_property, lru_cache

from rewards import choices
from rewards.algebra.cursor import CutOff, Tree
from rewards.algebra.number import number
from rewards.algebra.parse import parse_tidied
from rewards.algebra.tokens import Unreadable, squash, tidy
from rewards.boxes import LONGEST_ANSWER

_COMMAND = re.compile(r"\\(?:begin|end)\s*\{\w+\*?\}|\\[a-zA-Z]+")
_BRACE = re.compile(r"(?<!\\)[{}]")
_BRACKET = re.compile(r"\\begin|\\end|\\?[{}()\[\]]")
_DANGLING = re.compile(r"(?:[-+*/^_=<>]|(?<!\\)\\|\\[dtc]?frac|\\sqrt|\\[dt]?binom)$|[,;]\s*[,;]")
"""Where a value should follow."""
MISSING = {"null", "NULL", "nan", "NaN", "None", "<NA>", "N/A", "n/a", "#N/A", "TBD"}
"""How JSON, NumPy, Python, pandas and people write that there is no value; as a known answer it is a gap in the data."""


MOST_KNOWN = 4_096
"""Known answers whose trees are kept."""
LONGEST_KEPT = 300
"""Characters of a known answer that is kept."""


class Known:
    """A known answer, read once, as far as it is needed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.number = number(text)
        self.letter = choices.letter(text) if len(text) <= LONGEST_ANSWER else None
        """Of a choice that is its letter alone."""

    @cached_property
    def told(self) -> choices.Choice | None:
        """The choice of one that gives both its letter and its text."""
        return choices.told(self.text) if self.number is None and len(self.text) <= LONGEST_ANSWER else None

    @cached_property
    def tidied(self) -> str:
        return tidy(self.text) if len(self.text) <= LONGEST_ANSWER else self.text

    @cached_property
    def squashed(self) -> str:
        return squash(self.tidied)

    @cached_property
    def read(self) -> tuple[Tree | None, Unreadable | None]:
        """Its tree, or None and why there is none."""
        try:
            return parse_tidied(self.tidied), None
        except Unreadable as error:
            return None, error.with_traceback(None)  # which would keep all that was read

    @cached_property
    def flaw(self) -> str:
        """Why it is no answer, so that not even the same text earns anything: it stands for a missing value, or is broken. ""
        for one that is."""
        if self.number is not None or self.letter is not None or self.told is not None:
            return ""
        if self.text.strip() in MISSING:
            return "it stands for a missing value"
        if len(self.text) > LONGEST_ANSWER:
            return f"it is longer than {LONGEST_ANSWER} characters"
        if not _nests(self.text):
            return "its braces do not nest"
        tree, unreadable = self.read
        if tree is not None:
            return ""
        if isinstance(unreadable, CutOff):
            return str(unreadable)
        if not any(map(str.isalnum, _COMMAND.sub("", self.tidied))):
            return "it says nothing"
        if _DANGLING.search(self.tidied) is not None:
            return "a value should follow where it ends"
        if not _closes(self.tidied):
            return "its brackets do not close"
        return ""

    @cached_property
    def has_parts(self) -> bool:
        """Whether it is a list or a set."""
        if not any(joint in self.text for joint in (",", "and", "or", ";")):
            return False
        tree, _ = self.read
        return isinstance(tree, tuple) and tree[0] in ("list", "set")


_kept = lru_cache(maxsize=MOST_KNOWN)(Known)


def known_answer(gold: str) -> Known:
    """What is known of a known answer; kept between calls where it is no longer than answers are."""
    return _kept(gold) if len(gold) <= LONGEST_KEPT else Known(gold)


def is_readable(gold: str) -> bool:
    """Whether the checker can compare a known answer by more than its text."""
    known = known_answer(gold)
    return known.number is not None or known.letter is not None or (known.read[0] is not None and not known.flaw)


def _nests(text: str) -> bool:
    """Whether every brace that groups is closed, and none is closed that is not open."""
    depth = 0
    for sign in _BRACE.findall(text):
        depth += 1 if sign == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def _closes(tidied: str) -> bool:
    """Whether environments end, and brackets are as many as close; those of an interval may turn away from it."""
    signs = Counter(_BRACKET.findall(tidied))
    opened = signs["("] + signs["["] + signs["\\{"]
    closed = signs[")"] + signs["]"] + signs["\\}"]
    return opened == closed and signs["\\begin"] == signs["\\end"]
