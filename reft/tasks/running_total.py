"""T1, running total: a row of operations modulo ten, solved at a glance or step by step.

Prompt   `a + 3 b * 8 c - 1 ?`          letter, operation, digit; left to right from 0, modulo 10
Chain    `a 3 3 b 8 4 c 1 3 # 3`        per operand its letter, its digit again, the running value; then the answer
Short    `# 3`                          the answer alone

Demonstrations mix both. The small model can only guess without the steps, so reinforcement must find that the long
chain pays: the shortest picture of the jump in length that reasoning models show.
"""

import random
import string
from collections.abc import Sequence
from dataclasses import dataclass

from reft.errors import ConfigError
from reft.tasks import Corruption, Demonstration, SplitName, Splits, Trace, split_of
from rollout.types import Problem


@dataclass(frozen=True)
class RunningTotal:
    """Settings of the task."""

    operands: int = 8
    """Operations a problem; 2 to 20."""
    operators: str = "+-*"
    """Operations to draw from; `*` is never followed by 0, which would give the answer away."""
    long_share: float = 0.35
    """Share of demonstrations that show the steps; 0 to 1. Near one third, greedy decoding stays short."""
    train_size: int = 20_000
    dev_size: int = 400
    test_size: int = 1_000
    """Problems of each split."""
    demonstrations_size: int = 8_000
    """Chains to imitate."""

    def validate(self) -> None:
        if not 2 <= self.operands <= 20:
            raise ConfigError(f"task.operands={self.operands} is out of range; choose 2 to 20")
        if not self.operators or set(self.operators) - set("+-*"):
            raise ConfigError(f"task.operators={self.operators!r} is out of range; choose from '+-*'")
        if not 0 <= self.long_share <= 1:
            raise ConfigError(f"task.long_share={self.long_share} is out of range; choose 0 to 1")
        for name in ("train_size", "dev_size", "test_size", "demonstrations_size"):
            if vars(self)[name] < 1:
                raise ConfigError(f"task.{name}={vars(self)[name]} is out of range; choose 1 or more")

    def splits(self) -> Splits:
        generator = random.Random("running_total")
        wanted: dict[SplitName, int] = {"train": self.train_size, "dev": self.dev_size, "test": self.test_size}
        found: dict[SplitName, dict[str, Problem]] = {"train": {}, "dev": {}, "test": {}}
        misses = 0
        while short := [name for name in found if len(found[name]) < wanted[name]]:
            problem = self._problem(generator)
            split = split_of(problem.prompt)
            misses = 0 if split in short and problem.prompt not in found[split] else misses + 1
            if misses == 0:
                found[split][problem.prompt] = problem
            elif misses > 20_000:
                raise ConfigError(f"task.{short[0]}_size={wanted[short[0]]} is more than there are problems; lower it")
        return Splits(*(list(split.values()) for split in found.values()))

    def demonstrations(self, problems: Sequence[Problem], seed: int) -> list[Demonstration]:
        generator = random.Random(f"running_total/demonstrations/{seed}")
        return [
            Demonstration(problem, self._chain(problem, long=generator.random() < self.long_share))
            for problem in (generator.choice(problems) for _ in range(self.demonstrations_size))
        ]

    def words(self) -> list[str]:
        return [*string.digits, *string.ascii_lowercase[: self.operands], *"+-*?#"]

    def read(self, problem: Problem, text: str) -> str | None:
        words = text.split()
        ends = len(words) >= 2 and words[-2] == "#" and words.count("#") == 1 and words[-1] in set(string.digits)
        return words[-1] if ends else None

    def trace(self, problem: Problem, text: str) -> Trace:
        steps, _, answer = text.partition("#")
        words = steps.split()
        right = self._chain(problem, long=True).partition("#")[0].split()
        if not words:
            return Trace(well_formed=self.read(problem, text) is not None, steps=0, wrong_steps=0)
        triples = [tuple(words[at : at + 3]) for at in range(0, len(words), 3)]
        known = [tuple(right[at : at + 3]) for at in range(0, len(right), 3)]
        wrong = sum(mine != true for mine, true in zip(triples, known, strict=False))
        # The answer must be the last running value, or the steps were not what gave it.
        whole = len(triples) == len(known) and answer.split() == words[-1:]
        return Trace(well_formed=whole, steps=len(triples), wrong_steps=wrong)

    @property
    def answering(self) -> str:
        return "#"

    def form(self) -> None:
        """A chain makes one try."""

    def difficulty(self, problem: Problem) -> float:
        """Operations."""
        return len(problem.columns["operations"])

    def steps(self, problem: Problem, text: str) -> list[str] | None:
        """Letter, digit and value of each operation; none where the chain is the answer alone."""
        trace = self.trace(problem, text)
        words = text.partition("#")[0].split()
        return [" ".join(words[at : at + 3]) for at in range(0, len(words), 3)] if trace.well_formed else None

    def corrupt(self, problem: Problem, text: str) -> Corruption | None:
        """The value in the middle, or the next one behind it whose change the operations that follow do not undo, plus one."""
        steps, operations = self.steps(problem, text), problem.columns["operations"]
        for place in range(len(operations) // 2 - 1, len(operations) - 1) if steps else ():
            words = (steps or [])[place].split()
            if not words[2].isdecimal():
                return None
            false = (int(words[2]) + 1) % 10
            true_last, last = (_values([("+", value), *operations[place + 1 :]])[-1] for value in (int(words[2]), false))
            if last != true_last:
                prefix = " ".join([*(steps or [])[:place], *words[:2], str(false)])
                return Corruption(prefix, lambda chain, last=last: self.read(problem, chain) == str(last))  # type: ignore[misc]
        return None

    def _problem(self, generator: random.Random) -> Problem:
        operations = []
        for place in range(self.operands):
            operator = "+" if place == 0 else generator.choice(self.operators)
            operations.append((operator, generator.randint(1 if operator == "*" else 0, 9)))
        letters = string.ascii_lowercase
        prompt = " ".join(f"{letters[i]} {operator} {digit}" for i, (operator, digit) in enumerate(operations)) + " ?"
        return Problem(prompt, prompt, str(_values(operations)[-1]), {"operations": tuple(operations)})

    def _chain(self, problem: Problem, long: bool) -> str:
        operations = problem.columns["operations"]
        steps = [
            f"{string.ascii_lowercase[place]} {digit} {value}"
            for place, ((_, digit), value) in enumerate(zip(operations, _values(operations), strict=True))
        ]
        return " ".join([*steps, f"# {problem.answer}"] if long else [f"# {problem.answer}"])


def _values(operations: Sequence[tuple[str, int]]) -> list[int]:
    """The running value after each operation."""
    values, total = [], 0
    for operator, digit in operations:
        total = {"+": total + digit, "-": total - digit, "*": total * digit}[operator] % 10
        values.append(total)
    return values
