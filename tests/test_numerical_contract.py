"""What the finite differences promise beside their values: purity, errors, warnings."""

from __future__ import annotations

import math

import array_api_strict
import numpy as np
import pytest

import gradlab as gl
from gradlab import numerical
from gradlab.numerical import ConstantFunctionWarning, derivative, gradient, value_and_gradient


def spoil(x):
    """Return a sum, after having overwritten what it was computed from."""
    total = np.sum(x * x)
    x[...] = math.nan
    return total


@pytest.mark.parametrize("layout", ["plain", "transposed", "strided", "read-only"])
@pytest.mark.parametrize("verb", [gradient, derivative])
def test_the_caller_s_array_stays_bit_identical_whatever_f_does(verb, layout):
    base = np.arange(1.0, 13.0).reshape(3, 4)
    x = {"plain": base, "transposed": base.T, "strided": base[:, ::2], "read-only": base}[layout]
    if layout == "read-only":
        x = base.copy()
        x.flags.writeable = False
    before = x.tobytes()

    def elementwise(x):
        y = x * x
        x[...] = math.nan
        return y

    got = verb(spoil if verb is gradient else elementwise, x)
    assert x.tobytes() == before
    np.testing.assert_allclose(got, 2 * x, rtol=1e-8)


def test_an_array_of_stride_zero_has_a_gradient_in_each_element():
    x = np.broadcast_to(np.asarray(3.0), (2, 2))
    np.testing.assert_allclose(gradient(lambda x: np.sum(x * x), x), np.full((2, 2), 6.0))
    np.testing.assert_allclose(derivative(lambda x: x * x, x), np.full((2, 2), 6.0))


def test_a_tree_stays_bit_identical_when_f_overwrites_it_and_raises():
    params = {"a": np.asarray([1.0, 2.0]), "b": np.asarray([3.0])}
    before = {key: value.copy() for key, value in params.items()}
    calls = []

    def f(p):
        calls.append(1)
        p["a"][...] = 0.0
        p["b"] = None
        if len(calls) == 4:
            message = "enough"
            raise RuntimeError(message)
        return 1.0 * len(calls)

    with pytest.raises(RuntimeError, match="enough"):
        gradient(f, params)
    for key, value in before.items():
        np.testing.assert_array_equal(params[key], value)


def test_an_f_that_overwrites_one_leaf_does_not_disturb_the_next_call():
    def f(p):
        total = np.sum(p["a"]) * np.sum(p["b"])
        p["a"][...] = 0.0
        p["b"][...] = 0.0
        return total

    got = gradient(f, {"a": np.asarray([1.0, 2.0]), "b": np.asarray([4.0])})
    np.testing.assert_allclose(got["a"], [4.0, 4.0])
    np.testing.assert_allclose(got["b"], [3.0])


def test_a_textbook_function_that_perturbs_and_restores_its_own_copy_works():
    def slope_inside(x):
        h = 1e-4
        total = 0.0
        for i in range(x.size):
            kept = x[i]
            x[i] = kept + h
            above = np.sum(x**2)
            x[i] = kept - h
            total += (above - np.sum(x**2)) / (2 * h)
            x[i] = kept
        return total

    got = gradient(slope_inside, np.asarray([3.0, 4.0]))
    np.testing.assert_allclose(got, [2.0, 2.0], rtol=1e-5)


def test_python_numbers_and_integers_are_scalars_too():
    x = np.asarray([3.0, 4.0], dtype=np.float32)
    np.testing.assert_allclose(gradient(lambda x: float(x @ x), x), [6.0, 8.0], rtol=1e-3)
    with pytest.warns(ConstantFunctionWarning):
        np.testing.assert_array_equal(gradient(lambda x: int(x[0]), x + 0.5), [0.0, 0.0])
    assert float(derivative(lambda x: float(x) ** 2, 3.0)) == pytest.approx(6.0)


@pytest.mark.parametrize("dtype", [">f8", ">i4"])
def test_the_order_of_bytes_does_not_matter(dtype):
    x = np.asarray([3, 4], dtype)
    np.testing.assert_allclose(gradient(lambda x: np.sum(x**2), x), [6.0, 8.0])
    np.testing.assert_allclose(derivative(lambda x: (x**2).astype(">f8"), x), [6.0, 8.0])
    assert gl.check_gradient(lambda x: np.sum(x**2), lambda x: 2 * x, x).verdict == "passed"
    result = gl.gradient_descent(lambda x: np.sum(x**2), x, 0.1, 1)
    np.testing.assert_allclose(result.x, [2.4, 3.2])


