"""Products of arrays, and norms, by NumPy's names."""

from __future__ import annotations

import math

from gradlab.autodiff.numpy_names.elements import diagonal
from gradlab.autodiff.numpy_names.entering import as_arrays, as_one_dtype, flat, named
from gradlab.autodiff.numpy_names.shapes import as_tuple, expand_dims, pad
from gradlab.autodiff.structural import axis_of

__all__ = ["cross", "dot"]


@named("dot")
def dot(xp, a, b, out=None):
    a, b = as_arrays(xp, a, b)
    if not a.ndim or not b.ndim:
        return a * b
    if b.ndim <= 2:  # noqa: PLR2004
        return xp.matmul(a, b)
    return xp.tensordot(a, b, axes=([a.ndim - 1], [b.ndim - 2]))


@named("inner")
def _inner(xp, a, b):
    a, b = as_arrays(xp, a, b)
    if a.ndim == b.ndim == 1:
        return xp.matmul(a, b)
    return xp.tensordot(a, b, axes=([-1], [-1])) if a.ndim and b.ndim else a * b


@named("vdot")
def _vdot(xp, a, b):
    return xp.vecdot(*(flat(xp, x) for x in as_arrays(xp, a, b)))


@named("outer")
def _outer(xp, a, b, out=None):
    a, b = (flat(xp, x) for x in as_arrays(xp, a, b))
    return a[:, None] * b[None, :]


@named("kron")
def _kron(xp, a, b):
    a, b = as_arrays(xp, a, b)
    ndim = max(a.ndim, b.ndim)
    shapes = [(1,) * (ndim - x.ndim) + tuple(x.shape) for x in (a, b)]
    a = xp.reshape(a, tuple(n for size in shapes[0] for n in (size, 1)))
    b = xp.reshape(b, tuple(n for size in shapes[1] for n in (1, size)))
    return xp.reshape(a * b, tuple(m * n for m, n in zip(*shapes, strict=True)))


@named("cross")
def cross(xp, a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = as_arrays(xp, a, b)
    a, b = xp.moveaxis(a, axisa, -1), xp.moveaxis(b, axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:  # noqa: PLR2004
        msg = f"np.cross of a traced array takes vectors of 3: got {a.shape[-1]}, {b.shape[-1]}"
        raise ValueError(msg)
    first, second = ([xp.roll(x, -k, axis=-1) for k in (1, 2)] for x in (a, b))
    return xp.moveaxis(first[0] * second[1] - first[1] * second[0], -1, axisc)


@named("convolve")
def _convolve(xp, a, v, mode="full"):
    a, v = as_arrays(xp, a, v)
    if a.ndim != 1 or v.ndim != 1:
        msg = f"np.convolve of a traced array takes vectors: got {a.ndim} and {v.ndim} dimensions"
        raise ValueError(msg)
    a, v = sorted((a, v), key=lambda x: -x.shape[0])
    n, m = a.shape[0], v.shape[0]
    wide = pad(xp, a, m - 1)
    places = xp.arange(n + m - 1)[:, None] + (m - 1 - xp.arange(m))[None, :]
    return xp.take(wide, places, axis=0) @ v


@named("einsum")
def _einsum(xp, subscripts, *operands, out=None, order="K", casting="safe", optimize=False):
    if not isinstance(subscripts, str) or "." in subscripts:
        msg = "np.einsum of a traced array takes its subscripts as a string without an ellipsis"
        raise TypeError(msg)
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow:
        result = "".join(k for k in sorted(set(left) - {","}) if left.count(k) == 1)
    arrays = as_one_dtype(xp, *as_arrays(xp, *operands))
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
            x, term = diagonal(xp, x, 0, i, j), term[:i] + term[i + 1 : j] + term[j + 1 :] + k
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


@named("linalg.norm")
def _norm(xp, x, ord=None, axis=None, keepdims=False):
    options = {"axis": axis, "keepdims": keepdims}
    if ord is None:
        return xp.linalg.vector_norm(x, **options)
    axes = (
        tuple(range(x.ndim)) if axis is None else tuple(axis_of(k, x.ndim) for k in as_tuple(axis))
    )
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
    return expand_dims(xp, found, axes) if keepdims else found
