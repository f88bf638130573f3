"""The table of short ones, and the methods of arrays whose arguments are not the function's."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from numbers import Integral
from typing import Any

from gradlab.autodiff.numpy_names.elements import (
    clip,
    full_like,
    isclose,
    read_only_diagonal,
    trace,
)
from gradlab.autodiff.numpy_names.entering import (
    FUNCTIONS,
    METHODS,
    argsort_of,
    as_arrays,
    entered,
    flat,
    product_on,
    sort_of,
    sum_on,
)
from gradlab.autodiff.numpy_names.products import cross, dot
from gradlab.autodiff.numpy_names.shapes import as_tuple, split, transpose

__all__ = []


def _in_three(axis):
    """Split along an axis; of a vector, `hsplit` splits the only one."""
    return lambda xp, ary, indices_or_sections: split(
        xp, ary, indices_or_sections, axis=min(axis, ary.ndim - 1) if axis == 1 else axis
    )


def _copied(arrays, copy):
    if not copy:
        msg = "np.meshgrid of a traced array makes copies: leave `copy=False` away"
        raise TypeError(msg)
    return arrays


def _is_equal(xp, a, b):
    return a.shape == b.shape and bool(xp.all(a == b))


def _conjugate(xp, a):
    """Of what is real, the array itself, as NumPy's method gives it."""
    return xp.conj(a) if xp.isdtype(a.dtype, "complex floating") else a


_SHORT: dict[str, Callable[..., Any]] = {
    "allclose": lambda xp, a, b, rtol=1e-5, atol=1e-8, equal_nan=False: xp.all(
        isclose(xp, a, b, rtol, atol)
    ),
    "angle": lambda xp, z, deg=False: (
        xp.atan2(xp.imag(z), xp.real(z)) * (180 / math.pi if deg else 1)
    ),
    "argsort": lambda xp, a, axis=-1, kind=None, order=None, *, stable=None: argsort_of(
        xp, a, axis
    ),
    "argwhere": lambda xp, a: xp.stack(xp.nonzero(a), axis=-1),
    "array_equal": lambda xp, a1, a2, equal_nan=False: _is_equal(xp, *as_arrays(xp, a1, a2)),
    "astype": lambda xp, x, dtype, *, copy=True: xp.astype(x, dtype, copy=copy),
    "broadcast_arrays": lambda xp, *args, subok=False: tuple(
        xp.broadcast_arrays(*as_arrays(xp, *args))
    ),
    "broadcast_to": lambda xp, array, shape, subok=False: xp.broadcast_to(array, as_tuple(shape)),
    "can_cast": lambda xp, from_, to: xp.can_cast(from_, to),
    "copy": lambda xp, a, order="K", subok=False: xp.asarray(a, copy=True),
    "count_nonzero": lambda xp, a, axis=None, *, keepdims=False: xp.count_nonzero(
        a, axis=axis, keepdims=keepdims
    ),
    "cumprod": lambda xp, a, axis=None, dtype=None, out=None: product_on(xp, a, axis, dtype=dtype),
    "cumsum": lambda xp, a, axis=None, dtype=None, out=None: sum_on(xp, a, axis, dtype=dtype),
    "cumulative_prod": lambda xp, x, *, out=None, **options: xp.cumulative_prod(x, **options),
    "cumulative_sum": lambda xp, x, *, out=None, **options: xp.cumulative_sum(x, **options),
    "dsplit": _in_three(2),
    "flatnonzero": lambda xp, a: xp.nonzero(flat(xp, a))[0],
    "flip": lambda xp, m, axis=None: xp.flip(m, axis=axis),
    "fliplr": lambda xp, m: xp.flip(m, axis=1),
    "flipud": lambda xp, m: xp.flip(m, axis=0),
    "hsplit": _in_three(1),
    "i0": lambda xp, x: xp.special.i0(x),
    "imag": lambda xp, val: xp.imag(val),
    "iscomplexobj": lambda xp, x: xp.isdtype(x.dtype, "complex floating"),
    "isrealobj": lambda xp, x: not xp.isdtype(x.dtype, "complex floating"),
    "linalg.cross": lambda xp, x1, x2, *, axis=-1: cross(xp, x1, x2, axis=axis),
    "linalg.diagonal": lambda xp, x, *, offset=0: read_only_diagonal(xp, x, offset, -2, -1),
    "linalg.multi_dot": lambda xp, arrays, *, out=None: reduce(lambda a, b: dot(xp, a, b), arrays),
    "linalg.svd": lambda xp, a, full_matrices=True: xp.linalg.svd(a, full_matrices=full_matrices),
    "linalg.trace": lambda xp, x, *, offset=0, dtype=None: trace(xp, x, offset, -2, -1, dtype),
    "matrix_transpose": lambda xp, x: xp.matrix_transpose(x),
    "meshgrid": lambda xp, *xi, copy=True, sparse=False, indexing="xy": tuple(
        xp.meshgrid(*_copied(xi, copy), indexing=indexing)
    ),
    "moveaxis": lambda xp, a, source, destination: xp.moveaxis(a, source, destination),
    "ndim": lambda xp, a: a.ndim,
    "nonzero": lambda xp, a: xp.nonzero(a),
    "ones_like": lambda xp, a, dtype=None, order="K", subok=True, shape=None: full_like(
        xp, a, 1, dtype, shape=shape
    ),
    "ravel": lambda xp, a, order="C": flat(xp, a),
    "real": lambda xp, val: xp.real(val),
    "reshape": lambda xp, a, shape, order="C", *, copy=None: xp.reshape(
        a, as_tuple(shape), copy=copy
    ),
    "result_type": lambda xp, *args: xp.result_type(*args),
    "roll": lambda xp, a, shift, axis=None: xp.roll(
        a, tuple(shift) if isinstance(shift, list) else shift, axis=axis
    ),
    "searchsorted": lambda xp, a, v, side="left", sorter=None: xp.searchsorted(
        *as_arrays(xp, a, v), side=side
    ),
    "shape": lambda xp, a: a.shape,
    "sinc": lambda xp, x: xp.special.sinc(x),
    "size": lambda xp, a, axis=None: a.size if axis is None else a.shape[axis],
    "sort": lambda xp, a, axis=-1, kind=None, order=None, *, stable=None: sort_of(xp, a, axis),
    "take_along_axis": lambda xp, arr, indices, axis=-1: (
        xp.take_along_axis(flat(xp, arr), indices)
        if axis is None
        else xp.take_along_axis(arr, indices, axis=axis)
    ),
    "tensordot": lambda xp, a, b, axes=2: xp.tensordot(
        *as_arrays(xp, a, b),
        axes=axes if isinstance(axes, Integral) else [as_tuple(k) for k in axes],
    ),
    "tile": lambda xp, A, reps: xp.tile(A, as_tuple(reps)),
    "tril": lambda xp, m, k=0: xp.tril(m, k=k),
    "triu": lambda xp, m, k=0: xp.triu(m, k=k),
    "unstack": lambda xp, x, *, axis=0: xp.unstack(x, axis=axis),
    "vsplit": _in_three(0),
}
for _name, _function in _SHORT.items():
    entered(_name, _function)
