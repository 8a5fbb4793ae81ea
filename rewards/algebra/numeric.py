"""Values of trees at given points, to fifty digits and more. Bounded in time.

Towers and factorials are not built: a magnitude beyond `LARGEST_LOG` is `Huge`, and two huge values are not told apart.
"""

import hashlib
from collections.abc import Callable
from fractions import Fraction

import mpmath
from mpmath import mp, mpc, mpf

from rewards.algebra.cursor import Tree, tag
from rewards.algebra.exact import Env, NoValue, exact

LARGEST_LOG = 10**9
"""Natural logarithm of the largest magnitude that is computed with."""
LARGEST_EXPONENT = mpf(10) ** 15
"""And degree of a root; whether a larger one is whole cannot be seen without building it."""
DIGITS = 50


class Huge(NoValue):
    """A magnitude beyond `LARGEST_LOG`."""


def numeric(tree: Tree, env: Env) -> mpf | mpc:
    """The value of a tree at mpmath's working precision, real or complex.

    Raises:
        NoValue: where it has none; `Huge` where it is too large to compute with.
    """
    value = _numeric(tree, env)
    if not mpmath.isfinite(value):
        raise NoValue
    return value.real if isinstance(value, mpc) and value.imag == 0 else value


def _numeric(tree: Tree, env: Env) -> mpf | mpc:  # noqa: C901 (one case a kind of node)
    if isinstance(tree, Fraction):
        return mpf(tree.numerator) / tree.denominator
    if isinstance(tree, str):
        if tree in env:
            return mpf(env[tree].numerator) / env[tree].denominator
        constant = {"pi": mp.pi, "e": mp.e, "i": mpc(0, 1)}.get(tree)
        if constant is None:
            raise NoValue(f"{tree} is not known")
        return +constant
    match tree[0]:
        case "dec":
            return mpf(tree[1].numerator) / tree[1].denominator
        case "+":
            return mpmath.fsum(_numeric(part, env) for part in tree[1:])
        case "*":
            return mpmath.fprod(_numeric(part, env) for part in tree[1:])
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
            return mpf(_in_base(tree[1], tree[2]))
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


def _divide(above: mpf | mpc, below: mpf | mpc) -> mpf | mpc:
    if below == 0:
        raise NoValue("division by zero")
    return above / below


def _power(base_tree: Tree, exponent_tree: Tree, env: Env) -> mpf | mpc:
    base, exponent = _numeric(base_tree, env), _numeric(exponent_tree, env)
    if base == 0:
        if mpmath.re(exponent) <= 0:
            raise NoValue
        return mpf(0)
    if base == 1:
        return mpf(1)
    if abs(exponent) > LARGEST_EXPONENT:
        raise Huge
    if abs(exponent) * abs(mpmath.log(abs(base))) > LARGEST_LOG:
        raise Huge
    if isinstance(exponent, mpf) and exponent == int(exponent) and abs(exponent) < 10_000:
        return base ** int(exponent)
    if isinstance(base, mpf) and base < 0 and isinstance(exponent, mpf):
        # An odd root of a negative number is read as the real one, as \sqrt[3]{-8} is.
        with_exact = _odd_denominator(exponent_tree)
        if with_exact is not None:
            magnitude = mpmath.power(-base, exponent)
            return -magnitude if with_exact.numerator % 2 else magnitude
    return mpmath.power(base, exponent)


def _odd_denominator(tree: Tree) -> Fraction | None:
    try:
        value = exact(tree, {})
    except NoValue:
        return None
    return value if value.denominator % 2 and value.denominator > 1 else None


