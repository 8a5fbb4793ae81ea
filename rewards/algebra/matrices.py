"""Matrices that are written as sums, multiples and transposes of others."""

from collections.abc import Callable

from rewards.algebra.cursor import Tree, tag

Rows = tuple[tuple[Tree, ...], ...]


def matrix(tree: Tree) -> Rows | None:
    """The rows of a matrix, of sums of matrices, of their multiples, and of what is transposed; None for all else."""
    match tree:
        case ("mat", rows):
            return rows
        case ("neg", inner):
            return _each(matrix(inner), lambda item: ("neg", item))
        case ("/", above, below):
            return _each(matrix(above), lambda item: ("/", item, below))
        case ("*", *factors):
            found = [place for place, factor in enumerate(factors) if matrix(factor) is not None]
            if len(found) != 1:
                return None
            others = factors[: found[0]] + factors[found[0] + 1 :]
            return _each(matrix(factors[found[0]]), lambda item: ("*", *others, item))
        case ("^", inner, "T" | "top"):
            rows = matrix(inner) or ((tuple(inner[3:]),) if tag(inner) == "seq" else None)
            return tuple(zip(*rows, strict=True)) if rows and len(set(map(len, rows))) == 1 else None
        case ("+", *terms):
            matrices = [matrix(term) for term in terms]
            total = matrices[0]
            for rows in matrices[1:]:
                if total is None or rows is None or [len(row) for row in rows] != [len(row) for row in total]:
                    return None
                total = tuple(
                    tuple(("+", a, b) for a, b in zip(one, other, strict=True)) for one, other in zip(total, rows, strict=True)
                )
            return total
    return None


def _each(rows: Rows | None, change: Callable[[Tree], Tree]) -> Rows | None:
    return None if rows is None else tuple(tuple(map(change, row)) for row in rows)
