"""Known answers: which are broken and earn nothing, which are met by their text, which are told before a run."""

import pytest

from rewards.equal import Checker, read
from rewards.known import is_readable


@pytest.mark.parametrize("gold", [r"\emptyset", r"\{\}", "(0,1]", "B)", "José"])
def test_a_known_answer_of_signs_is_one(checker: Checker, gold: str) -> None:
    assert checker.check(gold, gold).correct


@pytest.mark.parametrize(
    "gold",
    [
        "x^", "1/", "2x+", "x=", r"\begin{pmatrix}1", r"\frac{1}", "{5", "N/A", r"x^2 }{ y", r"forty-two monkeys }{ \frac",
        "3 apples)", "null", "nan", " None ", r"\nosuchcommand", r"\frac{dy}{dx} =", r"\frac{1}{", "asdf (( qq", "???", "-",
        ".", r"\text{}", "forty {@ monkeys",
    ],
)  # fmt: skip
def test_a_known_answer_that_is_none_earns_nothing(checker: Checker, gold: str) -> None:
    assert checker.check(gold, gold).stage == "gold"
    assert checker.check(f"{gold} ", gold).outcome == "undecided"
    assert not is_readable(gold)


@pytest.mark.parametrize(
    "gold",
    [
        r"9\text{ a.m.}", "7 p.m.", "0.0011_{2}", r"\text{A5}_{11}", r"179^{\circ} 59^{\prime} 56^{\prime\prime}",

        "np.arcsin(10/13)",
        r"x_{0} \cos (\omega t)+$ $\dot{x}_{0} \sin (\omega t) / \omega", r"$n=3^{k}$ for $k \geq 0$", "1 2 3",
    ],
)  # fmt: skip
def test_a_known_answer_that_the_parser_does_not_know_is_met_by_its_text(checker: Checker, gold: str) -> None:
    assert checker.check(gold, gold).correct
    assert not checker.check(gold + "1", gold).correct
    assert not checker.check("1", gold).correct


@pytest.mark.parametrize(
    "gold",
    [
        "Evelyn", "HT", r"\text{Yes}", r"\text{October 30}", "none of these", "a necessary, but not a sufficient condition",
        "the interval ]0, 1[ and 2", "星期一", r"when $x=3$ (twice), else never", r"\frac{dy}{dx}=\phi y",
        r"a \nosuchrelation b",
    ],
)  # fmt: skip
def test_a_known_answer_beyond_the_grammar_is_met_by_its_text(checker: Checker, gold: str) -> None:
    assert checker.check(gold, gold).correct


@pytest.mark.parametrize(("gold", "known"), [("12", True), ("B", True), (r"\frac{x}{2}", True), ("forty {@ monkeys", False)])
def test_known_answers_that_cannot_be_read_are_told(gold: str, known: bool) -> None:
    assert is_readable(gold) == known


def test_a_known_answer_longer_than_answers_are(checker: Checker) -> None:
    gold = "1+" * 1_000_000 + "1"
    assert checker.check(gold, gold).stage == "gold", "it is none, and earns nothing"
    assert checker.check("7", gold).stage == "gold"
    assert not is_readable(gold)
    assert read("7", "text", "lenient", " " * 10_000_000) == "7"
