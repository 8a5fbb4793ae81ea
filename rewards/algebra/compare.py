"""Do two parsed answers say the same? Structure by structure: labels, lists, tuples, sets, intervals, equations, matrices."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import chain
from typing import Any

from rewards.algebra.arithmetic import tick
from rewards.algebra.cursor import Tree, tag
from rewards.algebra.exact import names
from rewards.algebra.labels import MOST_PARTS, bare, interval, rename, spread, unlabel
from rewards.algebra.matrices import matrix
from rewards.algebra.parse import parse_tidied
from rewards.algebra.regions import FLIPPED, region, same_region, variable
from rewards.algebra.relations import same_equation, solves
from rewards.algebra.scalar import Policy, same_value

PARAMETERS = {"k", "n", "m", "l", "j", "t"}
"""Names that stand for any integer in a family of solutions; two answers may choose differently."""
CONSTANTS = {"c", "C"}
"""Names of a constant of integration."""


def same(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    """Whether two answers are the same; None where that cannot be told.

    Raises:
        TooLong: where the thread's time is over.
    """
    tick()
    if gold == answer:
        return True
    if isinstance(gold, Fraction) and isinstance(answer, Fraction):
        return False  # at once: large sets compare many
    gold, answer = spread(_unwrap(gold)), spread(_unwrap(answer))
    if (verdict := _as_regions(gold, answer)) is not None:
        return verdict
    gold, answer = unlabel(gold, answer)
    if gold == answer:
        return True
    if (tag(gold) == "time") != (tag(answer) == "time"):  # 7:32 may be a ratio, 7:32 a.m. may not
        gold, answer = (tree[3] or tree if tag(tree) == "time" else tree for tree in (gold, answer))
    return _same_kind(gold, answer, policy)


def same_texts(gold: str, answer: str, policy: Mapping[str, Any]) -> bool | None:
    """The same of tidied texts and the fields of a policy, for a sandbox."""
    return same(parse_tidied(gold), parse_tidied(answer), Policy(**policy))


def _same_kind(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    """The comparison that fits what the two are."""
    if tag(gold) == "rel" or tag(answer) == "rel":
        return _same_relation(gold, answer, policy)
    if tag(gold) == "mat" or tag(answer) == "mat":
        return _same_matrix(gold, answer, policy)
    kinds = {tag(gold), tag(answer)}
    if "cases" in kinds:
        return _same_cases(gold, answer, policy)
    if kinds & {"list", "set"}:
        return _same_collection(gold, answer, policy)
    if "seq" in kinds:
        return _same_tuple(gold, answer, policy)
    if tag(gold) == tag(answer) == "ratio" and len(gold) == len(answer) > 3:
        quotients = [[("/", part, tree[1]) for part in tree[2:]] for tree in (gold, answer)]
        return _in_order(quotients[0], quotients[1], policy)
    if "text" in kinds or "time" in kinds:
        return _same_words(gold, answer)
    if kinds & {"cup", "cap", "setminus", "setof"}:
        return _same_parts(gold, answer, policy)
    if (verdict := same_value(gold, answer, policy)) is not False:
        return verdict
    return _same_renamed(gold, answer, policy)


def _unwrap(tree: Tree) -> Tree:
    """A tree in the form that is compared: lists without side conditions, `3 = x` as `x = 3`, sums of matrices added up."""
    if tag(tree) == "list":
        bounded = any(tag(part) == "rel" and not set(part[1]) <= {"=", "in"} for part in tree[1:])
        parts = [part for part in tree[1:] if bounded or not _is_condition(part)]
        return parts[0] if len(parts) == 1 else ("list", *parts) if parts else tree
    if tag(tree) == "rel" and tree[1] == ("=",) and isinstance(tree[2][1], str) and not names(tree[2][0]):
        return ("rel", ("=",), (tree[2][1], tree[2][0]))  # 3 = x
    if tag(tree) in ("+", "neg", "*", "/", "^") and (rows := matrix(tree)) is not None:
        return ("mat", rows)
    return tree


def _is_condition(tree: Tree) -> bool:
    """`k \\in \\mathbb{Z}`: says what a name may be, and nothing of the answer's value."""
    return (
        tag(tree) == "rel"
        and tree[1] == ("in",)
        and isinstance(tree[2][0], str)
        and tree[2][1] in ("mathbbZ", "mathbbN", "mathbbQ")
    )


# Regions


def _as_regions(gold: Tree, answer: Tree) -> bool | None:
    """Intervals, inequalities and set-builders by the set they describe; None where either describes none."""
    gold_bare, answer_bare = (
        bare(tree) if tag(tree) == "rel" and tree[1] in (("=",), ("in",)) else tree for tree in (gold, answer)
    )
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
    (mine, about), (theirs, other) = interval(gold), interval(answer)
    if tag(mine) == tag(theirs) == "seq" and (about == other or not (about and other)):
        return _same_tuple(mine, theirs, policy)
    if tag(gold) != "rel":
        return solves(answer, gold)
    if tag(answer) != "rel":
        return solves(gold, answer)
    if len(gold[1]) == len(answer[1]) == 1 and names(gold) | names(answer):
        return _same_pair(gold, answer)
    return _same_chain(gold, answer, policy)


def _same_pair(gold: Tree, answer: Tree) -> bool | None:
    """Two relations of two terms each: proportional, or one solved for a name on its left, as `a = 1/b` is of `ab = 1`."""
    verdict = same_equation(gold, answer)
    for relation, solved in ((gold, answer), (answer, gold)):
        name, value = solved[2]
        if not verdict and solved[1] == ("=",) and isinstance(name, str) and name in names(relation) - names(value):
            verdict = solves(relation, value, name)
    return verdict


