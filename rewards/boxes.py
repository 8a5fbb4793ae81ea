r"""The contents of boxes, `\boxed{7}` and `\fbox{7}`: the last, or several that are one answer together."""

import re
from collections.abc import Callable

from rewards import denial

LONGEST_ANSWER = 2_000
"""Characters. No benchmark's answer is longer; a chain that boxes its whole text gives no answer."""
JOINED = " , "
"""Between the contents of boxes that belong together."""

_BOX_GAP = re.compile(
    r"(?:\s|[$,;.()\[\]&~]|\\[()\[\],;:! ]|\\(?:q?quad|text|textbf|mathrm|mbox|rm)\b|[{}]|\b(?:and|or)\b|\*)*", re.IGNORECASE
)
_ALTERNATIVE = re.compile(r"[\s\W]*(?:\w+[\s,]+)?or\b[\s,]*(?:\w+[\s,]+)?\W*", re.IGNORECASE)
_UNBRACED = re.compile(r"[^\s$.,;\\}]{1,30}")
_APPROXIMATE = re.compile(r"\\approx|\\simeq|≈")


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
    start, end, content = found = _outermost(text, found)
    if (
        not content.strip()
        or denial.behind(text[end : end + denial.NEAR])
        or denial.before(text[max(0, start - denial.NEAR) : start])
    ):
        return ""
    parts = [content]
    while (before := _find(text, start)) is not None and before[1] <= start and len(parts) < 50:
        gap = text[before[1] : start]
        if _APPROXIMATE.search(gap) and len(gap) < 40:
            parts = [before[2]]  # a box with an approximation of the one before it
        elif not belongs(gap) or (_is_list(parts[-1]) and not _joins(gap)):
            break
        else:
            parts.append(before[2])
        start = before[0]
    answer = JOINED.join(reversed(parts)).strip()
    return answer if len(answer) <= LONGEST_ANSWER else ""


def _outermost(text: str, box: tuple[int, int, str]) -> tuple[int, int, str]:
    """The box around all others that holds this one, and its content without their frames."""
    while (around := _find(text, box[0])) is not None and around[1] >= box[1] and text.startswith("}", around[1] - 1):
        left, right = text[text.index("{", around[0]) + 1 : box[0]], text[box[1] : around[1] - 1]
        content = f"{left}{{{box[2]}}}{right}" if (left + right).strip() else box[2]
        box = around[0], around[1], content
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


def _find(text: str, end: int) -> tuple[int, int, str] | None:
    r"""Start, end and content of the last `\boxed` or `\fbox` that begins before `end`."""
    start = max(text.rfind("\\boxed", 0, end), text.rfind("\\fbox", 0, end))
    if start < 0:
        return None
    begin = start + (6 if text.startswith("\\boxed", start) else 5)
    while begin < len(text) and text[begin] in " \t":
        begin += 1
    if begin >= len(text) or text[begin] != "{":
        match = _UNBRACED.match(text, begin)  # `\boxed 4`
        return (start, match.end(), match[0]) if match else (start, begin, "")
    depth = 0
    for position in range(begin, min(len(text), begin + LONGEST_ANSWER)):
        sign = text[position]
        if sign == "{":
            depth += 1
        elif sign == "}":
            depth -= 1
            if depth == 0:
                return start, position + 1, text[begin + 1 : position]
    if len(text) - begin >= LONGEST_ANSWER:
        return start, len(text), ""
    return start, len(text), text[begin + 1 :].split("\n", 1)[0].strip().rstrip("$").rstrip(".")  # cut off
