"""Update rules: how parameters move, given their gradients.

A rule is a frozen dataclass of plain numbers. What it remembers is a tree that the caller keeps,
`state`; the step count in it is a Python int, so that a schedule never waits for the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol, runtime_checkable

from gradlab import tree
from gradlab.backend import Array, namespace

__all__ = ["SGD", "Optimizer"]


@runtime_checkable
class Optimizer(Protocol):
    """What training asks of an update rule."""

    def init(self, params: tree.Tree) -> tree.Tree:
        """State before the first step."""
        ...

    def step(
        self, params: tree.Tree, grads: tree.Tree, state: tree.Tree
    ) -> tuple[tree.Tree, tree.Tree]:
        """New parameters and new state; the arguments stay as they are."""
        ...

    def lr_at(self, step: int) -> float:
        """Learning rate of a step, the first of which is 0."""
        ...


@dataclass(frozen=True, slots=True)
class SGD:
    """Stochastic gradient descent: ``params - lr * grads``.

    Parameters
    ----------
    lr : float or callable
        Learning rate, positive and finite; or a function of the step number, an int that starts
        at 0, to a number that is finite and not negative.

    Raises
    ------
    ValueError
        If `lr` is something else.

    References
    ----------
    Robbins and Monro, A Stochastic Approximation Method, Ann. Math. Statist. 22 (1951).

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab.optimizers import SGD
    >>> optimizer = SGD(lambda step: 0.5 / (1 + step))
    >>> params, grads = {"w": gl.asarray([1.0, 2.0])}, {"w": gl.asarray([1.0, 1.0])}
    >>> state = optimizer.init(params)
    >>> params, state = optimizer.step(params, grads, state)
    >>> params, state = optimizer.step(params, grads, state)
    >>> params, state
    ({'w': array([0.25, 1.25])}, {'step': 2})
    """

    lr: float | Callable[[int], float]

    def __post_init__(self) -> None:
        if not callable(self.lr):
            lr = _finite(self.lr, "`lr` must be a positive finite number or a function")
            if lr == 0:
                msg = "`lr` must be positive: got 0"
                raise ValueError(msg)
            object.__setattr__(self, "lr", lr)  # a NumPy scalar would make float64 of float32

    def lr_at(self, step: int) -> float:
        """Learning rate of a step.

        Parameters
        ----------
        step : int
            Steps taken before it.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the function `lr` returned no number, a negative or an infinite one.
        """
        if not callable(self.lr):
            return self.lr
        rule = f"`lr({step})` must return a finite number that is not negative"
        return _finite(self.lr(step), rule)

    def init(self, params: tree.Tree) -> tree.Tree:
        """State before the first step.

        Parameters
        ----------
        params : array or nested dict, list or tuple of arrays
            Real floating, of one library.

        Returns
        -------
        dict
            ``{"step": 0}``, the number of steps taken, a Python int.

        Raises
        ------
        TypeError
            If `params` holds something else.
        """
        leaves = dict(tree.items(params, "params"))
        xp = namespace(*leaves.values(), names=tuple(leaves))
        for name, leaf in leaves.items():
            if not xp.isdtype(leaf.dtype, "real floating"):
                msg = f"`{name}` must be real floating: got {leaf.dtype}"
                raise TypeError(msg)
        return {"step": 0}

    def step(
        self, params: tree.Tree, grads: tree.Tree, state: tree.Tree
    ) -> tuple[tree.Tree, tree.Tree]:
        """One step.

        Parameters
        ----------
        params : array or nested dict, list or tuple of arrays
            Not modified.
        grads : array or tree like `params`
            Not modified.
        state : dict
            From `init` or the step before. Not modified.

        Returns
        -------
        params : array or tree
            New arrays in the structure, shapes, dtypes and on the device of the old ones.
        state : dict

        Raises
        ------
        ValueError
            If `grads` has another structure or another shape than `params`.
        TypeError
            If `grads` is of another library.
        """
        lr = self.lr_at(state["step"])
        moved = tree.map(lambda p, g: _moved(p, g, lr), params, grads)
        return moved, {"step": state["step"] + 1}


def _moved(p: Array, g: Array, lr: float) -> Array:
    xp = namespace(p, g, names=("params", "grads"))
    if p.shape != g.shape:
        msg = f"`grads` must have the shapes of `params`: got {tuple(g.shape)} for {tuple(p.shape)}"
        raise ValueError(msg)
    return xp.asarray(p - lr * g, dtype=p.dtype)


def _finite(value: Any, rule: str) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and 0 <= value < math.inf):
        msg = f"{rule}: got {value!r}"
        raise ValueError(msg)
    return float(value)
