"""Gradients of a bounded norm, for any update rule."""

from __future__ import annotations

from dataclasses import dataclass

from gradlab import tree
from gradlab.backend import Array, Namespace, kind_of, namespace
from gradlab.optimizers.rule import Optimizer, advance_of, as_optimizer, lr_of
from gradlab.optimizers.settings import positive

__all__ = ["clip_norm"]


@dataclass(frozen=True, slots=True)
class _Clipped:
    """Update rule that is given gradients of a bounded norm."""

    optimizer: Optimizer
    max_norm: float

    def lr_at(self, step: int) -> float:
        return lr_of(self.optimizer, step)

    def init(self, params: tree.Tree) -> tree.Tree:
        return self.optimizer.init(params)

    def step(
        self, params: tree.Tree, grads: tree.Tree, state: tree.Tree
    ) -> tuple[tree.Tree, tree.Tree]:
        return self.optimizer.step(params, self._clipped(grads), state)

    def advance(
        self, params: tree.Tree, grads: tree.Tree, state: tree.Tree
    ) -> tuple[tree.Tree, tree.Tree]:
        return advance_of(self.optimizer)(params, self._clipped(grads), state)

    def _clipped(self, grads: tree.Tree) -> tree.Tree:
        leaves = [g for g in tree.leaves(grads) if 0 not in g.shape]
        if leaves:
            xp = namespace(*leaves)
            # by the largest element first: squares of large ones would overflow
            largest = xp.max(xp.stack([xp.max(xp.abs(g)) for g in leaves]))
            scale = xp.where(largest > 0, largest, xp.ones_like(largest))
            squares = xp.stack([xp.sum((g / scale) ** 2) for g in leaves])
            norm = xp.sqrt(xp.sum(squares)) * scale
            factor = xp.minimum(self.max_norm / (norm + 1e-6), xp.ones_like(norm))
            grads = tree.map(lambda g: _scaled(xp, g, factor), grads)
        return grads


def clip_norm(optimizer: Optimizer, max_norm: float) -> Optimizer:
    """Update rule whose gradients are scaled down to a Euclidean norm of at most `max_norm`.

    Parameters
    ----------
    optimizer : Optimizer
        What is given the clipped gradients.
    max_norm : float
        Positive: of all arrays of the gradient together.

    Returns
    -------
    Optimizer

    Raises
    ------
    TypeError, ValueError
        If an argument is something else.

    References
    ----------
    Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, ICML
    2013, algorithm 1.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab.optimizers import SGD, clip_norm
    >>> optimizer = clip_norm(SGD(1.0), max_norm=5.0)
    >>> x = gl.asarray([0.0, 0.0])
    >>> optimizer.step(x, gl.asarray([30.0, -40.0]), optimizer.init(x))[0].round(4)
    array([-3.,  4.])
    """
    return _Clipped(as_optimizer(optimizer), positive(max_norm, "max_norm"))


def _scaled(xp: Namespace, g: Array, factor: Array) -> Array:
    """`g` times a number, in its dtype; of integers, in that of the number."""
    new = g * factor
    if new.dtype != g.dtype and kind_of(g.dtype) == "real floating":
        new = xp.astype(new, g.dtype)
    return new if g.shape else xp.asarray(new)  # NumPy's operators turn 0-d arrays into scalars
