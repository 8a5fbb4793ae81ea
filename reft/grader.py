"""`reft grade`: a file of answer pairs, line by line, however large; verdicts to a file, counts to the terminal."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
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
from rewards.grading import Grade, Pair, PairError, Tally, grade_lines

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
        target = _target(out, stack)
        bar = stack.enter_context(display.bar("grade", size, "MB"))
        begun, position = time.perf_counter(), [0]
        for result in grade_lines(_lines(source, position), mode, Policy(), workers):
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
        return sys.stdin.buffer, 1
    try:
        return stack.enter_context(Path(pairs).open("rb")), max(1, os.path.getsize(pairs) // 1_000_000)
    except OSError as error:
        raise DataError(f"{pairs}: {error.strerror}; name a readable JSONL file") from error


def _target(out: str | None, stack: ExitStack) -> IO[str] | None:
    if out is None:
        return None
    try:
        return stack.enter_context(Path(out).open("w", encoding="utf-8", errors="backslashreplace"))
    except OSError as error:
        raise DataError(f"--out {out}: {error.strerror}; name a file that can be written") from error


def _lines(source: IO[bytes], position: list[int]) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not empty; bytes that are no UTF-8 become replacement characters."""
    for number, line in enumerate(source, start=1):
        position[0] += len(line)
        if line.strip():
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8", errors="replace")


def _row(pair: Pair, graded: Grade) -> dict[str, object]:
    verdict = graded.verdict
    return {
        "id": pair.id, "verdict": verdict.outcome, "accepted": graded.accepted, "extracted": graded.extracted,
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
