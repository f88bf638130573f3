"""The two-layer network: its gradients against backpropagation by hand, its inputs, its loop."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab import nn
from gradlab.nn import TwoLayerNetwork

KEYS = ("W1", "b1", "W2", "b2")
X = np.random.default_rng(1).normal(size=(5, 4))
LABELS = np.asarray([0, 2, 1, 2, 0])
ROWS = np.asarray([[0.1, 0.2, 0.7], [1, 0, 0], [0, 0, 1], [0.3, 0.3, 0.4], [0, 1, 0]])


def make(**options):
    """Make a 4-3-3 network on the selected backend, its weights large enough to matter."""
    return TwoLayerNetwork(4, 3, 3, 0.8, seed=3, **options)


def on_host(params):
    return {key: gl.to_numpy(value) for key, value in params.items()}


def forward_by_hand(params, x):
    hidden = 1 / (1 + np.exp(-(x @ params["W1"] + params["b1"])))
    e = np.exp(hidden @ params["W2"] + params["b2"])
    return hidden, e / e.sum(axis=-1, keepdims=True)


def backpropagation_by_hand(params, x, rows):
    """d loss / d logits = (p - t) / n, and from there back by the chain rule."""
    hidden, p = forward_by_hand(params, x)
    to_logits = (p - rows) / len(x)
    to_hidden = to_logits @ params["W2"].T * hidden * (1 - hidden)
    return {
        "W1": x.T @ to_hidden,
        "b1": to_hidden.sum(axis=0),
        "W2": hidden.T @ to_logits,
        "b2": to_logits.sum(axis=0),
    }


def test_predictions_loss_and_accuracy_are_those_of_the_formulas(backend, assert_close):
    network = make()
    _, p = forward_by_hand(on_host(network.params), X)
    x = gl.asarray(X.tolist())
    assert_close(network.predict(x), p)
    assert_close(network.loss(x, gl.asarray(LABELS)), -np.mean(np.log(p[range(5), LABELS])))
    assert_close(network.loss(x, gl.asarray(ROWS.tolist())), -np.mean((ROWS * np.log(p)).sum(1)))
    assert_close(network.accuracy(x, gl.asarray(LABELS)), np.mean(p.argmax(1) == LABELS))
    for result in (network.predict(x), network.loss(x, LABELS.tolist())):
        assert result.dtype == network.params["W1"].dtype
        assert result.device == network.params["W1"].device


@pytest.mark.parametrize("t", [LABELS, ROWS], ids=["labels", "rows"])
def test_numerical_gradients_are_those_of_backpropagation_by_hand(backend, t):
    network = make()
    params = on_host(network.params)
    before = {key: value.copy() for key, value in params.items()}
    rows = np.eye(3)[t] if t.ndim == 1 else t
    truth = backpropagation_by_hand({k: v.astype(float) for k, v in params.items()}, X, rows)
    got = network.numerical_gradient(gl.asarray(X.tolist()), gl.asarray(t.tolist()))
    assert tuple(got) == KEYS
    for key in KEYS:
        assert got[key].dtype == network.params[key].dtype
        tolerance = 1e-3 if backend.dtype == "float32" else 1e-7
        np.testing.assert_allclose(gl.to_numpy(got[key]), truth[key], atol=tolerance)
        np.testing.assert_array_equal(gl.to_numpy(network.params[key]), before[key])


def test_one_sample_is_a_batch_of_one(backend, assert_close):
    network = make()
    x = gl.asarray(X.tolist())
    assert_close(network.predict(x[1, :]), gl.to_numpy(network.predict(x))[1])
    assert_close(network.loss(x[1, :], 2), gl.to_numpy(network.loss(x[1:2, :], [2])))
    assert_close(network.accuracy(x[1, :], 2), gl.to_numpy(network.accuracy(x[1:2, :], [2])))
    alone, batch = (
        network.numerical_gradient(x[1, :], 2),
        network.numerical_gradient(x[1:2, :], [2]),
    )
    for key in KEYS:
        tolerance = 1e-3 if backend.dtype == "float32" else 1e-9
        assert_close(alone[key], gl.to_numpy(batch[key]), atol=tolerance)


@given(st.permutations(range(5)))
@settings(max_examples=20)
def test_permuting_the_batch_permutes_the_predictions(order):
    network = make()
    np.testing.assert_allclose(network.predict(X[order]), network.predict(X)[order], rtol=1e-13)
    np.testing.assert_allclose(network.loss(X[order], LABELS[order]), network.loss(X, LABELS))


def test_step_is_the_half_width_of_the_difference():
    network = make()
    coarse = network.numerical_gradient(X, LABELS, step=0.5)
    truth = backpropagation_by_hand(network.params, X, np.eye(3)[LABELS])
    assert 1e-4 < np.max(np.abs(coarse["W1"] - truth["W1"])) < 1e-1
    above, below = (dict(network.params, b2=network.params["b2"] + h) for h in (E0, -E0))
    objective = network.objective(X, LABELS)
    assert coarse["b2"][0] == pytest.approx(float(objective(above) - objective(below)) / 1.0)
    with pytest.raises(ValueError, match="`step` must be positive"):
        network.numerical_gradient(X, LABELS, step=-1.0)


E0 = np.asarray([0.5, 0.0, 0.0])


def test_the_objective_is_the_loss_as_a_function_of_the_parameters(backend, assert_close):
    network = make()
    x, t = gl.asarray(X.tolist()), gl.asarray(LABELS)
    objective = network.objective(x, t)
    loss = gl.to_numpy(network.loss(x, t))
    assert_close(objective(network.params), loss)
    others = {key: value + 1 for key, value in network.params.items()}
    assert abs(float(objective(others)) - float(loss)) > 1e-3
    assert_close(network.loss(x, t), loss)


def test_rebound_and_updated_parameters_are_seen_by_the_next_call(backend, assert_close):
    network = make()
    x, t = gl.asarray(X.tolist()), gl.asarray(LABELS)
    network.predict(x), network.loss(x, t), network.numerical_gradient(x, t)  # nothing is kept
    network.params["b2"] -= network.params["b2"] - 2.0
    network.params["W2"] = network.params["W2"] * 0
    assert_close(network.predict(x), np.full((5, 3), 1 / 3))
    network.params = {key: value * 0 for key, value in network.params.items()}
    network.params["b2"] = gl.asarray([0.0, 0.0, 5.0])
    assert_close(network.accuracy(x, t), np.mean(LABELS == 2))


def test_the_textbook_loop_runs_as_it_stands():
    rng = np.random.default_rng(0)
    x_train, t_train = np.vstack([X, X]), np.eye(3)[np.concatenate([LABELS, LABELS])]
    learning_rate, train_loss_list = 0.5, []
    network = TwoLayerNetwork(input_size=4, hidden_size=3, output_size=3)
    for _ in range(15):
        batch_mask = rng.choice(10, 6)
        x_batch, t_batch = x_train[batch_mask], t_train[batch_mask]
        grad = network.numerical_gradient(x_batch, t_batch)
        for key in ("W1", "b1", "W2", "b2"):
            network.params[key] -= learning_rate * grad[key]
        train_loss_list.append(network.loss(x_batch, t_batch))
    assert [loss.shape for loss in train_loss_list] == [()] * 15
    assert network.loss(x_train, t_train) < np.log(3) - 0.02  # it began with that of guessing


def test_the_textbook_loop_runs_on_every_backend_with_take(backend):
    xp = gl.namespace()
    rng = np.random.default_rng(0)
    x_train, t_train = gl.asarray(X.tolist()), gl.asarray(LABELS)
    network = TwoLayerNetwork(input_size=4, hidden_size=3, output_size=3, seed=0)
    before = float(network.loss(x_train, t_train))
    for _ in range(5):
        batch_mask = rng.choice(5, 4)
        x_batch = xp.take(x_train, gl.asarray(batch_mask), axis=0)
        t_batch = xp.take(t_train, gl.asarray(batch_mask), axis=0)
        grad = network.numerical_gradient(x_batch, t_batch)
        for key in ("W1", "b1", "W2", "b2"):
            network.params[key] -= 0.5 * grad[key]
    assert float(network.loss(x_train, t_train)) < before


def test_the_number_of_units_may_come_from_an_array():
    network = nn.Network([nn.Dense(LABELS.max() + 1)], 4, seed=0)
    assert repr(network.layers) == "(Dense(units=3),)"


def test_the_loss_of_a_regression_is_an_array_too(backend):
    network = nn.Network([nn.Dense(3)], 4, loss="mean_squared_error", seed=0)
    x, t = gl.asarray(X.tolist()), gl.asarray(ROWS.tolist())
    assert type(network.loss(x, t)) is type(x)
    assert network.loss(x, t).shape == ()


def test_parameters_are_the_same_on_every_backend(backend):
    network = TwoLayerNetwork(4, 3, 2, seed=11)
    with gl.use_backend("numpy", dtype="float64"):
        truth = TwoLayerNetwork(4, 3, 2, seed=11).params
    for key, value in network.params.items():
        assert str(value.dtype).endswith(backend.dtype)
        assert value.device == gl.asarray(0.0).device
        expected = truth[key].astype(backend.dtype)
        np.testing.assert_array_equal(gl.to_numpy(value), expected)


@pytest.mark.parametrize(
    ("how", "stds"),
    [(0.01, (0.01, 0.01)), ("glorot", (0.1, 0.1)), ("he", (0.125**0.5, (2 / 184) ** 0.5))],
)
def test_weights_have_the_spread_that_was_asked_for(how, stds):
    params = TwoLayerNetwork(16, 184, 16, how, seed=0).params
    for key, std in zip(("W1", "W2"), stds, strict=True):
        assert np.std(params[key]) == pytest.approx(std, rel=0.05)
        assert abs(np.mean(params[key])) < 0.1 * std
    assert not params["b1"].any()
    assert not params["b2"].any()
    assert [params[key].shape for key in KEYS] == [(16, 184), (184,), (184, 16), (16,)]


def test_the_seed_that_was_drawn_makes_the_same_network_again():
    first = TwoLayerNetwork(2, 2, 2)
    second = TwoLayerNetwork(2, 2, 2, seed=first.seed)
    third = TwoLayerNetwork(2, 2, 2, seed=gl.backend.random.Generator(first.seed))
    assert first.seed == second.seed == third.seed
    np.testing.assert_array_equal(first.params["W1"], second.params["W1"])
    np.testing.assert_array_equal(first.params["W1"], third.params["W1"])
    assert TwoLayerNetwork(2, 2, 2).seed != first.seed


def test_nothing_is_upcast(backend):
    network = make(dtype="float32")
    xp = gl.namespace()
    for dtype in ("uint8", "int64", "float32", backend.dtype):
        x = gl.asarray([[0, 1, 2, 3]], dtype)
        for result in (network.predict(x), network.loss(x, [1]), network.accuracy(x, [1])):
            assert result.dtype == xp.float32
    assert network.objective(x, [[0.0, 0.5, 0.5]])(network.params).dtype == xp.float32
    assert all(g.dtype == xp.float32 for g in network.numerical_gradient(x, [1]).values())


def test_images_of_bytes_are_what_their_numbers_are():
    network = make()
    images = np.asarray([[0, 255, 3, 128], [9, 0, 0, 1]], dtype=np.uint8)
    np.testing.assert_array_equal(network.predict(images), network.predict(images.astype(float)))


def test_a_batch_of_nobody_has_predictions_but_no_loss(backend):
    network = make()
    nobody = gl.asarray(X.tolist())[:0, :]
    assert network.predict(nobody).shape == (0, 3)
    regression = nn.Network([nn.Dense(2)], 4, loss="mean_squared_error")
    message = r"`x` must be a batch of at least one sample: got shape \(0, 4\)"
    for trained, t in (
        (network, gl.asarray(LABELS)[:0]),
        (regression, gl.asarray([[0.5] * 2])[:0, :]),
    ):
        for method in (trained.loss, trained.accuracy, trained.objective, trained.gradient):
            with pytest.raises(ValueError, match=message):
                method(nobody, t)


@pytest.mark.parametrize("missing", ["W1", "b1", "W2", "b2"])
def test_a_parameter_that_is_missing_is_named_with_its_layer(missing):
    network = make()
    del network.params[missing]
    layer = {"1": r"1, Dense\(units=\d+\)", "2": r"3, Dense\(units=3\)"}[missing[1]]
    with pytest.raises(ValueError, match=f"parameters of layer {layer}: '{missing}' is missing"):
        network.predict(X)
    with pytest.raises(ValueError, match=f"'{missing}' is missing"):
        network.loss(X, LABELS)


def test_a_parameter_too_many_is_left_alone():
    network = make()
    truth = float(network.loss(X, LABELS))
    network.params |= {"note": np.ones(1), "other": np.ones(1)}
    assert float(network.loss(X, LABELS)) == truth


def test_bad_samples_and_targets_are_refused_before_any_work(backend):
    network = make()
    x = gl.asarray(X.tolist())
    for method in (network.loss, network.accuracy, network.numerical_gradient, network.objective):
        with pytest.raises(ValueError, match=r"the network has 4 inputs: got shape \(5, 3\)"):
            method(x[:, :3], gl.asarray(LABELS))
        with pytest.raises(ValueError, match=r"between 0 and 2, .* got 3"):
            method(x, gl.asarray(LABELS + 1))
        with pytest.raises(ValueError, match="`x` has 4 samples and `t` has 5"):
            method(x[:4, :], gl.asarray(LABELS))
    with pytest.raises(ValueError, match="the network has 4 inputs"):
        network.predict(x[:, :3])


NO_PARAMETERS = {
    "integers, which would truncate the samples": (
        np.ones((2, 3), int),
        r"`network.params\['W1'\]` must be real floating: got int64",
    ),
    "complex": (np.ones((2, 3), complex), "real floating: got complex128"),
    "list": ([[1.0]], r"`network.params\['W1'\]` must be an array: got \[\[1.0\]\]"),
    "none": (None, r"`network.params\['W1'\]` must be an array: got None"),
}


@pytest.mark.parametrize("what", NO_PARAMETERS)
def test_parameters_of_no_real_floating_dtype_are_refused(what):
    value, message = NO_PARAMETERS[what]
    network = TwoLayerNetwork(2, 3, 2, seed=0)
    network.params["W1"] = value
    with pytest.raises(TypeError, match=message):
        network.predict([0.5, 0.5])


def test_arrays_of_two_libraries_are_named_with_the_cure():
    network = make()
    foreign = array_api_strict.asarray(X)
    for call in (network.predict, lambda x: network.loss(x, LABELS)):
        with pytest.raises(TypeError, match=r"`x` is of array_api_strict, `network.params` is of"):
            call(foreign)
    with pytest.raises(TypeError, match=r"`t` is of array_api_strict.*gradlab.asarray"):
        network.loss(X, array_api_strict.asarray(LABELS))
    network.params["W2"] = array_api_strict.asarray(network.params["W2"])
    with pytest.raises(TypeError, match=r"`network.params\['W2'\]` is of array_api_strict"):
        network.predict(X)


@pytest.mark.parametrize("name", ["input_size", "hidden_size", "output_size"])
@pytest.mark.parametrize("size", [0, -3, 2.0, True, "2"])
def test_a_size_that_is_none_is_refused(name, size):
    sizes = {"input_size": 2, "hidden_size": 2, "output_size": 2, name: size}
    with pytest.raises(ValueError, match=f"`{name}` must be a positive integer: got"):
        TwoLayerNetwork(**sizes)


@pytest.mark.parametrize(
    "std", [0, -0.1, float("nan"), float("inf"), True, "xavier", None, np.ones(2)]
)
def test_a_spread_that_is_none_is_refused(std):
    with pytest.raises(ValueError, match="`weight_init_std` must be a positive finite number, 'g"):
        TwoLayerNetwork(2, 2, 2, std)


class Leaky(nn.ReLU):
    """A layer of a user's own, which is not computed by its `function` alone."""

    @staticmethod
    def function(x):
        return x


@pytest.mark.parametrize("layer", [Leaky(), nn.ReLU, "relu", None, len])
def test_what_is_no_layer_is_refused(layer):
    names = r"Dense\(\), Sigmoid\(\), Tanh\(\), ReLU\(\)"
    with pytest.raises(TypeError, match=f"layer 2 of `layers` must be one of {names}: got "):
        nn.Network([nn.Dense(2), layer], 3)


@pytest.mark.parametrize("layers", [[], [nn.ReLU()], nn.Dense(2), "relu", None])
def test_layers_without_a_dense_one_are_refused(layers):
    message = r"`layers` must be a list of layers .*, one of them Dense"
    with pytest.raises(ValueError, match=message):
        nn.Network(layers, 3)


def test_a_dtype_that_is_none_is_refused():
    with pytest.raises(ValueError, match="`dtype` must be float64 or float32: got 'float16'"):
        TwoLayerNetwork(2, 2, 2, dtype="float16")
    with gl.use_backend("array_api_strict:no_float64"), pytest.raises(ValueError, match="only"):
        TwoLayerNetwork(2, 2, 2, dtype="float64")
