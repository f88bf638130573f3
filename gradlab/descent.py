"""Gradient descent over a function, with a diagnosis of the learning rate.

The gradient is an argument: numerical or any function that gives one. Everything stays on the
device; the host looks back at the points passed, seldom, and judges them by the rules that the
docstring of `gradient_descent` publishes. A run that a rule ends is cut there, so that what is
returned does not depend on when the host looked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from gradlab import tree
from gradlab.backend import Array, asarray_like, is_array, namespace, to_numpy
from gradlab.numerical.black_box import real_leaves, real_result, run_one_by_one
from gradlab.numerical.differences import value_and_gradient

__all__ = ["DescentResult", "Status", "gradient_descent"]

Status: TypeAlias = Literal[
    "converged", "max_steps", "too_small", "oscillating", "diverged", "stopped", "running"
]

_LOOK_EACH = 8  # the first points are looked at one by one: what diverges does so early,
_LOOK_EVERY = 16  # then one wait for the device serves many steps
_PATH_NUMBERS = 2**20  # a path of at most as many numbers is kept unasked: 8 MiB in float64
_RISES, _GROWTH = 3, 1e3  # three rises in a row, the gradient thousandfold: no valley comes back
_SAME_GRADIENT = 0.01  # a gradient that changes by less saw a straight slope
_FEW_STEPS = 10  # fewer steps than this are no evidence of a small lr
_REACHES = (1.0, 2**-5, 2**-10)  # of eps**(1/3): at least one stays inside a narrow valley
_SHRINKS = 0.5  # per quarter of the run; a gradient that shrinks less is not on its way to zero


@dataclass(frozen=True, slots=True)
class DescentResult:
    """What a descent reached, and what its learning rate was like.

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
        ``converged``, ``max_steps``, ``too_small``, ``oscillating``, ``diverged`` or ``stopped``
        (``running`` where a callback sees it).
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
    path: tree.Tree | None
    losses: Array | None


def gradient_descent(
    f: Callable[[Any], Array],
    init_x: tree.Tree,
    lr: float = 0.01,
    step_num: int = 100,
    *,
    gradient: Literal["numerical"] | Callable[[Any], tree.Tree] = "numerical",
    gtol: float = 0.0,
    ftol: float = 0.0,
    callback: Callable[[DescentResult], Any] | None = None,
    trace: bool | None = None,
) -> DescentResult:
    """Descend `f` from `init_x`: ``x = x - lr * gradient(x)``, at most `step_num` times.

    Parameters
    ----------
    f : callable
        Maps what `init_x` is to a real scalar, a 0-d array or a number. Called once per point,
        or as often as `gradlab.numerical.gradient` says, and up to three times at the end.
    init_x : array, number, list of numbers, or nested dict, list or tuple of arrays
        Where to start. Integers become the default floating dtype. Not modified.
    lr : float
        Learning rate, positive: how far to go per unit of gradient.
    step_num : int
        Steps at the most.
    gradient : "numerical" or callable
        Central differences of `f`, or a function from x to something built like x.
    gtol : float
        Converged where no element of the gradient exceeds it.
    ftol : float
        Converged where both the change of f in a step and its forecast ``lr * |gradient|**2`` are
        at most ``ftol * max(|f|, 1)``. 0 switches it off.
    callback : callable, optional
        Called after each point with the `DescentResult` so far (no `path` and `losses` yet). A
        true return, or StopIteration, stops. Makes the host wait for the device at each step.
    trace : bool, optional
        True keeps `path` and `losses`, False neither. Default: `losses`, and `path` if it has at
        most 2**20 numbers.

    Returns
    -------
    DescentResult
        In the structure, shapes, dtypes and on the device of `init_x`.

    Raises
    ------
    TypeError, ValueError
        For a bad argument; if `f` does not return a real scalar; if `gradient` returns something
        not built like x. An exception from `f` passes through, with a note of step and lr.

    Notes
    -----
    The first rule that holds decides; the first four are checked at each point, the others at
    the last. `|g|` is the largest absolute element of the gradient.

    - diverged: f or the gradient is not finite; or f rose three times in a row, to above its
      start, while `|g|` grew a thousandfold.
    - converged: `|g|` is at most `gtol`.
    - converged: the rule of `ftol`.
    - stopped: the callback said so, or KeyboardInterrupt came.
    - diverged: f rose all through the last half of the run, to above its start.
    - converged: `|g|` fell to sqrt(eps) of the largest seen.
    - converged: steps of three sizes along the gradient, eps**(1/3) of x and less, do not lower
      f: a minimum, a saddle or a plateau, to the precision of f.
    - oscillating: the last step goes against the one before, and `|g|` did not shrink by half in
      the last quarter of the run.
    - too_small: in ten or more steps no element of the gradient changed by more than 1 % of
      `|g|`: the way was straight, and lr can grow.
    - max_steps: none of these: it was on its way.

    Examples
    --------
    >>> import gradlab as gl
    >>> result = gl.gradient_descent(lambda x: x[0] ** 2 + x[1] ** 2, [-3.0, 4.0], lr=0.1)
    >>> result.x
    array([-6.11110793e-10,  8.14814391e-10])
    >>> result.status, result.nit
    ('converged', 100)
    >>> gl.gradient_descent(lambda x: x[0] ** 2 + x[1] ** 2, [-3.0, 4.0], lr=1.0).status
    'oscillating'
    """
    if not 0 < lr < math.inf:
        msg = f"`lr` must be a positive number: got {lr!r}"
        raise ValueError(msg)
    for name, tolerance in (("gtol", gtol), ("ftol", ftol)):
        if not 0 <= tolerance < math.inf:
            msg = f"`{name}` must be a non-negative number: got {tolerance!r}"
            raise ValueError(msg)
    if isinstance(step_num, bool) or not isinstance(step_num, int) or step_num < 0:
        msg = f"`step_num` must be a non-negative integer: got {step_num!r}"
        raise ValueError(msg)
    if gradient != "numerical" and not callable(gradient):
        msg = f"`gradient` must be 'numerical' or a function: got {gradient!r}"
        raise ValueError(msg)
    options = {"lr": float(lr), "gtol": float(gtol), "ftol": float(ftol)}
    run = _Run(f, init_x, gradient, step_num=step_num, trace=trace, **options)
    try:
        return run.descend(callback)
    except KeyboardInterrupt:
        ended = run.look_back()
        if not run.losses:
            raise  # not one point was reached
        return run.result(*(ended or ("stopped", "interrupted")))
    except Exception as error:
        if ended := run.look_back():
            return run.result(*ended)  # the call that failed came after the end of the run
        error.add_note(f"in step {len(run.losses)} of gradient_descent with lr={run.lr:g}")
        raise


