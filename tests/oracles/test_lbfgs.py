"""L-BFGS beside SciPy's L-BFGS-B: the same minimum, at a like cost."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

import gradlab as gl


def rosenbrock(x):
    a, b = x[:-1], x[1:]
    return gl.namespace(x).sum((1 - a) ** 2 + 100 * (b - a**2) ** 2)


def beale(x):
    a, b = x[0], x[1]
    return (1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2


def booth(x):
    return (x[0] + 2 * x[1] - 7) ** 2 + (2 * x[0] + x[1] - 5) ** 2


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


PROBLEMS = {  # f, the usual start, half the side of the square of other starts
    "rosenbrock": (rosenbrock, [-1.2, 1.0], 2.0),
    "beale": (beale, [1.0, 1.0], 1.0),
    "booth": (booth, [0.0, 0.0], 5.0),
    "himmelblau": (himmelblau, [0.0, 0.0], 5.0),
    "rosenbrock of 100": (rosenbrock, [-1.2, 1.0] * 50, 2.0),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_minimum_is_scipys_at_most_at_twice_the_evaluations(name):
    f, usual, side = PROBLEMS[name]
    rng = np.random.default_rng(0)
    others = rng.uniform(-side, side, (8 // len(usual) + 1, len(usual)))
    for start in [np.asarray(usual), *others]:
        ours = gl.lbfgs(f, start, gtol=1e-6)
        theirs = minimize(
            lambda x: gl.value_and_grad(f)(x),
            start,
            jac=True,
            method="L-BFGS-B",
            options={"gtol": 1e-6, "ftol": 0.0, "maxcor": 10, "maxiter": 2000, "maxfun": 5000},
        )
        assert ours.success
        assert theirs.success
        np.testing.assert_allclose(ours.x, theirs.x, atol=1e-5)
        np.testing.assert_allclose(ours.fun, theirs.fun, atol=1e-11)
        assert ours.nfev <= 2 * theirs.nfev
