"""How right and how fast is the answer checker, beside Math-Verify: `python -m tests.benchmark_checker`.

Needs the labelled pairs and model outputs that `REFT_SHARED` (default ../shared) points to; Math-Verify is compared where
it is installed (`pip install math-verify==0.9.0`). Ratios come from one run on one core; start-up is left out.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from rewards.algebra.scalar import Policy
from rewards.answer import Mode, extract
from rewards.equal import Checker, read
from rewards.grading import Grade, Pair, grade_lines, parse_pair

SHARED = Path(os.environ.get("REFT_SHARED", Path(__file__).parent.parent.parent / "shared"))
FILES = ("math_verify", "peers", "issues", "hostile", "real", "reflexive")
Judge = Callable[[str, str], bool]


def main() -> None:
    other = math_verify()
    print(
        f"{'pairs, not doubtful':22}{'n':>6}{'lenient':>9}{'slowest':>10}{'strict':>9}"
        + (f"{'Math-Verify':>14}{'slowest':>10}" if other else "")
    )
    for name in FILES:
        pairs = list(labelled(name))
        right, slowest = ours(pairs, "lenient")
        strict, _ = ours(pairs, "strict")
        line = f"{name:22}{len(pairs):6}{100 * right / len(pairs):8.2f}%{slowest:8.3f} s{100 * strict / len(pairs):8.2f}%"
        if other:
            right, slowest = theirs(pairs, other)
            line += f"{100 * right / len(pairs):13.2f}%{slowest:8.3f} s"
        print(line, flush=True)
    print(f"\n{'throughput, one core':34}{'n':>7}{'ours':>12}" + (f"{'Math-Verify':>14}{'ratio':>8}" if other else ""))
    for name, outputs in (
        ("GSM8K outputs", gsm8k()),
        ("MATH outputs", math_outputs()),
        ("MATH golds against each other", math_golds()),
    ):
        rate = speed(outputs)
        line = f"{name:34}{len(outputs):7}{rate:10,.0f}/s"
        if other:
            base = speed_of(other, outputs[:300])
            line += f"{base:12,.0f}/s{rate / base:8.1f}"
        print(line, flush=True)


def labelled(name: str) -> Iterator[Pair]:
    with (SHARED / "checker" / f"{name}.jsonl").open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not json.loads(line).get("doubtful"):
                yield parse_pair(line, number)


def ours(pairs: list[Pair], mode: Mode) -> tuple[int, float]:
    lines = [(pair.number, json.dumps({**vars(pair), "expected": pair.expected})) for pair in pairs]
    graded = [result for result in grade_lines(lines, mode, Policy(), workers=1) if isinstance(result[1], Grade)]
    right = sum(grade.accepted == pair.expected for pair, grade in graded)  # type: ignore[union-attr]
    return right, max(grade.seconds for _, grade in graded)  # type: ignore[union-attr]


def math_verify() -> Judge | None:
    try:
        from math_verify import parse, verify

        logging.disable(logging.ERROR)  # it prints what it gives up on, megabytes included
    except ImportError:
        print("Math-Verify is not installed; only ours is measured", file=sys.stderr)
        return None

    def judge(gold: str, prediction: str) -> bool:
        return bool(verify(parse(gold), parse(prediction)))

    return judge


def theirs(pairs: list[Pair], judge: Judge) -> tuple[int, float]:
    """Answers and formulas are given in dollar signs, which is how Math-Verify wants them."""
    right, slowest = 0, 0.0
    for pair in pairs:
        begun = time.perf_counter()
        gold = pair.gold if pair.gold_form == "text" or "$" in pair.gold else f"${pair.gold}$"
        prediction = pair.prediction
        if pair.prediction_form != "text" and "$" not in prediction:
            prediction = f"${prediction}$"
        right += judge(gold, prediction) == pair.expected
        slowest = max(slowest, time.perf_counter() - begun)
    return right, slowest


def gsm8k() -> list[tuple[str, str]]:
    found = []
    with (SHARED / "data" / "gsm8k_model_outputs" / "example_model_solutions.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            gold = row["ground_truth"].rpartition("A:")[2].strip()
            found += [(gold, value["solution"]) for value in row.values() if isinstance(value, dict) and "solution" in value]
    return found


def math_outputs() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    with (SHARED / "data" / "qwen_rm_maj_outputs" / "math_cot_100.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            texts = row["response"]
            found += [(row["gt"], text) for text in texts]
    return found


def math_golds() -> list[tuple[str, str]]:
    with (SHARED / "data" / "math500" / "test.jsonl").open(encoding="utf-8") as lines:
        golds = [json.loads(line)["answer"] for line in lines]
    return [(gold, rf"\boxed{{{other}}}") for gold, other in pairwise(golds)]


def speed(outputs: list[tuple[str, str]]) -> float:
    """Pairs a second, nothing remembered of answers; extraction included."""
    checker = Checker()
    checker.check("1+1", "2")
    begun = time.perf_counter()
    for gold, text in outputs:
        checker.check(read(text, "text", "lenient", gold), gold)
    return len(outputs) / (time.perf_counter() - begun)


def speed_of(judge: Judge, outputs: list[tuple[str, str]]) -> float:
    judge("1", "1")
    begun = time.perf_counter()
    for gold, text in outputs:
        judge(f"${gold}$", text)
    return len(outputs) / (time.perf_counter() - begun)


if __name__ == "__main__":
    extract("warm")
    main()
