r"""Plain numbers, the answers of nine problems in ten, to exact rationals in a microsecond or two.

Integers with or without thousands commas, decimals, scientific notation, fractions (`3/4`, `\frac{3}{4}`), with a dollar
sign before and a full stop behind. Everything else is None, and the parser's business.
"""

import re
from fractions import Fraction

LONGEST_NUMBER = 400
"""Characters. Longer ones are left to the parser."""
LARGEST_EXPONENT = 1_000

_PLAIN = re.compile(r"[-+]?\d{1,18}")
_GROUP = r"(?:,|\{,\}|,\\!|\\[,;: ]|~| |\u00a0|\u2009|\u202f)"
"""What stands between thousands."""
# White space is not given back (`\s*+`). Where runs of it may stand side by side, all ways to part it would be tried.
_NUMBER = re.compile(
    r"\s*+\\?\$?\s*+(?P<sign>[-+]?)\s*+\\?\$?\s*+"
    rf"(?P<whole>[1-9]\d{{0,2}}(?:{_GROUP}\d{{3}})+|\d+)?(?:\.(?P<decimals>\d+))?(?:[eE](?P<exponent>[+-]?\d{{1,4}}))?"
    r"\s*+\$?\s*+\.?\s*+"
)
_FRACTION = re.compile(
    r"\s*+\$?\s*+(?P<sign>[-+]?)\s*+(?:\\[dtc]?frac\s*(?:\{\s*(?P<outer>-?)(\d+)\s*\}\s*\{\s*(\d+)\s*\}|(\d)(\d)(?!\d))|(\d+)\s*/\s*(\d+))\s*+\$?\s*+\.?\s*+"
)


def number(text: str) -> Fraction | None:
    """The exact value of a plain number; else None."""
    if _PLAIN.fullmatch(text):
        return Fraction(int(text))
    if len(text) > LONGEST_NUMBER:
        return None
    if (match := _NUMBER.fullmatch(text)) is not None:
        whole, decimals = match["whole"], match["decimals"]
        if not (whole or decimals):
            return None
        digits, exponent = re.sub(r"\D", "", whole or ""), int(match["exponent"] or 0)
        if abs(exponent) > LARGEST_EXPONENT:
            return None
        value = Fraction(int(digits + (decimals or "") or 0), 10 ** len(decimals or ""))
        if exponent:
            value *= Fraction(10) ** exponent
        return -value if match["sign"] == "-" else value
    if "/" in text or "frac" in text:
        return _fraction(text)
    return None


def _fraction(text: str) -> Fraction | None:
    match = _FRACTION.fullmatch(text)
    if match is None:
        return None
    sign, outer, *parts = match.groups()
    top, bottom = (part for part in parts if part is not None)
    if int(bottom) == 0:
        return None
    value = Fraction(int(top), int(bottom))
    return -value if (sign == "-") != (outer == "-") else value


def percentage(text: str) -> tuple[Fraction, bool] | None:
    """The number before a percent sign, or alone, and whether the sign was there."""
    bare = text.rstrip()
    marked = bare.endswith("%")
    value = number(bare[:-1] if marked else bare)
    return None if value is None else (value, marked)
