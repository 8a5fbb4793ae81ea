"""Verdicts: right on plain cases of each kind, symmetric, deterministic, and never the work of the text itself."""

import json
import threading
from multiprocessing import get_context
from pathlib import Path

import mpmath
import pytest

from rewards import equal
from rewards.algebra import arithmetic, compare, exact, numeric, points, relations
from rewards.algebra.scalar import Policy, same_value
from rewards.equal import FLAW, Checker, Verdict, read
from rewards.graders import grade_lines
from rewards.grading import Grade, Pair
from rewards.known import is_readable
from rewards.sandbox import Limits

EQUAL = """
7 | 7.0 ; 1,000 | 1000 ; 0.5 | \\frac{1}{2} ; \\frac12 | 1/2 ; 3\\frac{1}{2} | 7/2 ; 1 1/4 | 5/4 ; 1e3 | 1000
7.8\\times 10^2 | 780
50\\% | 50 ; 50\\% | 0.5 ; \\$10 | 10 ; 10 dollars | 10 ; 10\\text{ cm}^2 | 10 ; 45^\\circ | 45 ; 30^\\circ | \\frac{\\pi}{6}
(x-1)(x+1) | x^2 - 1 ; \\sqrt{8} | 2\\sqrt{2} ; \\tan^2(y)+1 | \\sec^2(y) ; 12^{10} | 2^{20} \\cdot 3^{10}
i(2-i) | 1+2i ; 20! | 2432902008176640000
1,-2 | -2,1 ; \\{1,2\\} | {2,1} ; (1,2) | (1, 2) ; 2 \\pm 1 | 1, 3 ; x=1, y=2 | 1, 2 ; -5,7 | 7 \\text{ and } -5
(-\\infty,3) | x<3 ; [0.5, 8] | 0.5 \\le x \\le 8 ; \\{x \\mid -1<x<1\\} | (-1,1) ; -x > -1 | x < 1
(0,9)\\cup(9,36) | (0,36) \\setminus \\{9\\}
x=5 | 5 ; f(z)=z+1 | f(x)=x+1 ; 2x+4y-3=0 | y = -\\frac{1}{2}x + \\frac{3}{4} ; x^2/4 + y^2/3 = 1 | x^2/16 + y^2/12 = 1/4
y=-8(x-3) | -8x+24
\\begin{pmatrix} 1/5 \\\\ -18/5 \\end{pmatrix} | \\begin{pmatrix} 0.2 \\\\ -3.6 \\end{pmatrix}
\\begin{matrix} 1 \\\\ 2 \\end{matrix} | [1, 2]
\\text{no} | No ; \\text{(A)} | A ; 3:1 | 3 ; 8:34 p.m. | 20:34 ; \\emptyset | \\{\\}
\\frac{\\pi}{6}+\\pi k | \\frac{\\pi}{6} + n\\pi
\\sum_{k=1}^{n} k | \\frac{n(n+1)}{2} ; 0.333 | \\frac{1}{3} ; 12^{\\mathrm{th}} | 12 ; 1/(1/x) | x
(-3,3) | |x|<3 ; (-3,3) | x^2<9 ; x^2-4>0 | |x|>2 ; \\frac{x-1}{x+2} \\le 0 | (-2,1] ; (x-1)^4 > 0 | x \\ne 1
\\frac{(x-1)^4}{x-2}>0 | x>2
(2,5] | ]2,5] ; [-1,4) | [-1,4[ ; \\mathbb{R} | all real numbers ; \\mathbb{R} | R ; (-\\infty,\\infty) | R
\\{x \\mid x<-2 \\text{ or } x>3\\} | (-\\infty,-2)\\cup(3,\\infty) ; x>3, x<-2 | (-\\infty,-2)\\cup(3,\\infty)
-2<k<2, k \\ne 0 | (-2,0)\\cup(0,2) ; \\mathbb{R} - \\{0\\} | x \\ne 0 ; x \\in \\mathbb{R}, x \\ne 1 | x \\ne 1
\\{y \\mid y \\ge 2\\} | \\{x \\mid x \\ge 2\\}
[[1,0],[2,-1]] | \\begin{pmatrix} 1 & 0 \\\\ 2 & -1 \\end{pmatrix}
\\begin{pmatrix} 1 & -1 \\\\ 1 & \\phantom -1 \\end{pmatrix} | \\begin{pmatrix} 1 & -1 \\\\ 1 & 1 \\end{pmatrix}
2\\begin{pmatrix} 1 & 0 \\\\ 0 & 1 \\end{pmatrix} | \\begin{pmatrix} 2 & 0 \\\\ 0 & 2 \\end{pmatrix}
(5,-3)^T | \\begin{pmatrix} 5 \\\\ -3 \\end{pmatrix}
(-1)^n | \\cos(n\\pi) ; ab | ba ; mgh | m \\cdot g \\cdot h ; ce^x | Ce^x ; seventeen | 17 ; 2.71828... | e
10 min | 10 minutes ; 8 h | 8 hours ; 25\\text{ m}^2 | 25 square meters ; 30 mph | 30 miles per hour ; 25\\text{ m}^2 | 25
5 million | 5000000 ; 30^\\circ | \\frac{\\pi}{6}\\text{ radians} ; \\$12.50 | USD 12.50 ; 5\\$ | 5 dollars
12 boys | twelve boys ; 2\\pi rh | 2\\pi hr ; \\pi r^2h | \\pi hr^2 ; 5 hr | 5 hours ; 9\\pi cm | 9\\pi
1 apple | 1 ; 20\\% increase | 20\\% ; 20 percent increase | 20\\%
2:15:20 | 4:30:40 ; 1,2,\\ldots,n | 1, 2, ..., n ; 52_8 | 52_{(8)} ; \\frac{10!}{3!7!} | 120
1.4142135623730951 | \\sqrt{2} ; x = \\frac{1+\\sqrt{97}}{8} \\approx 1.36 | \\frac{1+\\sqrt{97}}{8} ; 5+12=17 | 17
x=1, y=2 \\text{ or } x=2, y=1 | (1,2),(2,1) ; x \\ge 3 \\text{ or } x=0 | \\{0\\}\\cup[3,\\infty) ; t = 5\\text{ seconds} | 5 s
x=-2 | x+2=0 ; ab=1 | a=\\frac{1}{b} ; PV=nRT | P=\\frac{nRT}{V} ; xy=12 | y=\\frac{12}{x}
\\{2k \\mid k\\in\\mathbb{Z}\\} | \\{2n \\mid n\\in\\mathbb{Z}\\}
25^\\circ\\text{C} | 25^\\circ ; 25^\\circ\\text{C} | 25 ; \\operatorname{tg} x | \\tan x ; 3\\sin 2(x+1) | 3\\sin(2x+2)
Ae^{2x}+Be^{-x} | Be^{-x}+Ae^{2x} ; 2 sq ft | 2\\text{ ft}^2
f(n)=n, \\forall n\\in\\mathbb{N} | f(n)=n ; 6 more apples | 6
8\\frac{1}{3}\\% | \\frac{1}{12} ; 1/2\\% | 0.005 ; f^{-1}(x)=\\frac{x-3}{2} | \\frac{x-3}{2} ; red, blue | blue and red
9.8\\ \\mathrm{m/s^2} | 9.8\\text{ meters per second squared} ; 1500 g | 1500
0.\\dot3 | \\frac13 ; 0.\\bar{3} | 0.\\overline{3} ; 0.\\dot{1}4285\\dot{7} | \\frac17 ; 0.1(6) | 0.1\\dot{6}
0.\\dot{3}4\\dot{5} | \\frac{345}{999} ; 1~000 | 1000 ; 1~234\\;567\\text{ km} | 1234567 km ; x + 1\\,000 | 1000 + x
\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix} | -2 ; \\left|\\begin{array}{cc}1&2\\\\3&4\\end{array}\\right| | -2
\\det\\begin{pmatrix}2&0&0\\\\0&3&0\\\\1&1&x\\end{pmatrix} | 6x
(0,\\infty) | \\mathbb{R}^+ ; \\mathbb{R}^{*} | x \\ne 0 ; \\mathbb{R}_{\\ge 0} | x \\ge 0 ; \\mathbb{Z}^+ | \\mathbb{Z}^{+}
DNE | \\text{The limit does not exist} ; undefined | \\nexists ; no solution | There is no solution
infinitely many | \\text{infinitely many solutions}
\\angle ABC | \\angle CBA ; \\overline{AB} | \\overline{BA}
\\begin{cases} x=1 \\\\ y=2 \\end{cases} | x=1, y=2 ; \\begin{cases} x=1 \\\\ y=2 \\end{cases} | (1,2)
\\binom{n}{k} | {n \\choose k} ; 120 | {10 \\choose 3} ; n \\choose k | \\dbinom{n}{k} ; {a+b \\over 2} | \\frac{a+b}{2}
120 | C_{10}^{3} ; 120 | {}_{10}C_3 ; 120 | C(10,3) ; C_n^2 | C_{n}^{2}
x\\equiv 3\\pmod 7 | 3 ; 3 \\pmod 7 | x \\equiv 10 \\pmod{7} ; 17 \\bmod 5 | 2 ; 3 (mod 7) | 3\\mod 7 ; 17 mod 5 | 2
x\\equiv 1,5\\pmod{6} | x\\equiv 5\\pmod 6 \\text{ or } x\\equiv 1\\pmod 6 ; n \\equiv a \\pmod m | n\\equiv a \\text{ (mod } m)
a<x<b | (a,b) ; b>x>a | x\\in(a,b) ; x \\in [a,b] | a\\le x\\le b ; 0<x\\le 2a | (0,2a]
2A^{-1}B | A^{-1}\\cdot B \\cdot 2 ; A^TB | A^{T} B ; \\mathbf{a}\\times\\mathbf{b} | \\vec{a}\\times\\vec{b} ; \\mathbf{a} | a
P \\cdot V | V \\cdot P
105 | one hundred and five ; 105 | \\text{One hundred five} ; \\frac12 | one half ; \\frac12 | half ; \\frac23 | two-thirds
\\frac34 | three quarters ; 12 | a dozen ; 24 | two dozen ; 21 | twenty-first ; 3^{rd} | third ; -3 | minus three
-3 | negative 3 ; 5\\% | five percent ; 5\\% | 5 per cent ; 2.5 | two and a half ; 2.5 | 2 and a half ; 1500 | fifteen hundred
2.5\\text{ hours} | two and a half hours ; 1200 | one thousand two hundred ; 2,000,017 | two million and seventeen
20 USD | \\$20 ; 20 USD | 20 ; US\\$20 | 20 dollars ; 5\\,\\mu\\text{m} | 5 micrometers ; 5 μm | 5\\ \\mu m ; 5 μm | 5
3\\,\\mu F | 3 microfarads ; 10 kWh | 10\\text{ kWh} ; 10 kWh | 10 ; \\frac{GMm}{r^2} | GMm/r^2
100 MeV | 100\\ \\mathrm{MeV} ; \\mu m | m\\mu
(n+1)!-1 | -1+(n+1)! ; (n+1)! | (n+1)n! ; \\binom{n}{k} | \\frac{n!}{k!(n-k)!} ; 5:3 | 5 to 3
\\large 42 | 42 ; {\\Huge 42} | \\LARGE\\textbf{42} ; \\tt 42 | \\bold{42} ; \\small x^2 | x^2
1500 | 1500円 ; 12元 | 12 yuan ; 12元 | 12 ; ₹500 | 500 rupees ; 3 hours and 20 minutes | 3 hours 20 minutes
5 feet 3 inches | 5 feet and 3 inches ; 20^\\circ C | 20 ; 20^\\circ C | 20^{\\circ} \\text{C} ; 20°C | 20^\\circ C
12 | about 12 ; 12 | roughly 12 ; 12 | around 12 ; 12 | approximately 12 ; 12 | approx 12
x = 5+6 = 7 = 11 | 11 ; \\int_0^1 x^2 dx | \\frac{1}{3} ; \\int_0^1 e^{x^2} dx | \\int_0^1 e^{t^2} dt
"""
DIFFERENT = """
no | on ; yes | sey ; a | b ; x^2 | y^2 ; 10000000000000000001 | 10000000000000000002 ; 0.3 | 0.30000000000000004
3\\frac{1}{2} | 3/2
5.001 | 5 ; 0.5 | 50 ; 10 cm | 10 m ; 52_8 | 528 ; 52_8 | 52 ; (1,2) | (2,1) ; [0,9) | (0,9) ; x<5 | x>5 ; 1 or 2 or 3 | 2
\\pm 2 | 2 ; x^2=4 | x=2 ; x^2+1 | x^2+1=0 ; 0=0 | y=2x+3 ; e^{-50} | e^{-51} ; \\frac{1}{100000000!} | \\frac{1}{99999999!}
1331 and 1728 | 1728 ; |x| | x ; 1:2 | 2:1 ; 12:00 | 1:00 ; \\text{(A) or (C)} | C
{1,2,3} | {1,2,4}
\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix} | (1,3) ; \\infty | -\\infty ; 9^{9^{9^9}} | 42 ; F_{n} F_{n-1} | F_{n} F_{n-2}
\\sqrt{2x} | \\sqrt{2}x ; \\frac{1}{2x} | \\frac{12}{x} ; e^{2x} | e^{2}x ; 2 1/2 | 21/2 ; xy^2 | x^2y^2 ; \\overline{z} | z
(-\\infty,3) | |x|<3 ; |x|+|y|=1 | x+y=1 ; |x-5| | 5-x ; c|v| | cv ; (0,2) | \\{x^2 \\mid 0<x<2\\}
x>1 \\text{ and } x<3 | \\mathbb{R}
1 \\pm 2 \\mp 3 | 6,-4 ; 2:15:20 | 2:15:45 ; 15 cm | 15 cm^2 ; 5\\text{ m/s} | 5\\text{ km/h} ; 0.3 | 0.3\\%
1+e^{-100} | 1+e^{-101}
\\$5 | 5 cents ; \\$12.50 | 12.50\\% ; 10 pounds | 10 tons ; 5 hours | 5 seconds ; 30^\\circ | 30 radians ; €5 | £5
17 | x=16=17 ; 17 | 17 \\approx 18 ; 17 | 7=17 ; y=x | |y|=x ; m^2+5m | m^2+5 ; 10 | 10 million ; 12 | 12 dozen
[2,5) | ]2,5[ ; x>2 | x^2>4 ; x^2>4 | x=2 ; (-1)^n | (-1)^{n+1} ; (-1)^n | \\cos(2n\\pi) ; 6.25 | 6.255
f(2)=7 | f(3)=7 ; \\ln 2(x+1) | \\ln(2x+2) ; 25^\\circ\\text{C} | 25^\\circ\\text{F} ; 10 | ten-ish ; xy=12 | y=12x
1 | 1-e^{-300} ; x=3 | 3=3 ; 3 | 3=3 ; \\frac{3}{7} | \\frac{3}{7} \\approx 0.5 ; 3m | 3
0 | \\sqrt{10^{400}+1}-10^{200} ; x>1 \\text{ or } x<3 \\text{ and } x>2 | x>2 ; 2x+c | 2x+d
x=5+6=12=11 | 12
0.\\dot{3}4\\dot{5} | 0.\\overline{45} ; 0.\\dot{3} | 0.3 ; 0.(3) | 0.3 ; 1~000 | 1~001
(n+1)! | n!+1 ; 5:3 | 3 to 5
150 | one hundred and five ; \\frac12 | half of it ; 2 | two thirds ; 12 | dozens ; 3 | minus three
5\\% | six percent ; 20 USD | 20 EUR ; 5\\,\\mu\\text{m} | 5 mm ; 3\\,\\mu F | 3 pF ; 10 kWh | 10 kW ; 22 | twenty-first
\\frac13 | third
A^{-1}B | BA^{-1} ; A^TB | BA^T ; \\mathbf{A}\\mathbf{B} | \\mathbf{B}\\mathbf{A} ; (AB)^{-1} | A^{-1}B^{-1} ; (AB)^T | (BA)^T
\\mathbf{a}\\times\\mathbf{b} | \\mathbf{b}\\times\\mathbf{a} ; 3\\pmod 7 | 3\\pmod 5 ; x\\equiv 3\\pmod 7 | x\\equiv 4\\pmod 7
10 | 3\\pmod 7 ; 7 | 7 mod x ; x\\equiv 1,5\\pmod 6 | x\\equiv 1\\pmod 6 ; {n \\choose k} | {k \\choose n} ; C_1^2 | 0
a<x<b | (b,a) ; a<x<b | [a,b] ; 0<x<2a | (0,a) ; a<x<b | a<y<b
\\angle ABC | \\angle BCA ; \\angle ABC | \\angle BAC ; \\vec{AB} | \\vec{BA} ; \\mathbb{R}^+ | \\mathbb{R}^-
\\mathbb{Z}^+ | \\mathbb{Z}
\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix} | \\begin{pmatrix}1&2\\\\3&4\\end{pmatrix} ; DNE | \\infty ; undefined | 0
\\begin{cases} x=1 \\\\ y=2 \\end{cases} | (2,1) ; infinitely many | finitely many ; \\large 42 | 43
12元 | 12円 ; 3 hours 20 minutes | 3 hours 21 minutes ; 20^\\circ C | 20^\\circ F
12 boys | 12 girls ; 5 wins | 5 losses ; 20\\% increase | 20\\% decrease ; 5 km north | 5 km south
(1,2)\\cap(3,4) | (1,2)\\cup(3,4) ; \\int_0^1 e^{x^2} dx | \\int_0^2 e^{x^2} dx ; no | o n
"""


