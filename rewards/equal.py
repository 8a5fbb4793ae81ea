"""Do two answers have the same value? Equal, different, undecided or no answer, which stage said so, and why.

Cheap stages first:

    text        the same text, once what only changes its look is gone
    number      integers, decimals, fractions, percents, thousands: exact rationals, microseconds, no algebra
    structure   lists, sets, intervals, equations, matrices, closed forms, functions: parsed, and compared by value at points
    symbolic    sympy, in a process that is killed when it takes too long: sums and integrals

What is not decided is "undecided": it earns nothing and is counted, it is never guessed. No text is ever evaluated.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from threading import Lock, RLock
from typing import Any, Literal

from rewards.algebra.compare import same
from rewards.algebra.cursor import Tree
from rewards.algebra.number import number, percentage
from rewards.algebra.parse import parse
from rewards.algebra.scalar import Policy
from rewards.algebra.tokens import Unreadable, squash, tidy, tokenize
from rewards.answer import LONGEST_ANSWER, Mode, extract, extract_letter, is_several_choices
from rewards.sandbox import Limits, Sandbox

VerdictOutcome = Literal["equal", "different", "undecided", "no_answer"]
Form = Literal["answer", "latex", "text"]

_CHOICE = re.compile(r"\s*(?:\\text\w*\s*\{|\\mathrm\s*\{|\\mathbf\s*\{|[$*])*\s*\(?([A-J])\)?\s*[}$*]*\s*")

_NAMED_CHOICE = re.compile(r"\s*(?:\\text\w*\s*\{|\*\*)?\s*\(?([A-J])(?:\)[.:]?|[.:])[*\s}]*\s*\S")
"""A choice with its text behind it: `D. it cannot be A`, `(C) 12`."""


@dataclass(frozen=True)
class Verdict:
    """What the checker found, by which stage ("extract", "text", "number", "structure", "symbolic"), and why."""

    outcome: VerdictOutcome
    stage: str
    reason: str

    @property
    def correct(self) -> bool:
        return self.outcome == "equal"


NO_ANSWER = Verdict("no_answer", "extract", "the chain gives no final answer")
NO_GOLD = Verdict("undecided", "gold", "the known answer is empty")

_PRECISION = RLock()
"""mpmath's precision belongs to the process, so one thread computes at a time."""
FLAW = "the checker failed"
"""Begins the reason of a verdict that only a flaw in this package explains."""


