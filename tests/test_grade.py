"""`reft grade`: every line answered, bad ones named, bombs defused, whatever calls it."""

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
from reft import grader
from reft.cli import build_parser, main
from rewards import graders
from rewards.algebra.scalar import Policy
from rewards.answer import LONGEST_ANSWER, Mode
from rewards.equal import Checker
from rewards.grading import Grade, Line, PairError, Result, parse_pair

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


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def command_line(process: psutil.Process) -> str:
    """What a process was started as; nothing, where it has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("workers", [1, 2])
def test_verdicts_go_to_the_file_and_counts_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    pairs = write(
        tmp_path / "pairs.jsonl",
        [
            {"id": "a", "gold": "1/2", "prediction": "0.5", "expected": True, "kind": "fraction"},
            {
                "id": "b",
                "gold": "4",
                "prediction": r"so \\boxed{5}.",
                "prediction_form": "text",
                "expected": False,
                "kind": "box",
            },
            {"id": "c", "gold": "$x^2$", "gold_form": "latex", "prediction_parts": [["x", 1], ["^2", 1]], "expected": True},
            {"id": "d", "gold": "7", "prediction": "", "prediction_form": "text"},
        ],
    )
    assert main(["grade", str(pairs), "--out", str(tmp_path / "out.jsonl"), "--workers", str(workers)]) == 0
    rows = lines(tmp_path / "out.jsonl")
    assert [(row["id"], row["verdict"], row["accepted"]) for row in rows] == [
        ("a", "equal", True), ("b", "different", False), ("c", "equal", True), ("d", "no_answer", False),
    ]  # fmt: skip
    assert rows[1]["extracted"] == "5"
    assert all(row["stage"] and row["seconds"] >= 0 for row in rows)
    text = capsys.readouterr().out
    assert "as expected: 3 of 3" in text
    assert "decided by" in text
    assert "4 pairs in" in text


def test_a_bad_line_is_named_and_loses_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = {"gold": "1", "prediction": "1"}
    rows = [
        good,
        "{",
        '["a"]',
        {"gold": "1"},
        {**good, "gold_form": "song"},
        {**good, "expected": "yes"},
        "",
        good,
        '{"gold": "\\ud800", "prediction": "1"}',
    ]
    pairs = write(tmp_path / "pairs.jsonl", rows)
    assert main(["grade", str(pairs), "--out", str(tmp_path / "out.jsonl")]) == 2
    assert len(lines(tmp_path / "out.jsonl")) == 3
    told = capsys.readouterr().err
    for number, reason in (
        (2, "no JSON"),
        (3, "no JSON object"),
        (4, "there is no field 'prediction'"),
        (5, "gold_form 'song'"),
        (6, "expected"),
    ):
        assert f"pairs.jsonl:{number}: {reason}" in told


@pytest.mark.parametrize("count", [1.9, -3, "2", None])
def test_a_count_that_is_none_is_a_bad_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], count: object) -> None:
    rows = [{"gold": "77", "prediction_parts": [["7", count]]}, {"gold": "77", "prediction_parts": [["7", 2]]}]
    pairs = write(tmp_path / "pairs.jsonl", rows)
    assert main(["grade", str(pairs), "--out", str(tmp_path / "out.jsonl")]) == 2
    assert [row["accepted"] for row in lines(tmp_path / "out.jsonl")] == [True]
    assert f"pairs.jsonl:1: prediction_parts has a count of {count!r}; give a whole number" in capsys.readouterr().err


@pytest.mark.parametrize("value", [None, 5, b"5"])
def test_what_is_no_text_is_refused_by_name(value: object) -> None:
    with pytest.raises(TypeError, match=rf"^gold={value!r} is a {type(value).__name__}; give a str"):
        rewards.grade(value, "5")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=rf"^prediction={value!r} is a"):
        rewards.grade("5", value)  # type: ignore[arg-type]


def test_wrong_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = write(tmp_path / "pairs.jsonl", [{"gold": "1", "prediction": "1"}])
    for words, told in (
        (["absent.jsonl"], "absent.jsonl: No such file"),
        ([str(pairs), "--workers", "0"], "--workers 0 is out of range"),
        ([str(pairs), "--out", str(tmp_path / "no" / "out")], "No such file"),
        ([str(pairs), "--out", str(tmp_path)], f"--out {tmp_path}: Is a directory"),
        ([str(pairs), "--out", "/dev/full"], "--out /dev/full: No space left on device"),
        ([str(write(tmp_path / "empty.jsonl", []))], "has no pair"),
    ):
        assert main(["grade", *words]) == 2
        assert told in capsys.readouterr().err


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_bytes(b'{"gold": "1", "prediction": "\xff\xfe1"}\n{"gold": "2", "prediction": "2"}\n')
    assert main(["grade", str(pairs), "--out", str(tmp_path / "out.jsonl")]) == 0
    assert [row["accepted"] for row in lines(tmp_path / "out.jsonl")] == [False, True]


def test_a_line_of_ten_megabytes(tmp_path: Path) -> None:
    pairs = write(
        tmp_path / "pairs.jsonl", [{"gold": "7", "prediction": "x" * 10_000_000 + r" \\boxed{7}", "prediction_form": "text"}]
    )
    begun = time.monotonic()
    assert main(["grade", str(pairs), "--out", str(tmp_path / "out.jsonl")]) == 0
    assert lines(tmp_path / "out.jsonl")[0]["accepted"]
    assert time.monotonic() - begun < 10


def test_an_answer_longer_than_answers_are_is_written_shortened(tmp_path: Path) -> None:
    rows = [{"gold": "7", "prediction": "x" * 1_000_000}, {"gold": "7", "prediction": "x" * LONGEST_ANSWER}]
    pairs = write(tmp_path / "pairs.jsonl", rows)
    assert main(["grade", str(pairs), "--out", str(tmp_path / "out.jsonl")]) == 0
    found = [row["extracted"] for row in lines(tmp_path / "out.jsonl")]
    assert found == ["x" * (LONGEST_ANSWER - 1) + "…", "x" * LONGEST_ANSWER]


def test_a_line_longer_than_any_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grader, "LONGEST_LINE", 1_000)
    good = {"gold": "7", "prediction": "7"}
    pairs = write(tmp_path / "pairs.jsonl", [good, {**good, "prediction": "7" * 3_500}, {**good, "prediction": "8" * 900}])
    assert main(["grade", str(pairs), "--out", str(tmp_path / "out.jsonl")]) == 2
    assert [row["accepted"] for row in lines(tmp_path / "out.jsonl")] == [True, False]
    assert "pairs.jsonl:2: longer than 1000 bytes" in capsys.readouterr().err


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


def test_a_closed_standard_input_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert main(["grade", "-"]) == 2
    assert "the standard input is closed" in capsys.readouterr().err


def test_truth_is_no_text() -> None:
    with pytest.raises(PairError, match="gold is true, no text or number"):
        parse_pair('{"gold": true, "prediction": "True"}', 1)


def test_the_package_offers_what_grading_takes() -> None:
    assert not rewards.grade("0.5", "50", policy=rewards.Policy(percent=False)).accepted
    assert isinstance(rewards.grade("1", "1").verdict, rewards.Verdict)
    checker = rewards.Checker()
    assert isinstance(rewards.grade("1", "1", checker=checker), rewards.Grade)
    checker.close()
    assert set(rewards.__all__) == {"Checker", "Grade", "Policy", "Verdict", "grade"}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"policy": {"percent": False}}, r"policy={'percent': False} is a dict; give a rewards.Policy\(...\)"),
        ({"policy": 3}, r"policy=3 is a int; give a rewards.Policy\(...\)"),
        ({"checker": "strict"}, r"checker='strict' is a str; give a rewards.Checker\(...\)"),
        ({"checker": Checker(), "policy": rewards.Policy()}, r"policy and checker are both given"),
    ],
)
def test_what_is_no_policy_is_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(TypeError, match=f"^{complaint}"):
        rewards.grade("1", "1", **options)  # type: ignore[arg-type]


def test_the_command_tells_its_mode(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["grade", "--help"])
    assert "lenient (default)" in " ".join(capsys.readouterr().out.split())
