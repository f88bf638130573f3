"""Networks trained step by step beside torch's, from the same weights and on the same batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradlab import nn
from gradlab.optimizers import SGD, Adam

ACTIVATIONS = {
    "sigmoid": (nn.Sigmoid(), torch.sigmoid),
    "tanh": (nn.Tanh(), torch.tanh),
    "relu": (nn.ReLU(), torch.relu),
}


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(8,), (8, 6, 5)])
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
def test_a_hundred_steps_end_where_torch_ends(hidden, name, loss, rule):
    ours, theirs = ACTIVATIONS[name]
    layers = [layer for units in hidden for layer in (nn.Dense(units), ours)]
    network = nn.Network([*layers, nn.Dense(3)], 4, loss=loss, seed=2)
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((40, 4)), rng.integers(0, 3, 40)
    t = labels if loss == "cross_entropy" else rng.standard_normal((40, 3))
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in network.params.items()}
    optimizer = SGD(0.1, momentum=0.5) if rule == "SGD" else Adam(0.01)
    peer = (
        torch.optim.SGD(tensors.values(), 0.1, momentum=0.5)
        if rule == "SGD"
        else torch.optim.Adam(tensors.values(), 0.01)
    )
    state, count = optimizer.init(network.params), len(hidden) + 1
    for _ in range(100):
        batch = rng.permutation(40)[:10]
        value, grads = network.loss_and_gradient(x[batch], t[batch])
        network.params, state = optimizer.step(network.params, grads, state)
        z = torch.tensor(x[batch])
        for k in range(1, count + 1):
            z = z @ tensors[f"W{k}"] + tensors[f"b{k}"]
            z = theirs(z) if k < count else z
        target = torch.tensor(t[batch])
        measure = torch.nn.functional
        error = (
            measure.cross_entropy(z, target)
            if loss == "cross_entropy"
            else measure.mse_loss(z, target)
        )
        np.testing.assert_allclose(float(value), error.item(), rtol=1e-10, atol=1e-12)
        peer.zero_grad()
        error.backward()
        peer.step()
    for key, tensor in tensors.items():
        np.testing.assert_allclose(network.params[key], tensor.detach().numpy(), atol=1e-10)
