"""Sets of real numbers in one normal form: disjoint intervals in order, open or closed, from intervals, inequalities and
set-builders alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import inf
from operator import eq, ge, gt, le, lt, ne

from rewards.algebra.arithmetic import Real, is_real, mp
from rewards.algebra.cursor import Tree
from rewards.algebra.exact import NoValue, names
from rewards.algebra.numeric import DIGITS, numeric
from rewards.algebra.roots import breaks, is_linear

FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}
NEARLY = 1e-30
_GRID = 10**45

_INFINITIES = (("inf",), ("neg", ("inf",)))


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, with or without each end; one point where they are the same."""

    low: Real
    low_closed: bool
    high: Real
    high_closed: bool

    def empty(self) -> bool:
        if _near(self.low, self.high):
            return not (self.low_closed and self.high_closed)
        return bool(self.low > self.high)


Region = tuple[Interval, ...]
LINE: Region = (Interval(-inf, False, inf, False),)


def same_region(left: Region, right: Region) -> bool:
    """Whether two regions are the same set."""
    return len(left) == len(right) and all(
        _near(a.low, b.low) and _near(a.high, b.high) and (a.low_closed, a.high_closed) == (b.low_closed, b.high_closed)
        for a, b in zip(left, right, strict=True)
    )


def variable(tree: Tree) -> str | None:
    """The name that a relation is about, where there is one. That in a set-builder is known inside alone."""
    if isinstance(tree, tuple) and tree[0] in ("rel", "list", "cup", "cap"):
        found = {name for name in names(tree) if not name.startswith("mathbb")}
        return next(iter(found)) if len(found) == 1 else None
    return None


def region(tree: Tree, lenient: bool) -> Region | None:
    """The set of reals that a tree describes; None where it describes none.

    Args:
        lenient: read `(a, b)` and `[a, b]`, which may be points, as intervals.
    """
    with mp.workdps(DIGITS):
        try:
            return _region(tree, lenient)
        except (NoValue, ValueError, ArithmeticError):
            return None


def _region(tree: Tree, lenient: bool) -> Region | None:
    if tree == "mathbbR" or (lenient and tree == "R"):
        return LINE
    if not isinstance(tree, tuple):
        return None
    match tree[0]:
        case "seq" if len(tree) == 5:
            return _interval(tree, lenient)
        case "set":
            points = [_end(part) for part in tree[1:]]
            return normal([Interval(value, True, value, True) for value in points])
        case "cup" | "cap" | "setminus":
            return _combined(tree)
        case "setof" if _is_plain_element(tree[1]):
            return _all_of(tree[2:], lenient)
        case "rel":
            return _relation(tree)
        case "list" if (excluded := _excluded(tree)) is not None:
            return _complement(normal([Interval(value, True, value, True) for value in map(_end, excluded)]))
        case "list":
            parts = [_region(part, True) if _is_region(part) else None for part in tree[1:]]
            if any(part is None for part in parts):
                return None
            return normal([interval for part in parts if part for interval in part])
    return None


def _combined(tree: Tree) -> Region | None:
    """A union, intersection or difference. `x < 1 and x > 3` is said of numbers of which either holds: none has both."""
    about = [variable(side) for side in tree[1:] if isinstance(side, tuple) and side[0] == "rel"]
    if None in about or len(set(about)) > 1:
        return None
    left, right = _region(tree[1], True), _region(tree[2], True)
    if left is None or right is None:
        return None
    if tree[0] == "cup":
        return normal([*left, *right])
    common = _intersect(left, right if tree[0] == "cap" else _complement(right))
    return normal([*left, *right]) if not common and len(about) == 2 else common


def _is_plain_element(tree: Tree) -> bool:
    r"""Whether a set-builder is about its name itself, `x` or `x \in \mathbb{R}`, and not about 2x or integers."""
    (element,) = tree[1:] if len(tree) == 2 else (None,)
    if isinstance(element, tuple) and element[0] == "rel" and element[1] == ("in",):
        return isinstance(element[2][0], str) and element[2][1] == "mathbbR"
    return isinstance(element, str)


def _excluded(tree: Tree) -> list[Tree] | None:
    r"""The values in `x \ne 0, 1` or `x \ne 0, x \ne 1`; None where a list says anything else."""
    parts = tree[1:]
    if not (isinstance(parts[0], tuple) and parts[0][0] == "rel" and parts[0][1] == ("!=",)):
        return None
    name, values = parts[0][2][0], []
    for part in parts:
        if isinstance(part, tuple) and part[0] == "rel":
            if part[1] != ("!=",) or part[2][0] != name:
                return None
            part = part[2][1]
        if names(part):
            return None
        values.append(part)
    return values


def _is_region(tree: Tree) -> bool:
    if not isinstance(tree, tuple):
        return tree == "mathbbR"
    if tree[0] == "list":
        return _excluded(tree) is not None
    if tree[0] == "seq":
        return len(tree) == 5 and ((tree[1], tree[2]) not in (("(", ")"), ("[", "]")) or _has_infinity(tree))
    return tree[0] in ("cup", "cap", "setminus", "setof") or (tree[0] == "rel" and not set(tree[1]) <= {"=", "~"})


