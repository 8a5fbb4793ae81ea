"""Values of trees at given points, to fifty digits and more. Bounded in time.

Towers and factorials are not built: a magnitude beyond `LARGEST_LOG` is `Huge`, and two huge values are not told apart.
"""

import hashlib
from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from operator import add, mul

from rewards.algebra.arithmetic import Complex, is_real, mp, tick
from rewards.algebra.ball import Ball, Blurred, integer, rounded
from rewards.algebra.cursor import Tree, tag
from rewards.algebra.exact import Env, NoValue, exact, names

LARGEST_LOG = 10**9
"""Natural logarithm of the largest magnitude that is computed with."""
LARGEST_EXPONENT = 10**15
"""And degree of a root; whether a larger one is whole cannot be seen without building it."""
LARGEST_ZETA = 50
"""Integer of which the zeta function is computed; between integers it takes seconds."""
MOST_GAMMA_DIGITS = 350
"""To which the gamma function is computed between integers; with a thousand it takes seconds."""
DIGITS = 50
MORE_DIGITS = 160
"""For what the usual precision does not tell."""
OPAQUE_DIGITS = 25
"""Of an argument of a function that nobody defined."""


ELEMENTARY = {
    "sqrt": "sqrt", "cbrt": "cbrt", "abs": "fabs", "ln": "log", "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot",
    "sec": "sec", "csc": "csc", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "arcsec": "asec",
    "arccsc": "acsc", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "coth": "coth", "sech": "sech", "csch": "csch",
    "asinh": "asinh", "acosh": "acosh", "atanh": "atanh", "floor": "floor", "ceil": "ceil", "sgn": "sign", "re": "re",
    "im": "im", "arg": "arg", "zeta": "zeta", "gamma": "gamma",
}  # fmt: skip
"""Functions of one argument, and their names in mpmath."""
SCALING = {"sqrt", "cbrt", "root", "abs", "ln", "log", "floor", "ceil", "sgn", "re", "im", "arg", "factorial"}
"""Functions that show as many digits of their value as there are of the argument, however large or small that is."""
SATURATING = {"tanh", "coth"}
"""Functions that come as near to a constant as the exponential of their argument is small."""


class Huge(NoValue):
    """The value itself, real and positive, is larger than the exponential of `LARGEST_LOG`."""


def numeric(tree: Tree, env: Env) -> Complex:
    """The value of a tree at mpmath's working precision, real or complex.

    Raises:
        NoValue: where it has none; `Huge` where it is too large to compute with.
    """
    value = Evaluation()(tree, env).value
    return value.real if not is_real(value) and value.imag == 0 else value


