"""Whatever happens inside a sandbox process is an outcome outside, on time."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

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
        ("sys:exit", 0, "failed"),
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


def leave_daemon(file: str, seconds: float) -> None:
    """Leave a process whose starter is gone and whose session is its own, write its id to a file, and return after a while."""
    starter = os.fork()
    if not starter:
        os.setsid()
        if not os.fork():
            Path(file).write_text(f"{os.getpid()}\n")
            time.sleep(600)
        os._exit(0)
    os.waitpid(starter, 0)
    daemon_id(Path(file))
    time.sleep(seconds)


def daemon_id(file: Path) -> int:
    deadline = time.monotonic() + 30
    while not (file.exists() and (text := file.read_text()).endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(text)


def has_ended(file: Path) -> bool:
    """Whether the process that wrote its id there ends within seconds."""
    deadline = time.monotonic() + 10
    while psutil.pid_exists(daemon_id(file)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not psutil.pid_exists(daemon_id(file))


def test_what_leaves_the_session_of_a_call_ends_with_it(tmp_path: Path) -> None:
    with Sandbox(Limits(seconds=1.0)) as sandbox:
        watcher = sandbox.call("os:getppid").value
        assert sandbox.call(f"{__name__}:leave_daemon", str(tmp_path / "id"), 60).status == "timeout"
        assert has_ended(tmp_path / "id")
        assert sandbox.call("os:getppid").value == watcher  # nothing was imported again


def test_what_a_call_leaves_behind_ends_with_the_process_that_did_it(tmp_path: Path) -> None:
    with Sandbox(Limits(seconds=1.0)) as sandbox:
        assert sandbox.call(f"{__name__}:leave_daemon", str(tmp_path / "id"), 0).status == "done"
        assert sandbox.call("math:gcd", 12, 18).value == 6
        assert psutil.pid_exists(daemon_id(tmp_path / "id"))
        assert sandbox.call("time:sleep", 60).status == "timeout"  # of another call
        assert has_ended(tmp_path / "id")
        assert sandbox.call(f"{__name__}:leave_daemon", str(tmp_path / "second"), 0).status == "done"
        assert sandbox.call("os:_exit", 3).status == "died"
        assert has_ended(tmp_path / "second")
        assert sandbox.call(f"{__name__}:leave_daemon", str(tmp_path / "third"), 0).status == "done"
    assert not psutil.pid_exists(daemon_id(tmp_path / "third"))  # closed


def test_a_stopped_child_is_closed_with_what_it_left_behind(tmp_path: Path) -> None:
    with Sandbox(Limits(seconds=1.0)) as sandbox:
        assert sandbox.call(f"{__name__}:leave_daemon", str(tmp_path / "id"), 0).status == "done"
        os.kill(sandbox.call("os:getppid").value, signal.SIGSTOP)
    assert not psutil.pid_exists(daemon_id(tmp_path / "id"))


def test_orphans_that_ended_are_waited_for(sandbox: Sandbox) -> None:
    watcher = psutil.Process(sandbox.call("os:getppid").value)
    assert sandbox.call("os:system", "(true &) && (true &)").value == 0
    deadline = time.monotonic() + 10
    while len(watcher.children()) > 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(watcher.children()) == 1


def write_to_all(text: str, seconds: float) -> str:
    for descriptor in range(3, 20):
        with contextlib.suppress(OSError):
            os.write(descriptor, text.encode())
    time.sleep(seconds)
    return "true reply"


@pytest.mark.parametrize("text", ['["done", 1, 42]\n', "42\n", "[]\n", '["done"]\n', "[" * 100_000 + "\n", "[1, 2", "\xff\n"])
def test_what_a_call_writes_elsewhere_is_no_reply(sandbox: Sandbox, text: str) -> None:
    assert sandbox.call("math:gcd", 12, 18).value == 6
    assert sandbox.call(f"{__name__}:write_to_all", text, 0).value in ("true reply", None)
    assert sandbox.call("math:gcd", 12, 18).value == 6


def flood() -> None:
    while True:
        write_to_all("9" * (1 << 20), 0)


def test_an_endless_reply_is_cut() -> None:
    with Sandbox(Limits(seconds=30)) as sandbox:
        outcome = sandbox.call(f"{__name__}:flood")
        assert (outcome.status, "returned more than" in outcome.reason) == ("failed", True)
        assert sandbox.call("math:gcd", 12, 18).value == 6


class Unspeakable(BaseException):
    def __str__(self) -> str:
        raise self

    __repr__ = __str__


def misbehave(how: str) -> object:
    if how == "raises a BaseException that has no text":
        raise Unspeakable
    if how == "raises KeyboardInterrupt":
        raise KeyboardInterrupt
    if how == "returns itself":
        values: list[object] = []
        values.append(values)
        return values
    if how == "returns what has no repr":
        return Unspeakable()
    if how == "closes everything":
        os.closerange(0, 1000)
        return None
    if how == "leaves its group":
        os.setpgid(0, os.getpgid(os.getppid()))
        time.sleep(60)
    if how == "ignores signals":
        for number in (signal.SIGTERM, signal.SIGPROF, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        while True:
            pass
    if how == "deadlocks":
        lock = threading.Lock()
        thread = threading.Thread(target=lock.acquire)
        with lock:
            thread.start()
            thread.join()
    if how == "kills its watcher":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    raise NotImplementedError(how)


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("raises a BaseException that has no text", "failed"),
        ("raises KeyboardInterrupt", "failed"),
        ("returns itself", "failed"),
        ("returns what has no repr", "failed"),
        ("closes everything", "died"),
        ("leaves its group", "timeout"),
        ("ignores signals", "timeout"),
        ("deadlocks", "timeout"),
        ("kills its watcher", "died"),
    ],
)
def test_malice_is_an_outcome(how: str, status: str) -> None:
    with Sandbox(Limits(seconds=1.0, cpu_seconds=0.5)) as sandbox:
        worker = psutil.Process(sandbox.call("os:getpid").value)
        outcome = sandbox.call(f"{__name__}:misbehave", how)
        assert (outcome.status, bool(outcome.reason)) == (status, True)
        assert sandbox.call("math:gcd", 12, 18).value == 6
        alive = worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE
        assert alive == (status == "failed")


def test_a_deadline_within_a_request_leaves_nothing_for_the_next_call() -> None:
    with Sandbox(Limits(seconds=1.0)) as sandbox:
        os.kill(sandbox.call("os:getpid").value, signal.SIGSTOP)  # it reads nothing of the request
        assert sandbox.call("builtins:str", "x" * 1_000_000).status == "timeout"
        assert sandbox.call("math:gcd", 12, 18).value == 6


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


def test_what_left_its_session_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = ORPHAN.format(idle=True, call=f'sandbox.call("{__name__}:leave_daemon", {str(tmp_path / "id")!r}, 60)')
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL) as parent:
        daemon_id(tmp_path / "id")  # it is there
        parent.kill()
    assert has_ended(tmp_path / "id")


def test_where_no_process_can_start_a_later_call_tries_again() -> None:
    with Sandbox() as sandbox:
        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(sys, "executable", "/nowhere")
            with pytest.raises(FileNotFoundError):
                sandbox.start()
        assert sandbox.call("math:sqrt", 4).value == 2.0
