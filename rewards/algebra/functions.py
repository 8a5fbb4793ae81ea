r"""Commands and functions of an answer: fractions, roots, logarithms, sums, accents."""

from fractions import Fraction

from rewards.algebra import words
from rewards.algebra.cursor import DEEPEST, Tree, tag
from rewards.algebra.environments import Environments, determinant
from rewards.algebra.terms import quotient
from rewards.algebra.tokens import Unreadable
from rewards.algebra.units import CURRENCIES

BIG = {"sum", "prod", "int", "lim", "iint", "oint", "bigcup", "bigcap"}
CONSTANTS: dict[str, Tree] = {"infty": ("inf",), "emptyset": ("set",), "hbar": "hbar", "ell": "l", "ldots": ("dots",)}
ACCENTS = {
    "overline": "bar", "bar": "bar", "vec": "vec", "overrightarrow": "vec", "hat": "hat", "widehat": "hat", "tilde": "tilde",
    "dot": "dot", "ddot": "ddot",
}  # fmt: skip
"""Each accent, and the one that it is like."""
SPECIAL = {"zeta": "zeta", "Gamma": "gamma"}
"""Letters that are functions before brackets; the zeta of other than integers may be a factor."""
ALPHABETS = {"mathbb", "mathcal", "mathfrak", "Bbb"}
SYMBOLS = {"top", "triangle", "imath", "jmath", "Re", "Im", "aleph", "mho", "square", "Box", "blacksquare", "star", "prime"}
"""Commands that are names, beside Greek letters. What any other does is not known: `\\partial` or `\\oplus` are no factors."""
PARTS = {
    ("^", "+"): "+", ("^", "{", "+", "}"): "+", ("_", "{", ">", "0", "}"): "+", ("^", "-"): "-", ("^", "{", "-", "}"): "-",
    ("_", "{", "<", "0", "}"): "-", ("^", "*"): "*", ("^", "{", "*", "}"): "*", ("_", "{", "ne", "0", "}"): "*",
    ("_", "{", "ge", "0", "}"): "0", ("_", "{", ">=", "0", "}"): "0",
}  # fmt: skip
"""What stands behind a set of numbers and says which part of it is meant."""
SIDES = tuple(wrapped for sign in "+-" for wrapped in (("^", sign), ("^", "{", sign, "}"), (sign,)))
"""How the side from which a limit is approached is written behind where it goes."""
ANGULAR = {"sin", "cos", "tan", "cot", "sec", "csc"}
"""Functions of which people write the argument as a product with brackets."""


