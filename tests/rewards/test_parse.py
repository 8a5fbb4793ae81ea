"""Answers to trees: LaTeX, calculator notation and words, and nothing that is none of these."""

from fractions import Fraction as F

import pytest

from rewards.algebra.characters import plain
from rewards.algebra.parse import parse
from rewards.algebra.tokens import Unreadable, squash, tidy

HALF = ("/", F(1), F(2))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("5 - 3 + 4", ("+", F(5), ("neg", F(3)), F(4))),
        ("2x^2", ("*", F(2), ("^", "x", F(2)))),
        ("-2^2", ("neg", ("^", F(2), F(2)))),
        ("2^3^2", ("^", F(2), ("^", F(3), F(2)))),
        ("x^12", ("^", "x", F(12))),
        (r"\frac12", HALF),
        (r"\frac{1}{2}\pi", ("*", HALF, "pi")),
        (r"3\frac12", ("+", F(3), HALF)),
        ("3 1/2", ("+", F(3), HALF)),
        (r"\sqrt2", ("fn", "sqrt", F(2))),
        (r"\sqrt[3]{2}", ("fn", "root", F(2), F(3))),
        ("sqrt(2)", ("fn", "sqrt", F(2))),
        ("0.50", ("dec", F(1, 2), 2)),
        (r"\left(1 + 2\right) \cdot 3", ("*", ("+", F(1), F(2)), F(3))),
        (r"\sin^2 x", ("^", ("fn", "sin", "x"), F(2))),
        (r"\log_{10} 2", ("fn", "log", F(2), F(10))),
        ("(1, 2]", ("seq", "(", "]", F(1), F(2))),
        (r"\{1, 2\}", ("set", F(1), F(2))),
        ("1, 2 and 3", ("list", F(1), F(2), F(3))),
        ("x = 5", ("rel", ("=",), ("x", F(5)))),
        (r"1 < x \le 3", ("rel", ("<", "<="), (F(1), "x", F(3)))),
        (r"10 \text{ cm}", ("unit", F(10), "cm", "")),
        ("10 square feet", ("unit", F(10), "ft^2", "")),
        ("50%", ("pct", F(50))),
        (r"90^\circ", ("deg", F(90))),
        ("52_8", ("base", "52", 8)),
        ("a_{n}", "a_n"),
        ("3:4", ("ratio", F(3), F(4))),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", ("mat", ((F(1), F(2)), (F(3), F(4))))),
        ("yes", ("text", "yes")),
        (r"\infty", ("inf",)),
        (r"2 \pm 1", ("pm", F(2), F(1))),
        ("(n-2) 2^n", ("*", ("+", "n", ("neg", F(2))), ("^", F(2), "n"))),
        (r"63^\circ 45'", ("deg", ("+", F(63), ("/", F(45), F(60))))),
        (r"\approx 8.5", ("dec", F(17, 2), 1)),
        ("3./2", ("/", ("dec", F(3), 0), F(2))),
        ("f(x) = x", ("rel", ("=",), (("call", "f", "x"), "x"))),
        (r"\$5", ("unit", F(5), "dollar")),
        ("USD 5", ("unit", F(5), "dollar")),
        ("10 min", ("unit", F(10), "min", "")),
        (r"25\text{ m}^2", ("unit", F(25), "m^2", "")),
        ("5 meters per second", ("unit", F(5), "m s^-1", "")),
        ("5 million", ("*", F(5), F(1_000_000))),
        ("forty-two", F(42)),
        ("three apples", ("unit", F(3), "", "apple")),
        ("]2, 5]", ("seq", "(", "]", F(2), F(5))),
        ("[2, 5[", ("seq", "[", ")", F(2), F(5))),
        ("1, 2, ..., n", ("list", F(1), F(2), ("dots",), "n")),
        ("0.1666...", ("/", F(15), F(90))),
        (r"52_{(8)}", ("base", "52", 8)),
        (r"\frac{1}{2", HALF),
        ("√12", ("fn", "sqrt", F(12))),
        ("ab", ("*", "a", "b")),
        ("all real numbers", "mathbbR"),
        ("k^2 + 3m", ("+", ("^", "k", F(2)), ("*", F(3), "m"))),
    ],
)
def test_trees(text: str, tree: object) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    "text",
    ["1 +", "(1", "1)", "2 3", "__import__('os')", "5 or any other number", r"5 \text{ is wrong}", "(" * 500, "9" * 3000,
     "1+" * 999 + "1",
     r"\input{/etc/passwd}", "x.__class__", "{@ 12}", r"\text{" * 300, "", "...", "5 if the answer is 5", "16...18",
     r"17\text{ seems plausible}", r"17\text{ halves}", r"17\text{ less than } x", r"17\text{ tens and } 3 z w 4", "{{{5"],
)  # fmt: skip
def test_nothing_else_is_read(text: str) -> None:
    with pytest.raises(Unreadable):
        parse(text)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("x²", "x^{2}"), ("−５", "-5"), ("½", r"\frac{1}{2}"), ("x ≤ 3", r"x \le  3"), ("50％", "50%"),
        ("π", r"\pi "), ("a\u200bb", "ab"),
        ("①", "①"), ("А", "А"), ("\ud800", "\ud800"),
    ],
)  # fmt: skip
def test_characters(written: str, meant: str) -> None:
    assert plain(written) == meant


def test_looks_do_not_count() -> None:
    for left, right in (
        (r"\left( 3 , \dfrac{\pi}{2} \right)", r"(3,\frac{\pi}{2})"),
        (r"10,\!080", "10,080"),
        (r"\text{E}", "E"),
        ("$5$.", "5"),
    ):
        assert squash(tidy(left)) == squash(tidy(right))
