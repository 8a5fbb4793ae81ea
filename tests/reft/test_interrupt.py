import os
import signal

import pytest

from reft.errors import LostProcessError
from reft.interrupt import StopRequest, Terminated, ignore_termination, termination_named


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def ignore(name: str) -> None:
    """Whoever is told does not care."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks(number: signal.Signals) -> None:
    told: list[str] = []
    before = signal.getsignal(number)
    with StopRequest(told.append) as stop:
        assert not stop.requested
        send(number)
        assert stop.requested
        assert told == [number.name]
        assert type(stop.interruption()) is (Terminated if number == signal.SIGTERM else KeyboardInterrupt)
    assert signal.getsignal(number) is (ignore_termination if number == signal.SIGTERM else before)


def test_nothing_disturbs_what_sigterm_has_ended() -> None:
    tidied: list[str] = []

    def work() -> None:
        with termination_named():
            with StopRequest(ignore) as stop:
                send(signal.SIGTERM)
            send(signal.SIGTERM)  # while what was begun is ended
            tidied.append("yes")
            raise stop.interruption()

    with pytest.raises(Terminated):
        work()
    send(signal.SIGTERM)
    assert tidied


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_stops_at_once(first: signal.Signals) -> None:
    with StopRequest(ignore):
        send(first)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_a_second_sigterm_is_no_haste() -> None:
    told: list[str] = []
    with StopRequest(told.append) as stop:
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert stop.terminated
    assert told == ["SIGTERM"]


def test_sigterm_ends_what_can_be_done_again() -> None:
    done: list[str] = []

    def work() -> str:
        send(signal.SIGTERM)
        done.append("went on")
        return "done"

    with StopRequest(ignore) as stop:
        assert stop.attempt(work) is None
        assert not done
        assert stop.attempt(lambda: "begun") is None, "nor is anything begun behind it"


def test_ctrl_c_lets_it_end_the_first_time_only() -> None:
    def work(signals: int) -> str:
        for _ in range(signals):
            send(signal.SIGINT)
        return "done"

    with StopRequest(ignore) as stop:
        assert stop.attempt(lambda: work(1)) == "done"
    with StopRequest(ignore) as stop, pytest.raises(KeyboardInterrupt):
        stop.attempt(lambda: work(2))


def test_what_cannot_be_done_again_is_not_ended() -> None:
    with StopRequest(ignore) as stop:
        assert stop.attempt(lambda: "done") == "done"
        send(signal.SIGTERM)
        assert stop.terminated


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_outside_of_it_the_program_ends_tidily(number: signal.Signals, raised: type[BaseException]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    tidied: list[str] = []

    def work() -> None:
        with termination_named():
            try:
                send(number)
            finally:
                if number == signal.SIGTERM:
                    send(number)  # a second is no haste here either
                tidied.append("yes")

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert type(caught.value) is raised
    assert tidied
    assert signal.getsignal(signal.SIGTERM) is (ignore_termination if number == signal.SIGTERM else before)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_request_is_not_forgotten_where_a_process_is_lost(number: signal.Signals, raised: type[BaseException]) -> None:
    """Or the run would take itself up again: a scheduler may send its signal to all."""

    def work(error: Exception, signals: int = 1) -> None:
        with StopRequest(ignore):
            for _ in range(signals):
                send(number)
            raise error

    with pytest.raises(KeyboardInterrupt) as caught:
        work(LostProcessError("rank 0"))
    assert type(caught.value) is raised
    with pytest.raises(LostProcessError):
        work(LostProcessError("rank 0"), signals=0)
    with pytest.raises(OSError, match="full"):
        work(OSError("full"))  # what could not be saved is told