def test_numbers_and_arrays_may_alternate(xp):
    x = xp.asarray([-1.0, 2.0])
    got = gradient(lambda x: 0.0 if float(x[0]) < -1 else x[0] + x[1], x, method="forward")
    np.testing.assert_allclose(gl.to_numpy(got), [1.0, 1.0], rtol=1e-3)


def test_nan_spreads_to_the_elements_that_it_touches_and_no_further():
    x = np.asarray([-1.0, 2.0])

    def f(x):
        return np.sum(x**2) if x[0] == -1.0 else math.nan

    got = gradient(f, x)
    assert math.isnan(got[0])
    assert got[1] == pytest.approx(4.0)
    assert math.isnan(gradient(lambda x: x[0], np.asarray([math.nan]))[0])


@pytest.mark.parametrize("undefined", [-1.0, 2.0])
def test_a_number_may_stand_beside_arrays_where_f_is_not_defined(xp, undefined):
    def f(x):
        return xp.sum(x**2) if bool(xp.any(x == undefined)) else math.nan

    got = gl.to_numpy(gradient(f, xp.asarray([-1.0, 2.0])))
    np.testing.assert_allclose(got, [math.nan, 4.0] if undefined < 0 else [-2.0, math.nan], 1e-3)


INFINITE = {
    "gradient": numerical.gradient,
    "forward": lambda f, x: numerical.gradient(f, x, method="forward"),
    "jacobian": numerical.jacobian,
    "hessian": numerical.hessian,
    "jvp": lambda f, x: numerical.jvp(f, x, x),
    "hvp": lambda f, x: numerical.hvp(f, x, x),
    "estimate_gradient": lambda f, x: numerical.estimate_gradient(f, x, n_samples=1, seed=0),
}


@pytest.mark.parametrize("verb", INFINITE)
def test_where_f_is_infinite_the_answer_is_nan_without_a_warning(verb):
    assert np.all(np.isnan(INFINITE[verb](lambda x: math.inf, np.ones(2))))


RETURNS = {
    "an array": (lambda x: x, ValueError, r"`f` must return a scalar: got shape \(3,\)"),
    "one element": (lambda x: x[:1], ValueError, r"got shape \(1,\); reduce it"),
    "nothing": (lambda x: None, TypeError, r"got NoneType \(does it lack a return\?\)"),
    "text": (lambda x: "1", TypeError, "got str"),
    "a complex number": (lambda x: 1j, TypeError, "got complex"),
    "a complex array": (lambda x: np.sum(x) * 1j, TypeError, "real numbers: got complex128"),
    "a truth value": (lambda x: np.all(x > 0), TypeError, "real numbers: got bool"),
    "a truth value of Python": (lambda x: bool(x[0] > 0), TypeError, "got bool"),
    "a foreign array": (
        lambda x: array_api_strict.asarray(1.0),
        TypeError,
        "`x` is of numpy, `the result of f` is of array_api_strict",
    ),
}


@pytest.mark.parametrize("what", RETURNS)
def test_a_gradient_refuses_a_function_that_returns(what):
    f, error, message = RETURNS[what]
    with pytest.raises(error, match=message):
        gradient(f, np.ones(3))


def test_a_derivative_refuses_a_function_that_changes_the_shape():
    with pytest.raises(ValueError, match=r"element by element: got \(\) for \(3,\)"):
        derivative(np.sum, np.ones(3))
    with pytest.raises(ValueError, match=r"got \(\) for \(3,\)"):
        derivative(lambda x: 1.0, np.ones(3))
    with pytest.raises(TypeError, match="NoneType"):
        derivative(lambda x: None, np.ones(3))


def test_a_derivative_refuses_a_tree():
    with pytest.raises(TypeError, match=r"must be one array or number: got dict; use numerical"):
        derivative(lambda x: x, {"a": np.ones(3)})


@pytest.mark.parametrize("result", [1.0, np.ones(3), np.ones((1, 1))])
def test_a_vectorized_function_must_return_one_number_for_each_point(result):
    with pytest.raises(ValueError, match=r"must return shape \(k,\) for k = 1 points"):
        gradient(lambda x: result, np.ones(3), vectorized=True)


