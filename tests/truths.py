"""Where the derivatives in tests take their truth from: high-order differences, and identities."""

from __future__ import annotations

from itertools import pairwise

import array_api_compat.numpy as anp
import numpy as np

from gradlab import autodiff


def samples(shape, interval, seed=0):
    low, high = interval
    return np.random.default_rng(seed).uniform(low, high, shape)


def differences(f, x, v):
    """Derivative along v on plain NumPy: central differences, Richardson of order 6."""
    table = []
    for k in range(3):
        h = 2.0**-k * 0.02
        table.append((np.asarray(f(x + h * v)) - np.asarray(f(x - h * v))) / (2 * h))
    first = [(4 * b - a) / 3 for a, b in pairwise(table)]
    return (16 * first[1] - first[0]) / 15


def check(f, x, rtol=1e-7):
    """Compare f's derivatives at x of both modes and of second order with differences."""
    rng = np.random.default_rng(1)
    v = rng.standard_normal(x.shape) * 0.5
    plain = lambda x: np.asarray(f(anp, x))  # noqa: E731
    traced = lambda x: f(x.__array_namespace__(), x)  # noqa: E731
    truth = differences(plain, x, v)
    u = rng.standard_normal(truth.shape)
    pushed = autodiff.jvp(traced, x, v)
    pulled = autodiff.vjp(traced, x, u)
    scale = max(1.0, float(np.max(np.abs(truth), initial=0.0)))
    assert pushed.shape == truth.shape
    assert pulled.shape == x.shape
    np.testing.assert_allclose(pushed, truth, atol=rtol * scale)
    np.testing.assert_allclose(np.sum(pulled * v), np.sum(u * pushed), atol=1e-10 * scale)

    def slope(x):
        return autodiff.vjp(traced, x, u)

    second = autodiff.jvp(slope, x, v)
    truth = differences(slope, x, v)
    scale = max(1.0, float(np.max(np.abs(truth), initial=0.0)))
    np.testing.assert_allclose(second, truth, atol=10 * rtol * scale)
    transposed = autodiff.vjp(slope, x, v)  # the Hessian of u·f is symmetric
    np.testing.assert_allclose(transposed, second, atol=1e-9 * scale)


def loss_of(f):
    def loss(x):
        xp = x.__array_namespace__()
        y = f(xp, x)
        return xp.sum(y * y)

    return loss
