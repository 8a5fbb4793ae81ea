"""Where problems come from. A task is one frozen dataclass, its settings, in one module; naming it in a config suffices.

`use: signed_sum` takes the only task class of `reft.tasks.signed_sum`; `use: module:Class` takes anybody's.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from rewards.program import Program
from rollout.search.forcing import Form
from rollout.types import Problem

SplitName = Literal["train", "dev", "test"]


@dataclass(frozen=True)
class Splits:
    """Problems to learn from, to choose by, and to report on; no problem is in two of them."""

    train: Sequence[Problem]
    dev: Sequence[Problem]
    test: Sequence[Problem]


@dataclass(frozen=True)
class Demonstration:
    """A problem with a chain that solves it, or tries to, for imitation."""

    problem: Problem
    chain: str


@dataclass(frozen=True)
class Trace:
    """What an exact reader finds in a chain."""

    well_formed: bool
    """The chain keeps the form of the demonstrations to its end."""
    steps: int
    wrong_steps: int
    """Steps whose value does not follow from the problem and the step before."""
    tries: int = 1
    repeated_tries: int = 0
    """Tries that an earlier part of the chain has already made."""
    verdicts: int = 0
    wrong_verdicts: int = 0
    """Judgements of the chain on itself that are false."""

    @property
    def valid(self) -> bool:
        return self.well_formed and not self.wrong_steps and not self.wrong_verdicts


@dataclass(frozen=True)
class Hint:
    """A prompt that tells something of the answer, so that a chain can be written towards it (STaR's rationalization)."""

    prompt: str
    """The whole prompt, with the hint."""
    text: str
    """The words of it that are the hint. No text that is kept may hold them."""

    def stands_in(self, text: str) -> bool:
        """Whether the hint's words stand in a text one behind the other, whatever their case and what is between them."""
        return f" {' '.join(words(self.text))} " in f" {' '.join(words(text))} "


def words(text: str) -> list[str]:
    """The words of a text and its signs, without case and punctuation."""
    return re.findall(r"\w+|[^\w\s.,;:()'\"]", text.lower())


@runtime_checkable
class HintedTask(Protocol):
    """A task that can say something of a problem's answer beforehand; what `self_training.rationalize` takes."""

    def hinted(self, problem: Problem) -> Hint:
        """The problem's prompt with a hint. Raises `ConfigError` where the settings have none."""
        ...


@dataclass(frozen=True)
class Corruption:
    """The beginning of a chain with a false value in it, and how to see whether the rest goes on from it."""

    prefix: str
    follows: Callable[[str], bool]
    """Whether a whole chain goes on from the false value; no chain can that goes on from the true one."""


@runtime_checkable
class AnsweringTask(Protocol):
    """A task that knows what its chains say before they answer."""

    @property
    def answering(self) -> str:
        """What stands between the steps of a chain and its answer; empty where the answer is one more step."""
        ...


@runtime_checkable
class SteppedTask(AnsweringTask, Protocol):
    """A task whose chains can be taken apart and put together otherwise; what `reft chains` needs to alter them."""

    def form(self) -> Form | None:
        """How a chain shows that a try is made, so that tries can be counted, cut and called for; None where it makes one."""
        ...

    def difficulty(self, problem: Problem) -> float:
        """How much work a problem asks for at least: steps, or tries to be expected."""
        ...

    def steps(self, problem: Problem, text: str) -> list[str] | None:
        """What a chain does before it answers, piece by piece; None if it is not of the demonstrations' form."""
        ...

    def corrupt(self, problem: Problem, text: str) -> Corruption | None:
        """A chain up to a value that is made false; None where there is none that matters."""
        ...


@runtime_checkable
class BudgetedTask(Protocol):
    """A task whose prompts can ask for so much thinking, so that what is asked for and what is used can be told apart."""

    def budgets(self) -> Sequence[int]:
        """Budgets in tries that demonstrations show, ascending; empty where the settings show none."""
        ...

    def asked(self, problem: Problem, budget: int) -> Problem:
        """The problem with a prompt that asks for so many tries. Raises `ConfigError` for a budget that is not shown."""
        ...


class Task(Protocol):
    """A source of problems with known answers, and the reader of their chains."""

    def validate(self) -> None:
        """Raise `ConfigError` where a setting is out of range."""
        ...

    def splits(self) -> Splits:
        """All problems, the same at every call. Raises `DataError` where the data are not as described."""
        ...

    def demonstrations(self, problems: Sequence[Problem], seed: int) -> list[Demonstration]:
        """Chains to imitate for `problems`."""
        ...

    def words(self) -> list[str] | None:
        """The closed vocabulary, words separated by spaces; None where a tokenizer must be learnt from the text."""
        ...

    def read(self, problem: Problem, text: str) -> str | Program | None:
        """The final answer in a chain, the program that computes it, or None."""
        ...

    def trace(self, problem: Problem, text: str) -> Trace | None:
        """What the chain does step by step; None where the task cannot tell."""
        ...


DEV_SHARE, TEST_SHARE = 0.1, 0.2


def split_of(text: str) -> SplitName:
    """The split that a problem belongs to, by its text alone: the same problem can never be in two."""
    place = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64
    return "test" if place < TEST_SHARE else "dev" if place < TEST_SHARE + DEV_SHARE else "train"
