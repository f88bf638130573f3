"""Random numbers that are the same on every backend: drawn on the host, then moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradlab.backend.arrays import asarray, asarray_like
from gradlab.backend.library import Array
from gradlab.backend.selection import get_backend

__all__ = ["Generator", "as_generator"]

Shape = int | Sequence[int]


class Generator:
    """Random numbers of one seed: PCG64 on the host in float64, cast, then moved.

    The numbers depend on the seed and the order of the calls alone, not on backend, device or
    dtype (float32 numbers are the float64 ones, rounded). NumPy promises the stream of PCG64
    forever, that of its distributions only within a version.

    Parameters
    ----------
    seed : int, optional
        Non-negative. None draws one from the operating system, kept in `seed`.

    Attributes
    ----------
    seed : int
        What makes another generator with the same numbers.

    Examples
    --------
    >>> import gradlab as gl
    >>> rng = gl.backend.random.Generator(seed=2)
    >>> rng.permutation(4).tolist()
    [3, 2, 0, 1]
    """

    seed: int

    def __init__(self, seed: int | None = None) -> None:
        if seed is None:
            seed = int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]  # an int here
        if isinstance(seed, bool) or not hasattr(seed, "__index__") or seed.__index__() < 0:
            msg = f"`seed` must be a non-negative integer, a Generator or None: got {seed!r}"
            raise ValueError(msg)
        self.seed = seed.__index__()
        self._host = np.random.Generator(np.random.PCG64(self.seed))

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed})"

    @property
    def state(self) -> dict[str, Any]:
        """Plain values that say where in its stream the generator is; setting them goes there."""
        return dict(self._host.bit_generator.state)

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._host.bit_generator.state = state

    def normal(
        self,
        shape: Shape = (),
        *,
        scale: float = 1.0,
        dtype: str | None = None,
        like: Array | None = None,
    ) -> Array:
        """Normal numbers of mean 0 and standard deviation `scale`.

        Parameters
        ----------
        shape : int or tuple of int
            Default: one number, as a 0-d array.
        scale : float
            Standard deviation.
        dtype : {"float64", "float32"}, optional
            Default: that of `get_backend`.
        like : array, optional
            The result has its dtype, and is made in its library and on its device. Default: the
            selected backend.

        Returns
        -------
        array, `shape`
        """
        values = self._host.standard_normal(shape) * scale
        if like is None:
            return self._floats(values, dtype)
        named = "float32" if "float32" in str(like.dtype) else "float64"
        return _moved(np.asarray(values).astype(named), like)  # a device may lack the other

    def uniform(
        self, low: float = 0.0, high: float = 1.0, shape: Shape = (), *, dtype: str | None = None
    ) -> Array:
        """Numbers uniform in [low, high), on the selected backend; `dtype` as in `normal`."""
        return self._floats(self._host.uniform(low, high, shape), dtype)

    def integers(
        self, low: int, high: int, shape: Shape = (), *, like: Array | None = None
    ) -> Array:
        """Integers of int64, low <= i < high, with replacement.

        Parameters
        ----------
        low, high : int
            The range, `high` excluded.
        shape : int or tuple of int
        like : array, optional
            The result is made in its library and on its device. Default: the selected backend.

        Returns
        -------
        array, `shape`
        """
        return _moved(self._host.integers(low, high, shape), like)

    def permutation(self, n: int, *, like: Array | None = None) -> Array:
        """The integers 0 .. n - 1 in random order, int64, shape (n,); `like` as in `integers`."""
        return _moved(self._host.permutation(n), like)

    def _floats(self, values: Any, dtype: str | None) -> Array:
        return asarray(np.asarray(values).astype(dtype or get_backend().dtype))


def as_generator(seed: int | Generator | None) -> Generator:
    """Return the generator itself, or a new one of the seed: what every `seed` argument takes."""
    return seed if isinstance(seed, Generator) else Generator(seed)


def _moved(values: Any, like: Array | None) -> Array:
    values = np.asarray(values)
    return asarray(values) if like is None else asarray_like(values, like)