def test_a_vectorized_function_may_not_change_the_library():
    with pytest.raises(TypeError, match="two libraries"):
        gradient(lambda x: array_api_strict.ones(x.shape[0]), np.ones(3), vectorized=True)


POINTS = {
    "complex": (np.ones(2) * 1j, TypeError, "`x` must be real: got complex128"),
    "truth values": ({"a": np.ones(2) > 0}, TypeError, r"`x\['a'\]` must be real: got bool"),
    "text": ("abc", TypeError, "`x` must hold numbers"),
    "nothing": ({}, ValueError, "`x` must hold at least one array"),
    "None": (None, TypeError, "`x` must hold numbers"),
    "None in a tree": ({"a": None}, TypeError, r"`x\['a'\]` must hold numbers"),
    "ragged rows": ([[1.0], [1.0, 2.0]], ValueError, "`x` must be a regular nested list"),
    "two libraries": (
        [np.ones(2), array_api_strict.ones(2)],
        TypeError,
        r"`x\[0\]` is of numpy, `x\[1\]` is of array_api_strict",
    ),
}


@pytest.mark.parametrize("what", POINTS)
def test_a_gradient_is_refused_at(what):
    x, error, message = POINTS[what]
    with pytest.raises(error, match=message):
        gradient(lambda x: 1.0, x)


OPTIONS = {
    "method": ({"method": "complex"}, "`method` must be one of central, forward, backward"),
    "negative step": ({"step": -1e-3}, "`step` must be positive and finite: got -0.001"),
    "infinite step": ({"step": math.inf}, "`step` must be positive and finite"),
    "one negative step": ({"step": np.asarray([1.0, -1.0])}, "`step` must be positive"),
    "step of another shape": ({"step": [1.0, 1.0, 1.0]}, r"shape of `x`, \(2,\): got \(3,\)"),
    "step of another structure": ({"step": {"a": 1.0}}, "`step` must be a number or built like"),
    "vanishing step": ({"step": 1e-30}, r"`step` must move every element of `x`"),
    "no room": ({"bounds": (1.0, 1.0)}, r"wider `bounds`"),
    "out of bounds": ({"bounds": (2.0, 3.0)}, "`bounds` must hold `x`"),
    "no number as a bound": ({"bounds": (math.nan, 3.0)}, "a bound is NaN"),
    "one bound": ({"bounds": 3.0}, r"`bounds` must be a pair \(lower, upper\): got 3.0"),
    "no chunk": ({"chunk_size": 0}, "`chunk_size` must be a positive integer or None: got 0"),
    "half a chunk": ({"chunk_size": 0.5}, "`chunk_size`"),
    "true chunk": ({"chunk_size": True}, "`chunk_size`"),
}


@pytest.mark.parametrize("what", OPTIONS)
def test_a_gradient_refuses_the_option(what):
    options, message = OPTIONS[what]
    with pytest.raises(ValueError, match=message):
        gradient(np.sum, np.ones(2), **options)


def test_a_step_may_be_a_scalar_of_numpy_s_for_a_tree_too():
    x = {"a": np.asarray([1.0, 2.0]), "b": np.asarray(3.0)}
    by_number, by_scalar = (
        gradient(lambda p: np.sum(p["a"] ** 3) * p["b"], x, step=step)
        for step in (0.5, np.float32(0.5))
    )
    np.testing.assert_array_equal(by_number["a"], by_scalar["a"])
    np.testing.assert_array_equal(by_number["b"], by_scalar["b"])


def test_room_for_one_of_two_points_is_too_little():
    eps = np.finfo(float).eps
    with pytest.raises(ValueError, match=r"wider `bounds`"):
        gradient(np.sum, np.asarray([1 + eps]), bounds=(1 + eps, 1 + 2 * eps))


@pytest.mark.parametrize("what", [True, "a", 1e-3j, np.ones(2) > 0])
def test_a_step_that_is_no_real_number_is_refused(what):
    with pytest.raises(TypeError, match="`step` must hold real numbers"):
        gradient(np.sum, np.ones(2), step=what)


def test_a_bound_that_is_none_is_refused():
    with pytest.raises(TypeError, match="`bounds` must hold real numbers: got None"):
        gradient(np.sum, np.ones(2), bounds=(0.0, None))


