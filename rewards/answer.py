r"""The final answer in a response.

`extract` looks where answers really stand: the last box; an `<answer>` tag; `####`; "the answer is" and its kin; a
response that is nothing but an answer. Everything is scanned once, from the end, because the last answer counts. Modes:

strict      for rewards: only the above. A number at the end of a ramble is no answer, or a policy learns to ramble
            through all numbers.
lenient     for evaluation: failing those, the last formula, or the last number.

The other functions are the fixed forms of data sets (ReFT's, GSM8K's), which a task names as its `style`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rewards import choices
from rewards.languages import announced

Mode = Literal["strict", "lenient"]

REFT_MARKER = "Therefore, the answer is:"
"""The phrase that ends a natural-language chain in the ReFT paper's data (arXiv 2401.08967, train_rl_reft.py:66)."""

LONGEST_ANSWER = 2_000
"""Characters. No benchmark's answer is longer; a chain that boxes its whole text gives no answer."""
LONGEST_RESPONSE = 32_000
"""Characters at a response's end that are looked at."""
LONGEST_BARE = 300
"""Characters of a response that may be an answer and nothing else."""
JOINED = " , "
"""Between the contents of boxes that belong together."""
MOST_MARKERS = 40
"""Places with "answer" that are tried, from the end."""

_SPECIAL = re.compile(r"<\|[^|<>\s]{1,40}\|>|</s>|<eos>|<end_of_turn>")
_BOX_GAP = re.compile(
    r"(?:\s|[$,;.()\[\]&~]|\\[()\[\],;:! ]|\\(?:q?quad|text|textbf|mathrm|mbox|rm)\b|[{}]|\b(?:and|or)\b|\*)*", re.IGNORECASE
)
_ALTERNATIVE = re.compile(r"[\s\W]*(?:\w+[\s,]+)?or\b[\s,]*(?:\w+[\s,]+)?\W*", re.IGNORECASE)
_UNBRACED = re.compile(r"[^\s$.,;\\}]{1,30}")
_APPROXIMATE = re.compile(r"\\approx|\\simeq|≈")
_AFTER_ANSWER = re.compile(
    r"s?\b[ \t]*(?:to\s+(?:the|this)\s+\w+\s*)?(?:\*\*|__)?[ \t]*"
    r"(?:is\b|are\b|:|=|should\s+be\b|would\s+be\b|will\s+be\b|must\s+be\b|equals\b|(?=\s*(?:\$|\\\[|\\\()))\s*"
    r"(?:\*\*|__)?\s*:?\s*(?P<negated>(?:definitely\s+|clearly\s+)?(?:not\b|n't))?",
    re.IGNORECASE,
)
_DELIMITED = (("$$", "$$"), ("$", "$"), ("\\[", "\\]"), ("\\(", "\\)"), ("**", "**"), ("`", "`"))
_SENTENCE_END = re.compile(r"\.(?=\s|$|\*)|\n|<\||(?<=[^\s\d])\. ")
_ASIDE = re.compile(r", not | because | since ")
_NUMBER = re.compile(r"(?<![\w.])-?\s?\\?\$?\d[\d,]*(?:\.\d+)?(?:\s?/\s?\d+)?(?:\s?\\?%)?(?!\w)")
_DENIED = re.compile(
    r"(?i)(?:(?:not|n't|never|cannot)\s+(?:\w+\s+)?(?:think|believe|sure|certain|say|claim|true|correct|right|likely|clear|know)|"
    r"(?<!no )(?<!not )\b(?:false|wrong|incorrect|untrue|doubt|unsure|uncertain|deny|unlikely))"
    r"(?:\s+(?:to\s+say|that|if|whether))*(?:\s+(?:the|my|our|this|its|final|correct|right))*\s+a$"
)
"""Up to the a of "answer": that what follows is denied or doubted."""
_SERIES = re.compile(r"\d\s*,\s*(?:(?:or|and)\s+)?$", re.IGNORECASE)
"""Before the last of several numbers, none of which is an answer."""
_ANOTHER = re.compile(r"[,;.]?\s*(?:or|and)\b", re.IGNORECASE)
_DENIAL = re.compile(r"\b(?:but|not|wrong|never|anything|if)\b|n't", re.IGNORECASE)
_FORMULA = re.compile(r"\$\$([^$]+)\$\$|\$([^$\n]+)\$|\\\[((?:[^\\]|\\[^\[\]])+)\\\]|\\\(((?:[^\\]|\\[^()])+)\\\)")
_PROSE = re.compile(
    r"(?i)(?:so|thus|hence|therefore|then|just|ans)\b|result\s*(?:→|->|=)|#|```|\(?[A-Za-z]+,?\s+[A-Za-z]+\b(?=.*[\d$=<>])"
)
"""A sentence that speaks of a number: it begins with two words, with one that concludes, or is marked up."""
_LETTER = re.compile(
    r"\s*+(?:\\text\w*\{|\\mathrm\{|\\mathbf\{|\*\*|[\"'“])?\s*+\(?\s*+([A-Z])\s*+\)?\s*+(?:[.:,)}*\"'”]|$|(?<=\s)(?:because|since|as|is\s+(?:correct|right))\b)"
)
_TWO_CHOICES = re.compile(r"(?<![\w\\])\(?[A-Z]\)?,?\s+(?:and|or)\s+\(?[A-Z]\)?(?![\w'])")
_OPTION = re.compile(r"\b(?:option|choice)\s*(?:is\s*|:\s*)?(?:\*\*)?\(?([A-Z])\b(?!')", re.IGNORECASE)
_CAPITAL = re.compile(r"(?<![\w\\])\(?([A-Z])\)?(?![\w'])")


