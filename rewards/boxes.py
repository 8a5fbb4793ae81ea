r"""The contents of boxes, `\boxed{7}` and `\fbox{7}`: the last, or several that are one answer together."""

import re
from collections.abc import Callable
from typing import NamedTuple

from rewards import denial

LONGEST_ANSWER = 2_000
"""Characters. No benchmark's answer is longer; a chain that boxes its whole text gives no answer."""
JOINED = " , "
"""Between the contents of boxes that belong together."""

MOST_BOXES = 50
"""That are looked at, side by side or one inside the other."""

_BOX_GAP = re.compile(
    r"(?:\s|[$,;.()\[\]&~]|\\[()\[\],;:! ]|\\(?:q?quad|text|textbf|mathrm|mbox|rm)\b|[{}]|\b(?:and|or)\b|\*)*", re.IGNORECASE
)
_ALTERNATIVE = re.compile(r"[\s\W]*(?:\w+[\s,]+)?or\b[\s,]*(?:\w+[\s,]+)?\W*", re.IGNORECASE)
_UNBRACED = re.compile(r"[^\s$.,;\\}]{1,30}")
_APPROXIMATE = re.compile(r"\\approx|\\simeq|≈")


class _Box(NamedTuple):
    """Where a box begins and ends in a text, what is in it, and whether it is closed, not cut off or too long."""

    start: int
    end: int
    content: str
    closed: bool


def last_box(text: str) -> str | None:
    """The content of the last box; boxes before it that only a comma or an "and" parts from it belong to it. "" where it is
    empty, denied or too long, None where there is none."""
    found = _join_boxes(text, _joins)
    parts = set(found.split(JOINED)) if found else set()
    return parts.pop() if len(parts) == 1 else found  # the same box twice is one answer


def last_boxes(text: str) -> str | None:
    """The same, and all boxes of the last line that has one."""
    return _join_boxes(text, lambda gap: ("\n" not in gap and len(gap) < 200) or _joins(gap))


def _join_boxes(text: str, belongs: Callable[[str], bool]) -> str | None:
    found = _find(text, len(text))
    if found is None:
        return None
    start, end, content, _ = _outermost(text, found)
    if (
        not content.strip()
        or denial.behind(text[end : end + denial.NEAR])
        or denial.before(text[max(0, start - denial.NEAR) : start])
    ):
        return ""
    parts = [content]
    while (before := _find(text, start)) is not None and before.end <= start and len(parts) < MOST_BOXES:
        gap = text[before.end : start]
        if _APPROXIMATE.search(gap) and len(gap) < 40:
            parts = [before.content]  # a box with an approximation of the one before it
        elif not belongs(gap) or (_is_list(parts[-1]) and not _joins(gap)):
            break
        else:
            parts.append(before.content)
        start = before.start
    answer = JOINED.join(reversed(parts)).strip()
    return answer if len(answer) <= LONGEST_ANSWER else ""


def _outermost(text: str, box: _Box) -> _Box:
    """The box around all others that holds this one, and its content without their frames."""
    for _ in range(MOST_BOXES):
        around = _find(text, box.start)
        if around is None or not around.closed or around.end < box.end:
            break
        left, right = text[text.index("{", around.start) + 1 : box.start], text[box.end : around.end - 1]
        box = around._replace(content=f"{left}{{{box.content}}}{right}" if (left + right).strip() else box.content)
    return box


def _joins(gap: str) -> bool:
    """Whether what stands between two boxes makes them one answer: signs, an "and", an "or" with a word beside it."""
    return _BOX_GAP.fullmatch(gap) is not None or (len(gap) < 40 and _ALTERNATIVE.fullmatch(gap) is not None)


def _is_list(content: str) -> bool:
    """Whether a comma stands outside all brackets."""
    depth = 0
    for sign in content:
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth <= 0:
            return True
    return False


def _find(text: str, end: int) -> _Box | None:
    r"""The last `\boxed` or `\fbox` that begins before `end`."""
    start = max(text.rfind("\\boxed", 0, end), text.rfind("\\fbox", 0, end))
    if start < 0:
        return None
    begin = start + (6 if text.startswith("\\boxed", start) else 5)
    while begin < len(text) and text[begin] in " \t":
        begin += 1
    if begin >= len(text) or text[begin] != "{":
        match = _UNBRACED.match(text, begin)  # `\boxed 4`
        return _Box(start, match.end(), match[0], False) if match else _Box(start, begin, "", False)
    depth = 0
    for position in range(begin, min(len(text), begin + LONGEST_ANSWER)):
        sign = text[position]
        if sign == "{":
            depth += 1
        elif sign == "}":
            depth -= 1
            if depth == 0:
                return _Box(start, position + 1, text[begin + 1 : position], True)
    if len(text) - begin >= LONGEST_ANSWER:
        return _Box(start, len(text), "", False)
    cut_off = text[begin + 1 :].split("\n", 1)[0].strip().rstrip("$").rstrip(".")
    return _Box(start, len(text), cut_off, False)
