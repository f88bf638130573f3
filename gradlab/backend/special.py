"""Special functions, which the standard lacks: each from the library that holds the data.

SciPy's for NumPy, CuPy's (cupyx) for CuPy, torch's own for torch. Where a library lacks a function,
SciPy computes it from data on the host; data on a GPU stay there, and the call raises.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.backend.arrays import asarray_like, is_array, to_numpy
from gradlab.backend.library import LIBRARIES, Array, library_of, load

__all__ = ["special_function"]


def special_function(name: str, *operands: Any) -> Array:
    """Compute a special function where its arguments live.

    Parameters
    ----------
    name : str
        As SciPy calls it.
    *operands : array or int
        At least one real floating array; all of one library.

    Returns
    -------
    array
        Library and device of the arrays, and their dtype.

    Raises
    ------
    ImportError
        If SciPy is needed and not installed.
    NotImplementedError
        If the library has no such function, and the arrays are not on the host.
    """
    like = next(x for x in operands if is_array(x) or isinstance(x, np.generic))
    function = getattr(_module(like), name, None)
    if function is not None:
        if library_of(like) == "cupy":  # takes arrays alone, as the order of `polygamma`, too
            return function(*(_of_dtype(x, like) if type(x) is int else x for x in operands))
        return function(*operands)
    if _is_away(like):
        msg = (
            f"{library_of(like)} has no special function {name!r}, and SciPy's computes on the "
            "host alone: move the arrays there (gradlab.to_numpy)"
        )
        raise NotImplementedError(msg)
    return asarray_like(
        _on_host(name, [x if type(x) is int else to_numpy(x) for x in operands]), like
    )


def _of_dtype(number: int, like: Array) -> Array:
    return asarray_like(np.asarray(number, like.dtype), like)


def _module(like: Array) -> Any:
    """Module of the library's own special functions; None where SciPy has them."""
    name = library_of(like)
    if name in LIBRARIES:
        return load(name).special()
    if name == "torch":
        import torch  # noqa: PLC0415  (only where torch is in use)

        return torch.special
    return None


def _is_away(x: Array) -> bool:
    name = library_of(x)
    return name == "cupy" or (name == "torch" and x.device.type != "cpu")


def _on_host(name: str, operands: list[Any]) -> np.ndarray[Any, Any]:
    """Value by SciPy, in the dtype of the arrays: some of its functions give float64 always."""
    try:
        from scipy import special  # noqa: PLC0415  (optional, slow)
    except ImportError as error:
        msg = f"special.{name} needs SciPy: run `python -m pip install 'gradlab[special]'`"
        raise ImportError(msg) from error
    dtype = np.result_type(*(x for x in operands if type(x) is not int))
    return np.asarray(getattr(special, name)(*operands), dtype=dtype)
