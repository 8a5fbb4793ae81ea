r"""Tokens of an answer to a tree, by recursive descent. Nothing is evaluated, looked up or imported on behalf of the text.

Trees are nested tuples, cheap to build, to hash and to compare:

    Fraction                        an integer
    ("dec", value, places)          a decimal literal, its exact value and decimal places
    "x", "a_n", "pi", "e", "i"      a name
    ("+", ...) ("*", ...) ("neg", a) ("/", a, b) ("^", a, b) ("pm", a, b)      a ± b stands for two values
    ("fn", name, ...) ("call", name, ...) ("big", name, ...)                  known, unknown, ∑-like functions
    ("inf",) ("pct", a) ("deg", a) ("unit", a, words) ("base", digits, base) ("ratio", ...) ("time", minutes)
    ("text", words)
    ("list", ...)                   parts joined by commas, semicolons, "and", "or"
    ("seq", opening, closing, ...)  two or more parts in brackets: a point, a tuple, an interval
    ("set", ...) ("setof", names, condition) ("cup", a, b) ("cap", a, b) ("setminus", a, b)
    ("rel", operators, terms)       a chain such as a < x <= b
    ("mat", rows)
"""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from rewards import words
from rewards.tokens import Token, Unreadable, tidy, tokenize

DEEPEST = 180
"""Rules within rules, three or so a pair of brackets; more is malice, not mathematics."""

Tree = Any
"""A nested tuple as above."""

RELATIONS = {"=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "le": "<=", "ge": ">=", "ne": "!=", "approx": "~", "in": "in",
             "equiv": "=", "to": "->", "->": "->", "notin": "notin", "subset": "subset", "subseteq": "subseteq"}  # fmt: skip
