"""NumPy's functions by NumPy's names, written with the standard's.

A table: NumPy's name to ``function(xp, ...)``, whose further parameters have NumPy's names, order
and defaults. `xp` is the traced namespace, so that what is computed is recorded, whatever library
holds the data. An option that changes nothing where it has its default, and cannot be honoured
where it has not, is a parameter that no function reads: `REFUSED` lists them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from itertools import pairwise
from typing import Any

from gradlab.backend import is_array

__all__ = ["FUNCTIONS", "METHODS", "REFUSED", "UFUNCS"]

REFUSED = (
    *("casting", "edge_order", "equal_nan", "initial", "left", "mode", "order", "out", "period"),
    *("returned", "right", "sorter", "sparse", "subok", "where"),
)
_VARIADIC = 0x04  # of a code object's flags: it has *args

FUNCTIONS: dict[str, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}  # those that are not the function of the same name

# Elementwise functions and their methods: what the standard calls them, where it has another name,
# or a function
UFUNCS: dict[str, str | Callable[..., Any]] = {
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")},
    "absolute": "abs",
    "conjugate": "conj",
    "degrees": lambda xp, x: x * (180 / math.pi),
    "exp2": lambda xp, x: 2.0**x,
    "fabs": "abs",
    "float_power": "pow",
    "fmax": lambda xp, x, y: _ignoring_nan(xp, xp.maximum, x, y),
    "fmin": lambda xp, x, y: _ignoring_nan(xp, xp.minimum, x, y),
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "power": "pow",
    "radians": lambda xp, x: x * (math.pi / 180),
    "right_shift": "bitwise_right_shift",
    "rint": "round",
    "true_divide": "divide",
}
UFUNCS |= {"deg2rad": UFUNCS["radians"], "rad2deg": UFUNCS["degrees"]}


def _entered(
    name: str, function: Callable[..., Any], table: dict[str, Callable[..., Any]] = FUNCTIONS
) -> Callable[..., Any]:
    """Enter a function into the table, so that it refuses what it cannot honour."""
    code, defaults = function.__code__, function.__defaults__ or ()
    positional = code.co_varnames[1 : code.co_argcount]
    is_variadic = bool(code.co_flags & _VARIADIC)
    every = {
        **dict(zip(reversed(positional), reversed(defaults), strict=False)),
        **(function.__kwdefaults__ or {}),
    }
    refused = {option: value for option, value in every.items() if option in REFUSED}
    function.__qualname__ = f"np.{name}"  # what Python's own errors call it

    def call(xp: Any, *args: Any, **options: Any) -> Any:
        given = options
        if not is_variadic:
            given = {**dict(zip(positional, args, strict=False)), **options}
            if len(given) < len(args) + len(options):
                return function(xp, *args, **options)  # too many, or twice: it raises
            args = ()
        for option, default in refused.items():
            if option in given and not _is_same(given[option], default):
                msg = (
                    f"np.{name} cannot honour `{option}` for a traced array: leave it out, and "
                    "compute what it stands for with other functions"
                )
                raise TypeError(msg)
        if given.get("dtype") is not None:  # by any name that the library knows, such as "f4"
            given = {**given, "dtype": xp.empty((0,), dtype=given["dtype"]).dtype}
        return function(xp, *args, **given)

    table[name] = call
    return call


def _is_same(value: Any, default: Any) -> bool:
    if default == "K" and isinstance(value, str):
        return value in "KAC"  # how a copy lies in memory, but for Fortran's order
    return value is default or (type(value) is type(default) and bool(value == default))


def _named(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function by these names."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            _entered(name, function)
        return function

    return enter


def _array(xp, x):
    return x if is_array(x) else xp.asarray(x)


def _arrays(xp, *given):
    return [_array(xp, x) for x in given]


def _cast(xp, x, dtype):
    return x if dtype is None else xp.astype(x, dtype, copy=False)


def _flat(xp, x):
    return xp.reshape(x, (-1,))


def _at(axis, part):
    """Key of a part along an axis that is not negative."""
    return (*((slice(None),) * axis), part, ...)


def _ignoring_nan(xp, f, x, y):
    x, y = _arrays(xp, x, y)
    chosen = xp.where(xp.isnan(y), x, f(x, y))
    return xp.where(xp.isnan(x), y, chosen)


def _of_flat(name):
    """Function along an axis that takes the flat array where there is none."""

    def function(xp, a, axis, **options):
        if axis is None:
            a, axis = _flat(xp, a), -1
        return getattr(xp, name)(a, axis=axis, **options)

    return function


_argsort, _sort, _sum_on, _product_on = (
    _of_flat(name) for name in ("argsort", "sort", "cumulative_sum", "cumulative_prod")
)

# --- reductions: of the same signature, a function each


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
        return f(xp, _cast(xp, a, dtype), axis=axis, keepdims=keepdims)

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
        return _cast(xp, f(xp, a, axis=axis, keepdims=keepdims), dtype)

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
        return getattr(xp, f)(_cast(xp, a, dtype), axis=axis, **options)

    return function


def _without_nan(xp, a):
    return xp.where(xp.isnan(a), xp.zeros_like(a), a)


def _nanmean(xp, a, **options):
    count = xp.sum(xp.astype(~xp.isnan(a), a.dtype), **options)
    return xp.sum(_without_nan(xp, a), **options) / count


for _name in ("sum", "prod", "mean"):
    _entered(_name, _summing(lambda xp, a, _name=_name, **o: getattr(xp, _name)(a, **o)))
_entered("nansum", _summing(lambda xp, a, **o: xp.sum(_without_nan(xp, a), **o)))
_entered("nanmean", _summing(_nanmean))
for _name in ("max", "min", "all", "any", "argmax", "argmin"):
    _entered(_name, _choosing(lambda xp, a, _name=_name, **o: getattr(xp, _name)(a, **o)))
FUNCTIONS |= {"amax": FUNCTIONS["max"], "amin": FUNCTIONS["min"]}
_entered("ptp", _choosing(lambda xp, a, **o: xp.max(a, **o) - xp.min(a, **o)))
for _name in ("std", "var"):
    _entered(_name, _spreading(_name))


@_named("average")
def _average(xp, a, axis=None, weights=None, returned=False, *, keepdims=False):
    if weights is None:
        return xp.mean(a, axis=axis, keepdims=keepdims)
    a, weights = _arrays(xp, a, weights)
    if weights.ndim == 1 and a.ndim > 1:
        weights = xp.reshape(weights, tuple(-1 if k == axis % a.ndim else 1 for k in range(a.ndim)))
    weights = xp.broadcast_to(weights, a.shape)
    options = {"axis": axis, "keepdims": keepdims}
    return xp.sum(a * weights, **options) / xp.sum(weights, **options)


@_named("trapezoid")
def _trapezoid(xp, y, x=None, dx=1.0, axis=-1):
    y = xp.moveaxis(_array(xp, y), axis, -1)
    if x is not None:
        x = _array(xp, x)
        dx = xp.diff(x if x.ndim == 1 else xp.moveaxis(x, axis, -1))
    return xp.sum((y[..., 1:] + y[..., :-1]) * dx / 2, axis=-1)


@_named("cov")
def _cov(xp, m, y=None, rowvar=True, bias=False, ddof=None):
    parts = [_array(xp, x) for x in (m, y) if x is not None]
    parts = [x[None, :] if x.ndim == 1 else x if rowvar else x.mT for x in parts]
    m = xp.concat(parts, axis=0)
    m = m - xp.mean(m, axis=1, keepdims=True)
    count = m.shape[1] - (int(not bias) if ddof is None else ddof)
    return _squeeze(xp, m @ xp.conj(m).mT / max(count, 0.0))


@_named("corrcoef")
def _corrcoef(xp, x, y=None, rowvar=True):
    c = _cov(xp, x, y, rowvar)
    if not c.shape:
        return c / c
    deviation = xp.sqrt(xp.real(_diagonal(xp, c)))
    return c / deviation[:, None] / deviation[None, :]


# --- along an axis


@_named("gradient")
def _gradient(xp, f, *spacing, axis=None, edge_order=1):
    axes = range(f.ndim) if axis is None else [k % f.ndim for k in _tuple(axis)]
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


@_named("diff")
def _diff(xp, a, n=1, axis=-1, prepend=None, append=None):
    edge = tuple(1 if k == axis % a.ndim else size for k, size in enumerate(a.shape))
    added = {}
    for name, x in (("prepend", prepend), ("append", append)):
        if x is not None:
            x = _array(xp, x)  # noqa: PLW2901
            added[name] = x if x.ndim else xp.broadcast_to(x, edge)
    return xp.diff(a, axis=axis, n=n, **added)


# --- products


@_named("dot")
def _dot(xp, a, b, out=None):
    a, b = _arrays(xp, a, b)
    if not a.ndim or not b.ndim:
        return a * b
    if b.ndim <= 2:  # noqa: PLR2004
        return xp.matmul(a, b)
    return xp.tensordot(a, b, axes=([a.ndim - 1], [b.ndim - 2]))


@_named("inner")
def _inner(xp, a, b):
    a, b = _arrays(xp, a, b)
    return xp.tensordot(a, b, axes=([-1], [-1])) if a.ndim and b.ndim else a * b


@_named("vdot")
def _vdot(xp, a, b):
    return xp.vecdot(*(_flat(xp, x) for x in _arrays(xp, a, b)))


@_named("outer")
def _outer(xp, a, b, out=None):
    a, b = (_flat(xp, x) for x in _arrays(xp, a, b))
    return a[:, None] * b[None, :]


@_named("kron")
def _kron(xp, a, b):
    a, b = _arrays(xp, a, b)
    ndim = max(a.ndim, b.ndim)
    shapes = [(1,) * (ndim - x.ndim) + tuple(x.shape) for x in (a, b)]
    a = xp.reshape(a, tuple(n for size in shapes[0] for n in (size, 1)))
    b = xp.reshape(b, tuple(n for size in shapes[1] for n in (1, size)))
    return xp.reshape(a * b, tuple(m * n for m, n in zip(*shapes, strict=True)))


@_named("cross")
def _cross(xp, a, b, axis=-1):
    a, b = (xp.moveaxis(x, axis, -1) for x in _arrays(xp, a, b))
    if a.shape[-1] != 3 or b.shape[-1] != 3:  # noqa: PLR2004
        msg = f"np.cross of a traced array takes vectors of 3: got {a.shape[-1]}, {b.shape[-1]}"
        raise ValueError(msg)
    first, second = ([xp.roll(x, -k, axis=-1) for k in (1, 2)] for x in (a, b))
    return xp.moveaxis(first[0] * second[1] - first[1] * second[0], -1, axis)


@_named("convolve")
def _convolve(xp, a, v, mode="full"):
    a, v = sorted(_arrays(xp, a, v), key=lambda x: -x.shape[0])
    n, m = a.shape[0], v.shape[0]
    wide = _pad(xp, a, m - 1)
    places = xp.arange(n + m - 1)[:, None] + (m - 1 - xp.arange(m))[None, :]
    return xp.take(wide, places, axis=0) @ v


@_named("einsum")
def _einsum(xp, subscripts, *operands, out=None, order="K", casting="safe", optimize=False):
    if not isinstance(subscripts, str) or "." in subscripts:
        msg = "np.einsum of a traced array takes its subscripts as a string without an ellipsis"
        raise TypeError(msg)
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow:
        result = "".join(k for k in sorted(set(left) - {","}) if left.count(k) == 1)
    arrays = _arrays(xp, *operands)
    _check_subscripts(terms, result, arrays)
    pairs = [_without_repeats(xp, *pair) for pair in zip(arrays, terms, strict=True)]
    total, names = pairs[0]
    for k, (x, term) in enumerate(pairs[1:], 2):
        total, names = _contracted(xp, total, names, x, term, result + "".join(terms[k:]))
    total, names = _summed(xp, total, names, result)
    return xp.permute_dims(total, tuple(names.index(k) for k in result))


def _check_subscripts(terms, result, arrays):
    shapes = [tuple(x.shape) for x in arrays]
    if [len(term) for term in terms] != [len(shape) for shape in shapes]:
        msg = f"np.einsum: subscripts {','.join(terms)} do not fit shapes {shapes}"
        raise ValueError(msg)
    sizes: dict[str, int] = {}
    for k, n in zip("".join(terms), [n for shape in shapes for n in shape], strict=True):
        if sizes.setdefault(k, n) != n:
            msg = f"np.einsum of a traced array: {k!r} must have one length, got {sizes[k]}, {n}"
            raise ValueError(msg)
    if len(set(result)) != len(result) or not set(result) <= set(sizes):
        msg = f"np.einsum: each subscript of the result {result!r} must be in {','.join(terms)}"
        raise ValueError(msg)


def _without_repeats(xp, x, term):
    """Take the diagonal of axes that have one subscript."""
    for k in term:
        while term.count(k) > 1:
            i, j = term.index(k), term.rindex(k)
            x, term = _diagonal(xp, x, 0, i, j), term[:i] + term[i + 1 : j] + term[j + 1 :] + k
    return x, term


def _summed(xp, x, names, kept):
    axes = tuple(i for i, k in enumerate(names) if k not in kept)
    x = xp.sum(x, axis=axes) if axes else x
    return x, "".join(k for k in names if k in kept)


def _contracted(xp, a, left, b, right, kept):
    """One matrix product of two operands, and the subscripts of its axes."""
    a, left = _summed(xp, a, left, right + kept)
    b, right = _summed(xp, b, right, left + kept)
    batch = "".join(k for k in left if k in right and k in kept)
    inner = "".join(k for k in left if k in right and k not in kept)
    rows, columns = (
        "".join(k for k in own if k not in other) for own, other in ((left, right), (right, left))
    )
    sizes = dict(zip(left + right, (*a.shape, *b.shape), strict=True))

    def grouped(x, names, *groups):
        x = xp.permute_dims(x, tuple(names.index(k) for k in "".join(groups)))
        return xp.reshape(x, tuple(math.prod(sizes[k] for k in group) for group in groups))

    product = xp.matmul(
        grouped(a, left, batch, rows, inner), grouped(b, right, batch, inner, columns)
    )
    names = batch + rows + columns
    return xp.reshape(product, tuple(sizes[k] for k in names)), names


# --- norms


@_named("linalg.norm")
def _norm(xp, x, ord=None, axis=None, keepdims=False):
    options = {"axis": axis, "keepdims": keepdims}
    if ord is None:
        return xp.linalg.vector_norm(x, **options)
    axes = tuple(range(x.ndim)) if axis is None else tuple(k % x.ndim for k in _tuple(axis))
    if len(axes) == 1:
        return xp.linalg.vector_norm(x, ord=ord, axis=axes[0], keepdims=keepdims)
    if len(axes) != 2:  # noqa: PLR2004
        msg = f"np.linalg.norm of order {ord!r} takes one or two axes: got {len(axes)}"
        raise ValueError(msg)
    if ord == "fro":
        return xp.linalg.vector_norm(x, axis=axes, keepdims=keepdims)
    if ord in (1, -1, math.inf, -math.inf):
        summed, over = axes if abs(ord) == 1 else axes[::-1]
        sums = xp.sum(xp.abs(x), axis=summed, keepdims=True)
        chosen = (xp.max if ord > 0 else xp.min)(sums, axis=over, keepdims=True)
        return chosen if keepdims else xp.squeeze(chosen, axis=axes)
    norm = getattr(xp.linalg, "matrix_norm", None)
    if norm is None or ord not in (2, -2, "nuc"):
        msg = f"np.linalg.norm of a traced matrix has no derivative for order {ord!r} here"
        raise TypeError(msg)
    found = norm(xp.moveaxis(x, axes, (-2, -1)), ord=ord)
    return _expand_dims(xp, found, axes) if keepdims else found


# --- shapes


def _tuple(x):
    return tuple(x) if isinstance(x, list | tuple) else (x,)


@_named("expand_dims")
def _expand_dims(xp, a, axis):
    a, axes = _array(xp, a), _tuple(axis)
    for k in sorted(k % (a.ndim + len(axes)) for k in axes):
        a = xp.expand_dims(a, axis=k)
    return a


@_named("squeeze")
def _squeeze(xp, a, axis=None):
    if axis is None:
        axis = tuple(k for k, n in enumerate(a.shape) if n == 1)
    return xp.squeeze(a, axis=axis)


@_named("transpose")
def _transpose(xp, a, axes=None):
    return xp.permute_dims(a, tuple(range(a.ndim))[::-1] if axes is None else tuple(axes))


@_named("swapaxes")
def _swapaxes(xp, a, axis1, axis2):
    order = list(range(a.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return xp.permute_dims(a, tuple(order))


@_named("rot90")
def _rot90(xp, m, k=1, axes=(0, 1)):
    for _ in range(k % 4):
        m = xp.flip(_swapaxes(xp, m, *axes), axis=axes[0])
    return m


def _atleast(ndim):
    def one(xp, x):
        x = _array(xp, x)
        if x.ndim >= ndim:
            return x
        before = 1 if x.ndim < 2 <= ndim else 0  # noqa: PLR2004  (NumPy puts a vector in the middle)
        shape = (1,) * before + tuple(x.shape)
        return xp.reshape(x, shape + (1,) * (ndim - len(shape)))

    def function(xp, *arys):
        found = tuple(one(xp, x) for x in arys)
        return found[0] if len(found) == 1 else found

    return function


for _n in (1, 2, 3):
    _entered(f"atleast_{_n}d", _atleast(_n))


@_named("concatenate")
def _concatenate(xp, arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    return _cast(xp, xp.concat(_arrays(xp, *arrays), axis=axis), dtype)


@_named("stack")
def _stack(xp, arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    return _cast(xp, xp.stack(_arrays(xp, *arrays), axis=axis), dtype)


def _stacking(ndim, axis):
    def function(xp, tup, *, dtype=None, casting="same_kind"):
        parts = [FUNCTIONS[f"atleast_{ndim}d"](xp, x) for x in tup]
        along = 0 if ndim == 1 and parts[0].ndim == 1 else axis
        return _concatenate(xp, parts, along, dtype=dtype)

    return function


for _name, _n, _axis in (("hstack", 1, 1), ("vstack", 2, 0), ("dstack", 3, 2)):
    _entered(_name, _stacking(_n, _axis))


@_named("column_stack")
def _column_stack(xp, tup):
    parts = [FUNCTIONS["atleast_1d"](xp, x) for x in tup]
    return xp.concat([x[:, None] if x.ndim == 1 else x for x in parts], axis=1)


@_named("append")
def _append(xp, arr, values, axis=None):
    return xp.concat(_arrays(xp, arr, values), axis=axis)


@_named("array_split")
def _array_split(xp, ary, indices_or_sections, axis=0):
    axis %= ary.ndim
    n, cuts = ary.shape[axis], indices_or_sections
    if isinstance(cuts, int):
        size, longer = divmod(n, cuts)
        cuts = [k * size + min(k, longer) for k in range(1, cuts)]
    ends = [0, *(min(int(k) + n * (k < 0), n) for k in cuts), n]
    return [ary[_at(axis, slice(a, max(a, b)))] for a, b in pairwise(ends)]


@_named("split")
def _split(xp, ary, indices_or_sections, axis=0):
    sections = indices_or_sections
    if isinstance(sections, int) and ary.shape[axis] % sections:
        msg = f"np.split needs equal parts: a length of {ary.shape[axis]} has no {sections}"
        raise ValueError(msg)
    return _array_split(xp, ary, sections, axis)


@_named("pad")
def _pad(xp, array, pad_width, mode="constant", *, constant_values=0):
    if not isinstance(constant_values, int | float | complex):
        msg = f"np.pad takes one number for `constant_values`: got {type(constant_values).__name__}"
        raise TypeError(msg)
    widths = [_tuple(width) for width in _tuple(pad_width)]
    if all(len(width) == 1 for width in widths):  # one number, or one pair for every axis
        widths = [tuple(width[0] for width in widths)]
    widths = [width * (3 - len(width)) for width in widths]
    widths = widths * array.ndim if len(widths) == 1 else widths
    sized = list(zip(widths, array.shape, strict=True))
    shape = tuple(before + n + after for (before, after), n in sized)
    out = xp.full(shape, constant_values, dtype=array.dtype, device=array.device)
    out[tuple(slice(before, before + n) for (before, _), n in sized)] = array
    return out


# --- elements


@_named("diagonal")
def _diagonal(xp, a, offset=0, axis1=0, axis2=1):
    """Slice of the flat array with the step of a row and an element: a view, as NumPy's is."""
    a = xp.moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = a.shape[-2:]
    count = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    size, start = rows * columns, max(offset, -offset * columns)
    flat = xp.reshape(a, (*a.shape[:-2], size))
    return flat[..., min(start, size) : min(start + count * (columns + 1), size) : columns + 1]


