"""The table of rules: reductions, manipulation, indexing, products. `g` is the cotangent.

Conventions: elements that tie for the maximum or minimum share equally; `std` has gradient 0
where it is 0; `prod` and `cumulative_prod` are right with zeros; `sort` is stable.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from gradlab.autodiff.elementwise import conj, ratio
from gradlab.autodiff.rule import rule
from gradlab.backend import extreme, kind_of, mean, reshape, scatter_add, sum_over_axes, total

__all__ = ["axes_of", "axis_of", "product_tree", "scan_product"]


def axis_of(axis: int, ndim: int) -> int:
    """One axis as a non-negative integer."""
    if not -ndim <= axis < ndim:
        msg = f"`axis` {axis} is out of range for an array of {ndim} dimensions"
        raise ValueError(msg)
    return axis % ndim


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Reduced axes as non-negative integers, in order; NumPy takes 0 and -1 where there is none."""
    if type(axis) is int and 0 <= axis < ndim:  # nearly always
        return (axis,)
    if axis is None or ndim == 0:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(sorted(a % ndim for a in axes))


def _widen(g: Any, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Any:  # noqa: FBT001
    """Result of a reduction of `shape`, or its cotangent, with 1 for the lengths reduced."""
    if keepdims:
        return g
    axis = int(axis) if hasattr(axis, "ndim") else axis  # of an array
    return reshape(g, _kept(g.shape, len(shape), axis))


@lru_cache
def _kept(shape: tuple[int, ...], ndim: int, axis: Any) -> tuple[int, ...]:
    """Shape of a cotangent, which may be narrower than the result, with the axes reduced."""
    wide = list(shape)
    for k in axes_of(axis, ndim):
        wide.insert(k, 1)
    return tuple(wide)


def _count(shape: tuple[int, ...], axis: Any, correction: float = 0) -> float:
    if axis is None:
        return max(math.prod(shape) - correction, 0)
    return max(math.prod(shape[k] for k in axes_of(axis, len(shape))) - correction, 0)


def _extreme(xp: Any, g: Any, a: Any, y: Any, axis: Any, keepdims: bool) -> Any:  # noqa: FBT001
    ties = xp.astype(a == _widen(y, a.shape, axis, keepdims), a.dtype)
    shared = sum_over_axes(ties, axes_of(axis, a.ndim), keepdims=True)
    return (_widen(g, a.shape, axis, keepdims) / shared) * ties


def _deviation(xp: Any, a: Any, axis: Any) -> Any:
    """Distance from the mean, by way of that from the first element: of equals, exactly 0."""
    axes = axes_of(axis, a.ndim)
    first = tuple(slice(0, 1) if k in axes else slice(None) for k in range(a.ndim))
    a = xp.subtract(a, a[first])
    return xp.subtract(a, xp.mean(a, axis=axis, keepdims=True))


def _std(xp: Any, g: Any, a: Any, axis: Any, keepdims: bool, correction: float) -> Any:  # noqa: FBT001
    wide = _widen(g / _count(a.shape, axis, correction), a.shape, axis, keepdims)
    d = _deviation(xp, a, axis)
    y = xp.std(d, axis=axis, correction=correction, keepdims=True)  # 0 for equals, as d is
    return wide * ratio(xp, xp.ones_like(y), y) * d


def product_tree(xp: Any, a: Any, axis: Any, keepdims: bool) -> Any:  # noqa: FBT001
    """Product over axes by multiplying halves: the same number as `prod`, exact with zeros."""
    ndim, axes = a.ndim, axes_of(axis, a.ndim)
    rest = [k for k in range(ndim) if k not in axes]
    kept = tuple(1 if k in axes else n for k, n in enumerate(a.shape))
    shape = tuple(a.shape[k] for k in rest)
    n = math.prod(a.shape[k] for k in axes)
    a = xp.reshape(xp.permute_dims(a, (*axes, *rest)), (n, *shape))
    if n == 0:  # 1, whatever a is
        return xp.reshape(xp.sum(a, axis=0) + 1, kept if keepdims else shape)
    while n > 1:
        half = n // 2
        product = a[:half, ...] * a[half : 2 * half, ...]
        a = product if n % 2 == 0 else xp.concat([product, a[2 * half :, ...]], axis=0)
        n -= half
    return xp.reshape(a, kept if keepdims else shape)


def scan_product(xp: Any, a: Any, axis: int) -> Any:
    """Cumulative product in log2(n) multiplications of the whole: exact with zeros."""
    n, distance = a.shape[axis], 1
    a = xp.moveaxis(a, axis, 0)
    while distance < n:
        a = xp.concat([a[:distance, ...], a[distance:, ...] * a[: n - distance, ...]], axis=0)
        distance *= 2
    return xp.moveaxis(a, 0, axis)


def _cumulative(name: str) -> Any:
    def forward(
        xp: Any, a: Any, *, axis: Any = None, dtype: Any = None, include_initial: bool = False
    ) -> Any:
        options = {"dtype": dtype, "include_initial": include_initial}
        axis = 0 if axis is None and a.ndim == 1 else axis
        return getattr(xp, name)(a, axis=axis, **options)

    return forward


def _without_initial(g: Any, axis: Any, include_initial: bool) -> Any:  # noqa: FBT001
    if not include_initial:
        return g
    k = 0 if axis is None else axis % g.ndim
    return g[(slice(None),) * k + (slice(1, None), ...)]


def _cumulative_sum(xp: Any, g: Any, axis: Any, include_initial: bool) -> Any:  # noqa: FBT001
    g, k = _without_initial(g, axis, include_initial), 0 if axis is None else axis
    return xp.flip(xp.cumulative_sum(xp.flip(g, axis=k), axis=k), axis=k)


def _cumulative_prod(through: Any, g: Any, a: Any, axis: Any, include_initial: bool) -> Any:  # noqa: FBT001
    k = 0 if axis is None else axis
    return through(
        lambda xp, a: scan_product(xp, a, k), a, _without_initial(g, axis, include_initial)
    )


def _getitem(xp: Any, a: Any, *, key: Any) -> Any:
    """Elements at `key`; what the standard calls `take` goes by that name."""
    if isinstance(key, tuple):
        arrays = [k for k, part in enumerate(key) if hasattr(part, "dtype") and part.ndim]
        rest = [part for k, part in enumerate(key) if k not in arrays]
        if len(arrays) == 1 and rest and all(part == slice(None) for part in rest):
            indices = key[arrays[0]]
            if kind_of(indices.dtype) == "integral":  # truth values choose, and are no indices
                return xp.take(a, indices, axis=arrays[0])
    return a[key]


def _setitem(xp: Any, a: Any, b: Any, *, key: Any) -> Any:
    out = xp.asarray(a, copy=True)
    out[key] = b
    return out


def _assigned(xp: Any, call: Any, g: Any, key: Any) -> Any:
    """Cotangent of what was assigned; where a key repeats an element, the last one won."""
    parts = key if isinstance(key, tuple) else (key,)
    if not any(hasattr(k, "dtype") and k.ndim and kind_of(k.dtype) == "integral" for k in parts):
        return g[key]
    places = xp.zeros_like(g, dtype=xp.int64)
    turn = xp.ones_like(places[key])
    turn = xp.reshape(xp.cumulative_sum(xp.reshape(turn, (-1,))), turn.shape)
    won = call("setitem", places, turn, key=key)[key] == turn
    taken = g[key]
    return xp.where(won, taken, xp.zeros_like(taken))


# --- reductions

rule(
    "sum",
    "linear",
    lambda g, shape, axis, keepdims: _widen(g, shape, axis, keepdims),
    forward=lambda xp, a, *, axis=None, dtype=None, keepdims=False: total(
        a, axis, dtype=dtype, keepdims=keepdims
    ),
)
rule(
    "mean",
    "linear",
    lambda g, shape, axis, keepdims: _widen(g, shape, axis, keepdims) / _count(shape, axis),
    forward=lambda xp, a, *, axis=None, keepdims=False: mean(a, axis, keepdims=keepdims),
)
for _name in ("max", "min"):
    rule(
        _name,
        "other",
        _extreme,
        forward=lambda xp, a, *, axis=None, keepdims=False, _name=_name: extreme(
            _name, a, axis, keepdims=keepdims
        ),
    )
rule(
    "var",
    "other",
    lambda xp, g, a, axis, correction, keepdims: (
        _widen(2 * g / _count(a.shape, axis, correction), a.shape, axis, keepdims)
        * _deviation(xp, a, axis)
    ),
    forward=lambda xp, a, *, axis=None, correction=0.0, keepdims=False: xp.var(
        a, axis=axis, correction=correction, keepdims=keepdims
    ),
)
rule(
    "std",
    "other",
    _std,
    forward=lambda xp, a, *, axis=None, correction=0.0, keepdims=False: xp.std(
        a, axis=axis, correction=correction, keepdims=keepdims
    ),
)
rule(
    "prod",
    "other",
    lambda through, g, a, axis, keepdims: through(
        lambda xp, a: product_tree(xp, a, axis, keepdims), a, g
    ),
    forward=lambda xp, a, *, axis=None, dtype=None, keepdims=False: xp.prod(
        a, axis=axis, dtype=dtype, keepdims=keepdims
    ),
)
rule("cumulative_sum", "linear", _cumulative_sum, forward=_cumulative("cumulative_sum"))
rule("cumulative_prod", "other", _cumulative_prod, forward=_cumulative("cumulative_prod"))

# --- manipulation

rule(
    "reshape",
    "linear",
    lambda xp, g, shape: xp.reshape(g, shape),
    forward=lambda xp, a, new_shape, *, copy=None: xp.reshape(a, new_shape, copy=copy),
)
rule(
    "permute_dims",
    "linear",
    lambda xp, g, axes: xp.permute_dims(g, _inverse(axes)),
    forward=lambda xp, a, axes: xp.permute_dims(a, axes),
)
rule("matrix_transpose", "linear", lambda xp, g: xp.matrix_transpose(g))
rule(
    "moveaxis",
    "linear",
    lambda xp, g, source, destination: xp.moveaxis(g, destination, source),
    forward=lambda xp, a, source, destination: xp.moveaxis(a, source, destination),
)
rule(
    "broadcast_to",
    "linear",
    lambda g: g,  # summed to the argument's shape as every cotangent is
    forward=lambda xp, a, new_shape: xp.broadcast_to(a, new_shape),
)
rule(
    "expand_dims",
    "linear",
    lambda xp, g, shape: xp.reshape(g, shape),
    forward=lambda xp, a, axis: xp.expand_dims(a, axis=axis),
)
rule(
    "squeeze",
    "linear",
    lambda xp, g, shape: xp.reshape(g, shape),
    forward=lambda xp, a, axis: xp.squeeze(a, axis=axis),
)
rule(
    "flip",
    "linear",
    lambda xp, g, axis: xp.flip(g, axis=axis),
    forward=lambda xp, a, *, axis=None: xp.flip(a, axis=axis),
)
rule(
    "roll",
    "linear",
    lambda xp, g, shift, axis: xp.roll(g, _negated(shift), axis=axis),
    forward=lambda xp, a, shift, *, axis=None: xp.roll(a, shift, axis=axis),
)
rule(
    "tril",
    "linear",
    lambda xp, g, k: xp.tril(g, k=k),
    forward=lambda xp, a, *, k=0: xp.tril(a, k=k),
)
rule(
    "triu",
    "linear",
    lambda xp, g, k: xp.triu(g, k=k),
    forward=lambda xp, a, *, k=0: xp.triu(a, k=k),
)
rule(
    "concat",
    "linear",
    lambda xp, g, i, shapes, axis: xp.reshape(_part(g, i, shapes, axis), shapes[i]),
    forward=lambda xp, arrays, *, axis=0, shapes=None: xp.concat(arrays, axis=axis),
)

# --- indexing: `getitem` and `scatter` are each other's transpose

rule(
    "getitem",
    "linear",
    lambda call, g, shape, key: call("scatter", g, key=key, new_shape=shape),
    forward=_getitem,
)
rule(
    "scatter",
    "linear",
    lambda call, g, key: call("getitem", g, key=key),
    forward=lambda xp, a, *, key, new_shape: scatter_add(a, key, new_shape),
    is_internal=True,
)

rule(
    "setitem",
    "linear",
    lambda call, g, key: call("setitem", g, 0, key=key),
    _assigned,
    forward=_setitem,
)

# --- products

rule(
    "matmul",
    "bilinear",
    lambda g, b: g @ conj(b.mT),
    lambda g, a: conj(a.mT) @ g,
    forward=lambda xp, a, b: a @ b,
)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=lambda k: axes[k] % len(axes)))


def _negated(shift: Any) -> Any:
    return tuple(-s for s in shift) if isinstance(shift, tuple) else -shift


def _part(g: Any, i: int, shapes: tuple[tuple[int, ...], ...], axis: int | None) -> Any:
    """Part of a concatenation's cotangent that belongs to its i-th array."""
    if axis is None:
        sizes = [math.prod(shape) for shape in shapes]
        start = sum(sizes[:i])
        return g[start : start + sizes[i]]
    k = axis % g.ndim
    start = sum(shape[k] for shape in shapes[:i])
    return g[(slice(None),) * k + (slice(start, start + shapes[i][k]), ...)]
