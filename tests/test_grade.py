"""`reft grade`: every line answered, bad ones named."""

import json
import time
from pathlib import Path

import pytest

import rewards
from reft import grader
from reft.cli import build_parser, main
from rewards.answer import LONGEST_ANSWER
from rewards.equal import Checker
from rewards.grading import PairError, parse_pair


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


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
