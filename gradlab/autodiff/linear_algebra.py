"""The table of rules: linear algebra.

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
from typing import Any

from gradlab.autodiff.array import Array, constant, plain
from gradlab.autodiff.elementwise import conj, is_complex_dtype
from gradlab.autodiff.rule import Rule, rule
from gradlab.backend import cholesky

__all__ = ["EIGH", "QR", "SLOGDET", "SVD", "adjoint"]


def adjoint(a: Any) -> Any:
    """Conjugate transpose."""
    return conj(a.mT)


def _hermitian(a: Any) -> Any:
    return (a + adjoint(a)) / 2


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
    return (v * g[..., None, :]) @ adjoint(v)


def _eigenvectors(xp: Any, g: Any, e: Any) -> Any:
    w, v = e
    if is_complex_dtype(v.dtype) and _is_traced(g):
        msg = (
            "complex eigenvectors have a phase that is arbitrary, and no derivatives in forward "
            "mode or beyond the first order: nest autodiff.gradient or vjp, not jvp or hvp, and "
            "differentiate eigenvalues alone to second order"
        )
        raise NotImplementedError(msg)
    m = adjoint(v) @ g
    gaps = w[..., None, :] - w[..., :, None]
    tolerance = _tolerance(xp, w, w.shape[-1])[..., None]
    f = _quotients(xp, gaps, xp.abs(gaps) <= tolerance, _used_columns(xp, g))
    found = _hermitian(v @ (f * m) @ adjoint(v))
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
    return low + adjoint(low) + diagonal


def _cholesky(xp: Any, g: Any, y: Any) -> Any:
    m = _half(xp, adjoint(y) @ xp.tril(g))
    left = xp.linalg.solve(adjoint(y), m)
    return adjoint(xp.linalg.solve(adjoint(y), adjoint(left))) / 2


def _from_q(xp: Any, g: Any, e: Any) -> Any:
    q, r = e
    return _from_qr(xp, g, -(adjoint(g) @ q), q, r)


def _from_r(xp: Any, g: Any, e: Any) -> Any:
    q, r = e
    return _from_qr(xp, xp.zeros_like(q), r @ adjoint(xp.triu(g)), q, r)


def _from_qr(xp: Any, g: Any, m: Any, q: Any, r: Any) -> Any:
    size = xp.abs(xp.linalg.diagonal(r))
    deficient = xp.any(size <= _tolerance(xp, size, q.shape[-2]), axis=-1)[..., None, None]
    safe = xp.where(deficient, _eye(xp, r), r)
    found = adjoint(xp.linalg.solve(safe, adjoint(g + q @ _half(xp, m))))
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
    return turn[..., None, None] * adjoint(xp.linalg.inv(a))


def _pseudo_inverse(xp: Any, g: Any, a: Any, y: Any, rtol: Any) -> Any:
    p, ph, gh = y, adjoint(y), adjoint(g)
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
    forward=lambda xp, a: xp.linalg.cholesky(a) if type(a) is Array else cholesky(a),
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
    lambda g, y: -(adjoint(y) @ g @ adjoint(y)),
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
    lambda xp, g, a, y: -(xp.linalg.solve(adjoint(a), g) @ adjoint(y)),
    lambda xp, g, a: xp.linalg.solve(adjoint(a), g),
    forward=lambda xp, a, b: xp.linalg.solve(a, b),
)


def _parts(name: str, forward: Any, *pulls: Any) -> tuple[Rule, ...]:
    """Rules of a function of several results, one for each of them."""
    return tuple(Rule(name, "other", (pull,), forward) for pull in pulls)


EIGH = _parts("eigh", lambda xp, a: xp.linalg.eigh(a), _eigenvalues, _eigenvectors)
SVD = _parts(
    "svd",
    lambda xp, a, *, full_matrices=True: xp.linalg.svd(a, full_matrices=full_matrices),
    _left_vectors,
    _singular_values,
    _right_vectors,
)
QR = _parts("qr", lambda xp, a: xp.linalg.qr(a), _from_q, _from_r)
SLOGDET = _parts(
    "slogdet",
    lambda xp, a: xp.linalg.slogdet(a),
    lambda xp, g, a, y, e: _sign(xp, g, a, y),
    lambda xp, g, a, e: g[..., None, None] * adjoint(xp.linalg.inv(a)),
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
