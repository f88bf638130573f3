"""A clock that is right on a GPU, where calls return before their work is done."""

from __future__ import annotations

from time import perf_counter
from typing import Self

from gradlab.backend.arrays import synchronize

__all__ = ["Timer"]


class Timer:
    """Context manager that measures the seconds its block takes, the device's work included.

    The selected backend is waited for at both ends. First calls on a GPU compile kernels: run
    the block once before it is timed.

    Attributes
    ----------
    seconds : float
        Wall-clock time of the last block.

    Examples
    --------
    >>> import gradlab as gl
    >>> x = gl.asarray([1.0, 2.0])
    >>> with gl.backend.Timer() as timer:
    ...     y = x * x
    >>> timer.seconds > 0
    True
    """

    seconds: float

    def __enter__(self) -> Self:
        synchronize()
        self._start = perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        synchronize()
        self.seconds = perf_counter() - self._start
