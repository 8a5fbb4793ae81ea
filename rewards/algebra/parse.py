r"""An answer's text to a tree, by recursive descent. Nothing is evaluated, looked up or imported on behalf of the text."""

from collections.abc import Callable
from fractions import Fraction
from functools import reduce

from rewards.algebra import words
from rewards.algebra.atoms import ORDINALS
from rewards.algebra.cursor import Tree, tag
from rewards.algebra.exact import NoValue, exact
from rewards.algebra.functions import Functions
from rewards.algebra.numerals import MULTIPLIERS
from rewards.algebra.spoken import HEDGES, date, in_words, is_counted, is_product, nouns, time_of_day
from rewards.algebra.terms import RELATIONS
from rewards.algebra.tokens import LONGEST_TEXT, Token, Unreadable, tidy, tokenize
from rewards.algebra.units import CURRENCIES, SCALES, UNITS, unit

INEQUALITIES = {"<", ">", "<=", ">=", "!="}
OPENED_AFTER = {"in", "cup", "cap", "setminus", "=", "(", ":"}
CLOSED_BEFORE = {"cup", "cap", "setminus", "and", "or", ",", ")", "\\}"}
"""What stands before and behind brackets that turn away from an interval."""


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
    if (said := time_of_day(tidied) or date(tidied) or in_words(tidied)) is not None:
        return said
    reader = Reader(_turned(tokenize(tidied)))
    try:
        tree = reader.whole()
    except RecursionError as error:
        raise Unreadable("nested too deeply") from error
    if tree == ("dots",):
        raise Unreadable("nothing but dots")
    return tree


def _turned(tokens: list[Token]) -> list[Token]:
    """`]2, 5[` as `(2, 5)`: a bracket that turns away from an interval leaves its end out."""
    if not any(token.text == "]" for token in tokens) and not any(token.text == "[" for token in tokens):
        return tokens
    turned = list(tokens)
    for at, token in enumerate(tokens):
        before = tokens[at - 1].text if at else "in"
        after = tokens[at + 1].text if at + 1 < len(tokens) else "cup"
        if token.text == "]" and before in OPENED_AFTER:
            turned[at] = token._replace(text="(")
        elif token.text == "[" and after in CLOSED_BEFORE:
            turned[at] = token._replace(text=")")
    return turned


