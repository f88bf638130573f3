"""The table of rules, and the functions written with them: linear algebra.

Conventions: `cholesky` and `eigh` treat their argument as symmetric (Hermitian), and so is its
cotangent. A repeated eigenvalue or singular value has the derivative of the vectors found, which
is right for what does not depend on their choice; of the vectors themselves, derivatives are not
numbers there, nor where a loss depends on the phase of complex ones. A singular value of 0 has
gradient 0, as `abs`. Derivatives of `pinv` and `qr` at deficient rank are not numbers.

References: Giles, Collected matrix derivative results for forward and reverse mode algorithmic
differentiation, 2008; Townsend, Differentiating the singular value decomposition, 2016; Murray,
Differentiation of the Cholesky decomposition, 2016; Golub and Pereyra, The differentiation of
pseudo-inverses and nonlinear least squares problems, 1973, equation 4.12.
"""

from __future__ import annotations

import math
from operator import index
from typing import Any, NamedTuple

from gradlab.autodiff.array import Array, apply, apply_parts, constant, plain
from gradlab.autodiff.elementwise import conj, is_complex_dtype
from gradlab.autodiff.rule import RULES, Rule, rule
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


def _h(a: Any) -> Any:
    """Conjugate transpose."""
    return conj(a.mT)


def _hermitian(a: Any) -> Any:
    return (a + _h(a)) / 2


def _eye(xp: Any, a: Any) -> Any:
    return xp.eye(a.shape[-1], dtype=a.dtype, device=a.device)


def _nan_where(xp: Any, condition: Any, a: Any) -> Any:
    """Not a number where the condition holds, and so is every derivative of it."""
    one = xp.ones(condition.shape, dtype=xp.real(a).dtype, device=a.device)
    return a * xp.where(condition, xp.full_like(one, math.nan), one)


def _is_traced(g: Any) -> bool:
    return type(g) is Array and g._node is not None


def _used_columns(xp: Any, g: Any) -> Any:
    """Which columns of a cotangent count, shape (..., n): of a traced one, a 0 has derivatives."""
    used = xp.any(g != 0, axis=-2)
    return xp.ones_like(used) if _is_traced(g) else used


def _quotients(xp: Any, gaps: Any, is_zero: Any, used: Any) -> Any:
    """Inverse gaps between the values of two vectors, by pairs.

    Of vectors with one value nothing is known: not a number, or 0 where neither is used.
    """
    pairs = used[..., :, None] | used[..., None, :]
    inverse = 1 / xp.where(is_zero, xp.ones_like(gaps), gaps)
    inverse = xp.where(is_zero, xp.zeros_like(inverse), inverse)
    n = gaps.shape[-1]
    others = xp.eye(n, dtype=gaps.dtype, device=gaps.device) == 0
    return _nan_where(xp, is_zero & pairs & others, inverse)


def _tolerance(xp: Any, values: Any, n: int) -> Any:
    """Rounding error of eigenvalues or singular values of n-by-n matrices, shape (..., 1)."""
    largest = xp.max if values.shape[-1] else xp.sum  # of none, 0
    return n * xp.finfo(values.dtype).eps * largest(xp.abs(values), axis=-1, keepdims=True)


# --- eigenvalues


def _eigenvalues(g: Any, e: Any) -> Any:
    _, v = e
    return (v * g[..., None, :]) @ _h(v)


def _eigenvectors(xp: Any, g: Any, e: Any) -> Any:
    w, v = e
    if is_complex_dtype(v.dtype) and _is_traced(g):
        msg = (
            "complex eigenvectors have a phase that is arbitrary, and no derivatives in forward "
            "mode or beyond the first order: nest autodiff.gradient or vjp, not jvp or hvp, and "
            "differentiate eigenvalues alone to second order"
        )
        raise NotImplementedError(msg)
    m = _h(v) @ g
    gaps = w[..., None, :] - w[..., :, None]
    tolerance = _tolerance(xp, w, w.shape[-1])[..., None]
    f = _quotients(xp, gaps, xp.abs(gaps) <= tolerance, _used_columns(xp, g))
    found = _hermitian(v @ (f * m) @ _h(v))
    if not is_complex_dtype(m.dtype):
        return found
    turned = xp.abs(xp.imag(xp.linalg.diagonal(m)))  # by a phase, which is arbitrary
    scale = xp.max(xp.abs(m), axis=(-2, -1), keepdims=True)
    limit = math.sqrt(xp.finfo(w.dtype).eps) * scale
    return _nan_where(xp, xp.max(turned, axis=-1)[..., None, None] > limit, found)


# --- singular values


def _left_vectors(xp: Any, g: Any, a: Any, e: Any) -> Any:
    u, s, vh = e
    _check_vectors(u, s)
    return _singular_vectors(xp, g, u, s, vh[..., : s.shape[-1], :])


def _right_vectors(xp: Any, g: Any, a: Any, e: Any) -> Any:
    u, s, vh = e
    _check_vectors(vh.mT, s)
    return _singular_vectors(xp, g.mT, vh.mT, s, u[..., :, : s.shape[-1]].mT).mT


