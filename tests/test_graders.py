"""Processes that grade: interrupted, killed, bombed, called from threads and a loop."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

import rewards
from reft.cli import main
from rewards import graders
from rewards.algebra.scalar import Policy
from rewards.answer import Mode
from rewards.equal import Checker
from rewards.grading import Grade, Line, Result
from tests.test_grade import lines, write

BOMBS = [
    r"\boxed{9^{9^{9^{9}}}}", r"\boxed{((((9!)!)!)!)!}", r"\boxed{\sum_{n=1}^{9999} \frac{(-1)^n}{n^n}}", "1+" * 100_000 + "1",
    r"\boxed{" * 50_000, r"\boxed{\binom{1000000000}{500000000}}", "(" * 100_000, r"\boxed{\prod_{k=1}^{9999} (x^k + y^k)}",
]  # fmt: skip


def is_bomb(number: int) -> bool:
    """Whether the answer of this number is one: twenty of a thousand, spread."""
    return number % 50 == 7


def bomb_rows(bombs: list[str]) -> list[dict[str, str]]:
    """A thousand responses, right but for the bombs among them."""
    return [
        {
            "id": str(n),
            "gold": str(n),
            "prediction": bombs[n // 50 % len(bombs)] if is_bomb(n) else rf"\boxed{{{n}}}",
            "prediction_form": "text",
        }
        for n in range(1000)
    ]


def command_line(process: psutil.Process) -> str:
    """What a process was started as; nothing, where it has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A command that grades more than it can in the time of a test, with two workers, once it has written verdicts."""
    row = {"gold": "7", "prediction": r"\prod_{n=1}^{9999}(1+\frac{7}{n^{n}})"}
    write(tmp_path / "pairs.jsonl", [{"gold": "7", "prediction": str(n)} for n in range(20_000)] + [row] * 1_000)
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "reft", "grade", str(tmp_path / "pairs.jsonl"), "--out", str(out), "--workers", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while process.poll() is None and not (out.exists() and out.stat().st_size):
            time.sleep(0.05)
        time.sleep(1.0)
        yield process, out
        process.kill()


def test_ctrl_c_leaves_whole_lines_and_no_process(endless: tuple[subprocess.Popen[str], Path]) -> None:
    process, out = endless
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 4, "two workers, and what they compare with"
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(20) == 130
    assert process.stderr is not None
    told = process.stderr.read()
    assert told.strip().endswith("reft: stopped")
    assert "Traceback" not in told
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert len(lines(out)) > 100


def test_a_kill_leaves_no_process(endless: tuple[subprocess.Popen[str], Path]) -> None:
    process, _ = endless
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_a_worker_that_is_killed_loses_no_pair() -> None:
    given = [(number, json.dumps({"gold": "4", "prediction": str(number % 5)})) for number in range(4_000)]
    graded = graders.grade_lines(given, "strict", Policy(), 2)
    results = [next(graded)]
    next(child for child in psutil.Process().children() if "spawn_main" in command_line(child)).kill()
    results += graded
    assert [pair.number for pair, _ in results] == list(range(4_000))
    assert [grade.accepted for _, grade in results] == [number % 5 == 4 for number in range(4_000)]
    assert {grade.verdict.stage for _, grade in results} == {"text", "number"}


def deadly(chunk: list[Line], mode: Mode, checker: Checker) -> list[Result]:
    """As the real one, but a line that says so ends its process."""
    for _, line in chunk:
        if isinstance(line, str) and "deadly" in line:
            os.kill(os.getpid(), signal.SIGKILL)
    return grades(chunk, mode, checker)


grades = graders._grades


def serve_deadly(pipe: Connection, mode: Mode, policy: Policy) -> None:
    graders._grades = deadly  # this process is one of the workers
    serve(pipe, mode, policy)


serve = graders._serve


def test_a_line_that_kills_its_process_is_undecided_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graders, "_serve", serve_deadly)
    monkeypatch.setattr(graders, "CHUNK", 5)
    texts = ["deadly" if number in (7, 33) else "4" for number in range(40)]
    given = [(number, json.dumps({"gold": "4", "prediction": text})) for number, text in enumerate(texts)]
    results = list(graders.grade_lines(given, "strict", Policy(), 2))
    assert [pair.number for pair, _ in results] == list(range(40))
    assert [graded.accepted for _, graded in results] == [text == "4" for text in texts]
    assert {graded.verdict.outcome for pair, graded in results if pair.number in (7, 33)} == {"undecided"}
    assert results[7][1].verdict.reason == "its process was killed twice"


def unable(*settings: object) -> None:
    raise OSError("no process can start")


def test_where_no_process_can_start_no_line_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graders, "_serve", unable)
    with pytest.raises(ChildProcessError, match="exit code 1"):
        list(graders.grade_lines([(1, json.dumps({"gold": "4", "prediction": "4"}))], "strict", Policy(), 2))


SUMS = [rf"\boxed{{\prod_{{n=1}}^{{9999}}(1+\frac{{{n}}}{{n^{{n}}}})}}" for n in range(20)]
"""Each takes sympy minutes."""


@pytest.mark.parametrize("bombs", [BOMBS, SUMS])
def test_bombs_harm_nothing_else(tmp_path: Path, bombs: list[str]) -> None:
    """A thousand answers, twenty of them bombs, two workers."""
    before = set(psutil.Process().children(recursive=True))
    rows = bomb_rows(bombs)
    begun = time.monotonic()
    assert (
        main(["grade", str(write(tmp_path / "pairs.jsonl", rows)), "--out", str(tmp_path / "out.jsonl"), "--workers", "2"]) == 0
    )
    assert time.monotonic() - begun < 60, "some five seconds where nothing else runs"
    for row in lines(tmp_path / "out.jsonl"):
        assert row["accepted"] == (not is_bomb(int(row["id"]))), row
    left = set(psutil.Process().children(recursive=True)) - before
    # Python keeps one tracker of shared resources for as long as it runs itself.
    left = {process for process in left if "resource_tracker" not in command_line(process)}
    _, alive = psutil.wait_procs(left, timeout=5)
    assert not alive


CASES = [("x^2-1", r"\boxed{(x-1)(x+1)}"), ("6", r"\boxed{\sum_{k=1}^3 k}"), ("1,2", r"\boxed{2} and \boxed{1}"), ("5", "so 6")]
WANTED = [True, True, True, False]


def test_from_threads_and_a_loop_at_once() -> None:
    async def side_by_side() -> list[Grade]:
        return await asyncio.gather(*(asyncio.to_thread(rewards.grade, gold, text) for gold, text in CASES * 5))

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(rewards.grade, gold, text) for gold, text in CASES * 20]
        looped = asyncio.run(side_by_side())
        assert [future.result().accepted for future in futures] == WANTED * 20
    assert [grade.accepted for grade in looped] == WANTED * 5


def test_checkers_do_not_share_children() -> None:
    left, right = Checker(), Checker()
    assert left.check(r"\sum_{k=1}^3 k", "6").correct
    left.close()
    assert right.check(r"\sum_{k=1}^3 k", "6").correct
    right.close()