FUNCTIONS["linalg.qr"] = lambda xp, a, mode="reduced": xp.linalg.qr(a, mode=mode)


def _unpacked(given):
    """Sizes or axes that were given one by one or as one sequence; None for none."""
    if len(given) != 1:
        return given
    return () if given[0] is None else as_tuple(given[0])


# --- methods, where their arguments are not those of the function

_OWN: dict[str, Callable[..., Any]] = {
    "astype": lambda xp, a, dtype, order="K", casting="unsafe", subok=True, copy=True: xp.astype(
        a, dtype, copy=copy
    ),
    "clip": lambda xp, a, min=None, max=None, out=None: clip(xp, a, min, max),
    "conj": _conjugate,
    "conjugate": _conjugate,
    "copy": lambda xp, a, order="K": xp.asarray(a, copy=True),
    "fill": lambda xp, a, value: a.__setitem__(..., value),
    "flatten": lambda xp, a, order="C": xp.asarray(flat(xp, a), copy=True),
    "reshape": lambda xp, a, *shape, order="C", copy=None: xp.reshape(
        a, _unpacked(shape), copy=copy
    ),
    "transpose": lambda xp, a, *axes: transpose(xp, a, _unpacked(axes) or None),
}
for _name, _function in _OWN.items():
    entered(_name, _function, METHODS)
for _name in (
    *("all", "any", "argmax", "argmin", "argsort", "cumprod", "cumsum", "diagonal", "dot", "max"),
    *("mean", "min", "nonzero", "prod", "ravel", "repeat", "round", "searchsorted", "squeeze"),
    *("std", "sum", "swapaxes", "take", "trace", "var"),
):
    METHODS[_name] = FUNCTIONS[_name]
