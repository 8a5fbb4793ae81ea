"""Which chains the page shows, and how it holds them: as few bytes as may be, and never more than a page can bear.

Where there are more than fit, problems are drawn, not chains: of a problem that is shown, all chains are, so that it can be
seen before and after; only where one problem alone is too much are its chains drawn. The draw depends on names alone.
"""

import base64
import heapq
import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from reft.form import readable
from reft.ledger import LOOPS, read_lines
from reft.report.pieces import Pieces
from reft.report.read import MODES, RunRecord

LARGEST = 24_000_000
"""Characters of chains, and of what is told of them, in the page before it is compressed."""
LARGEST_PACKED = 8_000_000
"""Characters when compressed."""
MOST = 40_000
LONGEST = 20_000
"""Characters of a chain that are shown, and of any other text of its row."""
COLUMNS = (
    "source", "step", "problem", "prefix", "chain", "extracted", "verdict", "why", "reward", "rewards", "tokens", "finish",
    "lengths", "logprobs",
)  # fmt: skip
"""What a chain's row in the page holds, in order; `source`, `problem`, `verdict` and `why` are places in lists of their own;
`lengths` are characters of each token's text, `logprobs` hundredths of a nat."""
PROBLEM = ("problem", "prompt", "answer")
RIGHT, WRONG, UNPARSED = "right", "wrong", "unparsed"


@dataclass(frozen=True)
class Packed:
    """Chains as text for the page: base64 of zlib's deflate of JSON."""

    text: str
    shown: int
    total: int


def pack_chains(runs: Sequence[RunRecord], largest: int = LARGEST, largest_packed: int = LARGEST_PACKED) -> Packed:
    """The chains of all runs, or as many as fit."""
    kept, total = _choose(runs, largest)
    pieces = {run.name: Pieces.of_run(run.path) for run in runs}
    while True:
        content = _table(kept, pieces)
        data = zlib.compress(json.dumps(content, separators=(",", ":"), allow_nan=False).encode(), 6)
        if len(data) * 4 / 3 <= largest_packed or len(kept) < 2:
            return Packed(base64.b64encode(data).decode("ascii"), len(kept), total)
        share = 0.95 * largest_packed / (len(data) * 4 / 3)
        kept = sorted(kept, key=lambda chain: chain[0])[: max(1, int(len(kept) * share))]


Chain = tuple[tuple[int, int], int, str, str, int, dict[str, Any]]
"""Its rank in the draw, its place, the run, the source, the step, and the row of the file."""


def _choose(runs: Sequence[RunRecord], largest: int) -> tuple[list[Chain], int]:
    heap: list[tuple[tuple[int, int], int, int, Chain]] = []
    total = size = 0
    for run in runs:
        for source, step, row in _rows(run):
            total += 1
            problem = str(row.get("problem"))
            draw = (zlib.crc32(problem.encode("utf-8", "replace")), zlib.crc32(b"%d" % total))
            bytes_of = sum(len(text) for text in row.values() if isinstance(text, str))
            bytes_of = min(bytes_of, LONGEST) + 8 * len(_list(row, "logprobs")) + 100
            chain: Chain = (draw, total, run.name, source, step, row)
            heapq.heappush(heap, ((-draw[0], -draw[1]), total, bytes_of, chain))
            size += bytes_of
            while size > largest or len(heap) > MOST:
                if len(heap) == 1:
                    break
                size -= heapq.heappop(heap)[2]
    return sorted((entry[3] for entry in heap), key=lambda chain: chain[1]), total


