"""Numerical gradients of networks: the plain loop's central difference, at every step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab import nn, numerical
from gradlab.nn import perturbation

RNG = np.random.default_rng(4)
X, LABELS = RNG.random((9, 6)), RNG.integers(0, 4, 9)
ROWS = RNG.dirichlet(np.ones(4), 9)


def make(activation, loss="cross_entropy", hidden=(5, 3), **options):
    layers = [layer for units in hidden for layer in (nn.Dense(units), activation)]
    return nn.Network([*layers, nn.Dense(4)], 6, loss=loss, seed=1, **options)


def plain(network, x, t, step=None):
    """The loop over every parameter, with two losses each."""
    return numerical.gradient(network.objective(x, t), network.params, step=step)


def assert_near(got, expected, tolerance):
    assert list(got) == list(expected)
    for key, value in expected.items():
        difference = np.max(np.abs(gl.to_numpy(got[key]) - gl.to_numpy(value)))
        assert difference <= tolerance * max(1, np.max(np.abs(gl.to_numpy(value)))), key


@pytest.mark.parametrize("step", [None, 1e-3, 0.05, 0.5, 3.0, 60.0])
@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("activation", [nn.Sigmoid(), nn.Tanh(), nn.ReLU()], ids=repr)
def test_every_step_gives_the_central_difference_of_the_plain_loop(activation, loss, step):
    network = make(activation, loss)
    tolerance = {None: 1e-9, 1e-3: 1e-11}.get(step, 1e-12)  # the loop's own rounding, eps / step
    got = network.numerical_gradient(X, ROWS, step=step)
    assert_near(got, plain(network, X, ROWS, step), tolerance)


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4, 3)])
def test_networks_of_any_depth(hidden):
    network = make(nn.Tanh(), hidden=hidden)
    got = network.numerical_gradient(X, LABELS)
    assert_near(got, network.gradient(X, LABELS), 1e-9)
    assert_near(got, plain(network, X, LABELS), 1e-9)


def test_layers_may_follow_each_other_in_any_order():
    layers = [nn.Tanh(), nn.Dense(3), nn.Sigmoid(), nn.Tanh(), nn.Dense(4), nn.Dense(2), nn.ReLU()]
    network = nn.Network(layers, 6, loss="mean_squared_error", seed=3)
    t = RNG.random((9, 2))
    got = network.numerical_gradient(X, t)
    assert_near(got, plain(network, X, t), 1e-9)
    assert_near(network.gradient(X, t), got, 1e-9)


def test_the_difference_has_its_truncation_error_and_no_more():
    """(L(h) - L(-h)) / 2h - L' grows as h**2: no derivative in disguise."""
    network = make(nn.Sigmoid())
    exact = network.gradient(X, LABELS)["W1"]
    off = [
        np.max(np.abs(network.numerical_gradient(X, LABELS, step=h)["W1"] - exact))
        for h in (1e-3, 2e-3, 4e-3)
    ]
    assert off[0] > 1e-11
    np.testing.assert_allclose([off[1] / off[0], off[2] / off[1]], 4, rtol=1e-2)


@pytest.mark.parametrize("step", [1e-4, 0.1])
def test_a_step_of_its_own_for_every_parameter(step):
    network = make(nn.Sigmoid())
    steps = {k: step * (1 + RNG.random(v.shape)) for k, v in network.params.items()}
    got = network.numerical_gradient(X, LABELS, step=steps)
    assert_near(got, plain(network, X, LABELS, steps), 1e-10)


def test_kinks_within_reach_are_computed_one_by_one(monkeypatch):
    network = make(nn.ReLU())
    x = np.where(X > 0.5, X, 0.0)
    near = -(x @ network.params["W1"])[2, :] + 1e-6  # all units of sample 2 within a step of 0
    network.params["b1"] = near
    calls = []
    real = perturbation._one_by_one

    def counted(forward, k, inputs, h, pairs):
        calls.append((k, pairs.shape[0]))
        return real(forward, k, inputs, h, pairs)

    monkeypatch.setattr(perturbation, "_one_by_one", counted)
    got = network.numerical_gradient(x, LABELS)
    assert calls[0] == (0, 5)  # sample 2 and its five units
    assert_near(got, plain(network, x, LABELS), 1e-9)


