"""What chooses or replaces elements, by NumPy's names."""

from __future__ import annotations

import math
from functools import reduce

from gradlab.autodiff.numpy_names.entering import (
    as_array,
    as_arrays,
    cast,
    flat,
    in_double,
    named,
)

__all__ = ["clip", "diagonal", "full_like", "isclose", "read_only_diagonal", "trace"]


def diagonal(xp, a, offset=0, axis1=0, axis2=1):
    """Slice of the flat array with the step of a row and an element: a view."""
    a = xp.moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = a.shape[-2:]
    count = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    size, start = rows * columns, max(offset, -offset * columns)
    flat = xp.reshape(a, (*a.shape[:-2], size))
    return flat[..., min(start, size) : min(start + count * (columns + 1), size) : columns + 1]


@named("diagonal")
def read_only_diagonal(xp, a, offset=0, axis1=0, axis2=1):
    return diagonal(xp, a, offset, axis1, axis2)._read_only()


@named("diag")
def _diag(xp, v, k=0):
    if v.ndim not in (1, 2):
        msg = f"np.diag takes a vector or a matrix: got {v.ndim} dimensions"
        raise ValueError(msg)
    if v.ndim == 2:  # noqa: PLR2004
        return read_only_diagonal(xp, v, k)
    n = v.shape[0] + abs(k)
    out = xp.zeros((n, n), dtype=v.dtype, device=v.device)
    places = xp.arange(v.shape[0], device=v.device)
    out[places + max(-k, 0), places + max(k, 0)] = v
    return out


@named("trace")
def trace(xp, a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    return xp.sum(cast(xp, diagonal(xp, a, offset, axis1, axis2), dtype), axis=-1)


@named("where")
def _where(xp, condition, *xy):
    condition = as_array(xp, condition)
    if not xp.isdtype(condition.dtype, "bool"):
        condition = condition != 0
    return xp.where(condition, *_arrays_of_lists(xp, xy)) if xy else xp.nonzero(condition)


def _arrays_of_lists(xp, given):
    """Operands of an elementwise function, which takes numbers as they are."""
    return [xp.asarray(x) if isinstance(x, list | tuple) else x for x in given]


@named("take")
def _take(xp, a, indices, axis=None, out=None, mode="raise"):
    if axis is None:
        a, axis = flat(xp, a), 0
    return xp.take(a, indices, axis=axis)


@named("repeat")
def _repeat(xp, a, repeats, axis=None):
    if isinstance(repeats, list | tuple):
        repeats = xp.asarray(repeats, dtype=None if len(repeats) else xp.int64)
    return xp.repeat(a, repeats, axis=axis)


@named("delete")
def _delete(xp, arr, obj, axis=None):
    if axis is None:
        arr, axis = flat(xp, arr), 0
    is_kept = xp.ones((arr.shape[axis],), dtype=xp.bool, device=arr.device)
    is_kept[obj] = False
    return xp.take(arr, xp.nonzero(is_kept)[0], axis=axis)


@named("clip")
def clip(xp, a, a_min=None, a_max=None, out=None, *, min=None, max=None):
    low, high = (
        second if first is None else first for first, second in ((a_min, min), (a_max, max))
    )
    a, low, high = _arrays_of_lists(xp, [a, low, high])
    dtype = xp.result_type(*(x for x in (a, low, high) if x is not None))
    return xp.clip(cast(xp, as_array(xp, a), dtype), low, high)


@named("nan_to_num")
def _nan_to_num(xp, x, copy=True, nan=0.0, posinf=None, neginf=None):
    if not copy or xp.isdtype(x.dtype, "complex floating"):
        msg = "np.nan_to_num of a traced array takes real numbers, and makes a copy"
        raise TypeError(msg)
    largest = xp.finfo(x.dtype).max
    limits = (-largest if neginf is None else neginf, largest if posinf is None else posinf)
    for value, instead in ((-math.inf, limits[0]), (math.inf, limits[1])):
        x = xp.where(x == value, xp.full_like(x, instead), x)
    return xp.where(xp.isnan(x), xp.full_like(x, nan), x)


@named("interp")
def _interp(space, x, xp, fp, left=None, right=None, period=None):
    x, points, fp = in_double(space, *as_arrays(space, x, xp, fp))
    if points.ndim != 1 or points.shape != fp.shape or not points.shape[0]:
        msg = f"np.interp takes two vectors of one length: got shapes {points.shape}, {fp.shape}"
        raise ValueError(msg)
    if not bool(space.all(points[1:] >= points[:-1])):
        msg = "np.interp takes increasing points `xp`: sort them, and `fp` with them"
        raise ValueError(msg)
    k = space.clip(space.searchsorted(points, x, side="right"), 1, points.shape[0] - 1)
    start = points[k - 1]
    part = space.clip((x - start) / (points[k] - start), 0.0, 1.0)
    return fp[k - 1] + part * (fp[k] - fp[k - 1])


@named("polyval")
def _polyval(xp, p, x):
    return reduce(lambda y, c: y * x + c, as_array(xp, p), 0.0 * x)


@named("isclose")
def isclose(xp, a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    a, b = as_arrays(xp, a, b)
    return (xp.abs(a - b) <= atol + rtol * xp.abs(b)) & xp.isfinite(b) | (a == b)


@named("round", "around")
def _round(xp, a, decimals=0, out=None):
    return xp.round(a * 10.0**decimals) / 10.0**decimals if decimals else xp.round(a)


@named("zeros_like", "empty_like")
def _zeros_like(xp, a, dtype=None, order="K", subok=True, shape=None):
    return full_like(xp, a, 0, dtype, shape=shape)


@named("full_like")
def full_like(xp, a, fill_value, dtype=None, order="K", subok=True, shape=None):
    shape = tuple(a.shape) if shape is None else shape
    return xp.full(shape, fill_value, dtype=dtype or a.dtype, device=a.device)
