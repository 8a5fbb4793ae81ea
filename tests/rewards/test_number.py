"""Plain numbers, exactly, without the parser."""

from fractions import Fraction

import pytest

from rewards.algebra.number import number, percentage


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", Fraction(7)),
        ("-7", Fraction(-7)),
        ("+ 7", Fraction(7)),
        ("007", Fraction(7)),
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
        (r"\frac34", Fraction(3, 4)),
        (r"\frac{-3}{4}", Fraction(-3, 4)),
        (r"-\dfrac{6}{8}", Fraction(-3, 4)),
        ("$42$", Fraction(42)),
        (r"\$1,250.50", Fraction(2501, 2)),
        ("10000000000000000000000001", Fraction(10**25 + 1)),
    ],
)
def test_number(text: str, value: Fraction) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "-", ".", "1,23", "1 2", "7 apples", "x", "1/0", "1e9999", "nan", "inf", "1" * 500, "0x10", "1_0", "--1", "1/2/3"],
)
def test_no_number(text: str) -> None:
    assert number(text) is None


def test_percentage() -> None:
    assert percentage("50%") == (Fraction(50), True)
    assert percentage("0.5") == (Fraction(1, 2), False)
    assert percentage("half") is None
