r"""Sums, products and powers of an answer."""

from fractions import Fraction

from rewards.algebra import words
from rewards.algebra.atoms import ORDINALS, Atoms
from rewards.algebra.cursor import Tree, tag
from rewards.algebra.numerals import numeral
from rewards.algebra.tokens import Unreadable
from rewards.algebra.units import BARE, CURRENCIES, MIXED, UNITS

RELATIONS = {
    "=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "le": "<=", "ge": ">=", "ne": "!=", "approx": "~",
    "in": "in",
    "equiv": "=", "to": "->", "->": "->", "notin": "notin", "subset": "subset", "subseteq": "subseteq",
}  # fmt: skip
"""Signs and commands that relate two terms, and the operator they stand for."""
NO_FACTOR = {
    *RELATIONS, "cup", "cap", "setminus", "pm", "mp", "wedge", "vee", "end", "ldots", "iff", "forall", "exists", "quad",
    "rfloor",
    "rceil", "rangle", "times", "cdot", "div", "mod", "pmod", "bmod", "over", "choose", "implies", "Rightarrow", "colon",
    "prime",
}  # fmt: skip
"""Commands that end a product."""
SETS = {"set", "setof", "cup", "cap", "setminus", "seq"}


class Terms(Atoms):
    """From sums down to powers."""

    def sum(self) -> Tree:
        self.enter()
        terms = [self.term()]
        while (operator := self.text()) in ("+", "-", "pm", "mp"):
            self.position += 1
            if operator in ("pm", "mp"):
                left = terms[0] if len(terms) == 1 else ("+", *terms)
                terms = [(operator, left, self.term())]
            else:
                term = self.term()
                if operator == "-" and len(terms) == 1 and tag(term) in ("set", "setof") and _is_set(terms[0]):
                    terms = [("setminus", terms[0], term)]
                else:
                    terms.append(("neg", term) if operator == "-" else term)
        self.depth -= 1
        return terms[0] if len(terms) == 1 else ("+", *terms)

    def term(self) -> Tree:
        if (sign := self.text()) in ("+", "-"):
            self.position += 1
            self.enter()
            inner = self.term()
            self.depth -= 1
            return ("neg", inner) if sign == "-" else inner
        factors = [self.signed()]
        while True:
            operator = self.text()
            if operator in ("*", "cdot", "times"):
                self.position += 1
                factors.append(self.signed())
                if operator == "times" and any(map(_is_vector, factors[-2:])):
                    factors[-2:] = [("call", "times", *map(_unmarked, factors[-2:]))]  # of vectors, not of numbers
            elif operator in ("/", "div"):
                if self._unit_follows():
                    break
                self.position += 1
                below = self.signed()
                above = factors[0] if len(factors) == 1 else ("*", *factors)
                if tag(below) in ("pct", "deg"):  # `1/2%`: the sign belongs to the whole
                    below, mark = below[1], tag(below)
                    factors = [(mark, _mixed(above, below) or ("/", above, below))]
                else:
                    factors = [_mixed(above, below) or quotient(above, below)]
            elif operator == ":" and self.depth <= 1 and self._value_follows():
                self.position += 1
                left = factors[0] if len(factors) == 1 else ("*", *factors)
                right = self.signed()
                factors = [(*left, right) if tag(left) == "ratio" else ("ratio", left, right)]
            elif self._begins_factor():
                self._juxtaposed(factors)
            else:
                break
        return factors[0] if len(factors) == 1 else ("*", *in_order(factors))

    def _juxtaposed(self, factors: list[Tree]) -> None:
        """Read a factor that follows without a sign: it multiplies, but for mixed numbers and for minutes of an angle."""
        before, token = factors[-1], self.peek()
        assert token is not None
        following = self.power()
        if token.kind == "num" and tag(before) == "deg" and self.skip("'"):
            factors[-1] = ("deg", ("+", before[1], ("/", following, Fraction(60))))
        elif token.kind == "num":
            mixed = isinstance(before, Fraction) and token.spaced and self.text() == "/"
            power = not isinstance(before, Fraction) and tag(before) not in ("dec", "neg") and tag(following) in ("^", "fn")
            if not (mixed or power):
                raise Unreadable(f"two numbers stand side by side before {token.text!r}")
            factors.append(following)
        elif isinstance(before, Fraction) and token.text == "frac" and _is_plain_fraction(following):
            factors[-1] = ("+", before, following)
        elif isinstance(before, Fraction) and tag(following) in ("pct", "deg") and _is_plain_fraction(following[1]):
            factors[-1] = (tag(following), ("+", before, following[1]))
        else:
            factors.append(following)

    def _unit_follows(self) -> bool:
        """`10 m/s`, `5 dollars / hour`: the slash belongs to a unit."""
        token = self.peek(1)
        return token is not None and token.kind == "text"

    def _value_follows(self) -> bool:
        token = self.peek(1)
        return token is not None and (
            token.kind in ("num", "cmd") or token.text in "({[" or (token.kind == "name" and len(token.text) <= 4)
        )

    def _begins_factor(self) -> bool:
        token = self.peek()
        if token is None or token.kind == "row":
            return False
        if token.kind == "text":
            return token.text in words.FUNCTIONS and token.text not in UNITS
        if token.kind == "num":
            return True
        if token.kind == "name":
            return self._is_value_name(token.text)
        if token.kind == "cmd":
            return token.text not in NO_FACTOR
        return token.text in ("(", "[", "{", "\\{") or (token.text == "|" and self.bars == 0)

    def _is_value_name(self, name: str) -> bool:
        """Whether a run of letters is a name, a function or a product of names, rather than a word."""
        lowered = name.lower()
        if lowered in words.JOINTS or lowered in words.PERCENT | words.DEGREE or name in ORDINALS:
            return False
        if (name in BARE | MIXED or (name.isupper() and lowered in CURRENCIES)) and self._measures(name):
            return False
        if name in words.FUNCTIONS and name in UNITS and self.text(1) not in ("(", "{", "\\{"):  # `10 min`
            return False
        return (
            len(name) == 1
            or name in words.FUNCTIONS
            or lowered in words.GREEK
            or name in ("infty", "inf", "infinity")
            or len(name) <= 3
        )

    def _measures(self, name: str) -> bool:
        r"""Whether a unit may stand here: behind a number, brackets or `\pi`. In `2\pi rh` and `r^2 h` letters are factors."""
        before = self.tokens[self.position - 1] if self.position else None
        if before is None or before.kind in ("num", "text"):
            return True
        return name != "hr" and before.text in (")", "}", "]", "%", "pi", "dollar", "circ")  # `\pi hr` is no time

    def signed(self) -> Tree:
        self.enter()
        operator = self.text()
        if operator in ("-", "+"):
            self.position += 1
            inner = self.signed()
            tree = ("neg", inner) if operator == "-" else inner
        elif operator in ("pm", "mp"):
            self.position += 1
            tree = (operator, Fraction(0), self.term())
        else:
            tree = self.power()
        self.depth -= 1
        return tree

    def power(self) -> Tree:
        tree = self.postfix(self.atom())
        while self.skip("^"):
            if (combined := self.combination(tree)) is not None:
                tree = combined
                continue
            if self.text() == "circ":
                self.position += 1
                tree = ("deg", tree)
                continue
            exponent = self.group() if self.text() == "{" else self.exponent()
            if exponent == ("ordinal",):
                continue
            if self.text() == "_" and isinstance(tree, str) and tree not in ("e", "pi", "i"):  # `v^2_0`
                tree = self.symbol(tree)
            if exponent in INVERSE and tag(tree) == "*":
                tree = ("*", *in_order(list(tree[1:]), True))
            tree = ("deg", tree) if exponent == ("circ",) else ("^", tree, exponent)
            tree = self.postfix(tree)
        return tree

    def combination(self, tree: Tree) -> Tree | None:
        """`C_{10}^{3}`, whose exponent says how many of the index are taken; None for all else."""
        total = tree[2:] if isinstance(tree, str) and tree.startswith("C_") else ""
        braced = self.text() == "{"
        token = self.peek(1 if braced else 0)
        if token is None or not (total.isdigit() and token.text.isdigit()) or not 2 < int(total) > int(token.text):
            return None
        if braced and self.text(2) != "}":
            return None
        self.position += 3 if braced else 1
        return ("fn", "binom", Fraction(int(total)), Fraction(int(token.text)))

    def exponent(self) -> Tree:
        token = self.peek()
        if token is not None and token.kind == "text" and token.text in ORDINALS:
            self.position += 1
            return ("ordinal",)
        indexed = (follows := self.peek(1)) is not None and follows.text == "_"
        if (
            token is not None
            and token.kind == "num"
            and token.text.isdigit()
            and (indexed or (len(token.text) > 1 and not token.spaced))
        ):
            self.position += 1  # `x^12`: TeX would raise one digit, people mean both
            return Fraction(int(token.text))
        if self.text() in ("-", "+"):
            sign = self.take().text
            inner = self.exponent()
            return ("neg", inner) if sign == "-" else inner
        tree = self.postfix(self.atom())
        return ("^", tree, self.exponent_after()) if self.text() == "^" else tree

    def exponent_after(self) -> Tree:
        self.enter()
        self.expect("^")
        tree = self.group() if self.text() == "{" else self.exponent()
        self.depth -= 1
        return tree

    def postfix(self, tree: Tree) -> Tree:
        while True:
            operator = self.text()
            if operator == "!" and self.text(1) != "=":
                self.position += 1
                if self.text() == "!":
                    raise Unreadable("a double factorial is none of a factorial")
                tree = ("fn", "factorial", tree)
            elif operator == "%":
                self.position += 1
                tree = ("pct", tree)
            elif operator == "circ" and tag(tree) != "dec" and not isinstance(tree, Fraction):
                raise Unreadable("what a composition does is not known")
            elif operator in ("^\\circ", "circ"):
                self.position += 1
                tree = ("deg", tree)
            elif operator in CURRENCIES:
                self.position += 1
                tree = ("unit", tree, CURRENCIES[operator])
            elif operator == "_" and not isinstance(tree, str):
                self.position += 1
                tree = self.based(tree)
            else:
                return tree

    def based(self, tree: Tree) -> Tree:
        """A number with its base as an index."""
        base = self.subscript()
        if isinstance(tree, Fraction) and isinstance(base, str):
            value = int(base) if base.isdigit() else numeral([base])
            if value is not None:
                return ("base", str(int(tree)), value)
        raise Unreadable("an index stands behind what is no name")


