"""A program is run for what it returns; whatever else it tries, it is one bad sample and nothing else."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rewards.algebra.scalar import Policy
from rewards.equal import Checker
from rewards.program import LONGEST_REASON, Program, ProgramError, Programs
from rewards.program_child import LONGEST_RESULT
from rewards.sandbox import Limits, Outcome

SECONDS = 0.5
LIBRARIES = """
    [os] = [c.__init__.__globals__ for c in ().__class__.__base__.__subclasses__() if c.__name__ == "_wrap_close"]
    sys = os["sys"]
    native = sys.modules["ctypes"].CDLL(None)
"""
"""How a program gets at everything that its process has, imports or not."""


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    made = Programs(Limits(seconds=SECONDS, memory_bytes=1 << 28), processes=1)
    made.run([Program("def solution(): return 1")])
    yield made
    made.close()


def body(*lines: str) -> Program:
    return Program("\n    ".join(["def solution():", *lines]))


def reach(*lines: str) -> Program:
    return Program("def solution():" + LIBRARIES + "    " + "\n    ".join(lines))


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (["return 42"], "42"),
        (["return 10**30"], str(10**30)),
        (["return 7 / 2"], "3.5"),
        (["return 84 / 2"], "42"),
        (["return 2 / 3"], str(2 / 3)),
        (["return 0.1 + 0.2"], "0.3"),
        (["return -0.0"], "0"),
        (["return 1e300"], "1e+300"),
        (["return math.ceil(2.5)"], "3"),
        (["from fractions import Fraction", "return Fraction(1, 3)"], "1/3"),
        (["import decimal", "return decimal.Decimal('1.10')"], "1.10"),
        (["import collections.abc", "return statistics.mean([1, 2, 6])"], "3"),
        (["return datetime.datetime.strptime('2020-02-28', '%Y-%m-%d').day"], "28"),
        (["return [1, 2.5]"], "1, 2.5"),
        (["return 'b '"], "b"),
        (["return True"], "True"),
        (["print('on the way')", "return 5"], "5"),
    ],
)
def test_what_is_returned_is_the_answer(programs: Programs, lines: list[str], answer: str) -> None:
    (result,) = programs.run([body(*lines)])
    assert (result.answer, result.reason) == (answer, "")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (body("return None"), "returned nothing"),
        (body("return float('nan')"), "returned nan"),
        (body("return 1e999"), "returned inf"),
        (body("return {}"), "mapping"),
        (body(f"return 'x' * {LONGEST_RESULT + 1}"), "2001 characters"),
        (body("return 10**5000"), "ValueError"),
        (body("return 1 / 0"), "ZeroDivisionError: division by zero"),
        (body("return apples"), "NameError"),
        (body("return solution()"), "RecursionError"),
        (body("return ("), "SyntaxError"),
        (Program("return 1"), "SyntaxError"),
        (Program("answer = 1"), "defines no solution()"),
        (Program("\0"), "null bytes"),
        (Program("solution = " + "(" * 5000 + ")" * 5000), "too many nested parentheses"),
        (body("return chr(0xd800)"), "?"),
        (Program("def solution(): return 'b'", numeric=True), "no number"),
        (Program("def solution(): return '$5.'", numeric=True), "no number"),
        (Program("def solution(): return '1 234'", numeric=True), "no number"),
        (Program(r"def solution(): return r'\frac{3}{4}'", numeric=True), "no number"),
        (Program("def solution(): raise type('x' * 10**6, (Exception,), {})()"), "xxx"),
    ],
)
def test_no_answer_has_a_reason(programs: Programs, program: Program, reason: str) -> None:
    (result,) = programs.run([program])
    if reason == "?":  # what is no text is replaced, not refused
        assert result.answer == "?"
    else:
        assert result.answer is None
        assert reason in result.reason
        assert len(result.reason) <= LONGEST_REASON


def test_a_number_may_be_asked_for(programs: Programs) -> None:
    assert programs.run([Program("def solution(): return '1,000'", numeric=True)])[0].answer == "1,000"


LATE, DENIED, MEMORY, UNLISTED = "longer than", "Operation not permitted", "MemoryError", "is not among the modules"
BOMBS = {
    "endless loop": (LATE, body("while True: pass")),
    "endless loop that catches everything": (
        LATE, body("while True:", "    try:", "        while True: pass", "    except BaseException: pass")
    ),
    "endless loop at the top": (LATE, Program("while True: pass")),
    "endless sum in C": (LATE, body("return sum(iter(int, 1))")),
    "tower": (LATE, body("return 9 ** 9 ** 9 ** 9")),
    "ten gigabytes": (MEMORY, body("return len(bytearray(10**10))")),
    "ten gigabytes, piece by piece": (MEMORY, body("kept = []", "while True: kept.append(bytearray(10**8))")),
    "a gigabyte printed": (MEMORY, body("print('x' * 10**9)", "return 1")),
    "a gigabyte printed in lines": ("printed more than", body("for line in range(10**7): print('x' * 100)", "return 1")),
    "a gigabyte returned": (MEMORY, body("return 'x' * 10**9")),
    "a gigabyte in an error": (MEMORY, body("raise ValueError('x' * 10**9)")),
    "exit": ("SystemExit", body("exit()")),
    "SystemExit": ("SystemExit", body("raise SystemExit(0)")),
    "KeyboardInterrupt": ("KeyboardInterrupt", body("raise KeyboardInterrupt")),
    "an error that cannot be told": (
        LATE, body("class Mean(Exception):", "    def __str__(self):", "        while True: pass", "raise Mean")
    ),
    "an error that is one itself": (
        "exit code", body("class Mean(Exception):", "    def __str__(self): raise Mean", "raise Mean")
    ),
    "os._exit": ("exit code", reach("os['_exit'](0)")),
    "sys.exit": ("SystemExit", reach("sys.exit(0)")),
    "abort": ("signal", reach("native.abort()")),
    "a wrong address": ("signal", reach("sys.modules['ctypes'].string_at(0)")),
    "the reply closed": (DENIED, reach("os['close'](0)", "return 1")),
    "all descriptors closed": (DENIED, reach("for number in range(1024): os['close'](number)", "return 1")),
    "the reply written over": ("wrote over its reply", reach("while True: os['write'](0, b'=' * 10**5)")),
    "another's descriptor": (DENIED, reach("os['write'](1, b'=1')", "return 1")),
    "fork": (DENIED, reach("while True: os['fork']()")),
    "fork, whatever comes": (LATE, reach("while True:", "    try: os['fork']()", "    except BaseException: pass")),
    "exec": (DENIED, reach("os['execv']('/bin/sh', ['sh', '-c', 'sleep 60'])")),
    "a thread": ("can't start new thread", reach("sys.modules['_thread'].start_new_thread(print, ())")),
    "kill": (DENIED, reach("os['kill'](os['getppid'](), 9)")),
    "kill all": (DENIED, reach("os['kill'](-1, 9)")),
    "a session of its own": (DENIED, reach("os['setsid']()")),
    "read a file": (DENIED, body("return open('/etc/passwd').read()")),
    "write a file": (DENIED, body("open('/tmp/program-was-here', 'w')")),
    "remove a file": (DENIED, reach("os['unlink']('/etc/no-such-file')")),
    "list a folder": (DENIED, reach("return os['listdir']('/')")),
    "import os": (UNLISTED, body("import os", "return os.getpid()")),
    "import socket": (UNLISTED, body("import socket")),
    "import ctypes": (UNLISTED, body("__import__('ctypes')")),
    "import around the list": ("No module named 'socket'", reach("__import__.__closure__[0].cell_contents('socket')")),
    "sleep": (DENIED, reach("sys.modules['time'].sleep(60)")),
    "read": (DENIED, reach("os['read'](0, 1)")),
}  # fmt: skip


def alive() -> set[int]:
    """The sandbox's processes and all that they have started."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize(("reason", "program"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_one_bad_sample(programs: Programs, reason: str, program: Program) -> None:
    before = alive()
    good = body("return 42")
    first, bad, last = programs.run([good, program, good])
    assert bad.answer is None
    assert reason in bad.reason
    assert len(bad.reason) < 400
    assert first.answer == last.answer == "42"
    assert alive() == before, "the process that forks was replaced, or one was left behind"
    assert not Path("/tmp/program-was-here").exists()


