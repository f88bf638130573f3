"""Linear algebra: every function against differences of both modes and orders, and its corners."""

from __future__ import annotations

import importlib
import math

import array_api_compat.numpy as anp
import array_api_strict
import numpy as np
import pytest
from truths import check, differences, loss_of, samples

import gradlab as gl
from gradlab import autodiff


def positive(xp, x):
    return x @ x.mT + 3 * xp.eye(x.shape[-1], dtype=x.dtype, device=x.device)


def symmetric(x):
    return (x + x.mT) / 2


def combined(svd):
    """Function of all singular vectors and values that does not depend on the vectors' signs."""

    def f(xp, x):
        u, s, vh = svd(xp, x)
        return (u**2) @ (vh**2) + xp.sum(s)

    return f


def factors(select):
    def f(xp, x):
        q, r = xp.linalg.qr(select(x))
        return q**2 @ r**2

    return f


def outer(xp, x):
    if x.ndim > 2:
        return xp.linalg.outer(x[:, 0, 1], x[0, :, 1])
    return xp.linalg.outer(x[0, :], x[:, 1])


FUNCTIONS = {
    "cholesky": lambda xp, x: xp.linalg.cholesky(positive(xp, x)),
    "cholesky upper": lambda xp, x: xp.linalg.cholesky(positive(xp, x), upper=True),
    "cross": lambda xp, x: xp.linalg.cross(x[..., :3], x[..., 1:] ** 2),
    "det": lambda xp, x: xp.linalg.det(x),
    "diagonal": lambda xp, x: xp.linalg.diagonal(x, offset=1) * 2,
    "diagonal below": lambda xp, x: xp.linalg.diagonal(x[..., :3], offset=-2),
    "eigvalsh": lambda xp, x: xp.linalg.eigvalsh(symmetric(x)),
    "eigh": lambda xp, x: xp.linalg.eigh(symmetric(x)).eigenvectors ** 2,
    "inv": lambda xp, x: xp.linalg.inv(x),
    "matmul": lambda xp, x: xp.linalg.matmul(x, x * x),
    "matrix_norm": lambda xp, x: xp.linalg.matrix_norm(x),
    "matrix_norm nuc": lambda xp, x: xp.linalg.matrix_norm(x, ord="nuc"),
    "matrix_norm 2": lambda xp, x: xp.linalg.matrix_norm(x, ord=2, keepdims=True),
    "matrix_norm -2": lambda xp, x: xp.linalg.matrix_norm(x, ord=-2),
    "matrix_norm 1": lambda xp, x: xp.linalg.matrix_norm(x, ord=1),
    "matrix_norm -inf": lambda xp, x: xp.linalg.matrix_norm(x, ord=-math.inf),
    "matrix_power": lambda xp, x: xp.linalg.matrix_power(x, 5),
    "matrix_power -2": lambda xp, x: xp.linalg.matrix_power(x, -2),
    "matrix_power 0": lambda xp, x: xp.linalg.matrix_power(x, 0),
    "matrix_transpose": lambda xp, x: xp.linalg.matrix_transpose(x) * x,
    "outer": outer,
    "pinv": lambda xp, x: xp.linalg.pinv(x),
    "pinv tall": lambda xp, x: xp.linalg.pinv(x[..., :2]),
    "pinv wide": lambda xp, x: xp.linalg.pinv(x[..., :2, :]),
    "qr Q": lambda xp, x: xp.linalg.qr(x).Q,
    "qr R": lambda xp, x: xp.linalg.qr(x).R,
    "qr tall": factors(lambda x: x[..., :2]),
    "qr wide": factors(lambda x: x[..., :2, :]),
    "slogdet": lambda xp, x: xp.linalg.slogdet(x).logabsdet,
    "solve": lambda xp, x: xp.linalg.solve(x, x[..., :2] ** 2),
    "solve a vector": lambda xp, x: xp.linalg.solve(
        x, xp.asarray([1.0, 2.0, 3.0, 4.0], dtype=x.dtype, device=x.device)
    ),
    "svdvals": lambda xp, x: xp.linalg.svdvals(x),
    "svd": combined(lambda xp, x: xp.linalg.svd(x)),
    "svd tall": combined(lambda xp, x: xp.linalg.svd(x[..., :2], full_matrices=False)),
    "svd wide": combined(lambda xp, x: xp.linalg.svd(x[..., :2, :], full_matrices=False)),
    "tensordot": lambda xp, x: xp.linalg.tensordot(x, x * x, axes=((-1,), (-1,))),
    "trace": lambda xp, x: xp.linalg.trace(x, offset=1),
    "vecdot": lambda xp, x: xp.linalg.vecdot(x, x * x, axis=-2),
    "vector_norm": lambda xp, x: xp.linalg.vector_norm(x, axis=-1, ord=3),
}


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_of_matrices_and_stacks(name, shape):
    check(FUNCTIONS[name], samples(shape, (-1.5, 1.5), 5), rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_same_numbers_on_every_backend(name, shape, backend):
    x = samples(shape, (-1.5, 1.5), 5)
    theirs = gl.asarray(x, backend.dtype)
    got = autodiff.gradient(loss_of(FUNCTIONS[name]), theirs)
    assert (got.device, got.dtype) == (theirs.device, theirs.dtype)
    expected = autodiff.gradient(loss_of(FUNCTIONS[name]), x)
    rtol = 1e-9 if backend.dtype == "float64" else 5e-3
    scale = max(1, np.max(np.abs(expected)))
    np.testing.assert_allclose(gl.to_numpy(got), expected, rtol=rtol, atol=rtol * scale)


def test_every_function_of_the_extension_is_there_and_tried():
    theirs = set(array_api_strict.linalg.__all__)
    names = set()
    autodiff.gradient(lambda x: names.update(vars(linalg(x))) or x[0], np.ones(1))
    assert theirs - names == set()
    assert names - {n.split()[0] for n in FUNCTIONS} == {"eig", "eigvals", "matrix_rank"}


HERMITIAN = {
    "cholesky": lambda xp, z: xp.linalg.cholesky(z @ xp.conj(z.mT) + 2 * xp.eye(3)),
    "cholesky upper": lambda xp, z: xp.linalg.cholesky(
        z @ xp.conj(z.mT) + 2 * xp.eye(3), upper=True
    ),
    "eigvalsh": lambda xp, z: xp.linalg.eigvalsh(z + xp.conj(z.mT)),
    "eigh": lambda xp, z: xp.abs(xp.linalg.eigh(z + xp.conj(z.mT)).eigenvectors) ** 2,
    "inv": lambda xp, z: xp.linalg.inv(z),
    "det": lambda xp, z: xp.linalg.det(z),
    "sign of the determinant": lambda xp, z: xp.linalg.slogdet(z).sign,
    "logarithm of the determinant": lambda xp, z: xp.linalg.slogdet(z).logabsdet,
    "pinv": lambda xp, z: xp.linalg.pinv(z[:, :2]),
    "qr": lambda xp, z: xp.linalg.qr(z).Q @ xp.linalg.qr(z).R ** 2,
    "qr of a wide one": lambda xp, z: xp.linalg.qr(z[:2, :]).R,
    "solve": lambda xp, z: xp.linalg.solve(z, z[:, :2] ** 2),
    "svdvals": lambda xp, z: xp.linalg.svdvals(z),
    "matrix_norm": lambda xp, z: xp.linalg.matrix_norm(z, ord="nuc"),
    "trace": lambda xp, z: xp.linalg.trace(z @ z),
}


@pytest.mark.parametrize("name", HERMITIAN)
def test_complex_matrices_by_their_real_and_imaginary_directions(name):
    rng = np.random.default_rng(3)
    z, v = (rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3)) for _ in range(2))
    f = HERMITIAN[name]
    truth = differences(lambda z: f(anp, z), z, v / 10)
    u = rng.standard_normal(truth.shape) * (1 + (1j if np.iscomplexobj(truth) else 0))
    pulled = autodiff.vjp(lambda z: f(z.__array_namespace__(), z), z, u)
    left, right = np.sum(np.conj(pulled) * v / 10).real, np.sum(np.conj(u) * truth).real
    np.testing.assert_allclose(left, right, atol=1e-7 * max(1, np.max(np.abs(truth))))
    if name != "eigh":
        pushed = autodiff.jvp(lambda z: f(z.__array_namespace__(), z), z, v / 10)
        np.testing.assert_allclose(pushed, truth, atol=1e-7 * max(1, np.max(np.abs(truth))))


