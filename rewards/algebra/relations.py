"""Equations and inequalities, compared by the difference of their sides."""

from collections.abc import Sequence
from fractions import Fraction

from rewards.algebra.arithmetic import Complex, Real, is_real, mp
from rewards.algebra.cursor import Tree, tag
from rewards.algebra.exact import POINTS, POSITIVE, NoValue, names, point
from rewards.algebra.numeric import DIGITS, MORE_DIGITS, MOST_REACH, PROOF_DIGITS, numeric
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
    verdict, reach = _proportional_to(DIGITS, left, right, sign, either)
    if not verdict:
        return verdict
    # Beside x^100 a constant shows only in later digits, and an end of 10^-60 is not 0.
    return None if reach > MOST_REACH else _proportional_to(2 * reach + PROOF_DIGITS, left, right, sign, either)[0]


def _proportional_to(digits: int, left: Tree, right: Tree, sign: int, either: bool) -> tuple[bool | None, int]:
    """The same as far as so many digits tell, and the digits before the point of the largest value."""
    wanted = names(left) | names(right)
    seed = repr(sorted((repr(left), repr(right))))
    ratios: list[Complex] = []
    reach = 0
    with mp.workdps(digits):
        tiny, close = mp.mpf(10) ** -(digits * 4 // 5), mp.mpf(10) ** -(digits * 3 // 5)
        for number in range(POINTS):
            env = point(seed, wanted, number)
            try:
                above, below = numeric(left, env), numeric(right, env)
            except (NoValue, ValueError, ArithmeticError):
                continue
            if number >= POSITIVE and not (is_real(above) and is_real(below)):
                continue  # roots have branches there
            if abs(below) < tiny or abs(above) < tiny:
                return False, reach  # an equation that is always true says nothing
            reach = max(reach, int(mp.log10(max(abs(above), abs(below)))))
            ratios.append(above / below)
        if (len(ratios) < 2 and wanted) or not ratios:
            return None, reach
        first = ratios[0]
        if any(abs(ratio - first) > abs(first) * close for ratio in ratios):
            return False, reach
        return bool(either or mp.re(first) * sign > 0), reach


def agree(operators: Sequence[str], terms: Sequence[Tree]) -> bool:
    """Whether a chain of numbers is about one number: the last is what the first is, and approximations are near it. A slip
    between the two does not count, nor do terms that have names."""
    with mp.workdps(MORE_DIGITS):
        exact_terms: list[Tree] = [terms[0]]
        near_terms: list[Tree] = []
        for operator, term in zip(operators, terms[1:], strict=True):
            (near_terms if operator == "~" else exact_terms).append(term)
        values = [value for term in exact_terms if (value := _number(term)) is not None]
        if not values:
            return True
        if not _near(values[0], values[-1]):
            return False
        return all(_approximates(term, values[0]) for term in near_terms)


def _near(left: Complex, right: Complex) -> bool:
    """Whether two values of the working precision differ by rounding alone."""
    close, nothing = mp.mpf(10) ** -(mp.dps * 3 // 5), mp.mpf(10) ** -(mp.dps * 4 // 5)
    return bool(abs(left - right) <= max(max(abs(left), abs(right)) * close, nothing))


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
    seed = repr(sorted((repr(relation), repr(value))))
    with mp.workdps(MORE_DIGITS):
        slopes = []
        for number in range(POINTS):
            env = point(seed, names(relation), number)
            try:
                at = [numeric(difference, {**env, solved: Fraction(step)}) for step in (0, 1, 3, -2)]
                known = numeric(value, env)
            except (NoValue, ValueError, ArithmeticError):
                continue
            if number >= POSITIVE and not all(is_real(value) for value in (*at, known)):
                continue  # roots have branches there
            slope = at[1] - at[0]
            bent = max(abs(at[2] - at[0] - 3 * slope), abs(at[3] - at[0] + 2 * slope))
            if slope == 0 or not _near(slope + bent, slope):
                return False
            slopes.append(slope)
            if not _near(-at[0] / slope, known):
                return False
        if not slopes:
            return None
        return bool(name) or all(_near(slope, slopes[0]) for slope in slopes)