CALLS = ["fork()", "vfork()", "kill(0, 0)", "socket(2, 1, 0)", "open(b'/etc/passwd', 0)", "ptrace(0, 0, 0, 0)", "setuid(0)",
         "mmap(0, 4096, 7, 0x22, -1, 0)", "mmap(0, 4096, 1, 0x02, -1, 0)", "mprotect(0, 4096, 4)", "prctl(22, 0, 0, 0, 0)",
         "close(0)", "dup(0)", "pause()",
         "unlink(b'/nothing')", "syscall(435, 0, 0)", "syscall(0x40000000 + 57)", "setrlimit(0, 0)"]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_native_code_is_confined_too(programs: Programs, call: str) -> None:
    """A program that reaches native code gets EPERM from the kernel: 1, and -1 from the library."""
    errno = "errno = sys.modules['ctypes'].CDLL(None, use_errno=True)"
    (result,) = programs.run([reach(errno, f"said = errno.{call}", "return [said, sys.modules['ctypes'].get_errno()]")])
    assert result.answer == "-1, 1"


def test_a_program_tells_only_of_itself(programs: Programs) -> None:
    """What it writes into its reply is its own answer, and the next program's is the next program's."""
    liar = reach("os['write'](0, b'=1')", "os['_exit'](0)")
    assert [result.answer for result in programs.run([liar, body("return 2")])] == ["1", "2"]