def _same_chain(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    if len(gold[1]) != len(answer[1]):
        return False
    if gold[1] != answer[1]:
        answer = ("rel", tuple(FLIPPED.get(operator, operator) for operator in reversed(answer[1])), tuple(reversed(answer[2])))
    if gold[1] != answer[1]:
        return False
    return _every([same(a, b, policy) for a, b in zip(gold[2], answer[2], strict=True)])


# Collections


def _same_collection(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    parts = [list(tree[1:]) if tag(tree) in ("list", "set") else [tree] for tree in (gold, answer)]
    if policy.several == "any" and tag(gold) == "list" and len(parts[1]) == 1:
        return any(same(part, answer, policy) for part in parts[0])
    kinds = [tag(gold), tag(answer)]
    for number, other in ((0, 1), (1, 0)):
        if kinds[number] == "seq" and kinds[other] in ("list", "set"):
            inner = list(parts[number][0][3:])
            if kinds[other] == "list" and not any(tag(part) == "seq" for part in parts[other]):
                parts[number] = inner
                return _in_order(parts[0], parts[1], policy)
    if max(map(len, parts)) > MOST_PARTS:
        return None
    kind = set if "set" in kinds else Counter
    if not policy.ordered and kind(parts[0]) == kind(parts[1]):
        return True  # the same trees in another order, seen without comparing each with each
    if "set" in kinds or all(tag(part) == "seq" for items in parts for part in items):
        return _same_set(parts[0], parts[1], policy)
    if policy.ordered:
        return _in_order(parts[0], parts[1], policy)
    return _matched(parts[0], parts[1], policy)


def _same_set(gold: Sequence[Tree], answer: Sequence[Tree], policy: Policy) -> bool | None:
    """Whether each part of either is among the other's; the first that is not decides."""
    among = chain(
        (_some(same(part, other, policy) for other in answer) for part in gold),
        (_some(same(other, part, policy) for other in gold) for part in answer),
    )
    doubt = False
    for found in among:
        if found is False:
            return False
        doubt = doubt or found is None
    return None if doubt else True


def _some(verdicts: Iterable[bool | None]) -> bool | None:
    """Whether one of them is yes; None where none is and some are in doubt."""
    doubt = False
    for verdict in verdicts:
        if verdict:
            return True
        doubt = doubt or verdict is None
    return None if doubt else False


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
            parts = tree[3 if tree[0] == "seq" else 1 :]
            rows.append([list(part[3:]) if tag(part) == "seq" else [part] for part in parts])
        else:
            return False
    if "mat" not in (tag(gold), tag(answer)):
        return False
    if tag(gold) != tag(answer):  # a vector, written as a column or a row, against a tuple
        rows = [[[item] for row in part for item in row] if 1 in (len(part), max(map(len, part))) else part for part in rows]
    if [len(row) for row in rows[0]] != [len(row) for row in rows[1]]:
        return False
    return _every([same(a, b, policy) for left, right in zip(*rows, strict=True) for a, b in zip(left, right, strict=True)])


def _same_cases(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    """Functions by cases: the same values for the same numbers, in any order."""
    if tag(gold) != tag(answer):
        return False
    pairs = [[("seq", "(", ")", *case[1:]) for case in tree[1:]] for tree in (gold, answer)]
    return _matched(pairs[0], pairs[1], policy)


def _same_parts(gold: Tree, answer: Tree, policy: Policy) -> bool | None:
    """Unions and the like whose ends are no numbers: part by part."""
    if tag(gold) != tag(answer) or len(gold) != len(answer):
        return False
    if tag(gold) in ("cup", "cap"):
        return _matched(_flat(gold), _flat(answer), policy)
    if tag(gold) == "setof":
        mine, theirs = names(gold[1]), names(answer[1])
        if len(mine) == len(theirs) == 1:  # inside, a name may be any other
            answer = rename(answer, ("call", "", *theirs), ("call", "", *mine))
        return _in_order(gold[1][1:] + gold[2:], answer[1][1:] + answer[2:], policy)
    return _in_order(gold[1:], answer[1:], policy)


def _flat(tree: Tree) -> list[Tree]:
    return [part for side in tree[1:] for part in (_flat(side) if tag(side) == tree[0] else [side])]


def _same_words(gold: Tree, answer: Tree) -> bool:
    left, right = _said(gold), _said(answer)
    if left is None or right is None:
        return False
    return left == right


def _said(tree: Tree) -> str | int | None:
    """Words without articles; of a time, the seconds since midnight or noon alike where half the day is not said."""
    if tag(tree) == "time":
        return tree[1] % 43_200 if not tree[2] else tree[1]
    if tag(tree) == "text":
        return " ".join(piece for piece in tree[1].split() if piece not in ("a", "an", "the")) or tree[1]
    if isinstance(tree, str):
        return tree.lower()
    if tag(tree) == "*" and all(isinstance(part, str) for part in tree[1:]):
        return "".join(tree[1:]).lower()  # letters that the other side says are a word
    return None


def _same_renamed(gold: Tree, answer: Tree, policy: Policy) -> bool:
    """Families of solutions such as π/6 + πk, whose integer may be called otherwise, and constants of integration."""
    mine, theirs = names(gold) - names(answer), names(answer) - names(gold)
    if len(mine) != 1 or len(theirs) != 1:
        return False
    family = mine | theirs <= PARAMETERS and _mentions(gold, "pi") and _mentions(answer, "pi")
    if family or mine | theirs <= CONSTANTS:
        return same_value(gold, rename(answer, ("call", "", *theirs), ("call", "", *mine)), policy) is True
    return False


def _mentions(tree: Tree, name: str) -> bool:
    return tree == name or (isinstance(tree, tuple) and any(_mentions(part, name) for part in tree[1:]))