def pairs(text: str) -> list[tuple[str, str]]:
    rows = [entry.rpartition(" | ") for line in text.strip().splitlines() for entry in line.split(" ; ")]
    return [(left.strip(), right.strip()) for left, _, right in rows]


@pytest.fixture(scope="module")
def checker():
    made = Checker(limits=Limits(seconds=2.0))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("left", "right", "outcomes"),
    [
        (r"\cosh x-\sinh x", "e^{-x}", ["equal"]),
        (r"\cosh x-\sinh x", "2e^{-x}", ["different"]),
        (r"\operatorname{sech}^2 x", r"1-\tanh^2 x", ["equal"]),
        ("(e^x+e^{-x})^2-(e^x-e^{-x})^2", "4", ["equal"]),
        (r"\sqrt{10^{120}+1}-10^{60}", r"\frac{1}{\sqrt{10^{120}+1}+10^{60}}", ["equal"]),
        (r"\frac{1}{\cosh x-\sinh x}", "e^x", ["equal"]),
        (r"\frac{10^{10^{10}}}{10^{10^{10}}}", "1", ["undecided"]),
        ("1", "1^{10^{10^{10}}}", ["equal"]),
        (r"10^{4\cdot10^8}\cdot10^{4\cdot10^8}", r"10^{8\cdot10^8}", ["undecided"]),
        (r"\sqrt x", r"\sqrt x+10^{-97}", ["different"]),
        ("e^x", "e^x+e^{-5000}", ["different", "undecided"]),
        ("1", r"\tanh 10^4", ["different", "undecided"]),
        ("1", r"\cos 10^{-600}", ["different", "undecided"]),
        (r"\lfloor x\rfloor", r"\lceil x\rceil-1", ["different"]),
        (r"\lfloor x+\frac12\rfloor", r"\lceil x-\frac12\rceil", ["different"]),
        (r"\lfloor x+1\rfloor", r"1+\lfloor x\rfloor", ["equal"]),
        (r"\lfloor n/2\rfloor+\lceil n/2\rceil", "n", ["equal"]),
        (r"\lfloor n/2\rfloor+\lfloor n/2\rfloor", "n", ["different"]),
        (r"\ln(\sec x+\tan x)+C", r"\ln|\sec x+\tan x|+C", ["equal"]),
        (r"\frac12\ln\frac{1+x}{1-x}", r"\operatorname{artanh} x", ["equal"]),
        (r"\frac12\ln\frac{1+x}{1-x}", r"2\operatorname{artanh} x", ["different"]),
        (r"\cos(\arcsin x)", r"\sqrt{1-x^2}", ["equal"]),
        (r"\lfloor\log_2 8\rfloor", "2", ["undecided"]),
    ],
)
def test_what_cancels_or_is_small_is_seen(checker: Checker, left: str, right: str, outcomes: list[str]) -> None:
    assert checker.check(left, right).outcome in outcomes
    assert checker.check(right, left).outcome in outcomes


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (r"\sqrt{ab}", r"\sqrt a\sqrt b", True),
        (r"\sqrt{\frac{2h}{g}}", r"\frac{\sqrt{2gh}}{g}", True),
        (r"\frac1{\sqrt{LC}}", r"\frac1{\sqrt L\sqrt C}", True),
        (r"2\pi\sqrt{\frac{l}{g}}", r"\frac{2\pi\sqrt l}{\sqrt g}", True),
        (r"y=\sqrt{ab}", r"y=\sqrt a\sqrt b", True),
        (r"\sqrt{x^2}", "|x|", True),
        (r"\sqrt{x^2}", "x", False),
        (r"\sqrt y+|x|", r"\sqrt y+x", False),
        (r"\sqrt{ab}", r"\sqrt a+\sqrt b", False),
    ],
)
def test_names_are_positive_where_roots_of_them_need_it(checker: Checker, left: str, right: str, same: bool) -> None:
    assert checker.check(left, right).correct == checker.check(right, left).correct == same


