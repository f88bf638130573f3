"""Derivatives of black boxes with error bars: derivative_and_error, gradient_and_error."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from gradlab import tree
from gradlab.backend import (
    Array,
    Namespace,
    is_array,
    namespace,
    nonfinite_expected,
    owned,
    stack_scalars,
)
from gradlab.numerical.black_box import (
    check_number,
    real_leaves,
    real_result,
    run_batch,
    run_one_by_one,
)
from gradlab.numerical.differences import chunk_rows, chunks, eps_of, repeat
from gradlab.numerical.ladders import Choice, Kind, Ladder, larger, sample
from gradlab.numerical.survey import Survey, best_of_survey, survey_steps
from gradlab.numerical.zoom import best_of_zoom, zoom_steps

__all__ = ["DerivativeResult", "Status", "derivative_and_error", "gradient_and_error"]

# A slope that grows on this many of the smallest rungs, each time by more than
# (ratio of steps)**_GROWTH, has no limit: sqrt's grows with the power 1/2, cbrt's with 2/3.
_DIVERGING, _GROWTH = 8, 0.25
_BEYOND_NOISE = 64.0  # in units of rounding, of a change of f that is none of it
_FLAT = 1e-3  # change of a slope, in units of |f| / h, where f looks flat
_PLATEAU = 3  # neighbouring rungs that make a plateau
_WILD = 0.03  # change of f over the smallest steps, in units of that over the largest
# Noise counts as steady that is so many times what was assumed, within such a band, on so many
# neighbouring rungs; truncation passes the band on one or two.
_STEADY = (1e3, 30.0, 4)
_SAFETY = 2.0  # bars that the truth is to lie within, of those by which a difference was chosen
_TOLD = 0.05  # noise in units of a gap, below which the gap is there


class Status(IntEnum):
    """What is to be said of a derivative; the worst holds.

    Attributes
    ----------
    OK
        The error bar holds what is to be known.
    AMBIGUOUS
        f has this slope at steps of one size, but is flat, noisy or a wave at those of another.
    NONSMOOTH
        The slopes to both sides differ, at x or closer than noise lets steps be, or one of them
        has no limit. The bar spans both, or is infinite.
    NONFINITE
        No finite difference could be formed; the value is NaN.
    NONDETERMINISTIC
        Called twice at x, f gave two results.
    """

    OK = 0
    AMBIGUOUS = 1
    NONSMOOTH = 2
    NONFINITE = 3
    NONDETERMINISTIC = 4


@dataclass(frozen=True, slots=True)
class DerivativeResult:
    """A derivative, or gradient, with its error bar; arrays, or trees of arrays, like x.

    Attributes
    ----------
    value
        The derivative.
    error
        Its bar: the true value lies within ``value - error`` and ``value + error``.
    status
        Integers: `Status`.
    nfev : int
        Points at which f was evaluated (an elementwise f: at every element).
    step
        Smallest step that the value was computed from, in units of x.
    """

    value: tree.Tree
    error: tree.Tree
    status: tree.Tree
    nfev: int
    step: tree.Tree


def derivative_and_error(f: Callable[[Array], Array], x: Array, /) -> DerivativeResult:
    r"""Derivative of an elementwise function at every element of `x`, with its error bar.

    Step, order and direction are chosen for each element by what f does there: its scale, its
    noise and where it is finite are found, not assumed.

    Parameters
    ----------
    f : callable
        Maps an array to one of the same shape, element by element; a function of one number
        where `x` is one. Called 122 times, also where it may be infinite or NaN.
    x : array or number, any shape
        Real; integers become the default floating dtype. Not modified, nor handed to `f`.

    Returns
    -------
    DerivativeResult
        Its arrays have the shape of `x`, value, error and step its dtype.

    Raises
    ------
    TypeError
        If `x` is not real, or `f` returns no real array of its library.
    ValueError
        If `f` returns another shape.

    Notes
    -----
    For a smooth f the error is a few times eps, in units of the derivative or of \|f / x\|, and
    the bar some 70 times that; memory for about 1,000 arrays like `x` is used. The bar is an
    estimate: no finite number of samples can bound a derivative. An f that is computed in single
    precision on the way has the slope that larger steps show, and is `AMBIGUOUS`; where only a
    term of it is, the slope of that term may be missing, which is `AMBIGUOUS`, too, nearly always.
    In single precision a term below 1e-3 of f that varies over much less than x may pass for noise.
    Within the last hundred numbers before the edge of a domain (single precision's arcsine beside
    1) a steep slope may pass for rounding, unnoticed.

    References
    ----------
    Ridders, Adv. Eng. Software 4 (1982), 75-76, for the choice within a tableau; Moré and Wild,
    ACM Trans. Math. Software 38 (2012), 19, for noise read off differences; Forsythe, J. SIAM 5
    (1957), 74-88, for fits by least squares.

    Examples
    --------
    >>> import gradlab as gl
    >>> result = gl.numerical.derivative_and_error(lambda x: x**3, 2)
    >>> float(abs(result.value - 12)) <= float(result.error) < 1e-12
    True
    """
    if tree.is_tree(x):
        msg = f"`x` must be one array or number: got {type(x).__name__}; use gradient_and_error"
        raise TypeError(msg)
    (x,) = real_leaves(x)
    xp = namespace(x)

    def evaluate(flat: Array) -> Array:
        result = owned(f(xp.reshape(flat, x.shape, copy=True)))
        check_number(result, x)
        if not is_array(result):
            result = stack_scalars([result], x)[0, ...]
        result = real_result(xp, result, x)
        if result.shape != x.shape:
            msg = (
                f"`f` must return the shape of `x`, element by element: got {result.shape} for "
                f"{x.shape}; use gradient_and_error for a function of several variables"
            )
            raise ValueError(msg)
        return xp.reshape(result, (-1,))

    flat = xp.reshape(x, (-1,))
    with nonfinite_expected():
        value, again = evaluate(flat), evaluate(flat)
        result, count = _measure(evaluate, flat, value, again)
    parts = [xp.reshape(part, x.shape) for part in result]
    return DerivativeResult(parts[0], parts[1], parts[2], 2 + count, parts[3])


def gradient_and_error(
    f: Callable[[Any], Array],
    x: tree.Tree,
    /,
    *,
    vectorized: bool = False,
    chunk_size: int | None = None,
) -> DerivativeResult:
    """Gradient of a scalar function of arrays, with an error bar for each element.

    Parameters
    ----------
    f : callable
        Maps what `x` is to a real scalar: a 0-d array or a number. Called 120n + 2 times for n
        elements, on copies that it may modify, also where it may be infinite or NaN.
    x : array, number, list of numbers, or nested dict, list or tuple of arrays
        Real; integers become the default floating dtype. Not modified.
    vectorized, chunk_size
        As in `gradient`.

    Returns
    -------
    DerivativeResult
        Structure and shapes of `x`; accuracy as of `derivative_and_error`.

    Raises
    ------
    TypeError
        If `x` is not real or of two libraries, or `f` returns no real number of its library.
    ValueError
        If `f` does not return a scalar.

    Examples
    --------
    >>> import gradlab as gl
    >>> xp = gl.namespace()
    >>> result = gl.numerical.gradient_and_error(lambda x: xp.sum(x * x), [3.0, 0.0, 4.0])
    >>> result.value.round(9), result.status
    (array([6., 0., 8.]), array([0, 0, 0]))
    >>> gl.numerical.gradient_and_error(lambda x: xp.max(x), [1.0, 1.0]).status
    array([2, 2])
    """
    leaves = real_leaves(x)
    build = tree.flatten(x)[1]
    xp = namespace(*leaves)
    rows = chunk_rows(chunk_size, leaves, vectorized=vectorized)
    run = run_batch if vectorized else run_one_by_one

    def evaluate(points: list[Array]) -> Array:
        return real_result(xp, run(f, build, points), leaves[0])

    def along(i: int, flat: Array) -> Array:
        """Values where one element of leaf i is taken from `flat`."""
        column = [
            evaluate(
                [
                    chunk if j == i else repeat(xp, leaf, chunk.shape[0])
                    for j, leaf in enumerate(leaves)
                ]
            )
            for chunk in chunks(xp, leaves[i], (flat,), rows)
        ]
        return xp.concat(column) if column else flat

    results, nfev = [], 2
    with nonfinite_expected():
        value, again = (evaluate([repeat(xp, leaf, 1) for leaf in leaves]) for _ in range(2))
        for i, leaf in enumerate(leaves):
            flat = xp.reshape(leaf, (-1,))
            at_x = (xp.tile(v, (flat.shape[0],)) for v in (value, again))
            parts, count = _measure(functools.partial(along, i), flat, *at_x)
            results.append([xp.reshape(part, leaf.shape) for part in parts])
            nfev += count * flat.shape[0]
    trees = [build([parts[k] for parts in results]) for k in range(4)]
    return DerivativeResult(trees[0], trees[1], trees[2], nfev, trees[3])


def _measure(
    f: Callable[[Array], Array], x: Array, value: Array, again: Array
) -> tuple[tuple[Array, Array, Array, Array], int]:
    """Value, error, status and step for each element of the flat `x`, and the samples taken."""
    xp = namespace(x)
    dtype = xp.result_type(x.dtype, value.dtype)
    precision = value.dtype

    def evaluate(point: Array) -> Array:
        return xp.astype(f(point), dtype, copy=False)

    value, again = (xp.astype(v, dtype, copy=False) for v in (value, again))
    survey = sample(evaluate, x, survey_steps(x), value)
    eps = _rounding(xp, survey, eps_of(xp, precision))
    found = best_of_survey(survey, eps, xp.abs(x))
    zoom = sample(evaluate, x, zoom_steps(found.best.reach, survey.steps[0, :]), value)
    best = best_of_zoom(zoom, found.best, eps, xp.abs(x))
    smooth, error = _is_smooth(xp, survey, found, best, eps)
    error = error + eps_of(xp, x.dtype) * xp.abs(best.value)  # of rounding the value itself
    error = xp.where(xp.isnan(error), math.inf, error)
    differ = (value != again) & ~(xp.isnan(value) & xp.isnan(again))
    status = xp.zeros(x.shape, dtype=xp.int64, device=x.device)
    for where, code in (
        (_has_plateau(xp, survey, found.levels, best), Status.AMBIGUOUS),
        (_has_noise_beyond(xp, survey, found.levels, best, eps), Status.AMBIGUOUS),
        (found.is_doubtful, Status.AMBIGUOUS),
        (~smooth, Status.NONSMOOTH),
        (xp.isnan(best.value), Status.NONFINITE),
        (differ, Status.NONDETERMINISTIC),
    ):
        status = xp.where(where, xp.full_like(status, int(code)), status)
    slope, error, step = (xp.astype(part, x.dtype) for part in (best.value, error, best.step))
    samples = 2 * (survey.steps.shape[0] + zoom.steps.shape[0])
    return (slope, error, status, step), samples


def _rounding(xp: Namespace, ladder: Ladder, eps: float) -> Array:
    """Rounding error of f: single precision's where every value has it, whatever its dtype."""
    values = xp.concat([ladder.above, ladder.below])
    single = xp.astype(xp.astype(values, xp.float32), values.dtype)
    is_single = xp.all((single == values) | xp.isnan(values), axis=0)
    double = xp.full_like(ladder.value, eps)
    return xp.where(is_single, max(eps, eps_of(xp, xp.float32)), double)


