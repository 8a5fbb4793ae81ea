"""Values of trees at given points, to fifty digits and more. Bounded in time.

Towers and factorials are not built: a magnitude beyond `LARGEST_LOG` is `Huge`, and two huge values are not told apart.
"""

import hashlib
from fractions import Fraction

from rewards.algebra.arithmetic import Complex, Real, is_real, mp, tick
from rewards.algebra.cursor import Tree, tag
from rewards.algebra.exact import Env, NoValue, exact

LARGEST_LOG = 10**9
"""Natural logarithm of the largest magnitude that is computed with."""
LARGEST_EXPONENT = 10**15
"""And degree of a root; whether a larger one is whole cannot be seen without building it."""
DIGITS = 50
MORE_DIGITS = 160
"""For values that agree, or vanish, at the usual precision."""
PROOF_DIGITS = 1_000
"""Of values that agree, looked at once more: 1 and 1 - e^-300 differ."""
MOST_REACH = 2_000
"""Digits of the largest terms of a sum beyond which it cannot be told what is left of them."""


class Huge(NoValue):
    """A magnitude beyond `LARGEST_LOG`."""


def numeric(tree: Tree, env: Env) -> Complex:
    """The value of a tree at mpmath's working precision, real or complex.

    Raises:
        NoValue: where it has none; `Huge` where it is too large to compute with.
    """
    value = _numeric(tree, env)
    if not mp.isfinite(value):
        raise NoValue
    return value.real if not is_real(value) and value.imag == 0 else value


def _numeric(tree: Tree, env: Env) -> Complex:  # noqa: C901 (one case a kind of node)
    tick()
    if isinstance(tree, Fraction):
        return mp.mpf(tree.numerator) / tree.denominator
    if isinstance(tree, str):
        if tree in env:
            return mp.mpf(env[tree].numerator) / env[tree].denominator
        constant = {"pi": mp.pi, "e": mp.e, "i": mp.mpc(0, 1)}.get(tree)
        if constant is None:
            raise NoValue(f"{tree} is not known")
        return +constant
    match tree[0]:
        case "dec":
            return mp.mpf(tree[1].numerator) / tree[1].denominator
        case "+":
            return mp.fsum(_numeric(part, env) for part in tree[1:])
        case "*":
            return mp.fprod(_numeric(part, env) for part in tree[1:])
        case "neg":
            return -_numeric(tree[1], env)
        case "/":
            return _divide(_numeric(tree[1], env), _numeric(tree[2], env))
        case "^":
            return _power(tree[1], tree[2], env)
        case "pct":
            return _numeric(tree[1], env) / 100
        case "deg" | "unit":
            return _numeric(tree[1], env)
        case "base":
            return mp.mpf(_in_base(tree[1], tree[2]))
        case "ratio" if len(tree) == 3:
            return _divide(_numeric(tree[1], env), _numeric(tree[2], env))
        case "fn":
            return _function(tree[1], tree[2:], env)
        case "call" | "big":
            return _opaque(tree, env)
    raise NoValue(f"{tree[0]} has no single value")


def _in_base(digits: str, base: int) -> int:
    if not 2 <= base <= 36:
        raise NoValue
    try:
        return int(digits, base)
    except ValueError as error:
        raise NoValue from error


def _divide(above: Complex, below: Complex) -> Complex:
    if below == 0:
        raise NoValue("division by zero")
    return above / below


def _power(base_tree: Tree, exponent_tree: Tree, env: Env) -> Complex:
    base, exponent = _numeric(base_tree, env), _numeric(exponent_tree, env)
    if base == 0:
        if mp.re(exponent) <= 0:
            raise NoValue
        return mp.mpf(0)
    if base == 1:
        return mp.mpf(1)
    if abs(exponent) > LARGEST_EXPONENT:
        raise Huge
    if abs(exponent) * abs(mp.log(abs(base))) > LARGEST_LOG:
        raise Huge
    if is_real(exponent) and exponent == int(exponent) and abs(exponent) < 10_000:
        return base ** int(exponent)
    if is_real(base) and base < 0 and is_real(exponent):
        # An odd root of a negative number is read as the real one, as \sqrt[3]{-8} is.
        with_exact = _odd_denominator(exponent_tree)
        if with_exact is not None:
            magnitude = mp.power(-base, exponent)
            return -magnitude if with_exact.numerator % 2 else magnitude
    return mp.power(base, exponent)