def _function(name: str, arguments: tuple[Tree, ...], env: Env) -> mpf | mpc:  # noqa: C901 (one case a kind of node)
    first = _numeric(arguments[0], env)
    if tag(arguments[0]) == "deg":
        first = first * mp.pi / 180
    if name in _ELEMENTARY:
        if abs(first) > LARGEST_LOG and name not in ("sqrt", "abs", "ln", "cbrt", "floor", "ceil", "sgn"):
            raise Huge
        return _ELEMENTARY[name](first)
    match name:
        case "root":
            degree = _numeric(arguments[1], env)
            if degree == 0:
                raise NoValue
            if abs(degree) > LARGEST_EXPONENT:
                raise Huge
            if isinstance(first, mpf) and first < 0 and degree == int(degree) and int(degree) % 2:
                return -mpmath.power(-first, 1 / degree)
            return mpmath.power(first, 1 / degree)
        case "log":
            base = mpf(10) if len(arguments) == 1 else _numeric(arguments[1], env)
            if first == 0 or base in (0, 1):
                raise NoValue
            return mpmath.log(first) / mpmath.log(base)
        case "factorial":
            if abs(first) > 10**7 * 10:
                raise Huge
            return mpmath.factorial(first)
        case "binom":
            second = _numeric(arguments[1], env)
            if max(abs(first), abs(second)) > 10**8:
                raise Huge
            return mpmath.binomial(first, second)
        case "max" | "min":
            values = [_real(_numeric(part, env)) for part in arguments]
            return max(values) if name == "max" else min(values)
    raise NoValue(f"{name} is not known")


def _real(value: mpf | mpc) -> mpf:
    if isinstance(value, mpc) and value.imag != 0:
        raise NoValue
    return mpmath.re(value)


def _logarithm(value: mpf | mpc) -> mpf | mpc:
    if value == 0:
        raise NoValue
    return mpmath.log(value)


def _inverse(function: Callable[[mpf], mpf]) -> Callable[[mpf], mpf]:
    def inverted(value: mpf) -> mpf:
        return _divide(mpf(1), function(value))

    return inverted


_ELEMENTARY: dict[str, Callable[[mpf], mpf]] = {
    "sqrt": mpmath.sqrt, "cbrt": mpmath.cbrt, "abs": abs, "ln": _logarithm, "sin": mpmath.sin, "cos": mpmath.cos,
    "tan": mpmath.tan, "cot": _inverse(mpmath.tan), "sec": _inverse(mpmath.cos), "csc": _inverse(mpmath.sin),
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos, "arctan": mpmath.atan, "arccot": lambda value: mpmath.atan(_divide(mpf(1), value)),
    "arcsec": lambda value: mpmath.acos(_divide(mpf(1), value)), "arccsc": lambda value: mpmath.asin(_divide(mpf(1), value)),
    "sinh": mpmath.sinh, "cosh": mpmath.cosh, "tanh": mpmath.tanh, "coth": _inverse(mpmath.tanh), "sech": _inverse(mpmath.cosh),
    "csch": _inverse(mpmath.sinh), "asinh": mpmath.asinh, "acosh": mpmath.acosh, "atanh": mpmath.atanh,
    "floor": mpmath.floor, "ceil": mpmath.ceil, "sgn": mpmath.sign, "re": mpmath.re, "im": mpmath.im, "arg": mpmath.arg,
}  # fmt: skip


def _opaque(tree: Tree, env: Env) -> mpf:
    """A function that nobody defined: a number that depends on its name and on the values of its arguments alone."""
    parts = [tree[0], tree[1]]
    for argument in tree[2:]:
        if argument is None:
            parts.append("")
            continue
        try:
            parts.append(mpmath.nstr(_opaque_numeric(argument, env), 25))
        except NoValue:
            parts.append(repr(argument))
    digest = hashlib.blake2b("/".join(parts).encode(), digest_size=16).digest()
    return mpf(int.from_bytes(digest, "big")) / mpf(2) ** 127


def _opaque_numeric(argument: Tree, env: Env) -> mpf | mpc:
    if isinstance(argument, tuple) and argument[0] == "rel":
        return mpmath.fsum((place + 1) * _numeric(term, env) for place, term in enumerate(argument[2]))
    return _numeric(argument, env)
