"""Whether actors answer, by a clock and actors of our own."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from rollout import actors
from rollout.actors import Pulse


class Actor:
    """Answers what it is asked while it is `awake`."""

    def __init__(self) -> None:
        self.awake = False
        self.asked = 0
        self.beat = SimpleNamespace(options=lambda concurrency_group: SimpleNamespace(remote=self._ask))

    def _ask(self) -> tuple["Actor", int]:
        self.asked += 1
        return self, self.asked


class Clock:
    """Seconds, as far as somebody has moved them."""

    def __init__(self) -> None:
        self.now = 100.0

    def look(self, pulse: Pulse, actors: Sequence[Actor], seconds: float) -> list[Any]:
        self.now += seconds
        return pulse.find_silent(actors)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    def wait(references: list[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        return [one for one in references if one[0].awake], [one for one in references if not one[0].awake]

    clock = Clock()
    monkeypatch.setattr(actors, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(actors, "ray", SimpleNamespace(wait=wait))
    return clock


def test_one_is_silent_from_its_fourth_missing_answer_on(clock: Clock) -> None:
    pulse, one, other = Pulse(8.0), Actor(), Actor()
    one.awake = other.awake = True
    assert [clock.look(pulse, [one, other], 2.0) for _ in range(9)] == [[]] * 9
    assert one.asked == 10, "anew at each answer"
    one.awake = False
    assert [clock.look(pulse, [one, other], 2.0) for _ in range(5)] == [[], [], [], [one], [one]]
    one.awake = True
    assert clock.look(pulse, [one, other], 2.0) == []
    assert one.asked == 11, "what has no answer is not asked again"


def test_one_that_was_never_heard_is_still_being_set_up(clock: Clock) -> None:
    pulse, one = Pulse(8.0), Actor()
    assert [clock.look(pulse, [one], 2.0) for _ in range(50)] == [[]] * 50


def test_one_that_has_answered_anything_counts(clock: Clock) -> None:
    pulse, one = Pulse(8.0), Actor()
    pulse.note(one)
    assert [clock.look(pulse, [one], 2.0) for _ in range(4)] == [[], [], [], [one]]


def test_looks_count_and_not_time_for_we_may_have_slept_ourselves(clock: Clock) -> None:
    pulse, one = Pulse(8.0), Actor()
    one.awake = True
    clock.look(pulse, [one], 2.0)
    one.awake = False
    assert [clock.look(pulse, [one], seconds) for seconds in (2.0, 3600.0, 1.9, 0.05, 2.0, 2.0)] == [[], [], [], [], [], [one]]


def test_one_in_another_s_place_begins_anew(clock: Clock) -> None:
    pulse, one, other = Pulse(8.0), Actor(), Actor()
    one.awake = True
    clock.look(pulse, [one], 2.0)
    one.awake = False
    assert [clock.look(pulse, [one], 2.0) for _ in range(4)][-1] == [one]
    assert [clock.look(pulse, [other], 2.0) for _ in range(9)] == [[]] * 9
    assert clock.look(pulse, [], 2.0) == []


def test_what_ray_takes_for_cancelled_is_told_in_words() -> None:
    """Ray says that a task was cancelled where its code raised KeyboardInterrupt."""
    (cause,) = actors.cause_of(SimpleNamespace(cause=ray.exceptions.TaskCancelledError())).args
    assert cause == "code in an actor raised KeyboardInterrupt"
    slip = ZeroDivisionError("a slip")
    assert actors.cause_of(SimpleNamespace(cause=slip)) is slip
