"""Which shard is slow, by times that are made up."""

from collections import deque
from typing import Any

import pytest

from rollout.jobs import ATTEMPTS, Job, Run, Seat

SEATS = [Seat(None, None, 0.0, None) for _ in range(3)]


def job(since: dict[str, tuple[int, float]], seconds: list[float], waiting: tuple[int, ...] = ()) -> Job:
    """One with runs of (shard, begin), and shards that were done in so many seconds."""
    running: dict[Any, Run] = {
        name: Run(number, seat, start, False) for seat, (name, (number, start)) in zip(SEATS, since.items(), strict=False)
    }
    return Job([], deque(waiting), running, seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "slow"),
    [
        ([], None),  # compared with what?
        ([1.0, 2.0], 105.0 + 20.0),
        ([11.0], 105.0 + 22.0),
        ([30.0, 4.0, 40.0], 105.0 + 60.0),
    ],
)
def test_slow_is_twice_the_median_and_twenty_seconds(seconds: list[float], slow: float | None) -> None:
    found = job({"a": (7, 110.0), "b": (5, 105.0)}, seconds).slowest()
    assert found == (None if slow is None else (5, slow))


def test_what_waits_comes_first() -> None:
    assert job({"a": (7, 110.0)}, [1.0], waiting=(3,)).slowest() is None


def test_two_workers_at_a_shard_are_enough() -> None:
    assert job({"a": (7, 100.0), "b": (7, 130.0), "c": (5, 120.0)}, [1.0]).slowest() == (5, 140.0)
    assert job({"a": (7, 100.0), "b": (7, 130.0)}, [1.0]).slowest() is None


def test_what_takes_every_worker_with_it_gets_no_more() -> None:
    one = job({"a": (7, 100.0), "b": (5, 120.0)}, [1.0])
    for _ in range(ATTEMPTS - 1):
        assert not one.fail(7), "the one that has it is left"
    assert one.slowest() == (7, 120.0)
    one.fail(7)
    assert one.slowest() == (5, 140.0)


def test_a_shard_is_done_once() -> None:
    one = job({"a": (7, 100.0), "b": (7, 130.0), "c": (5, 120.0)}, [1.0])
    run = one.running.pop("b")
    left = one.running["a"]
    assert one.finish(run, [], 135.0) == {"a": left}
    assert one.running.keys() == {"c"}
    assert one.seconds == [1.0, 5.0], "as long as it was with the one that did it"
    assert one.fail(7), "nobody has it"
