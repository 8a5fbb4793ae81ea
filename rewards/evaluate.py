"""Values of trees at given points: exact rationals where they suffice, else fifty digits and more. Bounded in time.

Towers and factorials are not built: what would need more than `MOST_BITS` is `Huge`, and two huge values are not told
apart by value.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

import mpmath
from mpmath import mp, mpc, mpf

from rewards.parse import Tree, tag

MOST_BITS = 20_000
"""Of an exact integer; a larger power or factorial is left to floating point."""
LARGEST_LOG = 10**9
"""Natural logarithm of the largest magnitude that is computed with; above it a value is huge."""
DIGITS = 50

Env = Mapping[str, Fraction]


class NoValue(ValueError):
    """The tree has no value at this point, or it is of no kind that has one."""


class Huge(NoValue):
    """A magnitude beyond `LARGEST_LOG`."""


class Inexact(NoValue):
    """The value is not rational, or not seen to be."""


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
            skip = {"fn": 2, "call": 2, "big": 2, "seq": 3, "base": 3, "text": 2, "dec": 3, "time": 3, "inf": 1}.get(node[0], 1) if node and isinstance(node[0], str) else 0
            if node and node[0] == "unit":
                stack.append(node[1])
            elif node and node[0] == "rel":
                stack.extend(node[2])
            else:
                stack.extend(node[skip:])
    return found - {"pi", "e", "i"}


def point(seed: str, wanted: set[str], number: int, negative: bool = False) -> dict[str, Fraction]:
    """A rational for each name, from a hash: the same for the same pair of answers, wherever it is checked."""
    values = {}
    for name in sorted(wanted):
        digest = hashlib.blake2b(f"{seed}/{name}/{number}".encode(), digest_size=4).digest()
        value = Fraction(int.from_bytes(digest, "big") % 997 + 211, 311)
        values[name] = -value if negative and digest[0] % 2 else value
    return values


# Exact


def exact(tree: Tree, env: Env) -> Fraction:
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
    match tree[0]:
        case "dec":
            return tree[1]
        case "+":
            return sum((exact(part, env) for part in tree[1:]), Fraction(0))
        case "*":
            return _product(exact(part, env) for part in tree[1:])
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


def _product(values: Iterator[Fraction]) -> Fraction:
    result = Fraction(1)
    for value in values:
        result *= value
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
    root = math.isqrt(value) if degree == 2 else int(mpmath.nthroot(value, degree) + mpf(1) / 2) if value.bit_length() < 150 else -1
    if root < 0 or root**degree != value:
        raise Inexact
    return root


def _exact_function(name: str, values: list[Fraction]) -> Fraction:
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
            integers = [value.numerator for value in values]
            return Fraction(math.gcd(*integers) if name == "gcd" else math.lcm(*integers))
    raise Inexact


# Fifty digits


def numeric(tree: Tree, env: Env) -> mpf | mpc:
    """The value of a tree at mpmath's working precision, real or complex.

    Raises:
        NoValue: where it has none; `Huge` where it is too large to compute with.
    """
    value = _numeric(tree, env)
    if not mpmath.isfinite(value):
        raise NoValue
    return value.real if isinstance(value, mpc) and value.imag == 0 else value


def _numeric(tree: Tree, env: Env) -> mpf | mpc:
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


def _function(name: str, arguments: tuple[Tree, ...], env: Env) -> mpf | mpc:
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
    "sqrt": mpmath.sqrt, "cbrt": mpmath.cbrt, "abs": abs, "ln": _logarithm, "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan,
    "cot": _inverse(mpmath.tan), "sec": _inverse(mpmath.cos), "csc": _inverse(mpmath.sin), "arcsin": mpmath.asin,
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
