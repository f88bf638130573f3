"""Reductions, averages, and differences along an axis, by NumPy's names."""

from __future__ import annotations

from gradlab.autodiff.numpy_names.elements import diagonal
from gradlab.autodiff.numpy_names.entering import (
    FUNCTIONS,
    as_array,
    as_arrays,
    as_one_dtype,
    at_part,
    cast,
    entered,
    named,
)
from gradlab.autodiff.numpy_names.shapes import as_tuple, squeeze
from gradlab.autodiff.structural import axis_of

__all__ = []


def _summing(f):
    def function(
        xp,
        a,
        axis=None,
        dtype=None,
        out=None,
        keepdims=False,
        initial=None,
        where=True,
    ):
        return f(xp, cast(xp, a, dtype), axis=axis, keepdims=keepdims)

    return function


def _choosing(f):
    def function(
        xp,
        a,
        axis=None,
        out=None,
        keepdims=False,
        initial=None,
        where=True,
        dtype=None,
    ):
        return cast(xp, f(xp, a, axis=axis, keepdims=keepdims), dtype)

    return function


def _spreading(f):
    def function(
        xp,
        a,
        axis=None,
        dtype=None,
        out=None,
        ddof=0,
        keepdims=False,
        *,
        where=True,
        correction=None,
    ):
        options = {"correction": ddof if correction is None else correction, "keepdims": keepdims}
        return getattr(xp, f)(cast(xp, a, dtype), axis=axis, **options)

    return function


def _without_nan(xp, a):
    return xp.where(xp.isnan(a), xp.zeros_like(a), a)


def _nanmean(xp, a, **options):
    count = xp.sum(xp.astype(~xp.isnan(a), a.dtype), **options)
    return xp.sum(_without_nan(xp, a), **options) / count


for _name in ("sum", "prod", "mean"):
    entered(_name, _summing(lambda xp, a, _name=_name, **o: getattr(xp, _name)(a, **o)))
entered("nansum", _summing(lambda xp, a, **o: xp.sum(_without_nan(xp, a), **o)))
entered("nanmean", _summing(_nanmean))
for _name in ("max", "min", "all", "any", "argmax", "argmin"):
    entered(_name, _choosing(lambda xp, a, _name=_name, **o: getattr(xp, _name)(a, **o)))
FUNCTIONS |= {"amax": FUNCTIONS["max"], "amin": FUNCTIONS["min"]}
entered("ptp", _choosing(lambda xp, a, **o: xp.max(a, **o) - xp.min(a, **o)))
for _name in ("std", "var"):
    entered(_name, _spreading(_name))


@named("average")
def _average(xp, a, axis=None, weights=None, returned=False, *, keepdims=False):
    if weights is None:
        return xp.mean(a, axis=axis, keepdims=keepdims)
    a, weights = as_one_dtype(xp, *as_arrays(xp, a, weights))
    if weights.shape != a.shape:
        axes = () if axis is None else [axis_of(k, a.ndim) for k in as_tuple(axis)]
        lengths = tuple(a.shape[k] for k in axes)
        if axis is None or tuple(weights.shape) != lengths:
            msg = (
                f"np.average: `weights` must have the shape of `a`, {a.shape}, or the lengths of "
                f"its `axis`, {lengths}: got {weights.shape}"
            )
            raise ValueError(msg)
        weights = xp.permute_dims(weights, tuple(sorted(range(len(axes)), key=axes.__getitem__)))
        one = tuple(n if k in axes else 1 for k, n in enumerate(a.shape))
        weights = xp.broadcast_to(xp.reshape(weights, one), a.shape)
    options = {"axis": axis, "keepdims": keepdims}
    return xp.sum(a * weights, **options) / xp.sum(weights, **options)


@named("trapezoid")
def _trapezoid(xp, y, x=None, dx=1.0, axis=-1):
    y = as_array(xp, y)
    k = axis_of(axis, y.ndim)
    if x is not None:
        x = as_array(xp, x)
        one = tuple(-1 if i == k else 1 for i in range(y.ndim))
        dx = xp.reshape(xp.diff(x), one) if x.ndim == 1 else xp.diff(x, axis=axis)
    sums = y[at_part(k, slice(1, None))] + y[at_part(k, slice(None, -1))]
    return xp.sum(sums * dx / 2, axis=axis)


@named("cov")
def _cov(xp, m, y=None, rowvar=True, bias=False, ddof=None):
    parts = [as_array(xp, x) for x in (m, y) if x is not None]
    if max(x.ndim for x in parts) > 2:  # noqa: PLR2004
        msg = f"np.cov takes vectors and matrices: got {max(x.ndim for x in parts)} dimensions"
        raise ValueError(msg)
    parts = [xp.astype(x, xp.result_type(x, xp.float64), copy=False) for x in parts]
    parts = [x[None, :] if x.ndim == 1 else x if rowvar else x.mT for x in parts]
    m = xp.concat(parts, axis=0)
    m = m - xp.mean(m, axis=1, keepdims=True)
    count = m.shape[1] - (int(not bias) if ddof is None else ddof)
    return squeeze(xp, m @ xp.conj(m).mT / max(count, 0.0))


@named("corrcoef")
def _corrcoef(xp, x, y=None, rowvar=True):
    c = _cov(xp, x, y, rowvar)
    if not c.shape:
        return c / c
    deviation = xp.sqrt(xp.real(diagonal(xp, c)))
    return c / deviation[:, None] / deviation[None, :]


# --- along an axis


@named("gradient")
def _gradient(xp, f, *spacing, axis=None, edge_order=1):
    axes = range(f.ndim) if axis is None else [axis_of(k, f.ndim) for k in as_tuple(axis)]
    steps = spacing * len(axes) if len(spacing) == 1 else spacing or (1,) * len(axes)
    if min(f.shape[k] for k in axes) < 2:  # noqa: PLR2004
        msg = f"np.gradient takes two elements or more along an axis: got the shape {f.shape}"
        raise ValueError(msg)
    if any(isinstance(h, list | tuple) or getattr(h, "shape", ()) for h in steps):
        msg = "np.gradient of a traced array takes numbers for its spacing: got an array"
        raise TypeError(msg)
    slopes = tuple(_slope(xp, f, k, h) for k, h in zip(axes, steps, strict=True))
    return slopes[0] if len(slopes) == 1 else slopes


def _slope(xp, f, axis, h):
    f = xp.moveaxis(f, axis, 0)
    first, last = f[1:2, ...] - f[:1, ...], f[-1:, ...] - f[-2:-1, ...]
    inner = (f[2:, ...] - f[:-2, ...]) / 2
    return xp.moveaxis(xp.concat([first, inner, last], axis=0) / h, 0, axis)


@named("diff")
def _diff(xp, a, n=1, axis=-1, prepend=None, append=None):
    if n == 0:
        return a
    edge = list(a.shape)
    edge[axis_of(axis, a.ndim)] = 1
    added = {}
    for name, x in (("prepend", prepend), ("append", append)):
        if x is not None:
            x = as_array(xp, x)  # noqa: PLW2901
            added[name] = x if x.ndim else xp.broadcast_to(x, tuple(edge))
    return xp.diff(a, axis=axis, n=n, **added)