@_named("diag")
def _diag(xp, v, k=0):
    if v.ndim > 1:
        return _diagonal(xp, v, k)
    n = v.shape[0] + abs(k)
    out = xp.zeros((n, n), dtype=v.dtype, device=v.device)
    places = xp.arange(v.shape[0], device=v.device)
    out[places + max(-k, 0), places + max(k, 0)] = v
    return out


@_named("trace")
def _trace(xp, a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    return xp.sum(_cast(xp, _diagonal(xp, a, offset, axis1, axis2), dtype), axis=-1)


@_named("where")
def _where(xp, condition, *xy):
    condition = _array(xp, condition)
    if not xp.isdtype(condition.dtype, "bool"):
        condition = condition != 0
    return xp.where(condition, *_arrays_of_lists(xp, xy)) if xy else xp.nonzero(condition)


def _arrays_of_lists(xp, given):
    """Operands of an elementwise function, which takes numbers as they are."""
    return [xp.asarray(x) if isinstance(x, list | tuple) else x for x in given]


@_named("take")
def _take(xp, a, indices, axis=None, out=None, mode="raise"):
    if axis is None:
        a, axis = _flat(xp, a), 0
    return xp.take(a, indices, axis=axis)


@_named("repeat")
def _repeat(xp, a, repeats, axis=None):
    return xp.repeat(a, *_arrays_of_lists(xp, [repeats]), axis=axis)


@_named("delete")
def _delete(xp, arr, obj, axis=None):
    if axis is None:
        arr, axis = _flat(xp, arr), 0
    is_kept = xp.ones((arr.shape[axis],), dtype=xp.bool, device=arr.device)
    is_kept[obj] = False
    return xp.take(arr, xp.nonzero(is_kept)[0], axis=axis)


@_named("clip")
def _clip(xp, a, a_min=None, a_max=None, out=None, *, min=None, max=None):
    low, high = (
        second if first is None else first for first, second in ((a_min, min), (a_max, max))
    )
    return xp.clip(a, *_arrays_of_lists(xp, [low, high]))


@_named("nan_to_num")
def _nan_to_num(xp, x, copy=True, nan=0.0, posinf=None, neginf=None):
    if not copy or xp.isdtype(x.dtype, "complex floating"):
        msg = "np.nan_to_num of a traced array takes real numbers, and makes a copy"
        raise TypeError(msg)
    largest = xp.finfo(x.dtype).max
    limits = (-largest if neginf is None else neginf, largest if posinf is None else posinf)
    for value, instead in ((-math.inf, limits[0]), (math.inf, limits[1])):
        x = xp.where(x == value, xp.full_like(x, instead), x)
    return xp.where(xp.isnan(x), xp.full_like(x, nan), x)


@_named("interp")
def _interp(xp, x, xs, fp, left=None, right=None, period=None):
    x, xs, fp = _arrays(xp, x, xs, fp)
    k = xp.clip(xp.searchsorted(xs, x, side="right"), 1, xs.shape[0] - 1)
    start = xs[k - 1]
    part = xp.clip((x - start) / (xs[k] - start), 0.0, 1.0)
    return fp[k - 1] + part * (fp[k] - fp[k - 1])


@_named("polyval")
def _polyval(xp, p, x):
    return reduce(lambda y, c: y * x + c, _array(xp, p), 0.0 * x)


@_named("isclose")
def _isclose(xp, a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    a, b = _arrays(xp, a, b)
    return (xp.abs(a - b) <= atol + rtol * xp.abs(b)) & xp.isfinite(b) | (a == b)


@_named("round", "around")
def _round(xp, a, decimals=0, out=None):
    return xp.round(a * 10.0**decimals) / 10.0**decimals if decimals else xp.round(a)


@_named("zeros_like", "empty_like")
def _zeros_like(xp, a, dtype=None, order="K", subok=True, shape=None):
    return _full_like(xp, a, 0, dtype, shape=shape)


@_named("full_like")
def _full_like(xp, a, fill_value, dtype=None, order="K", subok=True, shape=None):
    shape = tuple(a.shape) if shape is None else shape
    return xp.full(shape, fill_value, dtype=dtype or a.dtype, device=a.device)


def _in_three(axis):
    """Split along an axis; of a vector, `hsplit` splits the only one."""
    return lambda xp, ary, indices_or_sections: _split(
        xp, ary, indices_or_sections, axis=min(axis, ary.ndim - 1) if axis == 1 else axis
    )


_SHORT: dict[str, Callable[..., Any]] = {
    "allclose": lambda xp, a, b, rtol=1e-5, atol=1e-8, equal_nan=False: xp.all(
        _isclose(xp, a, b, rtol, atol)
    ),
    "angle": lambda xp, z, deg=False: (
        xp.atan2(xp.imag(z), xp.real(z)) * (180 / math.pi if deg else 1)
    ),
    "argsort": lambda xp, a, axis=-1, kind=None, order=None, *, stable=None: _argsort(xp, a, axis),
    "argwhere": lambda xp, a: xp.stack(xp.nonzero(a), axis=-1),
    "array_equal": lambda xp, a1, a2, equal_nan=False: (
        a1.shape == a2.shape and bool(xp.all(a1 == a2))
    ),
    "astype": lambda xp, x, dtype, *, copy=True: xp.astype(x, dtype, copy=copy),
    "broadcast_arrays": lambda xp, *args, subok=False: tuple(
        xp.broadcast_arrays(*_arrays(xp, *args))
    ),
    "broadcast_to": lambda xp, array, shape, subok=False: xp.broadcast_to(array, _tuple(shape)),
    "can_cast": lambda xp, from_, to: xp.can_cast(from_, to),
    "copy": lambda xp, a, order="K", subok=False: xp.asarray(a, copy=True),
    "count_nonzero": lambda xp, a, axis=None, *, keepdims=False: xp.count_nonzero(
        a, axis=axis, keepdims=keepdims
    ),
    "cumprod": lambda xp, a, axis=None, dtype=None, out=None: _product_on(xp, a, axis, dtype=dtype),
    "cumsum": lambda xp, a, axis=None, dtype=None, out=None: _sum_on(xp, a, axis, dtype=dtype),
    "cumulative_prod": lambda xp, x, *, out=None, **options: xp.cumulative_prod(x, **options),
    "cumulative_sum": lambda xp, x, *, out=None, **options: xp.cumulative_sum(x, **options),
    "dsplit": _in_three(2),
    "flatnonzero": lambda xp, a: xp.nonzero(_flat(xp, a))[0],
    "flip": lambda xp, m, axis=None: xp.flip(m, axis=axis),
    "fliplr": lambda xp, m: xp.flip(m, axis=1),
    "flipud": lambda xp, m: xp.flip(m, axis=0),
    "hsplit": _in_three(1),
    "imag": lambda xp, val: xp.imag(val),
    "iscomplexobj": lambda xp, x: xp.isdtype(x.dtype, "complex floating"),
    "isrealobj": lambda xp, x: not xp.isdtype(x.dtype, "complex floating"),
    "linalg.cross": lambda xp, x1, x2, *, axis=-1: _cross(xp, x1, x2, axis),
    "linalg.diagonal": lambda xp, x, *, offset=0: _diagonal(xp, x, offset, -2, -1),
    "linalg.multi_dot": lambda xp, arrays, *, out=None: reduce(lambda a, b: _dot(xp, a, b), arrays),
    "linalg.trace": lambda xp, x, *, offset=0, dtype=None: _trace(xp, x, offset, -2, -1, dtype),
    "matrix_transpose": lambda xp, x: xp.matrix_transpose(x),
    "meshgrid": lambda xp, *xi, copy=True, sparse=False, indexing="xy": tuple(
        xp.meshgrid(*xi, indexing=indexing)
    ),
    "moveaxis": lambda xp, a, source, destination: xp.moveaxis(a, source, destination),
    "ndim": lambda xp, a: a.ndim,
    "nonzero": lambda xp, a: xp.nonzero(a),
    "ones_like": lambda xp, a, dtype=None, order="K", subok=True, shape=None: _full_like(
        xp, a, 1, dtype, shape=shape
    ),
    "ravel": lambda xp, a, order="C": _flat(xp, a),
    "real": lambda xp, val: xp.real(val),
    "reshape": lambda xp, a, shape, order="C", *, copy=None: xp.reshape(
        a, _tuple(shape), copy=copy
    ),
    "result_type": lambda xp, *args: xp.result_type(*args),
    "roll": lambda xp, a, shift, axis=None: xp.roll(
        a, tuple(shift) if isinstance(shift, list) else shift, axis=axis
    ),
    "searchsorted": lambda xp, a, v, side="left", sorter=None: xp.searchsorted(
        *_arrays(xp, a, v), side=side
    ),
    "shape": lambda xp, a: a.shape,
    "size": lambda xp, a, axis=None: a.size if axis is None else a.shape[axis],
    "sort": lambda xp, a, axis=-1, kind=None, order=None, *, stable=None: _sort(xp, a, axis),
    "take_along_axis": lambda xp, arr, indices, axis=-1: (
        xp.take_along_axis(_flat(xp, arr), indices)
        if axis is None
        else xp.take_along_axis(arr, indices, axis=axis)
    ),
    "tensordot": lambda xp, a, b, axes=2: xp.tensordot(
        *_arrays(xp, a, b),
        axes=axes if isinstance(axes, int) else [_tuple(k) for k in axes],
    ),
    "tile": lambda xp, A, reps: xp.tile(A, _tuple(reps)),
    "tril": lambda xp, m, k=0: xp.tril(m, k=k),
    "triu": lambda xp, m, k=0: xp.triu(m, k=k),
    "unstack": lambda xp, x, *, axis=0: xp.unstack(x, axis=axis),
    "vsplit": _in_three(0),
}
for _name, _function in _SHORT.items():
    _entered(_name, _function)


def _unpacked(given):
    """Sizes or axes that were given one by one or as one sequence; None for none."""
    if len(given) != 1:
        return given
    return () if given[0] is None else _tuple(given[0])


# --- methods, where their arguments are not those of the function

_OWN: dict[str, Callable[..., Any]] = {
    "astype": lambda xp, a, dtype, order="K", casting="unsafe", subok=True, copy=True: xp.astype(
        a, dtype, copy=copy
    ),
    "clip": lambda xp, a, min=None, max=None, out=None: _clip(xp, a, min, max),
    "conj": lambda xp, a: xp.conj(a),
    "conjugate": lambda xp, a: xp.conj(a),
    "copy": lambda xp, a, order="K": xp.asarray(a, copy=True),
    "fill": lambda xp, a, value: a.__setitem__(..., value),
    "flatten": lambda xp, a, order="C": xp.asarray(_flat(xp, a), copy=True),
    "reshape": lambda xp, a, *shape, order="C", copy=None: xp.reshape(
        a, _unpacked(shape), copy=copy
    ),
    "transpose": lambda xp, a, *axes: _transpose(xp, a, _unpacked(axes) or None),
}
for _name, _function in _OWN.items():
    _entered(_name, _function, METHODS)
for _name in (
    *("all", "any", "argmax", "argmin", "argsort", "cumprod", "cumsum", "diagonal", "dot", "max"),
    *("mean", "min", "nonzero", "prod", "ravel", "repeat", "round", "searchsorted", "squeeze"),
    *("std", "sum", "swapaxes", "take", "trace", "var"),
):
    METHODS[_name] = FUNCTIONS[_name]