@pytest.mark.parametrize(
    ("left", "right"),
    [("x^2+y^2=26", "x^2+y^2-26=0"), ("3x-2y=5", r"y=\frac{3x-5}{2}"), ("4x^2-9y^2>36", r"\frac{x^2}{9}-\frac{y^2}4>1")],
)
def test_polynomials_are_compared_exactly(monkeypatch: pytest.MonkeyPatch, left: str, right: str) -> None:
    monkeypatch.setattr(numeric, "Evaluation", None)
    monkeypatch.setattr(points, "Evaluation", None)
    monkeypatch.setattr(relations, "numeric", lambda tree, env: exact.exact(tree, env))
    assert Checker().check(left, right).correct


@pytest.mark.parametrize(
    ("left", "right", "outcome"),
    [
        (r"\int_0^\pi \sin x dx", "2", "equal"),
        (r"\int_0^{\pi/2}\cos 2x\,dx", "0", "equal"),
        (r"\int_{-1}^1 x^3\,dx", "0", "equal"),
        (r"\int_{-1}^1 x^2\,dx", "0", "different"),
        (r"\int_0^1 x^2+x\,dx", r"\frac56", "equal"),
        (r"\int_0^1 x\,dx+2", r"\frac52", "equal"),
        (r"\int_0^1\int_0^2 x^2y\,dx\,dy", r"\frac43", "equal"),
        (r"\int_0^\infty e^{-x} dx", "1", "equal"),
        (r"\int_{-\infty}^{\infty} e^{-x^2} dx", r"\sqrt{\pi}", "equal"),
        (r"\int_1^\infty \frac{dx}{x^2}", "2", "different"),
        (r"\int_a^b 2x\,dx", "b^2-a^2", "equal"),
        (r"\int_0^x t\,dt", r"\frac{x^2}{3}", "different"),
        (r"\int x\,dx", r"\frac{x^2}{2}+C", "equal"),
        (r"\int x\,dx", r"\frac{x^2}{2}", "undecided"),
        (r"\int x\,dx", r"\frac{x^2}{3}+C", "different"),
        (r"\sum_{i=0}^n\binom ni", "2^n", "equal"),
        (r"\sum_{k=1}^n k\cdot k!", "(n+1)!-1", "equal"),
        (r"\sum_{k=1}^n k\cdot k!", "(n+1)!", "different"),
        (r"\sum_{n=1}^\infty \frac1{n^3}", r"\zeta(3)", "equal"),
        (r"\sum_{k=0}^{n-1} r^k", r"\frac{1-r^n}{1-r}", "equal"),
        (r"\lim_{x\to 0^+}\frac{1}{x}", r"\infty", "equal"),
        (r"\zeta(x+1)", r"\zeta x+\zeta", "equal"),
        (r"\Gamma\left(\frac12\right)", r"\sqrt\pi", "equal"),
        (r"\lim_{x\to0}\frac{|x|}{x}", "1", "undecided"),
        (r"\lim_{x\to0^+}\frac{|x|}{x}", "1", "equal"),
        (r"\lim_{x\to0^{-}}\frac{|x|}{x}", "-1", "equal"),
        (r"\lim_{x\to0^+}\frac{|x|}{x}", "-1", "different"),
        (r"\lim_{n\to\infty}\left(1+\frac1n\right)^n", "e", "equal"),
        (r"\sum_{k=0}^1 \coth(k+1)", r"\coth 1+\coth 2", "equal"),
    ],
)
def test_integrals_sums_and_limits(checker: Checker, left: str, right: str, outcome: str) -> None:
    assert checker.check(left, right).outcome == checker.check(right, left).outcome == outcome


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


