"""Exact gradients beside NumPy by hand, and beside autograd and torch where they are installed."""

from __future__ import annotations

import importlib.util
import tracemalloc
from functools import partial

import hand
import numpy as np
from timing import interleaved, row

import gradlab as gl

HAS_AUTOGRAD = importlib.util.find_spec("autograd") is not None
HAS_TORCH = importlib.util.find_spec("torch") is not None
SIZES = ((64, 50, 10), (784, 50, 10), (784, 512, 10))


def operation():
    """A traced binary operation on three elements."""
    x = np.ones(3)
    cost = {}

    def f(t):
        def many(a, b):
            for _ in range(1000):
                a * b

        cost.update(interleaved({"numpy": partial(many, x, x), "gradlab": partial(many, t, t)}, 51))
        return t[0]

    gl.grad(f)(x)
    if HAS_AUTOGRAD:
        import autograd  # noqa: PLC0415

        def g(t):
            def many(a, b):
                for _ in range(100):
                    a * b

            cost.update(interleaved({"autograd": partial(many, t, t)}, 21))
            return t[0]

        autograd.grad(g)(x)
        cost["autograd"] *= 10
    added = {name: (t - cost["numpy"]) * 1e3 for name, t in cost.items()}
    print(f"{'binary operation, 3 elements, over NumPy':44s}", end="")
    print("   ".join(f"{n} {t:6.2f} us" for n, t in added.items() if n != "numpy"))


def network(sizes, batch, dtype):
    """Loss and gradient of the two-layer network."""
    inputs, hidden, classes = sizes
    rng = np.random.default_rng(0)
    x = rng.random((batch, inputs)).astype(dtype)
    rows = np.eye(classes, dtype=dtype)[rng.integers(0, classes, batch)]
    options = {"weight_init_std": "glorot", "seed": 0, "dtype": dtype}
    ours = gl.TwoLayerNetwork(inputs, hidden, classes, **options)
    params = ours.params
    traced = gl.value_and_grad(ours.loss_at)
    unfused = gl.value_and_grad(_plain_loss)
    rivals = {
        "by hand": lambda: hand.two_layer_gradient(params, x, rows),
        "network": lambda: ours.loss_and_gradient_at(params, x, rows),
        "traced": lambda: traced(params, x, rows),
        "unfused": lambda: unfused(params, x, rows),
    }
    if HAS_AUTOGRAD:
        rivals["autograd"] = _autograd(params, x, rows)
    if HAS_TORCH:
        rivals["torch"] = _torch(params, x, rows)
    rounds = 15 if hidden > 100 else 301
    row(f"{'-'.join(map(str, sizes))}, batch {batch}, {dtype}", rivals, rounds)


def _plain_loss(params, x, rows):
    xp = x.__array_namespace__()
    hidden = 1 / (1 + xp.exp(-(x @ params["W1"] + params["b1"])))
    z = hidden @ params["W2"] + params["b2"]
    z = z - xp.max(z, axis=1, keepdims=True)
    return xp.mean(xp.log(xp.sum(xp.exp(z), axis=1)) - xp.sum(rows * z, axis=1))


def _autograd(params, x, rows):
    import autograd  # noqa: PLC0415
    import autograd.numpy as anp  # noqa: PLC0415

    def loss(params):
        hidden = 1 / (1 + anp.exp(-(anp.dot(x, params["W1"]) + params["b1"])))
        z = anp.dot(hidden, params["W2"]) + params["b2"]
        z = z - anp.max(z, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - anp.sum(rows * z, axis=1))

    run = autograd.value_and_grad(loss)
    return lambda: run(params)


def _torch(params, x, rows):
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    W1, b1, W2, b2 = (torch.tensor(params[k], requires_grad=True) for k in ("W1", "b1", "W2", "b2"))
    x, t = torch.tensor(x), torch.tensor(rows).argmax(dim=1)

    def run():
        z = torch.sigmoid(x @ W1 + b1) @ W2 + b2
        loss = torch.nn.functional.cross_entropy(z, t)
        return loss, torch.autograd.grad(loss, (W1, b1, W2, b2))

    return run


def memory():
    """Peak of a chain of 60 elementwise operations on 8 MB, in arrays."""
    x = np.full(2**20, 0.5)

    def chain(sin, total, x, piece=None):
        def steps(x, n):
            for _ in range(n):
                x = sin(x) * 1.1 + 0.1
            return x

        if piece is None:
            return total(steps(x, 20))
        wrapped = piece(lambda x: steps(x, 4))
        for _ in range(5):
            x = wrapped(x)
        return total(x)

    def ours(piece=None):
        return gl.grad(lambda x: chain(gl.namespace(x).sin, gl.namespace(x).sum, x, piece))(x)

    runs = {"gradlab": ours, "checkpoint": lambda: ours(gl.autodiff.checkpoint)}
    if HAS_AUTOGRAD:
        import autograd  # noqa: PLC0415
        import autograd.numpy as anp  # noqa: PLC0415

        runs["autograd"] = lambda: autograd.grad(lambda x: chain(anp.sin, anp.sum, x))(x)
    cells = []
    for name, run in runs.items():
        tracemalloc.start()
        run()
        cells.append(f"{name} {tracemalloc.get_traced_memory()[1] / x.nbytes:6.1f} arrays")
        tracemalloc.stop()
    print(f"{'peak memory, 60 elementwise operations':44s}" + "   ".join(cells))


def main():
    """Print the tables of exact derivatives."""
    operation()
    for dtype in ("float64", "float32"):
        for sizes in SIZES:
            for batch in (1, 100):
                network(sizes, batch, dtype)
    memory()