def linalg(x):
    return x.__array_namespace__().linalg


def total(x):
    return x.__array_namespace__().sum(x)


@pytest.mark.parametrize(
    "a",
    [
        np.zeros((1, 1)),
        np.zeros((3, 3)),
        np.ones((2, 2)),
        np.diag([1.0, 0.0, 2.0]),
        np.diag([1.0, 0.0, 0.0]),
        np.asarray([[1.0, 2, 3], [2, 4, 6], [1, 0, 1]]),
    ],
)
def test_the_determinant_of_a_singular_matrix_has_its_cofactors(a):
    n = len(a)
    truth = np.ones((1, 1))
    if n > 1:
        minor = lambda i, j: np.delete(np.delete(a, i, 0), j, 1)  # noqa: E731
        truth = np.asarray(
            [[(-1) ** (i + j) * np.linalg.det(minor(i, j)) for j in range(n)] for i in range(n)]
        )
    np.testing.assert_allclose(autodiff.gradient(lambda x: linalg(x).det(x), a), truth, atol=1e-12)


def test_the_second_derivative_of_a_determinant_holds_at_the_identity_and_at_zero():
    a = np.zeros((2, 2))
    truth = np.zeros((2, 2, 2, 2))
    truth[0, 0, 1, 1] = truth[1, 1, 0, 0] = 1
    truth[0, 1, 1, 0] = truth[1, 0, 0, 1] = -1
    for x in (a, np.eye(2)):
        np.testing.assert_allclose(autodiff.hessian(lambda x: linalg(x).det(x), x), truth)


