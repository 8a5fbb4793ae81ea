"""Do two values that trees give agree wherever their names are put? Decided by evaluation at points, exactly where that goes.

The points are derived from the trees, so a verdict is the same everywhere and always, and nobody picks them. Two different
polynomials, or closed forms, agree at several such points to a hundred digits with negligible probability (Schwartz 1980;
Zippel 1979).

One rule of error holds for all. Each value carries a bound of what rounding and cancellation have done to it. Two are different
where they are further apart than their bounds, and the same where the bounds are smaller than the smallest part of either could
be. Else more digits are looked at, and at last nothing is said.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from fractions import Fraction
from typing import Any

from rewards.algebra.arithmetic import is_real, mp
from rewards.algebra.ball import Blurred
from rewards.algebra.cursor import Tree
from rewards.algebra.exact import Env, Inexact, NoValue, exact, names
from rewards.algebra.numeric import DIGITS, LARGEST_LOG, MORE_DIGITS, Evaluation, Huge

LEAST_DIGITS = 100
"""Beyond the span of their parts, to which values that are the same must agree: at each of several points, or of constants."""
SPARE = 20
"""Digits that rounding may touch beside those that cancel."""
SAFETY = 1_000
"""Times the bound of their error that values are apart where they are different."""
MOST_DIGITS = 6_000
"""What needs more is not looked at."""
COUNTS = {"k", "m", "n"}
"""Names that are of integers where something is rounded to one."""
POSITIVE, POINTS = 3, 6
"""Points with positive values alone, and points in all."""
SCALES = (Fraction(1), Fraction(100), Fraction(1, 10))
"""Sizes of the values at points, in turn."""
REFERENCE = -3
"""Number of a positive point beside them."""

At = Callable[[Tree, Env], Any]
"""What gives the value of a tree where its names have given values: exactly, or to some precision."""
Side = Callable[[At, Env], Any]
"""One of two values that are compared, from those of trees: `lambda at, env: at(tree, env)`."""


def of(tree: Tree) -> Side:
    """The value of a tree itself."""
    return lambda at, env: at(tree, env)


def same_everywhere(trees: Sequence[Tree], left: Side, right: Side) -> bool | None:
    """Whether two values of `trees` agree for all values of their names; None where that cannot be told.

    Names may be negative, so |x|, which is also what the root of x² is, is not x. Where roots or logarithms have no real value
    for a negative name, as in `sqrt(2h/g)`, the name is of something positive: nobody would write it otherwise.
    """
    seed, wanted = _seeded(trees)
    if not wanted:
        return same_number(left, right, {})[0]
    places = list(_points(seed, wanted, trees))
    inside = [env for env in places if min(env.values()) > 0]
    # Beyond where a formula is real, its branches may differ: only where it is so nowhere, they are what it has.
    verdict = _at_all(left, right, inside, real=True)
    if verdict is None:
        verdict = _at_all(left, right, inside, real=False)
    if not verdict:
        return verdict
    apart: list[Env] = []
    positive: set[str] = set()
    for env in places:
        if env not in inside:
            verdict, branched = same_number(left, right, env, real=True)
            positive |= branched
            if verdict is False:
                apart.append(env)
    turned = [{name: abs(value) if name in positive else value for name, value in env.items()} for env in apart]
    return not any(env in apart for env in turned) and _at_all(left, right, turned, real=True) is not False


def _at_all(left: Side, right: Side, places: Sequence[Env], real: bool) -> bool | None:
    """Whether two values agree at all places where that can be told; None where it nowhere can."""
    decided = False
    for env in places:
        verdict, _ = same_number(left, right, env, real)
        if verdict is False:
            return False
        decided = decided or verdict is True
    return decided or None


def same_number(left: Side, right: Side, env: Env, real: bool = False) -> tuple[bool | None, AbstractSet[str]]:
    """Whether two values at one point are the same, and the names of which roots have no real value there.

    Args:
        real: say nothing of values that are not real.
    """
    try:
        return bool(left(exact, env) == right(exact, env)), frozenset()
    except Inexact:
        pass
    except NoValue:
        return None, frozenset()
    branched: AbstractSet[str] = frozenset()
    needed = 0
    for attempt in range(4):
        digits = (DIGITS, MORE_DIGITS, needed, 3 * needed)[attempt]
        if digits > MOST_DIGITS:
            break
        with mp.workdps(digits):
            evaluation = Evaluation()
            try:
                balls = [side(evaluation, env) for side in (left, right)]
            except Blurred:
                balls = []
            except (NoValue, ValueError, ArithmeticError):
                return _one_is_huge(left, right, env), branched
            if not attempt:  # what is nothing but rounding spans more at more digits
                span = evaluation.span
                needed = max(2 * span + LEAST_DIGITS + SPARE, 2 * MORE_DIGITS)
            branched |= evaluation.branched
            if not balls:
                continue
            if real and not all(is_real(ball.value) for ball in balls):
                return None, branched
            apart, size = balls[0] - balls[1], max(abs(ball.value) for ball in balls)
            if abs(apart.value) > apart.error * SAFETY:
                return False, branched
            if apart.error <= (size if size > apart.error * SAFETY else 1) * mp.mpf(10) ** -(span + LEAST_DIGITS):
                return True, branched
    return None, branched


def _one_is_huge(left: Side, right: Side, env: Env) -> bool | None:
    """False where one of two values is too large to be computed and the other is not near it."""
    values = []
    with mp.workdps(DIGITS):
        for side in (left, right):
            try:
                values.append(side(Evaluation(), env).value)
            except Huge:
                values.append(mp.inf)
            except (NoValue, ValueError, ArithmeticError):
                return None
        near = [value for value in values if value != mp.inf]
        return False if len(near) == 1 and mp.mag(near[0]) < LARGEST_LOG else None


def reference(trees: Sequence[Tree]) -> Env:
    """A point with positive values beside those at which the trees are compared."""
    return point(*_seeded(trees), REFERENCE)


def is_zero(side: Side, env: Env) -> bool | None:
    """Whether a value at one point is 0."""
    return same_number(side, of(Fraction(0)), env)[0]


# Points


def _seeded(trees: Sequence[Tree]) -> tuple[str, set[str]]:
    """What the points of trees are drawn from, whatever their order, and the names that need values."""
    return repr(sorted(map(repr, trees))), set().union(*map(names, trees))


def point(seed: str, wanted: AbstractSet[str], number: int, whole: AbstractSet[str] = frozenset()) -> dict[str, Fraction]:
    """A rational for each name, from a hash: the same for the same pair of answers, wherever it is checked.

    Points up to 2 are positive. Point 3 is negative throughout, the others in some of the names, of four names in no two the
    same. Points 0 to 2 are about 1, 100 and a tenth, and so on. Names in `whole` get integers, even and odd ones.
    """
    values = {}
    for place, name in enumerate(sorted(wanted)):
        digest = hashlib.blake2b(f"{seed}/{name}/{number}".encode(), digest_size=4).digest()
        drawn = int.from_bytes(digest, "big")
        if name in whole:
            value = Fraction(2 * (drawn % 12) + 2 + (number >> place % 2) % 2)
        else:
            value = Fraction(drawn % 997 + 211, 311) * SCALES[number % len(SCALES)]
        negative = number == POSITIVE or (number > POSITIVE and (place + 1) >> (number - POSITIVE - 1) & 1)
        values[name] = -value if negative else value
    return values


def _points(seed: str, wanted: AbstractSet[str], trees: Sequence[Tree]) -> Iterator[Env]:
    """The points at which trees are compared."""
    whole: AbstractSet[str] = set().union(*map(_integers, trees))
    if len(wanted) == 1 and any(_applies(tree, {"factorial"}) for tree in trees):
        whole = wanted  # of other numbers, factorials are too large to be compared
    stepped = any(_applies(tree, {"floor", "ceil"}) for tree in trees)
    if stepped:
        whole = whole | (wanted & COUNTS)
    for number in range(POINTS):
        yield point(seed, wanted, number, whole)
        if stepped:  # steps are at integers and halves, if anywhere
            near = point(seed, wanted, number, wanted)
            yield {name: value if name in whole else value / 2 for name, value in near.items()}


def _integers(tree: Tree) -> set[str]:
    """Names that stand for integers: those in exponents of negative numbers and of i, as in (-1)^n."""
    if not isinstance(tree, tuple) or not tree:
        return set()
    found: set[str] = set().union(*map(_integers, tree[1:]))
    if tree[0] == "^" and (tree[1] == "i" or (isinstance(tree[1], tuple) and tree[1][0] == "neg" and not names(tree[1]))):
        found |= names(tree[2])
    return found


def _applies(tree: Tree, functions: AbstractSet[str]) -> bool:
    """Whether one of these functions stands anywhere in a tree."""
    if not isinstance(tree, tuple):
        return False
    return (tree[:1] == ("fn",) and tree[1] in functions) or any(_applies(part, functions) for part in tree)