_CLOSING = {"(": (")", "]"), "[": ("]", ")"), "\\{": ("\\}",), "{": ("}",)}
_BIG = {"sum", "prod", "int", "lim", "iint", "oint", "bigcup", "bigcap"}
_CONSTANTS = {"infty": ("inf",), "emptyset": ("set",), "Re": "Re", "Im": "Im", "hbar": "hbar", "ell": "l"}
_ADDED_MATRICES = {"pmatrix", "bmatrix", "vmatrix", "matrix", "array", "Bmatrix", "Vmatrix", "smallmatrix", "cases", "aligned", "align", "align*"}
_TIME = re.compile(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?\s*((?:[ap])\.?\s?m\.?)?", re.IGNORECASE)
_SETS = {"set", "setof", "cup", "cap", "setminus", "seq"}


@lru_cache(maxsize=65_536)
def parse(text: str) -> Tree:
    """The tree of an answer.

    Raises:
        Unreadable: where the text is nothing that the grammar knows.
    """
    tidied = tidy(text)
    if match := _TIME.fullmatch(tidied):
        return _time(match)
    if (word := _word(tidied)) is not None:
        return word
    reader = _Reader(tokenize(tidied))
    try:
        tree = reader.whole()
    except RecursionError as error:
        raise Unreadable("nested too deeply") from error
    return tree


def _time(match: re.Match[str]) -> Tree:
    hours, minutes, half = int(match[1]), int(match[2]), (match[4] or "").lower()[:1]
    if half:
        hours = hours % 12 + (12 if half == "p" else 0)
    return ("time", 60 * hours + minutes, half != "" or hours > 12, ("ratio", Fraction(match[1]), Fraction(match[2])))


def _word(tidied: str) -> Tree | None:
    """Plain words, such as a name or yes; None where the text may be mathematics."""
    bare = re.sub(r"^\\(?:text|textbf|mathrm|mbox|textit|mathbf)\s*\{([^{}\\]*)\}$", r"\1", tidied).strip()
    if not re.fullmatch(r"\(?[A-Za-z][A-Za-z .'()-]*", bare):
        return None
    lowered = bare.lower().strip(" .'")
    single = re.sub(r"[^a-z]", "", lowered)
    if len(single) <= 1 or bare in words.FUNCTIONS or lowered in words.GREEK or "(" in bare.strip("()"):
        return None
    if lowered in words.EMPTY - {"none"}:
        return ("set",)
    pieces = re.split(r"[\s-]+", lowered.strip("()"))
    if pieces[0] in ("infty", "infinity") and len(pieces) == 1:
        return ("inf",)
    if any(joint in pieces for joint in words.JOINTS):
        return None
    return ("text", " ".join(pieces))


class _Reader:
    """One method a rule; each leaves `position` behind what it has read."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.bars = 0

    # Tokens

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
            raise Unreadable("something is missing at the end")
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

    # Lists and relations

    def whole(self) -> Tree:
        if any(token.text == ";" for token in self.tokens) and (groups := self.groups()) is not None:
            return groups
        parts = self.parts(lambda: self.peek() is None)
        if not parts:
            raise Unreadable("nothing is there")
        return parts[0] if len(parts) == 1 else ("list", *parts)

    def groups(self) -> Tree | None:
        """`a=1, b=2; a=3, b=4`: semicolons part tuples whose parts commas part. None where it is not so."""
        found: list[Tree] = []
        while self.peek() is not None:
            parts = self.parts(lambda: self.peek() is None or self.text() == ";")
            self.skip(";")
            found.append(parts[0] if len(parts) == 1 else ("seq", "(", ")", *parts))
        if len(found) > 1 and all(tag(part) == "seq" for part in found):
            return ("list", *found)
        self.position = 0
        return None

    def parts(self, ended: Callable[[], bool]) -> list[Tree]:
        """Parts up to where `ended` says, parted by commas, semicolons and joints."""
        found: list[Tree] = []
        while not ended():
            if self.joint():
                continue
            found.append(self.part())
            if not ended() and not self.joint():
                token = self.peek()
                raise Unreadable(f"{token.text if token else ''!r} is left over")
        return found

    def joint(self) -> bool:
        token = self.peek()
        if token is None:
            return False
        if token.text in (",", ";") and token.kind == "op" or token.text in words.JOINTS and token.kind in ("name", "text"):
            self.position += 1
            return True
        if token.text in ("wedge", "vee") and token.kind == "cmd":
            self.position += 1
            return True
        return False

    def part(self) -> Tree:
        """A relation chain with what may stand around it: a label in words, a unit, a side condition."""
        self.labels()
        tree = self.relation()
        return self.suffix(tree)

    def labels(self) -> None:
        """Skip `Minimum:`, `only` and the like before a value."""
        start = self.position
        while (token := self.peek()) is not None and token.kind in ("name", "text") and len(token.text) > 1:
            lowered = token.text.lower().rstrip(":")
            if lowered in words.FUNCTIONS | words.GREEK | words.JOINTS:
                break
            self.position += 1
        if self.position == start:
            return
        if self.skip(":"):
            return
        names = [token.text.lower().rstrip(": ") for token in self.tokens[start : self.position]]
        following = self.peek()
        every = {piece for name in names for piece in name.split()}
        if following is None or not (every <= words.IGNORED_BEFORE or names[-1].endswith(":") or self.tokens[self.position - 1].text.endswith(":")):
            self.position = start

    def suffix(self, tree: Tree) -> Tree:
        """Words behind a value: a unit, what is counted, or a side condition, which is dropped."""
        token = self.peek()
        if token is None or token.kind not in ("text", "name"):
            return tree
        if token.kind == "name" and len(token.text) == 1:
            return tree
        start, said = self.position, []
        while (token := self.peek()) is not None and token.kind in ("text", "name") and token.text not in words.JOINTS:
            said += token.text.lower().split()
            self.position += 1
        if not said:
            return tree
        joined = " ".join(said)
        if joined.startswith(words.QUALIFIERS) or (said and said[0] in ("where", "for", "with", "such")):
            while self.peek() is not None and not (self.text() == "," and self._text_at(1) in words.JOINTS):
                if self._text_at(0) in words.JOINTS:
                    break
                self.position += 1
            return tree
        if len(said) > words.LONGEST_SUFFIX or words.HEDGES & set(said):
            self.position = start
            raise Unreadable(f"{joined!r} stands behind a value")
        if self.text() in ("^",):  # cm^2
            self.position += 1
            said.append(f"^{self.factor_text()}")
        if self.text() == "/" and (follows := self.peek(1)) is not None and follows.kind in ("text", "name"):
            self.position += 1
            said.append("/" + self.take().text.lower())
        if said[0] in words.PERCENT:
            return ("pct", tree)
        if said[0] in words.DEGREE and len(said) == 1:
            return ("deg", tree)
        if said[0] in ("th", "st", "nd", "rd"):
            return tree
        return ("unit", tree, _unit(said))

    def _text_at(self, ahead: int) -> str:
        token = self.peek(ahead)
        return token.text.lower() if token is not None else ""

    def factor_text(self) -> str:
        if self.skip("{"):
            inner = self.take().text
            self.expect("}")
            return inner
        return self.take().text

    def relation(self) -> Tree:
        terms, operators = [self.union()], []
        while (operator := RELATIONS.get(self.text())) is not None:
            self.position += 1
            operators.append(operator)
            terms.append(self.union())
        if not operators:
            return terms[0]
        return ("rel", tuple(operators), tuple(terms))

    def union(self) -> Tree:
        tree = self.sum()
        while (operator := self.text()) in ("cup", "cap", "setminus") or (operator == "\\" and tree[0] in ("seq", "set")):
            self.position += 1
            tree = (operator, tree, self.sum())
        return tree

    # Arithmetic

    def sum(self) -> Tree:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"nested deeper than {DEEPEST}")
        terms = [self.term()]
        while (operator := self.text()) in ("+", "-", "pm", "mp"):
            self.position += 1
            if operator in ("pm", "mp"):
                left = terms[0] if len(terms) == 1 else ("+", *terms)
                terms = [("pm", left, self.term())]
            else:
                term = self.term()
                if operator == "-" and len(terms) == 1 and tag(term) in ("set", "setof") and tag(terms[0]) in _SETS:
                    terms = [("setminus", terms[0], term)]
                else:
                    terms.append(("neg", term) if operator == "-" else term)
        self.depth -= 1
        return terms[0] if len(terms) == 1 else ("+", *terms)

    def term(self) -> Tree:
        if (sign := self.text()) in ("+", "-"):
            self.position += 1
            self.depth += 1
            if self.depth > DEEPEST:
                raise Unreadable(f"nested deeper than {DEEPEST}")
            inner = self.term()
            self.depth -= 1
            return ("neg", inner) if sign == "-" else inner
        factors = [self.signed()]
        while True:
            operator = self.text()
            if operator in ("*", "cdot", "times"):
                self.position += 1
                factors.append(self.signed())
            elif operator in ("/", "div"):
                if self._unit_follows():
                    break
                self.position += 1
                below = self.signed()
                above = factors[0] if len(factors) == 1 else ("*", *factors)
                factors = [_mixed(above, below) or ("/", above, below)]
            elif operator == ":" and self.depth <= 1 and self._value_follows():
                self.position += 1
                left = factors[0] if len(factors) == 1 else ("*", *factors)
                right = self.signed()
                factors = [(*left, right) if tag(left) == "ratio" else ("ratio", left, right)]
            elif self._begins_factor():
                before, token = factors[-1], self.peek()
                assert token is not None
                following = self.power()
                if token.kind == "num":
                    if not (isinstance(before, Fraction) and token.spaced and self.text() == "/"):
                        raise Unreadable(f"two numbers stand side by side before {token.text!r}")
                    factors.append(following)
                elif isinstance(before, Fraction) and _is_plain_fraction(following) and not _is_signed_zero(before):
                    factors[-1] = ("+", before, following)
                else:
                    factors.append(following)
            else:
                break
        return factors[0] if len(factors) == 1 else ("*", *factors)

    def _unit_follows(self) -> bool:
        """`10 m/s`, `5 dollars / hour`: the slash belongs to a unit."""
        token = self.peek(1)
        return token is not None and token.kind == "text"

    def _value_follows(self) -> bool:
        token = self.peek(1)
        return token is not None and (token.kind in ("num", "cmd") or token.text in "({[" or (token.kind == "name" and len(token.text) <= 4))

    def _begins_factor(self) -> bool:
        token = self.peek()
        if token is None or token.kind in ("text", "row"):
            return False
        if token.kind == "num":
            return True
        if token.kind == "name":
            return self._is_value_name(token.text)
        if token.kind == "cmd":
            return token.text not in RELATIONS and token.text not in (
                "cup", "cap", "setminus", "pm", "mp", "wedge", "vee", "end", "ldots", "iff", "forall", "exists", "quad", "rfloor", "rceil",
                "rangle", "times", "cdot", "div", "mod", "pmod", "bmod", "implies", "Rightarrow", "colon", "prime",
            )  # fmt: skip
        return token.text in ("(", "[", "{", "\\{") or (token.text == "|" and self.bars == 0)

    def _is_value_name(self, name: str) -> bool:
        """Whether a run of letters is a name, a function or a product of names, rather than a word."""
        lowered = name.lower()
        if lowered in words.JOINTS or lowered in words.PERCENT | words.DEGREE or name in words.BARE_UNITS:
            return False
        if len(name) > 1 and name in ("th", "st", "nd", "rd"):
            return False
        return len(name) == 1 or name in words.FUNCTIONS or lowered in words.GREEK or name in ("infty", "inf", "infinity") or len(name) <= 3

    def signed(self) -> Tree:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"nested deeper than {DEEPEST}")
        operator = self.text()
        if operator in ("-", "+"):
            self.position += 1
            inner = self.signed()
            tree = ("neg", inner) if operator == "-" else inner
        elif operator in ("pm", "mp"):
            self.position += 1
            tree = ("pm", Fraction(0), self.term())
        else:
            tree = self.power()
        self.depth -= 1
        return tree

    def power(self) -> Tree:
        tree = self.postfix(self.atom())
        while self.skip("^"):
            if self.text() == "circ":
                self.position += 1
                tree = ("deg", tree)
                continue
            exponent = self.group() if self.text() == "{" else self.exponent()
            if exponent == ("ordinal",):
                continue
            if self.text() == "_" and isinstance(tree, str) and tree not in ("e", "pi", "i"):  # `v^2_0`
                tree = self.symbol(tree)
            tree = ("deg", tree) if exponent == ("circ",) else ("^", tree, exponent)
            tree = self.postfix(tree)
        return tree

    def exponent(self) -> Tree:
        token = self.peek()
        if token is not None and token.kind == "text" and token.text in ("th", "st", "nd", "rd"):
            self.position += 1
            return ("ordinal",)
        indexed = (follows := self.peek(1)) is not None and follows.text == "_"
        if token is not None and token.kind == "num" and token.text.isdigit() and (indexed or (len(token.text) > 1 and not token.spaced)):
            self.position += 1  # `x^12`: TeX would raise one digit, people mean both
            return Fraction(int(token.text))
        if self.text() in ("-", "+"):
            sign = self.take().text
            inner = self.exponent()
            return ("neg", inner) if sign == "-" else inner
        tree = self.postfix(self.atom())
        return ("^", tree, self.exponent_after()) if self.text() == "^" else tree

    def exponent_after(self) -> Tree:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"nested deeper than {DEEPEST}")
        self.expect("^")
        tree = self.group() if self.text() == "{" else self.exponent()
        self.depth -= 1
        return tree

    def postfix(self, tree: Tree) -> Tree:
        while True:
            operator = self.text()
            if operator == "!" and self.text(1) != "=":
                self.position += 1
                tree = ("fn", "factorial", tree)
            elif operator == "%":
                self.position += 1
                tree = ("pct", tree)
            elif operator in ("^\\circ", "circ"):
                self.position += 1
                tree = ("deg", tree)
            elif operator == "_" and not isinstance(tree, str):
                self.position += 1
                tree = self.based(tree)
            else:
                return tree

    def based(self, tree: Tree) -> Tree:
        """A number with its base as an index."""
        base = self.subscript()
        if isinstance(tree, Fraction) and base.isdigit():
            return ("base", str(int(tree)), int(base))
        raise Unreadable("an index stands behind what is no name")

    def subscript(self) -> str | Tree:
        if self.text() == "{":
            start = self.position
            self.position += 1
            flat = []
            while (token := self.peek()) is not None and (token.kind in ("num", "name", "text", "cmd") or token.text == ","):
                flat.append(token.text)
                self.position += 1
            if self.skip("}"):
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
        return ("text", joined.lower())

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
        if len(name) <= 3:
            factors: list[Tree] = list(name[:-1])
            return ("*", *factors, self.symbol(name[-1]))
        said = [lowered]
        while (token := self.peek()) is not None and token.kind in ("name", "text") and token.text not in words.JOINTS:
            said += token.text.lower().split()
            self.position += 1
        return ("text", " ".join(said))

    def symbol(self, name: str) -> Tree:
        """A name with its index and primes; called, where that is certain."""
        while self.text() == "_":
            self.position += 1
            index = self.subscript()
            if not isinstance(index, str):
                name += "_"
                return ("call", name, index[1])
            name += f"_{index}"
        while self.text() == "'" or (self.text() == "^" and self._text_at(1) == "prime"):
            self.position += 1 if self.text() == "'" else 2
            name += "'"
        if self.text() == "^" and self._text_at(1) == "{" and self._text_at(2) == "prime" and self._text_at(3) == "}":
            self.position += 4
            name += "'"
        if self.text() == "(" and (name[0] in "fghFGHPQ" or name[:3] in ("phi", "Phi", "psi", "Psi") or self._is_head()):
            self.position += 1
            arguments = self.parts(lambda: self.text() == ")")
            self.expect(")")
            return ("call", name, *arguments)
        return {"infty": ("inf",)}.get(name, name)

    def _is_head(self) -> bool:
        """Whether `(a, b) =` follows: what stands before it is defined, not multiplied."""
        at = self.position + 1
        while at < len(self.tokens) and self.tokens[at].kind in ("name", "num", "cmd") or at < len(self.tokens) and self.tokens[at].text == ",":
            at += 1
        return at + 1 < len(self.tokens) and self.tokens[at].text == ")" and self.tokens[at + 1].text == "="

    def group(self) -> Tree:
        """`{...}` as one value; braces around several parts are a set that lost its backslashes."""
        self.expect("{")
        if self.text() == "circ" and self.text(1) == "}":
            self.position += 2
            return ("circ",)
        token = self.peek()
        if token is not None and token.text in ("th", "st", "nd", "rd") and self.text(1) == "}":
            self.position += 2
            return ("ordinal",)
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"nested deeper than {DEEPEST}")
        parts = self.parts(lambda: self.text() == "}")
        self.expect("}")
        self.depth -= 1
        return parts[0] if len(parts) == 1 else ("set", *parts)

    def bracketed(self, opening: str) -> Tree:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"nested deeper than {DEEPEST}")
        bars, self.bars = self.bars, 0
        closing = _CLOSING[opening]
        if opening == "\\{":
            self.bars = 1  # inside, a bar means "such that"
        parts = self.parts(lambda: self.text() in closing or (opening == "\\{" and self.text() in ("|", ":")))
        if opening == "\\{" and self.skip("|", ":"):
            conditions = self.parts(lambda: self.text() in closing)
            self.expect(*closing)
            tree: Tree = ("setof", tuple(parts), *conditions)
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

    # Commands and functions

    def command(self, name: str) -> Tree:
        if name == "frac":
            return ("/", self.argument(), self.argument())
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
        if name in _BIG:
            return self.big(name)
        if name in ("overline", "bar", "vec", "hat", "tilde", "dot", "ddot", "widehat", "overrightarrow"):
            return ("call", name, self.argument())
        if name in ("mathbb", "mathcal", "mathfrak", "Bbb"):
            inner = self.argument()
            return f"{name}{inner}" if isinstance(inner, str) else ("call", name, inner)
        if name in words.FUNCTIONS or name in ("arsinh",):
            return self.function(name)
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name == "angle":
            return self.atom()
        if name == "pmod" or name == "mod" or name == "bmod":
            return ("call", "mod", self.argument())
        if name in ("ldots", "therefore", "because", "forall", "exists", "input", "include", "end", "iff"):
            raise Unreadable(f"\\{name} is no value")
        return self.symbol(name)

    def argument(self) -> Tree:
        r"""What TeX takes as one argument: a group, or one digit, letter or command."""
        if self.text() == "{":
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
        if name in ("max", "min", "gcd", "lcm", "binom") or (self.text() in ("(", "\\{") and name == "log"):
            inner = self.call_argument()
            arguments = inner[3:] if tag(inner) == "seq" else inner[1:] if tag(inner) == "set" else (inner,)
        else:
            arguments = (self.call_argument(),)
        if name == "log" and base is not None:
            arguments = (*arguments, base)
        if exponent == ("neg", Fraction(1)) and name in ("sin", "cos", "tan", "cot", "sec", "csc"):
            return ("fn", f"arc{name}", *arguments)
        tree: Tree = ("fn", name, *arguments)
        return tree if exponent is None else ("^", tree, exponent)

    def call_argument(self) -> Tree:
        """`(x)`, `{x}`, or without brackets what multiplies: `sin 2x`, `ln 5`."""
        if self.text() in ("(", "[", "|", "{", "\\{"):
            tree = self.atom()
            return self.power_of(tree)
        if self.text() in ("+", "-"):
            sign = self.take().text
            inner = self.call_argument()
            return ("neg", inner) if sign == "-" else inner
        factors = [self.power()]
        while self._begins_factor() and self.text() not in ("(", "[", "|") and not self._is_function():
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
                bounds[at] = self.relation()
                self.expect("}")
            else:
                bounds[at] = self.atom()
        return ("big", name, bounds.get("_"), bounds.get("^"), self.term())

    def environment(self) -> Tree:
        self.expect("{")
        name = ""
        while not self.skip("}"):
            name += self.take().text
        if name not in _ADDED_MATRICES:
            raise Unreadable(f"the environment {name!r} is none of mathematics that is known")
        if name == "array" and self.skip("{"):
            while not self.skip("}"):
                self.take()
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"nested deeper than {DEEPEST}")
        rows: list[tuple[Tree, ...]] = []
        row: list[Tree] = []
        while self.text() != "end":
            if self.skip("&"):
                continue
            if self.skip("\\\\"):
                rows.append(tuple(row))
                row = []
                continue
            row.append(self.part())
        if row:
            rows.append(tuple(row))
        self.expect("end")
        self.expect("{")
        while not self.skip("}"):
            self.take()
        self.depth -= 1
        if not rows or name in ("cases", "aligned", "align", "align*"):
            raise Unreadable(f"an environment {name!r} is no value")
        return ("mat", tuple(rows))


def tag(tree: Tree) -> str:
    """What kind of node a tree is; "" for a number or a name."""
    return tree[0] if isinstance(tree, tuple) else ""


def _unit(said: list[str]) -> str:
    """Words behind a value in one form: known units by their short names."""
    if said[0] in ("square", "sq", "cubic", "cu") and len(said) > 1:
        power = "^2" if said[0] in ("square", "sq") else "^3"
        said = [said[1], power, *said[2:]]
    return " ".join(words.UNITS.get(word.strip(".,"), word) for word in said)


def _number(text: str) -> Tree:
    if "." not in text and "e" not in text and "E" not in text:
        return Fraction(int(text))
    mantissa, _, exponent = text.lower().partition("e")
    if abs(int(exponent or 0)) > 100_000:
        raise Unreadable(f"{text!r} is out of all proportion")
    whole, _, decimals = mantissa.partition(".")
    value = Fraction(int((whole or "0") + decimals), 10 ** len(decimals)) * Fraction(10) ** int(exponent or 0)
    return ("dec", value, len(decimals) - int(exponent or 0))


def _is_plain_fraction(tree: Tree) -> bool:
    return isinstance(tree, tuple) and tree[0] == "/" and isinstance(tree[1], Fraction) and isinstance(tree[2], Fraction)


def _is_signed_zero(tree: Tree) -> bool:
    return tree == 0


def _mixed(above: Tree, below: Tree) -> Tree | None:
    """`1 1/4`: a whole number, a space, a fraction."""
    if isinstance(above, tuple) and above[0] == "*" and len(above) == 3 and isinstance(above[1], Fraction) and isinstance(above[2], Fraction):
        return ("+", above[1], ("/", above[2], below))
    return None
