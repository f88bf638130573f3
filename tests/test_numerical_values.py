"""Finite differences against analytic derivatives, on every backend."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gradlab as gl
from gradlab.numerical import derivative, gradient, value_and_gradient

QUADRATICS = [((3.0, 4.0), (6.0, 8.0)), ((0.0, 2.0), (0.0, 4.0)), ((3.0, 0.0), (6.0, 0.0))]
METHODS = ("central", "forward", "backward")


def is_double(xp):
    return xp.asarray(0.0).dtype == xp.float64


@pytest.mark.parametrize(("point", "slope"), QUADRATICS)
def test_gradient_of_a_sum_of_squares_is_twice_the_point(xp, assert_close, point, slope):
    got = gradient(lambda x: x[0] ** 2 + x[1] ** 2, xp.asarray(point))
    assert_close(got, slope, rtol=1e-9 if is_double(xp) else 1e-3, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_one_sided_methods_are_as_exact_as_their_order_allows(xp, assert_close, method):
    got = gradient(lambda x: xp.sum(xp.exp(x)), xp.asarray([0.0, 1.0]), method=method)
    order = 1e-9 if method == "central" else 1e-7
    assert_close(got, [1.0, math.e], rtol=order if is_double(xp) else 5e-3)


def test_integers_become_the_default_floating_dtype(xp, assert_close):
    got = gradient(lambda x: xp.sum(x * x), xp.asarray([3, 4]))
    assert str(got.dtype).endswith(gl.get_backend().dtype)
    assert_close(got, [6.0, 8.0], rtol=1e-3 if not is_double(xp) else 1e-9)


def test_float32_stays_float32_and_is_exact_to_a_thousandth(xp, assert_close):
    got = gradient(lambda x: xp.sum(x * x), xp.asarray([3.0, 4.0], dtype=xp.float32))
    assert got.dtype == xp.float32
    assert_close(got, [6.0, 8.0], rtol=1e-3)


def test_float32_squares_of_large_numbers_are_right_to_a_percent(xp, assert_close):
    x = xp.asarray([1e8], dtype=xp.float32)
    assert_close(gradient(lambda x: x[0] * x[0], x), [2e8], rtol=1e-2)


def test_a_large_argument_is_moved_by_the_step_that_is_taken():
    got = derivative(np.sin, np.asarray(1e10), step=1e-5)
    assert abs(float(got) - 0.873119622676856) < 1e-6  # cos(1e10), mpmath at 50 digits


@pytest.mark.parametrize("point", [1e20, 1e-310, -1e-310, 0.0, 1e300])
@pytest.mark.parametrize("method", METHODS)
def test_the_identity_has_slope_one_at_every_scale(point, method):
    got = derivative(lambda x: x, np.asarray([point]), method=method)
    np.testing.assert_allclose(got, [1.0], rtol=1e-12)


def test_other_elements_keep_their_negative_zeros():
    got = gradient(lambda x: x[1] * np.copysign(1.0, x[0]), np.asarray([-0.0, 1.0]))
    np.testing.assert_allclose(got[1], -1.0, rtol=1e-10)


def test_the_logarithm_of_a_determinant_has_the_inverse_transpose_as_gradient():
    W = np.asarray([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]])
    got = gradient(lambda W: np.log(np.linalg.det(W)), W)
    truth = np.asarray([[5, -2, 1], [-2, 8, -4], [1, -4, 11]]) / 18
    np.testing.assert_allclose(got, truth, atol=1e-8)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 1, 2)])
def test_any_shape_is_kept(xp, assert_close, shape):
    values = np.arange(1.0, 1.0 + math.prod(shape)).reshape(shape)
    got = gradient(lambda x: xp.sum(x**3), xp.asarray(values.tolist()))
    assert_close(got, 3 * values**2, rtol=1e-8 if is_double(xp) else 1e-2)


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_the_gradient_of_nothing_is_nothing(xp, shape):
    x = xp.zeros(shape)
    assert gradient(lambda x: xp.sum(x * x), x).shape == shape
    assert derivative(lambda x: x * x, x).shape == shape


def test_the_derivative_of_an_elementwise_function_keeps_the_shape(xp, assert_close):
    x = xp.asarray([[0.5, 1.0], [2.0, -3.0]])
    got = derivative(lambda x: x**3, x)
    assert_close(got, [[0.75, 3.0], [12.0, 27.0]], rtol=1e-8 if is_double(xp) else 1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_a_number_may_stand_for_an_array(backend, assert_close, method):
    got = derivative(lambda x: 0.01 * x**2 + 0.1 * x, 5, method=method)
    assert got.shape == ()
    assert gl.namespace(got) is gl.namespace()
    assert_close(got, 0.2, rtol=1e-6 if backend.dtype == "float64" else 1e-2)


def test_a_list_of_numbers_is_an_array_of_the_selected_backend(backend, assert_close):
    xp = gl.namespace()
    got = gradient(lambda x: xp.sum(x * x), [3.0, 4.0])
    assert gl.namespace(got) is xp
    assert_close(got, [6.0, 8.0], rtol=1e-9 if backend.dtype == "float64" else 1e-3)


def test_a_tree_of_arrays_gets_a_tree_of_gradients(xp, assert_close):
    params = {"W": xp.asarray([[1.0, 2.0], [3.0, 4.0]]), "rest": (xp.asarray([5.0]), xp.asarray(6))}
    got = gradient(lambda p: xp.sum(p["W"] * p["rest"][0][0]) * p["rest"][1], params)
    rtol = 1e-8 if is_double(xp) else 1e-2
    assert isinstance(got["rest"], tuple)
    assert_close(got["W"], np.full((2, 2), 30.0), rtol=rtol)
    assert_close(got["rest"][0], [60.0], rtol=rtol)
    assert_close(got["rest"][1], 50.0, rtol=rtol)


@pytest.mark.parametrize("chunk_size", [None, 1, 2, 5, 100])
@pytest.mark.parametrize("method", METHODS)
def test_vectorized_and_chunked_gradients_are_those_of_the_loop(xp, chunk_size, method):
    x = xp.asarray([0.5, -1.0, 2.0, 3.0, 4.0])
    y = xp.asarray(2.0)
    loop = gradient(lambda p: xp.sum(p[0] ** 3) * p[1], [x, y], method=method)
    batch = gradient(
        lambda p: xp.sum(p[0] ** 3, axis=-1) * p[1],
        [x, y],
        method=method,
        vectorized=True,
        chunk_size=chunk_size,
    )
    for a, b in zip(loop, batch, strict=True):
        np.testing.assert_allclose(gl.to_numpy(a), gl.to_numpy(b), rtol=1e-9)


def test_value_and_gradient_gives_the_value_unperturbed(xp, assert_close):
    value, slope = value_and_gradient(lambda x: xp.sum(x * x), xp.asarray([3.0, 4.0]))
    assert value.shape == ()
    assert float(value) == 25.0
    assert_close(slope, [6.0, 8.0], rtol=1e-9 if is_double(xp) else 1e-3)


def test_the_value_keeps_the_dtype_that_f_gives_it():
    third = lambda x: np.sum(x.astype(np.float64)) / 3  # noqa: E731
    for f in (third, lambda x: np.asarray(third(x))):
        value, slope = value_and_gradient(f, np.ones(1, np.float32))
        assert (value.dtype, slope.dtype) == (np.float64, np.float32)
        assert float(value) == 1 / 3
        np.testing.assert_allclose(slope, 1 / 3, rtol=1e-7)


def test_a_function_in_float32_gets_the_step_of_float32():
    x = np.asarray([1.0, 2.0])
    got = gradient(lambda x: np.sum(x.astype(np.float32) ** 3), x)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, [3.0, 12.0], rtol=1e-4)
    slope = derivative(lambda x: x.astype(np.float32) ** 3, x)
    np.testing.assert_allclose(slope, [3.0, 12.0], rtol=1e-4)


@given(
    hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=4), elements=st.floats(-3, 3)),
    st.sampled_from(METHODS),
)
def test_the_gradient_of_a_sum_of_sines_is_the_cosine(x, method):
    got = gradient(lambda x: np.sum(np.sin(x)), x, method=method)
    np.testing.assert_allclose(got, np.cos(x), atol=1e-8 if method == "central" else 2e-7)


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_the_gradient_is_linear_in_the_function(a, b, seed):
    x = np.random.default_rng(seed).normal(size=3)
    mixed = gradient(lambda x: a * np.sum(x**2) + b * np.sum(np.sin(x)), x)
    np.testing.assert_allclose(mixed, a * 2 * x + b * np.cos(x), atol=1e-6)


@given(st.floats(-1.0, 1.0), st.floats(0.0, 1e-4), st.floats(0.0, 1e-4))
def test_bounds_are_kept_and_cost_no_order(x, below, above):
    lower, upper = x - below, x + above
    seen = []

    def f(x):
        seen.append(float(x[0]))
        return np.exp(x[0])

    if upper - lower < 1e-7:
        return
    (got,) = gradient(f, np.asarray([x]), bounds=(lower, upper))
    assert all(lower <= point <= upper for point in seen)
    # parabola or shrunk step: truncation h**2 / 3, round-off 4 eps / h with h >= 5e-8
    assert got == pytest.approx(math.exp(x), rel=1e-7)


@pytest.mark.parametrize(("x", "method"), [(0.0, "backward"), (1.0, "forward"), (0.5, "forward")])
def test_a_one_sided_step_turns_away_from_a_bound(x, method):
    got = derivative(np.sqrt, np.asarray([x + 0.25]), method=method, bounds=(0.25, 1.25))
    np.testing.assert_allclose(got, [0.5 / math.sqrt(x + 0.25)], rtol=1e-7)


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_a_one_sided_step_between_narrow_bounds_takes_the_wider_side(method):
    x = np.asarray([1.0, 1.0])
    bounds = (np.asarray([1 - 1e-10, 1 - 3e-10]), np.asarray([1 + 3e-10, 1 + 1e-10]))
    got = gradient(lambda x: np.sum(x**2), x, method=method, bounds=bounds, step=1e-6)
    np.testing.assert_allclose(got, [2.0, 2.0], rtol=1e-5)


def test_infinite_bounds_change_nothing():
    x = np.asarray([0.5, 2.0])
    free = gradient(lambda x: np.sum(np.exp(x)), x)
    bound = gradient(lambda x: np.sum(np.exp(x)), x, bounds=(-math.inf, math.inf))
    np.testing.assert_array_equal(free, bound)


def test_steps_and_bounds_may_be_trees(xp, assert_close):
    params = {"a": xp.asarray([1.0, 2.0]), "b": xp.asarray(3.0)}
    steps = {"a": xp.asarray([0.5, 0.25]), "b": xp.asarray(0.125)}
    lower = {"a": xp.asarray([1.0, 0.0]), "b": xp.asarray(0.0)}
    # a central difference is exact for a square, and so is the one-sided parabola at a[0]
    got = gradient(
        lambda p: xp.sum(p["a"] ** 2) * p["b"] ** 2, params, step=steps, bounds=(lower, 10.0)
    )
    assert_close(got["a"], [18.0, 36.0], rtol=1e-5)
    assert_close(got["b"], 30.0, rtol=1e-5)


def test_the_given_step_is_the_half_width():
    got = gradient(lambda x: np.sum(x**3), np.asarray([1.0]), step=0.5)
    np.testing.assert_allclose(got, [3.0 + 0.25], rtol=1e-12)  # 3 x**2 + h**2


@pytest.mark.parametrize("vectorized", [False, True])
def test_a_row_of_the_whole_chunk_never_exceeds_its_size(vectorized):
    sizes = []

    def f(x):
        sizes.append(x.shape[0] if vectorized else 1)
        return np.sum(x**2, axis=-1)

    gradient(f, np.ones(7), vectorized=vectorized, chunk_size=3)
    assert max(sizes) <= 3
    assert sum(sizes) == 2 * 7 + 1


def test_chunks_are_of_one_size():
    sizes = []

    def f(x):
        sizes.append(x.shape[0])
        return np.sum(x**2, axis=-1)

    gradient(f, np.ones(50), vectorized=True, chunk_size=80)
    assert sizes == [1, 50, 50]  # not 80 and 20: small arrays are faster, and their calls as dear


def test_steps_and_bounds_go_to_their_leaves_by_name():
    x = {"a": np.ones(2), "b": np.asarray(2.0)}
    seen = []

    def f(p):
        seen.append((p["a"].copy(), p["b"].copy()))
        return np.sum(p["a"]) * p["b"]

    step = {"b": np.asarray(0.5), "a": np.full(2, 0.25)}
    bounds = ({"b": 1.0, "a": 0.5}, {"b": 3.0, "a": 2.0})
    got = gl.numerical.gradient(f, x, step=step, bounds=bounds)
    assert {abs(float(b) - 2.0) for _, b in seen} == {0.0, 0.5}
    assert {float(np.max(np.abs(a - 1.0))) for a, _ in seen} == {0.0, 0.25}
    np.testing.assert_allclose(got["a"], 2.0)
