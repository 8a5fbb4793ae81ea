"""Steps of word problems' chains: how they are taken apart, which are right, and one that is made false."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reft.tasks import Corruption
from rollout.types import Problem

OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
SENTENCE = re.compile(r"(\w+) has (\w+(?: [-+*/] \w+(?: = \w+)?)?)")
STATEMENT = re.compile(r"(\w+) = lambda : ((?:\w+ \( \)|\d+)(?: [-+*/] (?:\w+ \( \)|\d+))?)")
CALL = re.compile(r"(\w+) (\( \))")
"""Forms of a step in words and in a program, whose groups are a name and what is said of it; and of a name that is called."""

ENDS = {"####": " .", "return": " ;"}
"""What ends a step, by what stands between the steps and the answer."""


def split_steps(text: str, answering: str) -> list[str]:
    """The steps before the answer, each with its end."""
    body, end = text.rpartition(answering)[0], ENDS[answering]
    return [f"{step.strip()}{end}" for step in body.split(end) if step.strip()]


def corrupt_sentence(
    problem: Problem, steps: Sequence[str], largest: int, read: Callable[[Problem, str], Any]
) -> Corruption | None:
    """The steps up to the first result of somebody else than is asked for which can be one or two more, so that all numbers
    that follow are whole, and the answer is another; None where there is none."""
    said, values, asked = (problem.columns[name] for name in ("said", "values", "asked"))
    for place, step in enumerate(steps):
        match = SENTENCE.fullmatch(step.removesuffix(" ."))
        if match is None or "=" not in step or match[1] == asked:
            continue
        words, _, result = match[2].rpartition(" ")
        for false in (values[match[1]] + 1, values[match[1]] + 2):
            answer = _recount(asked, said, {match[1]: false}, largest) if result == str(values[match[1]]) else None
            if false <= largest and answer is not None and answer != values[asked]:
                prefix = " ".join([*steps[:place], f"{match[1]} has {words} {false}"])
                return Corruption(prefix, lambda chain, last=str(answer): read(problem, chain) == last)  # type: ignore[misc]
    return None


def _recount(name: str, said: Mapping[str, Sequence[str]], known: Mapping[str, int], largest: int) -> int | None:
    """Somebody's number, where others' are `known` otherwise; None where one is not whole or too large."""
    if name in known or name not in said:
        return known.get(name) if name in known else int(name)
    parts = [_recount(word, said, known, largest) for word in said[name] if word not in OPERATIONS]
    numbers = [number for number in parts if number is not None]
    if len(numbers) < len(parts):
        return None
    value = OPERATIONS[said[name][1]](*numbers) if len(numbers) == 2 else numbers[0]
    return int(value) if value == int(value) and 0 <= value <= largest else None


def _orders(said: Sequence[str]) -> list[Sequence[str]]:
    """An operation, and the other way round where that is the same."""
    return [said, said[::-1]] if len(said) == 3 and said[1] in "+*" else [said]


def right_sentences(said: Mapping[str, Sequence[str]], values: Mapping[str, int]) -> dict[str, set[str]]:
    """All that may be written behind `has`, for each person: what is said, and the same with numbers and its result."""
    right: dict[str, set[str]] = {}
    for name, words in said.items():
        numbers = [str(values.get(word, word)) for word in words]
        right[name] = {" ".join(order) for order in _orders(words)}
        if len(words) == 3:
            right[name] |= {f"{' '.join(order)} = {values[name]}" for order in _orders(numbers)}
    return right


def right_statements(said: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """All that may be written behind `lambda :`, for each person."""
    return {
        name.lower(): {" ".join(f"{word.lower()} ( )" if word in said else word for word in order) for order in _orders(words)}
        for name, words in said.items()
    }
