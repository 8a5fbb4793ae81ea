import pytest

from rewards.equal import Checker
from rewards.sandbox import Limits


@pytest.fixture(scope="module")
def checker():
    made = Checker(limits=Limits(seconds=2.0))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("answer", "gold", "outcome", "stage"),
    [
        ("7", "7", "equal", "text"),
        ("7", "7.0", "equal", "number"),
        ("1,000", "1000", "equal", "number"),
        ("0.5", r"\frac{1}{2}", "equal", "number"),
        ("10000000000000000001", "10000000000000000002", "different", "number"),
        ("0.3", "0.30000000000000004", "different", "number"),
        ("5 - 3 + 4", "6", "equal", "symbolic"),
        ("5 - 3 + 4", "7", "different", "symbolic"),
        ("(x-1)(x+1)", "x^2 - 1", "equal", "symbolic"),
        (r"\sqrt{8}", r"2\sqrt{2}", "equal", "symbolic"),
        ("x + 1", "x + 2", "different", "symbolic"),
        ("yes", "sey", "different", "text"),
        ("a", "b", "different", "symbolic"),
        ("1/0", "1", "undecided", "symbolic"),
        ("9^9^9^9", "9^9^9^8", "undecided", "symbolic"),
        (None, "1", "no_answer", "extract"),
        ("  ", "1", "no_answer", "extract"),
    ],
)
def test_verdicts(checker: Checker, answer: str | None, gold: str, outcome: str, stage: str) -> None:
    verdict = checker.check(answer, gold)
    assert (verdict.outcome, verdict.stage) == (outcome, stage)
    assert verdict.reason


@pytest.mark.parametrize(("left", "right"), [("7", "7.0"), ("5 - 3", "2"), ("x", "y"), ("1e3", "1000"), ("9^9^9^9", "1")])
def test_symmetric(checker: Checker, left: str, right: str) -> None:
    assert checker.check(left, right).outcome == checker.check(right, left).outcome


def test_tolerance_is_reft_s_only_when_asked_for() -> None:
    assert Checker(Policy(tolerance=0.01)).check("3.005", "3").correct
    assert not Checker().check("3.005", "3").correct
    assert not Checker(Policy(tolerance=0.01)).check("3.02", "3").correct


def test_nothing_in_an_answer_is_run(checker: Checker, tmp_path) -> None:
    bait = tmp_path / "bait"
    for text in (f"open('{bait}','w')", f"__import__('os').system('touch {bait}')", f"\\boxed{{[open('{bait}','w')]}}"):
        assert not checker.check(text, "1").correct
    assert not bait.exists()
