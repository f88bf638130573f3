"""Derivatives with error bars: honest and sharp on a published table, and what their codes say."""

from __future__ import annotations

import math
from fractions import Fraction

import array_api_strict
import numpy as np
import pytest
from derivative_cases import CASES
from numpy.polynomial import chebyshev

import gradlab as gl
from gradlab.numerical import (
    DerivativeResult,
    Status,
    derivative_and_error,
    gradient_and_error,
    ladders,
    zoom,
)

POINTS = [(name, x, slope) for name, _, points in CASES for x, slope in points]


def measured(dtype):
    """Value, bar, status, f there, and the truth, at all points of the table."""
    found = []
    for _, f, points in CASES:
        x = np.asarray([point for point, _ in points], dtype=dtype)
        result = derivative_and_error(lambda x, f=f: f(gl.namespace(x), x), x)
        with np.errstate(all="ignore"):
            there = f(gl.namespace(x), x)
        found.append(np.stack([result.value, result.error, result.status, there], axis=1))
    truth = np.asarray([slope for _, _, slope in POINTS])
    return np.concatenate(found).astype(np.float64), truth


@pytest.fixture(scope="module")
def doubles():
    return measured(np.float64)


def test_the_table_is_as_long_as_promised():
    assert len(CASES) >= 60
    assert len(POINTS) >= 120


def test_every_truth_of_the_table_lies_within_its_bar(doubles):
    found, truth = doubles
    missed = [POINTS[k] for k in np.flatnonzero(~(np.abs(found[:, 0] - truth) <= found[:, 1]))]
    assert missed == []


def test_the_bars_of_the_table_are_sharp(doubles):
    found, truth = doubles
    error = np.abs(found[:, 0] - truth)
    size = np.abs(truth)
    some = error > 0
    assert np.median(found[some, 1] / error[some]) <= 100
    assert np.median(found[size > 0, 1] / size[size > 0]) <= 1e-12
    assert np.median(error[size > 0] / size[size > 0]) <= 5e-15


def test_the_table_is_smooth_but_for_one_function_of_two_scales(doubles):
    codes = {POINTS[k][0]: Status(int(doubles[0][k, 2])) for k in np.flatnonzero(doubles[0][:, 2])}
    assert codes == {"saturation": Status.AMBIGUOUS}


def test_bars_are_honest_in_single_precision():
    # At points, and with constants, that single precision holds exactly, or the truth is another's;
    # what is reported as other than OK is left out, as is "saturation".
    found, truth = measured(np.float32)
    exact = np.asarray([float(np.float32(x)) == x for _, x, _ in POINTS])
    exact &= np.isfinite(found[:, 3]) & (np.abs(truth) < 1e38) & (np.abs(truth) > 1e-38)
    exact &= np.asarray([name not in {"saturation", "tiny", "huge"} for name, _, _ in POINTS])
    covered = np.abs(found[:, 0] - truth)[exact] <= found[exact, 1]
    reported = found[exact, 2] == Status.OK
    assert np.count_nonzero(exact) >= 50
    assert np.mean(covered[reported]) >= 0.99