class Checker:
    """Compares answers with gold answers. Deterministic, safe to call from any thread.

    Args:
        policy: what counts as the same where mathematics leaves it open.
        limits: what one symbolic comparison may use.
        processes: symbolic comparisons that run at once.
        remembered: verdicts kept, so that a repeated wrong answer costs nothing.
    """

    def __init__(
        self, policy: Policy | None = None, limits: Limits | None = None, processes: int = 1, remembered: int = 65_536
    ) -> None:
        self.policy = policy or Policy()
        self.sandbox = Sandbox(limits, processes, modules=["rewards.algebra.symbolic"])
        self.remembered = remembered
        self._tolerance = Fraction(self.policy.tolerance)
        self._verdicts: OrderedDict[tuple[str, str], Verdict] = OrderedDict()
        self._lock = Lock()

    def check(self, answer: str | None, gold: str) -> Verdict:
        """The verdict on `answer`, None meaning that none was given."""
        if answer is None:
            return NO_ANSWER
        if answer == gold and answer.strip():
            return self._same_text(gold)
        if len(answer) > LONGEST_ANSWER:
            return Verdict("different", "text", f"{len(answer)} characters are no answer")
        left, right = number(answer), _gold_number(gold)
        if left is not None and right is not None and (left == right or not self._may_round(answer, gold, right)):
            return self._numbers(left, right)
        key = (answer, gold)
        with self._lock:
            verdict = self._verdicts.get(key)
        if verdict is None:
            try:
                verdict = self._compare(answer, gold)
            except Exception as error:  # the text is anybody's; a flaw of ours must not end a run, but it must be seen
                verdict = Verdict("undecided", "structure", f"{FLAW}: {error!r}")
            with self._lock:
                self._verdicts[key] = verdict
                if len(self._verdicts) > self.remembered:
                    self._verdicts.popitem(last=False)
        return verdict

    def __reduce__(self) -> tuple[Any, ...]:
        """A checker travels as its settings; processes and verdicts stay behind."""
        return Checker, (self.policy, self.sandbox.limits, self.sandbox.processes, self.remembered)

    def close(self) -> None:
        self.sandbox.close()

    def _may_round(self, answer: str, gold: str, known: Fraction) -> bool:
        """Whether one number may be the other's rounding: one is written with decimals, and the known one is no integer."""
        return bool(self.policy.rounding) and known.denominator != 1 and ("." in gold or "." in answer)

    def _numbers(self, left: Fraction, right: Fraction) -> Verdict:
        equal = left == right or abs(left - right) <= self._tolerance
        return Verdict("equal" if equal else "different", "number", "the numbers are equal" if equal else "the numbers differ")

    def _compare(self, answer: str, gold: str) -> Verdict:
        mine, known = tidy(answer), tidy(gold)
        if not known:
            return NO_GOLD
        if not mine:
            return NO_ANSWER
        if squash(mine) == squash(known):
            return self._same_text(gold)
        if _CHOICE.fullmatch(gold):
            return self._letters(answer, gold)
        if (verdict := self._percents(mine, known)) is not None:
            return verdict
        try:
            known_tree = parse(gold)
        except Unreadable as error:
            return Verdict("undecided", "gold", f"the known answer cannot be read ({error}), and the texts differ")
        try:
            tree = parse(answer)
        except Unreadable as error:
            return Verdict("different", "structure", f"the texts differ, and {error}")
        return self._structures(tree, known_tree)

    def _same_text(self, gold: str) -> Verdict:
        if flaw := _flaw(gold):
            return Verdict("undecided", "gold", f"the known answer is none: {flaw}")
        return Verdict("equal", "text", "the same text")

    def _letters(self, answer: str, gold: str) -> Verdict:
        wanted, found = _CHOICE.fullmatch(gold), _CHOICE.fullmatch(answer)
        named = None if is_several_choices(answer) else _NAMED_CHOICE.match(answer)
        chosen = found[1] if found else named[1] if named else None
        equal = wanted is not None and chosen == wanted[1]
        return Verdict("equal" if equal else "different", "text", f"the choice is {str(chosen)[:40]}")

    def _percents(self, mine: str, known: str) -> Verdict | None:
        left, right = percentage(mine), percentage(known)
        if left is None or right is None or (left[1] or right[1]) is False:
            return None
        if left[1] == right[1]:
            return self._numbers(left[0], right[0])
        percent, other = (left[0], right[0]) if left[1] else (right[0], left[0])
        equal = percent == 100 * other or (self.policy.percent and percent == other and abs(percent) >= 1)
        return Verdict("equal" if equal else "different", "number", "as percentages")

    def _structures(self, tree: Tree, known: Tree) -> Verdict:
        with _PRECISION:
            verdict = same(known, tree, self.policy)
        if verdict:
            return Verdict("equal", "structure", "equal by value")
        if _has_big(tree) or _has_big(known):
            return self._symbolic(tree, known)
        if verdict is None:
            return Verdict("undecided", "structure", "no value could be compared")
        return Verdict("different", "structure", "different by value")

    def _symbolic(self, tree: Tree, known: Tree) -> Verdict:
        outcome = self.sandbox.call("rewards.algebra.symbolic:equal", _plain(tree), _plain(known))
        if outcome.status != "done" or outcome.value is None:
            return Verdict("undecided", "symbolic", outcome.reason or "sympy cannot tell")
        return Verdict("equal" if outcome.value else "different", "symbolic", "by algebra")


@lru_cache(maxsize=65_536)
def _flaw(gold: str) -> str:
    """Why a known answer is none, so that not even the same text earns anything: signs that no answer has, braces that do not
    close, or too long. "" for one that is: statements, and formulas that the grammar does not know, are compared as texts."""
    try:
        if number(gold) is None:
            tokenize(tidy(gold))
    except Unreadable as error:
        return str(error)
    return ""


def is_readable(gold: str) -> bool:
    """Whether the checker can compare a known answer by more than its text."""
    if number(gold) is not None or _CHOICE.fullmatch(gold):
        return True
    try:
        parse(gold)
    except Unreadable:
        return False
    return True


@lru_cache(maxsize=65_536)
def _gold_number(gold: str) -> Fraction | None:
    return number(gold)


def _has_big(tree: Tree) -> bool:
    return isinstance(tree, tuple) and (tree[0] == "big" or any(_has_big(part) for part in tree[1:]))


def _plain(tree: Tree) -> object:
    """A tree as JSON carries it."""
    if isinstance(tree, Fraction):
        return {"n": tree.numerator, "d": tree.denominator}
    if isinstance(tree, tuple):
        return [_plain(part) for part in tree]
    return tree


def read(text: str, form: Form, mode: Mode, gold: str | None = None) -> str | None:
    """The answer in `text`: all of it, its one formula, or what is extracted from a response.

    Args:
        gold: the known answer, which tells whether a letter or several parts are looked for.
    """
    if form != "text":
        return text
    if gold is not None and _CHOICE.fullmatch(gold):
        return extract_letter(text, mode).answer
    found = extract(text, mode, several=gold is not None and _has_parts(gold))
    if found.place == "marker" and found.answer is not None and gold is not None and "!" not in gold:
        return found.answer.removesuffix("!") or None  # in a sentence it is no factorial
    return found.answer


@lru_cache(maxsize=65_536)
def _has_parts(gold: str) -> bool:
    if not ("," in gold or "and" in gold or "or" in gold or ";" in gold):
        return False
    try:
        tree = parse(gold)
    except Unreadable:
        return False
    return isinstance(tree, tuple) and tree[0] in ("list", "set")
