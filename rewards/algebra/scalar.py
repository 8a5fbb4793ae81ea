"""Do two single values agree, as a policy has it? Units, percents, degrees and decimals; what is left, at points."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from rewards.algebra.arithmetic import Real, is_real, mp
from rewards.algebra.cursor import Tree, tag
from rewards.algebra.exact import NoValue, exact, names
from rewards.algebra.numeric import MORE_DIGITS, numeric
from rewards.algebra.points import of, same_everywhere
from rewards.algebra.units import SCALES, unit

BINARY_DIGITS = 15
"""Of a double, those that are always right; the others are the computer's."""
MOST_NAMES = 40
COMPOUND = {"text", "time", "list", "seq", "set", "setof", "rel", "mat", "cup", "cap", "setminus"}
"""Kinds of trees that are no single value."""
MARKS = {"unit", "pct", "deg"}
"""Kinds that say how the value inside is meant."""


@dataclass(frozen=True)
class Policy:
    """What counts as the same answer, where mathematics leaves it open."""

    rounding: int = 3
    """A decimal is equal to an exact value that rounds to it, if it has at least so many significant digits and the known
    answer is no integer; 0 asks for equality."""
    percent: bool = True
    """Whether a bare number is equal to the percentage of that number, as 50 and 50%; 0.5 and 50% always are."""
    units: bool = True
    """Whether a unit may be missing on one side. Two units that differ are always different."""
    ordered: bool = False
    """Whether the order of a list without brackets counts. That of a tuple always does, that of a set never."""
    several: Literal["all", "any"] = "all"
    """Of several known answers, whether all must be given or any one of them will do."""
    tolerance: float = 0.0
    """Two plain numbers at most this far apart are equal (ReFT's code: 0.01); 0 is exact."""

    def __post_init__(self) -> None:
        """
        Raises:
            ValueError: where a field is out of range or of another type.
        """
        if self.several not in ("all", "any"):
            raise ValueError(f"several={self.several!r} is unknown; choose all or any")
        if not isinstance(self.rounding, int) or self.rounding < 0:
            raise ValueError(f"rounding={self.rounding!r} is out of range; choose a whole number of digits, 0 or more")
        if not isinstance(self.tolerance, int | float) or not 0 <= self.tolerance < math.inf:
            raise ValueError(f"tolerance={self.tolerance!r} is out of range; choose a finite number, 0 or more")


