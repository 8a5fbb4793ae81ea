"""Equality of two trees by sympy, for sums, products, limits and integrals. Runs inside a sandbox process only: sympy may
think for ever. Trees come as JSON; nothing here reads text."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sympy

from rewards.algebra.numeric import ELEMENTARY

LARGEST_EXPONENT = 1_000
"""Above it a power is not built: 9^9^9 has more digits than the machine has bits."""
MOST_TERMS = 10_000
"""Of a finite sum or product."""
COUNTS = (1, 2, 3, 5, 8, 13)
"""What names in the bounds of a sum without a closed form are put to."""
DIGITS = 30
"""To which integrals are summed up, of which two thirds must agree."""

Node = Any
"""A tree as `rewards.equal` sends it: lists for tuples, `{"n": ..., "d": ...}` for rationals."""
Symbols = Mapping[str, sympy.Symbol]
"""Names that are bound, or of which something is known."""

_CONSTANTS = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I}
_SYMPY = {"fabs": "Abs", "ceil": "ceiling"}
"""Names of functions that are others in sympy than in mpmath."""
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(sympy, _SYMPY.get(known, known)) for name, known in ELEMENTARY.items()},
    "factorial": sympy.factorial, "binom": sympy.binomial, "root": sympy.root, "max": sympy.Max, "min": sympy.Min,
    "log": lambda value, base=10: sympy.log(value, base),
}  # fmt: skip


def equal(left: Node, right: Node) -> bool | None:
    """Whether two trees have the same value for all values of their names; None where that cannot be decided."""
    for one, other in ((left, right), (right, left)):
        if _is_indefinite(one):
            return _is_antiderivative(other, one)
    counted = {name: sympy.Symbol(name, integer=True, nonnegative=True) for node in (left, right) for name in _bounds(node)}
    built = (
        _build(left, counted),
        _build(right, counted),
    )  # both, before either is evaluated: what cannot be built costs nothing
    sides = [_generic(_with_inner(side.doit(integrals=False))) for side in built]
    if sides[0] == sides[1] and not sides[0].has(sympy.nan, sympy.zoo):
        return True
    difference = sides[0] - sides[1]
    if difference.has(sympy.Integral):
        if not difference.free_symbols:
            return _nearly(*sides)
        difference = difference.doit()
        if difference.has(sympy.Integral):
            return None
    if difference.has(sympy.nan, sympy.zoo, sympy.oo, sympy.Limit):
        return None
    if difference.has(sympy.Sum, sympy.Product):
        return _at_counts(difference, set(counted.values()))
    if difference.is_Rational:
        return bool(difference == 0)
    verdict = difference.equals(0)
    return None if verdict is None else bool(verdict)


def _with_inner(side: sympy.Expr) -> sympy.Expr:
    """A side with integrals one in another in closed form: sympy sums up single ones alone."""
    return side.replace(lambda part: isinstance(part, sympy.Integral) and len(part.limits) > 1, lambda part: part.doit())


def _generic(side: sympy.Expr) -> sympy.Expr:
    """A side without the cases that hold for single values only, as r = 1 for a geometric sum."""
    return side.replace(
        lambda part: isinstance(part, sympy.Piecewise),
        lambda part: next(value for value, condition in part.args if not isinstance(condition, sympy.Eq)),
    )


def _at_counts(difference: sympy.Expr, counted: set[sympy.Symbol]) -> bool | None:
    """Whether a difference with finite sums in it vanishes for several numbers of terms; None where other names are left."""
    if not counted or difference.free_symbols != counted:
        return None
    values = [difference.subs(dict.fromkeys(counted, count)).doit() for count in COUNTS]
    if not all(value.is_Rational for value in values):
        return None
    return not any(values)


def _nearly(left: sympy.Expr, right: sympy.Expr) -> bool | None:
    """Whether two numbers agree, of which integrals are summed up, for their closed forms may take for ever; None where the
    sums do not come to rest."""
    scale = sum((_scale(integral) for integral in (left - right).atoms(sympy.Integral)), sympy.Float(0))
    values = [[side.evalf(digits) for digits in (DIGITS * 2 // 3, DIGITS)] for side in (left, right)]
    if not all(value.is_Number and value.is_finite for pair in values for value in pair):
        return None
    near = max(scale, *(abs(value) for pair in values for value in pair)) * sympy.Float(10) ** -(DIGITS * 3 // 5)
    if any(abs(coarse - fine) > near for coarse, fine in values):
        return None
    return bool(abs(values[0][1] - values[1][1]) <= near)


def _scale(integral: sympy.Integral) -> sympy.Expr:
    """About how large the parts of an integral are that may cancel; 0 where its bounds are not finite."""
    bounds = [bound for _, *ends in integral.limits for bound in ends]
    if not all(bound.is_finite for bound in bounds):
        return sympy.Float(0)
    third = {name: low + (high - low) / 3 for name, low, high in integral.limits}
    size = abs(integral.function.subs(third).evalf())
    for _, low, high in integral.limits:
        size *= abs((high - low).evalf())
    return size if size.is_finite else sympy.Float(0)


def _is_indefinite(node: Node) -> bool:
    return isinstance(node, list) and node[:4] == ["big", "int", None, None]


def _is_antiderivative(node: Node, integral: Node) -> bool | None:
    """Whether a node with a constant of integration has the derivative that an integral asks for; None where there is no
    such constant, and for what has none either."""
    body, variables = _differentials(integral[4], 1)
    integrand, name = _build(body, {}), sympy.Symbol(variables[0])
    known = _build(node, {})
    if known.has(sympy.Integral):
        return None
    same = (sympy.diff(known, name) - integrand).equals(0)
    constants = known.free_symbols - integrand.free_symbols - {name}
    return None if same is None or (same and len(constants) != 1) else bool(same)


def _bounds(node: Node) -> Iterator[str]:
    """Names in the bounds of sums and products."""
    if not isinstance(node, list):
        return
    if node[:1] == ["big"] and node[1] in ("sum", "prod"):
        index, start = node[2][2][:2]
        yield from (name for bound in (start, node[3]) for name in _names(bound) if name != index)
    for part in node[1:]:
        yield from _bounds(part)


def _names(node: Node) -> Iterator[str]:
    if isinstance(node, str) and node not in _CONSTANTS:
        yield node
    elif isinstance(node, list):
        for part in node[2 if node[0] == "fn" else 1 :]:
            yield from _names(part)


def _build(node: Node, symbols: Symbols) -> sympy.Expr:  # noqa: C901 (one case a kind of node)
    if isinstance(node, dict):
        return sympy.Rational(node["n"], node["d"])
    if isinstance(node, str):
        return symbols.get(node) or _CONSTANTS.get(node, sympy.Symbol(node))
    kind = node[0]
    if kind == "dec":
        return _build(node[1], symbols)
    if kind == "inf":
        return sympy.oo
    if kind == "fn":
        return _FUNCTIONS[node[1]](*(_build(part, symbols) for part in node[2:]))
    if kind == "big":
        return _integral(node, symbols) if node[1] == "int" else _big(node, symbols)
    values = [_build(part, symbols) for part in node[1:]]
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


def _big(node: Node, symbols: Symbols) -> sympy.Expr:
    """A sum, product or limit. Its index is a name, also where it is called i or e."""
    _, name, lower, upper, body = node
    if name not in ("sum", "prod", "lim"):
        raise ValueError(f"{name} is left alone")
    if lower is None or len(lower[2]) != 2 or not isinstance(lower[2][0], str):
        raise ValueError("the index is no name")
    index = sympy.Symbol(lower[2][0], integer=name != "lim" or None)
    start, term = _build(lower[2][1], symbols), _build(body, {**symbols, index.name: index})
    if name == "lim":
        side = upper[1] if upper is not None else "+-" if start.is_finite else "+"
        return sympy.Limit(term, index, start, side)
    if upper is None or lower[1] != ["="]:
        raise ValueError(f"a {name} without bounds")
    end = _build(upper, symbols)
    if (end - start).is_number and end != sympy.oo and abs(end - start) > MOST_TERMS:
        raise OverflowError(f"a {name} of {end - start} terms")
    operator = sympy.Sum if name == "sum" else sympy.Product
    return operator(term, (index, start, end))


def _integral(node: Node, symbols: Symbols) -> sympy.Expr:
    """A definite integral, or several of them one in another, of which the innermost goes over the first differential."""
    bounds = []
    body = node
    while isinstance(body, list) and body[:2] == ["big", "int"]:
        if body[2] is None or body[3] is None:
            raise ValueError("an integral without bounds has many values")
        bounds.append([_build(bound, symbols) for bound in body[2:4]])
        body = body[4]
    body, variables = _differentials(body, len(bounds))
    names = {variable: sympy.Symbol(variable, real=True) for variable in variables}
    limits = [(names[variable], *ends) for variable, ends in zip(variables, reversed(bounds), strict=True)]
    return sympy.Integral(_build(body, {**symbols, **names}), *limits)


def _differentials(body: Node, count: int) -> tuple[Node, list[str]]:
    """What is integrated, and over which names: `x^2 dx` or `dx / x`, in which the parser sees products with d."""
    if isinstance(body, list) and body[0] == "/":
        above, variables = _differentials(body[1], count)
        return ["/", above, body[2]], variables
    differentials = body[-2 * count :] if isinstance(body, list) and body[0] == "*" and len(body) > 2 * count else []
    if not differentials or set(differentials[::2]) != {"d"} or not all(isinstance(name, str) for name in differentials):
        raise ValueError("nothing says over what the integral goes")
    return ["*", {"n": 1, "d": 1}, *body[1 : -2 * count]], differentials[1::2]
