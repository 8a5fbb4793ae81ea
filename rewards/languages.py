"""Phrases that announce the final answer in languages other than English."""

import re

_IS = r"(?:\s*+(?:就?是|为|爲|等于|[:：=]|は|은|는|(?:is|es|est|n'est|ist|lautet|è|é|это)(?!\w))\s*+(?:[:：]\s*+)?)"
_NOT = r"(?P<negated>\s*+(?:不|并非|no\b|nicht\b|não\b|non\b|не\b))?"
_MARKER = re.compile(
    rf"(?:答案|答え|정답|답|[Rr]espuesta|[Rr]éponse|[Aa]ntwort|[Rr]esposta|[Rr]isposta|[Оо]твет)(?:\s++(?:final[ea]?|correct[ae]?))?"
    rf"{_NOT}{_IS}\s*+(?P<negated_after>(?:no|not|pas|nicht|não|non|не)\b)?\s*+",
)
_CHOSEN = re.compile(r"(?:故选|应选|应该选|答案选|选择?)(?:项|擇)?\s*[:：]?\s*(?P<letter>[(（]?[A-J][)）]?)(?![A-Za-z])")
"""Chinese: `so choose B`."""
_END = re.compile(r"[。；！\n]|です|だ$|입니다|이다")


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
    tail = text[match.end() :].lstrip()
    return _END.split(tail, maxsplit=1)[0].strip()
