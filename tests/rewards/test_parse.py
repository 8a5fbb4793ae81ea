from fractions import Fraction

import pytest

from rewards.parse import NotAnExpression, expression, number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", Fraction(7)),
        ("-7", Fraction(-7)),
        ("−7", Fraction(-7)),
        ("+ 7", Fraction(7)),
        ("1,234,567", Fraction(1234567)),
        ("10{,}000", Fraction(10000)),
        ("0.1", Fraction(1, 10)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("203.0", Fraction(203)),
        ("1e3", Fraction(1000)),
        ("2.5E-2", Fraction(1, 40)),
        ("3/4", Fraction(3, 4)),
        ("-3 / 4", Fraction(-3, 4)),
        (r"\frac{3}{4}", Fraction(3, 4)),
        (r"-\dfrac{6}{8}", Fraction(-3, 4)),
        ("$42$", Fraction(42)),
    ],
)
def test_number(text: str, value: Fraction) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text", ["", "-", ".", "1,23", "1 2", "7 apples", "x", "1/0", "1e9999", "nan", "inf", "1" * 500, "0x10", "1_0"]
)
def test_no_number(text: str) -> None:
    assert number(text) is None


def test_expression_trees() -> None:
    assert expression("5 - 3 + 4") == ("+", ("-", 5, 3), 4)
    assert expression("2x^2") == ("*", 2, ("^", "x", 2))
    assert expression("-2^2") == ("-", 0, ("^", 2, 2))
    assert expression("2^3^2") == ("^", 2, ("^", 3, 2))
    assert expression(r"\frac{1}{2}\pi") == ("*", ("/", 1, 2), "pi")
    assert expression(r"\sqrt{2}") == ("sqrt", 2) == expression("sqrt(2)")
    assert expression("0.5") == ("/", 1, 2)
    assert expression(r"\left(1 + 2\right) \cdot 3") == ("*", ("+", 1, 2), 3)


@pytest.mark.parametrize(
    "text", ["", "1 +", "(1", "1)", "2 3", "yes", "import os", "__import__('os')", "x = 3", "1; 2", "(" * 500, "9" * 3000]
)
def test_no_expression(text: str) -> None:
    with pytest.raises(NotAnExpression):
        expression(text)
