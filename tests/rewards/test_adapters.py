"""Reward functions as other frameworks write them, factories of them, and functions with a deadline."""

import asyncio
import contextlib
import math
import sys
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import psutil
import pytest

from rewards.adapters import COLUMNS, adapt
from rewards.equal import Checker
from rewards.scorer import Scorer
from rewards.terms import RewardError, RewardTerm, load_term
from tests.rewards.test_scorer import COMPLETIONS, score


def openrlhf(queries: list[str], prompts: list[str], labels: list[str]) -> dict[str, list[float]]:
    return {"rewards": [float(query.endswith(label)) for query, label in zip(queries, labels, strict=True)]}


def verl(data_source: str, solution_str: str, ground_truth: str, extra_info: dict | None = None) -> float:
    return float(solution_str.endswith(ground_truth))


waiting: list[str] = []
"""Samples whose judgement has begun."""


async def verl_slow(data_source: str, solution_str: str, ground_truth: str, extra_info: dict | None = None) -> dict[str, float]:
    waiting.append(solution_str)
    while len(waiting) < len(COMPLETIONS):  # none ends before all have begun
        await asyncio.sleep(0.01)
    return {"score": float(solution_str.endswith(ground_truth)), "more": 1.0}


def verl_batched(data_sources, solution_strs, ground_truths, extra_infos) -> list[float]:  # type: ignore[no-untyped-def]
    return [float(text.endswith(gold)) for text, gold in zip(solution_strs, ground_truths, strict=True)]


def chatty(completions: list[list[dict[str, str]]], solution: list[str], **columns: object) -> list[float]:
    return [float(messages[0]["content"].endswith(gold)) for messages, gold in zip(completions, solution, strict=True)]


def silent(completions, answer, **columns):  # type: ignore[no-untyped-def]
    """As TRL's documentation writes them: nothing says that these are messages."""
    return [float(messages[0]["content"].endswith(gold)) for messages, gold in zip(completions, answer, strict=True)]


async def silent_slow(prompts, completions, answer, **columns):  # type: ignore[no-untyped-def]
    assert prompts[0][-1]["role"] == "user"
    return silent(completions, answer)


def factory(bonus: float = 0.0) -> Callable[..., list[float]]:
    return lambda completions, answer, **columns: [
        bonus + float(text.endswith(gold)) for text, gold in zip(completions, answer, strict=True)
    ]


@pytest.mark.parametrize(
    "name", ["openrlhf", "verl", "verl_slow", "verl_batched", "chatty", "silent", "silent_slow", "factory"]
)
def test_functions_of_other_frameworks(name: str) -> None:
    term = load_term("mine", f"{__name__}:{name}", 1.0, {})
    assert [row.reward for row in score(term)] == [float(text.endswith("4")) for text in COMPLETIONS]


@pytest.mark.parametrize(("returned", "told"), [({"acc": 1.0, "pred": "4"}, "'acc', 'pred'"), ({}, "nothing")])
def test_a_mapping_without_a_score_is_told(returned: dict[str, object], told: str) -> None:
    one = adapt(lambda solution_str, ground_truth: returned, {})
    batch = adapt(lambda data_sources, solution_strs, ground_truths, extra_infos: [returned] * len(solution_strs), {})
    for function in (one, batch):
        with pytest.raises(RewardError, match=f"rewards.mine: it returned a mapping without 'score', only {told}; add it"):
            score(RewardTerm("mine", function, 1.0))


def test_a_factory_takes_the_keywords() -> None:
    term = load_term("mine", f"{__name__}:factory", 1.0, {"bonus": 2.0})
    assert [row.reward for row in score(term)] == [2.0 + float(text.endswith("4")) for text in COMPLETIONS]


def scaled(scale: int) -> Callable[..., list[float]]:
    if not isinstance(scale, int):
        raise TypeError("scale must be an integer")
    return factory(scale)


def no_factory(scale: int) -> int:
    return scale


@pytest.mark.parametrize(
    ("name", "kwargs", "told"),
    [
        ("scaled", {"scale": "4"}, r"scaled raised TypeError\('scale must be an integer'\)"),
        ("scaled", {}, r"does not fit: missing a required argument: 'scale' among its kwargs"),
        ("scaled", {"scale": 4, "size": 5}, r"does not fit: got an unexpected keyword argument 'size' among its kwargs"),
        ("no_factory", {"scale": 4}, r"does not fit: as a factory it returned 4, which is no function"),
    ],
)
def test_what_is_wrong_with_a_factory_is_told(name: str, kwargs: dict[str, object], told: str) -> None:
    with pytest.raises(RewardError, match=f"rewards.mine: .*{told}"):
        load_term("mine", f"{__name__}:{name}", 1.0, kwargs)


@pytest.mark.parametrize("use", ["trl.rewards:think_format_reward", "trl.rewards:get_repetition_penalty_reward"])
def test_trl_s_own(use: str) -> None:
    assert all(row.reward is not None for row in score(load_term("trl", use, 1.0, {})))


def sleepy(completions: list[str], **columns: object) -> list[float]:
    if completions:
        time.sleep(60)
    return []


def test_a_deadline_ends_what_hangs() -> None:
    term = load_term("mine", f"{__name__}:sleepy", 1.0, {}, deadline=1.0)
    with pytest.raises(RewardError, match=r"^rewards.mine: \S+:sleepy took longer than 1 s$"):
        score(term)


