"""How right and how fast is the answer checker, beside Math-Verify: `python -m tests.benchmark_checker`.

Needs the labelled pairs and model outputs that `REFT_SHARED` (default ../shared) points to; Math-Verify is compared where
it is installed (`pip install math-verify==0.9.0`). Throughput is by processor time, the median of five runs by turns; ratios
are on the same outputs for both. Start-up is left out.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import psutil

from rewards.algebra.scalar import Policy
from rewards.answer import Mode, extract
from rewards.equal import Checker, read
from rewards.graders import grade_lines
from rewards.grading import Grade, Pair, parse_pair
from tests.test_graders import BOMBS, bomb_rows, is_bomb

SHARED = Path(os.environ.get("REFT_SHARED", Path(__file__).parent.parent.parent / "shared"))
FILES = ("math_verify", "peers", "issues", "hostile", "real", "reflexive")
ATTACKS = ("reward_hack", "exploit", "code_injection")
"""Kinds of pairs that are written to win a reward with a wrong answer."""
COMPARED = 300
"""Outputs at most, spread over all, on which the two are timed for their ratio."""
RUNS = 5
"""By turns of the two; the median counts."""
Judge = Callable[[str, str], bool]
Output = tuple[str, str]
"""A known answer and a response."""


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
        ("ToRA outputs", tora()),
        ("MATH outputs", math_outputs()),
        ("MATH golds against each other", math_golds()),
    ):
        sample = outputs[:: -(-len(outputs) // COMPARED)]
        rates: list[float] = []
        mine: list[float] = []
        bases: list[float] = []
        for _ in range(RUNS):  # by turns, so that what slows the machine down slows both
            rates.append(speed(outputs))
            if other:
                mine.append(speed(sample))
                bases.append(speed_of(other, sample))
        line = f"{name:34}{len(outputs):7}{median(rates):10,.0f}/s"
        if other:
            line += f"{median(bases):12,.0f}/s{median(mine) / median(bases):8.1f}"
        print(line, flush=True)
    false_positives(other)
    bombs()


def false_positives(other: Judge | None) -> None:
    """Wrong answers that were written to be taken for right ones: how many are."""
    print(
        f"\n{'wrong answers accepted, by kind':34}{'n':>7}{'lenient':>12}{'strict':>10}"
        + (f"{'Math-Verify':>14}" if other else "")
    )
    pairs = [pair for name in FILES for pair in labelled(name) if pair.expected is False]
    for kind in ATTACKS:
        wrong = [pair for pair in pairs if pair.kind == kind]
        line = f"{kind:34}{len(wrong):7}{len(wrong) - ours(wrong, 'lenient')[0]:12}{len(wrong) - ours(wrong, 'strict')[0]:10}"
        if other:
            line += f"{len(wrong) - theirs(wrong, other)[0]:14}"
        print(line, flush=True)


def bombs() -> None:
    """A batch of answers with bombs among them: how long it takes, and whether the others' verdicts are right."""
    rows = bomb_rows(BOMBS)
    lines = [(number, json.dumps(row)) for number, row in enumerate(rows, start=1)]
    begun = time.perf_counter()
    graded = [(pair, grade) for pair, grade in grade_lines(lines, "strict", Policy(), workers=2) if isinstance(grade, Grade)]
    wall = time.perf_counter() - begun
    right = [grade.accepted for pair, grade in graded if not is_bomb(int(pair.id))]  # type: ignore[union-attr]
    print(
        f"\n{len(rows):,} answers, {len(rows) - len(right)} of them bombs, two workers: {wall:.1f} s with their start; "
        f"{sum(right)} of the {len(right)} others right"
    )


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


def gsm8k() -> list[Output]:
    found = []
    with (SHARED / "data" / "gsm8k_model_outputs" / "example_model_solutions.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            gold = row["ground_truth"].rpartition("A:")[2].strip()
            found += [(gold, value["solution"]) for value in row.values() if isinstance(value, dict) and "solution" in value]
    return found


def tora() -> list[Output]:
    """Whole transcripts of ToRA 70B on GSM8K: program, its output, and what is concluded."""
    with (SHARED / "data" / "tora_outputs" / "tora70b_gsm8k.jsonl").open(encoding="utf-8") as lines:
        return [(row["gt"], text) for row in map(json.loads, lines) for text in row["code"]]


def math_outputs() -> list[Output]:
    found: list[Output] = []
    with (SHARED / "data" / "qwen_rm_maj_outputs" / "math_cot_100.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            texts = row["response"]
            found += [(row["gt"], text) for text in texts]
    return found


def math_golds() -> list[Output]:
    with (SHARED / "data" / "math500" / "test.jsonl").open(encoding="utf-8") as lines:
        golds = [json.loads(line)["answer"] for line in lines]
    return [(gold, rf"\boxed{{{other}}}") for gold, other in pairwise(golds)]


def speed(outputs: list[Output]) -> float:
    """Pairs a second of processor time, nothing remembered of answers; extraction included."""
    checker = Checker()
    checker.check(r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}")  # starts its process
    begun = processor_seconds()
    for gold, text in outputs:
        checker.check(read(text, "text", "lenient", gold), gold)
    seconds = processor_seconds() - begun
    checker.close()
    return len(outputs) / seconds


def speed_of(judge: Judge, outputs: list[Output]) -> float:
    """The same of another checker."""
    judge("1", "1")
    begun = processor_seconds()
    for gold, text in outputs:
        judge(f"${gold}$", text)
    return len(outputs) / (processor_seconds() - begun)


def processor_seconds() -> float:
    """Processor time of this process and of all that it started, so that other work on the machine does not count."""
    ended = os.times()
    running = sum(sum(child.cpu_times()[:4]) for child in psutil.Process().children(recursive=True))
    return time.process_time() + ended.children_user + ended.children_system + running


if __name__ == "__main__":
    extract("warm")
    main()
