"""Whatever happens inside a sandbox process is an outcome outside, on time."""

import os
import subprocess
import sys
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


def test_processor_time_is_not_that_of_the_wall() -> None:
    with Sandbox(Limits(seconds=20, cpu_seconds=0.3)) as sandbox:
        assert sandbox.call("time:sleep", 0.6).status == "done"
        outcome = sandbox.call("math:factorial", 10**8)
        assert (outcome.status, outcome.reason) == ("timeout", "math:factorial took longer than 0.3 s of the processor")
        assert sandbox.call("math:gcd", 12, 18).value == 6


@pytest.mark.parametrize(("function", "argument"), [("math:factorial", 10**8), ("time:sleep", 60)])
def test_after_a_deadline_nothing_is_imported_again(function: str, argument: int) -> None:
    with Sandbox(Limits(seconds=1.0, cpu_seconds=0.3)) as sandbox:
        before = sandbox.call("os:getppid").value, sandbox.call("os:getpid").value
        assert sandbox.call(function, argument).status == "timeout"
        after = sandbox.call("os:getppid").value, sandbox.call("os:getpid").value
    assert after[0] == before[0]
    assert after[1] != before[1]


def prepare(path: str) -> None:
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")
    if path.endswith("broken"):
        raise LookupError("no such thing")


def test_each_process_is_set_up_once(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with Sandbox(Limits(seconds=1.0), setup=(f"{__name__}:prepare", [str(tmp_path / "fine")])) as sandbox:
        pids = [sandbox.call("os:getpid").value, sandbox.call("os:getpid").value]
        assert sandbox.call("time:sleep", 60).status == "timeout"
        pids.append(sandbox.call("os:getpid").value)
    assert (tmp_path / "fine").read_text().split() == [str(pids[0]), str(pids[2])]
    with Sandbox(setup=(f"{__name__}:prepare", [str(tmp_path / "broken")])) as sandbox:
        for _ in range(2):
            outcome = sandbox.call("os:getpid")
            assert (outcome.status, outcome.reason) == ("failed", "LookupError: no such thing")


def test_what_a_call_starts_ends_with_it() -> None:
    with Sandbox(Limits(seconds=1.0)) as sandbox:
        worker = psutil.Process(sandbox.call("os:getpid").value)
        thread = threading.Thread(target=sandbox.call, args=("os:system", "sleep 60"))
        thread.start()
        while not (started := worker.children(recursive=True)):
            time.sleep(0.01)
        thread.join()
        assert not psutil.wait_procs(started, timeout=5)[1]


def test_large_requests_and_replies_cross() -> None:
    text = "é" * 3_000_000
    with Sandbox(Limits(seconds=20)) as sandbox:
        assert sandbox.call("builtins:str", text).value == text


ORPHAN = """
import os, time
from rewards.sandbox import Limits, Sandbox
sandbox = Sandbox(Limits(seconds=60))
sandbox.call("os:getpid")
holder = 0 if {idle} else os.fork()  # a fork has the pipes open too
if not holder and not {idle}:
    time.sleep(60)
print(holder, sandbox.call("os:getpid").value, sandbox.call("os:getppid").value, flush=True)
{call}
"""


@pytest.mark.parametrize(
    ("idle", "call"),
    [(True, "time.sleep(60)"), (True, 'sandbox.call("time:sleep", 60)'), (False, 'sandbox.call("time:sleep", 60)')],
)
def test_children_end_with_a_parent_that_is_killed(idle: bool, call: str) -> None:
    code = ORPHAN.format(idle=idle, call=call)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        holder, *children = map(int, parent.stdout.readline().split())
        processes = [psutil.Process(pid) for pid in children]
        time.sleep(0.2)  # the call that hangs has begun
        parent.kill()
        if holder:
            assert not psutil.wait_procs(processes, timeout=10)[1]
            psutil.Process(holder).kill()
    assert not psutil.wait_procs(processes, timeout=10)[1]