def test_nothing_is_kept_from_one_program_to_the_next(programs: Programs) -> None:
    changed = body("math.pi = 3", "return math.pi")
    assert [result.answer for result in programs.run([changed, body("return math.pi > 3")])] == ["3", "True"]


def test_many_at_once_in_order() -> None:
    made = Programs(Limits(seconds=20, memory_bytes=1 << 28), processes=2)
    before = psutil.Process().children()
    try:
        results = made.run([body(f"return {number}") for number in range(50)])
        assert len(psutil.Process().children()) == len(before) + 2
    finally:
        made.close()
    assert [result.answer for result in results] == [str(number) for number in range(50)]


def test_what_cannot_be_started_is_told() -> None:
    with pytest.raises(ProgramError, match="programs cannot be run here"):
        Programs(imports=["no_such_module"]).run([body("return 1")])


def test_what_fails_around_a_program_is_not_held_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Programs(Limits(seconds=20, memory_bytes=1 << 28))
    try:
        assert made.run([body("return 1")])[0].answer == "1"
        call, asked = made.sandbox.call, []

        def flaky(function: str, source: str, *rest: Any) -> Outcome:
            asked.append(source)
            return Outcome("died", None, "it was killed") if len(asked) == 1 else call(function, source, *rest)

        monkeypatch.setattr(made.sandbox, "call", flaky)
        assert made.run([body("return 2")])[0].answer == "2", "asked again"
        monkeypatch.setattr(made.sandbox, "call", lambda *rest: Outcome("timeout", None, "it was not there in time"))
        with pytest.raises(ProgramError, match="programs cannot be run here: it was not there in time"):
            made.run([body("return 3")])
    finally:
        monkeypatch.undo()
        made.close()


def test_a_program_that_ends_what_runs_it_is_one_bad_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Programs(Limits(seconds=20, memory_bytes=1 << 28))
    try:
        assert made.run([body("return 1")])[0].answer == "1"
        call, bad = made.sandbox.call, body("return 13")

        def cursed(function: str, source: str, *rest: Any) -> Outcome:
            return Outcome("died", None, "it was killed") if source == bad.source else call(function, source, *rest)

        monkeypatch.setattr(made.sandbox, "call", cursed)
        results = made.run([body("return 2"), bad, body("return 3")])
        assert [(result.answer, result.reason) for result in results] == [("2", ""), (None, "it was killed"), ("3", "")]
    finally:
        monkeypatch.undo()
        made.close()


def test_without_a_filter_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's refusal and the machine's strangeness both end before the program."""
    from rewards import program_child, seccomp

    class Open(seccomp.Confinement):
        def confine(self) -> None:
            raise seccomp.ConfinementError("refused")

    monkeypatch.setattr(program_child, "_confinement", lambda: Open(0))
    assert program_child.run("def solution(): return 1", [], 5.0) == [None, "refused"]
    monkeypatch.setattr("platform.machine", lambda: "vax")
    with pytest.raises(seccomp.ConfinementError, match="vax"):
        seccomp.Confinement(0)


def test_without_a_filter_there_is_still_no_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    from rewards import program_child, seccomp

    class Open(seccomp.Confinement):
        def confine(self) -> None:
            """Leave a hole as large as the filter."""

    monkeypatch.setattr(program_child, "_confinement", lambda: Open(0))
    answer, reason = program_child.run(reach("os['fork']()").source, [], 5.0)
    assert answer is None
    assert "Resource temporarily unavailable" in reason
    assert program_child.run(reach("return os['geteuid']()").source, [], 5.0)[0] != "0"


def test_real_programs_give_their_answers(shared: Path) -> None:
    rows = json.loads((shared / "data" / "mwp_reft" / "svamp_python_sdp.json").read_text())[:200]
    made = Programs(Limits(seconds=20, memory_bytes=1 << 28), processes=os.cpu_count() or 1)
    try:
        results = made.run([Program(row["answer_cot"], numeric=True) for row in rows])
    finally:
        made.close()
    checker = Checker(Policy(tolerance=0.01))  # ReFT's: some known answers are rounded
    outcomes = [checker.check(result.answer, row["answer_value"]).outcome for result, row in zip(results, rows, strict=True)]
    assert outcomes == ["equal"] * len(rows)
