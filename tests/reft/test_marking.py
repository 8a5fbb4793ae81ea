"""Chains are marked while others are sampled, and what a task raises there is raised."""

from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, current_thread
from typing import Any

import pytest

from reft import sittings
from reft.compose import compose_settings
from reft.config import Config
from reft.progress import Display
from reft.sittings import finish, take
from reft.tasks import Trace
from reft.tasks.signed_sum import SignedSum
from rollout.types import Problem
from tests.reft.test_sittings import Counting, script, sitting

MARKED: dict[str, Event] = {}


@dataclass(frozen=True)
class Told(SignedSum):
    """Tells what is marked."""

    def trace(self, problem: Problem, text: str) -> Trace:
        assert current_thread().name.startswith("marking")
        MARKED.setdefault(problem.id, Event()).set()
        return super().trace(problem, text)


class Waiting(Counting):
    """Samples no section before the one before it is marked."""

    def sample(self, problems, n, params, seed, progress=None):  # type: ignore[no-untyped-def]
        for before in self.sampled[:-2]:  # this section's greedy chains, where they are there, are not
            assert MARKED.setdefault(before, Event()).wait(60)
        self.sampled += [problem.id for problem in problems if problem.id not in self.sampled]
        return super().sample(problems, n, params, seed, progress)


@pytest.fixture
def config(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(sittings, "SECTION", 2)
    MARKED.clear()
    settings = {
        "task": {"use": f"{__name__}:Told"}, "model": {"path": str(tiny_model)}, "sampling": {"max_tokens": 40},
        "evaluate": {"samples": 3, "limit": 6},
    }  # fmt: skip
    return compose_settings("x", settings).config


def test_a_section_is_marked_while_the_next_is_sampled(config: Config, tmp_path: Path) -> None:
    it = sitting(config, tmp_path)
    pool = Waiting(it.exam, script)
    pool.sampled = []
    content = finish(it, take(it, config, pool, Display()), 1.0)
    assert [problem.id for problem in it.exam.problems] == pool.sampled
    assert len(MARKED) == content["problems"] == 6


def test_one_that_goes_on_marks_what_is_there(config: Config, tmp_path: Path) -> None:
    it = sitting(config, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        take(it, config, Counting(it.exam, script, 4), Display())
    taken = take(it, config, Counting(it.exam, script), Display())
    whole = sitting(config, tmp_path / "whole")
    again = take(whole, config, Counting(whole.exam, script), Display())
    assert (taken.rows, taken.marks.traces, taken.marks.majorities) == (again.rows, again.marks.traces, again.marks.majorities)
    assert len(taken.marks.majorities) == 6


def test_what_a_task_raises_is_raised(config: Config, tmp_path: Path) -> None:
    it = sitting(config, tmp_path)

    @dataclass(frozen=True)
    class Wrong(SignedSum):
        def trace(self, problem: Problem, text: str) -> Any:
            raise KeyError("no such word")

    it = replace(it, exam=replace(it.exam, task=Wrong()))
    with pytest.raises(KeyError, match="no such word"):
        take(it, config, Counting(it.exam, script), Display())