def turned(n, rest, seed):
    """Matrix with the singular values 1 and, at last, `rest`."""
    r = np.random.default_rng(seed)
    u, v = (np.linalg.qr(r.standard_normal((n, n))).Q for _ in range(2))
    return u * np.concatenate([np.ones(n - len(rest)), rest]) @ v


NEARLY_SINGULAR = {
    "that rounds to a small determinant": np.arange(1.0, 10).reshape(3, 3) * 0.1,
    "of full rank": turned(4, [0.5, 1e-3], 1),
    "of rank 3, nearly": turned(4, [1e-7], 2),
    "of rank 4, but for rounding": turned(5, [1e-17], 3),
    "of rank 2, nearly": turned(4, [1e-8, 1e-12], 4),
    "of rank 1": np.outer([0.1, 0.2, 0.7], [0.3, 0.1, 0.9]),
    "of one small element": np.asarray([[1e-14]]),
}


def cofactors_along(a, v):
    """Derivative of the matrix of cofactors along v, by complex steps of plain determinants."""
    m, n = a + 1e-30j * v, len(a)
    minor = lambda i, j: np.delete(np.delete(m, i, 0), j, 1)  # noqa: E731
    found = [[(-1) ** (i + j) * np.linalg.det(minor(i, j)) for j in range(n)] for i in range(n)]
    return np.imag(found) / 1e-30


@pytest.mark.parametrize("what", NEARLY_SINGULAR)
def test_the_second_derivative_of_a_determinant_holds_at_a_matrix(what):
    a = NEARLY_SINGULAR[what]
    v = np.random.default_rng(9).standard_normal(a.shape)
    truth = cofactors_along(a, v)
    for got in (
        autodiff.hvp(np.linalg.det, a, v),
        autodiff.vjp(autodiff.grad(np.linalg.det), a, v),
        np.tensordot(autodiff.hessian(np.linalg.det, a), v),
        autodiff.hvp(lambda x: total(np.linalg.det(x)), np.stack([a, v]), np.stack([v, a]))[0],
    ):
        np.testing.assert_allclose(got, truth, rtol=1e-9, atol=1e-9)


