"""Gradient descent: at a given learning rate, by an optimizer, or by a line search.

Everything stays on the device; the host looks back at the points passed, seldom, and judges them
by the rules that the docstring of `gradient_descent` publishes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from gradlab import tree
from gradlab.backend import Array, overflow_expected
from gradlab.descent.checks import as_count, as_rate, as_tolerance
from gradlab.descent.diagnosis import judge_end, judge_failed_search, judge_searched_end
from gradlab.descent.line_search import Trial, backtrack
from gradlab.descent.objective import Gradient, Objective
from gradlab.descent.record import Record, Verdict
from gradlab.descent.result import DescentResult
from gradlab.optimizers import SGD, Optimizer, lr_of
from gradlab.optimizers.rule import as_optimizer, step_of

__all__ = ["gradient_descent"]

_LR = 0.01
_LOOK_EACH = 8  # the first points are looked at one by one: what diverges does so early,
_LOOK_EVERY = 16  # then one wait for the device serves many steps


def gradient_descent(
    f: Callable[[Any], Array],
    init_x: tree.Tree,
    lr: float = _LR,
    step_num: int = 100,
    *,
    gradient: Gradient = "numerical",
    optimizer: Optimizer | None = None,
    line_search: Literal["armijo"] | None = None,
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
        or as often as `gradlab.numerical.gradient` says, once more per trial of a line search, and
        up to three times at the end.
    init_x : array, number, list of numbers, or nested dict, list or tuple of arrays
        Where to start. Integers become the default floating dtype. Not modified.
    lr : float
        Learning rate, positive: how far to go per unit of gradient. With a line search, the first
        one to try.
    step_num : int
        Steps at the most.
    gradient : "numerical", "autodiff" or callable
        Central differences of `f`; exact, as `gradlab.grad` finds it; or a function from x to
        something built like x.
    optimizer : Optimizer, optional
        Update rule instead of the plain one, such as `gradlab.optimizers.Adam`, which has an lr of
        its own.
    line_search : "armijo", optional
        Chooses lr at each step: halves it until f falls by 1e-4 of what the gradient promises, and
        doubles it for the next step where it was not halved. The host waits for the device at each
        trial.
    gtol : float
        Converged where no element of the gradient exceeds it.
    ftol : float
        Converged where both the change of f in a step and its forecast ``lr * |gradient|**2`` are
        at most ``ftol * max(|f|, 1)``. 0 switches it off.
    callback : callable, optional
        Called after each point with the `DescentResult` so far (no `path`, `losses`, `grad_norms`
        and `lrs` yet). A true return, or StopIteration, stops. Makes the host wait for the device
        at each step.
    trace : bool, optional
        True keeps `path`, `losses`, `grad_norms` and `lrs`, False none of them. Default: all, but
        `path` only if it has at most 2**20 numbers.

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
    - stopped: the callback said so.
    - interrupted: KeyboardInterrupt came.
    - diverged: f rose all through the last half of the run, to above its start.
    - converged, if f is not above its start: `|g|` fell to sqrt(eps) of the largest seen where that
      was so; or steps of three sizes along the gradient, eps**(1/3) of x and less, do not lower f:
      a minimum, a saddle or a plateau, to the precision of f.
    - oscillating: the last step goes against the one before, and `|g|` did not shrink by half in
      the last quarter of the run.
    - too_small: in ten or more steps no element of the gradient changed by more than 1 % of
      `|g|`: the way was straight, and lr can grow.
    - max_steps: none of these: it was on its way.

    With a line search every step lowers f, and of the rules for the last point only that of
    sqrt(eps) is asked. Where that does not hold, and no trial lowers f, down to where the promise
    drowns in the rounding of f (or lr has been halved 200 times), the run ends:

    - converged: the rise of f over the trials shrank faster than their distance to the power 1.5,
      as on the floor of a smooth valley, or is nowhere seen: f cannot tell x from a minimum.
    - stalled: it did not: in noise, at a kink, a jump, an edge of the domain, or the gradient is
      not f's; or the square of the gradient overflows or underflows.

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
    >>> result = gl.gradient_descent(
    ...     lambda x: x[0] ** 2 + 9 * x[1] ** 2,
    ...     [-3.0, 4.0],
    ...     gradient="autodiff",
    ...     line_search="armijo",
    ...     gtol=1e-6,
    ... )
    >>> result.success, result.nit < 100
    (True, True)
    """
    steps = as_count(step_num, "step_num")
    run = Record(
        Objective(f, init_x, gradient),
        called="gradient_descent",
        steps=steps,
        gtol=as_tolerance(gtol, "gtol"),
        ftol=as_tolerance(ftol, "ftol"),
        advises_lr=line_search is None,
        callback=callback,
        trace=trace,
    )
    if line_search is None:
        rule = _rule(lr, optimizer)
        return run.guard(lambda: _step(run, rule, steps))
    distance = _first_distance(lr, optimizer, line_search)
    return run.guard(lambda: _search(run, distance, steps))


def _step(run: Record, rule: Optimizer, steps: int) -> Verdict:
    """Go from point to point by `rule`, and wait for the device seldom."""
    objective = run.objective
    x, state, step = objective.start, rule.init(objective.build(objective.start)), step_of(rule)
    run.lr = lr_of(rule, 0)
    for k in range(steps + 1):
        point = objective.point(x)
        is_due = k < _LOOK_EACH or k % _LOOK_EVERY == 0 or k == steps
        if ended := run.arrive(point, is_due=is_due):
            return ended
        if k < steps:
            run.lr = lr_of(rule, k)
            run.lrs.append(run.lr)
            params, grads = objective.build(x), objective.build(point.grad)
            moved, state = step(params, grads, state)
            x = tree.leaves(moved)
    return judge_end(run)


def _search(run: Record, distance: float, steps: int) -> Verdict:
    """Go from point to point along the gradient, by lengths that Armijo's condition admits."""
    objective, xp = run.objective, run.objective.xp
    run.lr = distance
    point = objective.point(objective.start)

    def evaluate(lr: float) -> Trial:
        run.lr = lr
        with overflow_expected():
            x = objective.moved(point, lr)
            loss = objective.loss(x)
        return Trial(lr, float(loss), point=(x, loss))

    for _ in range(steps):
        if ended := run.arrive(point):
            return ended
        with overflow_expected():
            squares = xp.stack([xp.sum(g * g) for g in point.grad])
            start = Trial(0.0, run.losses[-1], -float(xp.sum(squares)))
        distance = run.visible(distance, start.slope)
        search = backtrack(evaluate, distance, start, run.rounding())
        if search.taken is None:
            run.lr = distance
            return judge_failed_search(run, search, start)
        distance = run.lr = search.taken.distance
        run.lrs.append(distance)
        if not search.refused:
            distance *= 2
        point = objective.point(*search.taken.point)
    return run.arrive(point) or judge_searched_end(run)


def _rule(lr: float, optimizer: Any) -> Optimizer:
    if optimizer is None:
        return SGD(as_rate(lr))
    if lr != _LR:
        msg = f"`lr` is that of the optimizer: give it there alone; got lr={lr!r} beside it"
        raise ValueError(msg)
    return as_optimizer(optimizer)


def _first_distance(lr: float, optimizer: Any, line_search: Any) -> float:
    if line_search != "armijo":
        msg = f"`line_search` must be None or 'armijo': got {line_search!r}"
        raise ValueError(msg)
    if optimizer is not None:
        msg = "`line_search` is for plain descent: give it or `optimizer`, not both"
        raise ValueError(msg)
    return as_rate(lr)