def same_value(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    """Whether two single values are equal; None where that cannot be told."""
    if gold == answer:
        return True
    if tag(gold) in COMPOUND or tag(answer) in COMPOUND:
        return False
    peeled = _peel(gold, answer, policy)
    if peeled is not None:
        left, right = peeled
        return any(same_value(mine, theirs, policy) for mine, theirs in zip(left, right, strict=True))
    infinite = [_infinity(tree) for tree in (gold, answer)]
    if infinite != [0, 0]:
        return infinite[0] == infinite[1]
    wanted = names(gold) | names(answer)
    if len(wanted) > MOST_NAMES:
        return None
    if not wanted:
        with mp.workdps(MORE_DIGITS):
            if (verdict := _same_decimal(gold, answer, policy)) is not None:
                return verdict
    return same_everywhere((gold, answer), of(gold), of(answer))


def _infinity(tree: Tree) -> int:
    if tree == ("inf",):
        return 1
    return -1 if tree == ("neg", ("inf",)) else 0


def _peel(gold: Tree, answer: Tree, policy: Policy) -> tuple[list[Tree], list[Tree]] | None:
    """Pairs of trees one of which must agree, for trees that carry a unit, a percent or a degree sign."""
    tags = [tag(tree) if tag(tree) in MARKS else "" for tree in (gold, answer)]
    if tags == ["", ""]:
        return _peel_sign(gold, answer)
    if "unit" in tags:
        units = [_unit(tree) or _spelled(tree, other) for tree, other in ((gold, answer), (answer, gold))]
        if not policy.units and "" in units and tags != ["unit", "unit"]:
            return [], []
        angles = set(units) == {"deg", "rad"}
        warm = "deg" in units and set(units) & set(SCALES.values())  # of `25°`, it may be known that it is no angle
        counted = [set(tree[3].split()) if tag(tree) == "unit" and len(tree) > 3 else set() for tree in (gold, answer)]
        if all(counted) and counted[0].isdisjoint(counted[1]):
            return [], []  # 12 boys and 12 girls
        if units[0] != units[1] and "" not in units and not (angles or warm):
            return [], []
        left, right = (_without(tree, name, angles) for tree, name in zip((gold, answer), units, strict=True))
        return [left], [right]
    if tags[0] == tags[1]:
        return [gold[1]], [answer[1]]
    if "deg" in tags and "pct" in tags:
        return [], []
    other = answer if tags[0] else gold
    marked = gold[1] if tags[0] else answer[1]
    if "deg" in tags:
        readings = [_radians(marked)] if _mentions_pi(other) else [marked]
    else:
        readings = [("/", marked, Fraction(100))] + ([marked] if policy.percent and not _is_small(marked) else [])
    others = [other] * len(readings)
    return (readings, others) if tags[0] else (others, readings)


def _is_small(tree: Tree) -> bool:
    """Whether a number is below 1, so that nobody means it as a percentage."""
    value = _real_value(tree)
    return value is not None and abs(value) < 1


def _peel_sign(gold: Tree, answer: Tree) -> tuple[list[Tree], list[Tree]] | None:
    """A minus sign in front of a unit or percent goes inside."""
    moved = [
        (tree[1][0], ("neg", tree[1][1]), *tree[1][2:]) if tag(tree) == "neg" and tag(tree[1]) in MARKS else tree
        for tree in (gold, answer)
    ]
    return None if moved == [gold, answer] else ([moved[0]], [moved[1]])


def _unit(tree: Tree) -> str:
    """The unit that a tree carries; "" for none."""
    return str(tree[2]) if tag(tree) == "unit" else tag(tree) if tag(tree) in MARKS else ""


def _spelled(tree: Tree, other: Tree) -> str:
    """The unit that the last factor of a product is where the other side has it too: `8h` is eight hours beside hours."""
    if tag(tree) != "*" or len(tree) != 3 or names(tree[1]):
        return ""
    base, exponent = tree[2][1:] if tag(tree[2]) == "^" else (tree[2], 1)
    spelled = unit(f"{base}^{exponent}") if isinstance(base, str) else ""
    return spelled if spelled == other[2] else ""


def _without(tree: Tree, name: str, angles: bool) -> Tree:
    """The tree without the unit that it carries; of two angles, degrees as radians."""
    if angles and name == "deg":
        return _radians(tree[1])
    return tree[1] if tag(tree) in ("unit", "deg") or (tag(tree) == "*" and name) else tree


def _radians(degrees: Tree) -> Tree:
    return ("*", degrees, ("/", "pi", Fraction(180)))


def _mentions_pi(tree: Tree) -> bool:
    return tree == "pi" or (isinstance(tree, tuple) and any(_mentions_pi(part) for part in tree[1:]))


# Decimals


def decimal(tree: Tree) -> tuple[Fraction, int] | None:
    """Value and decimal places of a decimal literal, a sign before it included."""
    if isinstance(tree, tuple):
        if tree[0] == "dec":
            return tree[1], tree[2]
        if tree[0] == "neg" and (inner := decimal(tree[1])) is not None:
            return -inner[0], inner[1]
        if tree[0] == "*" and len(tree) == 3 and (inner := decimal(tree[1])) is not None:  # 7.8 × 10^2
            power = tree[2]
            if isinstance(power, tuple) and power[0] == "^" and power[1] == 10:
                try:
                    exponent = exact(power[2], {})
                except NoValue:
                    return None
                if exponent.denominator == 1 and abs(exponent) < 1_000:
                    return inner[0] * Fraction(10) ** exponent.numerator, inner[1] - exponent.numerator
    return None


def _same_decimal(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    """The rounding rule: a decimal against an exact value, or against a longer decimal. None where it says nothing."""
    left, right = decimal(gold), decimal(answer)
    if left is None and right is None:
        return None
    values = [_real_value(tree) for tree in (gold, answer)]
    if values[0] is None or values[1] is None:
        return None
    difference = abs(values[0] - values[1])
    if difference <= policy.tolerance or same_everywhere((gold, answer), of(gold), of(answer)):
        return True
    if not policy.rounding or _is_integer(gold):
        return False
    if left is not None and right is not None:
        # Of two decimals, the longer may be rounded to the known one, not the other way round, and a half is rounded up.
        up = abs(right[0]) < abs(left[0]) or abs(right[0] - left[0]) * 2 < Fraction(10) ** -left[1]
        return left[1] < right[1] and up and _rounds(left, values[1], policy.rounding)
    literal, value = (left, values[1]) if left is not None else (right, values[0])
    assert literal is not None
    return _rounds(literal, value, policy.rounding)


def _rounds(literal: tuple[Fraction, int], value: Real, digits: int) -> bool:
    known, places = literal
    significant = len(str(abs(int(known * Fraction(10) ** places)))) if known else 0
    places -= max(0, significant - BINARY_DIGITS)
    half = Fraction(1, 2) * Fraction(10) ** -places
    slack = mp.mpf(half.numerator) / half.denominator * (1 + mp.mpf(10) ** -20)
    return significant >= digits and abs(value - mp.mpf(known.numerator) / known.denominator) <= slack


def _is_integer(tree: Tree) -> bool:
    try:
        return exact(tree, {}).denominator == 1 and decimal(tree) is None
    except NoValue:
        return False


def _real_value(tree: Tree) -> Real | None:
    try:
        value = numeric(tree, {})
    except (NoValue, ValueError, ArithmeticError):
        return None
    return value if is_real(value) else None
