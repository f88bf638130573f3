"""What a descent returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from gradlab import tree
from gradlab.backend import Array

__all__ = ["DescentResult", "Status"]

Status: TypeAlias = Literal[
    "converged",
    "max_steps",
    "too_small",
    "oscillating",
    "stalled",
    "diverged",
    "stopped",
    "interrupted",
    "running",
]


@dataclass(frozen=True, slots=True)
class DescentResult:
    """What a descent reached, and what its learning rate was like; printed without its traces.

    Attributes
    ----------
    x : array or tree
        The last point; where the run diverged, the last one before f began to rise.
    fun : array, shape ()
        f at `x`.
    grad : array or tree
        Gradient at `x`.
    nit, nfev, njev : int
        Steps taken; calls of f, those of a numerical gradient included; gradients computed.
    status : str
        ``converged``, ``max_steps``, ``too_small``, ``oscillating``, ``stalled``, ``diverged``,
        ``stopped`` or ``interrupted`` (``running`` where a callback sees it).
    success : bool
        Whether `status` is ``converged``.
    message : str
        The rule that decided, lr, and what to try.
    best_x, best_fun : array or tree, array of shape ()
        The point of the lowest finite f among all that were visited.
    path : array or tree, or None
        Every point visited, the first axis of length nit + 1.
    losses : array, shape (nit + 1,), or None
        f at each of them.
    grad_norms : array, shape (nit + 1,), or None
        Largest absolute element of the gradient at each of them.
    lrs : array, shape (nit,), or None
        Learning rate of each step; of `lbfgs`, the step as a multiple of its direction.
    """

    x: tree.Tree
    fun: Array
    grad: tree.Tree
    nit: int
    nfev: int
    njev: int
    status: Status
    success: bool
    message: str
    best_x: tree.Tree
    best_fun: Array
    path: tree.Tree | None = field(repr=False)
    losses: Array | None = field(repr=False)
    grad_norms: Array | None = field(repr=False)
    lrs: Array | None = field(repr=False)