def _is_smooth(
    xp: Namespace, ladder: Ladder, found: Survey, best: Choice, eps: Array
) -> tuple[Array, Array]:
    """Whether there is one slope, and the bar: where there are two it spans both."""
    kink, far = _disputed(xp, ladder, found, best)
    endless = _diverges(xp, ladder, "forward", eps) | _diverges(xp, ladder, "backward", eps)
    endless = endless | _is_wild(xp, ladder)
    error = larger(xp, _SAFETY * best.error, far)
    return ~(kink | endless), xp.where(endless, xp.full_like(error, math.inf), error)


def _disputed(xp: Namespace, ladder: Ladder, found: Survey, best: Choice) -> tuple[Array, Array]:
    """Whether the slopes to both sides differ, and how far both are where the one found is neither.

    Smaller steps than those believed need not show it: beside a kink it is gone below the
    distance to that.
    """
    sides = (found.forward, found.backward)
    off = [xp.abs(best.value - side.value) for side in sides]
    is_off = [d > side.error + best.error for d, side in zip(off, sides, strict=True)]
    far = larger(xp, *(d + side.error for d, side in zip(off, sides, strict=True)))
    far = xp.where(is_off[0] & is_off[1], far, 0.0)
    gap, bars = (xp.abs(sides[0].value - sides[1].value), sides[0].error + sides[1].error)
    gaps = xp.abs(ladder.slopes("forward") - ladder.slopes("backward"))
    there = (found.noise < _TOLD * gap * ladder.steps) & (gaps > 0.5 * gap)
    there = there & (ladder.steps <= larger(xp, sides[0].step, sides[1].step))
    count = xp.sum(xp.astype(there, xp.int64), axis=0)
    return (far > 0) & (count >= _PLATEAU) & (gap > 2.0 * bars), far