def _check_vectors(u: Any, s: Any) -> None:
    if is_complex_dtype(u.dtype):
        msg = (
            "the singular vectors of a complex matrix are defined up to phases and have no "
            "derivative here: take linalg.eigh of its product with its conjugate transpose"
        )
        raise NotImplementedError(msg)
    if u.shape[-1] != s.shape[-1]:
        msg = (
            "the further singular vectors of linalg.svd(x, full_matrices=True) may be any basis "
            "and have no derivative: give full_matrices=False"
        )
        raise NotImplementedError(msg)


def _singular_vectors(xp: Any, g: Any, u: Any, s: Any, vh: Any) -> Any:
    """Cotangent of A = U S V^H from that of U; that of V follows by transposing."""
    used = _used_columns(xp, g)
    limit = _tolerance(xp, s, max(u.shape[-2], vh.shape[-1]))
    below, above = s[..., :, None], s[..., None, :]
    is_zero = xp.abs(above - below) <= limit[..., None]
    f = _quotients(xp, (above - below) * (above + below), is_zero, used)
    m = f * (u.mT @ g)
    found = u @ ((m + m.mT) * s[..., None, :]) @ vh
    if u.shape[-2] > u.shape[-1]:
        vanishes = s <= limit
        inverse = 1 / xp.where(vanishes, xp.ones_like(s), s)
        inverse = xp.where(vanishes, xp.zeros_like(s), inverse)
        inverse = _nan_where(xp, vanishes & used, inverse)
        outside = g - u @ (u.mT @ g)
        found = found + (outside * inverse[..., None, :]) @ vh
    return found


def _singular_values(xp: Any, g: Any, e: Any) -> Any:
    u, s, vh = e
    k = s.shape[-1]
    g = xp.where(s == 0, xp.zeros_like(g), g)
    return (u[..., :, :k] * g[..., None, :]) @ vh[..., :k, :]


# --- triangular factors


def _half(xp: Any, m: Any) -> Any:
    """Lower triangle of m with half of its diagonal, plus its conjugate transpose."""
    low = xp.tril(m, k=-1)
    diagonal = xp.tril(xp.triu(m))
    if is_complex_dtype(m.dtype):
        diagonal = xp.astype(xp.real(diagonal), m.dtype)
    return low + _h(low) + diagonal


def _cholesky(xp: Any, g: Any, y: Any) -> Any:
    m = _half(xp, _h(y) @ xp.tril(g))
    left = xp.linalg.solve(_h(y), m)
    return _h(xp.linalg.solve(_h(y), _h(left))) / 2


def _from_q(xp: Any, g: Any, e: Any) -> Any:
    q, r = e
    return _from_qr(xp, g, -(_h(g) @ q), q, r)


def _from_r(xp: Any, g: Any, e: Any) -> Any:
    q, r = e
    return _from_qr(xp, xp.zeros_like(q), r @ _h(xp.triu(g)), q, r)


def _from_qr(xp: Any, g: Any, m: Any, q: Any, r: Any) -> Any:
    size = xp.abs(xp.linalg.diagonal(r))
    deficient = xp.any(size <= _tolerance(xp, size, q.shape[-2]), axis=-1)[..., None, None]
    safe = xp.where(deficient, _eye(xp, r), r)
    found = _h(xp.linalg.solve(safe, _h(g + q @ _half(xp, m))))
    return _nan_where(xp, deficient, found)


# --- determinants and inverses


def _determinant(xp: Any, g: Any, a: Any, y: Any) -> Any:
    if a.shape[-1] == 1:
        return g[..., None, None] * xp.ones_like(a)
    singular = y == 0
    if 0 not in a.shape and (_is_traced(g) or _is_traced(a)):
        singular = singular | _is_nearly_singular(xp, a)
    safe = xp.where(singular[..., None, None], _eye(xp, a), a)
    cofactors = y[..., None, None] * xp.linalg.inv(safe).mT
    if bool(xp.any(singular)):  # they exist where the inverse does not
        cofactors = xp.where(singular[..., None, None], _cofactors(xp, a), cofactors)
    return g[..., None, None] * conj(cofactors)


def _is_nearly_singular(xp: Any, a: Any) -> Any:
    """Where the derivatives of the inverse cancel against one another in those of cofactors."""
    s = xp.linalg.svdvals(constant(plain(a)))
    return s[..., -1] <= xp.finfo(s.dtype).eps ** (1 / 3) * s[..., 0]


def _cofactors(xp: Any, a: Any) -> Any:
    """Matrix of cofactors of any square matrix, by its minors: right at every rank."""
    n, rows = a.shape[-1], []
    for i in range(n):
        rest = xp.concat([a[..., :i, :], a[..., i + 1 :, :]], axis=-2)
        minors = [
            (-1) ** (i + j)
            * xp.linalg.det(xp.concat([rest[..., :, :j], rest[..., :, j + 1 :]], axis=-1))
            for j in range(n)
        ]
        rows.append(xp.stack(minors, axis=-1))
    return xp.stack(rows, axis=-2)


