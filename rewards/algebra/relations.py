"""Equations and inequalities, compared by the difference of their sides."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from rewards.algebra.arithmetic import Real, is_real, mp
from rewards.algebra.cursor import Tree, tag
from rewards.algebra.exact import Env, NoValue, names
from rewards.algebra.numeric import DIGITS, numeric
from rewards.algebra.points import At, Side, is_zero, of, reference, same_everywhere
from rewards.algebra.regions import FLIPPED


def same_equation(gold: Tree, answer: Tree) -> bool | None:
    """Whether two relations of two terms each say the same: their differences are proportional, inequalities by a positive
    factor or a negative one with the sign turned."""
    left, right = _difference(gold), _difference(answer)
    for flipped in (False, True):
        operator = FLIPPED.get(answer[1][0]) if flipped else answer[1][0]
        if operator != gold[1][0]:
            continue
        verdict = _proportional(left, right, -1 if flipped else 1, operator in ("=", "!="))
        if verdict is not False:
            return verdict
    return False


def _difference(tree: Tree) -> Tree:
    return ("+", tree[2][0], ("neg", tree[2][1]))


def _proportional(left: Tree, right: Tree, sign: int, either: bool) -> bool | None:
    """Whether `left / right` is the same number everywhere, other than 0, and of the given sign unless either will do."""
    trees = (left, right)
    first = reference(trees)
    nothing = [is_zero(of(tree), first) for tree in trees]
    if nothing != [False, False]:
        return False if True in nothing else None  # an equation that is always true says nothing

    def crossed(one: Tree, other: Tree) -> Side:
        return lambda at, env: at(one, env) * at(other, first)

    verdict = same_everywhere(trees, crossed(left, right), crossed(right, left))
    if not verdict or either:
        return verdict
    with mp.workdps(DIGITS):
        return bool(mp.re(numeric(left, first) / numeric(right, first)) * sign > 0)


def agree(operators: Sequence[str], terms: Sequence[Tree]) -> bool:
    """Whether a chain of numbers is about one number: the last is what the first is, and approximations are near it. A slip
    between the two does not count, nor do terms that have names."""
    exact_terms: list[Tree] = [terms[0]]
    near_terms: list[Tree] = []
    for operator, term in zip(operators, terms[1:], strict=True):
        (near_terms if operator == "~" else exact_terms).append(term)
    with mp.workdps(DIGITS):
        known = [term for term in exact_terms if _number(term) is not None]
        if not known:
            return True
        if not same_everywhere((), of(known[0]), of(known[-1])):
            return False
        about = _number(known[0])
        return all(_approximates(term, about) for term in near_terms)


def _number(tree: Tree) -> Real | None:
    try:
        value = numeric(tree, {})
    except (NoValue, ValueError, ArithmeticError):
        return None
    return value if is_real(value) else None


def _approximates(term: Tree, value: Real) -> bool:
    """Whether a number is a value rounded or cut off to its digits; other terms, less than a hundredth of the value from it."""
    near = _number(term)
    if near is None:
        return True
    if isinstance(term, Fraction) and term:
        step = mp.mpf(10) ** (len(str(term)) - len(str(term).rstrip("0")))
    elif tag(term) == "dec":
        step = mp.mpf(10) ** -term[2]
    else:
        return bool(abs(near - value) < abs(value) / 100)
    beyond = (value - near) * mp.sign(value)
    return bool(-step / 2 <= beyond < step)


def solves(relation: Tree, value: Tree, name: str = "") -> bool | None:
    """Whether an equation says `name = value` for a name that stands in no other place: y + 1 = x² says x² - 1 of y.

    Args:
        name: the name; else the only one that the equation has and the value has not, which must always count the same.
    """
    if relation[1] != ("=",) or tag(value) in ("list", "set", "seq", "text", "mat"):
        return False
    free = {name} if name else names(relation) - names(value)
    if len(free) != 1 or not (name or names(value)):
        return False
    solved = next(iter(free))
    difference = _difference(relation)
    trees = (relation, value)
    first = reference(trees)

    def rise(at: At, env: Env, to: int) -> Any:
        return at(difference, {**env, solved: Fraction(to)}) - at(difference, {**env, solved: Fraction(0)})

    if (flat := is_zero(lambda at, env: rise(at, env, 1), first)) is not False:
        return False if flat else None
    claims: list[tuple[Side, Side]] = [
        (lambda at, env: -at(difference, {**env, solved: Fraction(0)}), lambda at, env: at(value, env) * rise(at, env, 1)),
        (lambda at, env: rise(at, env, 3), lambda at, env: at(Fraction(3), env) * rise(at, env, 1)),
        (lambda at, env: rise(at, env, -2), lambda at, env: at(Fraction(-2), env) * rise(at, env, 1)),
    ]
    if not name:
        claims.append((lambda at, env: rise(at, env, 1), lambda at, _env: rise(at, first, 1)))
    verdict: bool | None = True
    for claim in claims:
        found = same_everywhere(trees, *claim)
        if found is False:
            return False
        verdict = verdict and found
    return verdict
