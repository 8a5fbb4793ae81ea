"""Answers in words: names, numbers, counts, times of day."""

import re
from collections.abc import Sequence
from fractions import Fraction

from rewards.algebra import words
from rewards.algebra.cursor import Tree
from rewards.algebra.numerals import NUMERALS, PLURALS, amount, ordinal
from rewards.algebra.units import POWERS, UNITS, is_unit, unit

HEDGES = words.HEDGES | NUMERALS | PLURALS
"""Words that no count has."""
LONGEST_NUMERAL = 20
"""Words of a number."""
_TIME = re.compile(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?\s*(?:\\text\s*\{\s*)?([ap]\.?\s?m\.?)?\s*\}?", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}/\d{1,2}/\d{4}")


def time_of_day(tidied: str) -> Tree | None:
    """`8:34 p.m.`, `20:34`; with seconds and without a half of the day a ratio. None for all else."""
    match = _TIME.fullmatch(tidied)
    if match is None:
        return None
    hours, minutes, half = int(match[1]), int(match[2]), (match[4] or "").lower()[:1]
    if half:
        hours = hours % 12 + (12 if half == "p" else 0)
    parts = [Fraction(part) for part in match.groups()[:3] if part is not None]
    if match[3] and not half:
        return ("ratio", *parts)
    seconds = 3600 * hours + 60 * minutes + int(match[3] or 0)
    return ("time", seconds, half != "" or hours > 12, () if half else ("ratio", *parts))


def date(tidied: str) -> Tree | None:
    """`2024-01-05`, `1/5/2024`: told apart as they are written, but for leading zeros. None for all else."""
    return ("text", re.sub(r"\b0+(?=\d)", "", tidied)) if _DATE.fullmatch(tidied) else None


def in_words(tidied: str) -> Tree | None:
    """Plain words, such as a name or yes; None where the text may be mathematics."""
    bare = re.sub(r"^\\(?:text|textbf|mathrm|mbox|textit|mathbf)\s*\{([^{}\\]*)\}$", r"\1", tidied).strip()
    if not re.fullmatch(r"\(?(?:\d{1,18} and (?=a |an |one |half))?[A-Za-z][A-Za-z .'()-]*", bare):
        return None
    lowered = re.sub(r"^(?:there (?:is|are) |the (?=limit|expression)|(?:the )?limit )+", "", bare.lower().strip(" .'"))
    single = re.sub(r"[^a-z]", "", lowered)
    if len(single) <= 1 or bare in words.FUNCTIONS or lowered in words.GREEK or "(" in bare.strip("()"):
        return None
    if lowered in words.EMPTY:
        return ("set",)
    if lowered in words.REALS:
        return "mathbbR"
    if lowered in words.NOWHERE:
        return ("text", words.UNDEFINED)
    if lowered in words.ENDLESS:
        return ("text", "infinitely many")
    pieces = re.split(r"[\s-]+", lowered.strip("()"))
    if is_product(bare) or all(len(piece) == 1 for piece in pieces):
        return None
    if pieces[0] in ("infty", "infinity") and len(pieces) == 1:
        return ("inf",)
    if (value := amount(pieces)) is not None:
        return value
    if (counted := _counted_in_words(pieces)) is not None:
        return counted
    if any(joint in pieces for joint in words.JOINTS):
        return None
    return spoken(pieces)


def is_product(word: str) -> bool:
    """Whether letters are a product, as `ab` and `mgh` are, and no word: too few, or without a vowel. Capitals alone are none:
    they are points, tosses, initials, and their order counts."""
    if not word.isalpha() or word.isupper() or len(word) > 3 or word in words.FUNCTIONS:
        return False
    return word.lower() not in words.TWO_LETTERS if len(word) == 2 else not set("aeiou") & set(word.lower())


def _counted_in_words(pieces: Sequence[str]) -> Tree | None:
    """`three apples`, `two and a half hours`, `five percent`; None where no number comes first, or one behind."""
    for end in range(min(len(pieces) - 1, LONGEST_NUMERAL), 0, -1):
        if (value := amount(pieces[:end])) is not None:
            rest = pieces[end:]
            if len(rest) == 1 and rest[0] in words.PERCENT:
                return ("pct", value)
            return ("unit", value, unit(" ".join(rest)), nouns(rest)) if is_counted(rest, value) else None
    return None


def is_counted(said: Sequence[str], value: Tree) -> bool:
    """Whether words behind a value say what it counts or measures, and leave it as it is: a unit, a plural that is no number's,
    behind 1 any word. What follows an "of" or the like is not looked at, doubts apart."""
    if is_unit(" ".join(said)):
        return True
    if len(said) > words.LONGEST_SUFFIX or HEDGES & {part for word in said for part in word.split("-")}:
        return False
    link = next((place for place, word in enumerate(said) if word in words.LINKS), len(said))
    if link == 0:
        return set(said[1:]) <= words.AMOUNTS  # `in total`
    last = said[link - 1]
    return last in UNITS or last in words.SENSES | words.AMOUNTS or _is_plural(last) or value == Fraction(1)


def _is_plural(word: str) -> bool:
    return word in words.IRREGULAR_PLURALS | words.PLACEHOLDERS or (
        len(word) > 2 and word.endswith("s") and not word.endswith(words.NO_PLURAL)
    )


def nouns(said: Sequence[str]) -> str:
    """What is counted, without plural endings and units: `red apples` is `red apple`."""
    named = [
        word
        for word in said
        if word.isalpha() and not is_unit(word) and word not in POWERS.keys() | words.AMOUNTS | words.LINKS
    ]
    return " ".join(re.sub(r"(?<=[a-z]{2})(?:(?<=[sxh])es|s)$", "", word) for word in named)


def spoken(said: Sequence[str]) -> Tree:
    """Words as the number that they spell, or as themselves."""
    parts = [part for word in said for part in word.split("-")]
    if (value := amount(parts)) is not None:
        return value
    return ("text", " ".join(said)) if (place := ordinal(parts)) is None else Fraction(place)