@pytest.mark.parametrize("gold", [r"\emptyset", r"\{\}", "(0,1]", "B)", "José"])
def test_a_known_answer_of_signs_is_one(checker: Checker, gold: str) -> None:
    assert checker.check(gold, gold).correct


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


def test_towers_are_not_built(checker: Checker) -> None:
    for text in ("1^{10^{100000000}}", r"\sqrt[9^{9^9}]{-2}", "(-1)^{10^{100000000}}"):
        assert checker.check(text, "5").outcome != "equal"


def test_a_long_list_is_not_cut(checker: Checker) -> None:
    everything = ", ".join(map(str, range(120)))
    assert not checker.check(", ".join(map(str, range(80))), everything).correct


def test_a_fork_has_children_of_its_own(checker: Checker) -> None:
    assert _INHERITED.check(r"\sum_{k=1}^{10} k", "55").correct
    with get_context("fork").Pool(2) as pool:
        found = pool.starmap(_check_sum, [(checker.policy, n) for n in range(2, 10)])
    assert found == ["equal"] * 8


def _check_sum(policy: Policy, n: int) -> str:
    return _INHERITED.check(rf"\sum_{{k=1}}^{{{n}}} k", str(n * (n + 1) // 2)).outcome


_INHERITED = Checker()


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


def test_tolerance_is_reft_s_only_when_asked_for(checker: Checker) -> None:
    assert Checker(Policy(tolerance=0.01)).check("3.005", "3").correct
    assert not checker.check("3.005", "3").correct
    assert not Checker(Policy(tolerance=0.01)).check("3.02", "3").correct


def test_nothing_in_an_answer_is_run(checker: Checker, tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    for text in (
        f"open('{bait}','w')",
        f"__import__('os').system('touch {bait}')",
        f"[open('{bait}','w')]",
        f"\\input{{{bait}}}",
    ):
        assert not checker.check(text, "1").correct
    assert not bait.exists()


SAME_TEXTS = "rewards.algebra.compare:same_texts"


def test_long_comparisons_are_made_where_they_can_be_killed(checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [checker.check(left, right) for left, right in pairs(EQUAL + DIFFERENT)]
    monkeypatch.setattr(equal, "HERE_SECONDS", -1.0)
    monkeypatch.setattr(arithmetic, "STEPS", 1)
    fresh = Checker()
    assert [fresh.check(left, right) for left, right in pairs(EQUAL + DIFFERENT)] == wanted
    fresh.close()
    late = Checker(limits=Limits(start_seconds=0.0))
    assert late.check("x+x", "2x") == Verdict("undecided", "structure", f"{SAME_TEXTS} was not there within 0 s", True)


def test_what_a_deadline_ended_is_not_remembered() -> None:
    roots = ",".join(rf"\sqrt{{{n}}}" for n in range(2, 110))
    powers = ",".join(f"{n}^.5" for n in range(109, 1, -1))
    sets = rf"\{{{roots}\}}", rf"\{{{powers}\}}"
    checker = Checker(limits=Limits(seconds=0.02))
    for answer, gold, stage in ((*sets, "structure"), (r"\prod_{n=1}^{9999} (1+\frac{1}{n^n})", "6", "symbolic")):
        verdict = checker.check(answer, gold)
        assert (verdict.outcome, verdict.stage, verdict.unfinished) == ("undecided", stage, True)
    assert not len(checker.verdicts)
    checker.close()


def test_verdicts_are_remembered_by_the_normal_form(monkeypatch: pytest.MonkeyPatch) -> None:
    checker = Checker(remembered_bytes=5_000)
    for answer in ("x+1", " $x + 1$. ", r"x\,+\,1"):
        assert checker.check(answer, "x+2").outcome == "different"
    assert len(checker.verdicts) <= 2, "`x+1` and `x + 1`"
    for number in range(100):
        checker.check(f"x+{number}", "x-1")
    assert checker.verdicts.bytes <= 5_000
    monkeypatch.setattr(equal, "same", None)
    assert checker.check("x+99", "x-1").outcome == "different"
    assert "the checker failed" in checker.check("x+1", "x-1").reason, "what was not used for longest went first"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("x^{100}+y^{100}=1", "x^{100}+y^{100}=2"),
        ("x^{1000}+y^{1000}=1", "x^{1000}+y^{1000}=2"),
        ("x^{2024}-1=0", "x^{2024}-5=0"),
        ("10^{40}x+y=1", "10^{40}x+y=2"),
        ("x^{100}+y^{100}>1", "x^{100}+y^{100}>2"),
        ("2y=10^{-40}x", "y=10^{-41}x"),
        (r"\frac{1}{2^{200}}", r"x=\frac1{2^{201}}=\frac1{2^{200}}"),
    ],
)
def test_small_constants_of_relations_count(checker: Checker, left: str, right: str) -> None:
    assert checker.check(left, right).outcome == checker.check(right, left).outcome != "equal"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("x^{100}+y^{100}=1", "2x^{100}+2y^{100}-2=0"),
        ("y=10^{-41}x", "10^{41}y=x"),
        (r"\pi x>10^{-60}", r"x>\frac{10^{-60}}{\pi}"),
        (r"\sqrt{2}x+\pi y=e", r"2x+\sqrt2\pi y-\sqrt{2}e=0"),
        ("x=\\sin(\\pi)=0", "0"),
    ],
)
def test_relations_that_say_the_same_still_do(checker: Checker, left: str, right: str) -> None:
    assert checker.check(left, right).correct
    assert checker.check(right, left).correct


