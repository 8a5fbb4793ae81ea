"""Do two answers have the same value? Equal, different, undecided or no answer, and which stage said so.

Cheap stages first: text, then exact rationals (no floats, so 0.1 + 0.2 = 0.3 and 20-digit integers differ by one), then
sympy in a process that is killed when it takes too long. What is not decided is "undecided": it earns nothing and is
counted, it is never guessed.
"""

from collections import OrderedDict
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from rewards.parse import LONGEST_TEXT, NotAnExpression, expression, normal_form, number
from rewards.sandbox import Limits, Sandbox

VerdictOutcome = Literal["equal", "different", "undecided", "no_answer"]


@dataclass(frozen=True)
class Verdict:
    """What the checker found, by which stage ("extract", "text", "number", "symbolic"), and why."""

    outcome: VerdictOutcome
    stage: str
    reason: str

    @property
    def correct(self) -> bool:
        return self.outcome == "equal"


NO_ANSWER = Verdict("no_answer", "extract", "the chain gives no final answer")


class Checker:
    """Compares answers with gold answers. Symmetric, deterministic, safe to call from any thread.

    Args:
        tolerance: numbers at most this far apart are equal; exact by default, 1e-2 in ReFT's code (train_rl_reft.py).
        limits: what one symbolic comparison may use.
        processes: symbolic comparisons that run at once.
        remembered: symbolic verdicts kept, so that a repeated wrong answer costs nothing.
    """

    def __init__(
        self, tolerance: float = 0.0, limits: Limits | None = None, processes: int = 1, remembered: int = 65_536
    ) -> None:
        self.tolerance = Fraction(tolerance)
        self.sandbox = Sandbox(limits, processes, modules=["rewards.symbolic"])
        self.remembered = remembered
        self._verdicts: OrderedDict[tuple[str, str], Verdict] = OrderedDict()

    def check(self, answer: str | None, gold: str) -> Verdict:
        """The verdict on `answer`, None meaning that none was given."""
        if answer is None or not answer.strip():
            return NO_ANSWER
        if len(answer) > LONGEST_TEXT:
            return Verdict("different", "text", f"{len(answer)} characters are no answer")
        mine, known = normal_form(answer), normal_form(gold)
        if mine == known:
            return Verdict("equal", "text", "the same text")
        left, right = number(mine), number(known)
        if left is not None and right is not None:
            equal = abs(left - right) <= self.tolerance
            return Verdict("equal" if equal else "different", "number", f"{left} {'=' if equal else '≠'} {right}")
        return self._symbolic(mine, known)

    def close(self) -> None:
        self.sandbox.close()

    def _symbolic(self, mine: str, known: str) -> Verdict:
        key = (mine, known)
        if (verdict := self._verdicts.get(key)) is None:
            verdict = self._decide(mine, known)
            self._verdicts[key] = verdict
            if len(self._verdicts) > self.remembered:
                self._verdicts.popitem(last=False)
        return verdict

    def _decide(self, mine: str, known: str) -> Verdict:
        try:
            trees = expression(mine), expression(known)
        except NotAnExpression as error:
            return Verdict("different", "text", f"the texts differ, and {error}")
        outcome = self.sandbox.call("rewards.symbolic:equal", *trees)
        if outcome.status != "done":
            return Verdict("undecided", "symbolic", outcome.reason)
        if outcome.value is None:
            return Verdict("undecided", "symbolic", "sympy cannot tell")
        return Verdict("equal" if outcome.value else "different", "symbolic", "by algebra")
