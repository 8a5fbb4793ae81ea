"""Names given to values, and values given as choices: `x = 5`, `f(x) = x + 1`, `(a, b) = (1, 2)`, `1 ± 2`."""

from collections.abc import Iterable
from fractions import Fraction

from rewards.algebra.cursor import Tree, tag
from rewards.algebra.exact import names
from rewards.algebra.relations import agree
from rewards.algebra.words import HEDGES

MOST_PARTS = 300
"""Parts of a list that are told apart."""


def spread(tree: Tree) -> Tree:
    """`a ± b` as the two values it stands for, inside lists, sets and tuples too."""
    if not isinstance(tree, tuple):
        return tree
    if tree[0] in ("list", "set"):
        parts = [piece for part in tree[1:] for piece in _values(part)]
        return (tree[0], *parts)
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
    return isinstance(tree, tuple) and tree != () and (tree[0] in ("pm", "mp") or any(_has_choice(part) for part in tree[1:]))


def _choose(tree: Tree, sign: int) -> Tree:
    """The first choice in a tree made one way. In a tuple each choice is free; in a value all go together."""
    if not isinstance(tree, tuple) or not tree:
        return tree
    if tree[0] in ("pm", "mp"):
        left, right = _choose(tree[1], sign), tree[2]
        term = right if (sign > 0) == (tree[0] == "pm") else ("neg", right)
        return term if left == Fraction(0) else ("+", left, term)
    if tree[0] == "seq":
        for place, part in enumerate(tree):
            if place > 2 and _has_choice(part):
                return (*tree[:place], _choose(part, sign), *tree[place + 1 :])
    return (tree[0], *(_choose(part, sign) for part in tree[1:]))


def unlabel(gold: Tree, answer: Tree) -> tuple[Tree, Tree]:
    """Both trees without the names that are given to values, where that loses nothing."""
    if tag(gold) == "list" and tag(answer) == "list" and len(gold) == len(answer):
        mine, theirs = ([_label(part) for part in tree[1:]] for tree in (gold, answer))
        if None not in mine and None not in theirs and len(set(mine)) == len(mine) and set(mine) == set(theirs):
            places = dict(zip(theirs, answer[1:], strict=True))
            return _tuple(map(bare, gold[1:])), _tuple(bare(places[label]) for label in mine)
    labels = _label(gold), _label(answer)
    if labels[0] is not None and labels[1] is not None:
        if labels[0] == labels[1]:
            return bare(gold), bare(answer)
        if _same_head(labels[0], labels[1]):
            return bare(gold), rename(bare(answer), labels[1], labels[0])
        if not _interchangeable(labels[0], labels[1]):
            return gold, answer
    elif tag(gold) == tag(answer) == "rel" and names(gold) and names(answer):
        return gold, answer
    return bare(gold, deep=True), bare(answer, deep=True)


def _tuple(parts: Iterable[Tree]) -> Tree:
    return ("seq", "(", ")", *parts)


def _interchangeable(left: Tree, right: Tree) -> bool:
    """Labels of points and tuples are no unknowns of which one could be meant and not the other; nor are f(2) and f(3)."""
    if tag(left) == tag(right) == "call":
        return bool(names(left) and names(right))
    if isinstance(left, str) and isinstance(right, str):
        return False
    return not any(tag(one) == "*" and other in names(one) for one, other in ((left, right), (right, left)))  # PV and P


def _label(tree: Tree) -> Tree | None:
    """What a value is called in `x = 5`, `f(x) = x + 1`, `(a, b) = (1, 2)`, `AB : CD = 2`, `x \\in S`; None if nothing."""
    if tag(tree) != "rel" or not set(tree[1]) <= {"=", "~", "in"}:
        return None
    head, last = tree[2][0], tree[2][-1]
    if isinstance(head, str) and head not in ("pi", "e", "i") and head not in names(last):
        return head
    if isinstance(head, tuple):
        if head[0] == "call":
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
        return not HEDGES & set(tree[1].split())
    return (
        isinstance(tree, tuple)
        and tree[0] in ("/", "ratio", "*", "fn")
        and all(_only_points(part) for part in tree[1 if tree[0] != "fn" else 2 :])
    )


def bare(tree: Tree, deep: bool = False) -> Tree:
    """The value of a labelled tree; of a chain the last that is exact. A chain that contradicts itself stays one."""
    if deep and tag(tree) in ("list", "set"):
        return (tree[0], *(bare(part) for part in tree[1:]))
    if tag(tree) != "rel" or not set(tree[1]) <= {"=", "~", "in"}:
        return tree
    head = 0 if _label(tree) is None else 1
    operators, terms = tree[1][head:], tree[2][head:]  # terms[0] and what is said to be equal to it
    if head == 0 and (any(names(term) for term in terms) or terms[0] == terms[-1]):
        return tree
    if not agree(operators, terms):
        return tree
    for operator, term in zip(reversed(operators), reversed(terms[1:]), strict=True):
        if operator != "~":
            return term
    return terms[0]


def interval(tree: Tree) -> tuple[Tree, str]:
    """`a < x < b` and `x in (a, b)` as the interval that they say, whose ends may be names, and x; all else as it is."""
    if tag(tree) != "rel":
        return tree, ""
    operators, terms = tree[1], tree[2]
    if operators == ("in",) and isinstance(terms[0], str) and tag(terms[1]) == "seq":
        return terms[1], terms[0]
    if len(operators) != 2 or not isinstance(terms[1], str) or terms[1] in names(terms[0]) | names(terms[2]):
        return tree, ""
    if set(operators) <= {">", ">="}:
        operators, terms = operators[::-1], terms[::-1]
    elif not set(operators) <= {"<", "<="}:
        return tree, ""
    opening, closing = "[" if operators[0][-1] == "=" else "(", "]" if operators[1][-1] == "=" else ")"
    return ("seq", opening, closing, terms[0], terms[2]), terms[1]


def _same_head(left: Tree, right: Tree) -> bool:
    """Whether two labels are the same function of differently named variables."""
    return (
        tag(left) == "call" and tag(right) == "call" and left[1] == right[1] and len(left) == len(right)
        and all(isinstance(part, str) for part in (*left[2:], *right[2:]))
    )  # fmt: skip


def rename(tree: Tree, old: Tree, new: Tree) -> Tree:
    table = dict(zip(old[2:], new[2:], strict=True))

    def renamed(node: Tree) -> Tree:
        if isinstance(node, str):
            return table.get(node, node)
        if isinstance(node, tuple) and node[0] == "rel":
            return ("rel", node[1], tuple(map(renamed, node[2])))
        if isinstance(node, tuple):
            start = 2 if node[0] in ("fn", "call", "big") else 1
            return (*node[:start], *(renamed(part) for part in node[start:]))
        return node

    return renamed(tree)
