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

from rewards import choices, denial
from rewards.boxes import LONGEST_ANSWER, last_box, last_boxes
from rewards.languages import announced

Mode = Literal["strict", "lenient"]

REFT_MARKER = "Therefore, the answer is:"
"""The phrase that ends a natural-language chain in the ReFT paper's data (arXiv 2401.08967, train_rl_reft.py:66)."""

LONGEST_RESPONSE = 32_000
"""Characters at a response's end that are looked at."""
LONGEST_BARE = 300
"""Characters of a response that may be an answer and nothing else."""
MOST_MARKERS = 40
"""Places with "answer" that are tried, from the end."""

_SPECIAL = re.compile(r"<\|[^|<>\s]{1,40}\|>|</s>|<eos>|<end_of_turn>")
_AFTER_ANSWER = re.compile(
    r"s?\b[ \t]*(?:to\s+(?:the|this)\s+\w+\s*)?(?:\*\*|__)?[ \t]*"
    r"(?:is\b|are\b|:|=|should\s+be\b|would\s+be\b|will\s+be\b|must\s+be\b|equals\b|(?=\s*(?:\$|\\\[|\\\()))\s*"
    r"(?:\*\*|__)?\s*:?\s*",
    re.IGNORECASE,
)
_DELIMITED = (("$$", "$$"), ("$", "$"), ("\\[", "\\]"), ("\\(", "\\)"), ("**", "**"), ("`", "`"))
_SENTENCE_END = re.compile(r"\.(?=\s|$|\*)|\n|<\||(?<=[^\s\d])\. ")
_ASIDE = re.compile(r", not |,? \(?(?:because|since|as)\b")
_FIRST = re.compile(
    r"\\?\$?-?\d[\d,./]*\$?(?: [A-Za-z]+){0,3}?"
    r"(?=,? (?:that|which|who|remain\w*|are|were|will|have|has|can)\b[A-Za-z', ]*$)|(?i:yes|no|true|false)(?=[,;:] [a-z])"
)
"""What is counted, or a yes or no, up to what is said of it in words: `12 apples remain in the basket`, `No, it is even`."""
_NUMBER = re.compile(r"(?<![A-Za-z_\d.])(?:-\s?)?\\?\$?\d[\d,]*(?:\.\d+)?(?:\s?/\s?\d+)?(?:\s?\\?%)?(?![A-Za-z_\d])")
"""Letters of scripts that write without spaces may touch it."""
_SERIES = re.compile(r"\d\s*,\s*(?:(?:or|and)\s+)?$", re.IGNORECASE)
"""Before the last of several numbers, none of which is an answer."""
_ANOTHER = re.compile(r"[,;.]?\s*(?:or|and)\b", re.IGNORECASE)
_FORMULA = re.compile(r"\$\$([^$]+)\$\$|\$([^$\n]+)\$|\\\[((?:[^\\]|\\[^\[\]])+)\\\]|\\\(((?:[^\\]|\\[^()])+)\\\)")
_PROSE = re.compile(
    r"(?i)(?:so|thus|hence|therefore|then|just|ans)\b|result\s*(?:→|->|=)|#|```|\(?[^\W\d_]+,?\s+[^\W\d_]+\b(?=.*[\d$=<>])|"
    r"(?![\x00-\x7f\xb5\u0370-\u03ff\u2100-\u214f\uff00-\uffef\U0001d400-\U0001d7ff])[^\W\d_](?=.*\d)"
)
"""A sentence that speaks of a number: it begins with two words, with one that concludes, with a letter of no alphabet that
mathematics uses, or is marked up."""
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
DENIED = Extraction(None, "marker")
"""An answer that is announced and taken back."""


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
    finders = [_tag, _hashes, _marked, _announced, _bare]
    if (box := max(text.rfind("\\boxed"), text.rfind("\\fbox"))) >= 0:
        finders.insert(1 if text.rfind("<answer>") > box else 0, _boxes if several else _box)  # the last of both counts
    for find in finders:
        if (found := find(text)) is not NOTHING:
            return found
    return NOTHING if mode == "strict" or denial.before(text[: max(0, text.rfind("nswer") - 1)]) else _lenient(text)


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
    return _in_box(last_box(text))


def _boxes(text: str) -> Extraction:
    return _in_box(last_boxes(text))


