"""Do two answers have the same value? Equal, different, undecided or no answer, which stage said so, and why.

Cheap stages first:

    text        the same text, once what only changes its look is gone
    number      integers, decimals, fractions, percents, thousands: exact rationals, microseconds, no algebra
    structure   lists, sets, intervals, equations, matrices, closed forms, functions: parsed, and compared by value at points
    symbolic    sympy, in a process that is killed when it takes too long: sums and integrals

The first three work in the caller's process. A comparison of structures that takes unusually long there is made again where the
symbolic ones are, in a process with limits. What is not decided is "undecided": it earns nothing and is counted, it is never
guessed. No text is ever evaluated.
"""

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Literal

from rewards import choices
from rewards.algebra.arithmetic import TooLong, within
from rewards.algebra.compare import same
from rewards.algebra.cursor import Tree
from rewards.algebra.number import number, percentage
from rewards.algebra.parse import parse_tidied
from rewards.algebra.scalar import Policy
from rewards.algebra.tokens import Unreadable, squash, tidy
from rewards.answer import Mode, extract, extract_letter
from rewards.boxes import LONGEST_ANSWER
from rewards.cache import Cache
from rewards.known import Known, known_answer
from rewards.sandbox import Limits, Outcome, Sandbox

VerdictOutcome = Literal["equal", "different", "undecided", "no_answer"]
Form = Literal["answer", "latex", "text"]


@dataclass(frozen=True)
class Verdict:
    """What the checker found, by which stage ("extract", "program", "text", "number", "structure", "symbolic", or "process" for
    one that was lost), and why."""

    outcome: VerdictOutcome
    stage: str
    reason: str
    unfinished: bool = False
    """Whether a deadline or a lost process kept the checker from deciding. Such a verdict is not remembered."""

    @property
    def correct(self) -> bool:
        return self.outcome == "equal"


NO_ANSWER = Verdict("no_answer", "extract", "the chain gives no final answer")
NO_GOLD = Verdict("undecided", "gold", "the known answer is empty")

FLAW = "the checker failed"
"""Begins the reason of a verdict that only a flaw in this package explains."""


LIMITS = Limits(seconds=1.8, cpu_seconds=0.4)
"""Of one comparison in a process of its own. Of the 92 with sums, products or limits among the labelled pairs and the known
answers of MATH, OlympiadBench and Minerva, all but two take less.
The wall's clock counts only where a machine is busy four times over."""
HERE_SECONDS = 0.03
"""Processor seconds that a comparison of structures may take in the caller's process."""
_LOOSE = ("", "bare", "formula", "number")
"""Places of an answer beside which a letter that is said to be correct counts more."""


