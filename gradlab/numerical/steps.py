"""Where to evaluate, and how to make a slope of it: steps, bounds, stencils.

The rule of the plain verbs: an element x is moved by ``c * max(|x|, 1)``, where c is
eps**(1/3) for central and eps**(1/2) for one-sided differences, and eps that of the coarser of
the dtypes of x and of what f returns. These balance truncation, O(h**2) and O(h), with the
round-off O(eps / h) of a function whose scale is 1 (Nocedal and Wright, Numerical Optimization,
2nd ed., section 8.1). No rule suits both sin and x**2 at 1e10: there, give `step`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from numbers import Real
from typing import Any, Literal, get_args

from gradlab import tree
from gradlab.backend import (
    Array,
    asarray_like,
    is_array,
    kind_of,
    namespace,
    nonfinite_expected,
)

__all__ = ["Method", "Stencil", "StepRule", "clamp", "step_rules"]

Method = Literal["central", "forward", "backward"]

# Below this part of its step a central difference beside a bound becomes one-sided: the round-off
# of a step shrunk to h / 4 is as large as that of the one-sided formula with h.
_LEAST_SHRINK = 0.25


@dataclass(frozen=True, slots=True)
class Stencil:
    """Points beside x, and the slope at x that the values of f there give.

    `points` are one or two arrays shaped like `x`: ``(x + h, x - h)``, or ``(x + h,)``, or what
    bounds leave of them. `one_sided` marks the elements whose two points lie on one side of x.
    """

    x: Array
    points: tuple[Array, ...]
    one_sided: Array | None = None

    def slope(self, values: tuple[Array, ...], value: Array | None) -> Array:
        """Derivative from f at `points`, and at `x` itself where `needs_value`."""
        with nonfinite_expected():  # f may be infinite on both sides
            return self._slope(values, value)

    def _slope(self, values: tuple[Array, ...], value: Array | None) -> Array:
        if len(values) == 1:
            (fa,) = values
            (a,) = self.points
            return (fa - value) / (a - self.x)
        fa, fb = values
        a, b = self.points
        central = (fa - fb) / (a - b)  # by the step taken, not the one asked for
        if self.one_sided is None:
            return central
        xp = namespace(self.x)
        da, db = a - self.x, b - self.x
        parabola = ((fa - value) * (db / da) - (fb - value) * (da / db)) / (db - da)
        return xp.where(self.one_sided, parabola, central)

    @property
    def needs_value(self) -> bool:
        """Whether `slope` uses f at `x` itself."""
        return len(self.points) == 1 or self.one_sided is not None


@dataclass(frozen=True, slots=True)
class StepRule:
    """How far to move the elements of one leaf, in which direction, between which bounds."""

    method: Method
    step: Array | float | None
    bounds: tuple[Array | float, Array | float] | None
    name: str

    def stencil(self, x: Array, eps: float) -> Stencil:
        """Stencil around `x` for a function computed in a precision of `eps`."""
        xp = namespace(x)
        if self.step is None:
            c = eps ** (1 / 3 if self.method == "central" else 1 / 2)
            size = xp.abs(x)
            h = xp.where(size > 1, size, 1.0) * c
        else:
            h = xp.zeros_like(x) + self.step
        if self.bounds is not None:
            stencil = self._bounded(x, h)
        elif self.method == "central":
            stencil = Stencil(x, (x + h, x - h))
        else:
            stencil = Stencil(x, (x + h if self.method == "forward" else x - h,))
        if self.step is not None or self.bounds is not None:
            self._check_moved(stencil)
        return stencil

    def check_within(self, x: Array) -> tuple[Array, Array]:
        """Bounds of each element; ValueError if `x` does not lie within them."""
        xp = namespace(x)
        lower, upper = (xp.zeros_like(x) + bound for bound in self.bounds or ())
        if not bool(xp.all((lower <= x) & (x <= upper) | xp.isnan(x))):
            msg = (
                f"`bounds` must hold `{self.name}`: an element lies outside, lower > upper, or a "
                "bound is NaN (take math.inf for none)"
            )
            raise ValueError(msg)
        return lower, upper

    def _bounded(self, x: Array, h: Array) -> Stencil:
        xp = namespace(x)
        lower, upper = self.check_within(x)
        up, down = upper - x, x - lower
        up_is_wider = up >= down
        if self.method != "central":
            forward = up >= h if self.method == "forward" else (up >= h) & (down < h)
            short = xp.where(up_is_wider, upper, lower)
            back = xp.where(down >= h, x - h, short)
            return Stencil(x, (xp.where(forward, x + h, back),))
        near, far = xp.where(up_is_wider, down, up), xp.where(up_is_wider, up, down)
        shrunk = xp.where(near < h, near, h)
        one_sided = shrunk < _LEAST_SHRINK * h
        inward = xp.where(far < 2 * h, far / 2, h)
        inward = xp.where(up_is_wider, inward, -inward)
        a = xp.where(one_sided, x + inward, x + shrunk)
        b = xp.where(one_sided, x + 2 * inward, x - shrunk)
        inside = tuple(clamp(xp, point, lower, upper) for point in (a, b))
        return Stencil(x, inside, one_sided)

    def _check_moved(self, stencil: Stencil) -> None:
        xp = namespace(stencil.x)
        pairs = combinations((stencil.x, *stencil.points), 2)
        if bool(xp.any(xp.stack([one == other for one, other in pairs]))):
            msg = (
                f"`step` must move every element of `{self.name}`: at one, x + step == x; "
                "give a larger step, or wider `bounds`"
            )
            raise ValueError(msg)


def step_rules(
    method: Method, step: Any, bounds: Any, x: tree.Tree, leaves: list[Array]
) -> list[StepRule]:
    """Check the options of a verb and deal them out: one rule for each leaf of `x`."""
    if method not in get_args(Method):
        msg = f"`method` must be one of {', '.join(get_args(Method))}: got {method!r}"
        raise ValueError(msg)
    if step is None and bounds is None:
        return [StepRule(method, None, None, "x")] * len(leaves)
    names = [name for name, _ in tree.items(x)]
    steps = [None] * len(leaves) if step is None else _deal(step, "step", names, leaves)
    for h in steps:
        _check_step(h)
    if bounds is None:
        return [StepRule(method, h, None, name) for h, name in zip(steps, names, strict=True)]
    if not (isinstance(bounds, tuple | list) and len(bounds) == 2):  # noqa: PLR2004
        msg = f"`bounds` must be a pair (lower, upper): got {bounds!r}"
        raise ValueError(msg)
    lower, upper = (_deal(bound, "bounds", names, leaves) for bound in bounds)
    dealt = zip(steps, lower, upper, names, strict=True)
    return [StepRule(method, h, (low, high), name) for h, low, high, name in dealt]


def _deal(option: Any, called: str, names: list[str], leaves: list[Array]) -> list[Any]:
    """Give each leaf its part of an option that is one number or shaped like x."""
    if isinstance(option, Real) and not isinstance(option, bool):
        return [float(option)] * len(leaves)
    parts = dict(tree.items(option))  # by name: a dict may be in another order
    if parts.keys() != set(names):
        msg = f"`{called}` must be a number or built like `x`: it has {list(parts)}"
        raise ValueError(msg)
    dealt = []
    for name, leaf in zip(names, leaves, strict=True):
        xp, part = namespace(leaf), parts[name]
        array = part if is_array(part) else asarray_like(part, leaf)
        namespace(leaf, array, names=("x", called))
        if kind_of(array.dtype) not in ("real floating", "integral"):
            came = array.dtype if is_array(part) else repr(part)
            msg = f"`{called}` must hold real numbers: got {came}"
            raise TypeError(msg)
        if array.shape not in (leaf.shape, ()):
            msg = f"`{called}` must have the shape of `{name}`, {leaf.shape}: got {array.shape}"
            raise ValueError(msg)
        dealt.append(xp.astype(array, leaf.dtype, copy=False))
    return dealt


def _check_step(h: Any) -> None:
    positive = h is None or (
        0 < h < math.inf
        if isinstance(h, float)
        else bool(namespace(h).all((h > 0) & namespace(h).isfinite(h)))
    )
    if not positive:
        msg = f"`step` must be positive and finite: got {h}"
        raise ValueError(msg)


def clamp(xp: Any, x: Array, lower: Array, upper: Array) -> Array:
    """`x`, or the bound that it is beyond."""
    x = xp.where(x > upper, upper, x)
    return xp.where(x < lower, lower, x)
