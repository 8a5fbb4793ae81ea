"""Numbers in words: `seventeen`, `three hundred and five`, `minus two thirds`, `two and a half`, `a dozen`, `twenty-first`."""

from collections.abc import Sequence
from fractions import Fraction

_ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {word: value for value, word in enumerate(_ONES)} | {word: 20 + 10 * place for place, word in enumerate(_TENS)}
_LARGE = {"thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
MULTIPLIERS = {**_LARGE, "hundred": 100, "dozen": 12, "trillion": 10**12}
"""Words that multiply a number in digits before them."""
NUMERALS = {*_SMALL, *_LARGE, "hundred"}
_ORDINALS = [
    "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth", "thirteenth",
    "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth", "hundredth", "thousandth",
    "millionth", "billionth", "trillionth",
]  # fmt: skip
PLURALS = (
    {f"{word}s" for word in (*NUMERALS, *MULTIPLIERS, *_ORDINALS, "pair", "couple", "score", "lakh", "crore")}
    | {f"{word[:-1]}ies" for word in _TENS}
    | {"sixes", "halves"}
)
"""Numbers and parts in the plural: `tens`, `sixes`, `halves`, `pairs`. Behind a number they change it."""


_PART_NAMES = ["half", "third", "quarter", *_ORDINALS[1:18], "hundredth", "thousandth"]
_PARTS = dict(zip(_PART_NAMES, [2, 3, 4, *range(4, 21), 100, 1_000], strict=True))
"""What one thing is parted into, by the name of a part."""
_MANY_PARTS = {"halves": 2} | {f"{name}s": count for name, count in _PARTS.items()}
_PLACES = {"first": "one", "second": "two", "third": "three"} | dict(zip(_ORDINALS[1:18], _ONES[4:] + _TENS[:1], strict=True))
"""Ordinal numbers, and the cardinal ones that they are of."""


def amount(words: Sequence[str]) -> Fraction | None:
    """The number that words spell, with a sign, a fraction or dozens; None where they spell none."""
    if len(words) > 1 and words[0] in ("minus", "negative"):
        value = amount(words[1:])
        return None if value is None or value < 0 else -value
    if words and words[-1] == "dozen":
        count = 1 if words[:-1] == ["a"] else numeral(words[:-1])
        return None if count is None else Fraction(12 * count)
    if (part := _part(words)) is not None:
        return part
    for place, word in enumerate(words):
        if word == "and" and (part := _part(words[place + 1 :])) is not None and part < 1:
            before = words[:place]
            whole = int(before[0]) if len(before) == 1 and before[0].isdigit() else numeral(before)
            return None if whole is None else whole + part
    return None if (cardinal := numeral(words)) is None else Fraction(cardinal)


def _part(words: Sequence[str]) -> Fraction | None:
    """`half`, `a third`, `two thirds`; None for all else."""
    if list(words) == ["half"]:
        return Fraction(1, 2)
    if len(words) < 2:
        return None
    count = 1 if list(words[:-1]) in (["a"], ["an"]) else numeral(words[:-1])
    parts = (_PARTS if count == 1 else _MANY_PARTS).get(words[-1])
    return None if count is None or parts is None else Fraction(count, parts)


def ordinal(words: Sequence[str]) -> int | None:
    """The place in a row that words say: 21 of `twenty-first`; None where they say none."""
    return numeral([*words[:-1], _PLACES[words[-1]]]) if words and words[-1] in _PLACES else None


def numeral(words: Sequence[str]) -> int | None:
    """The number that words spell, all of them and in order; None where they spell none."""
    total = group = 0
    room, largest = 1_000, 10**12  # what the next word must be below, and the next multiplier
    for before, word in zip(["", *words], words, strict=False):
        if word == "and" and before in ("hundred", *_LARGE) and words[-1] != "and":
            continue  # `one hundred and five`
        if word in _SMALL and _SMALL[word] < room and (_SMALL[word] or len(words) == 1):
            group += _SMALL[word]
            room = 10 if _SMALL[word] >= 20 else 1
        elif word == "hundred" and (0 < group < 10 or (group < 100 and group % 10 and not total)):
            group, room = 100 * group, 100
        elif word in _LARGE and group and _LARGE[word] < largest:
            total, group, room, largest = total + group * _LARGE[word], 0, 1_000, _LARGE[word]
        else:
            return None
    return total + group if words else None
