"""L-BFGS: descent along directions that the last steps have taught, on the device."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gradlab import tree
from gradlab.backend import Array, overflow_expected, to_numpy
from gradlab.descent.checks import as_count, as_tolerance
from gradlab.descent.diagnosis import judge_failed_search, judge_searched_end
from gradlab.descent.line_search import Search, Trial, wolfe
from gradlab.descent.objective import Gradient, Objective, Point
from gradlab.descent.record import Record, Verdict
from gradlab.descent.result import DescentResult

__all__ = ["lbfgs"]


def lbfgs(
    f: Callable[[Any], Array],
    init_x: tree.Tree,
    *,
    gradient: Gradient = "autodiff",
    max_steps: int = 1000,
    gtol: float = 1e-5,
    history: int = 10,
    callback: Callable[[DescentResult], Any] | None = None,
    trace: bool | None = None,
) -> DescentResult:
    """Minimize `f` from `init_x` by L-BFGS, on the device that holds `init_x`.

    For smooth functions of many variables: a few dozen evaluations where `gradient_descent` takes
    thousands of steps.

    Parameters
    ----------
    f, init_x, gradient, gtol, callback, trace
        As in `gradient_descent`, but for the defaults. `f` and its gradient are computed at every
        trial of the line search, of which most steps need one.
    max_steps : int
        Steps at the most.
    history : int
        How many of the last steps are remembered, each by two vectors of the size of x.

    Returns
    -------
    DescentResult
        In the structure, shapes, dtypes and on the device of `init_x`.

    Raises
    ------
    TypeError, ValueError
        As `gradient_descent`. An exception from `f` passes through, with a note of the step.

    Notes
    -----
    Only numbers come to the host, a wait for each trial and two more for each step. The rules of
    how it ended are those of `gradient_descent` with a line search: converged, stalled, diverged
    (f falls to -inf, or the gradient is not finite), stopped, interrupted, max_steps.

    References
    ----------
    Liu and Nocedal, On the limited memory BFGS method for large scale optimization, Math. Program.
    45 (1989). Nocedal and Wright, Numerical Optimization, 2nd ed., algorithms 7.4 and 7.5.

    Examples
    --------
    >>> import gradlab as gl
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> result = gl.lbfgs(rosenbrock, [-1.2, 1.0])
    >>> result.x.round(6)
    array([1., 1.])
    >>> result.status, result.nfev < 60
    ('converged', True)
    """
    steps = as_count(max_steps, "max_steps")
    run = Record(
        Objective(f, init_x, gradient),
        called="lbfgs",
        steps=steps,
        gtol=as_tolerance(gtol, "gtol"),
        callback=callback,
        trace=trace,
    )
    memory: deque[_Pair] = deque(maxlen=as_count(history, "history", least=1))
    return run.guard(lambda: _descend(run, memory, steps))


class _Pair(NamedTuple):
    """A step taken, the change of the gradient over it, and their product."""

    step: Array
    change: Array
    product: float


def _descend(run: Record, memory: deque[_Pair], steps: int) -> Verdict:
    vector = _Vector(run.objective)
    point = run.objective.point(run.objective.start)
    while not (ended := run.arrive(point)):
        if run.nit == steps:
            return judge_searched_end(run)
        ray = _Ray(run, vector, point, memory)
        search = ray.search()
        if search.taken is None and memory:
            memory.clear()  # once more, along the gradient
            ray = _Ray(run, vector, point, memory)
            search = ray.search()
        if search.taken is None:
            return judge_failed_search(run, search, ray.start)
        point = search.taken.point
        run.lrs.append(search.taken.distance)
        ray.remember(search.taken, memory)
    return ended


class _Ray:
    """f along the direction that the memory gives at a point."""

    def __init__(self, run: Record, vector: _Vector, point: Point, memory: Sequence[_Pair]) -> None:
        self.run, self.vector, self.point = run, vector, point
        self.grad = vector.of(point.grad)
        self.is_steepest = not memory
        with overflow_expected():
            self.direction = _direction(self.grad, memory)
            slope = float(self.direction @ self.grad)
        self.start = Trial(0.0, run.losses[-1], slope)

    def search(self) -> Search:
        """Look for a step: of length 1 to begin with, where the memory tells no other."""
        distance = 1.0
        if self.is_steepest and (slope := self.start.slope):
            distance = self.run.visible(1 / math.sqrt(abs(slope)), slope)
        return wolfe(self._evaluate, distance, self.start, self.run.rounding())

    def remember(self, taken: Trial, memory: deque[_Pair]) -> None:
        """Add the step to the memory, if f is convex over it."""
        product = taken.distance * (taken.slope - self.start.slope)
        if product > 0:
            change = self.vector.of(taken.point.grad) - self.grad
            memory.append(_Pair(taken.distance * self.direction, change, product))

    def _evaluate(self, distance: float) -> Trial:
        xp, vector = self.run.objective.xp, self.vector
        with overflow_expected():
            step = vector.leaves(distance * self.direction)
            pairs = zip(self.point.x, step, strict=True)
            point = self.run.objective.point([xp.asarray(x + s) for x, s in pairs])
            slope = vector.of(point.grad) @ self.direction
        dtype = xp.result_type(point.loss, slope)
        numbers = xp.stack([xp.astype(number, dtype) for number in (point.loss, slope)])
        loss, slope = to_numpy(numbers).tolist()
        return Trial(distance, loss, slope, point)


def _direction(grad: Array, memory: Sequence[_Pair]) -> Array:
    """Minus the inverse Hessian, as far as the pairs tell, times the gradient: in two loops."""
    q, parts = grad, []
    for pair in reversed(memory):
        part = (pair.step @ q) / pair.product
        q = q - part * pair.change
        parts.append(part)
    if memory:
        newest = memory[-1]
        q = q * (newest.product / (newest.change @ newest.change))
    for pair, part in zip(memory, reversed(parts), strict=True):
        q = q + (part - (pair.change @ q) / pair.product) * pair.step
    return -q


class _Vector:
    """Leaves of x end to end, in the widest of their dtypes."""

    def __init__(self, objective: Objective) -> None:
        self.xp = objective.xp
        self.likes = objective.start
        self.dtype = self.xp.result_type(*self.likes)

    def of(self, leaves: list[Array]) -> Array:
        flat = [self.xp.reshape(leaf, (-1,)) for leaf in leaves]
        return self.xp.concat([self.xp.astype(leaf, self.dtype, copy=False) for leaf in flat])

    def leaves(self, vector: Array) -> list[Array]:
        found, end = [], 0
        for like in self.likes:
            begin, end = end, end + math.prod(like.shape)
            part = self.xp.reshape(vector[begin:end], like.shape)
            found.append(self.xp.astype(part, like.dtype, copy=False))
        return found
