"""Do two parsed answers say the same? Structure by structure: labels, lists, tuples, sets, intervals, equations, matrices."""

from collections.abc import Sequence
from fractions import Fraction

import mpmath
from mpmath import mpf

from rewards.evaluate import DIGITS, NoValue, names, numeric, point
from rewards.parse import Tree, tag
from rewards.regions import FLIPPED, region, same_region, variable
from rewards.scalar import Policy, same_value

MOST_PARTS = 80
"""Parts of a list that are matched with each other."""
PARAMETERS = {"k", "n", "m", "l", "j", "t"}
"""Names that stand for any integer in a family of solutions; two answers may choose differently."""


def same(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    """Whether two answers are the same; None where that cannot be told."""
    if gold == answer:
        return True
    gold, answer = _spread(_unwrap(gold)), _spread(_unwrap(answer))
    if (verdict := _as_regions(gold, answer)) is not None:
        return verdict
    gold, answer = _unlabel(gold, answer)
    if gold == answer:
        return True
    if (tag(gold) == "time") != (tag(answer) == "time"):  # 7:32 may be a ratio
        gold, answer = (tree[3] if tag(tree) == "time" else tree for tree in (gold, answer))
    if tag(gold) == "rel" or tag(answer) == "rel":
        return _same_relation(gold, answer, policy)
    if tag(gold) == "mat" or tag(answer) == "mat":
        return _same_matrix(gold, answer, policy)
    kinds = {tag(gold), tag(answer)}
    if kinds & {"list", "set"}:
        return _same_collection(gold, answer, policy)
    if "seq" in kinds:
        return _same_tuple(gold, answer, policy)
    if "text" in kinds or "time" in kinds:
        return _same_words(gold, answer)
    if kinds & {"cup", "cap", "setminus", "setof"}:
        return _same_parts(gold, answer, policy)
    if (verdict := same_value(gold, answer, policy)) is not False:
        return verdict
    return _same_renamed(gold, answer, policy)


def _unwrap(tree: Tree) -> Tree:
    """A list or set-builder-free single value as itself; sums of matrices as one matrix."""
    if tag(tree) == "list" and len(tree) == 2:
        return tree[1]
    if tag(tree) in ("+", "neg") and any(tag(part) == "mat" or tag(part) == "neg" and tag(part[1]) == "mat" for part in tree[1:]):
        return _matrix_sum(tree)
    return tree


def _matrix_sum(tree: Tree) -> Tree:
    total: list[list[Tree]] | None = None
    for part in tree[1:] if tree[0] == "+" else [tree]:
        negative = tag(part) == "neg"
        rows = part[1][1] if negative else part[1] if tag(part) == "mat" else None
        if rows is None:
            return tree
        rows = [[("neg", item) if negative else item for item in row] for row in rows]
        if total is not None and [len(row) for row in rows] != [len(row) for row in total]:
            return tree
        total = rows if total is None else [[("+", a, b) for a, b in zip(one, other, strict=True)] for one, other in zip(total, rows, strict=True)]
    return ("mat", tuple(tuple(row) for row in total or []))


# Plus-minus


def _spread(tree: Tree) -> Tree:
    """`a ± b` as the two values it stands for, inside lists, sets and tuples too."""
    if not isinstance(tree, tuple):
        return tree
    if tree[0] in ("list", "set"):
        parts = [piece for part in tree[1:] for piece in _values(part)]
        return (tree[0], *parts[:MOST_PARTS])
    values = _values(tree)
    return values[0] if len(values) == 1 else ("list", *values)


def _values(tree: Tree) -> list[Tree]:
    found = [tree]
    for _ in range(4):
        if not any(_has_choice(item) for item in found) or len(found) > MOST_PARTS:
            return found
        found = [_choose(item, sign) for item in found for sign in (1, -1)]
    return found


def _has_choice(tree: Tree) -> bool:
    return isinstance(tree, tuple) and (tree[0] == "pm" or any(_has_choice(part) for part in tree[1:]))


def _choose(tree: Tree, sign: int) -> Tree:
    """The first choice in a tree made one way. In a tuple each choice is free; in a value all go together."""
    if not isinstance(tree, tuple):
        return tree
    if tree[0] == "pm":
        left, right = _choose(tree[1], sign), tree[2]
        term = right if sign > 0 else ("neg", right)
        return term if left == Fraction(0) else ("+", left, term)
    if tree[0] == "seq":
        for place, part in enumerate(tree):
            if place > 2 and _has_choice(part):
                return (*tree[:place], _choose(part, sign), *tree[place + 1 :])
    return (tree[0], *(_choose(part, sign) for part in tree[1:]))


# Labels


def _unlabel(gold: Tree, answer: Tree) -> tuple[Tree, Tree]:
    """Both trees without the names that are given to values, where that loses nothing."""
    if tag(gold) == "list" and tag(answer) == "list" and len(gold) == len(answer):
        mine, theirs = ([_label(part) for part in tree[1:]] for tree in (gold, answer))
        if None not in mine and None not in theirs and len(set(mine)) == len(mine) and set(mine) == set(theirs):
            places = {label: part for label, part in zip(theirs, answer[1:], strict=True)}
            return ("seq", "(", ")", *(_bare(part) for part in gold[1:])), ("seq", "(", ")", *(_bare(places[label]) for label in mine))
    labels = _label(gold), _label(answer)
    if labels[0] is not None and labels[1] is not None:
        if labels[0] == labels[1]:
            return _bare(gold), _bare(answer)
        if _same_head(labels[0], labels[1]):
            return _bare(gold), _rename(_bare(answer), labels[1], labels[0])
        if not _interchangeable(labels[0], labels[1]):
            return gold, answer
    return _bare(gold, deep=True), _bare(answer, deep=True)


def _interchangeable(left: Tree, right: Tree) -> bool:
    """Labels of points and tuples are no unknowns of which one could be meant and not the other."""
    return not (isinstance(left, str) and isinstance(right, str))


def _label(tree: Tree) -> Tree | None:
    """What a value is called in `x = 5`, `f(x) = x + 1`, `(a, b) = (1, 2)`, `AB : CD = 2`, `x \\in S`; None if nothing."""
    if tag(tree) != "rel" or not set(tree[1]) <= {"=", "~", "in"}:
        return None
    head, last = tree[2][0], tree[2][-1]
    if isinstance(head, str) and head not in ("pi", "e", "i") and head not in names(last):
        return head
    if isinstance(head, tuple):
        if head[0] == "call" and head[1] not in ("mod",):
            return head
        if head[0] == "seq" and all(isinstance(part, str) for part in head[3:]):
            return head
        if head[0] in ("/", "ratio", "*", "fn", "text") and _only_points(head):
            return head
    return None


def _only_points(tree: Tree) -> bool:
    """Whether a tree is made of capital letters alone: lengths, areas, angles by their points. Or of words."""
    if isinstance(tree, str):
        return tree[0].isupper()
    if isinstance(tree, tuple) and tree[0] == "text":
        return True
    return isinstance(tree, tuple) and tree[0] in ("/", "ratio", "*", "fn") and all(
        _only_points(part) for part in tree[1 if tree[0] != "fn" else 2 :]
    )


def _bare(tree: Tree, deep: bool = False) -> Tree:
    """The value of a labelled tree; of a chain the last that is exact."""
    if deep and tag(tree) in ("list", "set"):
        return (tree[0], *(_bare(part) for part in tree[1:]))
    if _label(tree) is not None:
        for operator, term in zip(reversed(tree[1]), reversed(tree[2][1:]), strict=True):
            if operator != "~" or len(tree[1]) == 1:
                return term
        return tree[2][1]
    if tag(tree) == "rel" and tree[1] == ("~",):
        return tree[2][0]  # a value and its approximation
    return tree


def _same_head(left: Tree, right: Tree) -> bool:
    """Whether two labels are the same function of differently named variables."""
    return (
        tag(left) == "call" and tag(right) == "call" and left[1] == right[1] and len(left) == len(right)
        and all(isinstance(part, str) for part in (*left[2:], *right[2:]))
    )  # fmt: skip


def _rename(tree: Tree, old: Tree, new: Tree) -> Tree:
    table = dict(zip(old[2:], new[2:], strict=True))

    def renamed(node: Tree) -> Tree:
        if isinstance(node, str):
            return table.get(node, node)
        if isinstance(node, tuple):
            start = 2 if node[0] in ("fn", "call", "big") else 1
            return (*node[:start], *(renamed(part) for part in node[start:]))
        return node

    return renamed(tree)


def _same_renamed(gold: Tree, answer: Tree, policy: Policy) -> bool:
    """Families of solutions such as π/6 + πk, whose integer may be called otherwise."""
    mine, theirs = names(gold) - names(answer), names(answer) - names(gold)
    if len(mine) == len(theirs) == 1 and mine <= PARAMETERS and theirs <= PARAMETERS and _mentions(gold, "pi") and _mentions(answer, "pi"):
        return same_value(gold, _rename(answer, ("call", "", *theirs), ("call", "", *mine)), policy) is True
    return False


def _mentions(tree: Tree, name: str) -> bool:
    return tree == name or (isinstance(tree, tuple) and any(_mentions(part, name) for part in tree[1:]))


# Regions


def _as_regions(gold: Tree, answer: Tree) -> bool | None:
    """Intervals, inequalities and set-builders by the set they describe; None where either describes none."""
    gold_bare, answer_bare = (_bare(tree) if tag(tree) == "rel" and tree[1] in (("=",), ("in",)) else tree for tree in (gold, answer))
    certain = [region(tree, lenient=False) if tag(tree) != "set" else None for tree in (gold_bare, answer_bare)]
    if certain == [None, None]:
        return None
    variables = variable(gold), variable(answer)
    if None not in variables and variables[0] != variables[1]:
        return False
    found = [region(tree, lenient=True) for tree in (gold_bare, answer_bare)]
    if found[0] is None or found[1] is None:
        return None
    return same_region(found[0], found[1])


# Relations


def _same_relation(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    if tag(gold) != "rel":
        return _solves(answer, gold, policy)
    if tag(answer) != "rel":
        return _solves(gold, answer, policy)
    if len(gold[1]) != 1 or len(answer[1]) != 1:
        return _same_chain(gold, answer, policy)
    left, right = _difference(gold), _difference(answer)
    for flipped in (False, True):
        operator = FLIPPED.get(answer[1][0]) if flipped else answer[1][0]
        if operator == gold[1][0] and (verdict := _proportional(left, right, -1 if flipped else 1, operator in ("=", "!="))) is not False:
            return verdict
    return False


def _same_chain(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    if len(gold[1]) != len(answer[1]):
        return False
    if gold[1] != answer[1]:
        answer = ("rel", tuple(FLIPPED.get(operator, operator) for operator in reversed(answer[1])), tuple(reversed(answer[2])))
    if gold[1] != answer[1]:
        return False
    return _every([same(a, b, policy) for a, b in zip(gold[2], answer[2], strict=True)])


def _difference(tree: Tree) -> Tree:
    return ("+", tree[2][0], ("neg", tree[2][1]))


def _proportional(left: Tree, right: Tree, sign: int, either: bool) -> bool | None:
    """Whether `left / right` is the same number everywhere, other than 0, and of the given sign unless either will do."""
    wanted = names(left) | names(right)
    seed = repr(sorted((repr(left), repr(right))))
    ratios: list[mpf] = []
    with mpmath.workdps(DIGITS):
        for number in range(4):
            env = point(seed, wanted, number)
            try:
                above, below = numeric(left, env), numeric(right, env)
            except (NoValue, ValueError, ArithmeticError):
                continue
            tiny = mpf(10) ** -40
            if abs(below) < tiny or abs(above) < tiny:
                return False  # an equation that is always true says nothing
            ratios.append(above / below)
        if len(ratios) < 2 and wanted or not ratios:
            return None
        first = ratios[0]
        if any(abs(ratio - first) > abs(first) * mpf(10) ** -30 for ratio in ratios):
            return False
        return bool(either or mpmath.re(first) * sign > 0)


def _solves(relation: Tree, value: Tree, policy: Policy) -> bool | None:
    """Whether an equation says `name = value` for a name that stands in no other place: y + 1 = x² says x² - 1 of y."""
    if relation[1] != ("=",) or tag(value) in ("list", "set", "seq", "text", "mat"):
        return False
    free = names(relation) - names(value)
    if len(free) != 1 or not names(value):
        return False
    name = next(iter(free))
    difference = _difference(relation)
    seed = repr(sorted((repr(relation), repr(value))))
    with mpmath.workdps(DIGITS):
        slopes = []
        for number in range(3):
            env = point(seed, names(relation), number)
            try:
                at = [numeric(difference, {**env, name: Fraction(step)}) for step in (0, 1, 3)]
                known = numeric(value, env)
            except (NoValue, ValueError, ArithmeticError):
                return None
            slope = at[1] - at[0]
            if slope == 0 or abs(at[2] - at[0] - 3 * slope) > abs(slope) * mpf(10) ** -30:
                return False
            slopes.append(slope)
            if abs(-at[0] / slope - known) > max(abs(known), mpf(1)) * mpf(10) ** -30:
                return False
        return all(abs(slope - slopes[0]) < abs(slopes[0]) * mpf(10) ** -30 for slope in slopes)


# Collections


def _same_collection(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    parts = [list(tree[1:]) if tag(tree) in ("list", "set") else [tree] for tree in (gold, answer)]
    kinds = [tag(gold), tag(answer)]
    for number, other in ((0, 1), (1, 0)):
        if kinds[number] == "seq" and kinds[other] in ("list", "set"):
            inner = list(parts[number][0][3:])
            if kinds[other] == "list" and not any(tag(part) == "seq" for part in parts[other]):
                parts[number] = inner
                return _in_order(parts[0], parts[1], policy)
    if max(map(len, parts)) > MOST_PARTS:
        return None
    if "set" in kinds or all(tag(part) == "seq" for items in parts for part in items):
        parts = [_distinct(items, policy) for items in parts]
    elif policy.ordered:
        return _in_order(parts[0], parts[1], policy)
    return _matched(parts[0], parts[1], policy)


def _distinct(items: list[Tree], policy: Policy) -> list[Tree]:
    kept: list[Tree] = []
    for item in items:
        if not any(same(item, other, policy) for other in kept):
            kept.append(item)
    return kept


def _matched(left: Sequence[Tree], right: Sequence[Tree], policy: Policy) -> bool | None:
    """Whether each part has a partner of its own. Equality carries over, so taking the first partner suffices."""
    if len(left) != len(right):
        return False
    rest, doubt = list(right), False
    for item in left:
        for place, other in enumerate(rest):
            verdict = same(item, other, policy)
            if verdict:
                del rest[place]
                break
            doubt = doubt or verdict is None
        else:
            return None if doubt else False
    return True


def _in_order(left: Sequence[Tree], right: Sequence[Tree], policy: Policy) -> bool | None:
    if len(left) != len(right):
        return False
    return _every([same(a, b, policy) for a, b in zip(left, right, strict=True)])


def _every(verdicts: Sequence[bool | None]) -> bool | None:
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _same_tuple(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    if tag(gold) != tag(answer):
        return False
    if "(" in (gold[1], answer[1]) and "[" in (gold[1], answer[1]) and len(gold) == 5:
        return False  # as intervals they differ in an end
    return _in_order(gold[3:], answer[3:], policy)


def _same_matrix(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    rows = []
    for tree in (gold, answer):
        if tag(tree) == "mat":
            rows.append([list(row) for row in tree[1]])
        elif tag(tree) in ("seq", "list"):
            rows.append([[part] for part in tree[3 if tree[0] == "seq" else 1 :]])
        else:
            return False
    if "mat" not in (tag(gold), tag(answer)):
        return False
    if tag(gold) != tag(answer):  # a vector, written as a column or a row, against a tuple
        rows = [[[item] for row in part for item in row] if 1 in (len(part), max(map(len, part))) else part for part in rows]
    if [len(row) for row in rows[0]] != [len(row) for row in rows[1]]:
        return False
    return _every([same(a, b, policy) for left, right in zip(*rows, strict=True) for a, b in zip(left, right, strict=True)])


def _same_parts(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    """Unions and the like whose ends are no numbers: part by part."""
    if tag(gold) != tag(answer) or len(gold) != len(answer):
        return False
    if tag(gold) in ("cup", "cap"):
        return _matched(_flat(gold), _flat(answer), policy)
    if tag(gold) == "setof":
        return _in_order(gold[2:], answer[2:], policy)
    return _in_order(gold[1:], answer[1:], policy)


def _flat(tree: Tree) -> list[Tree]:
    return [part for side in tree[1:] for part in (_flat(side) if tag(side) == tree[0] else [side])]


def _same_words(gold: Tree, answer: Tree) -> bool:
    left, right = _said(gold), _said(answer)
    if left is None or right is None:
        return False
    return left == right


def _said(tree: Tree) -> str | int | None:
    """Words without articles; of a time, the minutes since midnight or noon alike where half the day is not said."""
    if tag(tree) == "time":
        return tree[1] % 720 if not tree[2] else tree[1]
    if tag(tree) == "text":
        return " ".join(piece for piece in tree[1].split() if piece not in ("a", "an", "the")) or tree[1]
    if isinstance(tree, str):
        return tree.lower()
    return None