def _in_box(content: str | None) -> Extraction:
    return NOTHING if content is None else Extraction(content or None, "box")


def _tag(text: str) -> Extraction:
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, end if end >= 0 else len(text))
    if start < 0:
        return NOTHING
    answer = text[start + 8 : end if end >= 0 else len(text)].strip()
    given = 0 < len(answer) <= LONGEST_ANSWER and (end < 0 or not denial.behind(text[end + 9 :]))
    return Extraction(answer if given else None, "tag")


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
            if denial.opens(text[match.end() : match.end() + denial.NEAR]) or denial.before(
                text[max(0, at - LONGEST_BARE) : max(0, at - 1)]
            ):
                continue
            if (found := _first_part(text[match.end() :])) is not NOTHING:
                return found
    return NOTHING


def _announced(text: str) -> Extraction:
    """The same in other languages than English."""
    tail = announced(text[-LONGEST_ANSWER:])
    if tail is None:
        return NOTHING
    return _first_part(tail) if tail else DENIED


def _first_part(tail: str) -> Extraction:
    """The answer at the start of what follows a marker: a delimited formula, or the rest of the sentence. DENIED where it is
    taken back at once."""
    tail = tail[: LONGEST_ANSWER + 100].lstrip().removeprefix(":").lstrip()
    for opening, closing in _DELIMITED:
        if tail.startswith(opening):
            end = tail.find(closing, len(opening))
            behind = tail[end + len(closing) :] if end > 0 else ""
            rest = behind.split("\n", 1)[0].strip()
            if _ANOTHER.match(rest):
                return Extraction(tail.split("\n", 1)[0].strip(), "marker")
            if denial.behind(behind):
                return DENIED
            if end > 0 and (opening in ("**", "`") or not re.match(r"[\w(\\+*/^=<>-]|,\s*\$", rest)):
                answer = tail[len(opening) : end].strip().strip("$").strip()
                unit = re.match(r"\s*(?:%|\\%|percent\b|pct\b|degrees\b)", rest)
                return Extraction(answer + (unit[0] if unit else ""), "marker") if answer else NOTHING
    return _sentence(tail)


def _sentence(tail: str) -> Extraction:
    """The answer that a sentence begins with."""
    sentence = end = match.start() if (match := _SENTENCE_END.search(tail)) else len(tail)
    if " " in tail[:end]:
        if (match := _ASIDE.search(tail, 0, end)) is not None:
            end = match.start()
        first = _FIRST.match(tail, 0, end)
        if first is not None and (first[0].isalpha() or not denial.hedges(tail[first.end() : end])):
            end = first.end()
    if end < len(tail) and (denial.behind(tail[end:]) or denial.behind(tail[sentence:])):
        return DENIED
    answer = tail[:end].strip().strip("*`").strip()
    if " is " in answer and not denial.hedges(answer):  # `The answer: the largest n is 34`
        answer = answer.rpartition(" is ")[2].strip().strip("*`$").strip()
    return Extraction(answer, "marker") if 0 < len(answer) <= LONGEST_ANSWER else NOTHING


def _bare(text: str) -> Extraction:
    """The whole response, where it is one short line without prose."""
    answer = text.strip() if len(text) < 4 * LONGEST_BARE else ""
    if answer.startswith("**") and answer.endswith("**") and answer.count("**") == 2:
        answer = answer.strip("*").strip()
    if not 0 < len(answer) <= LONGEST_BARE or "\n\n" in answer or _PROSE.match(answer) or " is " in answer:
        return NOTHING
    if (match := _NUMBER.match(answer)) is not None and denial.behind(answer[match.end() :]):
        return NOTHING
    return Extraction(answer, "bare")


def _lenient(text: str) -> Extraction:
    formula = number = None
    tail = text[-4_000:]
    for match in _FORMULA.finditer(tail):
        formula = match
    for match in _NUMBER.finditer(tail):
        number = match
    last = formula if formula is not None and (number is None or formula.end() >= number.end()) else number
    if last is None or denial.before(tail[: last.start()]) or denial.behind(tail[last.end() :]):
        return NOTHING
    if last is formula:
        return Extraction(next(part for part in last.groups() if part is not None).strip(), "formula")
    return NOTHING if _SERIES.search(tail[: last.start()]) else Extraction(last[0].strip(), "number")


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
