"""The line through a point along a direction, and how far to go on it."""

from __future__ import annotations

import math
from typing import Any

from gradlab.backend import Array, namespace
from gradlab.numerical.points import BlackBox
from gradlab.numerical.steps import Method, Stencil, StepRule, clamp, step_rules

__all__ = ["Line", "scale"]


def scale(x: Array) -> Array:
    """``max(|x|, 1)``, the unit of default steps."""
    xp = namespace(x)
    return xp.maximum(xp.abs(x), xp.ones_like(x))


class Line:
    """The points x + t v, within bounds if there are any."""

    def __init__(
        self, box: BlackBox, directions: list[Array], options: tuple[Method, Any, Any]
    ) -> None:
        method, step, bounds = options
        self.box, self.directions = box, directions
        (self.rule,) = step_rules(method, step, None, box.leaves[0], box.leaves[:1])
        if shape := getattr(self.rule.step, "shape", ()):
            msg = f"`step` along a direction must be one number: got shape {shape}"
            raise ValueError(msg)
        self.limits: list[tuple[Any, Any]] = []  # of each leaf
        if bounds is not None:
            rules = step_rules("central", None, bounds, box.build(box.leaves), box.leaves)
            for rule, leaf in zip(rules, box.leaves, strict=True):
                self.limits.append(rule.check_within(leaf))

    def at(self, t: Array) -> list[Array]:
        """Leaves of the point; rounding does not take it out of the bounds."""
        xp = self.box.xp
        pairs = zip(self.box.leaves, self.directions, strict=True)
        # NumPy's operators turn 0-d arrays into scalars, which are no leaves of a tuple
        point = [xp.asarray(x + xp.astype(t, x.dtype) * v) for x, v in pairs]
        if not self.limits:
            return point
        return [clamp(xp, x, *pair) for x, pair in zip(point, self.limits, strict=True)]

    def stencil(self, power: float) -> Stencil:
        """Where to evaluate along the line, t being 0-d."""
        method = self.rule.method
        t = _reach(self.box, self.directions, self.rule.step, power)
        zero = 0 * t
        if self.limits:
            room = (-self._room(-1), self._room(1))
            stencil = StepRule(method, t, room, "x").stencil(zero, self.box.eps)
        else:
            points = {"central": (t, -t), "forward": (t,), "backward": (-t,)}[method]
            stencil = Stencil(zero, points)
        if self.limits or self.rule.step is not None:
            self._check_moved(stencil)
        return stencil

    def _check_moved(self, stencil: Stencil) -> None:
        xp = self.box.xp
        for t in stencil.points:
            pairs = zip(self.at(t), self.box.leaves, strict=True)
            if any(bool(xp.any(point != x)) for point, x in pairs):
                continue
            if any(bool(xp.any(v != 0)) for v in self.directions):
                msg = (
                    "`step` must move an element of `x` along `v`: x + step == x; give a larger "
                    "step, or wider `bounds`"
                )
                raise ValueError(msg)

    def _room(self, sign: int) -> Array:
        """How far t can go to that side."""
        xp = self.box.xp
        like = self.box.leaves[0]
        found = [xp.full((1,), math.inf, dtype=like.dtype, device=like.device)]
        for x, v, (lower, upper) in zip(self.box.leaves, self.directions, self.limits, strict=True):
            far = xp.where(sign * v > 0, upper - x, x - lower)
            size = xp.abs(v)
            room = xp.where(size > 0, far / xp.where(size > 0, size, 1.0), math.inf)
            found.append(xp.reshape(room, (-1,)))
        return xp.min(xp.concat(found))


def _reach(box: BlackBox, directions: list[Array], step: Any, power: float) -> Array:
    """How far to go along a direction, shape (): 1 where it is zero."""
    xp = box.xp
    pairs = zip(directions, box.leaves, strict=True)
    sizes = [xp.abs(v) if step is not None else xp.abs(v) / scale(x) for v, x in pairs]
    least = xp.zeros((1,), dtype=sizes[0].dtype, device=sizes[0].device)  # of x without elements
    largest = xp.max(xp.concat([least, *(xp.reshape(size, (-1,)) for size in sizes)]))
    half_width = box.eps**power if step is None else step
    return half_width / xp.where(largest > 0, largest, half_width + 0 * largest)