def test_a_chunk_size_of_numpy_is_a_number():
    got = gradient(
        lambda x: np.sum(x**2, axis=1), np.ones(3), vectorized=True, chunk_size=np.int64(2)
    )
    np.testing.assert_allclose(got, 2.0)


def test_a_step_of_another_library_is_refused():
    with pytest.raises(TypeError, match="`step` is of array_api_strict"):
        gradient(np.sum, np.ones(2), step=array_api_strict.ones(2))


def test_a_function_that_ignores_its_argument_is_pointed_out():
    W = np.ones((2, 2))
    with pytest.warns(ConstantFunctionWarning, match="does it ignore its argument") as caught:
        got = gradient(lambda _: float(np.sum(W)), W)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(got, np.zeros((2, 2)))
    with pytest.warns(ConstantFunctionWarning) as caught:
        value_and_gradient(lambda _: float(np.sum(W)), W)
    assert caught[0].filename == __file__


def test_a_function_of_some_of_its_arguments_is_not_pointed_out():
    got = gradient(lambda p: p["a"] * 2, {"a": np.asarray(1.0), "b": np.asarray(1.0)})
    assert float(got["b"]) == 0.0


@pytest.mark.parametrize("x", [np.float64(3.0), np.float32(3.0), np.asarray(3.0)])
def test_a_numpy_scalar_stays_numpy_s_under_any_selection(backend, x):
    got = gradient(lambda x: x * x, x)
    assert isinstance(got, np.ndarray)
    assert got.dtype == x.dtype


def test_arrays_stay_where_they_are_under_any_selection(backend):
    x = array_api_strict.asarray([1.0, 2.0], device=array_api_strict.Device("device2"))
    got = gradient(lambda x: array_api_strict.sum(x * x), x)
    assert got.device == x.device
    assert derivative(lambda x: x * x, x).device == x.device


def of_one_buffer(f, shape):
    """Return `f`, with every result written into the same array."""
    buffer = np.zeros(shape)

    def write(*x):
        buffer[...] = f(*x)
        return buffer

    return write


VERBS_OF_A_NUMBER = {
    "gradient": numerical.gradient,
    "value_and_gradient": lambda f, x: numerical.value_and_gradient(f, x)[1],
    "gradient_and_error": lambda f, x: numerical.gradient_and_error(f, x).value,
    "hvp": lambda f, x: numerical.hvp(f, x, x),
    "hessian": lambda f, x: numerical.hessian(f, x) @ x,
    "estimate_gradient": lambda f, x: numerical.estimate_gradient(
        f, x, method="coordinate", n_samples=6, seed=0
    ),
    "check_gradient": lambda f, x: gl.check_gradient(f, 2 * x, x).verdict,
}


@pytest.mark.parametrize("verb", VERBS_OF_A_NUMBER)
def test_a_function_may_write_each_number_into_the_same_array(verb):
    call, x = VERBS_OF_A_NUMBER[verb], np.asarray([1.0, 2.0, 3.0])
    got = call(of_one_buffer(lambda x: np.sum(x**2), ()), x)
    assert np.all(got == call(lambda x: np.sum(x**2), x))


VERBS_OF_AN_ARRAY = {
    "jacobian": numerical.jacobian,
    "jvp": lambda f, x: numerical.jvp(f, x, x),
    "vjp": lambda f, x: numerical.vjp(f, x, x),
    "derivative": numerical.derivative,
    "derivative_and_error": lambda f, x: numerical.derivative_and_error(f, x).value,
}


@pytest.mark.parametrize("verb", VERBS_OF_AN_ARRAY)
def test_a_function_may_write_each_array_into_the_same_one(verb):
    call, x = VERBS_OF_AN_ARRAY[verb], np.asarray([1.0, 2.0, 3.0])
    got = call(of_one_buffer(lambda x: x**2, 3), x)
    np.testing.assert_array_equal(got, call(lambda x: x**2, x))


@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_vectorized_function_may_write_into_the_same_array(shape):
    verb = numerical.jacobian if shape else numerical.gradient
    f = (lambda x: x**2) if shape else (lambda x: np.sum(x**2, axis=1))
    rows = np.zeros((3, *shape))

    def write(x):
        rows[: x.shape[0]] = f(x)
        return rows[: x.shape[0]]

    x = np.asarray([1.0, 2.0, 3.0])
    got, want = (verb(g, x, vectorized=True, chunk_size=3) for g in (write, f))
    np.testing.assert_array_equal(got, want)
