"""Named, weighted rewards from the config: one reward a sample, with its parts.

A plug-in is any importable function in TRL's signature (see `rewards.builtin`). It is looked up and called once on a
synthetic sample before a run starts, so a wrong one fails there and not hours later.
"""

import importlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rewards.equal import Checker, Verdict

RewardFunction = Callable[..., Sequence[float | None]]


class RewardError(Exception):
    """A reward function cannot be found, does not take its arguments, or returned what is no reward."""


@dataclass(frozen=True)
class RewardTerm:
    """One line of the config's `rewards`: a function, its weight in the sum, and keywords it is called with."""

    name: str
    function: RewardFunction
    weight: float
    kwargs: Mapping[str, Any]


@dataclass(frozen=True)
class Score:
    """What one completion earned: `reward` is the weighted sum of those `parts` that apply, None where none does."""

    extracted: str | None
    verdict: Verdict
    parts: Mapping[str, float | None]
    reward: float | None


def load_function(name: str, use: str) -> RewardFunction:
    """The function that `use` names: `module:function`, or the bare name of one in `rewards.builtin`.

    Raises:
        RewardError: if it cannot be imported or called.
    """
    module_name, _, function_name = use.rpartition(":")
    try:
        module = importlib.import_module(module_name or "rewards.builtin")
    except Exception as error:  # a plug-in's module may fail in any way while it is imported
        raise RewardError(f"rewards.{name}.use: cannot import {module_name!r}: {error!r}") from error
    function = vars(module).get(function_name)
    if not callable(function):
        raise RewardError(f"rewards.{name}.use: {use!r} names no function; write module:function")
    return function


def load_term(name: str, use: str, weight: float, kwargs: Mapping[str, Any]) -> RewardTerm:
    """A term ready to be called, its signature checked against what it will be called with.

    Raises:
        RewardError: if the function cannot be found or its signature does not fit.
    """
    function = load_function(name, use)
    columns = ("prompts", "completions", "completion_ids", "answer", "extracted", "verdict")
    given: dict[str, Any] = {column: () for column in columns}
    if unfit := given.keys() & kwargs.keys():
        raise RewardError(f"rewards.{name}.kwargs: {sorted(unfit)} are filled from the samples; choose other names")
    try:
        inspect.signature(function).bind(**given, **kwargs)
    except (TypeError, ValueError) as error:  # ValueError: a function in C whose signature cannot be known
        raise RewardError(
            f"rewards.{name}: {use} does not fit: {error}; "
            "it is called with keywords prompts, completions, completion_ids, answer, extracted, verdict "
            "and the problem's columns, so end its signature with **columns"
        ) from error
    return RewardTerm(name, function, weight, kwargs)


class Scorer:
    """Scores completions: checks the extracted answers, calls the reward functions, sums their weighted values.

    Args:
        terms: the rewards, in the config's order.
        checker: compares answers with the known ones.
    """

    def __init__(self, terms: Sequence[RewardTerm], checker: Checker) -> None:
        self.terms = tuple(terms)
        self.checker = checker

    def score(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        completion_ids: Sequence[Sequence[int]],
        extracted: Sequence[str | None],
        answers: Sequence[str],
        columns: Sequence[Mapping[str, Any]],
    ) -> list[Score]:
        """A score for each completion; all arguments have one entry a completion.

        Raises:
            RewardError: if a function raises, or returns other than one finite number or None a completion.
        """
        verdicts = [self.checker.check(answer, gold) for answer, gold in zip(extracted, answers, strict=True)]
        shared = {key for row in columns for key in row}
        keywords: dict[str, list[Any]] = {key: [row.get(key) for row in columns] for key in sorted(shared)}
        keywords |= {
            "prompts": list(prompts),
            "completions": list(completions),
            "completion_ids": list(completion_ids),
            "answer": list(answers),
            "extracted": list(extracted),
            "verdict": [verdict.outcome for verdict in verdicts],
        }
        parts = {term.name: _call(term, keywords, len(completions)) for term in self.terms}
        return [
            self._sum(extracted[row], verdicts[row], {name: values[row] for name, values in parts.items()})
            for row in range(len(completions))
        ]

    def close(self) -> None:
        self.checker.close()

    def _sum(self, extracted: str | None, verdict: Verdict, parts: Mapping[str, float | None]) -> Score:
        applying = [term.weight * value for term in self.terms if (value := parts[term.name]) is not None]
        return Score(extracted, verdict, parts, sum(applying) if applying else None)


def _call(term: RewardTerm, keywords: Mapping[str, list[Any]], count: int) -> list[float | None]:
    try:
        values = list(term.function(**{**keywords, **term.kwargs}))
    except Exception as error:  # a plug-in may fail in any way; the run must say which one did
        raise RewardError(f"rewards.{term.name} raised {error!r}") from error
    if len(values) != count:
        raise RewardError(f"rewards.{term.name} returned {len(values)} values for {count} completions; return one each")
    return [None if value is None else _finite(term.name, value) for value in values]


def _finite(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise RewardError(f"rewards.{name} returned {value!r}; return a number, or None if it does not apply") from error
    if not math.isfinite(number):
        raise RewardError(f"rewards.{name} returned {value!r}; return a finite number, or None if it does not apply")
    return number
