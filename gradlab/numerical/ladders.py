"""Samples of f on a ladder of steps beside a point, and what is chosen of their differences.

A *ladder* is a stack of steps, axis 0; every element of x, axis 1, has its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gradlab.backend import Array, Namespace, namespace

__all__ = [
    "KINDS",
    "ONE_SIDED",
    "Choice",
    "Kind",
    "Ladder",
    "finite_or",
    "larger",
    "sample",
]

Kind = Literal["central", "forward", "backward"]
KINDS: tuple[Kind, ...] = ("central", "forward", "backward")
ONE_SIDED = 10.0  # times less the bar of differences to one side must be: they converge slowly


@dataclass(frozen=True, slots=True)
class Ladder:
    """Samples of f above and below x, NaN where there is none, and f at x; rungs on axis 0."""

    steps: Array
    above: Array
    below: Array
    value: Array

    def slopes(self, kind: Kind) -> Array:
        """Differences of lowest order."""
        if kind == "central":
            return (self.above - self.below) / (2 * self.steps)
        if kind == "forward":
            return (self.above - self.value) / self.steps
        return (self.value - self.below) / self.steps

    @property
    def size(self) -> Array:
        r"""Largest \|f\| on each rung and at x."""
        xp = namespace(self.steps)
        size = larger(xp, finite_or(xp, xp.abs(self.above), 0.0), xp.abs(self.value))
        return larger(xp, finite_or(xp, xp.abs(self.below), 0.0), size)

    @property
    def changes(self) -> Array:
        """Larger change of f to either side, on each rung."""
        xp = namespace(self.steps)
        above, below = (
            finite_or(xp, xp.abs(side - self.value), 0.0) for side in (self.above, self.below)
        )
        return larger(xp, above, below)


@dataclass(frozen=True, slots=True)
class Choice:
    """Slopes, their bars, the smallest and largest steps in them, and the noise of f assumed."""

    value: Array
    error: Array
    step: Array
    reach: Array
    noise: Array

    def where(self, preferred: Array, other: Choice) -> Choice:
        """`other` where it is preferred."""
        xp = namespace(self.value)
        names = ("value", "error", "step", "reach", "noise")
        return Choice(
            *(xp.where(preferred, getattr(other, name), getattr(self, name)) for name in names)
        )


def sample(f: Callable[[Array], Array], x: Array, steps: Array, value: Array) -> Ladder:
    """Values of f at x + h and x - h for every rung h, as x's digits allow."""
    xp = namespace(x)
    negative = x < 0
    outward = xp.where(negative, -xp.ones_like(x), xp.ones_like(x))
    taken, above, below = [], [], []
    steps = xp.astype(steps, x.dtype, copy=False)
    for k in range(steps.shape[0]):
        # The point farther from 0 has fewer digits: the step that it takes is taken on both sides.
        far = x + outward * steps[k, :]
        step = xp.abs(far - x)
        near = x - outward * step
        farther, nearer = (
            xp.where(xp.isfinite(point), finite_or(xp, f(point), math.nan), math.nan)
            for point in (far, near)
        )
        taken.append(xp.astype(step, farther.dtype))
        above.append(xp.where(negative, nearer, farther))
        below.append(xp.where(negative, farther, nearer))
    return Ladder(xp.stack(taken), xp.stack(above), xp.stack(below), value)


def finite_or(xp: Namespace, x: Array, instead: float) -> Array:
    """`x`, and `instead` where it is not finite."""
    return xp.where(xp.isfinite(x), x, instead)


def larger(xp: Namespace, a: Array, b: Array) -> Array:
    """Larger of two, element by element; a NaN in `b` loses."""
    return xp.where(b > a, b, a)