def test_the_third_derivative_of_a_determinant_of_rank_2_is_that_of_its_polynomial():
    a = np.arange(1.0, 10).reshape(3, 3) * 0.1  # the second along 1 is tr(a) 1 - a.T
    along = lambda x: autodiff.hvp(np.linalg.det, x, np.eye(3))  # noqa: E731
    v = np.random.default_rng(9).standard_normal((3, 3))
    truth = np.trace(v) * np.eye(3) - v.T
    np.testing.assert_allclose(autodiff.jvp(along, a, v), truth, atol=1e-12)


def test_symmetric_functions_of_repeated_eigenvalues_are_differentiated():
    a = np.diag([2.0, 2.0, 5.0])
    got = autodiff.gradient(lambda x: total(linalg(x).eigvalsh(x) ** 3), a)
    np.testing.assert_allclose(got, 3 * a @ a, atol=1e-12)
    got = autodiff.gradient(lambda x: linalg(x).matrix_norm(x, ord="nuc"), np.eye(3))
    np.testing.assert_allclose(got, np.eye(3), atol=1e-12)


def root(x):
    w, v = linalg(x).eigh(x)
    return total((v * w**0.5) @ v.mT)


REPEATED = {
    "a root by eigenvectors": (root, np.eye(2) * 4),
    "an eigenvector": (lambda x: linalg(x).eigh(x).eigenvectors[0, 0], np.eye(2)),
    "nearly repeated": (
        lambda x: linalg(x).eigh(x).eigenvectors[0, 0],
        np.asarray([[1.0, 1e-17], [1e-17, 1.0]]),
    ),
    "a singular vector": (lambda x: linalg(x).svd(x).U[0, 1], np.eye(2)),
    "of a singular value 0": (
        lambda x: linalg(x).svd(x, full_matrices=False).U[2, 1],
        np.asarray([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]),
    ),
    "pinv": (lambda x: total(linalg(x).pinv(x)), np.ones((3, 2))),
    "qr": (lambda x: total(linalg(x).qr(x).R), np.ones((3, 2))),
    "phase of an eigenvector": (
        lambda x: x.__array_namespace__().real(linalg(x).eigh(x).eigenvectors[1, 0]),
        np.asarray([[2.0, 1j], [-1j, 3.0]]),
    ),
}


@pytest.mark.parametrize("name", REPEATED)
@pytest.mark.parametrize("mode", ["backward", "forward"])
def test_what_has_no_derivative_is_not_a_number(name, mode):
    f, a = REPEATED[name]
    if mode == "backward":
        assert np.all(np.isnan(autodiff.gradient(f, a)))
    elif np.iscomplexobj(a):
        with pytest.raises(NotImplementedError, match="phase that is arbitrary"):
            autodiff.jvp(f, a, a)
    else:
        assert np.isnan(autodiff.jvp(f, a, np.asarray([[0.3, 1.0], [-2.0, 0.5], [1, 2]])[: len(a)]))


def test_vectors_of_other_eigenvalues_are_differentiated_beside_repeated_ones():
    a = np.diag([1.0, 1.0, 3.0]) + 0.1 * np.ones((3, 3))
    f = lambda x: linalg(x).eigh((x + x.mT) / 2).eigenvectors[0, 2] ** 2  # noqa: E731
    got = autodiff.gradient(f, a)
    v = np.random.default_rng(0).standard_normal((3, 3))
    plain = lambda a: np.linalg.eigh((a + a.T) / 2).eigenvectors[0, 2] ** 2  # noqa: E731
    np.testing.assert_allclose(np.sum(got * v), differences(plain, a, v / 10) * 10, rtol=1e-8)


def test_a_second_derivative_does_not_trust_a_cotangent_that_happens_to_be_zero():
    """v[0, 0]**2 at an eigenvector that is 0 there: its first derivative is 0, its second not."""
    f = lambda x: linalg(x).eigh((x + x.mT) / 2).eigenvectors[0, 1] ** 2  # noqa: E731
    repeated = np.eye(2)
    assert np.all(np.isnan(autodiff.hvp(f, repeated, np.asarray([[0.0, 1.0], [1.0, 0.0]]))))