class Evaluation:
    """Values of trees at mpmath's working precision with bounds of their error, and what was seen on the way.

    Raises:
        NoValue: where a tree has no value; `Huge` where it is too large to compute with, `Blurred` where more digits may help.
    """

    def __init__(self) -> None:
        self.span = 0
        """Decimal digits between 1 and the largest or smallest term of a sum, or argument of a function, so far."""
        self.branched: set[str] = set()
        """Names in roots, logarithms and the like that had no real value."""

    def __call__(self, tree: Tree, env: Env) -> Ball:  # noqa: C901 (one case a kind of node)
        tick()
        if isinstance(tree, Fraction):
            return _rational(tree)
        if isinstance(tree, str):
            if tree in env:
                return _rational(env[tree])
            if tree == "i":
                return Ball(mp.mpc(0, 1), mp.mpf(0))
            if tree not in ("pi", "e"):
                raise NoValue(f"{tree} is not known")
            return rounded(+mp.pi if tree == "pi" else +mp.e, mp.mpf(0))
        match tree[0]:
            case "dec":
                return _rational(tree[1])
            case "+":
                return reduce(add, [self._spanned(self._part(part, env)) for part in tree[1:]])
            case "*":
                return reduce(mul, [self._part(part, env) for part in tree[1:]])
            case "neg":
                return -self._part(tree[1], env)
            case "/":
                return self._part(tree[1], env) / self._part(tree[2], env)
            case "^":
                return self._branches(tree, self._power(tree[1], tree[2], env))
            case "pct":
                return self._part(tree[1], env) / integer(100)
            case "deg" | "unit":
                return self._part(tree[1], env)
            case "base":
                return integer(_in_base(tree[1], tree[2]))
            case "ratio" if len(tree) == 3:
                return self._part(tree[1], env) / self._part(tree[2], env)
            case "fn":
                return self._branches(tree, self._function(tree[1], tree[2:], env))
            case "call" | "big":
                return self._opaque(tree, env)
        raise NoValue(f"{tree[0]} has no single value")

    def _part(self, tree: Tree, env: Env) -> Ball:
        """The value of a part. What is made of one that is huge need not be so itself."""
        try:
            return self(tree, env)
        except Huge as error:
            raise NoValue("a part is too large") from error

    def _spanned(self, ball: Ball) -> Ball:
        """The value, counted in the span."""
        if ball.value:
            self.span = max(self.span, abs(mp.mag(ball.value)) * 3 // 10)
        return ball

    def _branches(self, tree: Tree, ball: Ball) -> Ball:
        """The value of a power or a function. Of a formula without i that is not real, the names are kept."""
        if not is_real(ball.value):
            if ball.value.imag == 0:
                return Ball(ball.value.real, ball.error)
            if not _mentions(tree, "i"):
                self.branched |= names(tree)
        return ball

    def _power(self, base_tree: Tree, exponent_tree: Tree, env: Env) -> Ball:
        base = self(base_tree, env)
        if base.value == 1 and not base.error:
            return base
        rises = is_real(base.value) and base.value > 1
        try:
            exponent = self._spanned(self(exponent_tree, env))
        except Huge as error:
            if rises:
                raise
            raise NoValue("an exponent is too large") from error
        if base.value:
            with mp.workdps(15):
                power = exponent.value * mp.log(abs(base.value))
            if rises and is_real(power) and power > LARGEST_LOG:
                raise Huge
            if abs(exponent.value) > LARGEST_EXPONENT or abs(power) > LARGEST_LOG:
                raise NoValue("a power is too large or too small")
        if is_real(base.value) and base.value < 0 and is_real(exponent.value) and not mp.isint(exponent.value):
            # An odd root of a negative number is read as the real one, as \\sqrt[3]{-8} is.
            odd = _odd_denominator(exponent_tree)
            if odd is not None:
                return -((-base) ** exponent) if odd.numerator % 2 else (-base) ** exponent
        if base_tree == "e":
            value = mp.exp(exponent.value)
            return rounded(value, abs(value) * exponent.error)
        return base**exponent

    def _function(self, name: str, arguments: tuple[Tree, ...], env: Env) -> Ball:  # noqa: C901 (one case a kind of node)
        if name == "factorial":
            return self._factorial(self(arguments[0], env))
        balls = [self._part(part, env) for part in arguments]
        first = balls[0]
        if tag(arguments[0]) == "deg":
            first = first * rounded(mp.pi / 180, mp.mpf(0))
        if name not in SCALING:
            self._spanned(first)
            if abs(first.value) > LARGEST_LOG:
                raise NoValue("an argument is too large")
        if name in SATURATING:
            self.span = max(self.span, int(abs(first.value)))
        if name in ELEMENTARY:
            if name == "ln":
                first.nonzero()
            if name == "zeta" and not (mp.isint(first.value) and not first.error and 1 < first.value <= LARGEST_ZETA):
                raise NoValue("a value of zeta that takes long")
            if name == "gamma":
                return self._gamma(first, mp.gamma)
            return first.through(getattr(mp, ELEMENTARY[name]))
        match name:
            case "root":
                return _root(first, balls[1])
            case "log":
                base = integer(10) if len(arguments) == 1 else balls[1]
                for ball in (first, base):
                    ball.nonzero()
                return first.through(mp.log) / base.through(mp.log)
            case "binom":
                if max(abs(ball.value) for ball in balls) > 10**8:
                    raise NoValue("a binomial coefficient is too large")
                above, below = (ball.value for ball in balls)
                chosen = first.through(lambda value: mp.binomial(value, below))
                return Ball(chosen.value, chosen.error + balls[1].through(lambda value: mp.binomial(above, value)).error)
            case "max" | "min":
                if not all(is_real(ball.value) for ball in balls):
                    raise NoValue
                pick = max if name == "max" else min
                return Ball(pick(ball.value for ball in balls), max(ball.error for ball in balls))
        raise NoValue(f"{name} is not known")

    def _factorial(self, ball: Ball) -> Ball:
        if abs(ball.value) > 10**8:
            raise Huge if is_real(ball.value) and ball.value > 0 else NoValue
        return self._gamma(ball, mp.factorial)

    def _gamma(self, ball: Ball, function: Callable[[Complex], Complex]) -> Ball:
        """The gamma function or the factorial."""
        if mp.dps > MOST_GAMMA_DIGITS and not mp.isint(ball.value):
            raise NoValue("a value between factorials that takes long")
        return ball.through(function)

    def _opaque(self, tree: Tree, env: Env) -> Ball:
        """A function that nobody defined: a number that depends on its name and on the values of its arguments alone."""
        parts = [tree[0], tree[1]]
        for argument in tree[2:]:
            if argument is None:
                parts.append("")
                continue
            try:
                ball = self._argument(argument, env)
                if ball.error > abs(ball.value) * mp.mpf(10) ** -OPAQUE_DIGITS:
                    raise Blurred("an argument that may be another")
                parts.append(mp.nstr(ball.value, OPAQUE_DIGITS))
            except Blurred:
                raise
            except NoValue:
                parts.append(repr(argument))
        digest = hashlib.blake2b("/".join(parts).encode(), digest_size=16).digest()
        return rounded(mp.mpf(int.from_bytes(digest, "big")) / mp.mpf(2) ** 127, mp.mpf(0))

    def _argument(self, argument: Tree, env: Env) -> Ball:
        if isinstance(argument, tuple) and argument[0] == "rel":
            return reduce(add, [integer(place + 1) * self._part(term, env) for place, term in enumerate(argument[2])])
        return self._part(argument, env)


def _mentions(tree: Tree, name: str) -> bool:
    return tree == name or (isinstance(tree, tuple) and any(_mentions(part, name) for part in tree[1:]))


def _rational(value: Fraction) -> Ball:
    above = integer(value.numerator)
    return above if value.denominator == 1 else above / integer(value.denominator)


def _in_base(digits: str, base: int) -> int:
    if not 2 <= base <= 36:
        raise NoValue
    try:
        return int(digits, base)
    except ValueError as error:
        raise NoValue from error


def _odd_denominator(tree: Tree) -> Fraction | None:
    try:
        value = exact(tree, {})
    except NoValue:
        return None
    return value if value.denominator % 2 and value.denominator > 1 else None


def _root(ball: Ball, degree: Ball) -> Ball:
    value = degree.nonzero()
    if abs(value) > LARGEST_EXPONENT:
        raise NoValue("a degree is too large")
    if is_real(ball.value) and ball.value < 0 and mp.isint(value) and int(value) % 2:
        return -((-ball) ** (integer(1) / degree))
    return ball ** (integer(1) / degree)