@pytest.mark.parametrize(
    ("left", "right"),
    [("2000!", "2000!+1"), ("e^{1000}", "e^{1000}+1"), ("10^{9000}", "10^{9000}-1"), (r"\sqrt{10^{100}+1}", "10^{50}")],
)
def test_what_is_lost_beside_something_huge_is_not_guessed(checker: Checker, left: str, right: str) -> None:
    assert checker.check(left, right).outcome == checker.check(right, left).outcome != "equal"
    assert checker.check(f"({left})-5", left).outcome in ("undecided", "different")


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


def test_a_known_answer_longer_than_answers_are(checker: Checker) -> None:
    gold = "1+" * 1_000_000 + "1"
    assert checker.check(gold, gold).stage == "gold", "it is none, and earns nothing"
    assert checker.check("7", gold).stage == "gold"
    assert not is_readable(gold)
    assert read("7", "text", "lenient", " " * 10_000_000) == "7"


def test_threads_agree(checker: Checker) -> None:
    wanted = [checker.check(left, right) for left, right in pairs(EQUAL + DIFFERENT)]
    fresh, results = Checker(), {}

    def work(number: int) -> None:
        results[number] = [fresh.check(left, right) for left, right in pairs(EQUAL + DIFFERENT)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh.close()
    assert all(results[number] == wanted for number in range(8))


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
