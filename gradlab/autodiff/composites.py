"""Functions of the traced namespace that are written with others of it.

Each takes the namespace first. They stand here rather than among the rules because they have none:
what they call is recorded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any

from gradlab import backend
from gradlab.autodiff.array import Array, apply, constant, frozen, plain
from gradlab.autodiff.elementwise import is_complex_dtype, is_inexact_dtype
from gradlab.autodiff.rule import RULES, Rule
from gradlab.autodiff.structural import axis_of
from gradlab.backend import is_array, kind_of, namespace, snapshot

__all__ = ["COMPOSITES", "as_view", "composite", "kept"]

_FIXED = (bool, float, int, tuple, type(None))  # options that nobody can change
COMPOSITES: dict[str, Callable[..., Any]] = {}


def composite(function: Callable[..., Any]) -> Callable[..., Any]:
    """Enter a function that is written with others of the namespace, its first argument."""
    COMPOSITES[function.__name__] = function
    return function


def as_view(rule: Rule, x: Any, **options: Any) -> Array:
    """What NumPy gives as a view of `x`."""
    options = kept(options)
    if type(x) is Array:
        return x._view(apply(rule, (x,), options))
    return apply(rule, (snapshot(x) if is_array(x) else x,), options)


def kept(options: dict[str, Any]) -> dict[str, Any]:
    """Options for the backward pass: a list or an array may change until then."""
    return {name: x if type(x) in _FIXED else _fixed(x) for name, x in options.items()}


def _fixed(x: Any) -> Any:
    if type(x) is list:
        return tuple(x)
    return snapshot(x) if is_array(x) and type(x) is not Array else frozen(x)


@composite
def asarray(
    xp: Any, obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None
) -> Array:
    if type(obj) is not Array:
        if isinstance(obj, list | tuple) and _holds_arrays(obj):
            made = stack(xp, [asarray(xp, e) for e in obj])
            return made if dtype is None else xp.astype(made, dtype)
        values = snapshot(obj) if is_array(obj) else obj
        return constant(xp.inner.asarray(values, dtype=dtype, device=device))
    if device is not None:
        obj.to_device(device)
    if dtype is not None and dtype != obj.dtype:
        return xp.astype(obj, dtype)
    if not is_array(plain(obj)):  # a scalar of NumPy, of which it makes an array
        return apply(RULES["broadcast_to"], (obj,), {"new_shape": ()})
    return xp.astype(obj, obj.dtype, copy=True) if copy else obj


@composite
def from_dlpack(xp: Any, x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    is_ours = type(x) is Array
    if copy is False and not is_ours:
        msg = "xp.from_dlpack cannot share memory that others may write to: leave `copy=False` away"
        raise BufferError(msg)
    options = {} if device is None else {"device": device}
    made = xp.inner.from_dlpack(x._value("xp.from_dlpack") if is_ours else x, **options)
    return constant(made if is_ours else snapshot(made))


def _holds_arrays(obj: Any) -> bool:
    return any(type(e) is Array or (isinstance(e, list | tuple) and _holds_arrays(e)) for e in obj)


@composite
def astype(xp: Any, x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    if type(x) is not Array:
        x = constant(snapshot(x))
    if isinstance(dtype, str):  # as NumPy names them, such as "f4"
        dtype = xp.inner.empty((0,), dtype=dtype).dtype
    if device is not None:
        x.to_device(device)
    if dtype == x.dtype and not copy:
        return x  # as NumPy does: the same array by the same name
    if is_inexact_dtype(dtype):
        return apply(RULES["astype"], (x,), {"dtype": dtype, "copy": copy})
    if kind_of(dtype) not in ("bool", "integral"):
        msg = f"xp.astype takes dtypes of numbers and truth values: got {dtype}"
        raise TypeError(msg)
    values = plain(x)  # integers and truth values: steps, without a derivative
    return constant(namespace(values).astype(values, dtype))


@composite
def full(xp: Any, shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    if type(fill_value) is not Array:
        return constant(xp.inner.full(shape, fill_value, dtype=dtype, device=device))
    shape = (shape,) if isinstance(shape, Integral) else tuple(shape)
    value = fill_value if dtype is None else xp.astype(fill_value, dtype)
    return xp.astype(xp.broadcast_to(value, shape), value.dtype, copy=True)


@composite
def full_like(
    xp: Any, x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None
) -> Array:
    dtype, device = dtype or x.dtype, device or x.device
    return full(xp, tuple(x.shape), fill_value, dtype=dtype, device=device)


@composite
def sign(xp: Any, x: Any, /) -> Array:
    if is_complex_dtype(x.dtype):
        zero = x == 0  # the gradient is 0 there
        safe = xp.where(zero, xp.ones_like(x), x)
        return xp.where(zero, xp.zeros_like(x), safe / xp.abs(safe))
    return constant(backend.sign(plain(x)))


@composite
def clip(xp: Any, x: Any, /, min: Any = None, max: Any = None) -> Array:
    if not is_inexact_dtype(x.dtype):
        for name, bound in (("min", min), ("max", max)):
            if type(bound) is Array and bound._node is not None:
                msg = (
                    f"xp.clip of {x.dtype} would cut the traced bound `{name}` off from its "
                    "derivative: make x floating, xp.astype(x, xp.float64)"
                )
                raise TypeError(msg)
    out = xp.asarray(x, copy=True) if min is None and max is None else x
    for bound, is_within in ((min, xp.greater_equal), (max, xp.less_equal)):
        if bound is not None:
            limit = _like(xp, bound, x)
            is_nan = out != out  # noqa: PLR0124  (xp.isnan takes no integers)
            out = xp.where(is_within(out, limit) | is_nan, out, limit)
    return xp.astype(out, x.dtype, copy=False)


def _like(xp: Any, value: Any, x: Array) -> Any:
    if is_array(value):
        return value
    return xp.asarray(value, dtype=x.dtype, device=x.device)


@composite
def stack(xp: Any, arrays: Any, /, *, axis: int = 0) -> Array:
    return xp.concat([xp.expand_dims(x, axis=axis) for x in arrays], axis=axis)


@composite
def concat(xp: Any, arrays: Any, /, *, axis: int | None = 0) -> Array:
    arrays = tuple(arrays)
    options = {"axis": axis, "shapes": tuple(tuple(x.shape) for x in arrays)}
    return apply(RULES["concat"], arrays, options)


@composite
def unstack(xp: Any, x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    axis = axis_of(axis, x.ndim)
    key = (slice(None),) * axis
    return tuple(x[(*key, k, ...)] for k in range(x.shape[axis]))


@composite
def reshape(xp: Any, x: Any, /, shape: Any, *, copy: bool | None = None) -> Array:
    return as_view(RULES["reshape"], x, new_shape=shape, copy=copy)


@composite
def broadcast_to(xp: Any, x: Any, /, shape: Any) -> Array:
    return as_view(RULES["broadcast_to"], x, new_shape=shape)._read_only()


@composite
def broadcast_arrays(xp: Any, *arrays: Any) -> tuple[Array, ...]:
    shape = xp.inner.broadcast_arrays(*(plain(x) for x in arrays))[0].shape
    return tuple(xp.broadcast_to(xp.asarray(x), shape) for x in arrays)


@composite
def meshgrid(xp: Any, *arrays: Any, indexing: str = "xy") -> tuple[Array, ...]:
    if indexing not in ("xy", "ij"):
        msg = f"`indexing` of xp.meshgrid must be 'xy' or 'ij': got {indexing!r}"
        raise ValueError(msg)
    arrays = tuple(xp.asarray(x) for x in arrays)
    order = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        order[:2] = [1, 0]
    shape = tuple(arrays[k].shape[0] for k in order)
    grids = []
    for k, x in enumerate(arrays):
        place = order.index(k)
        one = tuple(-1 if p == place else 1 for p in range(len(arrays)))
        grids.append(xp.astype(xp.broadcast_to(xp.reshape(x, one), shape), x.dtype, copy=True))
    return tuple(grids)


@composite
def sort(
    xp: Any, x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True
) -> Array:
    order = xp.argsort(x, axis=axis, descending=descending, stable=stable)
    return xp.take_along_axis(x, order, axis=axis)


def _check_no_mask(name: str, indices: Any) -> None:
    """Raise for truth values, which NumPy takes for 0 and 1 here, and an index for a choice."""
    if kind_of(indices.dtype) == "bool":
        msg = f"{name} takes whole numbers for indices: got truth values; write x[mask] to choose"
        raise TypeError(msg)


@composite
def take(xp: Any, x: Any, indices: Any, /, *, axis: int | None = None) -> Array:
    if axis is None and x.ndim != 1:
        msg = f"xp.take of an array with {x.ndim} dimensions needs an `axis`"
        raise TypeError(msg)
    k = 0 if axis is None else axis_of(axis, x.ndim)
    if not is_array(indices):
        indices = xp.asarray(indices, device=x.device)
        indices = xp.astype(indices, xp.int64) if 0 in indices.shape else indices
    _check_no_mask("xp.take", indices)
    return x[(*((slice(None),) * k), indices, *((slice(None),) * (x.ndim - k - 1)))]


@composite
def take_along_axis(xp: Any, x: Any, indices: Any, /, *, axis: int = -1) -> Array:
    axis = axis_of(axis, x.ndim)
    inner, indices = xp.inner, plain(indices)
    _check_no_mask("xp.take_along_axis", indices)
    if len(indices.shape) != x.ndim:
        msg = (
            "xp.take_along_axis needs indices of as many dimensions as x: got "
            f"{len(indices.shape)}, x has {x.ndim}"
        )
        raise ValueError(msg)
    grid = []
    for k in range(x.ndim):
        if k == axis:
            grid.append(indices)
            continue
        one = tuple(-1 if p == k else 1 for p in range(x.ndim))
        steps = inner.arange(x.shape[k], dtype=indices.dtype, device=indices.device)
        grid.append(inner.reshape(steps, one))
    shape = inner.broadcast_arrays(*grid)[0].shape
    return x[tuple(inner.broadcast_to(part, shape) for part in grid)]


@composite
def repeat(xp: Any, x: Any, repeats: Any, /, *, axis: int | None = None) -> Array:
    if axis is None:
        x, axis = xp.reshape(x, (-1,)), 0
    inner = xp.inner
    places = inner.arange(x.shape[axis], device=plain(x).device)
    return take(xp, x, inner.repeat(places, plain(repeats)), axis=axis)


@composite
def tile(xp: Any, x: Any, repetitions: Any, /) -> Array:
    n = max(x.ndim, len(repetitions))
    shape = (1,) * (n - x.ndim) + tuple(x.shape)
    times = (1,) * (n - len(repetitions)) + tuple(repetitions)
    x = xp.reshape(x, tuple(s for size in shape for s in (1, size)))
    wide = tuple(s for t, size in zip(times, shape, strict=True) for s in (t, size))
    shape = tuple(t * s for t, s in zip(times, shape, strict=True))
    tiled = xp.reshape(xp.broadcast_to(x, wide), shape)
    return xp.astype(tiled, tiled.dtype, copy=True)  # no view of x, whatever was repeated


@composite
def diff(
    xp: Any, x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None
) -> Array:
    if n < 0:
        msg = f"`n` of xp.diff must be 0 or more: got {n}"
        raise ValueError(msg)
    if n == 0:
        return x  # by the same name, as NumPy does
    before = (slice(None),) * axis_of(axis, x.ndim)
    x = xp.concat([e for e in (prepend, x, append) if e is not None], axis=axis)
    for _ in range(n):
        x = x[(*before, slice(1, None), ...)] - x[(*before, slice(None, -1), ...)]
    return x


@composite
def matmul(xp: Any, a: Any, b: Any, /) -> Array:
    if a.ndim == 1:
        return _element(matmul(xp, a[None, :], b), (..., 0, slice(None)) if b.ndim > 1 else 0)
    if b.ndim == 1:
        return _element(matmul(xp, a, b[:, None]), (..., 0))
    return apply(RULES["matmul"], (a, b), {})


def _element(x: Array, key: Any) -> Array:
    """Part of what no other name refers to; one element is what NumPy makes a scalar of."""
    return apply(RULES["getitem"], (x,), {"key": key})


@composite
def tensordot(xp: Any, a: Any, b: Any, /, *, axes: Any = 2) -> Array:
    if isinstance(axes, Integral):
        pairs = [tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))]
    else:
        pairs = [
            tuple(axis_of(k, x.ndim) for k in own) for x, own in zip((a, b), axes, strict=True)
        ]
    lengths = [tuple(x.shape[k] for k in own) for x, own in zip((a, b), pairs, strict=True)]
    if lengths[0] != lengths[1]:
        msg = f"xp.tensordot needs equal lengths along `axes`: got {lengths[0]} and {lengths[1]}"
        raise ValueError(msg)
    rest = [
        [k for k in range(x.ndim) if k not in own] for x, own in zip((a, b), pairs, strict=True)
    ]
    n = math.prod(a.shape[k] for k in pairs[0])
    rows = math.prod(a.shape[k] for k in rest[0])
    columns = math.prod(b.shape[k] for k in rest[1])
    left = xp.reshape(xp.permute_dims(a, (*rest[0], *pairs[0])), (rows, n))
    right = xp.reshape(xp.permute_dims(b, (*pairs[1], *rest[1])), (n, columns))
    shape = tuple(x.shape[k] for x, own in zip((a, b), rest, strict=True) for k in own)
    return xp.reshape(matmul(xp, left, right), shape)


@composite
def vecdot(xp: Any, a: Any, b: Any, /, *, axis: int = -1) -> Array:
    if a.ndim != b.ndim and axis != -1:  # an axis of each, before they are broadcast
        a, b, axis = xp.moveaxis(a, axis, -1), xp.moveaxis(b, axis, -1), -1
    if a.shape[axis] != b.shape[axis]:
        msg = (
            f"xp.vecdot needs vectors of one length along `axis`: got {a.shape[axis]} and "
            f"{b.shape[axis]}"
        )
        raise ValueError(msg)
    product = (xp.conj(a) if xp.isdtype(a.dtype, "complex floating") else a) * b
    return xp.sum(product, axis=axis, dtype=product.dtype)
