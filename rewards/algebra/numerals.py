"""Numbers in words: `seventeen`, `forty-two`, `three hundred five`."""

from collections.abc import Sequence

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


def numeral(words: Sequence[str]) -> int | None:
    """The number that words spell, all of them and in order; None where they spell none."""
    total = group = 0
    room, largest = 1_000, 10**12  # what the next word must be below, and the next multiplier
    for word in words:
        if word in _SMALL and _SMALL[word] < room and (_SMALL[word] or len(words) == 1):
            group += _SMALL[word]
            room = 10 if _SMALL[word] >= 20 else 1
        elif word == "hundred" and 0 < group < 10:
            group, room = 100 * group, 100
        elif word in _LARGE and group and _LARGE[word] < largest:
            total, group, room, largest = total + group * _LARGE[word], 0, 1_000, _LARGE[word]
        else:
            return None
    return total + group if words else None