def test_singular_values_of_zero_have_the_gradient_of_abs():
    np.testing.assert_array_equal(
        autodiff.gradient(lambda x: linalg(x).matrix_norm(x, ord="nuc"), np.zeros((2, 3))), 0
    )


REFUSED = {
    "full_matrices": (lambda x: total(linalg(x).svd(x[:, :1]).U), np.ones((2, 2)), "full_matrices"),
    "complete": (
        lambda x: total(linalg(x).qr(x[:, :1], mode="complete").R),
        np.ones((2, 2)),
        "mode='reduced'",
    ),
    "complex": (
        lambda x: x.__array_namespace__().abs(linalg(x).svd(x).U[0, 0]),
        np.eye(2) * (1 + 1j),
        "defined up to phases",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_be_any_basis_is_refused(name):
    f, a, message = REFUSED[name]
    with pytest.raises(NotImplementedError, match=message):
        autodiff.gradient(f, a)


def test_wrong_options_are_named():
    def call(f):
        return autodiff.gradient(lambda x: total(f(linalg(x), x)), np.ones((2, 2)))

    with pytest.raises(ValueError, match="`ord` must be 'fro'"):
        call(lambda la, x: la.matrix_norm(x, ord=3))
    with pytest.raises(ValueError, match="needs 3 elements along `axis`: got 2, 2"):
        call(lambda la, x: la.cross(x, x))
    with pytest.raises(ValueError, match="`mode` must be 'reduced' or 'complete': got 'r'"):
        call(lambda la, x: la.qr(x, mode="r").R)
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        call(lambda la, x: la.matrix_power(x, 2.5))
    with pytest.raises(np.linalg.LinAlgError):
        call(lambda la, x: la.inv(x))


def test_ranks_and_values_of_constants():
    def f(x):
        xp = x.__array_namespace__()
        c = xp.asarray([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]])
        assert int(xp.linalg.matrix_rank(c)) == 2
        assert xp.linalg.qr(c, mode="complete").Q.shape == (3, 3)
        assert xp.linalg.svd(c).U.shape == (3, 3)
        return x * xp.linalg.matrix_rank(x * c)

    assert autodiff.gradient(f, np.asarray(2.0)) == 2


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3)])
def test_a_matrix_that_is_not_positive_definite_has_no_finite_cholesky_gradient(shape, backend):
    xp = gl.namespace()
    a = np.broadcast_to([[4.0, 1.0, 0.0], [1.0, 1.0, 2.0], [0.0, 2.0, 1.0]], shape)
    try:
        slope = gl.to_numpy(
            gl.grad(lambda a: xp.sum(a.__array_namespace__().linalg.cholesky(a)))(gl.asarray(a))
        )
    except (ValueError, np.linalg.LinAlgError):  # what libraries raise; CuPy does not
        return
    assert np.all(np.isnan(slope))


@pytest.mark.parametrize("n", [1, 5, 60])
def test_a_factor_is_known_for_one_where_nothing_raises(n, monkeypatch):
    module = importlib.import_module("gradlab.backend.linear_algebra")
    monkeypatch.setattr(module, "library_of", lambda a: "cupy")
    rng = np.random.default_rng(n)
    for dtype in (np.float32, np.float64, np.complex64, np.complex128):
        half = rng.normal(size=(4, n, n)) + 1j * rng.normal(size=(4, n, n))
        half = (half if np.dtype(dtype).kind == "c" else half.real).astype(dtype)
        a = half @ np.conj(half.mT)
        scales = np.asarray([1.0, 1e-12, 1e12, 1.0], dtype=a.real.dtype)
        a = a * scales[:, None, None] + np.eye(n, dtype=dtype) * np.diagonal(a[0])[0].real * 1e-3
        assert np.all(np.isfinite(module.cholesky(a)))
        wrong = np.linalg.cholesky(a)
        wrong[1, -1, -1] *= 2
        monkeypatch.setattr(np.linalg, "cholesky", lambda a, wrong=wrong: wrong)
        assert np.isnan(module.cholesky(a)).all(axis=(1, 2)).tolist() == [False, True, False, False]
        monkeypatch.undo()
        monkeypatch.setattr(module, "library_of", lambda a: "cupy")
