"""Exact values of trees at given points, where they are rational and not too large."""

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

from rewards.algebra.arithmetic import mp, tick
from rewards.algebra.cursor import Tree

MOST_BITS = 20_000
"""Of an exact integer; a larger power or factorial is left to floating point."""

Env = Mapping[str, Fraction]


class NoValue(ValueError):
    """The tree has no value at this point, or is of no kind that has one."""


class Inexact(NoValue):
    """The value is not rational, or not seen to be."""


_NO_TREES = {"fn": 2, "call": 2, "big": 2, "seq": 3, "base": 3, "text": 2, "dec": 3, "time": 4, "inf": 1}
"""Places of a node that hold no trees, where these are more than its tag."""


def names(tree: Tree) -> set[str]:
    """All names in a tree but the constants pi, e and i."""
    found: set[str] = set()
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            found.add(node)
        elif isinstance(node, tuple):
            # What stands behind the tag of these is no tree.
            skip = _NO_TREES.get(node[0], 1) if node and isinstance(node[0], str) else 0
            if node and node[0] == "unit":
                stack.append(node[1])
            elif node and node[0] == "rel":
                stack.extend(node[2])
            else:
                stack.extend(node[skip:])
    return found - {"pi", "e", "i"}


def exact(tree: Tree, env: Env) -> Fraction:  # noqa: C901 (one case a kind of node)
    """The rational value of a tree.

    Raises:
        Inexact: where it is not rational, or too large to be built.
        NoValue: where it has none.
    """
    if isinstance(tree, Fraction):
        return tree
    if isinstance(tree, str):
        if tree in env:
            return env[tree]
        raise Inexact
    tick()
    match tree[0]:
        case "dec":
            return tree[1]
        case "+":
            return _total(operator.add, (exact(part, env) for part in tree[1:]))
        case "*":
            return _total(operator.mul, (exact(part, env) for part in tree[1:]))
        case "neg":
            return -exact(tree[1], env)
        case "/":
            below = exact(tree[2], env)
            if not below:
                raise NoValue
            return exact(tree[1], env) / below
        case "^":
            return _exact_power(exact(tree[1], env), exact(tree[2], env))
        case "pct":
            return exact(tree[1], env) / 100
        case "deg" | "unit":
            return exact(tree[1], env)
        case "ratio":
            return _exact_ratio([exact(part, env) for part in tree[1:]])
        case "fn":
            return _exact_function(tree[1], [exact(part, env) for part in tree[2:]])
    raise Inexact


def _total(operation: Callable[[Fraction, Fraction], Fraction], values: Iterator[Fraction]) -> Fraction:
    """Values put together, none of the results too large."""
    result = next(values)
    for value in values:
        result = operation(result, value)
        if result.numerator.bit_length() + result.denominator.bit_length() > 2 * MOST_BITS:
            raise Inexact
    return result


def _exact_ratio(values: list[Fraction]) -> Fraction:
    if len(values) != 2 or not values[1]:
        raise NoValue
    return values[0] / values[1]


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        root = _exact_root(base, exponent.denominator)
        return _exact_power(root, Fraction(exponent.numerator))
    power = exponent.numerator
    if not base and power <= 0:
        raise NoValue
    if (base.numerator.bit_length() + base.denominator.bit_length()) * abs(power) > MOST_BITS and base not in (0, 1, -1):
        raise Inexact
    return base**power


def _exact_root(value: Fraction, degree: int) -> Fraction:
    """The real root where it is rational. Of negative numbers none: powers have branches."""
    if value < 0 or degree > 64:
        raise Inexact
    parts = [_integer_root(part, degree) for part in (value.numerator, value.denominator)]
    return Fraction(parts[0], parts[1])


def _integer_root(value: int, degree: int) -> int:
    if value.bit_length() > MOST_BITS:
        raise Inexact
    if degree == 2:
        root = math.isqrt(value)
    elif value.bit_length() < 150:
        root = int(mp.nthroot(value, degree) + mp.mpf(1) / 2)
    else:
        raise Inexact
    if root**degree != value:
        raise Inexact
    return root


def _exact_function(name: str, values: list[Fraction]) -> Fraction:  # noqa: C901 (one case a kind of node)
    first = values[0]
    match name:
        case "abs":
            return abs(first)
        case "sqrt":
            return _exact_root(first, 2)
        case "root" if values[1].denominator == 1 and values[1] > 0:
            if first < 0 and values[1].numerator % 2:
                return -_exact_root(-first, values[1].numerator)
            return _exact_root(first, values[1].numerator)
        case "floor":
            return Fraction(math.floor(first))
        case "ceil":
            return Fraction(math.ceil(first))
        case "sgn":
            return Fraction((first > 0) - (first < 0))
        case "factorial":
            if first.denominator != 1 or first < 0:
                raise Inexact
            if first > 1_500:
                raise Inexact
            return Fraction(math.factorial(first.numerator))
        case "binom" if all(value.denominator == 1 for value in values) and 0 <= values[1] <= values[0] <= 2_000:
            return Fraction(math.comb(values[0].numerator, values[1].numerator))
        case "max":
            return max(values)
        case "min":
            return min(values)
        case "gcd" | "lcm" if all(value.denominator == 1 for value in values):
            if name == "gcd":
                return Fraction(math.gcd(*(value.numerator for value in values)))
            return _total(lambda left, right: Fraction(math.lcm(left.numerator, right.numerator)), iter(values))
    raise Inexact
