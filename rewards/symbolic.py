"""Equality of two expression trees, by sympy. Runs inside a sandbox process only: sympy may think for ever."""

import sympy

from rewards.parse import Tree

LARGEST_EXPONENT = 1000
"""Above it a power is not built: 9^9^9 has more digits than the machine has bits."""

_OPERATORS = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
}


def equal(left: Tree, right: Tree) -> bool | None:
    """Whether two trees have the same value for all values of their letters; None where that cannot be decided."""
    difference = _build(left) - _build(right)
    if difference.has(sympy.nan, sympy.zoo, sympy.oo):
        return None
    if difference.is_Rational:
        return bool(difference == 0)
    return difference.equals(0)


def _build(tree: Tree | list[Tree]) -> sympy.Expr:
    if isinstance(tree, int):
        return sympy.Integer(tree)
    if isinstance(tree, str):
        return sympy.pi if tree == "pi" else sympy.Symbol(tree)
    operator, *arguments = tree
    values = [_build(argument) for argument in arguments]
    if operator == "sqrt":
        return sympy.sqrt(values[0])
    if operator == "^":
        base, exponent = values
        if exponent.is_number and abs(exponent) > LARGEST_EXPONENT:
            raise OverflowError(f"exponent {exponent} is larger than {LARGEST_EXPONENT}")
        return base**exponent
    return _OPERATORS[str(operator)](*values)
