"""Where the difference of two sides may change its sign: real roots of polynomials, quotients and what stands between bars."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import product

from mpmath.libmp import NoConvergence

from rewards.algebra.arithmetic import Real, is_real, mp, tick
from rewards.algebra.cursor import Tree, tag
from rewards.algebra.exact import NoValue, names
from rewards.algebra.numeric import DIGITS, numeric

HIGHEST_DEGREE = 6
MOST_BARS = 3
"""Absolute values in a relation; each doubles the work."""

Polynomial = list[Real]
"""Coefficients, the constant first."""


class NoRoots(ValueError):
    """The tree is no quotient of polynomials, or of too high a degree."""


def breaks(tree: Tree, name: str) -> tuple[list[Real], list[Real]]:
    """Roots in order, and the places where there is no value.

    Raises:
        NoRoots: for what is not made of polynomials, quotients and absolute values in `name`.
    """
    bars = _bars(tree)
    if len(bars) > MOST_BARS:
        raise NoRoots
    roots: list[Real] = []
    poles: list[Real] = []
    for inner in bars:
        roots += _real_roots(_quotient(_opened(inner, {}), name)[0])
    for signs in product((1, -1), repeat=len(bars)):
        for factor in _factors(_opened(tree, dict(zip(bars, signs, strict=True)))):
            above, below = _quotient(factor, name)
            roots += _real_roots(above)
            poles += _real_roots(below)
    return sorted({*roots, *poles}), poles


def is_linear(tree: Tree, name: str) -> bool:
    """Whether a tree is a polynomial of the first degree in `name`."""
    try:
        above, below = _quotient(tree, name)
    except (NoRoots, NoValue):
        return False
    return len(above) == 2 and len(below) == 1


def _bars(tree: Tree) -> list[Tree]:
    """What stands between bars, each once, the innermost first."""
    found: list[Tree] = []
    if isinstance(tree, tuple):
        for part in tree[1:]:
            found += [inner for inner in _bars(part) if inner not in found]
        if tree[:2] == ("fn", "abs") and tree[2] not in found:
            found.append(tree[2])
    return found


def _opened(tree: Tree, signs: dict[Tree, int]) -> Tree:
    """The tree with each absolute value as what is inside, or its negative; `signs` says which."""
    if not isinstance(tree, tuple):
        return tree
    if tree[:2] == ("fn", "abs"):
        inner = _opened(tree[2], signs)
        return inner if signs.get(tree[2], 1) > 0 else ("neg", inner)
    return (tree[0], *(_opened(part, signs) for part in tree[1:]))


def _factors(tree: Tree) -> list[Tree]:
    """What a product is made of, each power as its base: roots that repeat are hard to find in what is multiplied out."""
    match tree:
        case ("+", inner, ("neg", nothing)) if nothing == 0:
            return _factors(inner)
        case ("*", *factors):
            return [part for factor in factors for part in _factors(factor)]
        case ("^", base, exponent) if isinstance(exponent, Fraction) and exponent > 0:
            return _factors(base)
        case ("/", above, below):
            return [*_factors(above), *(("/", Fraction(1), part) for part in _factors(below))]
        case ("neg", inner):
            return _factors(inner)
    return [tree]


def _quotient(tree: Tree, name: str) -> tuple[Polynomial, Polynomial]:
    if tree == name:
        return [mp.mpf(0), mp.mpf(1)], [mp.mpf(1)]
    if name not in names(tree):
        return [_real(numeric(tree, {}))], [mp.mpf(1)]
    match tag(tree):
        case "+":
            above, below = _quotient(tree[1], name)
            for part in tree[2:]:
                more, under = _quotient(part, name)
                above, below = _sum(_product(above, under), _product(more, below)), _product(below, under)
            return above, below
        case "neg":
            above, below = _quotient(tree[1], name)
            return [-coefficient for coefficient in above], below
        case "*":
            return _power([_quotient(part, name) for part in tree[1:]])
        case "/":
            above, below = _quotient(tree[1], name)
            under, over = _quotient(tree[2], name)
            return _product(above, over), _product(below, under)
        case "^" if isinstance(tree[2], Fraction) and tree[2].denominator == 1 and 0 < tree[2] <= HIGHEST_DEGREE:
            return _power([_quotient(tree[1], name)] * tree[2].numerator)
    raise NoRoots


def _power(factors: Sequence[tuple[Polynomial, Polynomial]]) -> tuple[Polynomial, Polynomial]:
    above, below = factors[0]
    for more, under in factors[1:]:
        above, below = _product(above, more), _product(below, under)
    return above, below


def _real(value: Real) -> Real:
    if not is_real(value):
        raise NoRoots
    return value


def _sum(left: Polynomial, right: Polynomial) -> Polynomial:
    size = max(len(left), len(right))
    padded = [[*side, *[mp.mpf(0)] * (size - len(side))] for side in (left, right)]
    return [a + b for a, b in zip(*padded, strict=True)]


def _product(left: Polynomial, right: Polynomial) -> Polynomial:
    tick()
    if len(left) + len(right) - 2 > HIGHEST_DEGREE:
        raise NoRoots
    found = [mp.mpf(0)] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            found[i + j] += a * b
    return found


def _real_roots(polynomial: Polynomial) -> list[Real]:
    """Real roots, each as often as it repeats."""
    size = max(abs(coefficient) for coefficient in polynomial)
    tiny = mp.mpf(10) ** (-DIGITS + 10)
    while polynomial and abs(polynomial[-1]) <= size * tiny:
        polynomial = polynomial[:-1]
    if len(polynomial) < 2:
        return []
    try:
        roots = mp.polyroots(polynomial[::-1], maxsteps=200, extraprec=400)
    except NoConvergence as error:
        raise NoRoots from error
    return [mp.re(root) for root in roots if abs(mp.im(root)) <= mp.mpf(10) ** (-DIGITS // 3)]
