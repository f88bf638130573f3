"""Numerical derivatives beside those of SciPy, numdifftools and jacobi: time, calls, error.

A call is one evaluation at one point. Those that find their own steps are asked for nothing else.
"""

from __future__ import annotations

import importlib.util
import warnings

import numpy as np
from timing import interleaved

import gradlab as gl

HAS = {name for name in ("scipy", "numdifftools", "jacobi") if importlib.util.find_spec(name)}


class Counted:
    """A function, and how often it was evaluated, at how many points."""

    def __init__(self, f, axes):
        self.f, self.axes, self.calls = f, axes, 0

    def __call__(self, x):
        x = np.asarray(x)
        self.calls += int(np.prod(x.shape[: x.ndim - self.axes]))
        return self.f(x)


def wave(x):
    return np.exp(-x) * np.sin(3 * x)


def slope_of_wave(x):
    return np.exp(-x) * (3 * np.cos(3 * x) - np.sin(3 * x))


def rosenbrock(x):
    a, b = x[..., :-1], x[..., 1:]
    return np.sum((1 - a) ** 2 + 100 * (b - a * a) ** 2, axis=-1)


def slope_of_rosenbrock(x):
    a, b = x[:-1], x[1:]
    slope = np.zeros_like(x)
    slope[:-1] = -2 * (1 - a) - 400 * a * (b - a * a)
    slope[1:] += 200 * (b - a * a)
    return slope


def of_one_variable(x):
    """Derivative of an elementwise function at every element."""
    numerical = gl.numerical
    ways = {
        "derivative": lambda f: numerical.derivative(f, x),
        "derivative_and_error": lambda f: numerical.derivative_and_error(f, x).value,
    }
    if "scipy" in HAS:
        from scipy.differentiate import derivative  # noqa: PLC0415

        ways["scipy.differentiate"] = lambda f: derivative(f, x).df
    if "numdifftools" in HAS:
        import numdifftools  # noqa: PLC0415

        ways["numdifftools"] = lambda f: numdifftools.Derivative(f)(x)
    if "jacobi" in HAS:
        import jacobi  # noqa: PLC0415

        ways["jacobi"] = lambda f: jacobi.jacobi(f, x, diagonal=True)[0]
    return ways


def of_several_variables(x):
    """Gradient of a function of all elements."""
    numerical = gl.numerical
    ways = {
        "gradient": lambda f: numerical.gradient(f, x),
        "vectorized": lambda f: numerical.gradient(f, x, vectorized=True),
        "gradient_and_error": lambda f: numerical.gradient_and_error(f, x, vectorized=True).value,
    }
    if "scipy" in HAS:
        from scipy.optimize._numdiff import approx_derivative  # noqa: PLC0415

        ways["approx_derivative"] = lambda f: approx_derivative(f, x, method="3-point")
    if "numdifftools" in HAS:
        import numdifftools  # noqa: PLC0415

        ways["numdifftools"] = lambda f: numdifftools.Gradient(f)(x)
    if "jacobi" in HAS:
        import jacobi  # noqa: PLC0415

        ways["jacobi"] = lambda f: jacobi.jacobi(f, x)[0]
    return ways


def table(title, ways, f, *, axes, truth):
    """A line for each way: median time, calls, largest error in units of the largest slope."""
    print(f"\n{title:44s}{'time':>12s}{'calls':>9s}{'error':>10s}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peers, about their own tables
        seconds = interleaved({name: lambda way=way: way(f) for name, way in ways.items()}, 5)
        for name, way in ways.items():
            counted = Counted(f, axes)
            error = np.max(np.abs(way(counted) - truth)) / np.max(np.abs(truth))
            print(f"  {name:42s}{seconds[name] * 1e3:9.3f} ms{counted.calls:9d}{error:10.1e}")


def main():
    """Print both tables."""
    x = np.linspace(0.1, 2.0, 100)
    title = "derivative of exp(-x) sin(3x) at 100 points"
    table(title, of_one_variable(x), wave, axes=0, truth=slope_of_wave(x))
    x = np.linspace(-1.0, 1.0, 20)
    title = "gradient of Rosenbrock's f, 20 variables"
    table(title, of_several_variables(x), rosenbrock, axes=1, truth=slope_of_rosenbrock(x))


if __name__ == "__main__":
    main()
