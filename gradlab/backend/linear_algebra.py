"""Linear algebra that libraries do in ways too different to be left to them."""

from __future__ import annotations

from gradlab.backend.arrays import namespace
from gradlab.backend.library import Array, library_of

__all__ = ["cholesky"]

_ROUNDINGS = 16.0  # of a product of n numbers, that a factor's square is off by at the most


def cholesky(a: Array) -> Array:
    """Lower Cholesky factor of the lower triangle of each matrix of `a`.

    Where there is none, libraries raise; CuPy, which would have to wait for the device, returns
    what it has. Then it is NaN here: a factor is one if its square is `a`.
    """
    xp = namespace(a)
    lower = xp.linalg.cholesky(a)
    if library_of(a) != "cupy":
        return lower
    off = xp.abs(xp.tril(lower @ xp.conj(lower.mT) - a))
    size = xp.max(xp.abs(xp.linalg.diagonal(a)), axis=-1)[..., None, None]
    eps = float(xp.finfo(a.dtype).eps)
    is_factor = xp.all(off <= _ROUNDINGS * a.shape[-1] * eps * size, axis=(-2, -1), keepdims=True)
    return xp.where(is_factor, lower, xp.full_like(lower, float("nan")))
