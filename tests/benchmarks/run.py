"""Benchmarks: ``python -m nox -s bench``. Each table compares in one run; only ratios travel.

The rivals of a row are run in turn, over and over, in one process on one BLAS thread; the
figures are medians of those rounds.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from statistics import median

import autodiff
import differences
import hand
import numpy as np
import threadpoolctl
import training
from timing import interleaved, row

import gradlab as gl


def import_time(rounds=15):
    """`import gradlab` beside `import numpy`, compiled, each in fresh interpreters, in turn."""
    code = "from time import perf_counter as t; s = t(); import {}; print(t() - s)"

    def once(module):
        command = [sys.executable, "-c", code.format(module)]
        done = subprocess.run(command, capture_output=True, check=True, env=env)  # noqa: S603
        return float(done.stdout)

    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    once("gradlab")
    pairs = [(once("numpy"), once("gradlab")) for _ in range(rounds)]
    base, ours = (median(column) for column in zip(*pairs, strict=True))
    print(f"{'import':44s}numpy {base * 1e3:9.2f} ms ( 1.000)   ", end="")
    print(f"gradlab {ours * 1e3:9.2f} ms ({ours / base:6.3f})   (goal: at most 1.3)")


def overhead():
    """Black boxes of n = 100: the textbook's loop beside gradlab's."""
    x = np.linspace(1.0, 2.0, 100)

    def cheap(x):
        return np.sum(x * x)

    def middling(x):
        for _ in range(4):
            x = np.sin(x * x + 1.0)
        return np.sum(x)

    def dear(x):
        for _ in range(16):
            x = np.sin(x * x + 1.0)
        return np.sum(x)

    for f in (cheap, middling, dear):
        (cost,) = interleaved({"f": lambda f=f: [f(x) for _ in range(100)]}, 21).values()
        rivals = {
            "textbook": lambda f=f: hand.numerical_gradient(f, x),
            "gradlab": lambda f=f: gl.numerical_gradient(f, x),
        }
        row(f"gradient, n = 100, f costs {cost * 1e4:.1f} us", rivals, 41)


def rosenbrock():
    """The same black box, one point at a time and all at once."""
    x = np.linspace(-1.0, 1.0, 100)

    def f(x):
        a, b = x[..., :-1], x[..., 1:]
        return np.sum((1 - a) ** 2 + 100 * (b - a * a) ** 2, axis=-1)

    rivals = {
        "textbook": lambda: hand.numerical_gradient(f, x),
        "gradlab": lambda: gl.numerical_gradient(f, x),
        "vectorized": lambda: gl.numerical_gradient(f, x, vectorized=True),
    }
    row("gradient, Rosenbrock of 100 variables", rivals, 41)


def network(hidden, inputs, nonzero=1.0):
    """One step of the textbook's training, batch 100: by its loop, as gradlab does it, exact.

    The loop is timed on its first thousand parameters and scaled to all.
    """
    rng = np.random.default_rng(0)
    x = rng.random((100, inputs)) * (rng.random((100, inputs)) < nonzero)
    t = np.eye(10)[rng.integers(0, 10, 100)]
    layers = [layer for units in hidden for layer in (gl.nn.Dense(units), gl.nn.Sigmoid())]
    ours = gl.nn.Network([*layers, gl.nn.Dense(10)], inputs, seed=0)
    params = {key: value.copy() for key, value in ours.params.items()}
    count = sum(value.size for value in params.values())
    some = params["W1"].reshape(-1)[:1000]
    loop = interleaved(
        {"loop": lambda: hand.numerical_gradient(lambda _: hand.network_loss(params, x, t), some)},
        1,
    )["loop"] * (count / some.size)
    rivals = {
        "central differences": lambda: ours.numerical_gradient(x, t),
        "exact": lambda: ours.loss_and_gradient(x, t),
    }
    name = f"{'-'.join(map(str, (inputs, *hidden, 10)))}, {nonzero:.0%} non-zeros"
    cells = [f"textbook's loop {loop:8.3f} s ({loop * 1e4 / 3600:7.2f} h for 10,000 steps)"]
    for rival, seconds in interleaved(rivals, 21).items():
        took = f"{seconds * 1e3:8.3f} ms ({seconds * 1e4:6.1f} s), 1 / {loop / seconds:.0f}"
        cells.append(f"{rival} {took}")
    print(f"{'step of a network, ' + name:44s}" + "   ".join(cells))


def main():
    """Print all tables."""
    threads = {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, BLAS threads {threads}")
    print("medians (ratio to the first)\n")
    import_time()
    overhead()
    rosenbrock()
    differences.main()
    print()
    network((50,), 64)
    network((50,), 784)
    network((50,), 784, nonzero=0.2)
    network((50, 30), 784)
    autodiff.main()
    training.main()


if __name__ == "__main__":
    main()
