"""Gradient descent: where it ends, how it judges its learning rate, what it keeps."""

from __future__ import annotations

import math

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradlab as gl
from gradlab.numerical import ConstantFunctionWarning


def bowl(x):
    return x[0] ** 2 + x[1] ** 2


def bowl_slope(x):
    return 2 * x


def test_the_textbook_run_ends_where_it_should(xp, assert_close):
    init_x = xp.asarray([-3.0, 4.0])
    result = gl.gradient_descent(bowl, init_x, lr=0.1, step_num=100, gradient=bowl_slope)
    assert_close(result.x, [-3 * 0.8**100, 4 * 0.8**100], rtol=1e-5)
    assert (result.status, result.success, result.nit) == ("converged", True, 100)
    assert result.path.shape == (101, 2)
    assert_close(result.losses, 25 * 0.64 ** np.arange(101), rtol=1e-5)
    assert_close(init_x, [-3.0, 4.0])


def test_numerical_gradients_end_at_the_same_point_to_ten_digits():
    result = gl.gradient_descent(bowl, np.asarray([-3.0, 4.0]), lr=0.1, step_num=100)
    np.testing.assert_allclose(result.x, [-6.111e-10, 8.148e-10], atol=1e-13)
    assert result.nfev == 101 * 5
    assert result.njev == 101


def test_a_rate_of_one_goes_to_and_fro_and_is_no_success(xp, assert_close):
    result = gl.gradient_descent(bowl, xp.asarray([-3.0, 4.0]), lr=1.0, gradient=bowl_slope)
    assert (result.status, result.success) == ("oscillating", False)
    assert_close(result.fun, 25.0, rtol=1e-5)
    assert "lr=1:" in result.message
    assert "try lr=0.1" in result.message


def test_a_tiny_rate_is_too_small():
    result = gl.gradient_descent(bowl, np.asarray([-3.0, 4.0]), lr=1e-10)
    np.testing.assert_allclose(result.x, [-2.99999994, 3.99999992], rtol=1e-11)
    assert result.status == "too_small"
    assert "lr=1e-10" in result.message
    assert "try lr=1e-09" in result.message


def test_a_rate_too_small_to_move_at_all_is_too_small(xp):
    result = gl.gradient_descent(bowl, xp.asarray([-3.0, 4.0]), lr=1e-30, gradient=bowl_slope)
    assert result.status == "too_small"


def test_a_rate_of_ten_diverges_within_five_steps_and_keeps_the_last_good_point(xp, assert_close):
    result = gl.gradient_descent(bowl, xp.asarray([-3.0, 4.0]), lr=10.0, gradient=bowl_slope)
    assert result.status == "diverged"
    assert result.nit <= 5
    assert_close(result.x, [-3.0, 4.0])
    assert_close(result.best_x, [-3.0, 4.0])
    assert_close(result.fun, 25.0)
    steps = np.arange(result.nit + 1)
    assert_close(result.path[:, 0], -3.0 * (-19.0) ** steps, rtol=1e-5)  # the truth of a long run
    assert "lr=10:" in result.message
    assert "try lr=1" in result.message


@given(st.floats(1.002, 1.4), st.floats(1e-6, 1e6), st.floats(-1e6, 1e6))
def test_slow_divergence_is_seen_at_the_end_whatever_the_scale(lr, scale, offset):
    def f(x):
        return scale * x @ x + offset

    start = np.asarray([-3.0, 4.0])
    result = gl.gradient_descent(f, start, lr / scale, 60, gradient=lambda x: 2 * scale * x)
    truth = 25 * scale * (2 * lr - 1) ** (2 * 60)
    if truth - 25 * scale > 1e-9 * abs(offset):  # otherwise the rise drowns in the offset
        assert result.status == "diverged"


@given(st.floats(0.05, 0.9), st.floats(1e-6, 1e6))
def test_rates_that_work_converge_whatever_the_scale(lr, scale):
    result = gl.gradient_descent(
        lambda x: scale * x @ x,
        np.asarray([-3.0, 4.0]),
        lr / scale,
        400,
        gradient=lambda x: 2 * scale * x,
    )
    assert result.status == "converged"


def test_the_path_starts_at_the_start_and_ends_at_the_end():
    result = gl.gradient_descent(bowl, [-3.0, 4.0], lr=0.01, step_num=20)
    np.testing.assert_array_equal(result.path[0], [-3.0, 4.0])
    np.testing.assert_array_equal(result.path[-1], result.x)
    np.testing.assert_allclose(result.grad, 2 * result.x, rtol=1e-8)
    assert float(result.losses[-1]) == float(result.fun)
    assert result.status == "max_steps"
    assert "more steps" in result.message


def test_to_start_at_the_minimum_is_to_have_converged():
    result = gl.gradient_descent(bowl, [0.0, 0.0])
    assert (result.status, result.nit) == ("converged", 0)


