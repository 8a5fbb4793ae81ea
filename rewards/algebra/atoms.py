r"""Names, brackets and bars of an answer: what a product is made of."""

from collections.abc import Callable
from fractions import Fraction

from rewards.algebra import words
from rewards.algebra.cursor import DEEPEST, Cursor, Tree
from rewards.algebra.spoken import spoken
from rewards.algebra.tokens import Unreadable

CLOSING = {"(": (")", "]"), "[": ("]", ")"), "\\{": ("\\}",)}
LARGEST_EXPONENT = 2_000
"""Of a number in scientific notation; digits beyond 4,300 Python will not even print."""
SPLITS = {"over", "choose"}
ORDINALS = ("th", "st", "nd", "rd")


class Atoms(Cursor):
    """From one token to a bracket and all that is in it."""

    def subscript(self) -> str | Tree:
        if self.text() == "{":
            start = self.position
            self.position += 1
            bracketed = self.skip("(")  # a base, `52_{(8)}`
            flat = []
            while (token := self.peek()) is not None and (token.kind in ("num", "name", "text", "cmd") or token.text == ","):
                flat.append(token.text)
                self.position += 1
            if (not bracketed or self.skip(")")) and self.skip("}"):
                return "".join(flat)
            self.position = start
            return ("index", self.group())
        return self.take().text

    def atom(self) -> Tree:
        token = self.take()
        if token.kind == "num":
            return _number(token.text)
        if token.kind == "name":
            return self.named(token.text)
        if token.kind == "text":
            self.position -= 1
            return self.words()
        if token.kind == "cmd":
            return self.command(token.text)
        if token.text in ("(", "[", "\\{"):
            return self.bracketed(token.text)
        if token.text == "{":
            self.position -= 1
            return self.group()
        if token.text == "|":
            return self.absolute()
        raise Unreadable(f"{token.text!r} stands where a value should")

    def words(self) -> Tree:
        said = []
        while (token := self.peek()) is not None and token.kind == "text" and token.text not in words.JOINTS:
            said.append(token.text)
            self.position += 1
        joined = " ".join(said)
        if not joined:
            raise Unreadable("a value is missing")
        if len(joined) == 1:
            return self.named(joined)
        if joined in words.FUNCTIONS:
            return self.function(joined)
        return spoken(joined.lower().split())

    def named(self, name: str) -> Tree:
        lowered = name.lower()
        if name in words.FUNCTIONS:
            return self.function(name)
        if lowered in words.GREEK and len(name) > 1:
            return self.symbol(name)
        if name in ("infty", "inf", "infinity"):
            return ("inf",)
        if len(name) == 1:
            return self.symbol(name)
        if len(name) <= 3:  # a product of letters: the first one now, so that an exponent belongs to the last alone
            self.position -= 1
            self.tokens[self.position] = self.tokens[self.position]._replace(text=name[1:], spaced=False)
            return name[0]
        said = [lowered]
        while (token := self.peek()) is not None and token.kind in ("name", "text") and token.text not in words.JOINTS:
            said += token.text.lower().split()
            self.position += 1
        return spoken(said)

    def symbol(self, name: str) -> Tree:
        """A name with its index and primes; called, where that is certain."""
        while self.text() == "_":
            self.position += 1
            index = self.subscript()
            if not isinstance(index, str):
                name += "_"
                return ("call", name, index[1])
            name += f"_{index}"
        while self.text() == "'" or (self.text() == "^" and self.word(1) == "prime"):
            self.position += 1 if self.text() == "'" else 2
            name += "'"
        if self.text() == "^" and self.word(1) == "{" and self.word(2) == "prime" and self.word(3) == "}":
            self.position += 4
            name += "'"
        if name in ("f", "g", "h") and [self.word(ahead) for ahead in range(6)] == ["^", "{", "-", "1", "}", "("]:
            self.position += 5  # an inverse
            name += "^-1"
        if name == "C" and self.text() == "(" and (chosen := self.chosen()) is not None:
            return chosen
        if self.text() == "(" and (name[0] in "fghFGHPQ" or name[:3] in ("phi", "Phi", "psi", "Psi") or self._is_head()):
            self.position += 1
            arguments = self.parts(lambda: self.text() == ")")
            self.expect(")")
            return ("call", name, *arguments)
        return {"infty": ("inf",)}.get(name, name)

    def chosen(self) -> Tree | None:
        """`C(10, 3)`, a binomial coefficient; None where no two integers stand in the brackets."""
        ahead = [self.peek(place) for place in range(1, 5)]
        above, comma, below, end = ahead
        if not (above and comma and below and end) or (above.kind, comma.text, below.kind, end.text) != (
            "num",
            ",",
            "num",
            ")",
        ):
            return None
        self.position += 5
        return ("fn", "binom", _number(above.text), _number(below.text))

    def _is_head(self) -> bool:
        """Whether `(a, b) =` follows: what stands before it is defined, not multiplied."""
        at = self.position + 1
        while (at < len(self.tokens) and self.tokens[at].kind in ("name", "num", "cmd")) or (
            at < len(self.tokens) and self.tokens[at].text == ","
        ):
            at += 1
        return at + 1 < len(self.tokens) and self.tokens[at].text == ")" and self.tokens[at + 1].text == "="

    def group(self) -> Tree:
        """`{...}` as one value; braces around several parts are a set that lost its backslashes."""
        self.expect("{")
        if self.text() == "circ" and self.text(1) == "}":
            self.position += 2
            return ("circ",)
        token = self.peek()
        if token is not None and token.text in ORDINALS and self.text(1) == "}":
            self.position += 2
            return ("ordinal",)
        self.enter()
        parts = self.over(lambda: self.text() == "}")
        self.expect("}")
        self.depth -= 1
        return parts[0] if len(parts) == 1 else ("set", *parts)

    def over(self, ended: Callable[[], bool]) -> list[Tree]:
        r"""Parts up to where `ended` says; of `a \\over b` and `n \\choose k`, which split all that is in the braces, one."""
        parts = self.parts(lambda: ended() or self.text() in SPLITS)
        if (name := self.text()) not in SPLITS:
            return parts
        self.position += 1
        below = self.parts(ended)
        if len(parts) != 1 or len(below) != 1:
            raise Unreadable(f"one value belongs on each side of \\{name}")
        return [("/", parts[0], below[0]) if name == "over" else ("fn", "binom", parts[0], below[0])]

    def bracketed(self, opening: str) -> Tree:
        self.enter()
        bars, self.bars = self.bars, 0
        closing = CLOSING[opening]
        if opening == "\\{":
            self.bars = 1  # inside, a bar means "such that"
        parts = self.parts(lambda: self.text() in closing or (opening == "\\{" and self.text() in ("|", ":")))
        if opening == "\\{" and self.skip("|", ":"):
            conditions = self.joined(self.parts(lambda: self.text() in closing))
            self.expect(*closing)
            tree: Tree = ("setof", ("names", *parts), *conditions)
        else:
            end = self.expect(*closing)
            if opening == "\\{":
                tree = ("set", *parts)
            elif len(parts) == 1:
                tree = parts[0]
            elif not parts:
                raise Unreadable("brackets are empty")
            else:
                tree = ("seq", opening, end, *parts)
        self.bars = bars
        self.depth -= 1
        return tree

    def absolute(self) -> Tree:
        self.bars += 1
        if self.bars > DEEPEST:
            raise Unreadable("too many bars")
        inner = self.sum()
        self.expect("|")
        self.bars -= 1
        return ("fn", "abs", inner)


def _number(text: str) -> Tree:
    if "." not in text and "e" not in text and "E" not in text:
        return Fraction(int(text))
    mantissa, _, exponent = text.lower().partition("e")
    if abs(int(exponent or 0)) > LARGEST_EXPONENT:
        raise Unreadable(f"{text!r} is out of all proportion")
    whole, _, decimals = mantissa.partition(".")
    value = Fraction(int((whole or "0") + decimals), 10 ** len(decimals)) * Fraction(10) ** int(exponent or 0)
    return ("dec", value, len(decimals) - int(exponent or 0))
