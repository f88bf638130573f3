"""Functions that NumPy has a much faster way for; elsewhere they are the standard's."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from gradlab.backend.arrays import namespace
from gradlab.backend.library import Array

__all__ = [
    "extreme",
    "mean",
    "one_like",
    "reshape",
    "row_maxima",
    "sum_over",
    "sum_over_axes",
    "total",
]

_SHORT = 32  # elements of a row, up to which to transpose it pays
_BLOCK = 128  # elements of a row, up to which NumPy adds them in turn, too; longer ones in a tree
_MANY = 2**16  # ones that are kept
_EXTREMES = {"max": np.maximum.reduce, "min": np.minimum.reduce}
_summed: Any = np.add.reduce  # what np.sum calls
_OF_NUMPY = (np.ndarray, np.generic)
_USUAL = ("f", "d")  # float32 and float64


def row_maxima(x: Array) -> Array:
    """Return the largest element of each row, the last axis, which is kept with length 1."""
    return extreme("max", x, -1, keepdims=True)


def extreme(name: str, x: Array, axis: Any = None, *, keepdims: bool = False) -> Array:
    """Return the largest or smallest elements, by the standard's `max` or `min`.

    NumPy reduces a matrix row by row, which takes short ones ten times as long as columns.
    """
    if type(x) is np.ndarray and x.ndim == 2 and axis in (1, -1) and x.shape[1] <= _SHORT:  # noqa: PLR2004
        found = _EXTREMES[name](x.T.copy(), axis=0)
        return found[:, None] if keepdims else found
    return getattr(namespace(x), name)(x, axis=axis, keepdims=keepdims)


def reshape(x: Array, shape: tuple[int, ...]) -> Array:
    """Return the array in another shape; NumPy's function takes five times its method's time."""
    return x.reshape(shape) if type(x) is np.ndarray else namespace(x).reshape(x, shape)


def total(x: Array, axis: Any = None, *, dtype: Any = None, keepdims: bool = False) -> Array:
    """Return the standard's `sum`, to the last bit."""
    if type(x) is np.ndarray and x.dtype.char in _USUAL and dtype is None:
        return _summed(x, axis=axis, keepdims=keepdims)
    return namespace(x).sum(x, axis=axis, dtype=dtype, keepdims=keepdims)


def mean(x: Array, axis: Any = None, *, keepdims: bool = False) -> Array:
    """Return the standard's `mean`, to the last bit; NumPy's takes twice as long as its sum."""
    if type(x) is np.ndarray and x.dtype.char in _USUAL and x.size:
        found = _summed(x, axis=axis, keepdims=keepdims)
        return found / (x.size // found.size)
    return namespace(x).mean(x, axis=axis, keepdims=keepdims)


def one_like(x: Array) -> Array:
    """Return 1, shape (), in the dtype and on the device of an array or a scalar of NumPy's."""
    if isinstance(x, _OF_NUMPY):
        return np.array(1, dtype=x.dtype)
    return namespace(x).ones((), dtype=x.dtype, device=x.device)


def sum_over(x: Array, axis: int) -> Array:
    """Return the sum of a vector, or of a matrix along one axis, of lengths as batches have them.

    A product with ones takes NumPy a third of the time; for the last bit of NumPy, take `total`.
    """
    if type(x) is np.ndarray:
        ones = _ones(x.shape[axis], x.dtype)
        return x @ ones if axis in (-1, x.ndim - 1) else ones @ x
    return namespace(x).sum(x, axis=axis)


def sum_over_axes(x: Array, axes: tuple[int, ...], *, keepdims: bool = False) -> Array:
    """Return the sum over some axes, none of them negative, of any array, as fast and accurate."""
    if len(axes) == 1 and type(x) is np.ndarray and x.ndim == 2 and x.dtype.char in _USUAL:  # noqa: PLR2004
        (k,) = axes
        if x.shape[k] <= (_BLOCK if k else _MANY):
            found = sum_over(x, k)
            return (found[:, None] if k else found[None, :]) if keepdims else found
    return namespace(x).sum(x, axis=axes, keepdims=keepdims)


@lru_cache(maxsize=64)
def _ones(n: int, dtype: Any) -> Array:
    ones = np.ones(n, dtype=dtype)
    ones.flags.writeable = False
    return ones
