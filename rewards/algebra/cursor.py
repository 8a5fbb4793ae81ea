r"""Where the parser stands among its tokens, and what a tree is.

Trees are nested tuples, cheap to build, to hash and to compare:

    Fraction                        an integer
    ("dec", value, places)          a decimal literal, its exact value and decimal places
    "x", "a_n", "pi", "e", "i"      a name
    ("+", ...) ("*", ...) ("neg", a) ("/", a, b) ("^", a, b) ("pm", a, b)      a ± b stands for two values
    ("fn", name, ...) ("call", name, ...) ("big", name, ...)                  known, unknown, ∑-like functions
    ("inf",) ("dots",) ("pct", a) ("deg", a) ("unit", a, unit, ...) ("base", digits, base) ("ratio", ...) ("time", minutes)
    ("text", words)
    ("list", ...)                   parts joined by commas, semicolons, "and", "or"
    ("seq", opening, closing, ...)  two or more parts in brackets: a point, a tuple, an interval
    ("set", ...) ("setof", names, condition) ("cup", a, b) ("cap", a, b) ("setminus", a, b)
    ("rel", operators, terms)       a chain such as a < x <= b
    ("mat", rows) ("cases", ("case", value, condition), ...)
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from rewards.algebra.tokens import Token, Unreadable

DEEPEST = 180
"""Rules within rules, three or so a pair of brackets; more is malice, not mathematics."""

Tree = Any
"""A nested tuple as above."""


def tag(tree: Tree) -> str:
    """What kind of node a tree is; "" for a number or a name."""
    return tree[0] if isinstance(tree, tuple) else ""


class CutOff(Unreadable):
    """The text ends before what it begins is whole."""


class Cursor(ABC):
    """Tokens and a position among them. Each rule of the grammar is a method that leaves the position behind what it has read.

    The grammar is split over `Atoms`, `Terms` (sums to powers), `Functions` (with commands) and `Reader` (lists, relations).
    """

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.bars = 0
        """Open `|`, in which another one closes."""
        self.integrals = 0
        """Integrals of which what is integrated is being read."""
        self.joints: list[str] = []
        """What stood between the parts that `parts` has read last."""
        self.logical = False
        """Whether a sign of logic stood between parts."""

    @abstractmethod
    def parts(self, ended: Callable[[], bool]) -> list[Tree]:
        """Parts up to where `ended` says, parted by commas, semicolons and joints."""

    @abstractmethod
    def joined(self, parts: list[Tree]) -> list[Tree]:
        """The parts read last; as one where all of them are conditions on a number."""

    @abstractmethod
    def part(self) -> Tree:
        """A relation chain with what may stand around it."""

    @abstractmethod
    def sum(self) -> Tree:
        """Terms with plus and minus between them."""

    @abstractmethod
    def relation(self) -> Tree:
        """Terms with relations between them."""

    @abstractmethod
    def command(self, name: str) -> Tree:
        r"""What begins with a command such as `\frac`, whose name has been read."""

    @abstractmethod
    def function(self, name: str) -> Tree:
        """A function's application, whose name has been read."""

    def enter(self) -> None:
        """Note that a rule is inside another."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"nested deeper than {DEEPEST}")

    def peek(self, ahead: int = 0) -> Token | None:
        at = self.position + ahead
        return self.tokens[at] if at < len(self.tokens) else None

    def text(self, ahead: int = 0) -> str:
        """The next operator's or command's text; "" at the end and before other tokens."""
        token = self.peek(ahead)
        return token.text if token is not None and token.kind in ("op", "cmd", "row") else ""

    def take(self) -> Token:
        token = self.peek()
        if token is None:
            raise CutOff("something is missing at the end")
        self.position += 1
        return token

    def skip(self, *wanted: str) -> bool:
        if self.text() in wanted:
            self.position += 1
            return True
        return False

    def expect(self, *wanted: str) -> str:
        if not (found := self.text()) or found not in wanted:
            token = self.peek()
            raise Unreadable(f"{wanted[0]!r} is missing before {token.text if token else 'the end'!r}")
        self.position += 1
        return found

    def word(self, ahead: int = 0) -> str:
        """The next token's text in lower case, whatever its kind; "" at the end."""
        token = self.peek(ahead)
        return token.text.lower() if token is not None else ""
