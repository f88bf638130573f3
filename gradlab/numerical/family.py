"""Jacobians, Hessians, and products with them, by finite differences of black boxes.

They are computed a chunk of perturbed points at a time, as gradients are: what is held beside the
result does not grow with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gradlab import tree
from gradlab.backend import Array, Namespace, is_array, namespace, nonfinite_expected
from gradlab.numerical.black_box import (
    check_number,
    real_leaves,
)
from gradlab.numerical.differences import chunks, eps_of, gradient
from gradlab.numerical.lines import Line, scale
from gradlab.numerical.points import BlackBox
from gradlab.numerical.steps import Method, Stencil, step_rules

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vjp"]


def jacobian(
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
    """Jacobian of a function of arrays: every element of ``f(x)`` by every element of `x`.

    Parameters
    ----------
    f : callable
        Maps what `x` is to a real array of any shape, or a number. Called 2n + 1 times for n
        elements (n + 1 times with a one-sided method), on copies that it may modify.
    x, method, step, bounds, vectorized, chunk_size
        As for `gradlab.numerical.gradient`; a vectorized `f` returns shape ``(k, *f(x).shape)``.

    Returns
    -------
    array or tree like `x`
        Of each array, shape ``f(x).shape + x.shape``, in its dtype. Errors as for `gradient`.

    Raises
    ------
    TypeError, ValueError
        As `gradient`; if `f` returns arrays of different shapes.

    References
    ----------
    Nocedal and Wright, Numerical Optimization, 2nd ed., section 8.1.

    Examples
    --------
    >>> import gradlab as gl
    >>> gl.numerical.jacobian(lambda x: x**2, gl.asarray([1.0, 2.0])).round(6)
    array([[2., 0.],
           [0., 4.]])
    """
    box = BlackBox(f, x, vectorized=vectorized, chunk_size=chunk_size)
    rules = step_rules(method, step, bounds, x, box.leaves)
    xp, shape = box.xp, box.shape or ()
    parts = []
    for k, (leaf, rule) in enumerate(zip(box.leaves, rules, strict=True)):
        stencil = rule.stencil(leaf, max(box.eps_at(leaf), eps_of(xp, box.value.dtype)))
        size = math.prod(leaf.shape)
        out = xp.zeros((math.prod(shape), size), dtype=leaf.dtype, device=leaf.device)
        sides = [chunks(xp, leaf, (point,), box.chunk_rows) for point in stencil.points]
        start = 0
        for moved in zip(*sides, strict=True):
            values = tuple(box.moved(k, chunk) for chunk in moved)
            stop = start + values[0].shape[0]
            slope = _part(xp, stencil, start, stop).slope(values, box.value)
            out[:, start:stop] = xp.astype(slope, leaf.dtype).mT
            start = stop
        parts.append(xp.reshape(out, (*shape, *leaf.shape)))
    return box.build(parts)


def _part(xp: Namespace, stencil: Stencil, start: int, stop: int) -> Stencil:
    """Stencil of some elements, as columns."""

    def column(a: Array) -> Array:
        return xp.reshape(a, (-1, 1))[start:stop, :]

    one_sided = None if stencil.one_sided is None else column(stencil.one_sided)
    return Stencil(column(stencil.x), tuple(column(p) for p in stencil.points), one_sided)


def vjp(
    f: Callable[[Any], Array],
    x: tree.Tree,
    u: Array,
    /,
    *,
    method: Method = "central",
    step: Any = None,
    bounds: tuple[Any, Any] | None = None,
    vectorized: bool = False,
    chunk_size: int | None = None,
) -> tree.Tree:
    """Vector-Jacobian product: the gradient of ``sum(u * f(x))``.

    Parameters
    ----------
    f
        As for `jacobian`, with its cost.
    x, method, step, bounds, vectorized, chunk_size
        As for `gradlab.numerical.gradient`.
    u : array, shape of ``f(x)``

    Returns
    -------
    array or tree like `x`

    Raises
    ------
    TypeError, ValueError
        As `gradient`; if `u` has another shape than ``f(x)``.
    """
    if tree.is_tree(u):
        msg = f"`u` must be one array, of the shape of f(x): got {type(u).__name__}"
        raise TypeError(msg)
    (u,) = real_leaves(u, "u")
    xp = namespace(u)

    def weighted(x: Any) -> Array:
        y = f(x)
        check_number(y, u)
        y = y if is_array(y) else xp.asarray(y, dtype=u.dtype, device=u.device)
        axes = tuple(range(1, y.ndim)) if vectorized else None
        if y.shape[1 if vectorized else 0 :] != u.shape:
            msg = f"`u` must have the shape of f(x), {y.shape}: got {u.shape}"
            raise ValueError(msg)
        return xp.sum(y * u, axis=axes)

    return gradient(
        weighted,
        x,
        method=method,
        step=step,
        bounds=bounds,
        vectorized=vectorized,
        chunk_size=chunk_size,
    )


def jvp(
    f: Callable[[Any], Array],
    x: tree.Tree,
    v: tree.Tree,
    /,
    *,
    method: Method = "central",
    step: float | None = None,
    bounds: tuple[Any, Any] | None = None,
    vectorized: bool = False,
    chunk_size: int | None = None,
) -> Array:
    """Jacobian-vector product: derivative of `f` at `x` along `v`.

    Parameters
    ----------
    f : callable
        Maps what `x` is to a real array of any shape, or a number. Called three times, on copies.
    x : array, number, or nested dict, list or tuple of arrays
        Real. Not modified.
    v : array or tree like `x`
        Direction; its length scales the result.
    method : {"central", "forward", "backward"}
        Truncation error O(step**2) for central, O(step) for the others.
    step : float, optional
        How far the element moves that moves the most, in units of `x`. Default: eps**(1/3)
        (one-sided: eps**(1/2)) of the coarser dtype, times ``max(|x|, 1)`` of the element where
        that is the least.
    bounds, vectorized, chunk_size
        As for `gradlab.numerical.gradient`. Bounds shrink the step along `v` as a whole, or turn it
        to one side. Points are evaluated one by one, whatever the chunks: of a vectorized `f`, k
        is 1.

    Returns
    -------
    array, shape of ``f(x)``
        Round-off error O(eps |f| / step).

    Raises
    ------
    TypeError, ValueError
        As `gradient`; if `v` is built otherwise than `x`.

    References
    ----------
    Nocedal and Wright, Numerical Optimization, 2nd ed., section 8.1.

    Examples
    --------
    >>> import gradlab as gl
    >>> x, v = gl.asarray([1.0, 2.0]), gl.asarray([1.0, -1.0])
    >>> gl.numerical.jvp(lambda x: x**2, x, v).round(6)
    array([ 2., -4.])
    """
    box = BlackBox(f, x, vectorized=vectorized, chunk_size=chunk_size)
    line = Line(box, _like(v, x, box.leaves), (method, step, bounds))
    stencil = line.stencil(1 / 3 if method == "central" else 1 / 2)
    values = tuple(box([point[None, ...] for point in line.at(t)]) for t in stencil.points)
    return box.xp.reshape(stencil.slope(values, box.value), box.shape)


def hvp(
    f: Callable[[Any], Array],
    x: tree.Tree,
    v: tree.Tree,
    /,
    *,
    step: float | None = None,
    bounds: tuple[Any, Any] | None = None,
    vectorized: bool = False,
    chunk_size: int | None = None,
) -> tree.Tree:
    """Hessian-vector product of a scalar function: a difference of gradients along `v`.

    Parameters
    ----------
    f
        As for `gradlab.numerical.gradient`. Called 4n + 3 times for n elements, with bounds 6n + 4.
    x, bounds, vectorized, chunk_size
        As for `gradient`, and `jvp`.
    v : array or tree like `x`
    step : float, optional
        Half-width, in units of `x`, of both differences, which are central: one-sided ones of
        second order would have few digits left. Default: eps**(1/4) of the coarser dtype, scaled as
        in `gradient` and `jvp`.

    Returns
    -------
    array or tree like `x`
        Truncation error O(step**2), round-off O(eps |f| / step**2): about half of the digits.

    Raises
    ------
    TypeError, ValueError
        As `gradient`; if `v` is built otherwise than `x`.
    """
    box = BlackBox(f, x, vectorized=vectorized, chunk_size=chunk_size)
    box.check_scalar()
    line = Line(box, _like(v, x, box.leaves), ("central", step, bounds))
    stencil = line.stencil(1 / 4)
    c = box.eps ** (1 / 4)
    steps = [
        box.xp.asarray(scale(leaf) * c if step is None else step + leaf * 0) for leaf in box.leaves
    ]

    def slope_at(t: Array) -> tree.Tree:
        return gradient(
            f,
            box.build(line.at(t)),
            step=box.build(steps),
            bounds=bounds,
            vectorized=vectorized,
            chunk_size=chunk_size,
        )

    sides = [slope_at(t) for t in stencil.points]
    middle = slope_at(stencil.x) if stencil.needs_value else sides[0]
    return tree.map(
        lambda at_x, *values: box.xp.asarray(stencil.slope(values, at_x)), middle, *sides
    )


def hessian(
    f: Callable[[Any], Array],
    x: tree.Tree,
    /,
    *,
    step: Any = None,
    bounds: tuple[Any, Any] | None = None,
    vectorized: bool = False,
    chunk_size: int | None = None,
) -> tree.Tree:
    """Hessian of a scalar function, by second differences, exactly symmetric.

    Parameters
    ----------
    f
        As for `gradlab.numerical.gradient`. Called about 2 n**2 + 1 times for n elements.
    x, step, bounds, vectorized, chunk_size
        As for `gradient`; the default step is eps**(1/4) of the coarser dtype, times
        ``max(|x|, 1)``. Differences are central, and one-sided beside bounds alone.

    Returns
    -------
    array or tree
        Of an array, shape ``x.shape + x.shape``; of a tree, one like `x` whose leaves are trees
        like `x`. Truncation error O(step**2), beside bounds O(step); round-off
        O(eps |f| / step**2): about half of the digits.

    Raises
    ------
    TypeError, ValueError
        As `gradient`.

    References
    ----------
    Nocedal and Wright, Numerical Optimization, 2nd ed., section 8.1.

    Examples
    --------
    >>> import gradlab as gl
    >>> gl.numerical.hessian(lambda x: x[0] ** 2 * x[1], gl.asarray([2.0, 3.0])).round(4)
    array([[6., 4.],
           [4., 0.]])
    """
    box = BlackBox(f, x, vectorized=vectorized, chunk_size=chunk_size)
    box.check_scalar()
    rules = step_rules("central", step, bounds, x, box.leaves)
    xp = box.xp
    # a stencil's default step is eps**(1/3): that of eps**(3/4) is eps**(1/4)
    stencils = [
        rule.stencil(leaf, box.eps**0.75) for rule, leaf in zip(rules, box.leaves, strict=True)
    ]
    flat = box.flat()
    points = [
        xp.concat([xp.reshape(stencil.points[side], (-1,)) for stencil in stencils])
        for side in (0, 1)
    ]
    n = flat.shape[0]
    first, second = _weights(xp, points[0] - flat, points[1] - flat)
    alone = [_values_at(box, flat, [(point, None)]) for point in points]
    value = box.value[0, 0]
    both = xp.zeros((2, 2, n, n), dtype=box.value.dtype, device=flat.device)
    for i in range(1, n):
        for p in (0, 1):
            for q in (0, 1):
                moves = [(points[q][:i], None), (points[p], i)]
                both[p, q, i, :i] = _values_at(box, flat, moves)
    with nonfinite_expected():  # f may be infinite on both sides
        mixed = first[2][:, None] * first[2] * value
        for p in (0, 1):
            mixed = mixed + first[p][:, None] * first[2] * alone[p][:, None]
            mixed = mixed + first[2][:, None] * first[p] * alone[p]
            for q in (0, 1):
                mixed = mixed + first[p][:, None] * first[q] * both[p, q, ...]
        lower = xp.tril(xp.astype(mixed, flat.dtype), k=-1)
        diagonal = second[0] * alone[0] + second[1] * alone[1] + second[2] * value
        matrix = lower + lower.mT + diagonal * xp.eye(n, dtype=flat.dtype, device=flat.device)
    return _blocks(box, matrix)


def _weights(xp: Namespace, a: Array, b: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Weights of f at x + a, x + b and x in the first and in the second derivative at x."""
    first_a, first_b = -b / (a * (a - b)), a / (b * (a - b))
    centre = xp.where(a == -b, xp.zeros_like(a), -(first_a + first_b))
    second = (2 / (a * (a - b)), -2 / (b * (a - b)), 2 / (a * b))
    return (first_a, first_b, centre), second