def test_small_steps_never_go_one_by_one(monkeypatch):
    def refuse(*_):
        pytest.fail("a smooth network at the default step")

    monkeypatch.setattr(perturbation, "_one_by_one", refuse)
    for dtype in ("float64", "float32"):
        for scale in (1e-3, 1.0, 30.0):
            network = gl.TwoLayerNetwork(6, 5, 4, "glorot", seed=0, dtype=dtype)
            network.params["W2"] = network.params["W2"] * scale
            network.numerical_gradient(X, LABELS)


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(perturbation, "_ELEMENTS", 50)
    monkeypatch.setattr(perturbation, "chunk_bytes", lambda like: 0)
    network = make(nn.Sigmoid())
    for step in (None, 2.0):
        got = network.numerical_gradient(X, LABELS, step=step)
        assert_near(got, plain(network, X, LABELS, step), 1e-9)


def test_one_sample_zeros_and_saturation(assert_close):
    network = make(nn.Sigmoid())
    for x, t in ((X[0], 3), (0 * X, LABELS)):
        assert_near(network.numerical_gradient(x, t), plain(network, x, t), 1e-9)
    network.params["W1"] = network.params["W1"] * 1e3
    exact = network.gradient(X, LABELS)
    assert_near(network.numerical_gradient(X, LABELS), exact, 1e-6)


@pytest.mark.parametrize(
    ("activation", "dtype"), [(nn.Sigmoid(), "float64"), (nn.Tanh(), "float32")]
)
def test_a_step_across_zero_of_a_saturated_unit_is_the_plain_loop_s(activation, dtype):
    network = nn.Network([nn.Dense(1), activation, nn.Dense(2)], 1, seed=0, dtype=dtype)
    network.params["W1"] = np.asarray([[1.0]], dtype=dtype)
    x, t = np.asarray([[800.0]], dtype=dtype), [0]
    got = network.numerical_gradient(x, t, step=2.0)
    assert abs(got["W1"][0, 0]) > 1e-5
    assert_near(got, plain(network, x, t, 2.0), 1e-12 if dtype == "float64" else 1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e2, 1e3])
def test_moves_that_overflow_an_exponential_give_the_difference_without_a_warning(scale):
    network = make(nn.ReLU(), hidden=(5,))
    network.params = {key: scale * value for key, value in network.params.items()}
    got = network.numerical_gradient(X, LABELS, step=scale)
    assert_near(got, plain(network, X, LABELS, scale), 1e-12)


def test_a_kink_with_the_same_effect_to_both_sides_is_not_missed():
    layers = [layer for _ in range(3) for layer in (nn.Dense(1), nn.ReLU())]
    layers[2] = nn.Dense(2)
    network = nn.Network([*layers, nn.Dense(1)], 2, loss="mean_squared_error", seed=0)
    values = {
        "W1": [[1.0], [0.0]],
        "b1": [0.0],
        "W2": [[1.0, -1.0]],
        "b2": [-1.0, 1.0],
        "W3": [[-1.0], [-2.0]],
        "b3": [0.05],
        "W4": [[1.0]],
        "b4": [0.0],
    }
    network.params.update({name: np.asarray(value) for name, value in values.items()})
    x, t = [[1.0, 0.02]], [[1.0]]
    got = network.numerical_gradient(x, t, step=0.3)
    expected = plain(network, x, t, 0.3)
    assert abs(expected["W1"][1, 0]) > 0.01
    assert_near(got, expected, 1e-12)


