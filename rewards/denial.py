"""Whether a response takes back what it gives: one list of denials and doubts, before an answer and behind it."""

import re

_NOT = r"(?:\bnot|n't|\bnever|\bcannot|\bnor)"
_WRONG = r"(?:wrong|incorrect|false|untrue|mistaken|invalid|impossible|unlikely)"
_RIGHT = r"(?:right|correct|true|valid|possible|likely|it|(?:an?|the|my|our|your)\s+(?:\w+\s+)?answer)"
_DOUBTED = r"(?:think|believe|sure|certain|say|claim|true|correct|right|likely|clear|know)"
_DOUBT = rf"(?<!no )(?<!not )\b(?:{_WRONG}|doubt|unsure|uncertain|deny)"
_CLAUSE = r"(?:\s+(?:to\s+say|that|if|whether))*(?:\s+(?:the|my|our|this|its|final|correct|right))*"
_RULED_OUT = r"\b(?:eliminat|exclud|reject|discard)(?:e|es|ed|ing|s)?"
_ELSEWHERE = r"(?:\b(?:не|nicht|niet|inte|ikke|pas|não|non|nie|không\s+phải(?:\s+là)?|ليس)|不是|并非)"
"""How other languages say that it is not."""
_BEFORE = re.compile(
    rf"(?:{_ELSEWHERE}|(?:{_NOT}|{_RULED_OUT})(?:\s+[a-z]+){{0,2}}|{_NOT}\s+(?:\w+\s+)?{_DOUBTED}{_CLAUSE}|{_DOUBT}{_CLAUSE})(?:\s+\W*)?\Z",
    re.IGNORECASE,
)
_COPULA = r"(?:is|are|was|were|can|could|must|would|may|might|seems|looks|ca(?=n't)|wo(?=n't))"
_SURELY = r"(?:\s+(?:be|to\s+be|clearly|definitely|obviously|probably|surely|also|still|just|actually|simply|totally))*"
_BEHIND = re.compile(
    rf"\W*+(?:{_COPULA}(?:n't\b|not\b|\s+not\b|{_SURELY}\s+(?:{_WRONG}|out)\b)|"
    r"(?:(?:wait|no|oops|hmm+|oh|ah|actually|but|however|sorry|hold\s+on|and|yet|although|though)\b\W*+)*"
    r"(?:that|this|it|which|the\s+answer|my\s+answer)(?:'s|"
    rf"\s+{_COPULA})(?:(?:n't|not|{_SURELY}\s+not){_SURELY}\s+{_RIGHT}\b|{_SURELY}\s+{_WRONG}\b))",
    re.IGNORECASE,
)
"""`(B) is wrong`, `7 is not ...`, `7. Wait, that is incorrect.`"""
_TAIL = re.compile(rf"{_SURELY}\s*(?:not\b|n't)", re.IGNORECASE)
_HEDGED = re.compile(r"\b(?:but|not|wrong|never|anything|if)\b|n't", re.IGNORECASE)
_STEMS = (
    "not", "n't", "never", "nor ", "wrong", "false", "untrue", "mistaken", "correct", "valid", "possible", "likely", "doubt",
    "sure", "certain", "deny", "elimin", "exclu", "reject", "discard",
    "не ", "nicht ", "niet ", "inte ", "ikke ", "pas ", "não ",
    "non ", "nie ", "không", "ليس", "不是", "并非",
)  # fmt: skip
"""Of the words without which nothing before an answer denies it: most answers pass by these alone."""
NEAR = 120
"""Characters before and behind an answer in which it may be denied."""


def before(text: str) -> bool:
    """Whether a text that ends where an answer, or the word for it, begins denies or doubts it in the same
    sentence."""
    near = text[-NEAR:].lower()
    near = near[max(near.rfind("\n"), near.rfind(". ")) + 1 :]
    return any(stem in near for stem in _STEMS) and _BEFORE.search(near) is not None


def opens(text: str) -> bool:
    """Whether what follows `the answer is` begins with a denial."""
    return _TAIL.match(text) is not None


def hedges(text: str) -> bool:
    """Whether a sentence has a word that keeps it from claiming anything."""
    return _HEDGED.search(text) is not None


def behind(text: str) -> bool:
    """Whether a text that begins where an answer ends takes it back: ` is wrong`, `. Wait, that is incorrect`."""
    return _BEHIND.match(text[:NEAR]) is not None
