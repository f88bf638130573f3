"""Benchmarks on a GPU: ``python -m nox -s bench-gpu``, or this file where nox is not installed.

Clocks are read when the device is done; everything runs once before it is timed; the figures are
medians. torch and JAX run beside gradlab where they are installed and see a GPU.

What bounds the textbook's numerical gradient (784-50-10, batch 100, float64): six changes of each
of the 100 (50 + 10) pre-activations through ten outputs are 0.36 million exponentials, the matrix
products 0.03 GFLOP, and what must be read and written at least 1 MB: some ten microseconds of an
H100. The portable code launches some three hundred kernels, at a few microseconds each.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import platform
import sys
from statistics import median

import numpy as np

import gradlab as gl
from gradlab.optimizers import SGD, advance_of

WARM_UP, ROUNDS = 3, 21
LR = 0.1


def seconds_of(run):
    """Median of the seconds that it takes, the device's work included."""
    taken = []
    for k in range(WARM_UP + ROUNDS):
        with gl.backend.Timer() as timer:
            run()
        taken += [timer.seconds] if k >= WARM_UP else []
    return median(taken)


def line(title, seconds, more=""):
    print(f"{title:58s}{seconds * 1e3:10.3f} ms  {more}")


def batch_of(sizes, batch, dtype, nonzero=1.0):
    rng = np.random.default_rng(0)
    x = rng.random((batch, sizes[0])) * (rng.random((batch, sizes[0])) < nonzero)
    return x.astype(dtype), rng.integers(0, sizes[-1], batch)


def network_of(sizes, dtype):
    inputs, *hidden, classes = sizes
    layers = [layer for units in hidden for layer in (gl.nn.Dense(units), gl.nn.Sigmoid())]
    return gl.nn.Network([*layers, gl.nn.Dense(classes)], inputs, seed=0, dtype=dtype)


def numerical_step(dtype, nonzero):
    """A step of the textbook's program, by central differences of all parameters."""
    sizes = (784, 50, 10)
    network = network_of(sizes, dtype)
    x, rows = network.prepare(*map(gl.asarray, batch_of(sizes, 100, dtype, nonzero)))
    advance, state = advance_of(SGD(LR)), {"step": 0}

    def step():
        grads = network.numerical_gradient_at(network.params, x, rows)
        network.params, _ = advance(network.params, grads, state)

    seconds = seconds_of(step)
    title = f"numerical step, 784-50-10, batch 100, {dtype}, {nonzero:.0%} non-zeros"
    line(title, seconds, f"{seconds * 1e4:.1f} s for 10,000 steps")


def exact_step(sizes, batch, dtype):
    """A step by exact gradients, beside that of torch and JAX."""
    network = network_of(sizes, dtype)
    host = batch_of(sizes, batch, dtype)
    x, rows = network.prepare(*map(gl.asarray, host))
    advance, state = advance_of(SGD(LR)), {"step": 0}
    start = {key: gl.to_numpy(value) for key, value in network.params.items()}

    def step():
        _, grads = network.loss_and_gradient_at(network.params, x, rows)
        network.params, _ = advance(network.params, grads, state)

    title = f"exact step, {'-'.join(map(str, sizes))}, batch {batch}, {dtype}"
    seconds = seconds_of(step)
    line(title, seconds)
    for name, make in PEERS.items():
        if importlib.util.find_spec(name) and (run := make(start, *host)):
            theirs = seconds_of(run)
            line(f"  {name}", theirs, f"gradlab takes {seconds / theirs:.2f} times that")


def by_torch(start, x, t):
    """Step of torch on CUDA, eager; None where it sees no GPU."""
    import torch  # noqa: PLC0415

    if not torch.cuda.is_available():
        return None
    layers = []
    for k in range(1, len(start) // 2 + 1):
        weights = start[f"W{k}"]
        dense = torch.nn.Linear(*weights.shape, device="cuda")
        dense.weight = torch.nn.Parameter(torch.tensor(weights.T.copy(), device="cuda"))
        dense.bias = torch.nn.Parameter(torch.tensor(start[f"b{k}"], device="cuda"))
        layers += [dense, torch.nn.Sigmoid()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(model.parameters(), LR)
    x, t = torch.tensor(x, device="cuda"), torch.tensor(t, device="cuda")

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), t).backward()
        optimizer.step()
        torch.cuda.synchronize()

    return step


