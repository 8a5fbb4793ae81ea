"""Equality of two trees by sympy, for sums, products, limits and integrals. Runs inside a sandbox process only: sympy may
think for ever. Trees come as JSON; nothing here reads text."""

from collections.abc import Callable
from typing import Any

import sympy

LARGEST_EXPONENT = 1_000
"""Above it a power is not built: 9^9^9 has more digits than the machine has bits."""
MOST_TERMS = 10_000
"""Of a finite sum or product."""

Node = Any
"""A tree as `rewards.equal` sends it: lists for tuples, `{"n": ..., "d": ...}` for rationals."""

_CONSTANTS = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": sympy.sqrt, "abs": sympy.Abs, "ln": sympy.log, "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan,
    "cot": sympy.cot, "sec": sympy.sec, "csc": sympy.csc, "arcsin": sympy.asin, "arccos": sympy.acos,
    "arctan": sympy.atan, "sinh": sympy.sinh,
    "cosh": sympy.cosh, "tanh": sympy.tanh, "floor": sympy.floor, "ceil": sympy.ceiling, "factorial": sympy.factorial,
    "binom": sympy.binomial, "root": lambda value, degree: sympy.root(value, degree),
    "log": lambda value, base=10: sympy.log(value, base),
}  # fmt: skip


def equal(left: Node, right: Node) -> bool | None:
    """Whether two trees have the same value for all values of their names; None where that cannot be decided."""
    built = _build(left), _build(right)  # both, before either is evaluated: what cannot be built costs nothing
    sides = [side.doit(integrals=False) for side in built]
    difference = sides[0] - sides[1]
    if difference == 0:
        return True
    if difference.has(sympy.nan, sympy.zoo, sympy.oo, sympy.Sum, sympy.Product, sympy.Limit):
        return None
    if difference.has(sympy.Integral):
        return None if difference.free_symbols else _nearly(*sides)
    if difference.is_Rational:
        return bool(difference == 0)
    verdict = difference.equals(0)
    return None if verdict is None else bool(verdict)


def _nearly(left: sympy.Expr, right: sympy.Expr) -> bool:
    """Whether two numbers agree to twenty digits: integrals are summed up, for their closed forms may take for ever."""
    first, second = left.evalf(30), right.evalf(30)
    return bool(abs(first - second) <= abs(first) * sympy.Float(10) ** -20)


def _build(node: Node, bound: frozenset[str] = frozenset()) -> sympy.Expr:  # noqa: C901 (one case a kind of node)
    if isinstance(node, dict):
        return sympy.Rational(node["n"], node["d"])
    if isinstance(node, str):
        return sympy.Symbol(node) if node in bound else _CONSTANTS.get(node, sympy.Symbol(node))
    kind = node[0]
    if kind == "dec":
        return _build(node[1], bound)
    if kind == "inf":
        return sympy.oo
    if kind == "fn":
        return _FUNCTIONS[node[1]](*(_build(part, bound) for part in node[2:]))
    if kind == "big":
        _, name, lower, upper, body = node
        return _big(name, lower, upper, body, bound)
    values = [_build(part, bound) for part in node[1:]]
    match kind:
        case "+":
            return sympy.Add(*values)
        case "*":
            return sympy.Mul(*values)
        case "neg":
            return -values[0]
        case "/":
            return values[0] / values[1]
        case "pct":
            return values[0] / 100
        case "^":
            if values[1].is_number and abs(values[1]) > LARGEST_EXPONENT:
                raise OverflowError(f"exponent {values[1]} is larger than {LARGEST_EXPONENT}")
            return values[0] ** values[1]
    raise ValueError(f"{kind} is no expression")


def _big(name: str, lower: Node, upper: Node, body: Node, bound: frozenset[str]) -> sympy.Expr:
    """A sum, product, limit or definite integral. Its index is a name, also where it is called i or e."""
    if name == "int" and lower is not None and upper is not None:
        integrand, variable = _integrand(body)
        start, end = _build(lower, bound), _build(upper, bound)
        if not (start.is_finite and end.is_finite):
            raise ValueError("an integral without finite bounds is left alone")
        return sympy.Integral(_build(integrand, bound | {variable}), (sympy.Symbol(variable), start, end))
    if name not in ("sum", "prod", "lim"):
        raise ValueError(f"{name} is left alone")
    index = lower[2][0]
    if not isinstance(index, str):
        raise ValueError("the index is no name")
    start, term = _build(lower[2][1], bound), _build(body, bound | {index})
    if name == "lim":
        return sympy.Limit(term, sympy.Symbol(index), start)
    end = _build(upper, bound)
    if (end - start).is_number and end != sympy.oo and abs(end - start) > MOST_TERMS:
        raise OverflowError(f"a {name} of {end - start} terms")
    operator = sympy.Sum if name == "sum" else sympy.Product
    return operator(term, (sympy.Symbol(index), start, end))


def _integrand(body: Node) -> tuple[Node, str]:
    """What is integrated, and over which name: `x^2 dx` or `dx / x`, in which the parser sees products with d."""
    if isinstance(body, list) and body[0] == "/":
        above, variable = _integrand(body[1])
        return ["/", above, body[2]], variable
    if not (isinstance(body, list) and body[0] == "*" and len(body) > 2 and body[-2] == "d" and isinstance(body[-1], str)):
        raise ValueError("nothing says over what the integral goes")
    return ["*", {"n": 1, "d": 1}, *body[1:-2]], body[-1]
