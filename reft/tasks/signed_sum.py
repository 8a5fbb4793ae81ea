"""T2, signed sum: choose signs so that the digits reach the target. A search written out as a chain of tries.

Prompt   `a 5 b 3 c 4 > 4 ?`                          find signs with 5 ± 3 ± 4 = 4
Chain    `b - 3 2 c + 4 6 x b + 3 8 c - 4 4 ok`        a try names each operand, its sign, its digit again, the sum so far,
                                                      and ends in its verdict: `x` (wrong) or `ok`

The answer is the last try. Demonstrations search without repeating themselves but often give up after a wrong try:
they think too briefly on purpose, so that reinforcement has persistence to find.

A hint names the second operand's sign: `a 5 b 3 c 4 > 4 ! b + ?`. A share of the demonstrations may show how one is used.
A budget asks for so many tries, fewer only if one succeeds: `a 5 b 3 c 4 > 4 <b2> ?`. A share may show what that means.
"""

import itertools
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from reft.errors import ConfigError
from reft.tasks import Corruption, Demonstration, Hint, SplitName, Splits, Trace, split_of
from rollout.search.forcing import Form
from rollout.types import Problem

VERDICTS = ("x", "ok")
HINT = "!"
"""The word that begins a hint, and stands nowhere else."""


@dataclass(frozen=True)
class SignedSum:
    """Settings of the task."""

    operands: int = 3
    """Digits a problem, K; 2 to 7. There are 2^(K-1) ways to choose the signs."""
    fewest_operands: int | None = None
    """Fewest digits a problem, 2 to `operands`, where problems are to differ in difficulty; each number of digits between is as
    likely, until its problems are used up. Null means `operands`."""
    tries: int = 6
    """Tries at most in a demonstration; 1 or more."""
    give_up: float = 0.45
    """Probability that a demonstration stops after a wrong try; 0 to 1."""
    patient_share: float = 0.05
    """Share of demonstrations that never give up, so that late positions are seen too; 0 to 1."""
    order: Literal["random", "counting"] = "random"
    """How demonstrations come from one try to the next: at random, none again, or as binary numbers count (+ is 0), from one at
    random. To count, a policy need look at the last try alone, and not keep in mind which ones it has had."""
    hint_share: float = 0.0
    """Share of demonstrations of hinted prompts, whose tries keep to the hint; 0 to 1. Without any, hints say nothing to the
    policy."""
    budget_share: float = 0.0
    """Share of demonstrations of prompts that ask for 1, 2, 4, ... tries, and whose chains make as many unless one succeeds; 0
    to 1, and with `hint_share` 1 at most. Without any, a budget's word says nothing to the policy."""
    demonstrations_size: int = 16_000
    """Chains to imitate."""
    problems_size: int = 20_000
    """Problems at most, over all splits; with three operands there are 2,835 in all."""

    def validate(self) -> None:
        if not 2 <= self.operands <= 7:
            raise ConfigError(f"task.operands={self.operands} is out of range; choose 2 to 7")
        if not 2 <= self._fewest <= self.operands:
            raise ConfigError(
                f"task.fewest_operands={self.fewest_operands} is out of range; choose 2 to {self.operands}, or null"
            )
        for name in ("give_up", "patient_share", "hint_share", "budget_share"):
            if not 0 <= vars(self)[name] <= 1:
                raise ConfigError(f"task.{name}={vars(self)[name]} is out of range; choose 0 to 1")
        if (shares := self.hint_share + self.budget_share) > 1:
            raise ConfigError(f"task.hint_share + task.budget_share = {shares} is out of range; choose 1 at most")
        for name in ("tries", "demonstrations_size", "problems_size"):
            if vars(self)[name] < 1:
                raise ConfigError(f"task.{name}={vars(self)[name]} is out of range; choose 1 or more")

    def splits(self) -> Splits:
        found: dict[SplitName, list[Problem]] = {"train": [], "dev": [], "test": []}
        for problem in self._problems():
            found[split_of(problem.prompt)].append(problem)
        return Splits(found["train"], found["dev"], found["test"])

    def demonstrations(self, problems: Sequence[Problem], seed: int) -> list[Demonstration]:
        generator = random.Random(f"signed_sum/demonstrations/{seed}")
        return [
            self._demonstration(problem, generator)
            for problem in (generator.choice(problems) for _ in range(self.demonstrations_size))
        ]

    def hinted(self, problem: Problem) -> Hint:
        """The prompt with the second operand's sign in a solution, the first of them where both signs lead to one."""
        if not self.hint_share:
            raise ConfigError("task.hint_share=0 shows nobody what a hint is, nor is its word known then; raise it")
        text = f"{HINT} b {self._solutions(problem)[0][0]}"
        return Hint(f"{problem.prompt.removesuffix('?')}{text} ?", text)

    def budgets(self) -> Sequence[int]:
        """1, 2, 4, ... up to the tries that a demonstration makes at most."""
        most = min(self.tries, 2 ** (self.operands - 1)) if self.budget_share else 0
        return [2**power for power in range(most.bit_length())]

    def asked(self, problem: Problem, budget: int) -> Problem:
        if budget not in self.budgets():
            known = ", ".join(map(str, self.budgets())) or "none, since task.budget_share=0"
            raise ConfigError(f"demonstrations do not show a budget of {budget}; choose of {known}")
        return replace(problem, prompt=f"{problem.prompt.removesuffix('?')}<b{budget}> ?")

    def words(self) -> list[str]:
        largest = 9 * self.operands
        numbers = [str(number) for number in range(-largest, largest + 1)]
        hint = [HINT] if self.hint_share else []
        budgets = [f"<b{budget}>" for budget in self.budgets()]
        return [*numbers, *string.ascii_lowercase[: self.operands], "+", "-", ">", "?", *VERDICTS, *hint, *budgets]

    def read(self, problem: Problem, text: str) -> str | None:
        """The last try as an expression such as `5 + 3 - 4`; None unless it is whole and uses the problem's digits."""
        tries, rest = _tries(text)
        if rest or not tries or (signs := self._signs(problem, tries[-1])) is None:
            return None
        first, *others = problem.columns["digits"]
        return " ".join([str(first), *(f"{sign} {digit}" for sign, digit in zip(signs, others, strict=True))])

    def trace(self, problem: Problem, text: str) -> Trace:
        tries, rest = _tries(text)
        target, seen = int(problem.answer), set()
        steps = wrong_steps = verdicts = wrong_verdicts = repeated = 0
        well_formed = bool(tries) and not rest
        for words in tries:
            signs = self._signs(problem, words)
            if signs is None:
                well_formed = False
                continue
            sums = _sums(problem.columns["digits"], signs)
            steps += len(sums)
            wrong_steps += sum(str(right) != written for right, written in zip(sums, words[3::4], strict=False))
            verdicts += 1
            wrong_verdicts += (words[-1] == "ok") != (sums[-1] == target)
            repeated += signs in seen
            seen.add(signs)
        return Trace(well_formed, steps, wrong_steps, len(tries), repeated, verdicts, wrong_verdicts)

    @property
    def answering(self) -> str:
        return ""

    def form(self) -> Form:
        """A verdict ends a try, and `ok` leaves nothing to be gone on with."""
        return Form(endings=tuple(f" {verdict}" for verdict in VERDICTS), satisfied=(" ok",))

    def difficulty(self, problem: Problem) -> float:
        """Tries to be expected of a search at random that repeats none."""
        return (2 ** (len(problem.columns["digits"]) - 1) + 1) / (len(self._solutions(problem)) + 1)

    def steps(self, problem: Problem, text: str) -> list[str] | None:
        """The tries before the last, which is the answer."""
        if self.read(problem, text) is None:
            return None
        return [" ".join(words) for words in _tries(text)[0][:-1]]

    def corrupt(self, problem: Problem, text: str) -> Corruption | None:
        """The last try up to its first sum, which is one more than it should be; the next sum shows what was gone on from."""
        tries, _ = _tries(text)
        if len(problem.columns["digits"]) < 3 or self.read(problem, text) is None:
            return None
        before = [word for words in tries[:-1] for word in words]
        false = str(_sums(problem.columns["digits"], (tries[-1][1],))[0] + 1)
        prefix = " ".join([*before, *tries[-1][:3], false])

        def follows(chain: str) -> bool:
            words = chain.split()[len(before) + 4 : len(before) + 8]
            digit = problem.columns["digits"][2]
            step = {"+": digit, "-": -digit}.get(words[1]) if len(words) == 4 else None
            return step is not None and words[3] == str(int(false) + step)

        return Corruption(prefix, follows)

    def _signs(self, problem: Problem, words: Sequence[str]) -> tuple[str, ...] | None:
        """The signs of one try; None if it does not name every operand in order with its own digit."""
        digits = problem.columns["digits"]
        if len(words) != 4 * (len(digits) - 1) + 1:
            return None
        for place, digit in enumerate(digits[1:]):
            letter, sign, echo, _ = words[4 * place : 4 * place + 4]
            if letter != string.ascii_lowercase[place + 1] or echo != str(digit) or sign not in ("+", "-"):
                return None
        return tuple(words[1::4])

    @property
    def _fewest(self) -> int:
        return self.operands if self.fewest_operands is None else self.fewest_operands

    def _problems(self) -> list[Problem]:
        """Problems of each number of digits, shuffled together; `problems_size` of them at most."""
        decks = [self._deck(operands) for operands in range(self._fewest, self.operands + 1)]
        generator = random.Random("signed_sum/mixed")
        dealt: list[Problem] = []
        while decks and len(dealt) < self.problems_size:
            deck = generator.choice(decks)
            dealt.append(deck.pop())
            decks = [deck for deck in decks if deck]
        return dealt

    def _deck(self, operands: int) -> list[Problem]:
        """Every solvable (digits, target), or `problems_size` of them drawn at random without repetition, last ones first."""
        if 9**operands * 2 ** (operands - 1) <= 20 * self.problems_size:
            rows = [
                (digits, target)
                for digits in itertools.product(range(1, 10), repeat=operands)
                for target in sorted({_sums(digits, signs)[-1] for signs in _leaves(operands)})
            ]
            random.Random("signed_sum").shuffle(rows)
            rows = rows[: self.problems_size]
        else:
            generator = random.Random("signed_sum")
            drawn: dict[tuple[tuple[int, ...], int], None] = {}
            while len(drawn) < self.problems_size:
                digits = tuple(generator.randint(1, 9) for _ in range(operands))
                target = _sums(digits, generator.choice(_leaves(operands)))[-1]
                drawn[digits, target] = None
            rows = list(drawn)
        return [_problem(digits, target) for digits, target in reversed(rows)]

    def _solutions(self, problem: Problem) -> list[tuple[str, ...]]:
        digits, target = problem.columns["digits"], int(problem.answer)
        return [signs for signs in _leaves(len(digits)) if _sums(digits, signs)[-1] == target]

    def _demonstration(self, problem: Problem, generator: random.Random) -> Demonstration:
        leaves, budget = _leaves(len(problem.columns["digits"])), None
        kind = generator.random() if self.hint_share + self.budget_share else 1.0
        if kind < self.hint_share:
            sign = self._solutions(problem)[0][0]
            leaves = [leaf for leaf in leaves if leaf[0] == sign]
            problem = replace(problem, prompt=self.hinted(problem).prompt)
        elif kind < self.hint_share + self.budget_share:
            budget = generator.choice(self.budgets())
            problem = self.asked(problem, budget)
        return Demonstration(problem, self._chain(problem, leaves, budget, generator))

    def _chain(self, problem: Problem, leaves: list[tuple[str, ...]], budget: int | None, generator: random.Random) -> str:
        """A search among `leaves`, which may give up; with a budget, not before as many tries."""
        digits, target = problem.columns["digits"], int(problem.answer)
        patient = generator.random() < self.patient_share or budget is not None
        if self.order == "random":
            generator.shuffle(leaves)
        else:
            start = generator.randrange(len(leaves))
            leaves = leaves[start:] + leaves[:start]
        words: list[str] = []
        for signs in leaves[: budget or self.tries]:
            sums = _sums(digits, signs)
            for place, sign in enumerate(signs):
                words += [string.ascii_lowercase[place + 1], sign, str(digits[place + 1]), str(sums[place])]
            words.append("ok" if sums[-1] == target else "x")
            if sums[-1] == target or (not patient and generator.random() < self.give_up):
                break
        return " ".join(words)


def _problem(digits: tuple[int, ...], target: int) -> Problem:
    operands = " ".join(f"{letter} {digit}" for letter, digit in zip(string.ascii_lowercase, digits, strict=False))
    prompt = f"{operands} > {target} ?"
    return Problem(prompt, prompt, str(target), {"digits": digits})


def _leaves(operands: int) -> list[tuple[str, ...]]:
    return list(itertools.product("+-", repeat=operands - 1))


def _sums(digits: Sequence[int], signs: Sequence[str]) -> list[int]:
    """The sum after each operand from the second on."""
    signed = [digit if sign == "+" else -digit for sign, digit in zip(signs, digits[1:], strict=False)]
    return list(itertools.accumulate(signed, initial=digits[0]))[1:]


def _tries(text: str) -> tuple[list[list[str]], list[str]]:
    """The words of each try, its verdict last, and what is left behind the last verdict."""
    tries: list[list[str]] = []
    words: list[str] = []
    for word in text.split():
        words.append(word)
        if word in VERDICTS:
            tries.append(words)
            words = []
    return tries, words
