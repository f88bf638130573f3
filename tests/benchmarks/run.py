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
import hand
import numpy as np
import threadpoolctl
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


def network():
    """One step of the textbook's training: 64-50-10, a batch of 100 digits."""
    (x, t), _ = gl.data.load_digits()
    x, t = x[:100], np.eye(10)[t[:100]]
    ours = gl.TwoLayerNetwork(64, 50, 10, weight_init_std="glorot", seed=0)
    params = {key: value.copy() for key, value in ours.params.items()}
    rivals = {
        "textbook": lambda: hand.two_layer_numerical_gradient(params, x, t),
        "gradlab": lambda: ours.numerical_gradient(x, t),
    }
    row("numerical gradient, 64-50-10, batch 100", rivals, 3, unit=1.0, suffix="s ")


def main():
    """Print all tables."""
    threads = {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, BLAS threads {threads}")
    print("medians (ratio to the first)\n")
    import_time()
    overhead()
    rosenbrock()
    network()
    autodiff.main()


if __name__ == "__main__":
    main()
