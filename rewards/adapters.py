"""Reward functions as other frameworks write them, unmodified: chosen by signature, called as ours are.

    TRL             f(prompts, completions, completion_ids, **columns) -> list          ours is the same; texts or messages
    OpenRLHF        reward_func(queries, prompts, labels, **kwargs) -> tensor or {"rewards": tensor, ...}
    verl            compute_score(data_source, solution_str, ground_truth, extra_info) -> float or {"score": float, ...}
    verl, batched   the same with plural names -> list
    a factory       takes none of these, only keywords of the config, and returns one of the above

Any of them may be `async def`; the calls of one batch then wait side by side. TRL gives completions as texts or as lists of
messages, as the data are. Here the annotation tells which a function wants; one without is tried with texts, and with messages
where it fails on them.
"""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

RewardFunction = Callable[..., Sequence[float | None]]

COLUMNS = ("prompts", "completions", "completion_ids", "answer", "extracted", "verdict")
"""Keywords that every function of our own signature is called with, besides the problem's columns."""

OPENRLHF = {"queries", "prompts", "labels"}
VERL = {"solution_str", "ground_truth"}
VERL_BATCHED = {"solution_strs", "ground_truths"}

CONFUSED = (TypeError, LookupError, AttributeError)
"""What a function raises that takes texts for messages."""

_CALLED = (
    f"a reward is called with keywords {', '.join(COLUMNS)} and the problem's columns, so end its signature with **columns"
)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class AdapterError(TypeError):
    """A function takes neither our arguments nor those of a framework that is known."""


def adapt(function: Callable[..., Any], kwargs: Mapping[str, Any]) -> RewardFunction:
    """The function in our signature, with the config's keywords bound.

    Raises:
        AdapterError: if its signature fits nothing that is known.
        Exception: whatever a factory raises.
    """
    function, kwargs = _from_factory(function, dict(kwargs))
    try:
        parameters = inspect.signature(function).parameters
    except ValueError as error:  # a function in C whose signature cannot be known
        raise AdapterError(str(error)) from error
    wanted = set(parameters)
    if wanted >= OPENRLHF:
        return _openrlhf(function, kwargs)
    if wanted >= VERL:
        return _verl(function, kwargs)
    if wanted >= VERL_BATCHED:
        return _verl_batched(function, kwargs)
    return _trl(function, kwargs, parameters)