def test_a_minimum_where_the_gradient_is_noise_is_converged():
    def f(x):
        return (x[0] - 0.3) ** 2 + math.cos(x[1]) + 7

    result = gl.gradient_descent(f, [0.3, math.pi], lr=0.1, step_num=30)
    assert result.status == "converged"


def test_a_plateau_is_not_a_small_rate():
    with pytest.warns(ConstantFunctionWarning):
        flat = gl.gradient_descent(lambda x: np.maximum(x, 0.0), -1.0)
    assert (flat.status, flat.nit) == ("converged", 0)
    almost = gl.gradient_descent(
        lambda x: 1 + np.tanh(x), -25.0, gradient=lambda x: 1 / np.cosh(x) ** 2
    )
    assert almost.status == "converged"
    assert "lowers f" in almost.message


def test_a_kink_makes_steps_go_to_and_fro():
    result = gl.gradient_descent(np.abs, 3.05, lr=0.1)
    assert result.status == "oscillating"


def test_a_long_valley_claims_no_success_at_a_rate_that_leaps_over_it():
    def rosenbrock(x):
        return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

    result = gl.gradient_descent(rosenbrock, [-1.2, 1.0], lr=0.005, step_num=500)
    assert not result.success
    assert float(result.best_fun) == pytest.approx(float(np.min(result.losses)))
    best = int(np.argmin(result.losses))
    np.testing.assert_array_equal(result.best_x, result.path[best])


def test_leaving_the_domain_is_divergence_with_the_last_good_point():
    with pytest.warns(RuntimeWarning, match="invalid value"):
        result = gl.gradient_descent(np.log, 3.0, lr=1.0, step_num=50, gradient=lambda x: 1 / x)
    assert result.status == "diverged"
    assert math.isfinite(float(result.fun))
    assert float(result.x) > 0


def test_a_start_where_f_is_not_finite_is_said_at_once():
    result = gl.gradient_descent(lambda x: x * math.nan, 1.0, gradient=lambda x: x)
    assert (result.status, result.nit) == ("diverged", 0)
    assert "start elsewhere" in result.message


def test_a_cut_run_is_the_same_however_seldom_the_host_looked():
    """Past the first points the host looks every 16th time; the callback makes it look always."""
    counted = []

    def slope(x):
        counted.append(1)
        return 2 * x * (1 if len(counted) < 30 else 400)

    runs = []
    for callback in (None, lambda result: False):
        counted.clear()
        runs.append(
            gl.gradient_descent(
                bowl, np.asarray([-3.0, 4.0]), 0.05, gradient=slope, callback=callback
            )
        )
    seldom, often = runs
    assert seldom.status == often.status == "diverged"
    assert seldom.nit == often.nit
    for field in ("x", "fun", "grad", "best_x", "best_fun", "path", "losses"):
        np.testing.assert_array_equal(getattr(seldom, field), getattr(often, field))


def test_gtol_and_ftol_end_a_run_early():
    by_gradient = gl.gradient_descent(bowl, [-3.0, 4.0], 0.1, 1000, gtol=1e-3)
    assert by_gradient.status == "converged"
    assert 1e-4 < float(np.max(np.abs(by_gradient.grad))) <= 1e-3
    by_change = gl.gradient_descent(bowl, [-3.0, 4.0], 0.1, 1000, ftol=1e-6)
    assert by_change.status == "converged"
    assert by_gradient.nit > by_change.nit > 10


def test_ftol_is_not_taken_in_by_steps_to_and_fro():
    result = gl.gradient_descent(bowl, [-3.0, 4.0], 1.0, ftol=1e-3)
    assert result.status == "oscillating"


def test_a_tree_is_descended_as_one(xp, assert_close):
    start = {"a": xp.asarray([1.0, 2.0]), "b": [xp.asarray(3.0), xp.zeros((0,))]}
    result = gl.gradient_descent(
        lambda p: xp.sum(p["a"] ** 2) + p["b"][0] ** 2,
        start,
        0.25,
        10,
        gradient=lambda p: {"a": 2 * p["a"], "b": [2 * p["b"][0], p["b"][1]]},
    )
    assert_close(result.x["a"], np.asarray([1.0, 2.0]) / 2**10)
    assert_close(result.x["b"][0], 3.0 / 2**10)
    assert result.path["a"].shape == (11, 2)
    assert result.path["b"][1].shape == (11, 0)


@pytest.mark.parametrize(
    ("given_trace", "keeps"), [(True, (1, 1)), (False, (0, 0)), (None, (1, 1))]
)
def test_trace_says_what_is_kept(given_trace, keeps):
    result = gl.gradient_descent(bowl, [1.0, 1.0], step_num=3, trace=given_trace)
    assert (result.path is not None, result.losses is not None) == tuple(map(bool, keeps))


