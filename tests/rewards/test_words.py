"""Words in answers: units, counts, what changes a value, what is no product, and choices."""

import pytest

from rewards.equal import Checker, read


@pytest.mark.parametrize(
    "text",
    [
        "5 squared",
        "5 minus one",
        r"5 \text{ such that } 7",
        r"5\text{ is a lie}",
        "Not: 5",
        r"\text{wrong} = 5",
        "5 mod anything",
        "5asdf",
        "5..",
        "5 fewer",
        "5 fewer apples",
        "5 less apples",
        "5 possible answers",
        "almost 5",
        "5 roughly",
    ],
)
def test_words_that_change_a_value_are_not_skipped(checker: Checker, text: str) -> None:
    assert not checker.check(text, "5").correct


@pytest.mark.parametrize(
    "words",
    [
        "nope", "fake", "doubled", "halved", "cube", "reciprocal", "opposite", "teen", "fold", "sixes", "tens", "pairs",
        "couples", "score", "lakh", "kilo", "mega", "millionths", "upper bound", "exclusive", "onwards", "before", "after",
        "percentile",
    ],
)  # fmt: skip
def test_words_behind_a_number_that_count_nothing(checker: Checker, words: str) -> None:
    for text in (f"5 {words}", rf"5\text{{ {words}}}", f"five {words}"):
        assert not checker.check(text, "5").correct


@pytest.mark.parametrize("words", ["apples", "square units", "people", "liters of water", "km north", "in total", "boxes each"])
def test_words_behind_a_number_that_say_what_it_counts(checker: Checker, words: str) -> None:
    assert checker.check(rf"5\text{{ {words}}}", "5").correct
    assert checker.check("5", rf"5\text{{ {words}}}").correct


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\frac{dy}{dx}", r"\frac{y}{x}"), (r"\frac{d}{dx}x^2", "x"), (r"\frac{\partial f}{\partial x}", r"\frac{f}{x}"),
        (r"\frac{d^2y}{dx^2}", r"\frac{dy}{x^2}"), ("dy/dx", "y/x"), (r"p\land q", r"p\lor q"), (r"f\circ g", r"g\circ f"),
        (r"a\circ b", "ab"), (r"\vec a\times\vec b", r"\vec b\times\vec a"), ("n!!", "(n!)!"), (r"a\oplus b", r"b\oplus a"),
        ("HT", "TH"), (r"\text{HT}", r"\text{TH}"), ("HTH", "HHT"), ("HT, TT", "TH, TT"), (r"\text{ab}", "ba"),
        ("10:30 AM", "1/3"), ("2024-01-05", "2018"), ("1/2/2024", "1/4048"), ("4:30 p.m.", "4:30 a.m."),
    ],
)  # fmt: skip
def test_what_is_no_product_is_not_read_as_one(checker: Checker, left: str, right: str) -> None:
    for one, other in ((left, right), (right, left)):
        assert not checker.check(one, other).correct
        assert checker.check(f" {one} ", one).correct


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\text{ab}", "ab"), (r"\frac{ad}{bd}", r"\frac{a}{b}"), (r"x>3 \land x<5", "3<x<5"), ("01/02/2024", "1/2/2024"),
        (r"4:30\text{ p.m.}", "16:30"), (r"\vec a\cdot\vec b", r"\vec b\cdot\vec a"), (r"30\circ", r"30^\circ"),
        (r"x=1,\quady=2", "x=1, y=2"),
    ],
)  # fmt: skip
def test_what_looks_like_it_and_is_read(checker: Checker, left: str, right: str) -> None:
    assert checker.check(left, right).correct
    assert checker.check(right, left).correct


@pytest.mark.parametrize(
    ("gold", "letter"),
    [("(B) 3/4", "B"), ("C. 15", "C"), (r"\textbf{(C)}\ 17", "C"), ("(D) Alina", "D"), (r"$\text{(A)}\ 5$", "A")],
)
def test_a_choice_with_its_text(checker: Checker, gold: str, letter: str) -> None:
    for chosen in (letter, f"({letter})", rf"\text{{{letter}}}"):
        assert checker.check(chosen, gold).correct
        assert checker.check(gold, chosen).correct
    assert not checker.check("E", gold).correct
    assert not checker.check(gold, "E").correct


@pytest.mark.parametrize("gold", ["(B) 3/4", "B. 3/4", r"\textbf{(B)}\ \frac{3}{4}", r"$\text{(B) }\frac34$"])
def test_a_choice_by_its_text(checker: Checker, gold: str) -> None:
    for chosen in ("3/4", r"\frac34", "0.75", r"\text{(B) }3/4", "B) 3/4", r"(B)\ \frac{3}{4}"):
        assert checker.check(chosen, gold).correct
        assert checker.check(gold, chosen).correct
    for other in ("4/3", "(C) 3/4", "(B) 4/3", "C. 3/4", "A or B", "BC"):
        assert not checker.check(other, gold).correct
        assert not checker.check(gold, other).correct


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("B is correct", "B"), ("The answer is (B).", "(B)"), (r"\boxed{B}", "B"), (r"\boxed{3/4}", "3/4"),
        ("B) 3/4", "B) 3/4"), (r"\boxed{\text{(B) }3/4}", r"\text{(B) }3/4"),
        ("Therefore, option (B) is correct.", "B"), ("(C) 3/4", "(C) 3/4"),
    ],
)  # fmt: skip
def test_a_choice_with_its_text_is_found(text: str, answer: str) -> None:
    assert read(text, "text", "strict", "(B) 3/4") == answer


@pytest.mark.parametrize(
    ("gold", "answer", "correct"),
    [
        (r"5\text{ hours }30\text{ minutes}", "5 hours 30 minutes", True),
        (r"5\text{ hours }30\text{ minutes}", "5 hours 20 minutes", False),
        ("6 feet 2 inches", r"6\text{ ft }2\text{ in}", True),
        (r"45^{\circ}30^{\prime}", r"45.5^\circ", True),
        (r"45^{\circ}30^{\prime}", r"45.3^\circ", False),
        ("(A)", "(a)", True),
        ("(A)", "(b)", False),
        ("a", "A", False),
    ],
)
def test_spellings_of_units_and_letters(checker: Checker, gold: str, answer: str, correct: bool) -> None:
    assert checker.check(answer, gold).correct == correct
