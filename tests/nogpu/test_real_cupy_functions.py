"""CuPy's own functions of a traced array, as the real wheel dispatches them: no GPU is needed."""

from __future__ import annotations

import numpy as np
import pytest

cupy = pytest.importorskip("cupy")

from gradlab.autodiff import gradient  # noqa: E402

X = np.asarray([[0.4, 1.2, 0.7], [1.7, 0.9, 2.1]])

FUNCTIONS = {
    "exp": lambda p, x: p.exp(x),
    "multiply": lambda p, x: p.multiply(2.0, x) * x,
    "power": lambda p, x: p.power(x, 3),
    "where": lambda p, x: p.where(x > 1.0, x * x, 0.5),
    "maximum": lambda p, x: p.maximum(x, 1.0),
    "true_divide": lambda p, x: p.true_divide(1.0, x),
    "arctan2": lambda p, x: p.arctan2(x, x * x),
    "sum": lambda p, x: p.sum(x * x, axis=0),
    "mean": lambda p, x: p.mean(x * x, axis=1, keepdims=True),
    "prod": lambda p, x: p.prod(x, axis=0),
    "max": lambda p, x: p.max(x, axis=1) ** 2,
    "min": lambda p, x: p.min(x) ** 2,
    "std": lambda p, x: p.std(x, axis=0, ddof=1),
    "var": lambda p, x: p.var(x),
    "dot": lambda p, x: p.dot(x, x.T),
    "reshape": lambda p, x: p.reshape(x, (3, 2)) ** 2,
    "ravel": lambda p, x: p.ravel(x) ** 2,
    "transpose": lambda p, x: p.transpose(x) ** 2,
    "squeeze": lambda p, x: p.squeeze(x[None]) ** 2,
    "swapaxes": lambda p, x: p.swapaxes(x, 0, 1) ** 2,
    "clip": lambda p, x: p.clip(x, 0.5, 1.5) ** 2,
    "repeat": lambda p, x: p.repeat(x, 2, axis=0) ** 2,
    "take": lambda p, x: p.take(x, [0, 2], axis=1) ** 2,
    "diagonal": lambda p, x: p.diagonal(x) ** 2,
    "trace": lambda p, x: p.trace(x * x),
    "copy": lambda p, x: p.copy(x) ** 2,
    "argmax": lambda p, x: x[0, int(p.argmax(x[0]))] ** 2,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_cupy_has_the_gradient_of_its_differences(name):
    f = FUNCTIONS[name]
    slope = gradient(lambda x: np.sum(f(cupy, x)), X)
    for k in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[k] = 1e-5
        rise = np.sum(f(np, X + step)) - np.sum(f(np, X - step))
        np.testing.assert_allclose(slope[k], rise / 2e-5, rtol=1e-7, atol=1e-9)


def test_what_cannot_be_honoured_raises():
    for f in (
        lambda x: cupy.exp(x, x),
        lambda x: cupy.exp(x, dtype="f"),
        lambda x: cupy.heaviside(x, x),
        lambda x: cupy.ElementwiseKernel("T x", "T y", "y = x", "mine")(x),
        lambda x: cupy.sort(x),
        lambda x: cupy.cumsum(x),
    ):
        with pytest.raises(TypeError):
            gradient(lambda x, f=f: np.sum(f(x)), X)
