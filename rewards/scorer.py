"""Named, weighted rewards from the config: one reward a sample, with its parts.

A plug-in is any importable function in TRL's signature (see `rewards.builtin`), or in that of another framework (see
`rewards.adapters`). It is looked up and called once on a synthetic sample before a run starts, so a wrong one fails there and
not hours later. With a deadline it is imported and runs in a process that is killed when a call takes longer.
"""

import importlib
import importlib.metadata
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rewards.adapters import AdapterError, RewardFunction, adapt
from rewards.equal import Checker, Verdict
from rewards.program import Program, ProgramError, Programs, Result
from rewards.sandbox import Limits, Sandbox

ENTRY_POINTS = "reft.rewards"
"""Group under which an installed package may offer reward functions by name."""


_brief = reprlib.Repr()
"""What others' objects look like, in one line: whatever their own `repr` does, and however long they are."""
_brief.maxstring = _brief.maxother = 200


class RewardError(Exception):
    """A reward function cannot be found, does not take its arguments, or returned what is no reward."""


_RAISED = f"{__name__}.{RewardError.__name__}: "
"""In front of what a `RewardError` says, where it comes out of a sandbox."""
_CONFINED = f"{__name__}:call_prepared"
"""What a sandbox calls for a function with a deadline."""


@dataclass(frozen=True)
class RewardTerm:
    """One line of the config's `rewards`: a function in our signature, its weight in the sum, and where it runs if not here."""

    name: str
    function: RewardFunction
    weight: float
    sandbox: Sandbox | None = None


@dataclass(frozen=True)
class Score:
    """What one completion earned: `reward` is the weighted sum of those `parts` that apply, None where none does."""

    extracted: str | None
    verdict: Verdict
    parts: Mapping[str, float | None]
    reward: float | None


def load_function(name: str, use: str) -> Callable[..., Any]:
    """The function that `use` names: `module:function`, one of `rewards.builtin`, or an entry point of `reft.rewards`.

    Raises:
        RewardError: if it cannot be imported or called.
    """
    module_name, colon, function_name = use.rpartition(":")
    if not colon:
        offered = importlib.metadata.entry_points(group=ENTRY_POINTS, name=use)
        if offered:
            module_name, _, function_name = next(iter(offered)).value.rpartition(":")
    try:
        module = importlib.import_module(module_name or "rewards.builtin")
        function = getattr(module, function_name, None)
    except (Exception, SystemExit) as error:  # a plug-in's module may fail in any way while it is imported
        raise RewardError(f"rewards.{name}.use: cannot import {module_name!r}: {_brief.repr(error)}") from error
    if not callable(function):
        raise RewardError(f"rewards.{name}.use: {use!r} names no function; write module:function")
    return function


def load_term(name: str, use: str, weight: float, kwargs: Mapping[str, Any], deadline: float | None = None) -> RewardTerm:
    """A term ready to be called, its signature checked against what it will be called with.

    Args:
        name, use, weight, kwargs: as in the config.
        deadline: wall seconds of a call; with one, the function is imported and runs in a process of its own, and only there.

    Raises:
        RewardError: if the deadline is not above 0, the function cannot be found, its signature does not fit, or it is a
            factory that raises; with a deadline, the first call tells all but the first.
    """
    if deadline is not None:
        if not deadline > 0:  # a NaN is not, either
            raise RewardError(f"rewards.{name}.deadline={deadline} is out of range; choose more than 0 seconds")
        return _confined(name, use, weight, kwargs, deadline)
    return RewardTerm(name, _adapted(name, use, kwargs), weight)


def _adapted(name: str, use: str, kwargs: Mapping[str, Any]) -> RewardFunction:
    function = load_function(name, use)
    try:
        return adapt(function, kwargs)
    except AdapterError as error:
        raise RewardError(f"rewards.{name}: {use} does not fit: {error}") from error
    except (Exception, SystemExit) as error:  # of a factory, which may fail in any way
        raise RewardError(f"rewards.{name}: {use} raised {_brief.repr(error)}") from error


def _confined(name: str, use: str, weight: float, kwargs: Mapping[str, Any], deadline: float) -> RewardTerm:
    """The function in a process that can be killed; what crosses is JSON. Importing it takes none of a call's time."""
    sandbox = Sandbox(Limits(seconds=deadline), setup=("rewards.scorer:prepare", [name, use, dict(kwargs)]))

    def call(**columns: Any) -> Sequence[float | None]:
        try:
            outcome = sandbox.call(_CONFINED, columns)
        except (TypeError, ValueError) as error:
            raise RewardError(f"rewards.{name}: a column is no JSON, which a deadline asks for: {error}") from error
        if outcome.status != "done":
            reason = outcome.reason.removeprefix(_RAISED).replace(_CONFINED, use)
            raise RewardError(reason if reason.startswith(f"rewards.{name}") else f"rewards.{name}: {reason}")
        values, refused = outcome.value
        if refused:
            raise RewardError(refused)
        return list(values)

    return RewardTerm(name, call, weight, sandbox)