INVERSE = (("neg", Fraction(1)), "T", "top")
"""Exponents of a matrix that is inverted or transposed."""


def in_order(factors: list[Tree], matrices: bool = False) -> list[Tree]:
    """Factors of which those that are matrices, capital letters one of which is inverted, transposed or bold, are one: they do
    not change places."""
    capital = [place for place, factor in enumerate(factors) if _is_capital(factor)]
    matrices = matrices or any(tag(factors[place]) in ("^", "call") for place in capital)
    if len(capital) < 2 or not matrices:
        return factors
    product = ("call", "product", *(_unmarked(factors[place]) for place in capital))
    return [factor for place, factor in enumerate(factors) if place not in capital] + [product]


def _is_capital(tree: Tree) -> bool:
    if tag(tree) == "^":
        return tree[2] in INVERSE and _is_capital(tree[1])
    if tag(tree) == "call":
        return tree[1] == "vec" and _is_capital(tree[2])
    return isinstance(tree, str) and len(tree) == 1 and tree.isupper()


def _is_vector(tree: Tree) -> bool:
    return tree[:2] == ("call", "vec") if isinstance(tree, tuple) else str(tree).startswith("vec ")


def _unmarked(tree: Tree) -> Tree:
    """A vector or matrix without the arrow or the bold type that says that it is one."""
    return tree[2] if tag(tree) == "call" and tree[1] == "vec" else tree


def quotient(above: Tree, below: Tree) -> Tree:
    """A fraction.

    Raises:
        Unreadable: for a derivative, `dy/dx`, whose d is no factor.
    """
    heads = [(tree[1] if tag(tree) == "*" else tree) for tree in (above, below)]
    if tag(below) == "*" and heads[1] == "d" and (heads[0] == "d" or heads[0] == ("^", "d", heads[0][-1])):
        raise Unreadable("what a derivative is of is not known")
    return ("/", above, below)


def _is_set(tree: Tree) -> bool:
    return tag(tree) in SETS or (isinstance(tree, str) and tree in words.NUMBER_SETS.values())


def _is_plain_fraction(tree: Tree) -> bool:
    return isinstance(tree, tuple) and tree[0] == "/" and isinstance(tree[1], Fraction) and isinstance(tree[2], Fraction)


def _mixed(above: Tree, below: Tree) -> Tree | None:
    """`1 1/4`: a whole number, a space, a fraction."""
    if (
        isinstance(above, tuple)
        and above[0] == "*"
        and len(above) == 3
        and isinstance(above[1], Fraction)
        and isinstance(above[2], Fraction)
    ):
        return ("+", above[1], ("/", above[2], below))
    return None