@dataclass(frozen=True)
class Extraction:
    """An answer's text, None where there is none, and where it was found: box, tag, hashes, marker, bare, option, letter,
    formula or number."""

    answer: str | None
    place: str


NOTHING = Extraction(None, "")


def extract(text: str, mode: Mode = "strict", several: bool = False) -> Extraction:
    """The final answer of a response.

    Args:
        text: the response; of a very long one, its end.
        mode: how much to take for an answer; see the module.
        several: whether the known answer has parts, so that boxes in the same line belong together.
    """
    if len(text) > LONGEST_RESPONSE:
        text = text[-LONGEST_RESPONSE:]
    if "think>" in text:
        before, closed, after = text.rpartition("</think>")
        if closed:
            text = after
        elif "<think>" in before + after:
            return NOTHING  # the thought was never ended, so nothing was answered
    if "<" in text:
        text = _SPECIAL.sub(" ", text)
    finders = [_boxes if several else _box, _tag, _hashes, _marked, _announced, _bare]
    if text.rfind("<answer>") > max(text.rfind("\\boxed"), text.rfind("\\fbox")):
        finders = [_tag, *finders]  # of a box and a tag the last counts
    for find in finders:
        if (found := find(text)) is not NOTHING:
            return found
    return NOTHING if mode == "strict" or _DENIED.search(text[: max(0, text.rfind("nswer"))]) else _lenient(text)


def extract_letter(text: str, mode: Mode = "strict") -> Extraction:
    """The choice made in a response to a multiple-choice question: one capital letter. Several letters are no choice."""
    text = text[-LONGEST_RESPONSE:]
    found = extract(text, "strict")
    if found.answer is not None and choices.several(found.answer):
        return NOTHING
    if found.answer is not None:
        if match := _LETTER.match(found.answer):
            return Extraction(match[1], found.place)
        if found.place in ("box", "tag"):
            return found
    if (match := _LETTER.match(text)) and not choices.several(text):
        return Extraction(match[1], "bare")
    tail = text[-LONGEST_BARE:]
    options = {match[1].upper() for match in _OPTION.finditer(tail) if choices.is_chosen(match, tail)}
    if len(options) == 1 and not _TWO_CHOICES.search(tail):
        return Extraction(options.pop(), "option")
    if mode == "lenient":
        scope = found.answer if found.place == "marker" and found.answer else text[-LONGEST_BARE:]
        if _TWO_CHOICES.search(scope):
            return NOTHING
        letters = [match[1] for match in _CAPITAL.finditer(scope) if choices.is_chosen(match, scope)]
        if letters and (len(set(letters)) == 1 or found.place != "marker"):
            return Extraction(letters[-1], "letter")
    return NOTHING


def _box(text: str) -> Extraction:
    """The last box; boxes before it that only a comma or an "and" parts from it belong to it."""
    found = _join_boxes(text, _joins)
    parts = set(found.answer.split(JOINED)) if found.answer else set()
    return Extraction(parts.pop(), "box") if len(parts) == 1 else found  # the same box twice is one answer


def _boxes(text: str) -> Extraction:
    """The same, and all boxes of the last line that has one."""
    return _join_boxes(text, lambda gap: ("\n" not in gap and len(gap) < 200) or _joins(gap))


def _join_boxes(text: str, belongs: Callable[[str], bool]) -> Extraction:
    found = _last_box(text, len(text))
    if found is None:
        return NOTHING
    start, _, content = found
    parts = [content]
    while (before := _last_box(text, start)) is not None and before[1] <= start and len(parts) < 50:
        gap = text[before[1] : start]
        if _APPROXIMATE.search(gap) and len(gap) < 40:
            parts = [before[2]]  # a box with an approximation of the one before it
        elif not belongs(gap) or (_is_list(parts[-1]) and not _joins(gap)):
            break
        else:
            parts.append(before[2])
        start = before[0]
    answer = JOINED.join(reversed(parts)).strip()
    return Extraction(answer, "box") if 0 < len(answer) <= LONGEST_ANSWER else Extraction(None, "box")


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


def _last_box(text: str, end: int) -> tuple[int, int, str] | None:
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


def _tag(text: str) -> Extraction:
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, end if end >= 0 else len(text))
    if start < 0:
        return NOTHING
    answer = text[start + 8 : end if end >= 0 else len(text)].strip()
    return Extraction(answer, "tag") if 0 < len(answer) <= LONGEST_ANSWER else Extraction(None, "tag")


def _hashes(text: str) -> Extraction:
    answer = after_marker(text, "####")
    return NOTHING if answer is None else Extraction(answer, "hashes")


