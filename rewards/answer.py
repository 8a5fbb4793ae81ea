"""The final answer in a chain of thought.

Each style is a function from text to the answer's text, or None where the chain gives none. All of them take the
*last* answer given, scan linearly, and never repair what they find: a chain without the marker has no answer.
"""

import re
from collections.abc import Callable

REFT_MARKER = "Therefore, the answer is:"
"""The phrase that ends a natural-language chain in the ReFT paper's data (arXiv 2401.08967, train_rl_reft.py:66)."""

LONGEST_ANSWER = 2000
"""Characters. No benchmark's answer is longer; a chain that boxes its whole text gives no answer."""

MOST_BOXES = 20
"""Boxes that are tried, from the end; a chain that opens more without closing one gives no answer."""


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
    """The content of the last `\\boxed{...}` whose braces balance."""
    end = len(text)
    for _ in range(MOST_BOXES):
        if (start := text.rfind("\\boxed{", 0, end)) < 0:
            break
        depth = 0
        begin = start + len("\\boxed")
        for position in range(begin, min(len(text), begin + LONGEST_ANSWER)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                return text[begin + 1 : position].strip() or None
        end = start
    return None


def last_number(text: str) -> str | None:
    """The last number anywhere. Lenient: any digit at the end of a ramble counts, so use it to evaluate, not to reward."""
    numbers = re.findall(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?", text[-16_000:])
    return numbers[-1].rstrip(",") if numbers else None


STYLES: dict[str, Callable[[str], str | None]] = {
    "reft": reft,
    "hashes": hashes,
    "boxed": boxed,
    "last_number": last_number,
}
"""The styles a config may name."""