NEAR = [
    ("sine", np.sin, np.cos, (0.1, 20.0)),
    ("exponential", np.exp, np.exp, (-5.0, 5.0)),
    ("logarithm", np.log, lambda x: 1 / x, (1e-3, 10.0)),
    ("square root", np.sqrt, lambda x: 0.5 / np.sqrt(x), (1e-3, 10.0)),
    ("arc tangent", np.arctan, lambda x: 1 / (1 + x * x), (-3.0, 3.0)),
    ("hyperbolic tangent", np.tanh, lambda x: 1 / np.cosh(x) ** 2, (-3.0, 3.0)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("f", "slope", "interval"), [row[1:] for row in NEAR], ids=lambda v: None)
def test_bars_cover_the_error_of_99_percent_of_random_points(f, slope, interval, dtype):
    x = np.random.default_rng(0).uniform(*interval, 300).astype(dtype)
    result = derivative_and_error(f, x)
    error = np.abs(result.value.astype(np.float64) - slope(x.astype(np.float64)))
    assert np.mean(error <= result.error) >= 0.99
    # or, where the error is but that of rounding the value, 100 roundings
    rounding = np.finfo(dtype).eps * np.median(np.abs(result.value))
    assert np.median(result.error) <= 100 * max(np.median(error), rounding)


# frequencies that no step resolves: a slower wave has a slope, which is found as f's own
@pytest.mark.parametrize("frequency", [1e9, 1e12, 3.3e12, 1e15])
@pytest.mark.parametrize("noise", [1e-12, 1e-8, 1e-4])
def test_noise_of_any_strength_is_in_the_bar(noise, frequency):
    x = np.random.default_rng(1).uniform(0.2, 3.0, 200)
    result = derivative_and_error(lambda x: np.sin(x) + noise * np.sin(frequency * x), x)
    assert np.mean(np.abs(result.value - np.cos(x)) <= result.error) >= 0.99
    assert np.median(result.error) <= 30 * noise


def test_an_f_in_single_precision_is_found_out_whatever_dtype_it_returns():
    x = np.asarray([0.3, 1.0, 2.0])
    for f in (
        lambda x: np.sin(x.astype(np.float32)),
        lambda x: np.sin(x.astype(np.float32)).astype(np.float64),
    ):
        result = derivative_and_error(f, x)
        error = np.abs(result.value - np.cos(x))
        assert result.value.dtype == np.float64
        assert np.all(error <= result.error)
        assert np.all(result.error < 1e-5)
        assert np.all(result.status == Status.OK)


@pytest.mark.parametrize(
    ("factor", "extra", "slope"),
    [(3.3, 0.0, lambda x: 3.3 * np.cos(x)), (3.3, 0.1, lambda x: 3.3 * np.cos(x))],
    ids=["scaled", "scaled and moved"],
)
def test_a_part_in_single_precision_has_its_slope_and_is_pointed_out(factor, extra, slope):
    x = np.float32(np.linspace(0.3, 3.0, 200)).astype(np.float64) * (1 + 2e-9)
    result = derivative_and_error(
        lambda x: np.sin(x.astype(np.float32)).astype(np.float64) * factor + extra, x
    )
    error = np.abs(result.value - slope(x))
    assert np.all(error <= result.error)
    assert np.all(result.error < 1e-4)
    assert np.all(result.status == Status.AMBIGUOUS)


@pytest.mark.parametrize("other", [np.sqrt, np.exp, lambda x: x * x], ids=["sqrt", "exp", "square"])
def test_a_sum_of_which_a_part_is_in_single_precision_is_ambiguous(other):
    x = np.random.default_rng(7).uniform(0.3, 3.0, 200)
    result = derivative_and_error(lambda x: np.log(x.astype(np.float32)) + other(x), x)
    assert np.mean(result.status == Status.AMBIGUOUS) >= 0.9


def test_a_function_of_few_decimals_has_the_slope_that_it_shows_over_larger_steps():
    x = np.random.default_rng(8).uniform(0.3, 1.2, 200)
    result = derivative_and_error(lambda x: np.round(np.sin(x), 8), x)
    right = np.abs(result.value - np.cos(x)) <= result.error
    assert np.mean(right) >= 0.97
    assert np.all(right | (result.status != Status.OK))
    assert np.median(result.error) < 1e-5


def test_large_arguments_in_single_precision():
    result = derivative_and_error(lambda x: x * x, np.float32(1e8))
    assert abs(float(result.value) - 2e8) <= float(result.error) <= 1e-5 * 2e8


ONE_SIDED = {
    "power 3/2 at 0": (lambda x: x * np.sqrt(x), 0.0, 0.0),
    "exponential from 0 on": (lambda x: np.where(x >= 0, np.exp(x), math.nan), 0.0, 1.0),
    "exponential up to 1": (lambda x: np.where(x <= 1, np.exp(x), math.inf), 1.0, math.e),
    "close to the edge": (lambda x: np.where(x >= 0, np.exp(x), math.nan), 1e-10, 1.0 + 1e-10),
    "hole at x": (lambda x: np.sin(x) / x, 0.0, 0.0),
}


@pytest.mark.parametrize("what", ONE_SIDED)
def test_at_the_edge_of_a_domain_differences_turn_one_sided(what):
    f, x, slope = ONE_SIDED[what]
    result = derivative_and_error(f, x)
    assert result.status == Status.OK
    assert abs(float(result.value) - slope) <= float(result.error) < 1e-8


CODES = {
    "x |x| at 0": (lambda x: x * np.abs(x), 0.0, Status.OK),
    "|x| at 0": (np.abs, 0.0, Status.NONSMOOTH),
    "|x - 1| at 1": (lambda x: 1.0 + np.abs(x - 1), 1.0, Status.NONSMOOTH),
    "relu at 0": (lambda x: np.maximum(x, 0.0), 0.0, Status.NONSMOOTH),
    "relu beside 0": (lambda x: np.maximum(x, 0.0), -0.1, Status.OK),
    "floor at 1": (np.floor, 1.0, Status.NONSMOOTH),
    "floor at 1.5": (np.floor, 1.5, Status.OK),
    "cube root at 0": (np.cbrt, 0.0, Status.NONSMOOTH),
    "square root at 0": (np.sqrt, 0.0, Status.NONSMOOTH),
    "square root at 1e-300": (np.sqrt, 1e-300, Status.OK),
    "square root at -1": (np.sqrt, -1.0, Status.NONFINITE),
    "NaN": (np.sin, math.nan, Status.NONFINITE),
    "infinity": (np.sin, math.inf, Status.NONFINITE),
    "two plateaus": (lambda x: x / (x + 1.44e-9), 2e-8, Status.AMBIGUOUS),
    "a narrow bump": (lambda x: 1 / (1 + (x / 1e-9) ** 2), 1e-9, Status.AMBIGUOUS),
    "a constant": (lambda x: 0 * x + 1.0, 1.0, Status.OK),
}


@pytest.mark.parametrize("what", CODES)
def test_the_status_of(what):
    f, x, code = CODES[what]
    assert Status(int(derivative_and_error(f, x).status)) == code


def test_a_kink_gives_the_mean_slope_and_a_bar_over_both_sides():
    result = derivative_and_error(np.abs, 0.0)
    assert float(result.value) == 0.0
    assert float(result.error) >= 1.0
    assert math.isinf(derivative_and_error(np.floor, 1.0).error)
    nothing = derivative_and_error(np.sqrt, -1.0)
    assert math.isnan(nothing.value)
    assert math.isinf(nothing.error)


KINKED = {
    "exp + relu": (np.exp, 1.0, np.exp),
    "square + 0.01 relu": (lambda x: x * x, 0.01, lambda x: 2 * x),
}


@pytest.mark.parametrize(
    ("dtype", "exponent"),
    [*((np.float64, k) for k in range(-15, -3)), *((np.float32, k) for k in range(-6, -1))],
    ids=lambda v: getattr(v, "__name__", str(v)),
)
@pytest.mark.parametrize("what", KINKED)
def test_a_kink_near_x_is_noticed_or_within_the_bar(what, dtype, exponent):
    smooth, weight, slope = KINKED[what]
    rng = np.random.default_rng(-exponent)
    x = rng.uniform(0.5, 2.0, 200).astype(dtype)
    distance = 10.0**exponent * rng.uniform(0.3, 3.0, 200) * rng.choice([-1, 1], 200)
    k = (x + (distance * x).astype(dtype)).astype(dtype)

    def f(x):
        return smooth(x) + dtype(weight) * np.maximum(x - k, dtype(0))

    result = derivative_and_error(f, x)
    wide = x.astype(np.float64)
    truth = slope(wide) + float(dtype(weight)) * (x > k)
    off = (np.abs(result.value - truth) > result.error) & (x != k)
    assert not np.any(off & (result.status == Status.OK))
    assert np.mean(off) <= 0.02


def test_a_kink_beside_x_closer_than_steps_resolve_is_nonsmooth():
    result = derivative_and_error(lambda x: np.exp(x) + np.maximum(x - 1 - 1e-10, 0), 1.0)
    assert result.status == Status.NONSMOOTH
    assert abs(float(result.value) - math.e) <= float(result.error) < 0.6


@pytest.mark.parametrize("frequency", [1e7, 1e8, 1e9, 1e10, 1e11, 1e12])
def test_a_wave_that_small_steps_resolve_has_its_slope(frequency):
    x = np.random.default_rng(2).uniform(0.3, 3.0, 300)
    result = derivative_and_error(lambda x: np.sin(frequency * x), x)
    right = np.abs(result.value - frequency * np.cos(frequency * x)) <= result.error
    assert np.mean(right) >= 0.85
    assert np.mean(right | (result.status != Status.OK)) >= 0.95


@pytest.mark.parametrize("frequency", [1e3, 3e3])
def test_so_has_a_wave_in_single_precision(frequency):
    x = np.random.default_rng(2).uniform(0.3, 3.0, 300).astype(np.float32)
    w = np.float32(frequency)
    result = derivative_and_error(lambda x: np.sin(w * x), x)
    truth = frequency * np.cos((w * x).astype(np.float64))  # of the argument that is computed
    right = np.abs(result.value - truth) <= result.error
    assert np.mean(right | (result.status != Status.OK)) >= 0.97


@pytest.mark.parametrize("frequency", [1e7, 1e9, 1e11])
def test_a_slope_beside_a_fast_wave_of_a_tenth_is_ambiguous(frequency):
    x = np.random.default_rng(2).uniform(0.3, 3.0, 300)
    result = derivative_and_error(lambda x: x + 0.1 * np.sin(frequency * x), x)
    truth = 1 + 0.1 * frequency * np.cos(frequency * x)
    right = np.abs(result.value - truth) <= result.error
    assert np.mean(right | (result.status != Status.OK)) >= 0.85


@pytest.mark.parametrize("frequency", [1e3, 2e3])
def test_so_is_one_beside_a_wave_of_a_hundredth_in_single_precision(frequency):
    x = np.random.default_rng(2).uniform(0.3, 3.0, 300).astype(np.float32)
    w, amplitude = np.float32(frequency), np.float32(0.01)
    result = derivative_and_error(lambda x: x + amplitude * np.sin(w * x), x)
    truth = 1 + 0.01 * frequency * np.cos((w * x).astype(np.float64))
    right = np.abs(result.value - truth) <= result.error
    assert np.mean(right | (result.status != Status.OK)) >= 0.75


def test_a_function_that_draws_random_numbers_is_pointed_out():
    rng = np.random.default_rng(0)
    noisy = lambda x: x + rng.normal(size=x.shape)  # noqa: E731
    assert np.all(derivative_and_error(noisy, np.ones(2)).status == Status.NONDETERMINISTIC)
    result = gradient_and_error(lambda x: np.sum(x) + rng.normal(), np.ones(2))
    assert np.all(result.status == Status.NONDETERMINISTIC)


def test_each_element_has_its_own_step_and_status():
    x = np.asarray([1e-6, 1.0, 1e8, -1.0])
    result = derivative_and_error(np.log, x)
    np.testing.assert_allclose(result.value[:3], 1 / x[:3], rtol=1e-12)
    assert result.status.tolist() == [Status.OK, Status.OK, Status.OK, Status.NONFINITE]
    assert np.all(result.step[:3] < x[:3])
    assert result.step[2] > 1e4


def test_variables_of_different_scales():
    def f(x):
        return x[0] * np.sin(x[1] / 1e9)

    result = gradient_and_error(f, np.asarray([2.0, 1e9]))
    truth = np.asarray([math.sin(1.0), 2e-9 * math.cos(1.0)])
    error = np.abs(result.value - truth)
    assert np.all(error <= result.error)
    assert np.all(result.error <= 1e-12 * truth)


def test_every_backend_gives_values_within_their_bars(xp, assert_close):
    x = xp.asarray([[0.5, 1.0], [2.0, -3.0]])
    result = derivative_and_error(lambda x: x**3, x)
    truth = np.asarray([[0.75, 3.0], [12.0, 27.0]])
    assert isinstance(result, DerivativeResult)
    for part in (result.value, result.error, result.step, result.status):
        assert part.shape == x.shape
        assert part.device == x.device
    assert result.value.dtype == result.error.dtype == result.step.dtype == x.dtype
    error = np.abs(gl.to_numpy(result.value) - truth)
    assert np.all(error <= gl.to_numpy(result.error))
    assert_close(result.value, truth, rtol=1e-5 if x.dtype == xp.float32 else 1e-13)
    assert np.all(gl.to_numpy(result.status) == Status.OK)


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_a_tree_of_arrays_gets_trees_of_results(xp, assert_close, chunk_size):
    params = {"W": xp.asarray([[1.0, 2.0], [3.0, 4.0]]), "rest": (xp.asarray([5.0]), xp.asarray(6))}

    def f(p):
        axes = tuple(range(p["W"].ndim))[-2:]
        return xp.sum(p["W"] * p["rest"][0][..., None], axis=axes) * p["rest"][1]

    loop = gradient_and_error(f, params, chunk_size=chunk_size)
    batch = gradient_and_error(f, params, vectorized=True, chunk_size=chunk_size)
    rtol = 1e-12 if loop.value["W"].dtype == xp.float64 else 1e-4
    for result in (loop, batch):
        assert_close(result.value["W"], np.full((2, 2), 30.0), rtol=rtol)
        assert_close(result.value["rest"][0], [60.0], rtol=rtol)
        assert_close(result.value["rest"][1], 50.0, rtol=rtol)
        assert result.error["W"].shape == result.status["W"].shape == (2, 2)
        assert isinstance(result.step["rest"], tuple)


def test_calls_are_counted(xp):
    calls, points = [], []

    def elementwise(x):
        calls.append(1)
        return x * x

    assert derivative_and_error(elementwise, xp.asarray([1.0, 2.0])).nfev == len(calls)

    def rows(x):
        points.append(x.shape[0])
        return xp.sum(x * x, axis=-1)

    x = xp.asarray([1.0, 2.0, 3.0])
    result = gradient_and_error(rows, x, vectorized=True, chunk_size=2)
    assert result.nfev == sum(points) == 120 * 3 + 2
    assert max(points) == 2


@pytest.mark.parametrize("verb", [derivative_and_error, gradient_and_error])
def test_the_caller_s_array_stays_bit_identical_whatever_f_does(verb):
    x = np.arange(1.0, 4.0)
    before = x.tobytes()

    def f(x):
        y = x * x if verb is derivative_and_error else np.sum(x * x)
        x[...] = math.nan
        return y

    result = verb(f, x)
    assert x.tobytes() == before
    np.testing.assert_allclose(result.value, [2.0, 4.0, 6.0], rtol=1e-13)


@pytest.mark.parametrize("shape", [(0,), (3, 0), ()])
def test_shapes_without_elements_or_axes(xp, shape):
    x = xp.ones(shape)
    for result in (
        derivative_and_error(lambda x: x * x, x),
        gradient_and_error(lambda x: xp.sum(x * x), x),
    ):
        assert result.value.shape == result.error.shape == result.status.shape == shape


def test_integers_and_lists_become_the_default_floating_dtype(backend):
    xp = gl.namespace()
    got = gradient_and_error(lambda x: xp.sum(x * x), [3, 4])
    assert str(got.value.dtype).endswith(backend.dtype)
    np.testing.assert_allclose(gl.to_numpy(got.value), [6.0, 8.0], rtol=1e-5)
    number = derivative_and_error(lambda x: float(x) ** 2, 3)
    np.testing.assert_allclose(gl.to_numpy(number.value), 6.0, rtol=1e-5)


REFUSED = {
    "a tree": (lambda x: x, {"a": np.ones(3)}, TypeError, "got dict; use gradient_and_error"),
    "another shape": (np.sum, np.ones(3), ValueError, r"element by element: got \(\) for \(3,\)"),
    "nothing": (lambda x: None, np.ones(3), TypeError, "NoneType"),
    "complex x": (lambda x: x, np.ones(3) * 1j, TypeError, "`x` must be real"),
    "complex f": (lambda x: x * 1j, np.ones(3), TypeError, "real numbers: got complex128"),
    "foreign": (lambda x: array_api_strict.ones(3), np.ones(3), TypeError, "array_api_strict"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_derivative_is_refused_of(what):
    f, x, error, message = REFUSED[what]
    with pytest.raises(error, match=message):
        derivative_and_error(f, x)


def test_a_gradient_refuses_what_is_no_scalar():
    with pytest.raises(ValueError, match="must return a scalar"):
        gradient_and_error(lambda x: x, np.ones(3))
    with pytest.raises(ValueError, match="`chunk_size`"):
        gradient_and_error(np.sum, np.ones(3), chunk_size=0)


CANCELLED = {
    "log(1 + x)": (lambda x: np.log(1 + x), 1.0),
    "exp(x) - 1": (lambda x: np.exp(x) - 1, 1.0),
    "sqrt(1 + x) - 1": (lambda x: np.sqrt(1 + x) - 1, 0.5),
    "100 + x - 100": (lambda x: (100 + x) - 100, 1.0),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("what", CANCELLED)
def test_a_root_that_rounding_makes_flat_has_its_slope(what, dtype):
    f, slope = CANCELLED[what]
    x = np.asarray([0.0, 1e-30, 1e-12], dtype)
    result = derivative_and_error(f, x)
    assert np.all(np.abs(result.value - slope) <= result.error + x)
    assert np.all(result.error < 200 * np.sqrt(np.finfo(dtype).eps))
    assert np.all(result.status == Status.AMBIGUOUS)


@pytest.mark.parametrize(
    ("dtype", "at"), [("float32", [1e-4, 2e-4, 3e-4]), ("float64", [3e-9, 6e-9])]
)
def test_a_difference_that_is_a_few_roundings_beside_x_is_no_plateau(dtype, at):
    x = np.asarray(at, dtype)
    result = derivative_and_error(lambda x: np.cos(x) - 1, x)
    assert np.all(np.abs(result.value + x) <= result.error)  # -sin(x)
    assert np.all(result.error < 2000 * np.finfo(dtype).eps)


PLATEAUS = {"floor": np.floor, "relu": lambda x: np.maximum(x - 1, 0)}


@pytest.mark.parametrize("what", PLATEAUS)
def test_a_plateau_of_its_own_is_flat(what):
    result = derivative_and_error(PLATEAUS[what], np.asarray([0.25, 0.5]))
    assert (result.value.tolist(), result.error.tolist()) == ([0.0, 0.0], [0.0, 0.0])
    assert result.status.tolist() == [Status.OK, Status.OK]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("power", [4, 8, 12, 20])
def test_a_power_that_underflows_beside_0_is_smooth(power, dtype):
    result = derivative_and_error(lambda x: x**power, np.zeros(1, dtype))
    assert (float(result.value[0]), int(result.status[0])) == (0.0, Status.OK)


@pytest.mark.parametrize("kind", ladders.KINDS)
def test_every_stencil_gives_the_limit_of_polynomials_of_its_order(kind):
    power = 2 if kind == "central" else 1
    rungs = [Fraction(h) for h in zoom._factors()]
    rows, octaves = zoom._stencils(kind)
    for octave in octaves:
        for m, difference, fit, _ in octave.orders:
            for row in {difference, fit}:
                weights = [Fraction(w) for w in rows[octave.rows][row]]
                for k in range(m):
                    terms = [w * h ** (power * k) for w, h in zip(weights, rungs, strict=True)]
                    rounding = sum(map(abs, terms)) / 2**50
                    assert abs(sum(terms) - (k == 0)) <= rounding


def test_a_fit_has_the_least_noise_of_all_slopes_of_its_order():
    rungs = np.asarray(zoom._factors())
    rows, octaves = zoom._stencils("central")
    for octave in octaves:
        for m, difference, fit, norm in octave.orders:
            row = np.asarray(rows[octave.rows][fit])
            h = rungs[row != 0]
            terms = chebyshev.chebvander(2 * (h / h[-1]) ** 2 - 1, m - 1)
            at_0 = chebyshev.chebvander(-1.0, m - 1)[0, :]
            least = at_0 @ np.linalg.pinv(terms * h[:, None])  # by singular values
            assert norm == pytest.approx(np.linalg.norm(least), rel=1e-9)
            np.testing.assert_allclose(row[row != 0] / h, least, atol=1e-9 * norm)
            assert norm <= np.linalg.norm(np.asarray(rows[octave.rows][difference]) / rungs) * (
                1 + 1e-9
            )