_prepared: list[RewardTerm] = []
"""Inside a sandbox process: the term that it is for."""


def prepare(name: str, use: str, kwargs: Mapping[str, Any]) -> None:
    """Inside a sandbox process: import and adapt its function."""
    _prepared.append(RewardTerm(name, _adapted(name, use, kwargs), 1.0))


def call_prepared(columns: Mapping[str, Any]) -> list[Any]:
    """Inside a sandbox process: what its function says of a batch, as `[values, ""]`, or `[None, why that is no reward]`. It is
    looked at here, as without a deadline, since what crosses has lost its types."""
    try:
        return [_call(_prepared[0], columns, len(columns["completions"])), ""]
    except RewardError as error:
        return [None, str(error)]


class Scorer:
    """Scores completions: runs those that are programs, checks the answers, calls the reward functions, sums their weighted
    values.

    Args:
        terms: the rewards, in the config's order.
        checker: compares answers with the known ones.
        programs: runs the chains that are programs.
    """

    def __init__(self, terms: Sequence[RewardTerm], checker: Checker, programs: Programs | None = None) -> None:
        self.terms = tuple(terms)
        self.checker = checker
        self.programs = programs or Programs()

    def score(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        completion_ids: Sequence[Sequence[int]],
        found: Sequence[str | Program | None],
        answers: Sequence[str],
        columns: Sequence[Mapping[str, Any]],
    ) -> list[Score]:
        """A score for each completion; all arguments have one entry a completion. What was found in one is its answer, a
        program that computes it, or nothing.

        Raises:
            RewardError: if programs cannot be run, a function raises, or returns other than one finite number or None a
                completion.
        """
        results = self._results(found)
        extracted = [result.answer for result in results]
        verdicts = [self._verdict(result, gold) for result, gold in zip(results, answers, strict=True)]
        shared = {key for row in columns for key in row}
        keywords: dict[str, list[Any]] = {key: [row.get(key) for row in columns] for key in sorted(shared)}
        keywords |= {
            "prompts": list(prompts),
            "completions": list(completions),
            "completion_ids": list(completion_ids),
            "answer": list(answers),
            "extracted": extracted,
            "verdict": [verdict.outcome for verdict in verdicts],
        }
        parts = {term.name: _call(term, keywords, len(completions)) for term in self.terms}
        return [
            self._sum(extracted[row], verdicts[row], {name: values[row] for name, values in parts.items()})
            for row in range(len(completions))
        ]

    def close(self) -> None:
        """End the processes of the checker, of programs and of confined functions."""
        self.checker.close()
        self.programs.close()
        for term in self.terms:
            if term.sandbox is not None:
                term.sandbox.close()

    def _results(self, found: Sequence[str | Program | None]) -> list[Result]:
        """Answers, those of programs by running them."""
        try:
            ran = iter(self.programs.run([item for item in found if isinstance(item, Program)]))
        except ProgramError as error:
            raise RewardError(str(error)) from error
        return [next(ran) if isinstance(item, Program) else Result(item, "") for item in found]

    def _verdict(self, result: Result, gold: str) -> Verdict:
        if result.reason:
            return Verdict("no_answer", "program", result.reason)
        return self.checker.check(result.answer, gold)

    def _sum(self, extracted: str | None, verdict: Verdict, parts: Mapping[str, float | None]) -> Score:
        applying = [term.weight * value for term in self.terms if (value := parts[term.name]) is not None]
        return Score(extracted, verdict, parts, sum(applying) if applying else None)


def _call(term: RewardTerm, keywords: Mapping[str, list[Any]], count: int) -> list[float | None]:
    """What a function says of each completion. Its lists are its own: what it does to them is seen by no other."""
    own = {name: [list(value) if isinstance(value, list) else value for value in values] for name, values in keywords.items()}
    try:
        values = term.function(**own)
        if not isinstance(values, Sequence | Mapping | Set) and isinstance(values, Iterable):
            values = list(islice(values, count + 1))  # it may have no end; one too many is enough to tell
    except (RewardError, KeyboardInterrupt):
        raise
    except AdapterError as error:
        raise RewardError(f"rewards.{term.name}: {error}") from error
    except BaseException as error:  # a plug-in may fail in any way, also in a generator; the run must say which one did
        raise RewardError(f"rewards.{term.name} raised {_brief.repr(error)}") from error
    if not isinstance(values, Sequence) or isinstance(values, str | bytes | bytearray):
        raise RewardError(f"rewards.{term.name} returned {_brief.repr(values)}; return a list with one number a completion")
    if len(values) != count:
        raise RewardError(f"rewards.{term.name} returned {len(values)} values for {count} completions; return one each")
    return [None if value is None else _finite(term.name, value) for value in values]


def _finite(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
        cause = None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # its own conversion may fail in any way, too
        number, cause = math.nan, error
    if not math.isfinite(number):
        raise RewardError(
            f"rewards.{name} returned {_brief.repr(value)}; return a finite number, or None if it does not apply"
        ) from cause
    return number
