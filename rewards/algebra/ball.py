"""Numbers with a bound of what rounding may have done to them: what cancels in a difference stays in its bound.

Ball arithmetic (Johansson 2017, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic") to first order: the
bounds of functions are measured, not proved, so what relies on them leaves room.
"""

from collections.abc import Callable

from rewards.algebra.arithmetic import Complex, Real, mp
from rewards.algebra.exact import NoValue


class Blurred(NoValue):
    """At this precision it cannot be told whether there is a value; at a higher one it may be."""


class Ball:
    """A number at mpmath's working precision, real or complex, and how far from it the true value may be."""

    __slots__ = ("error", "value")

    def __init__(self, value: Complex, error: Real) -> None:
        self.value = value
        self.error: Real = error
        """At least 0."""

    def __add__(self, other: "Ball") -> "Ball":
        return rounded(self.value + other.value, self.error + other.error)

    def __neg__(self) -> "Ball":
        return Ball(-self.value, self.error)

    def __sub__(self, other: "Ball") -> "Ball":
        return self + -other

    def __mul__(self, other: "Ball") -> "Ball":
        error = abs(self.value) * other.error + (abs(other.value) + other.error) * self.error
        return rounded(self.value * other.value, error)

    def __truediv__(self, other: "Ball") -> "Ball":
        if other.value == 0 == other.error:
            raise NoValue("division by zero")
        value = self.value / other.nonzero()
        return rounded(value, (self.error + abs(value) * other.error) / (abs(other.value) - other.error))

    def __pow__(self, exponent: "Ball") -> "Ball":
        power = exponent.value
        if abs(self.value) <= self.error:
            if mp.re(power) > 0:
                return rounded(mp.mpf(0), (abs(self.value) + self.error) ** mp.re(power) if self.error else mp.mpf(0))
            raise Blurred if self.error else NoValue("a power of 0")
        whole = not exponent.error and mp.isint(power) and abs(power) < 10_000
        value = self.value ** int(mp.re(power)) if whole else mp.power(self.value, power)
        error = abs(power) * self.error / (abs(self.value) - self.error)
        if exponent.error:
            error += abs(mp.log(self.value)) * exponent.error
        return rounded(value, abs(value) * error)

    def nonzero(self) -> Complex:
        """The value, where that is not 0.

        Raises:
            Blurred: where it may be.
        """
        if abs(self.value) <= self.error:
            raise Blurred("it may be 0")
        return self.value

    def through(self, function: Callable[[Complex], Complex]) -> "Ball":
        """The value of a function, and how far that moves within the bound. Where it jumps, that is far."""
        value = function(self.value)
        if not self.error:
            return rounded(value, mp.mpf(0))
        moved = [abs(function(self.value + step) - value) for step in (self.error, -self.error)]
        return rounded(value, 2 * max(moved))


def rounded(value: Complex, error: Real) -> Ball:
    """A value that has just been computed, whose last digit may be wrong.

    Raises:
        NoValue: where it is not finite.
    """
    if not mp.isfinite(value):
        raise NoValue
    return Ball(value, error + abs(value) * mp.eps)


def integer(value: int) -> Ball:
    """An integer, exactly where the precision allows."""
    return Ball(mp.mpf(value), mp.mpf(0)) if value.bit_length() <= mp.prec else rounded(mp.mpf(value), mp.mpf(0))