@pytest.mark.parametrize(("dtype", "scale"), [("float32", 1e13), ("float64", 1e105)])
def test_inputs_of_any_scale_give_finite_slopes(dtype, scale):
    network = gl.TwoLayerNetwork(4, 3, 2, seed=0, dtype=dtype)
    x = np.eye(4)[:2].astype(dtype)
    expected = network.numerical_gradient(x, [0, 1], step=1e-4)["W1"]
    network.params["W1"] = (network.params["W1"] / scale).astype(dtype)
    step = {k: 1e-4 / (scale if k == "W1" else 1) + 0 * v for k, v in network.params.items()}
    got = network.numerical_gradient((x * scale).astype(dtype), [0, 1], step=step)["W1"]
    np.testing.assert_allclose(got / scale, expected, rtol=1e-2 if dtype == "float32" else 1e-9)


def test_a_step_whose_cube_underflows_gives_the_derivative():
    network = gl.TwoLayerNetwork(4, 3, 2, seed=0)
    network.params.update({k: 0 * v for k, v in network.params.items()})
    got = network.numerical_gradient(np.ones((2, 4)), [0, 0], step=1e-110)
    assert_near(got, network.gradient(np.ones((2, 4)), [0, 0]), 1e-13)


def test_not_a_number_stays_one():
    network = make(nn.Sigmoid())
    x = X.copy()
    x[0, 0] = np.nan
    assert np.isnan(network.numerical_gradient(x, LABELS)["W1"]).all()


def test_every_backend_has_the_same_numbers(backend):
    network = make(nn.Tanh(), dtype=backend.dtype)
    got = network.numerical_gradient(gl.asarray(X.tolist()), gl.asarray(LABELS))
    exact = network.gradient(gl.asarray(X.tolist()), gl.asarray(LABELS))
    assert_near(got, exact, 1e-9 if backend.dtype == "float64" else 2e-3)
    for key, value in network.params.items():
        assert (got[key].dtype, got[key].device) == (value.dtype, value.device)


@settings(max_examples=40)
@given(
    st.sampled_from([nn.Sigmoid(), nn.Tanh(), nn.ReLU()]),
    st.floats(-40, 40),
    st.floats(-6, 3),
    st.sampled_from([-1.0, 1.0]),
)
def test_changes_of_layers_lose_nothing_to_rounding(activation, a, exponent, sign):
    """Against the difference of long doubles, exact where that of float64 is not."""
    u = sign * 10.0**exponent
    wide, step = np.longdouble(a), np.longdouble(u)
    values = {
        "Sigmoid": lambda v: 1 / (1 + np.exp(-v)),
        "Tanh": np.tanh,
        "ReLU": lambda v: np.maximum(v, 0),
    }[type(activation).__name__]
    truth = values(wide + step) - values(wide)
    x = np.asarray(a)
    got = activation.change(np, x, activation.function(x), np.asarray(u))
    eps = np.finfo(np.longdouble).eps
    np.testing.assert_allclose(
        got, float(truth), rtol=1e-13, atol=float(abs(values(wide)) * eps * (4 + abs(a) + abs(u)))
    )


@settings(max_examples=60)
@given(st.floats(-600, 600), st.floats(-12, 3.2), st.sampled_from([-1.0, 1.0]))
def test_changes_of_a_saturated_sigmoid_are_right_in_both_tails(a, exponent, sign):
    """By expm1 of long doubles: s(b) - s(a) = s(b) s(-a) (1 - exp(a - b))."""
    u = sign * 10.0**exponent
    low, high = sorted((np.longdouble(a), np.longdouble(a) + np.longdouble(u)))
    s = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    truth = np.sign(u) * s(high) * s(-low) * -np.expm1(-abs(np.longdouble(u)))
    x = np.asarray(a)
    got = nn.Sigmoid.change(np, x, nn.Sigmoid.function(x), np.asarray(u))
    np.testing.assert_allclose(got, float(truth), rtol=4e-15, atol=1e-300)


def test_numerical_training_is_exact_training():
    train, _ = gl.data.load_digits()
    histories = []
    for gradient in ("numerical", "autodiff"):
        network = gl.TwoLayerNetwork(64, 50, 10, "glorot", seed=0)
        history = gl.training.fit(network, *train, epochs=3, gradient=gradient)
        histories.append(history.loss)
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-8)
