"""Reductions that NumPy has a much faster way for; elsewhere they are the standard's."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from gradlab.backend.arrays import namespace
from gradlab.backend.library import Array

__all__ = ["row_maxima", "sum_over"]

_SHORT = 32  # elements of a row, up to which to transpose it pays


def row_maxima(x: Array) -> Array:
    """Return the largest element of each row, the last axis, which is kept with length 1.

    NumPy reduces row by row, which takes short ones ten times as long as columns.
    """
    if type(x) is np.ndarray and x.ndim == 2 and x.shape[1] <= _SHORT:  # noqa: PLR2004
        return np.maximum.reduce(x.T.copy(), axis=0)[:, None]
    return namespace(x).max(x, axis=-1, keepdims=True)


def sum_over(x: Array, axis: int) -> Array:
    """Return the sum of a vector, or of a matrix along one axis.

    A product with ones takes NumPy a third of the time.
    """
    if type(x) is np.ndarray:
        ones = _ones(x.shape[axis], x.dtype)
        return x @ ones if axis in (-1, x.ndim - 1) else ones @ x
    return namespace(x).sum(x, axis=axis)


@lru_cache(maxsize=64)
def _ones(n: int, dtype: Any) -> Array:
    ones = np.ones(n, dtype=dtype)
    ones.flags.writeable = False
    return ones
