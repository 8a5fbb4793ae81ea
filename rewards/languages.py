"""Phrases that announce the final answer in languages other than English, and how it is written there."""

import re

from rewards.algebra.units import is_unit

_IS = r"(?:\s*+(?:就?是|为|爲|等于|[:：=]|は|은|는|(?:is|es|est|n'est|ist|lautet|è|é|это)(?!\w))\s*+(?:[:：]\s*+)?)"
_NOT = r"(?P<negated>\s*+(?:不|并非|no\b|nicht\b|não\b|non\b|не\b))?"
_MARKER = re.compile(
    r"(?:答案|答え|정답|답|(?P<commas>[Rr]espuesta|[Rr]éponse|[Aa]ntwort|[Rr]esposta|[Rr]isposta|[Оо]твет))"
    rf"(?:\s++(?:final[ea]?|correct[ae]?))?{_NOT}{_IS}\s*+(?P<negated_after>(?:no|not|pas|nicht|não|non|не)\b)?\s*+"
    r"(?:(?:donc|also|então|portanto|entonces|quindi|dunque)\b\s*+)?",
)
"""`commas` where the language writes decimals with them."""
_CHOSEN = re.compile(r"(?:故选|应选|应该选|答案选|选择?)(?:项|擇)?\s*[:：]?\s*(?P<letter>[(（]?[A-J][)）]?)(?![A-Za-z])")
"""Chinese: `so choose B`."""
_END = re.compile(r"[。；！\n]|\.(?=\s|$)|です|だ$|입니다|이다")
_DENIED = re.compile(r"(?:では|じゃ)(?:ありません|な[いく])|でな[いく]|아닙니다|아니")
"""Behind the answer, at the sentence's end."""
_DECIMAL = re.compile(r"(?<![\d.,])(\d+),(?=(?:\d{1,2}|\d{4,})(?![\d.,]))|(?<![\d.,])(0),(?=\d)")
"""A number with a decimal comma, and no thousands."""
_COUNTED = re.compile(r"(-?\d[\d.,]*)\s*([^\W\d_]+(?: [^\W\d_]+){0,3})")
_CHANGES = re.compile(
    r"[十百千万亿兆萬億千만억조천백倍]|번째|(?:mil|mill\w*|milh\w*|milli\w*|miliard\w*|tausend|dutzend\w*|docena\w*|douzaine\w*|dozzin\w*|"
    r"dúzia\w*|тыс\w*|миллион\w*|миллиард\w*|дюжин\w*|más|menos|plus|moins|mehr|weniger|mais|più|meno|больше|меньше|"
    r"o|ou|oder|und|et|y|e|или|и)\b",
    re.IGNORECASE,
)
"""What changes the number that it follows: multiples, "more", "less", "or"."""


def announced(text: str) -> str | None:
    """What follows the last phrase that announces an answer, up to the end of its sentence; "" where it denies one, None
    where there is none."""
    found = [(match.start(), match) for pattern in (_MARKER, _CHOSEN) for match in pattern.finditer(text)]
    if not found:
        return None
    match = max(found, key=lambda place: place[0])[1]
    groups = match.groupdict()
    if "letter" in groups:
        return match["letter"]
    if match["negated"] or match["negated_after"]:
        return ""
    tail = _END.split(text[match.end() :].lstrip(), maxsplit=1)[0].strip()
    if _DENIED.search(tail):
        return ""
    if match["commas"]:
        tail = _DECIMAL.sub(lambda number: f"{number[1] or number[2]}.", tail)
    counted = _COUNTED.fullmatch(tail)
    if counted is not None and not is_unit(counted[2]) and not _CHANGES.match(counted[2]):
        return counted[1]  # what is counted has no part in the comparison
    return tail