def _odd_denominator(tree: Tree) -> Fraction | None:
    try:
        value = exact(tree, {})
    except NoValue:
        return None
    return value if value.denominator % 2 and value.denominator > 1 else None


def _function(name: str, arguments: tuple[Tree, ...], env: Env) -> Complex:  # noqa: C901 (one case a kind of node)
    first = _numeric(arguments[0], env)
    if tag(arguments[0]) == "deg":
        first = first * mp.pi / 180
    if name in _ELEMENTARY:
        if abs(first) > LARGEST_LOG and name not in ("sqrt", "abs", "ln", "cbrt", "floor", "ceil", "sgn"):
            raise Huge
        return _elementary(name, first)
    match name:
        case "root":
            degree = _numeric(arguments[1], env)
            if degree == 0:
                raise NoValue
            if abs(degree) > LARGEST_EXPONENT:
                raise Huge
            if is_real(first) and first < 0 and degree == int(degree) and int(degree) % 2:
                return -mp.power(-first, 1 / degree)
            return mp.power(first, 1 / degree)
        case "log":
            base = mp.mpf(10) if len(arguments) == 1 else _numeric(arguments[1], env)
            if first == 0 or base in (0, 1):
                raise NoValue
            return mp.log(first) / mp.log(base)
        case "factorial":
            if abs(first) > 10**7 * 10:
                raise Huge
            return mp.factorial(first)
        case "binom":
            second = _numeric(arguments[1], env)
            if max(abs(first), abs(second)) > 10**8:
                raise Huge
            return mp.binomial(first, second)
        case "max" | "min":
            values = [_real(_numeric(part, env)) for part in arguments]
            return max(values) if name == "max" else min(values)
    raise NoValue(f"{name} is not known")


def _real(value: Complex) -> Real:
    if not is_real(value) and value.imag != 0:
        raise NoValue
    return mp.re(value)


_PLAIN = {
    "sqrt": "sqrt", "cbrt": "cbrt", "sin": "sin", "cos": "cos", "tan": "tan", "arcsin": "asin", "arccos": "acos",
    "arctan": "atan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "asinh": "asinh", "acosh": "acosh", "atanh": "atanh",
    "floor": "floor", "ceil": "ceil", "sgn": "sign", "re": "re", "im": "im", "arg": "arg",
}  # fmt: skip
"""Functions that mpmath has, and their names there."""
_RECIPROCAL = {"cot": "tan", "sec": "cos", "csc": "sin", "coth": "tanh", "sech": "cosh", "csch": "sinh"}
"""Functions that are one over another."""
_OF_RECIPROCAL = {"arccot": "atan", "arcsec": "acos", "arccsc": "asin"}
"""Functions that are another of one over the argument."""
_ELEMENTARY = {"abs", "ln", *_PLAIN, *_RECIPROCAL, *_OF_RECIPROCAL}


def _elementary(name: str, value: Complex) -> Complex:
    if name == "abs":
        return abs(value)
    if name == "ln":
        if value == 0:
            raise NoValue
        return mp.log(value)
    if name in _RECIPROCAL:
        return _divide(mp.mpf(1), getattr(mp, _RECIPROCAL[name])(value))
    if name in _OF_RECIPROCAL:
        return getattr(mp, _OF_RECIPROCAL[name])(_divide(mp.mpf(1), value))
    return getattr(mp, _PLAIN[name])(value)


def _opaque(tree: Tree, env: Env) -> Real:
    """A function that nobody defined: a number that depends on its name and on the values of its arguments alone."""
    parts = [tree[0], tree[1]]
    for argument in tree[2:]:
        if argument is None:
            parts.append("")
            continue
        try:
            parts.append(mp.nstr(_opaque_numeric(argument, env), 25))
        except NoValue:
            parts.append(repr(argument))
    digest = hashlib.blake2b("/".join(parts).encode(), digest_size=16).digest()
    return mp.mpf(int.from_bytes(digest, "big")) / mp.mpf(2) ** 127


def _opaque_numeric(argument: Tree, env: Env) -> Complex:
    if isinstance(argument, tuple) and argument[0] == "rel":
        return mp.fsum((place + 1) * _numeric(term, env) for place, term in enumerate(argument[2]))
    return _numeric(argument, env)
