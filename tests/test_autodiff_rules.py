"""Every rule against differences on plain arrays, `u·J v` both ways, and at second order."""

from __future__ import annotations

import math

import array_api_compat.numpy as anp
import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from truths import check, differences, loss_of, samples

import gradlab as gl
from gradlab import autodiff
from gradlab.autodiff.composites import COMPOSITES
from gradlab.autodiff.namespace import CREATION, PLAIN, UNSUPPORTED
from gradlab.autodiff.rule import DISCRETE, RULES

# Where each function is tried: the interval of its arguments, inside its domain
UNARY = {
    "abs": (-2, 2), "acos": (-0.8, 0.8), "acosh": (1.3, 3), "asin": (-0.8, 0.8),
    "asinh": (-2, 2), "atan": (-2, 2), "atanh": (-0.8, 0.8), "conj": (-2, 2), "cos": (-3, 3),
    "cosh": (-2, 2), "exp": (-2, 2), "expm1": (-2, 2), "log": (0.3, 3), "log10": (0.3, 3),
    "log1p": (-0.6, 3), "log2": (0.3, 3), "negative": (-2, 2), "positive": (-2, 2),
    "real": (-2, 2), "reciprocal": (0.5, 3), "sin": (-3, 3), "sinh": (-2, 2), "sqrt": (0.3, 3),
    "square": (-2, 2), "tan": (-1, 1), "tanh": (-2, 2),
}  # fmt: skip
BINARY = {
    "add": (-2, 2), "atan2": (0.3, 2), "copysign": (0.3, 2), "divide": (0.5, 2),
    "hypot": (0.3, 2), "logaddexp": (-2, 2), "maximum": (-2, 2), "minimum": (-2, 2),
    "multiply": (-2, 2), "pow": (0.4, 2), "remainder": (0.4, 3), "subtract": (-2, 2),
}  # fmt: skip
REDUCTIONS = ("max", "mean", "min", "prod", "std", "sum", "var")
MANIPULATIONS = {
    "astype": lambda xp, x: xp.astype(x, xp.float64),
    "broadcast_to": lambda xp, x: xp.broadcast_to(x, (2, *x.shape)),
    "broadcast_arrays": lambda xp, x: xp.broadcast_arrays(x, x[:1, ...])[1] * x,
    "clip": lambda xp, x: xp.clip(x, -0.5, 0.7),
    "concat": lambda xp, x: xp.concat([x, x * x, x[:1, ...]], axis=0),
    "concat flat": lambda xp, x: xp.concat([x, x * x], axis=None),
    "cumulative_prod": lambda xp, x: xp.cumulative_prod(x, axis=1),
    "cumulative_prod with initial": lambda xp, x: xp.cumulative_prod(
        x, axis=0, include_initial=True
    ),
    "cumulative_sum": lambda xp, x: xp.cumulative_sum(x, axis=-1),
    "cumulative_sum with initial": lambda xp, x: xp.cumulative_sum(
        x, axis=0, include_initial=True
    ),
    "diff": lambda xp, x: xp.diff(x, axis=0, n=2, prepend=x[:1, ...] ** 2, append=x[:1, ...]),
    "expand_dims": lambda xp, x: xp.expand_dims(x, axis=1) * x,
    "flip": lambda xp, x: xp.flip(x, axis=0) * x,
    "full": lambda xp, x: xp.full((2, 2), x[0, 0]) * x[1, 1],
    "matmul": lambda xp, x: xp.matmul(x, xp.matrix_transpose(x)),
    "matmul by vectors": lambda xp, x: xp.matmul(xp.matmul(x[:, 0], x), x[0, :]),
    "matmul of stacks": lambda xp, x: xp.matmul(xp.stack([x, x * x]), x.T),
    "matrix_transpose": lambda xp, x: xp.matrix_transpose(x),
    "meshgrid": lambda xp, x: xp.meshgrid(x[0, :], x[:, 0])[0] * xp.meshgrid(x[0, :], x[:, 0])[1],
    "moveaxis": lambda xp, x: xp.moveaxis(xp.stack([x, x * x]), 0, -1),
    "outer": lambda xp, x: xp.linalg.outer(x[0, :], x[1, :]),
    "permute_dims": lambda xp, x: xp.permute_dims(xp.stack([x, x * x]), (2, 0, 1)),
    "repeat": lambda xp, x: xp.repeat(x, 3, axis=1),
    "repeat flat": lambda xp, x: xp.repeat(x, 2),
    "repeat unevenly": lambda xp, x: xp.repeat(x, xp.asarray([2, 0, 1], device=x.device), axis=0),
    "reshape": lambda xp, x: xp.reshape(x, (-1, 2)),
    "roll": lambda xp, x: xp.roll(x, (1, 2), axis=(0, 1)) * x,
    "roll flat": lambda xp, x: xp.roll(x, 5),
    "sort": lambda xp, x: xp.sort(x, axis=0, descending=True),
    "squeeze": lambda xp, x: xp.squeeze(x[:1, ...], axis=0),
    "stack": lambda xp, x: xp.stack([x, x**2], axis=1),
    "take": lambda xp, x: xp.take(x, xp.asarray([0, 2, 2], device=x.device), axis=0),
    "take_along_axis": lambda xp, x: xp.take_along_axis(x, xp.argsort(x, axis=1), axis=1),
    "tensordot": lambda xp, x: xp.tensordot(x, x * x, axes=([0], [0])),
    "tensordot outer": lambda xp, x: xp.tensordot(x[0, :], x[1, :], axes=0),
    "tile": lambda xp, x: xp.tile(x, (2, 1, 3)),
    "tril": lambda xp, x: xp.tril(x, k=1),
    "triu": lambda xp, x: xp.triu(x),
    "unstack": lambda xp, x: xp.unstack(x, axis=1)[1],
    "vecdot": lambda xp, x: xp.vecdot(x, x * x, axis=0),
    "vector_norm": lambda xp, x: xp.linalg.vector_norm(x, axis=1, keepdims=True),
    "vector_norm of order 3": lambda xp, x: xp.linalg.vector_norm(x, ord=3),
    "where": lambda xp, x: xp.where(x > 0, x * x, -x),
    "index": lambda xp, x: x[1:, ::2] * x[0, 1],
    "index by None and ellipsis": lambda xp, x: x[None, ..., -1] * x[2, :1],
    "index by truth values": lambda xp, x: x[x > -0.3],
    "index by integers": lambda xp, x: x[
        xp.asarray([0, 0, 2], device=x.device), xp.asarray([1, 1, 3], device=x.device)
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_a_function_of_one_array(name):
    check(lambda xp, x: getattr(xp, name)(x), samples((2, 3), UNARY[name]))


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((3,), (2, 1)), ((), (2, 2)), ((1, 2), ())])
@pytest.mark.parametrize("name", BINARY)
def test_a_function_of_two_arrays_with_broadcasting(name, shapes):
    first, second = (samples(s, BINARY[name], k) for k, s in enumerate(shapes))
    check(lambda xp, x: getattr(xp, name)(x, xp.asarray(second)), first)
    check(lambda xp, x: getattr(xp, name)(xp.asarray(first), x), second)
    if first.shape == second.shape:
        check(lambda xp, x: getattr(xp, name)(x * x, 1.5 * x + 0.01 * x * x), first)


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction(name, axis, keepdims):
    x = samples((2, 3, 2), (-2, 2))
    check(lambda xp, x: getattr(xp, name)(x, axis=axis, keepdims=keepdims), x)


