"""`reft grade`: a file of answer pairs, line by line, however large; verdicts to a file, counts to the terminal."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reft.errors import DataError
from reft.progress import Display
from reft.statistics import proportion
from rewards.algebra.scalar import Policy
from rewards.answer import Mode
from rewards.boxes import LONGEST_ANSWER
from rewards.graders import grade_lines
from rewards.grading import LONGEST_LINE, Grade, Line, Pair, PairError, Tally

UPDATE_EVERY = 200
MOST_COMPLAINTS = 20
"""Bad lines that are told one by one; the rest is counted."""


def grade_file(pairs: str, out: str | None, mode: Mode, workers: int, display: Display) -> int:
    """Grade the lines of `pairs` and print counts; the exit status, 2 where a line was no pair.

    Raises:
        DataError: if a file cannot be read or written.
    """
    tally = Tally()
    with ExitStack() as stack:
        source, size = _open(pairs, stack)
        if out is not None and pairs != "-" and Path(out).exists() and Path(out).samefile(pairs):
            raise DataError(f"--out {out} is the file that is read; name another")
        target = stack.enter_context(_target(out))
        bar = stack.enter_context(display.bar("grade", size, "MB"))
        begun, position = time.perf_counter(), [0]
        graded_lines = stack.enter_context(closing(grade_lines(_lines(source, pairs, position), mode, Policy(), workers)))
        for result in graded_lines:
            if isinstance(result[1], PairError):
                tally.bad += 1
                if tally.bad <= MOST_COMPLAINTS:
                    display.note(f"reft: {pairs}:{result[0]}: {result[1]}; the line is left out")
                continue
            pair, graded = result
            assert isinstance(pair, Pair)
            tally.add(pair, graded)
            if target is not None:
                target.write(json.dumps(_row(pair, graded)) + "\n")
            if tally.lines % UPDATE_EVERY == 0:
                bar.update(min(position[0] // 1_000_000, size), f"{tally.lines:,} pairs")
        wall = time.perf_counter() - begun
    if not tally.lines:
        raise DataError(f"{pairs} has no pair that can be graded; give lines with id, gold and prediction")
    _print(tally, wall)
    return 2 if tally.bad else 0


def _open(pairs: str, stack: ExitStack) -> tuple[IO[bytes], int]:
    if pairs == "-":
        if sys.stdin is None:  # the shell's `<&-`
            raise DataError("-: the standard input is closed; name a readable JSONL file")
        return sys.stdin.buffer, 1
    try:
        return stack.enter_context(Path(pairs).open("rb")), max(1, os.path.getsize(pairs) // 1_000_000)
    except OSError as error:
        raise DataError(f"{pairs}: {error.strerror}; name a readable JSONL file") from error


@contextmanager
def _target(out: str | None) -> Iterator[IO[str] | None]:
    """The file for verdicts, where one is wanted. What was written stays when grading ends early: whole lines."""
    if out is None:
        yield None
        return
    try:
        with Path(out).open("w", encoding="utf-8") as target:
            yield target
    except OSError as error:  # a disk may be full at the first line or only when the last is flushed
        raise DataError(f"--out {out}: {error.strerror}; name a file that can be written, where there is space") from error


def _lines(source: IO[bytes], name: str, position: list[int]) -> Iterator[Line]:
    """Numbered lines that are not empty; bytes that are no UTF-8 become replacement characters."""
    number = 0
    try:
        while line := source.readline(LONGEST_LINE):
            number += 1
            position[0] += len(line)
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                position[0] += _skip_line(source)
                yield number, PairError(f"longer than {LONGEST_LINE} bytes")
            elif line.strip():
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{name}: {error.strerror} behind line {number}") from error


def _skip_line(source: IO[bytes]) -> int:
    """Read on to the end of the line; returns its bytes."""
    skipped = 0
    while rest := source.readline(LONGEST_LINE):
        skipped += len(rest)
        if rest.endswith(b"\n"):
            break
    return skipped


def _row(pair: Pair, graded: Grade) -> dict[str, object]:
    verdict, extracted = graded.verdict, graded.extracted
    if extracted is not None and len(extracted) > LONGEST_ANSWER:  # of a bare answer, which may be a whole line
        extracted = extracted[: LONGEST_ANSWER - 1] + "…"
    return {
        "id": pair.id, "verdict": verdict.outcome, "accepted": graded.accepted, "extracted": extracted,
        "stage": verdict.stage, "reason": verdict.reason, "seconds": round(graded.seconds, 6),
    }  # fmt: skip


def _print(tally: Tally, wall: float) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    right, known = (sum(counts[place] for counts in tally.kinds.values()) for place in (0, 1))
    if known:
        table = Table(title=f"as expected: {right:,} of {known:,}", title_justify="left")
        for heading in ("kind", "right", "of", "share, 95% interval"):
            table.add_column(heading, justify="left" if heading == "kind" else "right")
        for kind, (good, count) in [*sorted(tally.kinds.items()), ("all", [right, known])]:
            share = proportion(good, count)
            table.add_row(
                Text(kind.encode(errors="backslashreplace").decode()),
                f"{good:,}",
                f"{count:,}",
                f"{share.value:.4f} [{share.low:.4f}, {share.high:.4f}]",
            )
        console.print(table)
    console.print("verdicts  " + _shares(tally.outcomes, tally.lines))
    console.print("decided by  " + _shares(tally.stages, tally.lines))
    console.print(
        f"{tally.lines:,} pairs in {wall:.1f} s, {tally.lines / wall:,.0f} a second; slowest {tally.slowest:.2f} s; "
        f"{tally.timeouts} ended at the deadline; {tally.bad} lines left out"
    )


def _shares(counts: Mapping[Any, int], total: int) -> str:
    return ", ".join(f"{name} {count / total:.1%}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))