@dataclass(frozen=True, slots=True)
class _Point:
    """A point passed: leaves of x and of the gradient, f, and the gradient's largest element."""

    x: list[Array]
    loss: Array
    grad: list[Array]
    size: Array


class _Run:
    """A descent under way: the newest points wait on the device, the older ones are judged."""

    first: _Point  # these five from the first look on
    previous: _Point
    last: _Point
    best: _Point
    good: _Point  # the last one before f began to rise

    def __init__(
        self,
        f: Callable[[Any], Array],
        init_x: tree.Tree,
        gradient: str | Callable[[Any], tree.Tree],
        *,
        lr: float,
        gtol: float,
        ftol: float,
        step_num: int,
        trace: bool | None,
    ) -> None:
        self.f = f
        self.gradient = None if isinstance(gradient, str) else gradient  # None: numerical
        self.lr = lr
        self.gtol, self.ftol = gtol, ftol
        self.step_num = step_num
        self.start = real_leaves(init_x, "init_x")
        self.xp = namespace(*self.start)
        self.build = tree.flatten(init_x)[1]
        self.nfev = self.njev = 0
        self.waiting: list[_Point] = []
        self.losses: list[float] = []  # of the points judged
        self.sizes: list[float] = []
        numbers = (step_num + 1) * sum(math.prod(leaf.shape) for leaf in self.start)
        keeps_path = numbers <= _PATH_NUMBERS if trace is None else trace
        self.path: list[list[Array]] | None = [] if keeps_path else None
        self.trace: list[Array] | None = None if trace is False else []

    def descend(self, callback: Callable[[DescentResult], Any] | None) -> DescentResult:
        """Go from point to point until a rule, the callback or `step_num` ends it."""
        x = self.start
        for k in range(self.step_num + 1):
            point = self._visit(x)
            self.waiting.append(point)
            is_due = k < _LOOK_EACH or k % _LOOK_EVERY == 0 or k == self.step_num
            if (is_due or callback) and (ended := self.look_back()):
                return self.result(*ended)
            if callback and self._is_stopped_by(callback):
                return self.result("stopped", "the callback asked for it")
            x = self._moved(point, self.lr)
        return self.result(*self._judge_end())

    def look_back(self) -> tuple[Status, str] | None:
        """Fetch and judge the points that wait; cut the run at the first that ends it."""
        if not self.waiting:
            return None
        losses = self.xp.stack([point.loss for point in self.waiting])
        sizes = self.xp.stack([point.size for point in self.waiting])
        dtype = self.xp.result_type(losses, sizes)
        host = to_numpy(self.xp.stack([self.xp.astype(c, dtype) for c in (losses, sizes)]))
        ended = None
        points, self.waiting = self.waiting, []
        for point, loss, size in zip(points, *host.tolist(), strict=True):
            self._see(point, loss, size)
            if ended := self._judge():
                break
        if self.trace is not None:
            self.trace.append(losses[: len(self.losses) - sum(c.shape[0] for c in self.trace)])
        return ended

    def result(self, status: Status, why: str) -> DescentResult:
        """What was reached, at the last point judged."""
        at = self.good if status == "diverged" else self.last
        nit = len(self.losses) - 1
        path = losses = None
        if status != "running":
            if self.path is not None:
                path = self.build(
                    [self.xp.stack(list(leaf)) for leaf in zip(*self.path, strict=True)]
                )
            if self.trace is not None:
                losses = self.xp.concat(self.trace)
        return DescentResult(
            x=self.build(at.x),
            fun=at.loss,
            grad=self.build(at.grad),
            nit=nit,
            nfev=self.nfev,
            njev=self.njev,
            status=status,
            success=status == "converged",
            message=f"{status} after {nit} steps with lr={self.lr:g}: {why}",
            best_x=self.build(self.best.x),
            best_fun=self.best.loss,
            path=path,
            losses=losses,
        )

    def _visit(self, x: list[Array]) -> _Point:
        xp = self.xp
        self.njev += 1
        if self.gradient is None:
            loss, slope = value_and_gradient(self._counted, self.build(x))
            grad = tree.leaves(slope)
        else:
            loss = self._loss(x)
            grad = self._given_gradient(self.gradient, x)
        sizes = [xp.max(xp.abs(g)) for g in grad if math.prod(g.shape)]
        size = xp.max(xp.stack(sizes)) if sizes else xp.zeros_like(loss)
        return _Point(x, loss, grad, size)

    def _counted(self, x: tree.Tree) -> Any:
        self.nfev += 1
        return self.f(x)

    def _loss(self, x: list[Array]) -> Array:
        rows = [self.xp.asarray(leaf[None, ...], copy=True) for leaf in x]
        return real_result(self.xp, run_one_by_one(self._counted, self.build, rows), x[0])[0, ...]

    def _given_gradient(self, gradient: Callable[[Any], Any], x: list[Array]) -> list[Array]:
        given = gradient(self.build([self.xp.asarray(leaf, copy=True) for leaf in x]))
        names = [name for name, _ in tree.items(self.build(x))]
        parts = list(tree.items(given))
        if [name for name, _ in parts] != names:
            msg = f"`gradient` must return what is built like x: it gave {[n for n, _ in parts]}"
            raise ValueError(msg)
        grad = []
        for (name, part), leaf in zip(parts, x, strict=True):
            g = part if is_array(part) else asarray_like(part, leaf)
            namespace(leaf, g, names=("x", "the result of gradient"))
            if g.shape != leaf.shape:
                msg = f"`gradient` must return shape {leaf.shape} for `{name}`: got {g.shape}"
                raise ValueError(msg)
            grad.append(self.xp.astype(g, leaf.dtype, copy=False))
        return grad

    def _moved(self, point: _Point, distance: float) -> list[Array]:
        pairs = zip(point.x, point.grad, strict=True)
        return [self.xp.asarray(x - distance * g, dtype=x.dtype) for x, g in pairs]

    def _is_stopped_by(self, callback: Callable[[DescentResult], Any]) -> bool:
        try:
            return bool(callback(self.result("running", "under way")))
        except StopIteration:
            return True

    def _see(self, point: _Point, loss: float, size: float) -> None:
        """Make `point` the last one, and the best and the good one if it is."""
        if not self.losses:
            self.first = self.best = self.good = self.last = point
            self.lowest = loss
        elif loss <= self.losses[-1]:
            self.good = point
        if math.isfinite(loss) and not loss >= self.lowest:  # the first may have been NaN
            self.best, self.lowest = point, loss
        self.previous, self.last = self.last, point
        self.losses.append(loss)
        self.sizes.append(size)
        if self.path is not None:
            self.path.append(point.x)

    def _judge(self) -> tuple[Status, str] | None:
        """Apply the rules that hold at any point to the last one."""
        losses, sizes = self.losses[-_RISES - 1 :], self.sizes[-_RISES - 1 :]
        loss, size = losses[-1], sizes[-1]
        if not (math.isfinite(loss) and math.isfinite(size)):
            cure = f"try lr={self.lr / 10:g}" if len(self.losses) > 1 else "start elsewhere"
            return "diverged", f"f or its gradient is not finite; {cure}"
        is_exploding = len(losses) > _RISES and size >= _GROWTH * sizes[0] and _rises(losses)
        if is_exploding and loss > self.losses[0]:
            return "diverged", f"f rises ever faster; try lr={self.lr / 10:g}"
        if size <= self.gtol:
            return "converged", f"no element of the gradient exceeds gtol={self.gtol:g}"
        if self.ftol and len(losses) > 1:
            scale = max(abs(loss), abs(losses[-2]), 1.0)
            change = max(abs(loss - losses[-2]), self.lr * sizes[-2] ** 2)
            if change <= self.ftol * scale:
                return "converged", f"f changes by no more than ftol={self.ftol:g} in a step"
        return None

    def _judge_end(self) -> tuple[Status, str]:
        """Apply the rules that hold at the last step."""
        losses, sizes, nit = self.losses, self.sizes, len(self.losses) - 1
        tenth, tenfold = f"{self.lr / 10:g}", f"{self.lr * 10:g}"
        if nit > 1 and losses[-1] > losses[0] and _rises(losses[nit // 2 :]):
            return "diverged", f"f rose all through the last half of the run; try lr={tenth}"
        if sizes[-1] <= math.sqrt(self._eps()) * max(sizes):
            return "converged", f"the gradient fell from {max(sizes):.3g} to {sizes[-1]:.3g}"
        if self._is_stationary():
            return "converged", "no step along the gradient lowers f any more"
        if nit > 1 and self._turned_back():
            if sizes[-1] > _SHRINKS * sizes[-1 - max(1, nit // 4)]:
                return "oscillating", f"steps go to and fro and do not shrink; try lr={tenth}"
        elif nit >= _FEW_STEPS and self._is_straight():
            return "too_small", f"the gradient has hardly changed on the way; try lr={tenfold}"
        return "max_steps", "f was still falling; take more steps, or go on from x"

    def _eps(self) -> float:
        dtypes = [self.last.loss.dtype, *(leaf.dtype for leaf in self.start)]
        return max(float(self.xp.finfo(dtype).eps) for dtype in dtypes)

    def _is_stationary(self) -> bool:
        """Whether f falls, beyond its rounding, at none of three points along the gradient."""
        xp, eps = self.xp, self._eps()
        sizes = [xp.max(xp.abs(x)) for x in self.last.x if math.prod(x.shape)]
        reach = eps ** (1 / 3) * max(1.0, float(xp.max(xp.stack(sizes)))) / self.sizes[-1]
        rounding = 4 * eps * abs(self.losses[-1])
        tried = [self._loss(self._moved(self.last, reach * part)) for part in _REACHES]
        return not bool(xp.any(xp.stack(tried) < self.last.loss - rounding))

    def _is_straight(self) -> bool:
        """Whether the last gradient is the first, but for a small part of its largest element."""
        limit = _SAME_GRADIENT * self.sizes[-1]
        pairs = zip(self.first.grad, self.last.grad, strict=True)
        return not any(bool(self.xp.any(self.xp.abs(a - b) > limit)) for a, b in pairs)

    def _turned_back(self) -> bool:
        """Whether the last two gradients point against each other."""
        a, b = 1 / self.sizes[-2], 1 / self.sizes[-1]  # so that no product overflows
        pairs = zip(self.previous.grad, self.last.grad, strict=True)
        dots = [self.xp.sum((a * u) * (b * v)) for u, v in pairs]
        return bool(self.xp.sum(self.xp.stack(dots)) < 0)


def _rises(losses: list[float]) -> bool:
    return all(a < b for a, b in pairwise(losses))