def _is_wild(xp: Namespace, ladder: Ladder) -> Array:
    """Whether the smallest steps change f about as much as the largest: it is not sampled."""
    changes = xp.stack([side - ladder.value for side in (ladder.above, ladder.below)])
    changes = xp.where(xp.isfinite(changes), xp.abs(changes), 0.0)
    least = xp.min(xp.max(changes[:, -_PLATEAU:, :], axis=0), axis=0)
    return least > _WILD * xp.max(changes, axis=(0, 1))


def _diverges(xp: Namespace, ladder: Ladder, kind: Kind, eps: Array) -> Array:
    """Whether the slope to one side goes on growing down to the smallest steps."""
    slopes, steps = ladder.slopes(kind)[-_DIVERGING:, :], ladder.steps[-_DIVERGING:, :]
    growth = (steps[:-1, :] / steps[1:, :]) ** _GROWTH
    grows = slopes[1:, :] / slopes[:-1, :] > growth
    change = xp.abs(slopes[-1, :]) * steps[-1, :]
    return xp.all(grows, axis=0) & (change > _BEYOND_NOISE * eps * xp.abs(ladder.value))


def _has_plateau(xp: Namespace, ladder: Ladder, levels: Array, best: Choice) -> Array:
    """Whether f is flat over several large steps, over which the slope would have changed it."""
    size = ladder.size
    central = ladder.slopes("central")
    far = xp.abs(central - best.value) * ladder.steps > size
    flat = xp.isfinite(central) & (levels < _FLAT * size) & far & (ladder.steps > best.reach)
    run = flat[: 1 - _PLATEAU, :]
    for k in range(1, _PLATEAU):
        run = run & flat[k : flat.shape[0] + k - _PLATEAU + 1, :]
    return xp.any(run, axis=0)


def _has_noise_beyond(
    xp: Namespace, ladder: Ladder, levels: Array, best: Choice, eps: Array
) -> Array:
    """Whether larger steps show a steady noise that the slope's own steps are too small for.

    A part of f in single precision is such: constant over steps below its rounding.
    """
    beyond = (ladder.steps > best.reach) & (levels < _FLAT * ladder.size)
    assumed = larger(xp, ladder.size * eps, best.noise)
    strong, band, count = _STEADY
    seen = xp.where(beyond & (levels > strong * assumed), levels, 0.0)
    least = most = seen[: 1 - count, :]
    for k in range(1, count):
        other = seen[k : seen.shape[0] + k - count + 1, :]
        least, most = xp.where(other < least, other, least), larger(xp, most, other)
    return xp.any(least * band > most, axis=0)
