"""Training by exact gradients: `fit` beside loops by hand, torch, JAX and scikit-learn.

Every loop draws its batches in random order, gathers them, computes the loss of each step and
keeps it, makes new parameters, and at the end of an epoch computes the accuracy on all samples.
"""

from __future__ import annotations

import importlib.util
import warnings
from functools import partial

import hand
import numpy as np
from timing import interleaved

import gradlab as gl

HIDDEN, BATCH, LR, EPOCHS = 50, 100, 0.1, 10


def data(name, dtype):
    """Samples and one-hot targets: the digits, or as many random images."""
    (x, t), _ = gl.data.load_digits()
    if name != "digits":
        x = np.random.default_rng(0).random((len(x), 784))
    return x.astype(dtype), np.eye(10, dtype=dtype)[t]


def by_hand(params, x, rows):
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(EPOCHS):
        order = rng.permutation(len(x))
        for start in range(0, len(x), BATCH):
            batch = order[start : start + BATCH]
            loss, grads = hand.two_layer_gradient(params, x[batch], rows[batch])
            params = {key: value - LR * grads[key] for key, value in params.items()}
            losses.append(loss)
        hidden = 1 / (1 + np.exp(-(x @ params["W1"] + params["b1"])))
        scores = hidden @ params["W2"] + params["b2"]
        np.mean(scores.argmax(axis=1) == rows.argmax(axis=1))
    return losses


def by_fit(network, params, x, rows, optimizer):
    network.params = dict(params)
    return gl.training.fit(
        network, x, rows, epochs=EPOCHS, batch_size=BATCH, optimizer=optimizer
    ).train_loss_list


def by_torch(params, x, rows):
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    order = ("W1", "b1", "W2", "b2")
    W1, b1, W2, b2 = (torch.tensor(params[key], requires_grad=True) for key in order)
    optimizer = torch.optim.SGD([W1, b1, W2, b2], LR)
    x, t = torch.tensor(x), torch.tensor(rows).argmax(dim=1)
    losses = []
    for _ in range(EPOCHS):
        shuffled = torch.randperm(len(x))
        for start in range(0, len(x), BATCH):
            batch = shuffled[start : start + BATCH]
            z = torch.sigmoid(x[batch] @ W1 + b1) @ W2 + b2
            loss = torch.nn.functional.cross_entropy(z, t[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        with torch.no_grad():
            ((torch.sigmoid(x @ W1 + b1) @ W2 + b2).argmax(dim=1) == t).float().mean()
    return torch.stack(losses).tolist()


def by_jax(params, x, rows):
    import jax  # noqa: PLC0415

    jax.config.update("jax_enable_x64", x.dtype == np.float64)
    jnp = jax.numpy

    def loss_of(params, x, t):
        hidden = jax.nn.sigmoid(x @ params["W1"] + params["b1"])
        z = hidden @ params["W2"] + params["b2"]
        return -jnp.mean(jnp.sum(t * jax.nn.log_softmax(z), axis=1))

    @jax.jit
    def step(params, x, t):
        loss, grads = jax.value_and_grad(loss_of)(params, x, t)
        return loss, jax.tree.map(lambda p, g: p - LR * g, params, grads)

    @jax.jit
    def accuracy(params, x, t):
        hidden = jax.nn.sigmoid(x @ params["W1"] + params["b1"])
        scores = hidden @ params["W2"] + params["b2"]
        return jnp.mean(scores.argmax(axis=1) == t.argmax(axis=1))

    params = {key: jnp.asarray(value) for key, value in params.items()}
    rng = np.random.default_rng(0)

    def run():
        nonlocal params
        moved, losses = params, []
        for _ in range(EPOCHS):
            order = rng.permutation(len(x))
            for start in range(0, len(x), BATCH):
                batch = order[start : start + BATCH]
                loss, moved = step(moved, x[batch], rows[batch])
                losses.append(loss)
            accuracy(moved, x, rows).block_until_ready()
        return [float(loss) for loss in losses]

    return run


def by_sklearn(x, rows):
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415

    model = MLPClassifier(
        (HIDDEN,), activation="logistic", solver="sgd", batch_size=BATCH, momentum=0,
        learning_rate_init=LR, alpha=0, max_iter=EPOCHS, random_state=0, tol=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        return model.fit(x, rows.argmax(axis=1)).loss_curve_


def main():
    """Print samples per second of each, and the ratio to the loop by hand."""
    for name in ("digits", "784-50-10"):
        for dtype in ("float32", "float64"):
            x, rows = data(name, dtype)
            network = gl.TwoLayerNetwork(x.shape[1], HIDDEN, 10, "glorot", seed=0, dtype=dtype)
            start = dict(network.params)
            rivals = {
                "by hand": partial(by_hand, start, x, rows),
                "fit": partial(by_fit, network, start, x, rows, gl.optimizers.SGD(LR)),
                "Adam": partial(by_fit, network, start, x, rows, gl.optimizers.Adam()),
            }
            if importlib.util.find_spec("torch"):
                rivals["torch"] = lambda x=x, rows=rows, p=start: by_torch(p, x, rows)
            if importlib.util.find_spec("jax"):
                rivals["JAX"] = by_jax(start, x, rows)
            if importlib.util.find_spec("sklearn"):
                rivals["scikit-learn"] = lambda x=x, rows=rows: by_sklearn(x, rows)
            seconds = interleaved(rivals, 15)
            first = seconds["by hand"]
            count = EPOCHS * len(x)
            cells = (
                f"{rival} {count / t / 1e3:7.0f} k/s ({first / t:5.3f})"
                for rival, t in seconds.items()
            )
            print(f"{f'training, {name}, batch {BATCH}, {dtype}':44s}" + "   ".join(cells))


if __name__ == "__main__":
    main()
