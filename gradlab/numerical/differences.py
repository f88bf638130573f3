"""Derivatives of black boxes by finite differences: derivative, gradient, value_and_gradient.

The caller's arrays are never handed to f: it gets copies, perturbed many at a time by writing the
elements of the next points over those of x (which keeps -0.0 and never drifts), and may do with
them what it likes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from numbers import Integral
from typing import Any

from gradlab import tree
from gradlab.backend import (
    Array,
    Namespace,
    chunk_bytes,
    is_array,
    namespace,
    owned,
    reshape,
    stack_scalars,
)
from gradlab.numerical.black_box import (
    check_number,
    real_leaves,
    real_result,
    run_batch,
    run_one_by_one,
)
from gradlab.numerical.steps import Method, step_rules

__all__ = [
    "ConstantFunctionWarning",
    "chunk_rows",
    "chunks",
    "derivative",
    "eps_of",
    "gradient",
    "repeat",
    "value_and_gradient",
    "value_and_gradient_again",
]


_COPIED_BYTES = 2**22  # of points that are copied at once to be handed over one by one


class ConstantFunctionWarning(UserWarning):
    """f returned the very same value at every perturbed point: it seems to ignore its argument."""


def derivative(
    f: Callable[[Array], Array],
    x: Array,
    /,
    *,
    method: Method = "central",
    step: float | Array | None = None,
    bounds: tuple[Any, Any] | None = None,
) -> Array:
    """Derivative of an elementwise function at every element of `x`, by finite differences.

    Parameters
    ----------
    f : callable
        Maps an array to one of the same shape, element by element; a function of one number
        where `x` is one. Called two to four times.
    x : array or number, any shape
        Real; integers become the default floating dtype. Not modified, nor handed to `f`.
    method : {"central", "forward", "backward"}
        Truncation error O(step**2) for central, O(step) for the others.
    step : float or array shaped like `x`, optional
        Half-width in units of `x`. Default: eps**(1/3) (one-sided: eps**(1/2)) of the coarser of
        the dtypes of `x` and ``f(x)``, times ``max(|x|, 1)``.
    bounds : (lower, upper), each a float or an array shaped like `x`, optional
        `f` is not evaluated outside. Beside a bound a central step shrinks, to a quarter at the
        least, or turns into a one-sided parabola, also of order 2; a one-sided step flips.

    Returns
    -------
    array, shape and dtype of `x`
        Round-off error O(eps |f| / step). NaN where `f` gives NaN.

    Raises
    ------
    TypeError
        If `x`, `step` or `bounds` is not real, or `f` returns no real array of its library.
    ValueError
        If `f` returns another shape, `x` is out of bounds, or a step moves nothing.

    References
    ----------
    Nocedal and Wright, Numerical Optimization, 2nd ed., section 8.1.

    Examples
    --------
    >>> import gradlab as gl
    >>> round(float(gl.numerical.derivative(lambda x: x**2, 3)), 6)
    6.0
    """
    if tree.is_tree(x):
        msg = f"`x` must be one array or number: got {type(x).__name__}; use numerical.gradient"
        raise TypeError(msg)
    (x,) = leaves = real_leaves(x)
    (rule,) = step_rules(method, step, bounds, x, leaves)
    xp = namespace(x)

    def evaluate(point: Array) -> Array:
        result = owned(f(xp.asarray(point, copy=True)))
        check_number(result, x)
        if not is_array(result):
            result = stack_scalars([result], x)[0, ...]
        result = real_result(xp, result, x)
        if result.shape != x.shape:
            msg = (
                f"`f` must return the shape of `x`, element by element: got {result.shape} for "
                f"{x.shape}; use numerical.gradient for a function of several variables"
            )
            raise ValueError(msg)
        return result

    stencil = rule.stencil(x, eps_of(xp, x.dtype))
    first = evaluate(stencil.points[0])
    if eps_of(xp, first.dtype) > eps_of(xp, x.dtype) and step is None:
        stencil = rule.stencil(x, eps_of(xp, first.dtype))
        first = evaluate(stencil.points[0])
    values = (first, *(evaluate(point) for point in stencil.points[1:]))
    value = evaluate(x) if stencil.needs_value else None
    return xp.asarray(stencil.slope(values, value), dtype=x.dtype)


def gradient(
    f: Callable[[Any], Array],
    x: tree.Tree,
    /,
    *,
    method: Method = "central",
    step: Any = None,
    bounds: tuple[Any, Any] | None = None,
    vectorized: bool = False,
    chunk_size: int | None = None,
) -> tree.Tree:
    """Gradient of a scalar function of arrays, by finite differences.

    Parameters
    ----------
    f : callable
        Maps what `x` is to a real scalar: a 0-d array or a number. Called 2n + 1 times for n
        elements (n + 1 times with a one-sided method), on copies that it may modify.
    x : array, number, list of numbers, or nested dict, list or tuple of arrays
        Real; integers become the default floating dtype. Not modified.
    method, step, bounds
        As in `derivative`; `step` and the bounds are numbers or built like `x`.
    vectorized : bool
        `f` takes many points at once: every array of its argument gains a leading axis of length
        k, and `f` returns shape (k,). Called once with k = 1, then in chunks.
    chunk_size : int, optional
        Perturbed points built at once (with `vectorized`, k). Default: 4 MiB of them; with
        `vectorized` 128 KiB, or a part of the free memory of a GPU. More is faster where `f`
        multiplies by large matrices.

    Returns
    -------
    array or tree of arrays
        Structure, shapes, dtypes and device of `x`. Truncation error O(step**2), one-sided
        O(step); round-off O(eps |f| / step). NaN in the elements whose perturbation makes `f` NaN.

    Raises
    ------
    TypeError
        If `x`, `step` or `bounds` is not real or of two libraries, or `f` returns no real number of
        its library.
    ValueError
        If `f` does not return a scalar, `x` is out of bounds, or a step moves nothing.

    Warns
    -----
    ConstantFunctionWarning
        If `f` is bit-identical at every point: it seems to ignore its argument, as
        ``lambda W: network.loss(x, t)`` does.

    References
    ----------
    Nocedal and Wright, Numerical Optimization, 2nd ed., section 8.1.

    Examples
    --------
    >>> import gradlab as gl
    >>> xp = gl.namespace()
    >>> gl.numerical.gradient(lambda x: xp.sum(x**2), [3, 4]).round(6)
    array([6., 8.])
    """
    rules = (method, step, bounds)
    return _value_and_gradient(f, x, rules, vectorized=vectorized, chunk_size=chunk_size)[1]


def value_and_gradient(
    f: Callable[[Any], Array],
    x: tree.Tree,
    /,
    *,
    method: Method = "central",
    step: Any = None,
    bounds: tuple[Any, Any] | None = None,
    vectorized: bool = False,
    chunk_size: int | None = None,
) -> tuple[Array, tree.Tree]:
    """Value and gradient of a scalar function; parameters, errors and cost as for `gradient`.

    Returns
    -------
    value : array, shape ()
        ``f(x)``, in its own floating dtype, on the device of `x`.
    gradient : array or tree of arrays
        As from `gradient`.

    Examples
    --------
    >>> import gradlab as gl
    >>> value, slope = gl.numerical.value_and_gradient(lambda p: p["a"] * p["b"], {"a": 2, "b": 5})
    >>> float(value), round(float(slope["a"]), 6), round(float(slope["b"]), 6)
    (10.0, 5.0, 2.0)
    """
    rules = (method, step, bounds)
    return _value_and_gradient(f, x, rules, vectorized=vectorized, chunk_size=chunk_size)


def value_and_gradient_again(f: Callable[[Any], Array], x: tree.Tree, /) -> tuple[Array, tree.Tree]:
    """`value_and_gradient` for loops: no wait for the device, to see whether f ignores `x`."""
    rules: tuple[Method, None, None] = ("central", None, None)
    return _value_and_gradient(f, x, rules, vectorized=False, chunk_size=None, warns=False)


def _value_and_gradient(
    f: Callable[[Any], Array],
    x: tree.Tree,
    options: tuple[Method, Any, Any],
    *,
    vectorized: bool,
    chunk_size: int | None,
    warns: bool = True,
) -> tuple[Array, tree.Tree]:
    leaves = real_leaves(x)
    build = tree.flatten(x)[1]
    rules = step_rules(*options, x, leaves)
    rows = chunk_rows(chunk_size, leaves, vectorized=vectorized)
    run = run_batch if vectorized else run_one_by_one
    xp = namespace(*leaves)

    def evaluate(points: list[Array]) -> Array:
        return real_result(xp, run(f, build, points), leaves[0])

    value = evaluate([repeat(xp, leaf, 1) for leaf in leaves])[0, ...]
    slopes: list[Array] = []
    everything: list[Array] = []
    for i, (leaf, rule) in enumerate(zip(leaves, rules, strict=True)):
        stencil = rule.stencil(leaf, max(eps_of(xp, leaf.dtype), eps_of(xp, value.dtype)))
        values = [
            evaluate(
                [
                    chunk if j == i else repeat(xp, other, chunk.shape[0])
                    for j, other in enumerate(leaves)
                ]
            )
            for chunk in chunks(xp, leaf, stencil.points, rows)
        ]
        column = xp.concat(values) if values else reshape(leaf, (-1,))
        n = math.prod(leaf.shape)
        columns = [
            reshape(column[k * n : (k + 1) * n], leaf.shape) for k in range(len(stencil.points))
        ]
        everything += columns
        slopes.append(xp.asarray(stencil.slope(tuple(columns), value), dtype=leaf.dtype))
    if warns and _all_zero(xp, slopes) and _all_equal(xp, everything, value):
        msg = (
            "`f` returned the same value at every perturbed point: does it ignore its argument? "
            "Compute the result from the array that `f` is given, not from another variable"
        )
        warnings.warn(msg, ConstantFunctionWarning, stacklevel=3)
    return value, build(slopes)


def _all_zero(xp: Namespace, slopes: list[Array]) -> bool:
    """Whether no slope is anything but 0: a reason to look at the values themselves."""
    some = [reshape(slope, (-1,)) for slope in slopes if math.prod(slope.shape)]
    if not some or bool(some[0][0] != 0):  # as it nearly always is
        return False
    return not bool(xp.any(xp.stack([xp.any(slope != 0) for slope in some])))


def _all_equal(xp: Namespace, columns: list[Array], value: Array) -> bool:
    return bool(xp.all(xp.stack([xp.all(c == value) for c in columns if math.prod(c.shape)])))


def chunks(xp: Namespace, x: Array, points: Sequence[Array], rows: int) -> Iterator[Array]:
    """Copies of `x`, each with the next element taken from the first point, then from the next one.

    They come in chunks of one size, of at most `rows`.
    """
    flat = xp.reshape(x, (-1,))
    n = flat.shape[0]
    taken = [xp.reshape(point, (-1,)) for point in points]
    total = n * len(taken)
    rows = -(-total // max(1, -(-total // rows)))  # chunks of one size, and no small rest
    for start in range(0, total, rows or 1):
        count = min(rows, total - start)
        copies = xp.reshape(repeat(xp, flat, count), (-1,))
        row = 0
        while row < count:
            k, first = divmod(start + row, n)
            some = min(n - first, count - row)
            place = row * n + first
            last = place + (some - 1) * (n + 1)
            copies[place : last + 1 : n + 1] = taken[k][first : first + some]
            row += some
        yield xp.reshape(copies, (count, *x.shape))


def repeat(xp: Namespace, x: Array, k: int) -> Array:
    """Chunk of k copies of `x`."""
    return xp.repeat(x[None, ...], k, axis=0)


def chunk_rows(chunk_size: int | None, leaves: list[Array], *, vectorized: bool) -> int:
    """How many points are built at once: for f to see together, or one by one."""
    if chunk_size is None:
        bytes_each: int = 8 * sum(math.prod(leaf.shape) for leaf in leaves)
        budget = chunk_bytes(leaves[0]) if vectorized else _COPIED_BYTES
        return max(1, budget // max(1, bytes_each))
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, Integral) or chunk_size < 1:
        msg = f"`chunk_size` must be a positive integer or None: got {chunk_size!r}"
        raise ValueError(msg)
    return int(chunk_size)


@cache
def eps_of(xp: Namespace, dtype: Any) -> float:
    """Rounding error of a dtype."""
    return float(xp.finfo(dtype).eps)
