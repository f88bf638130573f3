"""Exact gradients of networks: by hand, fused against unfused, and at second order."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import gradlab as gl
from gradlab import autodiff, nn
from gradlab.nn.functions import cross_entropy_of_rows
from gradlab.optimizers import SGD
from gradlab.training import fit

RNG = np.random.default_rng(5)
X, ROWS = RNG.standard_normal((6, 4)), np.eye(3)[[0, 2, 1, 1, 0, 2]]


def by_hand(p, x, rows):
    """Backpropagation, written out."""
    hidden = 1 / (1 + np.exp(-(x @ p["W1"] + p["b1"])))
    e = np.exp(hidden @ p["W2"] + p["b2"])
    q = e / e.sum(axis=1, keepdims=True)
    loss = -np.mean(np.sum(rows * np.log(q), axis=1))
    d2 = (q - rows) / len(x)
    d1 = d2 @ p["W2"].T * hidden * (1 - hidden)
    slopes = {"W1": x.T @ d1, "b1": d1.sum(0), "W2": hidden.T @ d2, "b2": d2.sum(0)}
    return loss, slopes


def test_loss_and_gradient_are_those_of_backpropagation_by_hand(backend):
    network = gl.TwoLayerNetwork(4, 5, 3, weight_init_std=0.7, seed=2)
    params = {k: gl.to_numpy(v).astype(float) for k, v in network.params.items()}
    loss, slopes = by_hand(params, X, ROWS)
    got_loss, got = network.loss_and_gradient(gl.asarray(X.tolist()), gl.asarray(ROWS.tolist()))
    rtol = 1e-12 if backend.dtype == "float64" else 1e-5
    np.testing.assert_allclose(float(got_loss), loss, rtol=rtol)
    for key, slope in slopes.items():
        assert got[key].dtype == network.params[key].dtype
        assert got[key].device == network.params[key].device
        np.testing.assert_allclose(gl.to_numpy(got[key]), slope, rtol=100 * rtol, atol=rtol)
    only = network.gradient(gl.asarray(X.tolist()), gl.asarray(ROWS.tolist()))
    np.testing.assert_array_equal(gl.to_numpy(only["W1"]), gl.to_numpy(got["W1"]))


@pytest.mark.parametrize(("x", "rows"), [(X, ROWS * 0.7 + 0.1), (X[0], ROWS[0])])
def test_the_direct_way_gives_what_tracing_gives(xp, assert_close, x, rows):
    network = gl.TwoLayerNetwork(4, 5, 3, weight_init_std=0.7, seed=2)
    params = {k: xp.asarray(gl.to_numpy(v).tolist()) for k, v in network.params.items()}
    x, rows = xp.asarray(x.tolist()), xp.asarray(rows.tolist())
    loss, got = network.loss_and_gradient_at(params, x, rows)
    traced_loss, expected = gl.value_and_grad(network.loss_at)(params, x, rows)
    assert_close(loss, gl.to_numpy(traced_loss))
    for key, slope in expected.items():
        assert_close(got[key], gl.to_numpy(slope), atol=1e-7 if "32" in str(slope.dtype) else 0)


LAYERS = {
    "a function first": [nn.Sigmoid(), nn.Dense(3)],
    "functions in a row": [nn.Dense(5), nn.Sigmoid(), nn.Tanh(), nn.Sigmoid(), nn.Dense(3)],
    "a function last": [nn.Dense(4), nn.Dense(3), nn.Sigmoid()],
    "kinks": [nn.ReLU(), nn.Dense(5), nn.ReLU(), nn.Dense(3), nn.ReLU(), nn.Tanh()],
}


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_nothing_given_is_written_to_whatever_the_layers(layers, loss):
    network = nn.Network(layers, 4, loss=loss, seed=3)
    params = {k: v + 0.1 for k, v in network.params.items()}
    given = [X, ROWS, *params.values()]
    before = [value.copy() for value in given]
    value, got = network.loss_and_gradient_at(params, X, ROWS)
    expected = gl.value_and_grad(network.loss_at)(params, X, ROWS)
    np.testing.assert_allclose(value, expected[0], rtol=1e-13)
    np.testing.assert_allclose(network.loss_at(params, X, ROWS), value, rtol=1e-13)
    for key, slope in expected[1].items():
        np.testing.assert_allclose(got[key], slope, rtol=1e-11, atol=1e-15)
    for now, then in zip(given, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_parameters_of_two_dtypes_keep_theirs():
    network = gl.TwoLayerNetwork(4, 5, 3, weight_init_std=0.7, seed=2)
    expected = network.loss_and_gradient(X, ROWS)
    params = {k: v.astype("float32") if k[0] == "W" else v for k, v in network.params.items()}
    loss, got = network.loss_and_gradient_at(params, X, ROWS)
    assert loss.dtype == "float64"
    np.testing.assert_allclose(loss, expected[0], rtol=1e-6)
    for key, value in params.items():
        assert got[key].dtype == value.dtype
        np.testing.assert_allclose(got[key], expected[1][key], rtol=1e-4, atol=1e-7)


def test_the_gradient_itself_is_differentiated():
    network = gl.TwoLayerNetwork(4, 5, 3, weight_init_std=0.7, seed=2)
    v = {k: np.full_like(p, 0.3) for k, p in network.params.items()}

    def slopes(params):
        gradient = network.loss_and_gradient_at(params, X, ROWS)[1]
        return sum((gradient[k] * v[k]).sum() for k in v)

    expected = autodiff.hvp(lambda params: network.loss_at(params, X, ROWS), network.params, v)
    for key, value in autodiff.gradient(slopes, network.params).items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-10, atol=1e-14)


def test_a_network_that_was_pickled_has_its_gradient():
    network = gl.nn.Network([gl.nn.ReLU(), gl.nn.Dense(3), gl.nn.Tanh(), gl.nn.Dense(3)], 4, seed=0)
    again = pickle.loads(pickle.dumps(network))  # noqa: S301  (its own)
    for key, slope in network.gradient(X, ROWS).items():
        np.testing.assert_array_equal(again.gradient(X, ROWS)[key], slope)


def test_all_of_one_dtype_is_never_traced(backend, monkeypatch):
    monkeypatch.setattr("gradlab.nn.network.value_and_grad", None)
    network = gl.TwoLayerNetwork(4, 5, 3, seed=2)
    if backend.name == "numpy":
        network = pickle.loads(pickle.dumps(network))  # noqa: S301  (with a dtype of its own)
    assert network.gradient(gl.asarray(X.tolist()), gl.asarray(ROWS.tolist())).keys() == {
        *("W1", "b1", "W2", "b2")
    }


class Ridge(nn.Network):
    """A penalty beside the loss."""

    def loss_at(self, params, x, rows):
        return super().loss_at(params, x, rows) + gl.namespace(x).sum(params["W1"] ** 2) / 2


class Scaled(nn.Network):
    """A parameter beside those of the layers."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.params["scale"] = gl.asarray([2.0])

    def scores_at(self, params, x):
        return params["scale"] * super().scores_at(params, x)


