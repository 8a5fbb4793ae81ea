"""Named, weighted reward functions from the config: found, called, and kept from doing harm.

A plug-in is any importable function in TRL's signature (see `rewards.builtin`), or in that of another framework (see
`rewards.adapters`). It is looked up and called once on a synthetic sample before a run starts, so a wrong one fails there and
not hours later. With a deadline it is imported and runs in a process that is killed when a call takes longer.

A function that fails for some completions costs a run those alone (`ask_term`): the others of its batch are put to it one by
one.
"""

import importlib
import importlib.metadata
import math
import reprlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rewards.adapters import AdapterError, RewardFunction, adapt
from rewards.sandbox import Limits, Sandbox

ENTRY_POINTS = "reft.rewards"
"""Group under which an installed package may offer reward functions by name."""


_brief = reprlib.Repr()
"""What others' objects look like, in one line: whatever their own `repr` does, and however long they are."""
_brief.maxstring = _brief.maxother = 200


def shorten(value: object) -> str:
    """What an object looks like, in a line; also one whose own `repr` fails, as that of an integer of 5,000 digits does."""
    try:
        return _brief.repr(value)
    except Exception as error:
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


class RewardError(Exception):
    """A reward function cannot be found, does not take its arguments, or returned what is no reward."""


PATIENCE = 8
"""Completions, put to a function one by one, that may fail before those behind them are given up, unless as many went well."""
CONFINED = Limits(seconds=60.0, memory_bytes=1 << 33)
"""For a function without a deadline that has to be confined all the same, since a process was lost."""


_RAISED = f"{__name__}.{RewardError.__name__}: "
"""In front of what a `RewardError` says, where it comes out of a sandbox."""
_CONFINED = f"{__name__}:call_prepared"
"""What a sandbox calls for a function with a deadline."""


@dataclass(frozen=True)
class RewardTerm:
    """One line of the config's `rewards`: a function in our signature, its weight in the sum, where it runs if not here, and
    how a process that is to confine it finds it, if that may be needed."""

    name: str
    function: RewardFunction
    weight: float
    sandbox: Sandbox | None = None
    source: tuple[str, Mapping[str, Any]] | None = None


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
        raise RewardError(f"rewards.{name}.use: cannot import {module_name!r}: {shorten(error)}") from error
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
        return _confined(name, use, weight, kwargs, Limits(seconds=deadline))
    function = load_function(name, use)
    ours = getattr(function, "__module__", "").partition(".")[0] == __package__  # these are known to return
    return RewardTerm(name, _adapted(name, use, kwargs), weight, source=None if ours else (use, kwargs))


def confine(term: RewardTerm) -> RewardTerm:
    """The same in a process that can be killed, or the term itself, where it has one already or needs none."""
    if term.source is None or term.sandbox is not None:
        return term
    return _confined(term.name, term.source[0], term.weight, term.source[1], CONFINED)


def _adapted(name: str, use: str, kwargs: Mapping[str, Any]) -> RewardFunction:
    function = load_function(name, use)
    try:
        return adapt(function, kwargs)
    except AdapterError as error:
        raise RewardError(f"rewards.{name}: {use} does not fit: {error}") from error
    except (Exception, SystemExit) as error:  # of a factory, which may fail in any way
        raise RewardError(f"rewards.{name}: {use} raised {shorten(error)}") from error


def _confined(name: str, use: str, weight: float, kwargs: Mapping[str, Any], limits: Limits) -> RewardTerm:
    """The function in a process that can be killed; what crosses is JSON. Importing it takes none of a call's time."""
    sandbox = Sandbox(limits, setup=("rewards.terms:prepare", [name, use, dict(kwargs)]))

    def call(**columns: Any) -> Sequence[Any]:
        try:
            outcome = sandbox.call(_CONFINED, columns)
        except (TypeError, ValueError) as error:
            raise RewardError(f"rewards.{name}: a column is no JSON, which a deadline asks for: {error}") from error
        if outcome.status != "done":
            reason = outcome.reason.removeprefix(_RAISED).replace(_CONFINED, use)
            raise RewardError(reason if reason.startswith(f"rewards.{name}") else f"rewards.{name}: {reason}")
        values, refused, why = outcome.value
        if why:
            raise RewardError(why)
        return [_Refused(refused[str(row)]) if str(row) in refused else value for row, value in enumerate(values)]

    return RewardTerm(name, call, weight, sandbox)


@dataclass(frozen=True)
class _Refused:
    """In a confined function's list: why what it returned is no reward."""

    why: str


_prepared: list[RewardTerm] = []
"""Inside a sandbox process: the term that it is for."""


def prepare(name: str, use: str, kwargs: Mapping[str, Any]) -> None:
    """Inside a sandbox process: import and adapt its function."""
    _prepared.append(RewardTerm(name, _adapted(name, use, kwargs), 1.0))