def test_a_large_path_is_not_kept_unasked():
    start = np.ones(2**19)
    result = gl.gradient_descent(lambda x: x @ x, start, 0.1, 3, gradient=lambda x: 2 * x)
    assert result.path is None
    assert result.losses.shape == (4,)


@pytest.mark.parametrize("stop", [lambda result: True, "raise"])
def test_a_callback_stops_the_run(stop):
    seen = []

    def callback(result):
        seen.append((result.nit, float(result.fun), result.status))
        if result.nit == 5:
            if stop == "raise":
                raise StopIteration
            return stop(result)
        return None

    result = gl.gradient_descent(bowl, [-3.0, 4.0], 0.1, callback=callback)
    assert (result.status, result.success, result.nit) == ("stopped", False, 5)
    assert [nit for nit, _, _ in seen] == [0, 1, 2, 3, 4, 5]
    assert {status for _, _, status in seen} == {"running"}
    assert "lr=0.1" in result.message


def test_an_interrupt_returns_what_was_reached():
    calls = []

    def f(x):
        calls.append(1)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return bowl(x)

    result = gl.gradient_descent(f, [-3.0, 4.0], 0.1, gradient=bowl_slope)
    assert (result.status, result.nit) == ("interrupted", 18)
    np.testing.assert_allclose(result.x, np.asarray([-3.0, 4.0]) * 0.8**18)