class Halved(nn.Network):
    """Another loss."""

    def loss_of(self, scores, rows):
        return super().loss_of(scores, rows) / 2


def test_a_loss_that_training_would_not_see_is_refused():
    with pytest.raises(TypeError, match=r"Penalized.loss is not what .*: override `loss_at"):
        type("Penalized", (gl.TwoLayerNetwork,), {"loss": lambda self, x, t: 0.0})
    type("Both", (Ridge,), {"loss": lambda self, x, t: 0.0})


@pytest.mark.parametrize("kind", [Ridge, Scaled, Halved])
def test_a_loss_of_ones_own_has_its_gradients(backend, kind):
    network = kind([nn.Dense(5), nn.Tanh(), nn.Dense(3)], 4, seed=2, dtype=backend.dtype)
    x, t = gl.asarray(X.astype(backend.dtype)), gl.asarray(np.argmax(ROWS, axis=1))
    loss = network.objective(x, t)
    before = dict(network.params)
    slopes = network.gradient(x, t)
    gl.check_gradient(loss, lambda _: slopes, before)
    tolerance = 1e-8 if backend.dtype == "float64" else 1e-3
    by_differences = network.numerical_gradient(x, t)
    for key, slope in slopes.items():
        near = gl.to_numpy(by_differences[key])
        np.testing.assert_allclose(gl.to_numpy(slope), near, atol=tolerance)
    history = fit(network, x, t, steps=1, optimizer=SGD(0.5))
    np.testing.assert_allclose(history.train_loss_list[0], float(loss(before)), rtol=1e-6)
    for key, slope in slopes.items():
        moved = gl.to_numpy(before[key]) - 0.5 * gl.to_numpy(slope)
        np.testing.assert_allclose(gl.to_numpy(network.params[key]), moved, atol=1e-5)


