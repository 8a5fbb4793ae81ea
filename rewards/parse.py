r"""Answer text to a value, without `eval`, `sympify` or any other evaluation of model text.

Two readings: `number` gives an exact rational for plain numbers in microseconds; `expression` gives a small tree for
arithmetic, roots, constants and letters, which `rewards.symbolic` turns into sympy inside a killable process.

Grammar of `expression` (juxtaposition multiplies; LaTeX's \frac, \sqrt, \cdot, \times, \pi are read):

    sum     := term (("+" | "-") term)*
    term    := factor (("*" | "/" | "" ) factor)*
    factor  := "-" factor | "+" factor | atom (("^" | "**") factor)?
    atom    := number | letter | "pi" | "sqrt" group | "(" sum ")" | "\frac" group group
"""

import re
from fractions import Fraction

LONGEST_TEXT = 2000
"""Characters of an answer that are read at all."""
LONGEST_NUMBER = 400
"""Digits. Larger integers are left to be compared as text."""
DEEPEST = 40
"""Nested groups; more is malice, not mathematics."""

Tree = int | str | tuple[str, "Tree", "Tree"] | tuple[str, "Tree"]
"""An integer, a letter or "pi", `(operator, left, right)` or `(function, argument)`; JSON carries it as lists."""

_NUMBER = re.compile(r"([+-]?)\s*(\d+|\d{1,3}(?:,\d{3})+)?(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?")
_FRACTION = re.compile(r"([+-]?)\s*(?:\\[dt]?frac\{(\d+)\}\{(\d+)\}|(\d+)\s*/\s*(\d+))")
_TOKEN = re.compile(r"\s*(\d+\.\d*|\.\d+|\d+|\\[a-zA-Z]+|sqrt|pi|\*\*|[a-zA-Z]|[-+*/^(){}])")
_WORD = re.compile(r"\s*(?!sqrt)[a-zA-Z]{3,}")
_SYNONYMS = {"**": "^", "\\cdot": "*", "\\times": "*", "\\div": "/", "\\pi": "pi", "\\dfrac": "\\frac", "\\tfrac": "\\frac"}
_SPACING = {"\\left", "\\right", "\\displaystyle"}


class NotAnExpression(ValueError):
    """The text is not in the grammar above; the message says where."""


def normal_form(text: str) -> str:
    """`text` without outer spaces, dollar signs and LaTeX spacing, with a plain minus: what equality of text compares."""
    text = text.strip().strip("$").replace("−", "-").replace("\\!", "").replace("\\,", "").replace("{,}", ",")
    return re.sub(r"\s+", " ", text).strip()


def number(text: str) -> Fraction | None:
    """The exact value of an integer (thousands commas allowed), decimal, scientific number or fraction; else None."""
    text = normal_form(text)
    if len(text) > LONGEST_NUMBER:
        return None
    if match := _FRACTION.fullmatch(text):
        sign, *parts = match.groups()
        top, bottom = (part for part in parts if part is not None)
        return None if int(bottom) == 0 else Fraction(int(top), int(bottom)) * (-1 if sign == "-" else 1)
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        return None
    whole, decimals, exponent = (match[2] or "0").replace(",", ""), match[3] or "", int(match[4] or 0)
    if abs(exponent) > LONGEST_NUMBER:
        return None
    value = Fraction(int(whole + decimals), 10 ** len(decimals)) * Fraction(10) ** exponent
    return -value if match[1] == "-" else value


def expression(text: str) -> Tree:
    """The tree of `text`.

    Raises:
        NotAnExpression: where the text leaves the grammar, or is too long or too deep to be an answer.
    """
    if len(text) > LONGEST_TEXT:
        raise NotAnExpression(f"{len(text)} characters, more than {LONGEST_TEXT}")
    reader = _Reader(_tokens(normal_form(text)))
    tree = reader.sum()
    if reader.peek() is not None:
        raise NotAnExpression(f"{reader.peek()!r} is left over")
    return tree


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or _WORD.match(text, position):  # a word is no product of its letters: "no" is not "on"
            raise NotAnExpression(f"{text[position : position + 12]!r} is no mathematics")
        position = match.end()
        if match[1] not in _SPACING:
            tokens.append(_SYNONYMS.get(match[1], match[1]))
    return tokens


class _Reader:
    """Recursive descent over tokens, one method a rule of the grammar."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0

    def peek(self) -> str | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if token is None or (expected is not None and token != expected):
            raise NotAnExpression(f"{expected or 'a value'} is missing before {token!r}")
        self.position += 1
        return token

    def sum(self) -> Tree:
        tree = self.term()
        while (operator := self.peek()) in ("+", "-"):
            self.take()
            tree = (str(operator), tree, self.term())
        return tree

    def term(self) -> Tree:
        tree = self.factor()
        while (operator := self.peek()) is not None and operator not in ("+", "-", ")", "}", "^"):
            if operator in ("*", "/"):
                self.take()
                tree = (operator, tree, self.factor())
            elif operator[0].isdigit() or operator[0] == ".":
                raise NotAnExpression(f"two numbers stand side by side before {operator!r}")
            else:
                tree = ("*", tree, self.factor())
        return tree

    def factor(self) -> Tree:
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotAnExpression(f"nested deeper than {DEEPEST}")
        if self.peek() in ("-", "+"):
            sign = self.take()
            tree: Tree = ("-", 0, self.factor()) if sign == "-" else self.factor()
        else:
            tree = self.atom()
            if self.peek() == "^":
                self.take()
                tree = ("^", tree, self.group() if self.peek() == "{" else self.factor())
        self.depth -= 1
        return tree

    def atom(self) -> Tree:
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            value = Fraction(token)
            return value.numerator if value.denominator == 1 else ("/", value.numerator, value.denominator)
        if token == "(":
            tree = self.sum()
            self.take(")")
            return tree
        if token == "{":
            self.position -= 1
            return self.group()
        if token in ("sqrt", "\\sqrt"):
            return ("sqrt", self.group())
        if token == "\\frac":
            return ("/", self.group(), self.group())
        if token.isalpha():
            return token
        raise NotAnExpression(f"{token!r} stands where a value should")

    def group(self) -> Tree:
        """`{sum}`, `(sum)` or, as TeX has it, one atom."""
        opening = self.peek()
        if opening not in ("{", "("):
            return self.atom()
        self.take()
        tree = self.sum()
        self.take("}" if opening == "{" else ")")
        return tree
