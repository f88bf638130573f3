"""The extension `linalg` of the traced namespace: functions written with the rules and others."""

from __future__ import annotations

import math
from operator import index
from typing import Any, NamedTuple

from gradlab.autodiff.array import Array, apply, apply_parts, constant, plain
from gradlab.autodiff.elementwise import is_complex_dtype
from gradlab.autodiff.linear_algebra import EIGH, QR, SLOGDET, SVD, adjoint
from gradlab.autodiff.rule import RULES
from gradlab.autodiff.structural import axes_of

__all__ = [
    "LINEAR_ALGEBRA",
    "EighResult",
    "QRResult",
    "SVDResult",
    "SlogdetResult",
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]


class EighResult(NamedTuple):
    """What ``linalg.eigh`` gives."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """What ``linalg.qr`` gives."""

    Q: Any
    R: Any


class SlogdetResult(NamedTuple):
    """What ``linalg.slogdet`` gives."""

    sign: Any
    logabsdet: Any


class SVDResult(NamedTuple):
    """What ``linalg.svd`` gives."""

    U: Any
    S: Any
    Vh: Any


def cholesky(xp: Any, x: Any, /, *, upper: bool = False) -> Any:
    lower = apply(RULES["linalg.cholesky"], (adjoint(x) if upper else x,), {})  # its triangle alone
    return adjoint(lower) if upper else lower


def cross(xp: Any, a: Any, b: Any, /, *, axis: int = -1) -> Any:
    if a.shape[axis] != 3 or b.shape[axis] != 3:  # noqa: PLR2004
        msg = f"xp.linalg.cross needs 3 elements along `axis`: got {a.shape[axis]}, {b.shape[axis]}"
        raise ValueError(msg)
    ahead, behind = ([xp.roll(x, -k, axis=axis) for x in (a, b)] for k in (1, 2))
    return ahead[0] * behind[1] - behind[0] * ahead[1]


def det(xp: Any, x: Any, /) -> Any:
    return apply(RULES["linalg.det"], (x,), {})


def diagonal(xp: Any, x: Any, /, *, offset: int = 0) -> Any:
    x = xp.asarray(x)
    return x._view(apply(RULES["linalg.diagonal"], (x,), {"offset": offset}))._read_only()


def eigh(xp: Any, x: Any, /) -> EighResult:
    return EighResult(*apply_parts(EIGH, (x,), {}))


def eigvalsh(xp: Any, x: Any, /) -> Any:
    return eigh(xp, x).eigenvalues


def inv(xp: Any, x: Any, /) -> Any:
    return apply(RULES["linalg.inv"], (x,), {})


def matmul(xp: Any, a: Any, b: Any, /) -> Any:
    return xp.matmul(a, b)


def matrix_norm(xp: Any, x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    if ord == "fro":
        return vector_norm(xp, x, axis=(-2, -1), keepdims=keepdims)
    if ord in ("nuc", 2, -2):
        values = svdvals(xp, x)
        reduce = {"nuc": xp.sum, 2: xp.max, -2: xp.min}[ord]
        norm = reduce(values, axis=-1)
    elif ord in (1, -1, math.inf, -math.inf):
        sums = xp.sum(xp.abs(x), axis=-2 if abs(ord) == 1 else -1)
        norm = (xp.max if ord > 0 else xp.min)(sums, axis=-1)
    else:
        msg = f"`ord` must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf: got {ord!r}"
        raise ValueError(msg)
    return norm[..., None, None] if keepdims else norm


def matrix_power(xp: Any, x: Any, n: int, /) -> Any:
    n = index(n)  # a float would pass the halving below
    if n < 0:
        x, n = inv(xp, x), -n
    if n == 0:
        return constant(xp.inner.linalg.matrix_power(plain(x), 0))
    power = None
    while n:
        if n % 2:
            power = x if power is None else power @ x
        n //= 2
        x = x @ x if n else x
    return power


def matrix_rank(xp: Any, x: Any, /, *, rtol: Any = None) -> Any:
    return constant(xp.inner.linalg.matrix_rank(plain(x), rtol=plain(rtol)))


def matrix_transpose(xp: Any, x: Any, /) -> Any:
    return xp.matrix_transpose(x)


def outer(xp: Any, a: Any, b: Any, /) -> Any:
    if a.ndim != 1 or b.ndim != 1:
        msg = f"xp.linalg.outer takes vectors: got arrays of {a.ndim} and {b.ndim} dimensions"
        raise ValueError(msg)
    return xp.reshape(a, (-1, 1)) * xp.reshape(b, (1, -1))


def pinv(xp: Any, x: Any, /, *, rtol: Any = None) -> Any:
    return apply(RULES["linalg.pinv"], (x,), {"rtol": plain(rtol)})


def qr(xp: Any, x: Any, /, *, mode: str = "reduced") -> QRResult:
    m, n = x.shape[-2:]
    if mode not in ("reduced", "complete"):
        msg = f"`mode` must be 'reduced' or 'complete': got {mode!r}"
        raise ValueError(msg)
    if mode == "complete" and m > n:
        if getattr(x, "_node", None) is not None:
            msg = (
                "the further columns of xp.linalg.qr(x, mode='complete') may be any basis and have "
                "no derivative: give mode='reduced'"
            )
            raise NotImplementedError(msg)
        return QRResult(*(constant(y) for y in xp.inner.linalg.qr(plain(x), mode=mode)))
    if m >= n:
        return QRResult(*apply_parts(QR, (x,), {}))
    q, r = apply_parts(QR, (x[..., :, :m],), {})
    return QRResult(q, xp.concat([r, adjoint(q) @ x[..., :, m:]], axis=-1))


def slogdet(xp: Any, x: Any, /) -> SlogdetResult:
    return SlogdetResult(*apply_parts(SLOGDET, (x,), {}))


def solve(xp: Any, a: Any, b: Any, /) -> Any:
    if len(b.shape) == 1:
        return solve(xp, a, b[:, None])[..., 0]
    if a.shape[:-2] != b.shape[:-2]:  # CuPy takes stacks of one shape alone
        stack = xp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = (xp.broadcast_to(m, (*stack, *m.shape[-2:])) for m in (a, b))
    return apply(RULES["linalg.solve"], (a, b), {})


def svd(xp: Any, x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    return SVDResult(*apply_parts(SVD, (x,), {"full_matrices": full_matrices}))


def svdvals(xp: Any, x: Any, /) -> Any:
    return svd(xp, x, full_matrices=False).S


def tensordot(xp: Any, a: Any, b: Any, /, *, axes: Any = 2) -> Any:
    return xp.tensordot(a, b, axes=axes)


def trace(xp: Any, x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return xp.sum(diagonal(xp, x, offset=offset), axis=-1, dtype=dtype)


def vecdot(xp: Any, a: Any, b: Any, /, *, axis: int = -1) -> Any:
    return xp.vecdot(a, b, axis=axis)


def vector_norm(
    xp: Any,
    x: Any,
    /,
    *,
    axis: Any = None,
    keepdims: bool = False,
    ord: float = 2,
) -> Array:
    options = {"axis": axis, "keepdims": keepdims}
    size = xp.abs(x)
    if ord == math.inf:
        return xp.max(size, **options)
    if ord == -math.inf:
        return xp.min(size, **options)
    if ord == 0:
        return xp.sum(xp.astype(x != 0, size.dtype), **options)
    if ord == 1 or 0 in x.shape:
        return xp.sum(size, **options)
    leading = (xp.max if ord > 0 else xp.min)(size, axis=axis, keepdims=True)  # by its power
    leading = xp.astype(leading, size.dtype)
    no_scale = (leading == 0) | xp.isinf(leading)
    scale = constant(plain(xp.where(no_scale, xp.ones_like(leading), leading)))
    if ord % 2 == 0:  # squares are smooth where the size has its kink
        x = x / scale
        squares = xp.real(x) ** 2 + xp.imag(x) ** 2 if is_complex_dtype(x.dtype) else x * x
        elements = squares ** (ord / 2)
    else:
        elements = (size / scale) ** ord
    powers = xp.sum(elements, axis=axis, keepdims=True)
    norm = apply(RULES["root"], (powers,), {"degree": ord}) * scale
    if keepdims:
        return norm
    axes = axes_of(axis, x.ndim)  # by an index, which gives a scalar where NumPy has them
    key = tuple(0 if k in axes else slice(None) for k in range(x.ndim))
    return apply(RULES["getitem"], (norm,), {"key": key})


LINEAR_ALGEBRA = {
    function.__name__: function
    for function in (
        *(cholesky, cross, det, diagonal, eigh, eigvalsh, inv, matmul, matrix_norm),
        *(matrix_power, matrix_rank, matrix_transpose, outer, pinv, qr, slogdet, solve, svd),
        *(svdvals, tensordot, trace, vecdot, vector_norm),
    )
}