def _marked(text: str) -> Extraction:
    """What stands behind the last "answer is", "answer:", or a line that begins with `A:`."""
    end = len(text)
    for _ in range(MOST_MARKERS):
        at = max(text.rfind("nswer", 0, end), text.rfind("NSWER", 0, end))
        line = text.rfind("A:", 0, len(text) if end == len(text) else end)
        if line > at and (line == 0 or text[line - 1] == "\n"):
            return _first_part(text[line + 2 :])
        if at < 0:
            return NOTHING
        end = at
        if (match := _AFTER_ANSWER.match(text, at + 5)) is not None:
            if match["negated"] or _DENIED.search(text[max(0, at - LONGEST_BARE) : at]):
                continue
            if (found := _first_part(text[match.end() :])) is not NOTHING:
                return found
    return NOTHING


def _announced(text: str) -> Extraction:
    """The same in other languages than English."""
    tail = announced(text[-LONGEST_ANSWER:])
    if tail is None:
        return NOTHING
    return _first_part(tail) if tail else Extraction(None, "marker")


def _first_part(tail: str) -> Extraction:
    """The answer at the start of what follows a marker: a delimited formula, or the rest of the sentence."""
    tail = tail[: LONGEST_ANSWER + 100].lstrip().removeprefix(":").lstrip()
    for opening, closing in _DELIMITED:
        if tail.startswith(opening):
            end = tail.find(closing, len(opening))
            rest = tail[end + len(closing) :].split("\n", 1)[0].strip() if end > 0 else ""
            if _ANOTHER.match(rest):
                return Extraction(tail.split("\n", 1)[0].strip(), "marker")
            if end > 0 and (opening in ("**", "`") or not re.match(r"[\w(\\+*/^=<>-]|,\s*\$", rest)):
                answer = tail[len(opening) : end].strip().strip("$").strip()
                unit = re.match(r"\s*(?:%|\\%|percent\b|pct\b|degrees\b)", rest)
                return Extraction(answer + (unit[0] if unit else ""), "marker") if answer else NOTHING
    tail = _ASIDE.split(tail, maxsplit=1)[0]
    match = _SENTENCE_END.search(tail)
    answer = (tail[: match.start()] if match else tail).strip().strip("*`").strip()
    if " is " in answer and not _DENIAL.search(answer):  # `The answer: the largest n is 34`
        answer = answer.rpartition(" is ")[2].strip().strip("*`$").strip()
    return Extraction(answer, "marker") if 0 < len(answer) <= LONGEST_ANSWER else NOTHING


def _bare(text: str) -> Extraction:
    """The whole response, where it is one short line without prose."""
    answer = text.strip() if len(text) < 4 * LONGEST_BARE else ""
    if answer.startswith("**") and answer.endswith("**") and answer.count("**") == 2:
        answer = answer.strip("*").strip()
    if not 0 < len(answer) <= LONGEST_BARE or "\n\n" in answer or _PROSE.match(answer) or " is " in answer:
        return NOTHING
    return Extraction(answer, "bare")


def _lenient(text: str) -> Extraction:
    formula = number = None
    tail = text[-4_000:]
    for match in _FORMULA.finditer(tail):
        formula = match
    for match in _NUMBER.finditer(tail):
        number = match
    if formula is not None and (number is None or formula.end() >= number.end()):
        return Extraction(next(part for part in formula.groups() if part is not None).strip(), "formula")
    if number is None or choices.NEGATION.search(tail[: number.start()]) or _SERIES.search(tail[: number.start()]):
        return NOTHING
    return Extraction(number[0].strip(), "number")


def after_marker(text: str, marker: str) -> str | None:
    """What stands behind the last `marker`, up to the end of its line, without a closing full stop."""
    _, found, tail = text.rpartition(marker)
    if not found:
        return None
    answer = tail.split("\n", 1)[0].strip().removesuffix(".").strip()
    return answer if 0 < len(answer) <= LONGEST_ANSWER else None


def reft(text: str) -> str | None:
    """The answer behind the last `Therefore, the answer is:`."""
    return after_marker(text, REFT_MARKER)


def hashes(text: str) -> str | None:
    """The answer behind the last `####`, as in GSM8K's solutions (arXiv 2110.14168)."""
    return after_marker(text, "####")


def boxed(text: str) -> str | None:
    r"""The content of the last `\boxed{...}`."""
    return _box(text).answer


def strict(text: str) -> str | None:
    """`extract` in strict mode."""
    return extract(text, "strict").answer


def lenient(text: str) -> str | None:
    """`extract` in lenient mode."""
    return extract(text, "lenient").answer


def last_number(text: str) -> str | None:
    """The last number anywhere. Lenient: any digit at the end of a ramble counts, so use it to evaluate, not to reward."""
    numbers = re.findall(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?", text[-16_000:])
    return numbers[-1].rstrip(",") if numbers else None


STYLES: dict[str, Callable[[str], str | None]] = {
    "reft": reft,
    "hashes": hashes,
    "boxed": boxed,
    "strict": strict,
    "lenient": lenient,
    "last_number": last_number,
}
"""The styles a config may name."""