def _values_at(box: BlackBox, flat: Array, moves: list[tuple[Array, int | None]]) -> Array:
    """Values where, in row r, element r is as the first move has it, and one more as the second."""
    xp, (targets, _) = box.xp, moves[0]
    count, n = targets.shape[0], flat.shape[0]
    index = xp.arange(n, device=flat.device)
    padded = xp.concat([targets, flat[count:]])
    found = []
    for start in range(0, count, box.chunk_rows):
        stop = min(start + box.chunk_rows, count)
        rows = xp.where(index[start:stop, None] == index[None, :], padded[None, :], flat[None, :])
        for values, i in moves[1:]:
            rows = xp.where(index[None, :] == i, values[i], rows)
        found.append(box.at(rows))
    return xp.astype(xp.concat(found), flat.dtype) if found else targets


def _blocks(box: BlackBox, matrix: Array) -> tree.Tree:
    """Matrix over all elements as a tree of trees, of the leaves' shapes."""
    xp, bounds = box.xp, [0]
    for leaf in box.leaves:
        bounds.append(bounds[-1] + math.prod(leaf.shape))
    spans = list(zip(bounds, bounds[1:], box.leaves, strict=False))
    return box.build(
        [
            box.build(
                [
                    xp.reshape(xp.astype(matrix[a:b, c:d], leaf.dtype), (*leaf.shape, *other.shape))
                    for c, d, other in spans
                ]
            )
            for a, b, leaf in spans
        ]
    )


def _like(v: tree.Tree, x: tree.Tree, leaves: list[Array]) -> list[Array]:
    """Leaves of a direction, in the order, shapes and dtypes of those of `x`."""
    names = [name for name, _ in tree.items(x, "v")]
    parts = dict(tree.items(v, "v"))  # by name: a dict may be in another order
    if parts.keys() != set(names):
        msg = f"`v` must be built like `x`, of {', '.join(names)}: got {', '.join(parts)}"
        raise ValueError(msg)
    found = []
    for name, leaf in zip(names, leaves, strict=True):
        (part,) = real_leaves(parts[name], name)
        xp = namespace(leaf, part, names=("x", "v"))
        if part.shape != leaf.shape:
            msg = f"`{name}` must have the shape {leaf.shape}, as in `x`: got {part.shape}"
            raise ValueError(msg)
        found.append(xp.astype(part, leaf.dtype))
    return found
