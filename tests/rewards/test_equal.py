"""Verdicts: right on plain cases of each kind, symmetric, deterministic, and never the work of the text itself."""

import json
from pathlib import Path

import mpmath
import pytest

from rewards.algebra import compare
from rewards.algebra.scalar import Policy, same_value
from rewards.equal import FLAW, Checker
from rewards.graders import grade_lines
from rewards.grading import Grade, Pair
from tests.rewards.pairs import DIFFERENT, EQUAL, pairs

BY_CASES = r"\begin{cases} x^2 & x\ge 0 \\ -x & x<0 \end{cases}"


@pytest.mark.parametrize(
    "text",
    [
        r"f(x)=\begin{cases} x^2, & x\geq 0, \\ -x, & x<0 \end{cases}",
        r"\begin{cases} -x & \text{if } x<0 \\ x^2 & \text{if } x\ge 0 \end{cases}",
        r"\left\{\begin{array}{ll} x^2, & x\ge 0 \\ -x, & x<0 \end{array}\right.",
        r"\begin{dcases} x\cdot x & 0\le x \\ -x & \text{otherwise.} \end{dcases}",
    ],
)
def test_functions_by_cases(checker: Checker, text: str) -> None:
    for gold in (BY_CASES, "f(x) = " + BY_CASES):
        assert checker.check(text, gold).outcome == checker.check(gold, text).outcome == "equal"
    for old, new in (("x^2", "x^3"), (r"x\ge 0", "x>0"), ("x<0", "x>0"), ("-x", "x")):
        assert checker.check(text, BY_CASES.replace(old, new)).outcome == "different"
    assert checker.check("x^2", BY_CASES).outcome == "different"


def test_cases_in_words(checker: Checker) -> None:
    gold = r"\begin{cases} 1 & \text{if } n \text{ is even} \\ 0 & \text{if } n \text{ is odd}\end{cases}"
    assert checker.check(r"\begin{cases} 0 & n \text{ odd} \\ 1 & n \text{ even}\end{cases}", gold).correct
    assert not checker.check(r"\begin{cases} 1 & n \text{ odd} \\ 0 & n \text{ even}\end{cases}", gold).correct
    assert not checker.check(r"\begin{cases} 1 & n \text{ odd} \\ 0\end{cases}", gold).correct


def test_a_long_list_is_not_cut(checker: Checker) -> None:
    everything = ", ".join(map(str, range(120)))
    assert not checker.check(", ".join(map(str, range(80))), everything).correct


@pytest.mark.parametrize(("left", "right"), pairs(EQUAL))
def test_equal(checker: Checker, left: str, right: str) -> None:
    assert checker.check(left, right).outcome == checker.check(right, left).outcome == "equal"


@pytest.mark.parametrize(("left", "right"), pairs(DIFFERENT))
def test_different(checker: Checker, left: str, right: str) -> None:
    assert checker.check(left, right).outcome == checker.check(right, left).outcome == "different"


@pytest.mark.parametrize(
    ("answer", "gold", "outcome", "stage"),
    [
        ("7", "7", "equal", "text"),
        ("7.0", "7", "equal", "number"),
        ("5 - 3 + 4", "6", "equal", "structure"),
        (r"\sum_{k=1}^{3} k", "6", "equal", "symbolic"),
        (r"\sum_{n=1}^{1000000000000} n^{n}", "6", "undecided", "symbolic"),
        ("9^{9^{9^{9}}}", "9^{9^{9^{8}}}", "undecided", "structure"),
        ("1/0", "1", "undecided", "structure"),
        ("{@ 12}", "12", "different", "structure"),
        ("12", "forty {@ monkeys", "undecided", "gold"),
        ("forty {@ monkeys", "forty {@ monkeys", "undecided", "gold"),
        ("{@}", "$ {@} $", "undecided", "gold"),
        (r"\forall x: x = x", r"\forall x : x=x", "equal", "text"),
        ("José", "José", "equal", "text"),
        ("(10!)!+1-(10!)!", "0", "undecided", "structure"),
        ("12", "", "undecided", "gold"),
        (None, "1", "no_answer", "extract"),
        ("  ", "1", "no_answer", "extract"),
        ("1+" * 999 + "1", "5", "different", "structure"),
    ],
)
def test_stages(checker: Checker, answer: str | None, gold: str, outcome: str, stage: str) -> None:
    verdict = checker.check(answer, gold)
    assert (verdict.outcome, verdict.stage) == (outcome, stage)
    assert verdict.reason


@pytest.mark.parametrize(
    ("policy", "answer", "gold"),
    [
        (Policy(rounding=0), "0.333", r"\frac{1}{3}"),
        (Policy(percent=False), "50", r"50\%"),
        (Policy(units=False), "10 cm", "10"),
        (Policy(ordered=True), "2, 1", "1, 2"),
    ],
)
def test_knobs_take_away_what_is_open(checker: Checker, policy: Policy, answer: str, gold: str) -> None:
    assert checker.check(answer, gold).correct
    assert not Checker(policy).check(answer, gold).correct


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        ("several", "zz", "choose all or any"),
        ("rounding", -1, "choose a whole number of digits, 0 or more"),
        ("rounding", "x", "choose a whole number of digits, 0 or more"),
        ("tolerance", -1, "choose a finite number, 0 or more"),
        ("tolerance", float("nan"), "choose a finite number, 0 or more"),
        ("tolerance", "0.01", "choose a finite number, 0 or more"),
    ],
)
def test_a_policy_that_is_none_is_refused(field: str, value: object, remedy: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}={value!r} .*; {remedy}$"):
        Policy(**{field: value})  # type: ignore[arg-type]