class Reader(Functions):
    """Lists and relations, and the words that may stand around a value."""

    def whole(self) -> Tree:
        if any(token.text == ";" for token in self.tokens) and (groups := self.groups()) is not None:
            return groups
        parts = self.over(lambda: self.peek() is None)
        if not parts:
            raise Unreadable("nothing is there")
        parts = self.joined(parts)
        return parts[0] if len(parts) == 1 else ("list", *parts)

    def joined(self, parts: list[Tree]) -> list[Tree]:
        """The parts read last; as one where all of them are conditions on a number, and as tuples where "or" parts several
        that are each of several names: `x = 1, y = 2 or x = 2, y = 1`."""
        if all(map(_is_condition, parts)) and any(set(part[1]) & INEQUALITIES for part in parts):
            return [_conditions(parts, self.joints)]
        if len(parts) > 1 and (modulus := _modulus(parts[-1])) and not any(map(_modulus, parts[:-1])):
            parts = [*(residue(part, modulus) for part in parts[:-1]), parts[-1]]  # `1, 5 (mod 6)`
        groups = _grouped(parts, self.joints)
        if len(groups) > 1 and all(len(group) > 1 and all(tag(part) == "rel" for part in group) for group in groups):
            return [("seq", "(", ")", *group) for group in groups]
        return parts

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
        joints: list[str] = []
        while not ended():
            if found and self.text() == "forall":
                self.skip_condition()
                continue
            if joint := self.joint():
                if joints and len(joints) == len(found):
                    joints[-1] = joint  # `, or`
                continue
            found.append(self.part())
            if not ended():
                if not (joint := self.joint()):
                    token = self.peek()
                    raise Unreadable(f"{token.text if token else ''!r} is left over")
                joints.append(joint)
        if self.logical and not all(tag(part) == "rel" for part in found):
            raise Unreadable("statements are joined whose truth is not known")  # p ∧ q is no list
        self.joints = joints
        return found

    def joint(self) -> str:
        """What joins two parts, read past; "" where nothing does."""
        token = self.peek()
        if token is None:
            return ""
        joins = (
            (token.kind == "op" and token.text in (",", ";"))
            or (token.kind in ("name", "text") and token.text in words.JOINTS)
            or (token.kind == "cmd" and token.text in ("wedge", "vee"))
        )
        if not joins:
            return ""
        self.position += 1
        self.logical = self.logical or token.text in ("wedge", "vee")
        return {"wedge": "and", "vee": "or"}.get(token.text, token.text)

    def part(self) -> Tree:
        """A relation chain with what may stand around it: a label in words, a unit, a side condition."""
        if (currency := CURRENCIES.get(self.word())) and (token := self.peek()) and token.kind in ("name", "text"):
            self.position += 1  # `USD 5`
            return ("unit", self.part(), currency)
        if (token := self.peek()) and token.kind == "name" and self._is_word(token.text):
            self.position += 1
            return ("text", token.text.lower())
        if self.word() in ("minus", "negative") and (follows := self.peek(1)) and follows.kind in ("num", "cmd"):
            self.position += 1
            return ("neg", self.part())
        self.labels()
        self.skip("approx")  # `≈ 8.24`
        tree = self.relation()
        while self.skip("pmod", "mod", "bmod"):
            tree = residue(tree, self.argument() if self.text() == "{" else self.signed())
        return self.suffix(tree)

    def _is_word(self, name: str) -> bool:
        """Whether a short run of letters that is all of a part is a word and no product: `red, blue`."""
        following = self.word(1)
        alone = following in ("", ",", ";") or following in words.JOINTS
        return alone and len(name) in (2, 3) and not is_product(name) and name not in words.FUNCTIONS | words.GREEK

    def labels(self) -> None:
        """Skip `Minimum:`, `only` and the like before a value."""
        start = self.position
        while (token := self.peek()) is not None and token.kind in ("name", "text") and len(token.text) > 1:
            lowered = token.text.lower().rstrip(":")
            if lowered in words.FUNCTIONS | words.GREEK | words.JOINTS or self.text(1) in ("^", "_"):
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
        if {piece.rstrip(":") for piece in spoken} & (HEDGES | {"any"}) - words.IGNORED_BEFORE:
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
        known = token.text.lower() in {*UNITS, *words.PERCENT, *words.DEGREE, *ORDINALS}
        if token.kind == "name" and not token.spaced and not known:
            raise Unreadable(f"{token.text!r} is stuck to a value")
        said = self.said()
        if not said:
            return tree
        while said and said[0] in MULTIPLIERS:  # `5 million`, `2 dozen eggs`
            tree = ("*", tree, Fraction(MULTIPLIERS[said.pop(0)]))
        if not said:
            return tree
        joined = " ".join(said)
        if joined.startswith(words.QUALIFIERS):
            self.skip_condition()
            return tree
        while self.text() in ("^", "/", "cdot"):  # cm^2, m/s^2
            if self.skip("^"):
                said.append(f"^{self.factor_text()}")
            elif (follows := self.peek(1)) is not None and follows.kind in ("text", "name"):
                said.append(self.take().text)
                said += self.said()
            else:
                break
        return self.counted(tree, said)

    def said(self) -> list[str]:
        """Words up to the next joint or sign, in lower case."""
        said: list[str] = []
        while (token := self.peek()) is not None and token.kind in ("text", "name") and token.text not in words.JOINTS:
            said += token.text.lower().split()
            self.position += 1
        return said

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
        """A value, or the last one of a relation, and the words that say what it counts."""
        if tag(tree) == "rel":
            return ("rel", tree[1], (*tree[2][:-1], self.counted(tree[2][-1], said)))
        if said[0] in words.PERCENT:
            tree, said = ("pct", tree), said[1:]
            if not said:
                return tree
        if said[0] in words.DEGREE and len(said) == 1:
            return ("deg", tree)
        if tag(tree) == "deg" and (scale := SCALES.get(said[0])):
            return ("unit", tree[1], scale)
        if said[0] in ORDINALS and len(said) == 1:
            return tree
        if not is_counted(said, tree):
            raise Unreadable(f"{' '.join(said)!r} stands behind a value")
        return ("unit", tree, unit(" ".join(said)), nouns(said))

    def factor_text(self) -> str:
        braced = self.skip("{")
        inner = ("-" if self.skip("-") else "") + self.take().text
        if braced:
            self.expect("}")
        return inner

    def relation(self) -> Tree:
        terms, operators = [self.union()], []
        while (operator := RELATIONS.get(self.text())) is not None:
            self.position += 1
            operators.append(operator)
            term = self.union()
            terms.append(words.NUMBER_SETS.get(term, term) if operator == "in" and isinstance(term, str) else term)
        if not operators:
            return terms[0]
        return ("rel", tuple(operators), tuple(terms))

    def union(self) -> Tree:
        tree = self.sum()
        while (operator := self.text()) in ("cup", "cap", "setminus") or (operator == "\\" and tree[0] in ("seq", "set")):
            self.position += 1
            tree = (operator, tree, self.sum())
        return tree


def residue(tree: Tree, modulus: Tree) -> Tree:
    """A value, or the last one of a relation, and what it is taken modulo; where that is a number, it may go without saying
    as a unit may.

    Raises:
        Unreadable: where that is neither a number nor a name.
    """
    if not isinstance(modulus, Fraction | str):
        raise Unreadable("a remainder is by a number or a name")
    if tag(tree) == "rel":
        return ("rel", tree[1], (*tree[2][:-1], residue(tree[2][-1], modulus)))
    if isinstance(modulus, str):
        return ("call", "mod", tree, modulus)
    try:
        value = exact(tree, {}) % exact(modulus, {})
    except (NoValue, ZeroDivisionError):
        value = tree
    return ("unit", value, f"mod {modulus}", "", modulus)


def _modulus(tree: Tree) -> Tree | None:
    """What a value, or the last one of a relation, is taken modulo; None for nothing."""
    if tag(tree) == "rel":
        return _modulus(tree[2][-1])
    return tree[4] if tag(tree) == "unit" and len(tree) > 4 else None


def _is_condition(tree: Tree) -> bool:
    return tag(tree) == "rel" and (
        set(tree[1]) <= INEQUALITIES
        or (tree[1] == ("in",) and isinstance(tree[2][0], str) and tree[2][1] == "mathbbR")
        or (tree[1] == ("=",) and isinstance(tree[2][0], str))
    )


def _grouped(parts: list[Tree], joints: list[str]) -> list[list[Tree]]:
    """The parts between one "or" and the next."""
    groups = [parts[:1]]
    for joint, part in zip(joints, parts[1:], strict=False):
        if joint == "or":
            groups.append([])
        groups[-1].append(part)
    return groups


def _conditions(parts: list[Tree], joints: list[str]) -> Tree:
    """What all of several conditions allow, or one of them where they are joined by "or", which binds less than "and"."""
    all_of = [reduce(lambda left, right: ("cap", left, right), group) for group in _grouped(parts, joints)]
    return reduce(lambda left, right: ("cup", left, right), all_of)
