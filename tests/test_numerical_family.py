"""Jacobians, Hessians and products with them by differences: values, shapes, trees, memory."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

import gradlab as gl
from gradlab import autodiff, numerical

A = np.asarray([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])


def near(got, expected, backend, digits=8):
    got = gl.to_numpy(got)
    expected = np.asarray(expected, dtype=float)
    assert got.shape == expected.shape
    tolerance = 10.0**-digits if backend.dtype == "float64" else 3e-2
    np.testing.assert_allclose(got, expected, atol=tolerance * max(1, np.max(np.abs(expected))))


@pytest.fixture
def x(backend):
    return gl.asarray([0.5, -1.0, 2.0])


def linear(x):
    xp = gl.namespace(x)
    return xp.asarray(A.tolist(), dtype=x.dtype, device=x.device) @ x


def cubic(x):
    xp = gl.namespace(x)
    return xp.sum(x**3) + x[0] * x[1] * x[2] + xp.exp(x[0] * x[1])


@pytest.mark.parametrize("method", ["central", "forward", "backward"])
def test_the_jacobian_of_a_linear_map_is_its_matrix(backend, x, method):
    near(numerical.jacobian(linear, x, method=method), A, backend, 6)


def test_jacobians_have_the_shape_of_the_value_and_then_that_of_the_argument(backend, x):
    xp = gl.namespace(x)
    f = lambda x: xp.reshape(x[0] * x[1:] ** 2, (2, 1))  # noqa: E731
    expected = np.zeros((2, 1, 3))
    expected[:, 0, 0] = [1.0, 4.0]
    expected[0, 0, 1], expected[1, 0, 2] = -1.0, 2.0
    near(numerical.jacobian(f, x), expected, backend)
    near(numerical.jacobian(lambda x: x[:1], x), [[1.0, 0, 0]], backend)
    near(numerical.jacobian(lambda x: x[0] * 2, x), [2.0, 0, 0], backend)
    near(numerical.jacobian(lambda x: x**2, 3.0), 6.0, backend)


def test_jacobians_of_trees_are_trees(backend):
    x = {"a": gl.asarray([[1.0, 2.0]]), "b": [gl.asarray(3.0)]}
    got = numerical.jacobian(lambda p: p["a"][0, :] * p["b"][0], x)
    near(got["a"], [[[3.0, 0.0]], [[0.0, 3.0]]], backend)
    near(got["b"][0], [1.0, 2.0], backend)


@pytest.mark.parametrize("chunk_size", [None, 1, 2])
def test_a_vectorized_jacobian_is_the_same(backend, x, chunk_size):
    calls = []

    def f(x):
        calls.append(x.shape[0])
        return gl.namespace(x).stack([x[:, 0] * x[:, 1], x[:, 2] ** 2], axis=-1)

    got = numerical.jacobian(f, x, vectorized=True, chunk_size=chunk_size)
    near(got, [[-1.0, 0.5, 0.0], [0.0, 0.0, 4.0]], backend)
    assert calls[0] == 1
    assert max(calls) == (chunk_size or 3)


def test_products_are_those_with_the_jacobian(backend, x):
    v, u = gl.asarray([1.0, 0.5, -2.0]), gl.asarray([2.0, -1.0])
    host = [1.0, 0.5, -2.0]
    near(numerical.jvp(linear, x, v), A @ host, backend)
    near(numerical.jvp(linear, x, v, method="forward"), A @ host, backend, 6)
    near(numerical.vjp(linear, x, u), [2.0, -1.0] @ A, backend)
    vectorized = lambda x: (linear(x.mT)).mT if x.ndim > 1 else linear(x)  # noqa: E731
    near(numerical.vjp(vectorized, x, u, vectorized=True), [2.0, -1.0] @ A, backend)
    near(numerical.jvp(linear, x, 0 * v), [0.0, 0.0], backend)
    near(numerical.jvp(vectorized, x, v, vectorized=True), A @ host, backend)


def test_products_of_trees(backend):
    x = {"a": gl.asarray([1.0, 2.0]), "b": gl.asarray(3.0)}
    v = {"b": gl.asarray(1.0), "a": gl.asarray([1.0, 1.0])}
    f = lambda p: p["a"] * p["b"]  # noqa: E731
    near(numerical.jvp(f, x, v), [4.0, 5.0], backend)
    got = numerical.vjp(f, x, gl.asarray([1.0, 1.0]))
    near(got["a"], [3.0, 3.0], backend)
    near(got["b"], 3.0, backend)


def test_hessians_are_those_of_exact_differentiation(x, backend):
    if backend.dtype == "float32":
        pytest.skip("half of float32's digits tell nothing")
    exact = autodiff.hessian(cubic, x)
    got = numerical.hessian(cubic, x)
    near(got, gl.to_numpy(exact), backend, 6)
    np.testing.assert_array_equal(gl.to_numpy(got), gl.to_numpy(got).T)
    v = gl.asarray([1.0, -1.0, 0.5])
    near(numerical.hvp(cubic, x, v), gl.to_numpy(exact @ v), backend, 6)


def test_a_quadratic_has_its_hessian_in_single_precision():
    x = np.asarray([1.0, -2.0], dtype=np.float32)
    got = numerical.hessian(lambda x: 3 * x[0] ** 2 + x[0] * x[1], x, step=0.25)
    np.testing.assert_allclose(got, [[6, 1], [1, 0]], atol=1e-4)
    assert got.dtype == np.float32
    got = numerical.hvp(lambda x: 3 * x[0] ** 2 + x[0] * x[1], x, x, step=0.25)
    np.testing.assert_allclose(got, [4, 1], atol=1e-4)


def test_hessians_of_trees_vectorized_and_by_chunks():
    x = {"a": np.asarray([[1.0, 2.0]]), "b": np.asarray(3.0)}

    def f(p):
        a, b = p["a"], p["b"]
        return a[..., 0, 0] ** 2 * b + a[..., 0, 1] * b**2

    for options in ({}, {"chunk_size": 1}, {"vectorized": True}):
        got = numerical.hessian(f, x, **options)
        np.testing.assert_allclose(got["a"]["a"][0, :, 0, :], [[6, 0], [0, 0]], atol=1e-5)
        np.testing.assert_allclose(got["a"]["b"][0], [2, 6], atol=1e-5)
        np.testing.assert_allclose(got["b"]["a"], [[2, 6]], atol=1e-5)
        np.testing.assert_allclose(got["b"]["b"], 4, atol=1e-5)


@pytest.mark.parametrize("method", ["central", "forward", "backward"])
@pytest.mark.parametrize("start", [[0.0, 1.0, 0.3], [0.0, 0.0, 1.0], [1e-7, 1.0 - 1e-7, 0.5]])
def test_products_along_a_direction_stay_between_bounds(backend, method, start):
    """At a corner, on an edge, beside one: f has no values beyond."""
    xp, seen = gl.namespace(), []

    def f(x):
        seen.append(gl.to_numpy(x).copy())
        return x * x * x + 2 * x

    # towards the middle, as one that leaves the box to both sides at once has no room at all
    direction = [1.0 if value < 0.5 else -1.0 for value in start]
    x, v = gl.asarray(start), gl.asarray(direction)
    expected = (3 * np.asarray(start) ** 2 + 2) * direction
    near(numerical.jvp(f, x, v, method=method, bounds=(0.0, 1.0)), expected, backend, 6)
    inner = lambda x: xp.sum(f(x))  # noqa: E731
    second = 6 * np.asarray(start) * direction
    got = gl.to_numpy(numerical.hvp(inner, x, v, bounds=(0.0, 1.0)))
    np.testing.assert_allclose(got, second, atol=1e-3 if backend.dtype == "float64" else 0.5)
    assert np.min(seen) >= 0.0
    assert np.max(seen) <= 1.0


@pytest.mark.parametrize("bounds", [None, (0.0, 3.0)])
def test_hessian_products_keep_tuples_of_numbers(bounds):
    x = {"a": np.ones(2), "b": (np.asarray(2.0),)}
    f = lambda p: np.sum(p["a"] ** 2) * p["b"][0]  # noqa: E731
    got = numerical.hvp(f, x, x, bounds=bounds)
    np.testing.assert_allclose(got["a"], [8.0, 8.0], rtol=1e-5)
    assert isinstance(got["b"], tuple)
    assert got["b"][0].shape == ()
    np.testing.assert_allclose(got["b"][0], 4.0, rtol=1e-5)


def test_a_direction_without_room_between_bounds_is_refused():
    x, v = np.asarray([0.0, 1.0]), np.asarray([1.0, 1.0])
    with pytest.raises(ValueError, match=r"`step` must move every element of `x`.*wider `bounds`"):
        numerical.jvp(np.sin, x, v, bounds=(0.0, 1.0))
    with pytest.raises(ValueError, match="`bounds` must hold `x`: an element lies outside"):
        numerical.hvp(np.sum, x, v, bounds=(0.1, 1.0))
    np.testing.assert_array_equal(numerical.jvp(np.sin, x, 0 * v, bounds=(0.0, 1.0)), [0.0, 0.0])


def test_leaves_without_elements_leave_the_room_of_the_others(backend):
    xp = gl.namespace()
    x = {"a": gl.asarray([0.0]), "b": gl.asarray([1.0])[:0]}
    f = lambda p: xp.sum(p["a"] ** 2 + 3 * p["a"])  # noqa: E731
    v = {"a": gl.asarray([1.0]), "b": x["b"]}
    near(numerical.jvp(f, x, v, bounds=(0.0, 1.0)), 3.0, backend, 6)
    near(numerical.hvp(f, x, v, bounds=(0.0, 1.0))["a"], [2.0], backend, 2)
    near(numerical.jvp(xp.sum, x["b"], x["b"], bounds=(0.0, 1.0)), 0.0, backend)


def test_products_along_a_direction_take_chunks_too(backend, x):
    near(numerical.jvp(lambda x: x**2, x, x, chunk_size=1), 2 * gl.to_numpy(x) ** 2, backend)
    with pytest.raises(ValueError, match="`chunk_size` must be a positive integer or None: got 0"):
        numerical.jvp(lambda x: x**2, x, x, chunk_size=0)


def test_the_step_along_a_direction_may_be_an_array_without_axes(backend, x):
    got = numerical.jvp(lambda x: x**2, x, x, step=gl.asarray(0.125))
    near(got, 2 * gl.to_numpy(x) ** 2, backend)


def test_trees_have_bounds_of_their_leaves_along_a_direction():
    x = {"a": np.asarray([1.0]), "b": np.asarray(2.0)}
    v = {"a": np.asarray([-1.0]), "b": np.asarray(1.0)}
    bounds = ({"a": 0.0, "b": 2.0}, {"a": 1.0, "b": 9.0})
    got = numerical.jvp(lambda p: np.sqrt(p["b"] - 2.0 + p["a"][0]), x, v, bounds=bounds)
    assert float(got) == pytest.approx(0.0, abs=1e-9)


def test_hessians_stay_between_bounds():
    seen = []

    def f(x):
        seen.append(x.copy())
        return x[0] ** 2 * x[1] + np.sqrt(x[1])

    x = np.asarray([0.0, 1e-9])
    numerical.hessian(f, x, bounds=(0.0, 5.0))
    assert all(np.all((point >= 0) & (point <= 5)) for point in seen)
    got = numerical.hessian(lambda x: x[0] ** 2 * x[1], np.asarray([0.0, 2.0]), bounds=(0.0, 5.0))
    np.testing.assert_allclose(got, [[4, 0], [0, 0]], atol=1e-4)


def test_what_a_jacobian_holds_beside_its_result_is_bounded():
    n = 2000
    x = np.linspace(0, 1, n)
    numerical.jacobian(np.sin, x[:3])
    tracemalloc.start()
    try:
        got = numerical.jacobian(np.sin, x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - got.nbytes < 64e6
    np.testing.assert_allclose(np.diag(got), np.cos(x), atol=1e-9)


def test_what_a_jacobian_of_many_outputs_holds_beside_its_result_is_bounded():
    outputs, x = 100_000, np.linspace(0, 1, 40)
    f = lambda x: np.tile(x, outputs // 40)  # noqa: E731
    tracemalloc.start()
    try:
        got = numerical.jacobian(f, x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert got.shape == (outputs, 40)
    assert peak - got.nbytes < 64e6


def test_how_often_f_is_called():
    x = np.ones(4)

    def count(verb, f, *args, **options):
        calls = []
        verb(lambda x: (calls.append(1), f(x))[1], x, *args, **options)
        return len(calls)

    total = lambda x: np.sum(x * x)  # noqa: E731
    assert count(numerical.jacobian, np.sin) == 9
    assert count(numerical.jacobian, np.sin, method="forward") == 5
    assert count(numerical.jvp, np.sin, x) == 3
    assert count(numerical.hvp, total, x) == 19
    assert count(numerical.hessian, total) == 1 + 2 * 4 + 4 * 6


WRONG = {
    "other shapes": (
        lambda x: numerical.jacobian(lambda x: x[: 1 + int(x[0] > 1)], x),
        "`f` must return arrays of one shape",
    ),
    "no array": (lambda x: numerical.jacobian(lambda x: "a", x), "must return a real array"),
    "shape of u": (
        lambda x: numerical.vjp(np.sin, x, np.ones(3)),
        r"`u` must have the shape of f\(x\), \(2,\): got \(3,\)",
    ),
    "tree of u": (lambda x: numerical.vjp(np.sin, x, {"a": x}), "`u` must be one array"),
    "shape of v": (
        lambda x: numerical.jvp(np.sin, x, np.ones(3)),
        r"`v` must have the shape \(2,\), as in `x`: got \(3,\)",
    ),
    "tree of v": (lambda x: numerical.jvp(np.sin, x, {"a": x}), "`v` must be built like `x`"),
    "steps along a direction": (
        lambda x: numerical.hvp(np.sum, x, x, step=np.asarray([1e-3, 1e-2])),
        r"`step` along a direction must be one number: got shape \(2,\)",
    ),
    "a step too small": (
        lambda x: numerical.jvp(np.sin, x, x, step=1e-30),
        "`step` must move an element of `x` along `v`",
    ),
    "no scalar": (lambda x: numerical.hessian(np.sin, x), "take numerical.jacobian"),
    "no scalar of hvp": (lambda x: numerical.hvp(np.sin, x, x), "take numerical.jacobian"),
    "not vectorized": (
        lambda x: numerical.jacobian(lambda x: x[0], x, vectorized=True, chunk_size=1),
        r"must return shape \(k, ...\)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_named(name):
    call, message = WRONG[name]
    with pytest.raises((ValueError, TypeError), match=message):
        call(np.asarray([1.0, 2.0]))


def test_not_a_number_touches_its_own_column():
    def f(x):
        return np.asarray([x[0], math.nan if x[1] != 1.0 else 0.0])

    got = numerical.jacobian(f, np.ones(2))
    np.testing.assert_array_equal(np.isnan(got), [[False, False], [False, True]])


def test_arguments_stay_as_they_are_whatever_f_does():
    x = np.asarray([1.0, 2.0])

    def spoil(x):
        y = x * x
        x[...] = math.nan
        return y

    for verb, args in ((numerical.jacobian, ()), (numerical.jvp, (np.ones(2),))):
        assert np.all(np.isfinite(verb(spoil, x, *args)))
    np.testing.assert_array_equal(x, [1.0, 2.0])


def test_an_argument_without_elements_has_derivatives_without_elements():
    x, total = np.zeros((0, 2)), lambda x: np.sum(x)
    assert numerical.jacobian(np.sin, x).shape == (0, 2, 0, 2)
    assert numerical.hessian(total, x).shape == (0, 2, 0, 2)
    assert numerical.hvp(total, x, x).shape == (0, 2)
    np.testing.assert_array_equal(numerical.jvp(lambda x: np.ones(3), x, x), np.zeros(3))
    for method in ("spsa", "gaussian", "sphere", "coordinate"):
        options = {"method": method, "n_samples": 3, "seed": 0}
        assert numerical.estimate_gradient(total, x, **options).shape == (0, 2)