def test_one_sample_has_the_gradient_of_a_batch_of_one():
    network = gl.TwoLayerNetwork(4, 5, 3, weight_init_std=0.7, seed=2)
    alone, batch = network.gradient(X[0], 1), network.gradient(X[:1], [1])
    for key, value in batch.items():
        np.testing.assert_allclose(alone[key], value, rtol=1e-12, atol=1e-15)


def unfused_sigmoid(x):
    return 1 / (1 + x.__array_namespace__().exp(-x))


def unfused_cross_entropy(logits, rows):
    xp = logits.__array_namespace__()
    log_p = logits - xp.log(xp.sum(xp.exp(logits), axis=-1, keepdims=True))
    return -xp.mean(xp.sum(rows * log_p, axis=-1))


FUSED = {
    "sigmoid": (nn.sigmoid, unfused_sigmoid, (RNG.standard_normal((3, 4)) * 3,)),
    "linear": (
        nn.linear,
        lambda x, W, b: x @ W + b,
        (X, RNG.standard_normal((4, 2)), RNG.standard_normal(2)),
    ),
    "linear of one sample": (
        nn.linear,
        lambda x, W, b: x @ W + b,
        (X[0], RNG.standard_normal((4, 2)), RNG.standard_normal(2)),
    ),
    "cross entropy": (
        cross_entropy_of_rows,
        unfused_cross_entropy,
        (RNG.standard_normal((6, 3)), ROWS * 0.7 + 0.1),
    ),
    "cross entropy of one sample": (
        cross_entropy_of_rows,
        unfused_cross_entropy,
        (RNG.standard_normal(3), ROWS[0]),
    ),
    "relu": (
        nn.relu,
        lambda x: x.__array_namespace__().where(x > 0, x, 0 * x),
        (RNG.standard_normal((3, 4)),),
    ),
    "tanh": (nn.tanh, lambda x: 1 - 2 / (1 + x.__array_namespace__().exp(2 * x)), (X,)),
    "softmax": (
        nn.softmax,
        lambda x: (
            x.__array_namespace__().exp(x)
            / x.__array_namespace__().sum(x.__array_namespace__().exp(x), axis=-1, keepdims=True)
        ),
        (X,),
    ),
}


@pytest.mark.parametrize("what", FUSED)
def test_a_fused_step_has_the_derivatives_of_its_formula_of_both_modes_and_orders(what):
    fused, formula, arrays = FUSED[what]
    shape = np.shape(fused(*arrays))
    u = np.random.default_rng(0).standard_normal(shape)
    vs = tuple(np.random.default_rng(1).standard_normal(a.shape) for a in arrays)

    def loss(f):
        def call(xs):
            y = f(*xs)
            xp = y.__array_namespace__()
            return xp.sum(xp.asarray(u) * y * y)

        return call

    for transform in (
        lambda f: autodiff.gradient(loss(f), arrays),
        lambda f: autodiff.hvp(loss(f), arrays, vs),
        lambda f: (autodiff.jvp(lambda xs: f(*xs), arrays, vs),),
    ):
        for got, expected in zip(transform(fused), transform(formula), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_conventions_and_tails():
    x = np.asarray([-1.0, 0.0, 2.0])
    np.testing.assert_array_equal(
        autodiff.gradient(lambda x: x.__array_namespace__().sum(nn.relu(x)), x), [0.0, 0.0, 1.0]
    )
    curvature = autodiff.hessian(lambda x: x.__array_namespace__().sum(x * nn.relu(x)), x)
    np.testing.assert_array_equal(curvature, np.diag([0.0, 0.0, 2.0]))
    slope = autodiff.gradient(lambda x: x.__array_namespace__().sum(nn.sigmoid(x)), x * 0)
    np.testing.assert_array_equal(slope, [0.25, 0.25, 0.25])
    slope = autodiff.gradient(lambda z: nn.softmax_cross_entropy(z, 1), np.asarray([1000.0, 0.0]))
    np.testing.assert_allclose(slope, [1.0, -1.0])


def test_digits_are_read_after_a_hundred_epochs_of_exact_gradients():
    train, test = gl.data.load_digits()
    network = gl.TwoLayerNetwork(64, 50, 10, weight_init_std="glorot", seed=0)
    fit(network, *train, epochs=100, optimizer=SGD(0.1))
    assert float(network.accuracy(*test)) >= 0.94
