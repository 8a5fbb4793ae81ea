r"""What stands between `\\begin` and `\\end`: matrices, determinants, systems, functions that are defined by cases."""

from functools import reduce

from rewards.algebra import words
from rewards.algebra.cursor import Tree, tag
from rewards.algebra.terms import RELATIONS, Terms
from rewards.algebra.tokens import Unreadable

MATRICES = {"pmatrix", "bmatrix", "matrix", "array", "Bmatrix", "smallmatrix"}
CASES = {"cases", "dcases", "rcases"}
LARGEST_DETERMINANT = 4
"""Rows of a determinant that is expanded."""

Rows = tuple[tuple[Tree, ...], ...]


class Environments(Terms):
    """Rows of cells."""

    def environment(self) -> Tree:
        name = self.environment_name()
        if name in CASES:
            return self.cases()
        if name not in MATRICES and name != "vmatrix":
            raise Unreadable(f"the environment {name!r} is none of mathematics that is known")
        if name == "array" and self.skip("{"):
            while not self.skip("}"):
                self.take()
        rows = self.rows()
        if not rows:
            raise Unreadable(f"the environment {name!r} is empty")
        return determinant(rows) if name == "vmatrix" else ("mat", rows)

    def absolute(self) -> Tree:
        """Bars around a value; around a matrix its determinant."""
        tree = super().absolute()
        return determinant(tree[2][1]) if tag(tree[2]) == "mat" else tree

    def environment_name(self) -> str:
        self.expect("{")
        name = ""
        while not self.skip("}"):
            name += self.take().text
        return name

    def rows(self) -> Rows:
        """The cells of each row up to the environment's end, which is read past."""
        self.enter()
        rows: list[tuple[Tree, ...]] = []
        row: list[Tree] = []
        while not self.skip("end"):
            if self.skip("&"):
                continue
            if self.skip("\\\\"):
                rows.append(tuple(row))
                row = []
                continue
            row.append(self.part())
        if row:
            rows.append(tuple(row))
        self.environment_name()
        self.depth -= 1
        return tuple(rows)

    def cases(self) -> Tree:
        """A function by cases: each value with the numbers it is for. Rows without a condition are a system of equations."""
        self.enter()
        found: list[Tree] = []
        while not self.skip("end"):
            value = self.part()
            while self.text() in ("&", ","):
                self.position += 1
            condition = self.condition()
            found.append(value if condition is None else ("case", value, condition))
        self.environment_name()
        self.depth -= 1
        if not found or len({tag(part) == "case" for part in found}) > 1:
            raise Unreadable("some cases have a condition and some have none")
        if tag(found[0]) != "case":
            return found[0] if len(found) == 1 else ("list", *found)
        return ("cases", *_without_otherwise(found))

    def condition(self) -> Tree | None:
        """What stands in a row behind the value: relations, or words; None for nothing."""
        start = self.position
        while self.text() not in ("\\\\", "end"):
            self.take()
        end = self.position
        self.skip("\\\\")
        behind, cell = self.position, self.tokens[start:end]
        while cell and (cell[0].text.lower() in words.CONDITIONALS or cell[0].text in (",", "&")):
            start, cell = start + 1, cell[1:]
        while cell and cell[-1].text in (",", ".", ";"):
            end, cell = end - 1, cell[:-1]
        if not cell:
            return None
        if not any(token.text in RELATIONS for token in cell):
            said = " ".join(token.text.lower() for token in cell).split()
            return ("text", " ".join(word for word in said if word not in words.CONDITIONALS | words.COPULAS))
        self.position = start
        parts = self.joined(self.parts(lambda: self.position >= end))
        self.position = behind
        return parts[0] if len(parts) == 1 else ("list", *parts)


def _without_otherwise(cases: list[Tree]) -> list[Tree]:
    """Cases the last of which, where it is for all other numbers, is for those that the others leave."""
    *others, (_, value, condition) = cases
    if condition not in (("text", "otherwise"), ("text", "else")):
        return cases
    conditions = [other[2] for other in others]
    if not conditions or any(tag(other) != "rel" for other in conditions):
        return [*others, ("case", value, ("text", "otherwise"))]
    taken = reduce(lambda left, right: ("cup", left, right), conditions)
    return [*others, ("case", value, ("setminus", "mathbbR", taken))]


def determinant(rows: Rows) -> Tree:
    """The determinant of a small square matrix, expanded along its first row.

    Raises:
        Unreadable: for any other.
    """
    if len(rows) > LARGEST_DETERMINANT or any(len(row) != len(rows) for row in rows):
        raise Unreadable("what a determinant is of is not square, or too large")
    return _expanded(rows)


def _expanded(rows: Rows) -> Tree:
    if len(rows) == 1:
        return rows[0][0]
    terms = []
    for place, item in enumerate(rows[0]):
        minor = ("*", item, _expanded(tuple((*row[:place], *row[place + 1 :]) for row in rows[1:])))
        terms.append(("neg", minor) if place % 2 else minor)
    return ("+", *terms) if len(terms) > 1 else terms[0]
