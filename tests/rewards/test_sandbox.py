"""Whatever happens inside a sandbox process is an outcome outside, on time."""

import os
import threading
import time

import psutil
import pytest

from rewards.sandbox import Limits, Sandbox


@pytest.fixture
def sandbox():
    with Sandbox(Limits(seconds=1.0, memory_bytes=1 << 29)) as made:
        yield made


def test_a_call_returns_its_value(sandbox: Sandbox) -> None:
    outcome = sandbox.call("math:gcd", 12, 18)
    assert (outcome.status, outcome.value) == ("done", 6)


def test_a_process_is_kept_between_calls(sandbox: Sandbox) -> None:
    assert sandbox.call("os:getpid").value == sandbox.call("os:getpid").value != os.getpid()


@pytest.mark.parametrize(
    ("function", "argument", "status"),
    [
        ("time:sleep", 60, "timeout"),
        ("math:factorial", 10**8, "timeout"),
        ("builtins:bytearray", 10**10, "failed"),
        ("builtins:int", "seven", "failed"),
        ("no.such.module:f", 1, "failed"),
        ("os:_exit", 3, "died"),
        ("sys:exit", 0, "died"),
    ],
)
def test_misbehaviour_is_an_outcome(sandbox: Sandbox, function: str, argument: object, status: str) -> None:
    assert sandbox.call("math:gcd", 2, 4).value == 2  # started: what follows is the call's own time
    begun = time.monotonic()
    outcome = sandbox.call(function, argument)
    assert outcome.status == status
    assert outcome.reason
    assert time.monotonic() - begun < 10
    assert sandbox.call("math:gcd", 12, 18).value == 6  # the next call finds a working process


def test_printing_is_not_an_answer(sandbox: Sandbox) -> None:
    assert sandbox.call("builtins:print", '["done", 42]').value is None


def test_many_threads_share_a_few_processes() -> None:
    results: list[object] = []
    with Sandbox(Limits(seconds=20), processes=2) as sandbox:
        threads = [
            threading.Thread(target=lambda n=n: results.append(sandbox.call("math:gcd", n, 100).value)) for n in range(1, 9)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(results) == sorted([1, 2, 1, 4, 5, 2, 1, 4])


def test_closing_leaves_no_process_behind() -> None:
    sandbox = Sandbox()
    pid = sandbox.call("os:getpid").value
    sandbox.close()
    assert not psutil.pid_exists(pid)