def test_an_interrupt_before_the_first_point_passes():
    def f(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gl.gradient_descent(f, [1.0])


def test_an_exception_of_f_passes_with_a_note_of_step_and_rate():
    def f(x):
        if float(x[0]) < 2.5:
            message = "too low"
            raise ArithmeticError(message)
        return x[0]

    with pytest.raises(ArithmeticError, match="too low") as caught:
        gl.gradient_descent(f, [3.0], 0.25, gradient=lambda x: x * 0 + 1)
    assert caught.value.__notes__ == ["in step 3 of gradient_descent with lr=0.25"]


def test_an_exception_after_the_run_had_diverged_does_not_hide_that():
    def f(x):
        if math.isnan(float(x)):
            message = "no root of NaN"
            raise ValueError(message)
        return x * x if float(x) < 5 else x * math.nan

    slopes = iter([*[-0.1] * 20, -50.0, math.nan])
    result = gl.gradient_descent(f, 1.0, 1.0, gradient=lambda x: x * 0 + next(slopes))
    assert result.status == "diverged"
    assert result.nit == 21


def test_no_step_at_all_evaluates_the_start():
    result = gl.gradient_descent(bowl, [3.0, 4.0], step_num=0)
    assert result.nit == 0
    assert float(result.fun) == 25.0
    assert result.path.shape == (1, 2)


def test_the_start_is_neither_modified_nor_handed_out(backend):
    start = np.asarray([3.0, 4.0])
    start.flags.writeable = False

    def f(x):
        value = x @ x
        x[...] = 0.0
        return value

    def slope(x):
        x *= 2
        return x

    result = gl.gradient_descent(f, start, 0.1, 3, gradient=slope)
    np.testing.assert_array_equal(start, [3.0, 4.0])
    np.testing.assert_allclose(result.path[:, 0], 3 * 0.8 ** np.arange(4))
    assert isinstance(result.x, np.ndarray)


def test_integers_and_lists_are_promoted(backend, assert_close):
    result = gl.gradient_descent(lambda x: x[0] * x[0], [3], 0.25, 1, gradient=lambda x: 2 * x)
    assert gl.namespace(result.x) is gl.namespace()
    assert_close(result.x, [1.5])


@pytest.mark.parametrize("gradient", [bowl_slope, "numerical", "autodiff"])
def test_the_host_looks_seldom(waits, gradient):
    counts = {}
    for steps in (160, 320):
        waits.clear()
        start = array_api_strict.asarray([-3.0, 4.0])
        gl.gradient_descent(bowl, start, 1e-3, steps, gradient=gradient)
        counts[steps] = len(waits)
    assert counts[320] - counts[160] <= 160 / 16


ARGUMENTS = {
    "no rate": ({"lr": 0.0}, "`lr` must be a positive number: got 0.0"),
    "negative rate": ({"lr": -1.0}, "`lr` must be a positive number"),
    "rate NaN": ({"lr": math.nan}, "`lr` must be a positive number: got nan"),
    "no number": ({"lr": None}, "`lr` must be a positive number: got None"),
    "a rate's text": ({"lr": "a"}, "`lr` must be a positive number: got 'a'"),
    "a rate's truth": ({"lr": True}, "`lr` must be a positive number: got True"),
    "a schedule": (
        {"lr": lambda step: 0.1},
        r"positive number: got <function .*>; give a schedule as optimizer=SGD\(lr\)",
    ),
    "gtol's text": ({"gtol": "a"}, "`gtol` must be a non-negative number: got 'a'"),
    "steps' truth": ({"step_num": True}, "`step_num` must be a non-negative integer: got True"),
    "half a step": ({"step_num": 1.5}, "`step_num` must be a non-negative integer: got 1.5"),
    "negative steps": ({"step_num": -1}, "`step_num`"),
    "gtol": ({"gtol": -1.0}, "`gtol` must be a non-negative number"),
    "ftol": ({"ftol": math.inf}, "`ftol` must be a non-negative number"),
    "gradient": (
        {"gradient": "exact"},
        "`gradient` must be 'numerical', 'autodiff' or a function: got 'exact'",
    ),
    "gradient's shape": ({"gradient": lambda x: x[0]}, r"return shape \(2,\) for `x`: got \(\)"),
    "gradient's structure": ({"gradient": lambda x: {"a": x}}, "built like `x`, .*: got .*'a'"),
}


@pytest.mark.parametrize("what", ARGUMENTS)
def test_gradient_descent_refuses(what):
    options, message = ARGUMENTS[what]
    with pytest.raises(ValueError, match=message):
        gl.gradient_descent(bowl, np.asarray([3.0, 4.0]), **options)


def test_a_gradient_without_a_return_is_told_so(xp):
    with pytest.raises(TypeError, match="`gradient` must return an array for `x`: got None"):
        gl.gradient_descent(bowl, xp.asarray([3.0, 4.0]), gradient=lambda _: None)


def test_numbers_of_numpy_are_numbers():
    result = gl.gradient_descent(
        bowl, np.asarray([3.0, 4.0]), np.float64(0.1), np.int64(3), gtol=np.float32(0)
    )
    assert result.nit == 3
    assert gl.lbfgs(bowl, np.asarray([3.0, 4.0]), max_steps=np.int64(0)).nit == 0


def test_what_has_not_fallen_is_not_called_falling():
    for lr, step_num, says in (
        (1.2, 1, "with lr=1.2: f did not fall in the last step; try lr=0.12"),
        (0.1, 1, "with lr=0.1: f was still falling; take more steps, or go on from x"),
        (0.1, 0, "with lr=0.1: take more steps, or go on from x"),
    ):
        result = gl.gradient_descent(lambda x: x[0] ** 2, np.asarray([1.0]), lr, step_num)
        assert result.message == f"max_steps after {step_num} steps {says}"


@pytest.mark.parametrize(
    "slope",
    [lambda x: 2j * x, lambda x: x > 0, lambda x: [None, 1.0]],
    ids=["complex", "bool", "None"],
)
def test_a_gradient_that_is_not_real_is_refused(slope):
    with pytest.raises(TypeError, match="`gradient` must return real numbers for `x`: got"):
        gl.gradient_descent(lambda x: x @ x, np.ones(2), gradient=slope)


def test_the_keys_of_a_gradient_may_be_in_any_order():
    start = {"a": np.ones(2), "b": np.ones(())}
    result = gl.gradient_descent(
        lambda p: p["a"] @ p["a"] + p["b"],
        start,
        0.1,
        1,
        gradient=lambda p: {"b": np.ones(()), "a": 2 * p["a"]},
    )
    np.testing.assert_allclose(result.x["a"], 0.8)
    np.testing.assert_allclose(result.x["b"], 0.9)


def test_a_gradient_of_another_library_is_refused():
    with pytest.raises(TypeError, match="`the result of gradient` is of array_api_strict"):
        gl.gradient_descent(bowl, np.ones(2), gradient=lambda x: array_api_strict.ones(2))


def test_a_gradient_may_be_a_list_of_numbers():
    result = gl.gradient_descent(bowl, np.ones(2), 0.5, 1, gradient=lambda x: [1.0, 2.0])
    np.testing.assert_allclose(result.x, [0.5, 0.0])


def test_a_gradient_may_write_each_result_into_the_same_array():
    buffer = np.zeros(2)

    def slope(x):
        buffer[...] = 2 * x
        return buffer

    result = gl.gradient_descent(lambda x: x @ x, [3.0, 4.0], 0.1, 10, gradient=slope)
    assert result.status == "max_steps"  # its gradient is not the first one
    buffer[...] = 0.0
    np.testing.assert_allclose(result.grad, 2 * result.x)


@pytest.mark.parametrize("descend", [gl.gradient_descent, gl.lbfgs])
def test_a_start_that_is_the_end_is_a_copy(descend):
    start = np.zeros(2)
    result = descend(lambda x: x @ x, start, gradient=lambda x: 2 * x)
    result.x[...] = 7.0
    np.testing.assert_array_equal(start, [0.0, 0.0])