class Functions(Environments):
    """What begins with a command or a function's name."""

    def command(self, name: str) -> Tree:  # noqa: C901 (one case a kind of node)
        if name == "frac":
            return quotient(self.argument(), self.argument())
        if name == "sqrt":
            degree = None
            if self.skip("["):
                degree = self.sum()
                self.expect("]")
            inner = self.argument()
            return ("fn", "sqrt", inner) if degree is None else ("fn", "root", inner, degree)
        if name in ("binom", "dbinom", "tbinom"):
            return ("fn", "binom", self.argument(), self.argument())
        if name == "begin":
            return self.environment()
        if name in ("lfloor", "lceil", "langle"):
            return self.fenced(name)
        if name in BIG:
            return self.big(name)
        if name in SPECIAL and self.text() == "(" and (name != "zeta" or (self.word(1).isdigit() and self.word(2) == ")")):
            return ("fn", SPECIAL[name], self.atom())
        if name in ACCENTS:
            return self.accented(ACCENTS[name])
        if name in ALPHABETS:
            inner = self.argument()
            return self.part_of(f"{name}{inner}") if isinstance(inner, str) else ("call", name, inner)
        if name in words.FUNCTIONS:
            return self.function(name)
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in CURRENCIES:
            return ("unit", self.power(), CURRENCIES[name])
        if name in ("angle", "measuredangle"):
            return self.angle()
        if name == "nexists":
            return ("text", words.UNDEFINED)
        if name.lower() not in words.GREEK and name not in SYMBOLS:
            raise Unreadable(f"\\{name} is no command that is known")
        return self.symbol(name)

    def angle(self) -> Tree:
        """An angle by its points, of which the outer two may change places; or what stands behind the sign."""
        token = self.peek()
        if token is not None and token.kind == "name" and len(token.text) == 3 and token.text.isupper():
            self.position += 1
            return f"angle {min(token.text, token.text[::-1])}"
        return self.atom()

    def accented(self, accent: str) -> Tree:
        """What stands under an accent. Two points under a bar are a segment, whose ends may change places; under an arrow
        they may not."""
        token = self.peek(1)
        if token is not None and len(token.text) == 2 and token.text.isupper() and (self.text(), self.text(2)) == ("{", "}"):
            self.position += 3
            return f"{accent} {min(token.text, token.text[::-1]) if accent == 'bar' else token.text}"
        return ("call", accent, self.argument())

    def part_of(self, numbers: str) -> Tree:
        r"""A set of numbers, or the part of it that a sign says: `\mathbb{R}^+`, `\mathbb{Z}_{\ge 0}`, `\mathbb{R}^*`."""
        for wanted, sign in PARTS.items():
            if wanted == tuple(self.word(ahead) for ahead in range(len(wanted))):
                self.position += len(wanted)
                return _part(numbers, sign)
        return numbers

    def argument(self) -> Tree:
        r"""What TeX takes as one argument: a group, or one digit, letter or command."""
        if self.text() == "{":
            if self.text(1) == "}":
                raise Unreadable("an argument is empty")
            return self.group()
        token = self.peek()
        if token is not None and token.kind == "num" and len(token.text) > 1 and token.text.isdigit():
            # `\frac12`: one digit now, the rest stays
            self.tokens[self.position] = token._replace(text=token.text[1:], spaced=False)
            return Fraction(int(token.text[0]))
        if self.text() in ("+", "-"):
            sign = self.take().text
            return ("neg", self.argument()) if sign == "-" else self.argument()
        return self.atom()

    def function(self, name: str) -> Tree:
        """A function with its exponent, base and argument: `sin^2 x`, `log_{10}(2)`, `arctan(x)`."""
        name = words.SYNONYMS.get(name, name)
        exponent = base = None
        for _ in range(2):
            if self.skip("^"):
                exponent = self.group() if self.text() == "{" else self.exponent()
            elif self.skip("_"):
                base = self.group() if self.text() == "{" else self.atom()
        if name == "exp":
            return ("^", "e", self.call_argument())
        arguments: tuple[Tree, ...]
        if name == "binom" and self.text() == "{":
            arguments = (self.argument(), self.argument())
        elif name in ("max", "min", "gcd", "lcm", "binom") or (self.text() in ("(", "\\{") and name == "log"):
            inner = self.call_argument()
            arguments = inner[3:] if tag(inner) == "seq" else inner[1:] if tag(inner) == "set" else (inner,)
        else:
            arguments = (self.call_argument(multiplied=name in ANGULAR),)
        if name == "det" and tag(arguments[0]) == "mat":
            return determinant(arguments[0][1])
        if len(arguments) != 2 if name == "binom" else not arguments:
            raise Unreadable(f"{name} lacks an argument")
        if name == "log" and base is not None:
            arguments = (*arguments, base)
        if exponent == ("neg", Fraction(1)) and name in ("sin", "cos", "tan", "cot", "sec", "csc"):
            return ("fn", f"arc{name}", *arguments)
        tree: Tree = ("fn", name, *arguments)
        return tree if exponent is None else ("^", tree, exponent)

    def call_argument(self, multiplied: bool = False) -> Tree:
        """`(x)`, `{x}`, or without brackets what multiplies: `sin 2x`, `ln 5`; `sin 2(x + 1)` where `multiplied`."""
        if self.text() in ("(", "[", "|", "{", "\\{"):
            tree = self.atom()
            return self.power_of(tree)
        if self.text() in ("+", "-"):
            sign = self.take().text
            inner = self.call_argument()
            return ("neg", inner) if sign == "-" else inner
        factors = [self.power()]
        if multiplied and self.text() == "(" and isinstance(factors[0], Fraction):
            factors.append(self.power())
        while (
            self._begins_factor() and self.text() not in ("(", "[", "|") and not (self._is_function() or self._ends_integral())
        ):
            token = self.peek()
            if token is not None and token.kind == "num":
                break
            factors.append(self.power())
        tree = factors[0] if len(factors) == 1 else ("*", *factors)
        while self.text() == "/" and (token := self.peek(1)) is not None and token.kind == "num" and self.depth < DEEPEST:
            self.position += 1
            tree = ("/", tree, self.power())
        return tree

    def power_of(self, tree: Tree) -> Tree:
        return ("^", tree, self.exponent_after()) if self.text() == "^" else tree

    def _is_function(self) -> bool:
        token = self.peek()
        return token is not None and token.kind in ("cmd", "name") and token.text in words.FUNCTIONS

    def _ends_integral(self) -> bool:
        """Whether `dx` follows that says over what an integral goes."""
        token, after = self.peek(), self.peek(1)
        if not self.integrals or token is None or token.kind != "name" or token.text[0] != "d":
            return False
        return len(token.text) == 2 or (token.text == "d" and after is not None and after.kind in ("name", "cmd"))

    def fenced(self, name: str) -> Tree:
        closing, function = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceil"), "langle": ("rangle", "")}[name]
        parts = self.parts(lambda: self.text() == closing)
        self.expect(closing)
        if function:
            if len(parts) != 1:
                raise Unreadable("one value belongs between these brackets")
            return ("fn", function, parts[0])
        return parts[0] if len(parts) == 1 else ("seq", "(", ")", *parts)

    def big(self, name: str) -> Tree:
        bounds: dict[str, Tree] = {}
        while self.text() in ("_", "^"):
            at = self.take().text
            if self.skip("{"):
                side = self._side() if name == "lim" else ""
                bounds[at] = self.relation()
                self.expect("}")
                if side:
                    bounds["^"] = ("text", side)
            else:
                bounds[at] = self.atom()
        body = self.integrand() if name == "int" else self.term()
        return ("big", name, bounds.get("_"), bounds.get("^"), body)

    def _side(self) -> str:
        """The sign in `x \\to 0^+`, which is taken away: from where a limit is approached. "" for none."""
        end = self.position
        while end < len(self.tokens) and self.tokens[end].text != "to" and self.tokens[end].text != "->":
            end += 1
        depth = 0
        while end < len(self.tokens) and (depth or self.tokens[end].text != "}"):
            depth += {"{": 1, "}": -1}.get(self.tokens[end].text, 0)
            end += 1
        for signed in SIDES:
            if tuple(token.text for token in self.tokens[end - len(signed) : end]) == signed:
                del self.tokens[end - len(signed) : end]
                return "+" if "+" in signed else "-"
        return ""

    def integrand(self) -> Tree:
        """What is integrated, with `dx` as the last of its factors; a sum without brackets reaches as far as there."""
        self.integrals += 1
        terms = [self.term()]
        while self.text() in ("+", "-") and not _is_differential(terms[-1]):
            sign = self.take().text
            term = self.term()
            terms.append(("neg", term) if sign == "-" else term)
        self.integrals -= 1
        if len(terms) == 1:
            return terms[0]
        *others, last = terms
        sign, last = ("neg", last[1]) if tag(last) == "neg" else ("", last)
        if not _is_differential(last):
            return ("+", *terms)
        rest: Tree = ("*", Fraction(1), *last[1:-2])
        return ("*", ("+", *others, ("neg", rest) if sign else rest), *last[-2:])


def _is_differential(tree: Tree) -> bool:
    """Whether the last of the factors are `dx`."""
    if tag(tree) in ("neg", "/"):
        return _is_differential(tree[1])
    return tag(tree) == "*" and len(tree) > 2 and tree[-2] == "d" and isinstance(tree[-1], str)


def _part(numbers: str, sign: str) -> Tree:
    """A part of a set of numbers: of the reals the one that it is, of others a name."""
    if numbers != "mathbbR":
        return numbers + sign
    match sign:
        case "*":
            return ("setminus", numbers, ("set", Fraction(0)))
        case "-":
            return ("seq", "(", ")", ("neg", ("inf",)), Fraction(0))
    return ("seq", "[" if sign == "0" else "(", ")", Fraction(0), ("inf",))
