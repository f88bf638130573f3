"""Arrays in, arrays out, and the namespace of the arrays that are given."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np

from gradlab.backend.library import LIBRARIES, Array, Namespace, library_of, load
from gradlab.backend.selection import get_backend

__all__ = [
    "asarray",
    "asarray_like",
    "ensure_array",
    "is_array",
    "kind_of",
    "namespace",
    "nonfinite_expected",
    "overflow_expected",
    "rows_of",
    "sign",
    "stack_arrays",
    "stack_scalars",
    "synchronize",
    "to_numpy",
    "with_namespace",
]

# Types whose namespace is that of their library, whatever the array: asking costs a lookup.
_namespace_of_type: dict[type, Namespace] = {}
_scalar_types: set[type] = set()  # NumPy's, among them
_WITHOUT_METHOD = ("cupy", "torch")  # whose arrays have no `__array_namespace__`
_SCALARS = (bool, int, float, complex, type(None))
_KINDS = {  # by a part of the names of their dtypes
    "bool": "bool",
    "int": "integral",
    "float": "real floating",
    "complex": "complex floating",
}
_DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "complex64", "complex128"),
)


def namespace(*arrays: Array, names: tuple[str, ...] = ()) -> Namespace:
    """Array namespace of the given arrays; with none given, that of the selected backend.

    Parameters
    ----------
    *arrays : array, Python scalar or None
        Arrays of one library. Scalars and None belong to any.
    names : tuple of str, optional
        What the caller calls them, for the message of an error.

    Returns
    -------
    namespace
        With the functions of the array API standard (array-api-compat's for NumPy and CuPy).

    Raises
    ------
    TypeError
        If the arrays are of two libraries, or something is no array, or one of NumPy's subclasses
        with rules of their own: a masked array, a matrix.

    Examples
    --------
    >>> import gradlab as gl
    >>> xp = gl.namespace(gl.asarray([1.0, 2.0]))
    >>> xp.__name__
    'array_api_compat.numpy'
    """
    found = None
    for x in arrays:
        xp = _namespace_of_type.get(type(x)) or _namespace_of(x)
        if xp is None or xp is found:
            continue
        if found is None or getattr(xp, "inner", None) is found:
            found = xp  # of two namespaces, the one that is written over the other
        elif getattr(found, "inner", None) is not xp:
            raise TypeError(_two_libraries(arrays, names))
    return load(get_backend().name).namespace() if found is None else found


def with_namespace(values: list[Any]) -> tuple[Namespace, list[Any]]:
    """Namespace of some values, and these: beside arrays of another library, NumPy's scalars too.

    Those libraries take them in their operators, as constants such as ``np.sqrt(2.0)``.
    """
    try:
        return namespace(*values), values
    except TypeError:
        like = next((x for x in values if is_array(x)), None)
        if like is None or not any(isinstance(x, np.generic) for x in values):
            raise
        to_it = [asarray_like(x, like) if isinstance(x, np.generic) else x for x in values]
        return namespace(*to_it), to_it


def is_array(x: object) -> bool:
    """Whether `x` is an array of any library; scalars, NumPy's too, and lists are not."""
    kind = type(x)
    if kind in _namespace_of_type:
        return kind not in _scalar_types
    if isinstance(x, np.generic):
        return False
    return hasattr(x, "__array_namespace__") or (
        library_of(x) in _WITHOUT_METHOD and hasattr(x, "dtype")
    )


def kind_of(dtype: Any) -> str:
    """Kind of a dtype of any library, by its name; NumPy's `isdtype` takes longer than a sum.

    Returns
    -------
    str
        "bool", "integral", "real floating" or "complex floating"; "other" of what is no number.
    """
    return _kind(dtype.__class__, dtype)


def asarray(obj: Any, dtype: Any = None) -> Array:
    """Array of the selected backend: the only way in, and from one backend to another.

    Parameters
    ----------
    obj : array, scalar or nested list of numbers
        An array of any library. What already is where it should be is returned as it is.
    dtype : str or dtype of the selected backend, optional
        Default: an array and a NumPy scalar keep theirs; Python floats get the default dtype
        (`get_backend`), integers int64.

    Returns
    -------
    array
        On the selected device, shape of `obj`.

    Raises
    ------
    TypeError
        If `obj` does not hold numbers, or `dtype` is unknown.
    ValueError
        If the rows of `obj` differ in length.

    Examples
    --------
    >>> import gradlab as gl
    >>> gl.asarray([1, 2.5])
    array([1. , 2.5])
    """
    is_one = is_array(obj)
    if (is_one or isinstance(obj, np.generic)) and kind_of(obj.dtype) == "other":
        msg = f"`obj` must hold numbers: got {type(obj).__name__} of {obj.dtype}"
        raise TypeError(msg)
    backend = get_backend()
    library = load(backend.name)
    xp = library.namespace()
    kept = is_one and library_of(obj) == backend.name
    named = _dtype_by_name(xp, dtype) if isinstance(dtype, str) else None
    if kept and library.device_of(obj) == backend.device:
        x = obj
    else:
        values = _on_host(obj, backend.dtype, "obj")
        if named is not None:
            values = values.astype(dtype)  # before it goes to a device that may lack the other
        x = library.from_host(values, backend.device)
    dtype = dtype if named is None else named
    return x if dtype is None else xp.astype(x, dtype, copy=False)


def asarray_like(obj: Any, like: Array) -> Array:
    """Array with the host values `obj` in the library and on the device of the array `like`.

    Parameters
    ----------
    obj : NumPy array, scalar or nested list of numbers
        Its dtype is kept.
    like : array
        Of any library.

    Returns
    -------
    array, shape of `obj`
    """
    name = library_of(like)
    values = np.asarray(obj)
    if name in LIBRARIES:
        library = load(name)
        return library.from_host(values, library.device_of(like))
    return namespace(like).asarray(values, device=like.device)


def ensure_array(x: Any, called: str = "obj") -> Array:
    """Return an array as it is; anything else becomes one, a NumPy scalar of NumPy's.

    `called` is the name of `x` in messages.

    NumPy's operators turn 0-d arrays into scalars, so a caller may hold one without knowing.
    """
    if is_array(x):
        return x
    if isinstance(x, np.generic):
        return np.asarray(x)
    backend = get_backend()
    return load(backend.name).from_host(_on_host(x, backend.dtype, called), backend.device)


def rows_of(x: Array) -> Sequence[Array]:
    """Return what `x` has along its first axis, as arrays, of one axis less, that may share memory.

    Iteration would make scalars of NumPy's 0-d arrays; of its others it is the fastest way.
    """
    if x.ndim == 1:
        return [x[r, ...] for r in range(x.shape[0])]
    return list(x) if type(x) is np.ndarray else namespace(x).unstack(x)


def sign(x: Array) -> Array:
    """Sign of each real number, 0 at 0, NaN where it is NaN, without a wait for the device.

    array-api-compat's `sign` writes NaN of CuPy's through a mask, whose size CuPy waits for.
    """
    xp = namespace(x)
    if library_of(x) == "cupy":
        return xp.where(x > 0, 1, xp.where(x < 0, -1, x))
    return xp.sign(x)


def stack_arrays(arrays: Sequence[Array]) -> Array:
    """Arrays of one shape, along a new first axis."""
    if set(map(type, arrays)) == {np.ndarray}:
        return np.asarray(arrays)  # in a tenth of the time of NumPy's stack
    return namespace(*arrays).stack(list(arrays))


def stack_scalars(scalars: Sequence[Any], like: Array) -> Array:
    """One-dimensional array of what calls of a scalar function returned.

    Parameters
    ----------
    scalars : sequence of 0-d arrays, NumPy scalars or Python numbers
        All of one kind. 0-d arrays stay on their device: nothing is waited for.
    like : array
        Python numbers become its dtype; they and NumPy scalars go to its device. (Of another
        library, NumPy's float64 is a Python float.)

    Returns
    -------
    array, shape (len(scalars),) where the scalars are 0-d
        dtype of the scalars.
    """
    first = scalars[0]
    if type(like) is np.ndarray and isinstance(first, int | float):
        return np.asarray(scalars, dtype=None if type(first) is np.float64 else like.dtype)
    if is_array(first):
        return stack_arrays(scalars)
    if isinstance(first, int | float):  # np.float64 is a float: it may be here by accident
        name = str(like.dtype).rpartition(".")[2]  # of array-api-strict, torch: a name with dots
        return asarray_like(np.asarray(scalars, dtype=name), like)
    return asarray_like(np.asarray(scalars), like)


def to_numpy(x: Any) -> np.ndarray[Any, Any]:
    """NumPy array with the values of `x`: the only way out. Waits for the device.

    Parameters
    ----------
    x : array, scalar or nested list of numbers
        Of any library, on any device.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of `x`. May share the memory of an `x` that lives on the host.

    Examples
    --------
    >>> import gradlab as gl
    >>> gl.to_numpy(gl.asarray([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """
    name = library_of(x)
    if name in LIBRARIES:
        return load(name).to_host(x)  # type: ignore[no-any-return]  # an array is `Any`
    if _is_torch(x):
        import array_api_compat  # noqa: PLC0415  (not at `import gradlab`)

        return np.from_dlpack(array_api_compat.to_device(x, "cpu"))
    return np.asarray(x)


def overflow_expected() -> AbstractContextManager[Any]:
    """Block whose overflow to infinity is meant: NumPy does not warn of it; no other library does.

    Returns
    -------
    context manager
        For this thread and task alone; costs less than a microsecond.
    """
    return np.errstate(over="ignore")


def nonfinite_expected() -> AbstractContextManager[Any]:
    """Block whose infinities and NaN are looked at afterwards: NumPy does not warn of them.

    Returns
    -------
    context manager
        As from `overflow_expected`.
    """
    return np.errstate(over="ignore", divide="ignore", invalid="ignore")


def synchronize() -> None:
    """Wait until the selected backend has finished all work given to it."""
    load(get_backend().name).synchronize()


def _namespace_of(x: Any) -> Namespace | None:
    if isinstance(x, _SCALARS) and not isinstance(x, np.generic):
        return None
    name = library_of(x)
    if name in LIBRARIES and (is_array(x) or isinstance(x, np.generic)):
        if _has_own_arithmetic(type(x)):
            msg = (
                f"expected a plain array, got {type(x).__name__}, which computes by rules of its "
                "own: convert it with numpy.asarray, a masked one with x.filled(...)"
            )
            raise TypeError(msg)
        xp = load(name).namespace()
    elif _is_torch(x):
        import array_api_compat.torch as xp  # noqa: PLC0415  (only where torch is in use)
    elif hasattr(x, "__array_namespace__"):
        return x.__array_namespace__()  # may differ between arrays of one type
    else:
        msg = f"expected an array, got {type(x).__name__}: convert it with gradlab.asarray"
        raise TypeError(msg)
    if isinstance(x, np.generic):
        _scalar_types.add(type(x))
    _namespace_of_type[type(x)] = xp
    return xp


@cache
def _kind(_: type, dtype: Any) -> str:  # by type first: libraries dislike mixed comparison
    name = getattr(dtype, "name", None) or str(dtype)  # ">f8", where NumPy's bytes are swapped
    return next((kind for part, kind in _KINDS.items() if part in name), "other")


def _has_own_arithmetic(kind: type) -> bool:
    """Whether a class of NumPy's arrays is of another kind: masked arrays, matrices, units."""
    return issubclass(kind, np.ndarray) and any(
        getattr(kind, name) is not getattr(np.ndarray, name)
        for name in ("__mul__", "__array_ufunc__", "__array_function__")
    )


def _is_torch(x: object) -> bool:
    return library_of(x) == "torch" and hasattr(x, "dtype")


def _two_libraries(arrays: tuple[Array, ...], names: tuple[str, ...]) -> str:
    called = names or tuple(f"argument {i}" for i in range(len(arrays)))
    given = ", ".join(
        f"`{name}` is of {library_of(x)}"
        for name, x in zip(called, arrays, strict=True)
        if _namespace_of(x) is not None
    )
    return (
        f"arrays of two libraries in one call: {given}. Convert them with gradlab.asarray (to the "
        "selected backend) or gradlab.to_numpy"
    )


def _on_host(obj: Any, default: str, called: str) -> np.ndarray[Any, Any]:
    if is_array(obj) or isinstance(obj, np.generic):
        return to_numpy(obj)
    try:
        values = np.asarray(obj)
    except ValueError as error:
        msg = f"`{called}` must be a regular nested list of numbers: {error}"
        raise ValueError(msg) from error
    if values.dtype.kind not in "biufc":
        msg = f"`{called}` must hold numbers: NumPy reads {type(obj).__name__} as {values.dtype}"
        raise TypeError(msg)
    if values.dtype.kind == "f":
        return values.astype(default)
    if values.dtype.kind == "c":
        return values.astype("complex128" if default == "float64" else "complex64")
    return values


def _dtype_by_name(xp: Namespace, name: str) -> Any:
    if name not in _DTYPES:
        msg = f"`dtype` must be one of {', '.join(_DTYPES)}: got {name!r}"
        raise TypeError(msg)
    return getattr(xp, name)
