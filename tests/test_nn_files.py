"""Networks in files: they come back as what they were, on whatever backend is selected."""

from __future__ import annotations

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn, store

X = np.random.default_rng(2).normal(size=(5, 3))
NETWORKS = {
    "two layers": lambda: gl.TwoLayerNetwork(3, 4, 2, "he", seed=5),
    "deep": lambda: nn.Network(
        [nn.Dense(4), nn.ReLU(), nn.Dense(3), nn.Tanh(), nn.Dense(2), nn.Sigmoid()],
        input_size=3,
        loss="mean_squared_error",
        seed=6,
    ),
    "float32": lambda: nn.Network([nn.Dense(2)], 3, seed=2**70, dtype="float32"),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.npz"


@pytest.mark.parametrize("what", NETWORKS)
def test_a_network_comes_back_as_it_was(path, backend, what):
    network = NETWORKS[what]()
    network.params["b1"] = network.params["b1"] + 0.5
    network.save(path)
    again = nn.Network.load(path)
    assert type(again) is type(network)
    assert (again.layers, again.loss_name, again.seed) == (
        network.layers,
        network.loss_name,
        network.seed,
    )
    assert again.summary() == network.summary()
    assert list(again.params) == list(network.params)
    for key, value in network.params.items():
        assert (again.params[key].dtype, again.params[key].device) == (value.dtype, value.device)
        np.testing.assert_array_equal(gl.to_numpy(again.params[key]), gl.to_numpy(value))
    x = gl.asarray(X.tolist())
    np.testing.assert_array_equal(gl.to_numpy(again.predict(x)), gl.to_numpy(network.predict(x)))


def test_a_network_moves_to_the_backend_that_is_selected(path, backend):
    with gl.use_backend("numpy", dtype="float32"):
        network = NETWORKS["two layers"]()
        network.save(path)
    again = nn.Network.load(path)
    assert gl.namespace(again.params["W1"]) is gl.namespace()
    assert again.params["W1"].device == gl.asarray(0.0).device
    got = gl.to_numpy(again.predict(gl.asarray(X.tolist(), "float32")))
    np.testing.assert_allclose(got, network.predict(X), rtol=1e-5)


def test_parameters_in_half_precision_come_back_bit_by_bit(path):
    network = NETWORKS["deep"]()
    network.params = {key: value.astype(np.float16) for key, value in network.params.items()}
    network.save(path)
    again = nn.Network.load(path)
    for key, value in network.params.items():
        assert again.params[key].dtype == np.float16
        assert again.params[key].tobytes() == value.tobytes()


def test_a_dtype_that_the_device_lacks_is_refused(path):
    pytest.importorskip("array_api_strict")
    NETWORKS["two layers"]().save(path)
    with (
        gl.use_backend("array_api_strict:no_float64"),
        pytest.raises(gl.backend.UnsupportedDTypeError, match="float64"),
    ):
        nn.Network.load(path)


def test_the_class_that_is_asked_for_is_the_one_that_comes(path):
    class Mine(nn.Network):
        pass

    NETWORKS["two layers"]().save(path)
    assert type(gl.TwoLayerNetwork.load(path)) is gl.TwoLayerNetwork
    NETWORKS["deep"]().save(path)
    assert type(Mine.load(path)) is Mine
    with pytest.raises(store.StoreError, match="holds a Network, not a TwoLayerNetwork"):
        gl.TwoLayerNetwork.load(path)


@pytest.mark.parametrize("state", [{"kind": "training"}, [1], 2])
def test_a_file_of_something_else_is_refused(path, state):
    store.save(path, state)
    with pytest.raises(store.StoreError, match=r"network.npz: expected a network"):
        nn.Network.load(path)