def _rows(run: RunRecord) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Source, step and row of every chain that a run has written: of steps, of rounds, of evaluations."""
    files = sorted(run.path.glob("eval/*.jsonl"), key=lambda file: (file.stem not in ("readiness", "warmup"), file.stem))
    for folder, kind in (("samples", "training"), ("rounds", "round")):
        for file in sorted(run.path.glob(f"{folder}/*.jsonl")):
            number, _, what = file.stem.partition("_")[2].partition("-")
            if number.isdecimal():
                for row in read_lines(file, run.notes):
                    if isinstance(row.get("chain"), str):
                        yield f"{kind}, {what}" if what else kind, int(number), row
    for file in files:
        name = readable(file.stem)
        step, greedy = _step_of(run, name), _greedy_rows(run, name)
        for place, row in enumerate(read_lines(file, run.notes)):
            how = row.get("how")
            if isinstance(row.get("chain"), str) and how in (None, "natural"):  # what is forced or altered is not the policy's
                yield f"{name}, {how or MODES[place >= greedy]}", step, row
            for mode in MODES:  # of benchmarks: a row a problem
                for chain in _list(row, mode):
                    if isinstance(chain, dict) and isinstance(chain.get("chain"), str):
                        yield f"{name}, {mode}", step, {**{name: row.get(name) for name in PROBLEM}, **chain}


def _step_of(run: RunRecord, evaluation: str) -> int:
    """The step, or round, of the checkpoint that was evaluated; 0 where it is of none, as what training starts from."""
    if evaluation in ("reinforced", "self_trained"):
        best: int | None = run.summary.get("best_step")
        steps = (row["step"] for phase in LOOPS for row in run.rows.get(phase, []))
        return best if best is not None else max(steps, default=0)
    checkpoint = Path(run.reports.get(evaluation, {}).get("checkpoint", evaluation)).name
    found = re.search(r"(?:step|round)_([0-9]{1,15})(?![0-9])", checkpoint)
    return int(found[1]) if found else 0


def _greedy_rows(run: RunRecord, evaluation: str) -> float:
    """How many rows of an evaluation are greedy, which are its first: as many as its report has problems."""
    greedy = run.reports.get(evaluation, {}).get("greedy")
    return math.inf if greedy is None else greedy["accuracy"]["n"]


def _table(chains: Sequence[Chain], pieces: Mapping[str, Pieces]) -> dict[str, Any]:
    places: dict[str, dict[Any, int]] = {name: {} for name in ("source", "problem", "verdict", "why")}

    def place(name: str, value: Any) -> int:
        return places[name].setdefault(value, len(places[name]))

    rows = []
    for _, _, run, source, step, row in chains:
        prefix, chain = _text(row, "prefix"), _text(row, "chain")
        lengths, logprobs = pieces[run].measure(chain[len(prefix) :], _list(row, "token_ids"), _list(row, "logprobs"))
        rows.append(
            [
                place("source", (run, source)),
                step,
                place("problem", (_text(row, "problem"), _text(row, "prompt"), _text(row, "answer"))),
                prefix[:LONGEST],
                chain[:LONGEST],
                _text(row, "extracted") if row.get("extracted") is not None else None,
                place("verdict", (_text(row, "verdict"), judge(row))),
                place("why", _text(row, "why")),
                _number(row.get("reward")),
                {**_texts(row, "rewards"), **_texts(row, "failures")} or None,
                _number(row.get("tokens")) or 0,
                _text(row, "finish"),
                lengths,
                logprobs,
            ]
        )
    return {"columns": COLUMNS, "rows": rows, **{f"{name}s": list(found) for name, found in places.items()}}


def judge(row: Mapping[str, Any]) -> str:
    """Whether a chain is right, wrong, or has no answer that could be read or decided upon."""
    return {"equal": RIGHT, "different": WRONG}.get(str(row.get("verdict")), UNPARSED)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)[: LONGEST * 2]


def _texts(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Rewards, or why there are none, by the names of their functions; None for what is no finite number."""
    value = row.get(name)
    if not isinstance(value, dict):
        return {}
    kept = (int, float, NoneType)
    return {str(key)[:100]: item if isinstance(item, kept) else str(item)[:500] for key, item in value.items()}


def _list(row: Mapping[str, Any], name: str) -> list[Any]:
    value = row.get(name)
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) else None