def _has_infinity(tree: Tree) -> bool:
    return any(part in _INFINITIES for part in tree[3:])


def _interval(tree: Tree, lenient: bool) -> Region | None:
    if not (lenient or _is_region(tree)):
        return None
    low, high = _end(tree[3]), _end(tree[4])
    if low > high:
        return None
    return normal([Interval(low, tree[1] == "[", high, tree[2] == "]")])


def _end(tree: Tree) -> Real:
    if tree in _INFINITIES:
        return inf if tree == _INFINITIES[0] else -inf
    value = numeric(tree, {})
    if not is_real(value):
        raise NoValue
    return value


def _all_of(conditions: Sequence[Tree], lenient: bool) -> Region | None:
    result: Region = LINE
    for condition in conditions:
        part = _region(condition, lenient)
        if part is None:
            return None
        result = _intersect(result, part)
    return result


def _relation(tree: Tree) -> Region | None:
    """A chain of relations in one name, each side linear in it."""
    operators, terms = tree[1], tree[2]
    if operators == ("in",):
        return _region(terms[1], True) if isinstance(terms[0], str) else None
    found = names(tree)
    if len(found) != 1:
        return None
    name = next(iter(found))
    result: Region = LINE
    for operator, left, right in zip(operators, terms, terms[1:], strict=False):
        part = _solve(operator, left, right, name)
        if part is None:
            return None
        result = _intersect(result, part)
    return result


def _solve(operator: str, left: Tree, right: Tree, name: str) -> Region | None:
    """Where `left operator right` holds; of equations only linear ones, for others are problems and no answers."""
    if (end := next((side for side in (left, right) if side in _INFINITIES), None)) is not None:
        if name not in (left, right) or operator not in ("<", ">", "<=", ">="):
            return None
        # x < ∞ says nothing, x > ∞ is never so
        below = (operator in ("<", "<=")) == (end is right)
        return LINE if below == (end == _INFINITIES[0]) else ()
    difference = ("+", left, ("neg", right))
    if operator not in _HOLDS or (operator == "=" and not is_linear(difference, name)):
        return None
    roots, poles = breaks(difference, name)
    if not roots:
        return None  # true or false of all numbers, and so no answer
    holds = _HOLDS[operator]
    found = [Interval(root, True, root, True) for root in roots if root not in poles and holds(_at(difference, name, root), 0)]
    ends = [-inf, *roots, inf]
    for low, high in pairwise(ends):
        inside = high - 1 if low == -inf else low + 1 if high == inf else (low + high) / 2
        if holds(_at(difference, name, inside), 0):
            found.append(Interval(low, False, high, False))
    return normal(found)


_HOLDS: dict[str, Callable[[int, int], bool]] = {"<": lt, ">": gt, "<=": le, ">=": ge, "=": eq, "!=": ne}


def _at(difference: Tree, name: str, place: Real) -> int:
    """The sign of a difference at a place."""
    value = numeric(difference, {name: Fraction(int(place * _GRID), _GRID)})
    if not is_real(value):
        raise NoValue
    return 0 if abs(value) < NEARLY else int(mp.sign(value))


def normal(intervals: Sequence[Interval]) -> Region:
    """The union of intervals as disjoint ones, in order, none that could be joined to the next."""
    kept: list[Interval] = []
    for item in sorted((item for item in intervals if not item.empty()), key=lambda item: (item.low, not item.low_closed)):
        if kept:
            last = kept[-1]
            if item.low < last.high or (_near(item.low, last.high) and (item.low_closed or last.high_closed)):
                if _near(item.high, last.high):
                    kept[-1] = Interval(last.low, last.low_closed, last.high, last.high_closed or item.high_closed)
                elif item.high > last.high:
                    kept[-1] = Interval(last.low, last.low_closed, item.high, item.high_closed)
                continue
        closed_low, closed_high = item.low_closed and item.low != -inf, item.high_closed and item.high != inf
        kept.append(Interval(item.low, closed_low, item.high, closed_high))
    return tuple(kept)


def _complement(items: Region) -> Region:
    gaps, low, closed = [], -inf, False
    for item in items:
        gaps.append(Interval(low, closed, item.low, not item.low_closed))
        low, closed = item.high, not item.high_closed
    gaps.append(Interval(low, closed, inf, False))
    return normal(gaps)


def _intersect(left: Region, right: Region) -> Region:
    found = []
    for a in left:
        for b in right:
            low = max((a.low, not a.low_closed), (b.low, not b.low_closed))
            high = min((a.high, a.high_closed), (b.high, b.high_closed))
            found.append(Interval(low[0], not low[1], high[0], high[1]))
    return normal(found)


def _near(left: Real, right: Real) -> bool:
    if left == right:
        return True
    if abs(left) == inf or abs(right) == inf:
        return False
    return bool(abs(left - right) <= NEARLY * max(abs(left), abs(right), mp.mpf(1)))
