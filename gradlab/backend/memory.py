"""Who owns memory, how it is given back, and the one write that the standard lacks."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.backend.arrays import asarray_like, is_array, namespace, to_numpy
from gradlab.backend.library import HOST_CHUNK_BYTES, LIBRARIES, Array, library_of, load
from gradlab.backend.selection import get_backend

__all__ = [
    "chunk_bytes",
    "free_cached_memory",
    "fresh",
    "owned",
    "read_only",
    "scatter_add",
    "snapshot",
]


def chunk_bytes(like: Array) -> int:
    """How large, in bytes, the arrays should be that a computation beside `like` builds at once.

    Small for a processor; a part of the memory that is free for a GPU.
    """
    name = library_of(like)
    if name in LIBRARIES:
        library = load(name)
        return library.chunk_bytes(library.device_of(like))
    return HOST_CHUNK_BYTES


def free_cached_memory() -> None:
    """Give memory that the selected backend holds, but no array uses, back to its device.

    CuPy keeps what arrays have left, so that the next ones cost nothing; other programs on the
    GPU, and other libraries in this one, cannot have it meanwhile. Waits for the device. Elsewhere
    there is nothing to give back.

    Examples
    --------
    >>> import gradlab as gl
    >>> gl.backend.free_cached_memory()
    """
    backend = get_backend()
    load(backend.name).free_cached_memory(backend.device)


def snapshot(x: Array) -> Array:
    """Return `x` if nobody can write to it, else a copy that nobody will."""
    flags = getattr(x, "flags", None)
    if flags is not None and flags.owndata and not getattr(flags, "writeable", True):
        return x  # a read-only view may be of memory that is written to
    return namespace(x).asarray(x, copy=True)


def fresh(x: Array) -> Array:
    """Return `x` if its memory is its own and can be written to, else a copy; a scalar as 0-d."""
    if isinstance(x, np.generic):
        return np.asarray(x)
    flags = getattr(x, "flags", None)
    if flags is not None and flags.owndata and getattr(flags, "writeable", True):
        return x
    return namespace(x).asarray(x, copy=True)


def owned(x: Any) -> Any:
    """Return a copy of an array, anything else as it is: what a caller's function has returned.

    Its next call may write into the same array.
    """
    if type(x) is np.ndarray:
        return x.copy()
    return namespace(x).asarray(x, copy=True) if is_array(x) else x


def read_only(x: Array) -> Array:
    """Return `x` for code that may write to it: a view that refuses, or else a copy."""
    if isinstance(x, np.ndarray):
        view = x.view()
        view.flags.writeable = False
        return view
    return namespace(x).asarray(x, copy=True)


def scatter_add(values: Array, key: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with `values` added at `key`, as often as the key names an element.

    Parameters
    ----------
    values : array
        Shaped like ``zeros[key]``.
    key : index of the standard, or arrays of integers or truth values as NumPy takes them
    shape : tuple of int

    Returns
    -------
    array, `shape`
        dtype and device of `values`.
    """
    xp = namespace(values)
    out = xp.zeros(shape, dtype=values.dtype, device=values.device)
    parts = key if isinstance(key, tuple) else (key,)
    if not any(hasattr(part, "dtype") and part.ndim for part in parts):
        key = tuple(part for part in parts if part is not None)  # None is not for assignment
        out[key] = xp.reshape(values, out[key].shape)
        return out
    name = library_of(values)
    if name in LIBRARIES:
        return load(name).add_at(out, key, values)
    host = to_numpy(out)  # a library that cannot be selected: by way of the host
    np.add.at(host, tuple(to_numpy(p) if is_array(p) else p for p in parts), to_numpy(values))
    return asarray_like(host, values)