def _from_factory(function: Callable[..., Any], kwargs: dict[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """What a factory makes of the config's keywords; any other function as it is. What a factory raises is its own."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return function, kwargs
    parameters = signature.parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if open_ended or parameters.keys() & ({*COLUMNS} | OPENRLHF | VERL | VERL_BATCHED):
        return function, kwargs
    try:
        signature.bind(**kwargs)
    except TypeError as error:
        raise AdapterError(f"{error} among its kwargs; {_CALLED}") from error
    made = function(**kwargs)
    if not callable(made):
        raise AdapterError(f"as a factory it returned {made!r}, which is no function; {_CALLED}")
    return made, {}


def _trl(function: Callable[..., Any], kwargs: dict[str, Any], parameters: Mapping[str, inspect.Parameter]) -> RewardFunction:
    if unfit := set(COLUMNS) & kwargs.keys():
        raise AdapterError(f"kwargs {sorted(unfit)} are filled from the samples; choose other names")
    filled = {"solution"} & parameters.keys()  # TRL's name of the known answer
    # A required parameter of another name is a column of the data set's, which is only known when there is a batch.
    required = {
        name for name, parameter in parameters.items() if parameter.default is parameter.empty and parameter.kind in _NAMED
    }
    given: dict[str, Any] = {name: () for name in (*COLUMNS, *filled, *(required - kwargs.keys()))}
    try:
        inspect.signature(function).bind(**given, **kwargs)
    except TypeError as error:
        raise AdapterError(f"{error}; {_CALLED}") from error
    messages = _wants_messages(parameters)

    def call(**columns: Any) -> Sequence[float | None]:
        nonlocal messages
        if "solution" in filled:
            columns.setdefault("solution", columns["answer"])
        columns |= kwargs
        if unknown := sorted(required - columns.keys()):
            raise AdapterError(
                f"it takes {', '.join(unknown)}, which no column of the problems is called; set it among the reward's kwargs"
            )
        count = len(columns["completions"])
        if messages is None and (rows := [row for row, text in enumerate(columns["completions"]) if text]):
            # By completions that are not empty: an empty text may confuse a function that takes texts, and what a worker has
            # seen before must not matter.
            some = {name: _at(rows, value) if _is_column(value, count) else value for name, value in columns.items()}
            messages, result = _try_both(function, some)
            if len(rows) == count:
                return result
        return _finish(function(**(_conversational(columns) if messages else columns)))

    return call


def _wants_messages(parameters: Mapping[str, inspect.Parameter]) -> bool | None:
    """Whether completions are lists of messages, as TRL's own functions are annotated; None where nothing tells."""
    if "completions" not in parameters:
        return False
    annotation = parameters["completions"].annotation
    return None if annotation is inspect.Parameter.empty else "dict" in str(annotation)


def _try_both(function: Callable[..., Any], columns: Mapping[str, Any]) -> tuple[bool, Sequence[float | None]]:
    """Whether a function takes messages for completions, and what it says of some."""
    try:
        return False, _finish(function(**columns))
    except CONFUSED as error:
        try:
            return True, _finish(function(**_conversational(columns)))
        except Exception as other:
            raise AdapterError(f"{error!r} on completions that are texts, {other!r} on lists of messages") from error


def _is_column(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count


def _at(rows: Sequence[int], values: list[Any]) -> list[Any]:
    return [values[row] for row in rows]


def _conversational(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Prompts and completions as the messages of a conversation, each one of its own."""
    return {
        **columns,
        "prompts": [[{"role": "user", "content": text}] for text in columns["prompts"]],
        "completions": [[{"role": "assistant", "content": text}] for text in columns["completions"]],
    }


def _openrlhf(function: Callable[..., Any], kwargs: dict[str, Any]) -> RewardFunction:
    def call(
        prompts: Sequence[str], completions: Sequence[str], answer: Sequence[str], **columns: Any
    ) -> Sequence[float | None]:
        queries = [prompt + completion for prompt, completion in zip(prompts, completions, strict=True)]
        result = _finish(function(queries=queries, prompts=list(prompts), labels=list(answer), **kwargs))
        return _plain(result["rewards"] if isinstance(result, Mapping) else result)

    return call


def _verl(function: Callable[..., Any], kwargs: dict[str, Any]) -> RewardFunction:
    parameters = inspect.signature(function).parameters.values()
    everything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    taken = {parameter.name for parameter in parameters}

    def call(completions: Sequence[str], answer: Sequence[str], **columns: Any) -> Sequence[float | None]:
        results = []
        for text, gold, (source, info) in zip(completions, answer, _infos(columns, len(completions)), strict=True):
            given = {"data_source": source, "solution_str": text, "ground_truth": gold, "extra_info": info}
            results.append(function(**{name: value for name, value in given.items() if everything or name in taken}, **kwargs))
        if any(inspect.isawaitable(result) for result in results):
            results = _wait(_gather(results))
        return [_score(result) for result in results]

    return call


def _verl_batched(function: Callable[..., Any], kwargs: dict[str, Any]) -> RewardFunction:
    def call(completions: Sequence[str], answer: Sequence[str], **columns: Any) -> Sequence[float | None]:
        infos = _infos(columns, len(completions))
        results = _finish(
            function(
                data_sources=[source for source, _ in infos], solution_strs=list(completions), ground_truths=list(answer),
                extra_infos=[info for _, info in infos], **kwargs,
            )
        )  # fmt: skip
        return [_score(result) for result in results]

    return call


def _infos(columns: Mapping[str, Any], count: int) -> list[tuple[str, dict[str, Any]]]:
    """Data source and further columns of each sample, as verl hands them on."""
    rows = [{name: values[row] for name, values in columns.items()} for row in range(count)]
    return [(str(row.get("data_source", "")), row.get("extra_info", row)) for row in rows]


def _score(result: Any) -> float | None:
    """The number itself, or that of verl's mapping, in which a missing one is no zero."""
    if not isinstance(result, Mapping):
        return result
    if "score" not in result:
        raise AdapterError(f"it returned a mapping without 'score', only {', '.join(map(repr, result)) or 'nothing'}; add it")
    return result["score"]


def _plain(values: Any) -> Sequence[float | None]:
    """A tensor or array as a list."""
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _finish(result: Any) -> Any:
    return _wait(result) if inspect.isawaitable(result) else result


async def _gather(results: Sequence[Any]) -> list[Any]:
    return list(await asyncio.gather(*results))


def _wait(awaitable: Awaitable[Any]) -> Any:
    """Run an awaitable to its end in a thread of its own, since this one may have a loop already."""
    outcome: dict[str, Any] = {}

    async def run() -> Any:
        return await awaitable

    def work() -> None:
        try:
            outcome["value"] = asyncio.run(run())
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=work, name="reward")
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]