@pytest.mark.parametrize("name", MANIPULATIONS)
def test_a_manipulation(name):
    check(MANIPULATIONS[name], samples((3, 4), (-1.5, 1.5)))


@pytest.mark.parametrize("correction", [0.0, 1.0, 0.5])
def test_a_correction_of_the_variance(correction):
    x = samples((4, 3), (-1, 1))
    check(lambda xp, x: xp.std(x, axis=0, correction=correction), x)
    check(lambda xp, x: xp.var(x, correction=correction), x)


@pytest.mark.parametrize("zeros", [0, 1, 2])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_products_with_zeros_are_exact(n, zeros):
    x = samples((n,), (0.5, 2))
    x[:zeros] = 0.0
    truth = [math.prod(np.delete(x, k)) for k in range(n)]
    got = autodiff.gradient(lambda x: x.__array_namespace__().prod(x), x)
    np.testing.assert_allclose(got, truth, rtol=1e-12)
    check(lambda xp, x: xp.prod(x), x)
    check(lambda xp, x: xp.cumulative_prod(x), x)


COMPLEX = {
    **{name: (lambda xp, z, name=name: getattr(xp, name)(z)) for name in UNARY if name != "abs"},
    "abs": lambda xp, z: xp.abs(z),
    "imag": lambda xp, z: xp.imag(z),
    "sign": lambda xp, z: xp.sign(z),
    "multiply": lambda xp, z: z * z[::-1] * (1 + 2j),
    "divide": lambda xp, z: z / z[::-1],
    "pow": lambda xp, z: z**3,
    "matmul": lambda xp, z: xp.linalg.outer(z, z) @ z,
    "vecdot": lambda xp, z: xp.vecdot(z, z * z),
    "mixed": lambda xp, z: xp.real(z) * z + xp.abs(z) * 1j,
    "sum": lambda xp, z: xp.sum(z * z),
    "mean": lambda xp, z: xp.mean(z, keepdims=True) * z,
    "prod": lambda xp, z: xp.prod(z),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_a_complex_function_by_its_real_and_imaginary_directions(name):
    """With the inner product Re(conj(u)·v), against differences along a complex direction."""
    rng = np.random.default_rng(2)
    z = rng.uniform(0.4, 0.7, 3) + 1j * rng.uniform(0.2, 0.6, 3)
    v = (rng.standard_normal(3) + 1j * rng.standard_normal(3)) * 0.3
    truth = differences(lambda z: COMPLEX[name](anp, z), z, v)
    u = rng.standard_normal(truth.shape) * (1 + (1j if np.iscomplexobj(truth) else 0))
    traced = lambda z: COMPLEX[name](z.__array_namespace__(), z)  # noqa: E731
    np.testing.assert_allclose(autodiff.jvp(traced, z, v), truth, atol=1e-7)
    pulled = autodiff.vjp(traced, z, u)
    np.testing.assert_allclose(
        np.sum(np.conj(pulled) * v).real, np.sum(np.conj(u) * truth).real, atol=1e-7
    )


def test_the_gradient_of_a_real_loss_points_to_steepest_ascent():
    z = np.asarray([1 + 2j, -0.5j])
    got = autodiff.gradient(lambda z: (z.__array_namespace__().abs(z) ** 2)[0] * 3, z)
    np.testing.assert_allclose(got, [6 * z[0], 0])


@given(st.data())
def test_random_shapes_axes_and_broadcasts(data):
    ndim = data.draw(st.integers(1, 3))
    shape = tuple(data.draw(st.integers(1, 3)) for _ in range(ndim))
    other = tuple(n if data.draw(st.booleans()) else 1 for n in shape)
    axis = data.draw(st.integers(-ndim, ndim - 1))
    smooth = sorted(set(BINARY) - {"maximum", "minimum", "remainder", "copysign"})
    name = data.draw(st.sampled_from(sorted(set(REDUCTIONS) - {"max", "min", "std"})))
    binary = data.draw(st.sampled_from(smooth))  # differences step over kinks
    c = samples(other, BINARY[binary], 3)

    def f(xp, x):
        return getattr(xp, name)(getattr(xp, binary)(x, xp.asarray(c)), axis=axis)

    x = samples(shape, BINARY[binary], data.draw(st.integers(10, 1000)))
    check(f, x, rtol=1e-5)


STANDARD = {
    name
    for name in dir(array_api_strict)
    if not name.startswith("_")
    and callable(getattr(array_api_strict, name))
    and not isinstance(getattr(array_api_strict, name), type)
} - {
    # not of the standard: flags of array-api-strict itself
    "ArrayAPIStrictFlags", "get_array_api_strict_flags", "reset_array_api_strict_flags",
    "set_array_api_strict_flags",
}  # fmt: skip
STANDARD = {n for n in STANDARD if type(getattr(array_api_strict, n)).__name__ == "function"}


def test_every_function_of_the_standard_has_its_place():
    places = [set(RULES), set(COMPOSITES), DISCRETE, set(CREATION), set(PLAIN), set(UNSUPPORTED)]
    known = set().union(*places)
    assert sorted(STANDARD - known) == []
    assert all(reason for reason in UNSUPPORTED.values())


def test_every_rule_is_tried_here():
    tried = {*UNARY, *BINARY, *REDUCTIONS, *(name.split()[0] for name in MANIPULATIONS)}
    elsewhere = {"getitem", "imag", "power_log", "rest_of_square", "root", "scatter", "setitem"}
    own_files = {name for name in RULES if "." in name}  # of the extensions
    assert set(RULES) - tried - elsewhere - own_files == set()


def example(name):
    """Function of the table by its name, and a point to try it at."""
    if name in UNARY:
        return lambda xp, x: getattr(xp, name)(x), samples((2, 3), UNARY[name])
    if name in BINARY:
        f = lambda xp, x: getattr(xp, name)(x, x[:1, ...] * 1.1)  # noqa: E731
        return f, samples((2, 3), BINARY[name])
    if name in REDUCTIONS:
        return lambda xp, x: getattr(xp, name)(x, axis=0), samples((3, 4), (-1.5, 1.5))
    return MANIPULATIONS[name], samples((3, 4), (-1.5, 1.5))


EVERYTHING = [*UNARY, *BINARY, *REDUCTIONS, *MANIPULATIONS]


@pytest.mark.parametrize("name", EVERYTHING)
def test_the_same_numbers_on_every_backend(name, backend):
    """Gradients, dtype and device; truth: the same rule on NumPy."""
    f, x = example(name)
    theirs = gl.asarray(x, backend.dtype)
    if name == "astype" and backend.dtype == "float32":
        return
    got = autodiff.gradient(loss_of(f), theirs)
    assert got.device == theirs.device
    assert got.dtype == theirs.dtype
    expected = autodiff.gradient(loss_of(f), x)
    rtol = 1e-9 if backend.dtype == "float64" else 1e-3
    np.testing.assert_allclose(gl.to_numpy(got), expected, rtol=rtol, atol=rtol)