def by_jax(start, x, t):
    """Step of JAX, compiled; None where it sees no GPU."""
    import jax  # noqa: PLC0415

    if jax.default_backend() != "gpu":
        return None
    jax.config.update("jax_enable_x64", x.dtype == np.float64)
    layers = len(start) // 2

    def loss(params, x, t):
        for k in range(1, layers):
            x = jax.nn.sigmoid(x @ params[f"W{k}"] + params[f"b{k}"])
        z = jax.nn.log_softmax(x @ params[f"W{layers}"] + params[f"b{layers}"])
        return -jax.numpy.mean(jax.numpy.take_along_axis(z, t[:, None], axis=1))

    @jax.jit
    def moved(params, x, t):
        return jax.tree.map(lambda p, g: p - LR * g, params, jax.grad(loss)(params, x, t))

    params = {key: jax.numpy.asarray(value) for key, value in start.items()}
    x, t = jax.numpy.asarray(x), jax.numpy.asarray(t)

    def step():
        nonlocal params
        params = jax.block_until_ready(moved(params, x, t))

    return step


PEERS = {"torch": by_torch, "jax": by_jax}


def training(dtype):
    """An epoch of `fit`, 784-50-10, its looks at the device included."""
    network = network_of((784, 50, 10), dtype)
    x, t = map(gl.asarray, batch_of((784, 50, 10), 10_000, dtype))
    seconds = seconds_of(lambda: gl.training.fit(network, x, t, epochs=1))
    line(f"epoch of fit, 784-50-10, 100 batches of 100, {dtype}", seconds)


def black_box(n, dtype):
    """Central differences of Rosenbrock's function, all points in as few calls as memory takes."""

    def f(x):
        a, b = x[..., :-1], x[..., 1:]
        return xp.sum((1 - a) ** 2 + 100 * (b - a * a) ** 2, axis=-1)

    xp = gl.namespace()
    x = gl.asarray(np.linspace(-1.0, 1.0, n).astype(dtype))
    seconds = seconds_of(lambda: gl.numerical_gradient(f, x, vectorized=True))
    moved = 2 * 2 * n * n * np.dtype(dtype).itemsize / 1e9  # every point written and read once
    title = f"numerical gradient, vectorized, n = {n}, {dtype}"
    line(title, seconds, f"{moved:.2f} GB of points at the least: {moved / seconds:.0f} GB/s")


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="cupy")
    parser.add_argument("--small", action="store_true", help="small sizes, to try the script out")
    options = parser.parse_args()
    gl.set_backend(options.backend)
    devices = gl.backend.examine()["backends"][gl.get_backend().name]["devices"]
    named = ", ".join(str(device.get("name", device["device"])) for device in devices)
    print(f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, {gl.get_backend()}: {named}")
    modules = [name for name in ("cupy", "torch", "jax") if importlib.util.find_spec(name)]
    versions = [f"{name} {__import__(name).__version__}" for name in ("numpy", *modules)]
    print(f"Python {platform.python_version()}, {', '.join(versions)}; {' '.join(sys.argv)}\n")
    for nonzero in (1.0, 0.2):
        numerical_step("float64", nonzero)
    numerical_step("float32", 1.0)
    wide = (784, 64, 64, 10) if options.small else (784, 2048, 2048, 10)
    for dtype in ("float64", "float32"):
        exact_step((784, 50, 10), 100, dtype)
        exact_step(wide, 64 if options.small else 1024, dtype)
        training(dtype)
        black_box(500 if options.small else 10_000, dtype)


if __name__ == "__main__":
    main()