class Checker:
    """Compares answers with gold answers. Deterministic, safe to call from any thread.

    Args:
        policy: what counts as the same where mathematics leaves it open.
        limits: what one comparison in a process of its own may use.
        processes: such comparisons that run at once.
        remembered_bytes: memory for verdicts, so that a repeated wrong answer costs nothing.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        limits: Limits = LIMITS,
        processes: int = 1,
        remembered_bytes: int = 8 << 20,
    ) -> None:
        self.policy = policy or Policy()
        self.sandbox = Sandbox(limits, processes, modules=["rewards.algebra.symbolic", "rewards.algebra.compare"])
        self.verdicts: Cache[Verdict] = Cache(remembered_bytes)
        self._tolerance = Fraction(self.policy.tolerance)

    def check(self, answer: str | None, gold: str) -> Verdict:
        """The verdict on `answer`, None meaning that none was given."""
        if answer is None:
            return NO_ANSWER
        if answer == gold and answer.strip():
            return self._same_text(known_answer(gold))
        if len(answer) > LONGEST_ANSWER:
            return Verdict("different", "text", f"{len(answer)} characters are no answer")
        known = known_answer(gold)
        left, right = number(answer), known.number
        if left is not None and right is not None and (left == right or not self._may_round(answer, gold, right)):
            return self._numbers(left, right)
        try:
            return self._look_up(answer, known)
        except Exception as error:  # the text is anybody's; a flaw of ours must not end a run, but it must be seen
            return Verdict("undecided", "structure", f"{FLAW}: {error!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        """A checker travels as its settings; processes and verdicts stay behind."""
        return Checker, (self.policy, self.sandbox.limits, self.sandbox.processes, self.verdicts.most_bytes)

    def start(self) -> None:
        """Start the processes of the sandbox ahead of the first comparison that needs one, without waiting for them."""
        self.sandbox.start()

    def close(self) -> None:
        self.sandbox.close()

    def _may_round(self, answer: str, gold: str, known: Fraction) -> bool:
        """Whether one number may be the other's rounding: one is written with decimals, and the known one is no integer."""
        return bool(self.policy.rounding) and known.denominator != 1 and ("." in gold or "." in answer)

    def _numbers(self, left: Fraction, right: Fraction) -> Verdict:
        equal = left == right or abs(left - right) <= self._tolerance
        return Verdict("equal" if equal else "different", "number", "the numbers are equal" if equal else "the numbers differ")

    def _look_up(self, answer: str, known: Known) -> Verdict:
        """The verdict on an answer's normal form, where it is remembered or can be found."""
        mine = tidy(answer)
        if not known.tidied:
            return NO_GOLD
        if not mine:
            return NO_ANSWER
        if squash(mine) == known.squashed:
            return self._same_text(known)
        if known.letter is not None:
            return _as_letters(_chosen(answer), known.letter)
        if known.told is not None:
            return self._choice(answer, known.told)
        if (named := choices.told(answer)) is not None:
            return self.check(named.text, known.text)
        verdict = self.verdicts.get(mine, known.text)
        if verdict is None:
            verdict = self._compare(mine, known)
            if not verdict.unfinished:
                self.verdicts.put(verdict, mine, known.text)
        return verdict

    def _compare(self, mine: str, known: Known) -> Verdict:
        if (verdict := self._percents(mine, known.tidied)) is not None:
            return verdict
        known_tree, unreadable = known.read
        if known_tree is None:
            return Verdict("undecided", "gold", f"the known answer cannot be read ({unreadable}), and the texts differ")
        try:
            tree = parse_tidied(mine)
        except Unreadable as error:
            return Verdict("different", "structure", f"the texts differ, and {error}")
        return self._structures(tree, known_tree, mine, known.tidied)

    def _same_text(self, known: Known) -> Verdict:
        if known.flaw:
            return Verdict("undecided", "gold", f"the known answer is none: {known.flaw}")
        return Verdict("equal", "text", "the same text")

    def _choice(self, answer: str, known: choices.Choice) -> Verdict:
        """The verdict where both the letter and its text are known: either will do, and neither may be another."""
        if (letter := choices.letter(answer)) is not None:
            return _as_letters(letter, known.letter)
        mine = choices.told(answer)
        if mine is not None and mine.letter != known.letter:
            return _as_letters(mine.letter, known.letter)
        return self.check(mine.text if mine is not None else answer, known.text)

    def _percents(self, mine: str, known: str) -> Verdict | None:
        left, right = percentage(mine), percentage(known)
        if left is None or right is None or (left[1] or right[1]) is False:
            return None
        if left[1] == right[1]:
            return self._numbers(left[0], right[0])
        percent, other = (left[0], right[0]) if left[1] else (right[0], left[0])
        equal = percent == 100 * other or (self.policy.percent and percent == other and abs(percent) >= 1)
        return Verdict("equal" if equal else "different", "number", "as percentages")

    def _structures(self, tree: Tree, known: Tree, mine: str, gold: str) -> Verdict:
        try:
            with within(HERE_SECONDS):
                verdict = same(known, tree, self.policy)
        except TooLong:
            outcome = self.sandbox.call("rewards.algebra.compare:same_texts", gold, mine, asdict(self.policy))
            if outcome.status != "done":
                return _undecided("structure", outcome)
            verdict = outcome.value
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
            return _undecided("symbolic", outcome)
        return Verdict("equal" if outcome.value else "different", "symbolic", "by algebra")


def _chosen(answer: str) -> str | None:
    """The letter that an answer is or begins with; None for several."""
    if (letter := choices.letter(answer) or choices.small_letter(answer)) is not None:
        return letter
    if choices.several(answer):
        return None
    mine = choices.told(answer)
    return mine.letter if mine is not None else choices.led(answer)


def _as_letters(chosen: str | None, wanted: str | None) -> Verdict:
    equal = chosen is not None and chosen == wanted
    return Verdict("equal" if equal else "different", "text", f"the choice is {chosen}")


def _undecided(stage: str, outcome: Outcome) -> Verdict:
    """What a call to the sandbox says that told nothing."""
    return Verdict("undecided", stage, outcome.reason or "sympy cannot tell", outcome.status in ("timeout", "died"))


def _has_big(tree: Tree) -> bool:
    return isinstance(tree, tuple) and (tree[:1] == ("big",) or any(map(_has_big, tree)))


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
    known = known_answer(gold) if gold is not None else None
    if known is not None and known.letter is not None:
        return extract_letter(text, mode).answer
    found = extract(text, mode, several=known is not None and known.has_parts)
    if found.place in _LOOSE and known is not None and known.told is not None:
        if found.answer is None or choices.told(found.answer) is None:
            return extract_letter(text, mode).answer or found.answer  # `B is correct`
        return found.answer
    if found.place == "marker" and found.answer is not None and gold is not None and "!" not in gold:
        return found.answer.removesuffix("!") or None  # in a sentence it is no factorial
    return found.answer