def call_prepared(columns: Mapping[str, Any]) -> list[Any]:
    """Inside a sandbox process: what its function says of a batch, as `[values, {row: why that is no reward}, ""]`, or `[None,
    None, why the call failed]`. It is looked at here, as without a deadline, since what crosses has lost its types."""
    try:
        return [*_call(_prepared[0], columns, len(columns["completions"])), ""]
    except RewardError as error:
        return [None, None, str(error)]


def call_term(term: RewardTerm, keywords: Mapping[str, list[Any]], count: int) -> list[float | None]:
    """What a function says of each of `count` completions.

    Raises:
        RewardError: if it raises, or returns other than one finite number or None a completion.
    """
    values, refused = _call(term, keywords, count)
    for why in refused.values():
        raise RewardError(why)
    return values


def ask_term(term: RewardTerm, keywords: Mapping[str, list[Any]], count: int) -> tuple[list[float | None], dict[int, str]]:
    """What a function says of each of `count` completions, None where it fails, and why it does, by the completion's place.

    Where a call for all of them fails, they are put to it one by one, which tells for which it does. The others are then put
    to it together, for what it says may depend on its batch; if that fails, too, it fails for all. If it fails for most, the
    rest is given up, so that one that hangs does not cost its deadline each time.
    """
    try:
        return _call(term, keywords, count)
    except RewardError as error:
        if count == 1:
            return [None], {0: str(error)}
    failures: dict[int, str] = {}
    for row in range(count):
        if len(failures) >= max(PATIENCE, row - len(failures)):
            last = list(failures.values())[-1]
            failures |= {later: f"not asked, since it failed for others: {last}" for later in range(row, count)}
            break
        _, failed = ask_term(term, _rows(keywords, [row]), 1)
        if failed:
            failures[row] = failed[0]
    values: list[float | None] = [None] * count
    if left := [row for row in range(count) if row not in failures]:
        try:
            found, refused = _call(term, _rows(keywords, left), len(left))
        except RewardError as error:
            found, refused = [None] * len(left), dict.fromkeys(range(len(left)), str(error))
        for row, value in zip(left, found, strict=True):
            values[row] = value
        failures |= {left[place]: why for place, why in refused.items()}
    return values, failures


def _rows(keywords: Mapping[str, list[Any]], rows: Sequence[int]) -> dict[str, list[Any]]:
    return {name: [column[row] for row in rows] for name, column in keywords.items()}


def _call(term: RewardTerm, keywords: Mapping[str, list[Any]], count: int) -> tuple[list[float | None], dict[int, str]]:
    """What a function says of each completion, and why that is no reward, by the completion's place. Its lists are its own:
    what it does to them is seen by no other."""
    own = {name: [list(value) if isinstance(value, list) else value for value in values] for name, values in keywords.items()}
    try:
        values = term.function(**own)
        if not isinstance(values, Sequence | Mapping | Set) and isinstance(values, Iterable):
            values = list(islice(values, count + 1))  # it may have no end; one too many is enough to tell
    except RewardError:
        raise
    except AdapterError as error:
        raise RewardError(f"rewards.{term.name}: {error}") from error
    except BaseException as error:  # a plug-in may fail in any way, also in a generator; the run must say which one did
        _let_person_stop(error)
        raise RewardError(f"rewards.{term.name} raised {shorten(error)}") from error
    if not isinstance(values, Sequence) or isinstance(values, str | bytes | bytearray):
        raise RewardError(f"rewards.{term.name} returned {shorten(values)}; return a list with one number a completion")
    try:
        values = list(islice(values, count + 1)) if len(values) == count else values
        length = len(values)
    except BaseException as error:  # its own length and elements may fail in any way, too
        _let_person_stop(error)
        raise RewardError(f"rewards.{term.name} returned a sequence that raised {shorten(error)}") from error
    if length != count:
        raise RewardError(f"rewards.{term.name} returned {length} values for {count} completions; return one each")
    found: list[float | None] = []
    refused: dict[int, str] = {}
    for row, value in enumerate(values):
        try:
            found.append(None if value is None else _finite(term.name, value))
        except RewardError as error:
            found.append(None)
            refused[row] = str(error)
    return found, refused


def _finite(name: str, value: Any) -> float:
    if isinstance(value, _Refused):
        raise RewardError(value.why)
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
        cause = None
    except BaseException as error:  # its own conversion may fail in any way, too
        _let_person_stop(error)
        number, cause = math.nan, error
    if not math.isfinite(number):
        raise RewardError(
            f"rewards.{name} returned {shorten(value)}; return a finite number, or None if it does not apply"
        ) from cause
    return number


def _let_person_stop(error: BaseException) -> None:
    """Raise a KeyboardInterrupt again where it can be a person's Ctrl-C: the signal comes to the main thread alone, and a
    worker of a cluster calls functions in another."""
    if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
        raise error
