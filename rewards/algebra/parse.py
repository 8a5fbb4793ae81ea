r"""An answer's text to a tree, by recursive descent. Nothing is evaluated, looked up or imported on behalf of the text."""

import re
from collections.abc import Callable
from fractions import Fraction

from rewards.algebra import words
from rewards.algebra.atoms import ORDINALS
from rewards.algebra.cursor import Tree, tag
from rewards.algebra.functions import Functions
from rewards.algebra.terms import RELATIONS
from rewards.algebra.tokens import LONGEST_TEXT, Unreadable, tidy, tokenize

INEQUALITIES = {"<", ">", "<=", ">="}
_TIME = re.compile(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?\s*((?:[ap])\.?\s?m\.?)?", re.IGNORECASE)


def parse(text: str) -> Tree:
    """The tree of an answer.

    Raises:
        Unreadable: where the text is nothing that the grammar knows.
    """
    return parse_tidied(tidy(text))


def parse_tidied(tidied: str) -> Tree:
    """The same of a text that `tidy` has been over."""
    if len(tidied) > LONGEST_TEXT:
        raise Unreadable(f"{len(tidied)} characters, more than {LONGEST_TEXT}")
    if match := _TIME.fullmatch(tidied):
        return _time(match)
    if (word := _word(tidied)) is not None:
        return word
    reader = Reader(tokenize(tidied))
    try:
        tree = reader.whole()
    except RecursionError as error:
        raise Unreadable("nested too deeply") from error
    return tree


def _time(match: re.Match[str]) -> Tree:
    hours, minutes, half = int(match[1]), int(match[2]), (match[4] or "").lower()[:1]
    if half:
        hours = hours % 12 + (12 if half == "p" else 0)
    parts = [Fraction(part) for part in match.groups()[:3] if part is not None]
    seconds = 3600 * hours + 60 * minutes + int(match[3] or 0)
    return ("time", seconds, half != "" or hours > 12, ("ratio", *parts))


def _word(tidied: str) -> Tree | None:
    """Plain words, such as a name or yes; None where the text may be mathematics."""
    bare = re.sub(r"^\\(?:text|textbf|mathrm|mbox|textit|mathbf)\s*\{([^{}\\]*)\}$", r"\1", tidied).strip()
    if not re.fullmatch(r"\(?[A-Za-z][A-Za-z .'()-]*", bare):
        return None
    lowered = bare.lower().strip(" .'")
    single = re.sub(r"[^a-z]", "", lowered)
    if len(single) <= 1 or bare in words.FUNCTIONS or lowered in words.GREEK or "(" in bare.strip("()"):
        return None
    if lowered in words.EMPTY:
        return ("set",)
    pieces = re.split(r"[\s-]+", lowered.strip("()"))
    if pieces[0] in ("infty", "infinity") and len(pieces) == 1:
        return ("inf",)
    if any(joint in pieces for joint in words.JOINTS):
        return None
    return ("text", " ".join(pieces))


class Reader(Functions):
    """Lists and relations, and the words that may stand around a value."""

    def whole(self) -> Tree:
        if any(token.text == ";" for token in self.tokens) and (groups := self.groups()) is not None:
            return groups
        parts = self.parts(lambda: self.peek() is None)
        if not parts:
            raise Unreadable("nothing is there")
        if len(parts) > 1 and all(tag(part) == "rel" and set(part[1]) <= INEQUALITIES for part in parts):
            return self.conditions(parts)
        return parts[0] if len(parts) == 1 else ("list", *parts)

    def conditions(self, parts: list[Tree]) -> Tree:
        """Inequalities joined by "or" are a union, by "and" or commas an intersection."""
        united = any(token.text in ("or", "vee") for token in self.tokens)
        tree = parts[0]
        for part in parts[1:]:
            tree = ("cup" if united else "cap", tree, part)
        return tree

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
        if (token.text in (",", ";") and token.kind == "op") or (token.text in words.JOINTS and token.kind in ("name", "text")):
            self.position += 1
            return True
        if token.text in ("wedge", "vee") and token.kind == "cmd":
            self.position += 1
            return True
        return False

    def part(self) -> Tree:
        """A relation chain with what may stand around it: a label in words, a unit, a side condition."""
        self.labels()
        self.skip("approx")  # `≈ 8.24`
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
        names = [token.text.lower().rstrip(": ") for token in self.tokens[start : self.position]]
        spoken = {
            piece
            for token in self.tokens[start : self.position]
            if not token.text.isupper()
            for piece in token.text.lower().split()
        }
        if {piece.rstrip(":") for piece in spoken} & (words.HEDGES | {"any"}) - words.IGNORED_BEFORE:
            raise Unreadable(f"{' '.join(names)!r} stands before a value")
        if self.skip(":"):
            return
        following = self.peek()
        every = {piece for name in names for piece in name.split()}
        if following is None or not (
            every <= words.IGNORED_BEFORE or names[-1].endswith(":") or self.tokens[self.position - 1].text.endswith(":")
        ):
            self.position = start

    def suffix(self, tree: Tree) -> Tree:
        """Words behind a value: a unit, what is counted, or a side condition, which is dropped."""
        token = self.peek()
        if token is None or token.kind not in ("text", "name"):
            return tree
        if token.kind == "name" and len(token.text) == 1:
            return tree
        known = token.text.lower() in {*words.UNITS, *words.PERCENT, *words.DEGREE, *ORDINALS}
        if token.kind == "name" and not token.spaced and not known:
            raise Unreadable(f"{token.text!r} is stuck to a value")
        said: list[str] = []
        while (token := self.peek()) is not None and token.kind in ("text", "name") and token.text not in words.JOINTS:
            said += token.text.lower().split()
            self.position += 1
        if not said:
            return tree
        joined = " ".join(said)
        if joined.startswith(words.QUALIFIERS):
            self.skip_condition()
            return tree
        if len(said) > words.LONGEST_SUFFIX or words.HEDGES & set(said):
            raise Unreadable(f"{joined!r} stands behind a value")
        if self.skip("^"):  # cm^2
            said.append(f"^{self.factor_text()}")
        if self.text() == "/" and (follows := self.peek(1)) is not None and follows.kind in ("text", "name"):
            self.position += 1
            said.append("/" + self.take().text.lower())
        return self.counted(tree, said)

    def skip_condition(self) -> None:
        """Go on to the next joint: `for all x > 0` and `where k is an integer` say when, not what.

        Raises:
            Unreadable: where it holds a value and no relation, and so could be another answer.
        """
        start = self.position
        self._skip_to_joint()
        skipped = self.tokens[start : self.position]
        related = any(token.text in RELATIONS for token in skipped)
        if not related and any(token.kind == "num" for token in skipped):
            raise Unreadable("a value stands behind a condition")

    def _skip_to_joint(self) -> None:
        while self.peek() is not None and self.word() not in words.JOINTS:
            if self.text() == "," and self.word(1) in words.JOINTS:
                return
            self.position += 1

    def counted(self, tree: Tree, said: list[str]) -> Tree:
        """A value and the words that say what it counts."""
        if said[0] in words.PERCENT:
            return ("pct", tree)
        if said[0] in words.DEGREE and len(said) == 1:
            return ("deg", tree)
        if said[0] in ORDINALS:
            return tree
        return ("unit", tree, _unit(said))

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


def _unit(said: list[str]) -> str:
    """Words behind a value in one form: known units by their short names."""
    if said[0] in ("square", "sq", "cubic", "cu") and len(said) > 1:
        power = "^2" if said[0] in ("square", "sq") else "^3"
        said = [said[1], power, *said[2:]]
    return " ".join(words.UNITS.get(word.strip(".,"), word) for word in said)
