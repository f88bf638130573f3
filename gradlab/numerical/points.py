"""A black box, and the points at which it is asked for arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gradlab import tree
from gradlab.backend import Array, Namespace, namespace
from gradlab.numerical.black_box import real_leaves, real_result, run_arrays, run_one_array
from gradlab.numerical.differences import chunk_rows, eps_of, repeat

__all__ = ["BlackBox"]


class BlackBox:
    """A function of arrays: called with chunks of points, it gives real rows, shape (k, size).

    Attributes
    ----------
    leaves : list of arrays
        The argument's, real floating.
    build : callable
        Makes a tree like the argument of as many leaves.
    value : array, shape (1, size)
        At the argument itself.
    shape : tuple of int
        Of what the function returns.
    eps : float
        Rounding error of the coarsest dtype.
    """

    def __init__(
        self, f: Callable[[Any], Any], x: tree.Tree, *, vectorized: bool, chunk_size: int | None
    ) -> None:
        self.leaves = real_leaves(x)
        self.xp: Namespace = namespace(*self.leaves)
        self.f, self.build = f, tree.flatten(x)[1]
        self.run = run_arrays if vectorized else run_one_array
        self.shape: tuple[int, ...] | None = None
        self.value = self([repeat(self.xp, leaf, 1) for leaf in self.leaves])
        # Only now is it known how large a row of results is
        self.chunk_rows = chunk_rows(chunk_size, [*self.leaves, self.value], vectorized=vectorized)
        self.eps = max(eps_of(self.xp, self.value.dtype), *(self.eps_at(x) for x in self.leaves))

    def __call__(self, points: list[Array]) -> Array:
        """Values at chunks of points, one for each leaf, shape (k, size)."""
        result = real_result(self.xp, self.run(self.f, self.build, points), self.leaves[0])
        if self.shape is None:
            self.shape = result.shape[1:]
        elif result.shape[1:] != self.shape:
            msg = f"`f` must return arrays of one shape: got {result.shape[1:]} after {self.shape}"
            raise ValueError(msg)
        return self.xp.reshape(result, (result.shape[0], -1))

    def eps_at(self, leaf: Array) -> float:
        """Rounding error of a leaf."""
        return eps_of(self.xp, leaf.dtype)

    def check_scalar(self) -> None:
        """Raise unless the function gave one number."""
        if self.shape != ():
            msg = f"`f` must return a scalar: got shape {self.shape}; take numerical.jacobian"
            raise ValueError(msg)

    def flat(self) -> Array:
        """All elements of the argument, shape (n,)."""
        return self.xp.concat([self.xp.reshape(leaf, (-1,)) for leaf in self.leaves])

    def at(self, rows: Array) -> Array:
        """Values of a scalar function, shape (k,), at points of all elements, shape (k, n)."""
        return self(self.split(rows))[:, 0]

    def split(self, points: Array, *, rows: bool = True) -> list[Array]:
        """Points of all elements as chunks of the leaves; without `rows`, the one as leaves."""
        parts, start = [], 0
        for leaf in self.leaves:
            stop = start + math.prod(leaf.shape)
            shape = (points.shape[0], *leaf.shape) if rows else leaf.shape
            part = self.xp.reshape(points[:, start:stop], shape)
            parts.append(self.xp.astype(part, leaf.dtype))
            start = stop
        return parts

    def moved(self, k: int, chunk: Array) -> Array:
        """Values where leaf k alone is as the rows of `chunk` have it."""
        rows = chunk.shape[0]
        return self(
            [chunk if j == k else repeat(self.xp, leaf, rows) for j, leaf in enumerate(self.leaves)]
        )
