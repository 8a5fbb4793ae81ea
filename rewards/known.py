"""A known answer: read once, as far as it is needed, and flagged where it is none.

One in plain words, or in mathematics of a kind that the parser does not know, is met by its text alone. One that is broken, or
stands for a missing value, earns nothing, whatever is given: nobody can tell what would be right.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache

from rewards import choices
from rewards.algebra.cursor import Tree
from rewards.algebra.number import number
from rewards.algebra.parse import parse_tidied
from rewards.algebra.spoken import is_product
from rewards.algebra.tokens import Beyond, Token, Unreadable, squash, tidy, tokenize
from rewards.algebra.words import FUNCTIONS, GREEK
from rewards.boxes import LONGEST_ANSWER

_COMMAND = re.compile(r"\\(?:begin|end)\s*\{\w+\*?\}|\\[a-zA-Z]+")
_WORD = re.compile(r"[A-Za-z]{3,}|(?![\x00-\x7f])[^\W\d_]")
_DANGLING = re.compile(r"[-+*/^_=<>]$")
"""Where a value should follow."""
MISSING = {"null", "NULL", "nan", "NaN", "None", "<NA>"}
"""How JSON, NumPy, Python and pandas write that there is no value; as a known answer it is a gap in the data."""


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
        try:
            tokens = tokenize(self.tidied)
        except Unreadable as error:
            return str(error)
        tree, unreadable = self.read
        if tree is not None:
            return ""
        if not _are_closed(tokens):
            return "its brackets do not close"
        says = any(map(str.isalnum, _COMMAND.sub("", self.tidied))) and _DANGLING.search(self.tidied) is None
        return "" if says and (isinstance(unreadable, Beyond) or _is_prose(self.tidied)) else str(unreadable)

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


def _are_closed(tokens: Sequence[Token]) -> bool:
    """Whether braces nest, environments end, and brackets are as many as close; those of an interval may turn away from it."""
    depth = 0
    for token in tokens:
        depth += (token.text == "{") - (token.text == "}")
        if depth < 0:
            return False
    signs = Counter(token.text for token in tokens)
    opened = signs["("] + signs["["] + signs["\\{"]
    closed = signs[")"] + signs["]"] + signs["\\}"]
    return depth == 0 and opened == closed and signs["begin"] == signs["end"]


def _is_prose(tidied: str) -> bool:
    """Whether a text has a word that no formula has."""
    said = _WORD.findall(_COMMAND.sub(" ", tidied))
    return any(word.lower() not in FUNCTIONS | GREEK and not is_product(word) for word in said)
