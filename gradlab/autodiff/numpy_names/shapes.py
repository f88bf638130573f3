"""What changes shapes, joins and splits, by NumPy's names."""

from __future__ import annotations

from itertools import pairwise
from numbers import Integral

from gradlab.autodiff.numpy_names.entering import (
    FUNCTIONS,
    as_array,
    as_arrays,
    at_part,
    cast,
    entered,
    named,
)
from gradlab.autodiff.structural import axis_of

__all__ = ["as_tuple", "expand_dims", "pad", "split", "squeeze", "transpose"]


def as_tuple(x):
    return tuple(x) if isinstance(x, list | tuple) or getattr(x, "ndim", False) else (x,)


def _check_different(name, axes):
    if len(set(axes)) < len(axes):
        msg = f"{name} takes axes that differ: got {tuple(axes)}"
        raise ValueError(msg)


@named("expand_dims")
def expand_dims(xp, a, axis):
    a, axes = as_array(xp, a), as_tuple(axis)
    axes = [axis_of(k, a.ndim + len(axes)) for k in axes]
    _check_different("np.expand_dims", axes)
    for k in sorted(axes):
        a = xp.expand_dims(a, axis=k)
    return a


@named("squeeze")
def squeeze(xp, a, axis=None):
    if axis is None:
        axis = tuple(k for k, n in enumerate(a.shape) if n == 1)
    return xp.squeeze(a, axis=axis)


@named("transpose")
def transpose(xp, a, axes=None):
    return xp.permute_dims(a, tuple(range(a.ndim))[::-1] if axes is None else tuple(axes))


@named("swapaxes")
def _swapaxes(xp, a, axis1, axis2):
    order = list(range(a.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return xp.permute_dims(a, tuple(order))


@named("rot90")
def _rot90(xp, m, k=1, axes=(0, 1)):
    axes = [axis_of(axis, m.ndim) for axis in axes]
    _check_different("np.rot90", axes)
    for _ in range(k % 4):
        m = xp.flip(_swapaxes(xp, m, *axes), axis=axes[0])
    return m


def _atleast(ndim):
    def one(xp, x):
        x = as_array(xp, x)
        if x.ndim >= ndim:
            return x
        before = 1 if x.ndim < 2 <= ndim else 0  # noqa: PLR2004  (NumPy puts a vector in the middle)
        shape = (1,) * before + tuple(x.shape)
        return xp.reshape(x, shape + (1,) * (ndim - len(shape)))

    def function(xp, *arys):
        found = tuple(one(xp, x) for x in arys)
        return found[0] if len(found) == 1 else found

    return function


for _n in (1, 2, 3):
    entered(f"atleast_{_n}d", _atleast(_n))


@named("concatenate")
def _concatenate(xp, arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    return cast(xp, xp.concat(as_arrays(xp, *arrays), axis=axis), dtype)


@named("stack")
def _stack(xp, arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    return cast(xp, xp.stack(as_arrays(xp, *arrays), axis=axis), dtype)


def _stacking(ndim, axis):
    def function(xp, tup, *, dtype=None, casting="same_kind"):
        parts = [FUNCTIONS[f"atleast_{ndim}d"](xp, x) for x in tup]
        along = 0 if ndim == 1 and parts[0].ndim == 1 else axis
        return _concatenate(xp, parts, along, dtype=dtype)

    return function


for _name, _n, _axis in (("hstack", 1, 1), ("vstack", 2, 0), ("dstack", 3, 2)):
    entered(_name, _stacking(_n, _axis))


@named("column_stack")
def _column_stack(xp, tup):
    parts = [FUNCTIONS["atleast_1d"](xp, x) for x in tup]
    return xp.concat([x[:, None] if x.ndim == 1 else x for x in parts], axis=1)


@named("append")
def _append(xp, arr, values, axis=None):
    return xp.concat(as_arrays(xp, arr, values), axis=axis)


@named("array_split")
def _array_split(xp, ary, indices_or_sections, axis=0):
    axis = axis_of(axis, ary.ndim)
    n, cuts = ary.shape[axis], indices_or_sections
    if isinstance(cuts, Integral):
        cuts = int(cuts)
        if cuts < 1:
            msg = f"np.array_split makes 1 part or more: got {cuts}"
            raise ValueError(msg)
        size, longer = divmod(n, cuts)
        cuts = [k * size + min(k, longer) for k in range(1, cuts)]
    ends = [0, *(min(max(int(k) + n * (k < 0), 0), n) for k in cuts), n]
    return [ary[at_part(axis, slice(a, max(a, b)))] for a, b in pairwise(ends)]


@named("split")
def split(xp, ary, indices_or_sections, axis=0):
    sections = indices_or_sections
    if isinstance(sections, Integral) and sections and ary.shape[axis] % int(sections):
        msg = f"np.split needs equal parts: a length of {ary.shape[axis]} has no {sections}"
        raise ValueError(msg)
    return _array_split(xp, ary, sections, axis)


def _widths(given, ndim):
    """Pairs for every axis, of one number, one pair, or a number or a pair for each axis."""
    given = given.tolist() if hasattr(given, "tolist") else given
    rows = as_tuple(given)
    if not all(isinstance(row, list | tuple) for row in rows):
        rows = (rows,)
    widths = [as_tuple(row) * (3 - len(as_tuple(row))) for row in rows]
    widths = widths * ndim if len(widths) == 1 else widths
    if len(widths) != ndim or any(len(pair) != 2 or min(pair) < 0 for pair in widths):  # noqa: PLR2004
        msg = f"`pad_width` of np.pad must be a pair from 0 on for each of {ndim} axes: got {given}"
        raise ValueError(msg)
    return widths


@named("pad")
def pad(xp, array, pad_width, mode="constant", *, constant_values=0):
    if not isinstance(constant_values, int | float | complex):
        msg = f"np.pad takes one number for `constant_values`: got {type(constant_values).__name__}"
        raise TypeError(msg)
    sized = list(zip(_widths(pad_width, array.ndim), array.shape, strict=True))
    shape = tuple(before + n + after for (before, after), n in sized)
    out = xp.full(shape, constant_values, dtype=array.dtype, device=array.device)
    out[tuple(slice(before, before + n) for (before, _), n in sized)] = array
    return out
