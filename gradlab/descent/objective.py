"""The function that is descended, and its gradient: called, checked and counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from gradlab import autodiff, numerical, tree
from gradlab.backend import Array, namespace, owned
from gradlab.numerical.black_box import real_leaves, real_result, run_one_by_one
from gradlab.numerical.differences import value_and_gradient_again

__all__ = ["Gradient", "Objective", "Point"]

Gradient: TypeAlias = Literal["numerical", "autodiff"] | Callable[[Any], tree.Tree]

# The first gradient may wait for the device, to warn of an f that ignores its argument
_KNOWN: dict[Any, tuple[Callable[..., tuple[Any, tree.Tree]], ...]] = {
    "numerical": (numerical.value_and_gradient, value_and_gradient_again),
    "autodiff": (autodiff.value_and_gradient, autodiff.value_and_gradient),
}


@dataclass(frozen=True, slots=True)
class Point:
    """Leaves of x and of the gradient, f, and the gradient's largest absolute element."""

    x: list[Array]
    loss: Array
    grad: list[Array]
    size: Array


class Objective:
    """A scalar function of a tree, seen as one of the leaves."""

    def __init__(self, f: Callable[[Any], Any], init_x: tree.Tree, gradient: Gradient) -> None:
        if not callable(f):
            msg = f"`f` must be a function of `x`: got {f!r}"
            raise TypeError(msg)
        if not (callable(gradient) or gradient in tuple(_KNOWN)):
            msg = f"`gradient` must be 'numerical', 'autodiff' or a function: got {gradient!r}"
            raise ValueError(msg)
        self.f = f
        self.gradient = gradient
        self.start = [owned(leaf) for leaf in real_leaves(init_x, "init_x")]  # results hand it out
        self.xp = namespace(*self.start)
        self.build = tree.flatten(init_x)[1]
        self.likes = dict(tree.items(self.build(self.start)))
        self.size = sum(math.prod(leaf.shape) for leaf in self.start)
        self.nfev = self.njev = 0

    def point(self, x: list[Array], loss: Array | None = None) -> Point:
        """f, unless it is known already, and the gradient at `x`."""
        xp = self.xp
        self.njev += 1
        if callable(self.gradient):
            loss = self.loss(x) if loss is None else loss
            given = self.gradient(self.build([xp.asarray(leaf, copy=True) for leaf in x]))
        else:
            first, again = _KNOWN[self.gradient]
            differentiated = first if self.njev == 1 else again
            loss, given = differentiated(self._counted, self.build(x))
        grad = tree.fitting(given, self.likes, "x", "`gradient`")
        if callable(self.gradient):
            grad = [owned(g) for g in grad]
        sizes = [xp.max(xp.abs(g)) for g in grad if math.prod(g.shape)]
        size = xp.max(xp.stack(sizes)) if sizes else xp.zeros_like(loss)
        return Point(x, real_result(xp, loss, x[0]), grad, size)

    def loss(self, x: list[Array]) -> Array:
        """F alone at `x`, which f may do with as it likes."""
        rows = [self.xp.asarray(leaf[None, ...], copy=True) for leaf in x]
        return real_result(self.xp, run_one_by_one(self._counted, self.build, rows), x[0])[0, ...]

    def moved(self, point: Point, distance: float) -> list[Array]:
        """Leaves of x, so many gradients down from `point`."""
        pairs = zip(point.x, point.grad, strict=True)
        return [self.xp.asarray(x - distance * g, dtype=x.dtype) for x, g in pairs]

    def eps(self, loss: Array) -> float:
        """Machine epsilon of the coarsest dtype among f and the leaves of x."""
        dtypes = [loss.dtype, *(leaf.dtype for leaf in self.start)]
        return max(float(self.xp.finfo(dtype).eps) for dtype in dtypes)

    def _counted(self, x: tree.Tree) -> Any:
        self.nfev += 1
        return self.f(x)