def _sign(xp: Any, g: Any, a: Any, y: Any) -> Any:
    if not is_complex_dtype(a.dtype):
        return xp.zeros_like(a)
    turn = -xp.imag(conj(g) * y) * 1j  # in this order: 1j * a NumPy scalar is a Python number
    return turn[..., None, None] * _h(xp.linalg.inv(a))


def _pseudo_inverse(xp: Any, g: Any, a: Any, y: Any, rtol: Any) -> Any:
    p, ph, gh = y, _h(y), _h(g)
    found = -ph @ g @ ph
    found = found + (gh - (a @ p) @ gh) @ (p @ ph)  # gh is n-by-m as a is
    found = found + (ph @ p) @ (gh - gh @ (p @ a))
    if 0 in a.shape:
        return found
    rank = xp.linalg.matrix_rank(a, rtol=rtol)
    return _nan_where(xp, (rank < min(a.shape[-2:]))[..., None, None], found)


rule(
    "linalg.cholesky",
    "other",
    _cholesky,
    forward=lambda xp, a: xp.linalg.cholesky(a),
)
rule("linalg.det", "other", _determinant, forward=lambda xp, a: xp.linalg.det(a))
rule(
    "linalg.diagonal",
    "linear",
    lambda xp, g, shape, offset: _embedded(xp, g, shape, offset),
    forward=lambda xp, a, *, offset=0: xp.linalg.diagonal(a, offset=offset),
)
rule(
    "linalg.inv",
    "other",
    lambda g, y: -(_h(y) @ g @ _h(y)),
    forward=lambda xp, a: xp.linalg.inv(a),
)
rule(
    "linalg.pinv",
    "other",
    _pseudo_inverse,
    forward=lambda xp, a, *, rtol=None: xp.linalg.pinv(a, rtol=rtol),
)
rule(
    "linalg.solve",
    "other",
    lambda xp, g, a, y: -(xp.linalg.solve(_h(a), g) @ _h(y)),
    lambda xp, g, a: xp.linalg.solve(_h(a), g),
    forward=lambda xp, a, b: xp.linalg.solve(a, b),
)


def _parts(name: str, forward: Any, *pulls: Any) -> tuple[Rule, ...]:
    """Rules of a function of several results, one for each of them."""
    return tuple(Rule(name, "other", (pull,), forward) for pull in pulls)


_EIGH = _parts("eigh", lambda xp, a: xp.linalg.eigh(a), _eigenvalues, _eigenvectors)
_SVD = _parts(
    "svd",
    lambda xp, a, *, full_matrices=True: xp.linalg.svd(a, full_matrices=full_matrices),
    _left_vectors,
    _singular_values,
    _right_vectors,
)
_QR = _parts("qr", lambda xp, a: xp.linalg.qr(a), _from_q, _from_r)
_SLOGDET = _parts(
    "slogdet",
    lambda xp, a: xp.linalg.slogdet(a),
    lambda xp, g, a, y, e: _sign(xp, g, a, y),
    lambda xp, g, a, e: g[..., None, None] * _h(xp.linalg.inv(a)),
)


def _embedded(xp: Any, g: Any, shape: tuple[int, ...], offset: int) -> Any:
    """Matrices of `shape` with g on a diagonal and zeros elsewhere."""
    m, n = shape[-2:]
    first = max(0, -offset)
    before, after = first, m - first - g.shape[-1]
    parts = [
        xp.zeros((*shape[:-2], size), dtype=g.dtype, device=g.device) for size in (before, after)
    ]
    rows = xp.concat([parts[0], g, parts[1]], axis=-1)
    return rows[..., None] * xp.eye(m, n, k=offset, dtype=g.dtype, device=g.device)


# --- the functions of the namespace's extension `linalg`


def cholesky(xp: Any, x: Any, /, *, upper: bool = False) -> Any:
    lower = apply(RULES["linalg.cholesky"], (_h(x) if upper else x,), {})  # its triangle alone
    return _h(lower) if upper else lower


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
    return EighResult(*apply_parts(_EIGH, (x,), {}))


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
        return QRResult(*apply_parts(_QR, (x,), {}))
    q, r = apply_parts(_QR, (x[..., :, :m],), {})
    return QRResult(q, xp.concat([r, _h(q) @ x[..., :, m:]], axis=-1))


def slogdet(xp: Any, x: Any, /) -> SlogdetResult:
    return SlogdetResult(*apply_parts(_SLOGDET, (x,), {}))


def solve(xp: Any, a: Any, b: Any, /) -> Any:
    if len(b.shape) == 1:
        return solve(xp, a, b[:, None])[..., 0]
    if a.shape[:-2] != b.shape[:-2]:  # CuPy takes stacks of one shape alone
        stack = xp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = (xp.broadcast_to(m, (*stack, *m.shape[-2:])) for m in (a, b))
    return apply(RULES["linalg.solve"], (a, b), {})


def svd(xp: Any, x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    return SVDResult(*apply_parts(_SVD, (x,), {"full_matrices": full_matrices}))


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