@pytest.mark.parametrize("deadline", [0, -1.0, math.nan])
def test_a_deadline_that_nothing_meets_is_refused(deadline: float) -> None:
    with pytest.raises(RewardError, match=r"rewards.mine.deadline=.* is out of range; choose more than 0 seconds"):
        load_term("mine", "correct", 1.0, {}, deadline=deadline)


@pytest.mark.parametrize("name", ["verl", "silent"])
def test_with_a_deadline_the_values_are_the_same(name: str) -> None:
    confined = load_term("mine", f"{__name__}:{name}", 1.0, {}, deadline=5.0)
    assert [row.reward for row in score(confined)] == [float(text.endswith("4")) for text in COMPLETIONS]


def test_a_setting_that_is_missing_is_named() -> None:
    term = load_term("short", "cosine", 1.0, {})
    with pytest.raises(
        RewardError, match=r"rewards.short: it takes longest, which no column .* set it among the reward's kwargs"
    ):
        score(term)


def test_what_is_neither_text_nor_messages_is_told() -> None:
    def third(completions, **columns):  # type: ignore[no-untyped-def]
        return [text["content"]["text"] for text in completions]

    with pytest.raises(RewardError, match=r"TypeError.*on completions that are texts, TypeError.*on lists of messages"):
        score(RewardTerm("mine", adapt(third, {}), 1.0))


def test_empty_texts_tell_nothing() -> None:
    function = adapt(lambda completions, **columns: [sum(len(part["content"]) for part in text) for text in completions], {})
    given = {key: [] for key in COLUMNS}
    assert function(**{**given, "prompts": ["p"], "completions": [""]}) == [0]
    assert function(**{**given, "prompts": ["p"], "completions": ["four"]}) == [4]


def test_what_came_before_decides_nothing() -> None:
    """An empty text confuses a function that takes texts, whichever batch it comes in."""
    given = {key: [] for key in COLUMNS}

    def ask(function, *completions):  # type: ignore[no-untyped-def]
        return function(**{**given, "prompts": ["p"] * len(completions), "completions": list(completions)})

    for first in (["abc", ""], ["", "abc"], [""], ["abc"]):
        function = adapt(lambda completions, **columns: [float(text[0] == "a") for text in completions], {})
        with contextlib.suppress(IndexError):
            ask(function, *first)
        assert ask(function, "abc", "bcd") == [1.0, 0.0], first
        with pytest.raises(IndexError):
            ask(function, "")


def test_importing_takes_none_of_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leisurely.py").write_text(
        "import os, time\ntime.sleep(1.5)\n"
        "def pid(completions, **columns):\n"
        "    time.sleep(60 * (completions[0] == 'hang'))\n"
        "    return [os.getpid()] * len(completions)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    term = load_term("mine", "leisurely:pid", 1.0, {}, deadline=0.5)
    assert "leisurely" not in sys.modules
    given = {key: ["x"] for key in COLUMNS}
    (first,) = term.function(**given)
    with pytest.raises(RewardError, match=r"took longer than 0.5 s"):
        term.function(**{**given, "completions": ["hang"]})
    (second,) = term.function(**given)
    assert first != second
    Scorer([term], Checker()).close()
    assert not psutil.pid_exists(int(second or 0))


@pytest.mark.parametrize(("use", "told"), [("no_such_module_here:f", "cannot import"), ("math:hypot", "does not fit")])
def test_a_wrong_plug_in_with_a_deadline_fails_at_its_first_call(use: str, told: str) -> None:
    with pytest.raises(RewardError, match=f"rewards.mine.*{told}"):
        score(load_term("mine", use, 1.0, {}, deadline=5.0))


def test_what_cannot_cross_is_told() -> None:
    with pytest.raises(RewardError, match=r"rewards.mine: a column is no JSON.*date"):
        score(load_term("mine", "correct", 1.0, {}, deadline=5.0), columns=({"day": date(2020, 1, 1)},) * 3)


def test_installed_packages_offer_functions_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "offered.py").write_text(
        "def shout(completions, **columns): return [float(text.isupper()) for text in completions]"
    )
    info = tmp_path / "offered-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[reft.rewards]\nshout = offered:shout\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_term("mine", "shout", 1.0, {}).function(completions=["A", "a"]) == [1.0, 0.0]
    with pytest.raises(RewardError, match="names no function"):
        load_term("mine", "whisper", 1.0, {})


def exact(completions: list[str], **columns: object) -> list[object]:
    return [Decimal("0.5"), Fraction(1, 4), True]


def mapping(completions: list[str], **columns: object) -> dict[int, float]:
    return dict.fromkeys(range(len(completions)), 0.5)


@pytest.mark.parametrize("deadline", [None, 20.0])
def test_what_a_reward_is_does_not_depend_on_a_deadline(deadline: float | None) -> None:
    terms = [load_term(name, f"{__name__}:{name}", 1.0, {}, deadline) for name in ("exact", "mapping")]
    try:
        assert [item.reward for item in score(terms[0])] == [0.5, 0.25, 1.0]
        with pytest.raises(RewardError, match=r"rewards.mapping returned .*; return a list"):
            score(terms[1])
    finally:
        Scorer(terms, Checker()).close()