def test_rows_of_a_matrix_on_lines_of_their_own(checker: Checker) -> None:
    assert checker.check("\\begin{pmatrix}\n1 & 2 \\\\\n3 & 4\n\\end{pmatrix}", "[[1,2],[3,4]]").correct


def test_any_of_several_where_that_is_wanted(checker: Checker) -> None:
    either = Checker(Policy(several="any"))
    assert either.check("3", "2 or 3").correct
    assert either.check("3, 2", "2 or 3").correct
    assert not either.check("4", "2 or 3").correct
    assert not checker.check("3", "2 or 3").correct
    assert not either.check("3", "(2, 3)").correct


def test_tolerance_is_reft_s_only_when_asked_for(checker: Checker) -> None:
    assert Checker(Policy(tolerance=0.01)).check("3.005", "3").correct
    assert not checker.check("3.005", "3").correct
    assert not Checker(Policy(tolerance=0.01)).check("3.02", "3").correct


@pytest.mark.parametrize(
    "text",
    [
        r"30\cup 00", r"7binom{99}{7}", r"binom(4)", r"\max\{\}", r"\begin{pmatrix} 1 \\ \\ 2 \end{pmatrix}", r"x\cup 1",
        "f(1)\\cup(,36)", r"\begin{pmatrix} \sum_{k=1}^2 k \\ \\ \end{pmatrix}",
    ],
)  # fmt: skip
def test_what_fuzzing_found(checker: Checker, text: str) -> None:
    for other in ("8", "x+1", r"\{1, 2\}", "(1, 2)", r"\frac{n-1}{2}", "x < 5", text + "+1"):
        for verdict in (checker.check(text, other), checker.check(other, text)):
            assert not verdict.reason.startswith(FLAW), verdict.reason


def test_nobody_s_precision_counts() -> None:
    with mpmath.workdps(5):
        fresh = Checker()
        for left, right in pairs(EQUAL):
            assert fresh.check(left, right).correct
        assert mpmath.mp.dps == 5
        fresh.close()


@pytest.mark.parametrize(
    ("name", "least"),
    [("math_verify", 0.995), ("peers", 0.98), ("issues", 0.98), ("hostile", 0.99), ("real", 0.99), ("reflexive", 1.0)],
)
def test_labelled_pairs(shared: Path, name: str, least: float) -> None:
    """Pairs that are not marked doubtful, judged leniently; six of `real` label 4:30 p.m. as no answer to 4:30 p.m."""
    lines = [
        line for line in (shared / "checker" / f"{name}.jsonl").read_text().splitlines() if not json.loads(line).get("doubtful")
    ]
    right, slowest = 0, 0.0
    for pair, graded in grade_lines(enumerate(lines, 1), "lenient", Policy(), workers=1):
        assert isinstance(pair, Pair)
        assert isinstance(graded, Grade)
        right += graded.accepted == pair.expected
        slowest = max(slowest, graded.seconds)
        if pair.kind in ("reward_hack", "exploit", "code_injection"):
            assert graded.accepted <= bool(pair.expected), f"{pair.id}: a false positive"
    assert right / len(lines) >= least
    assert slowest < 5.0, "nothing comes near the deadline of a single comparison"


def test_a_set_is_another_at_its_first_part_that_the_other_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    comparisons = []
    monkeypatch.setattr(compare, "same_value", lambda *values: comparisons.append(values) or same_value(*values))
    roots = "\\{" + ", ".join(rf"\sqrt{{{number}}}" for number in range(101, 201)) + "\\}"
    for gold, answer in (("42", roots), (roots, "42"), (roots, r"\{\sqrt{2}, \sqrt{3}\}")):
        comparisons.clear()
        assert Checker().check(answer, gold).outcome == "different"
        assert len(comparisons) <= 100  # among themselves the roots would be compared 4,950 times


@pytest.mark.parametrize(
    ("gold", "answer", "outcome"),
    [
        (r"\{1, 2\}", r"\{2, 1, 1\}", "equal"),
        (r"\{1, 2\}", r"\{1, 1\}", "different"),
        (r"\{1\}", r"\{1, 2\}", "different"),
        (r"\{\sqrt8, 1\}", r"\{1, 2\sqrt2, 1\}", "equal"),
        (r"(1, 2), (3, 4)", r"(3, 4), (1, 2), (1, 2)", "equal"),
        (r"(1, 2), (3, 4)", r"(3, 4), (3, 4)", "different"),
    ],
)
def test_sets_hold_each_part_once(gold: str, answer: str, outcome: str) -> None:
    assert Checker().check(answer, gold).outcome == outcome
