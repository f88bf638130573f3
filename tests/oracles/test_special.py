"""Special functions: against mpmath over their range, through SciPy's own, and on torch."""

from __future__ import annotations

import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
import scipy.special
import torch
from mpmath import mpf

import gradlab as gl
from gradlab import autodiff

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_autodiff_special import (
    BY_SCIPY,
    PAIRS_BY_SCIPY,
    PORTABLE,
    PORTABLE_PAIRS,
    SHAPED,
    along,
    check,
    samples,
    special,
    values,
)

UNARY = {name: interval for name, (interval, _) in PORTABLE.items()} | BY_SCIPY
PAIRS = {name: interval for name, (interval, _) in PORTABLE_PAIRS.items()} | PAIRS_BY_SCIPY

WIDE = (-40.0, -12.5, -5.0, -0.3, 0.001, 0.7, 5.0, 12.5, 40.0)
POSITIVE = (1e-3, 0.1, 1.0, 2.5, 30.0, 150.0)
UNIT = (1e-10, 0.01, 0.3, 0.5001, 0.9, 0.999)
ROOT = mpmath.sqrt(2)
DEFINITIONS = {
    "erf": (mpmath.erf, WIDE),
    "erfc": (mpmath.erfc, WIDE),
    "erfcx": (
        lambda x: mpmath.exp(x * x) * mpmath.erfc(x),
        (-12.5, -0.3, 0.7, 1.99, 2.01, 40, 1e7),
    ),
    "erfinv": (mpmath.erfinv, (-0.99, -0.3, 1e-8, 0.5, 0.9999)),
    "expit": (lambda x: 1 / (1 + mpmath.exp(-x)), WIDE),
    "logit": (lambda x: mpmath.log(x) - mpmath.log1p(-x), UNIT),
    "log_expit": (lambda x: -mpmath.log1p(mpmath.exp(-x)), WIDE),
    "ndtr": (lambda x: mpmath.erfc(-x / ROOT) / 2, (*WIDE[1:-1], -30.0)),
    "log_ndtr": (
        lambda x: (
            mpmath.log(mpmath.erfc(-x / ROOT) / 2)
            if x < 0
            else mpmath.log1p(-mpmath.erfc(x / ROOT) / 2)
        ),
        (-1e6, *WIDE[:-1], 30.0),
    ),
    "ndtri": (lambda p: ROOT * mpmath.erfinv(2 * p - 1), UNIT),
    "gammaln": (lambda x: mpmath.log(abs(mpmath.gamma(x))), (-2.5, *POSITIVE)),
    "gamma": (mpmath.gamma, (-2.5, *POSITIVE)),
    "digamma": (mpmath.digamma, (-2.5, *POSITIVE)),
    "i0": (lambda x: mpmath.besseli(0, x), WIDE),
    "i1": (lambda x: mpmath.besseli(1, x), WIDE),
    "i0e": (
        lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x),
        (-40, -9.9, 0.001, 0.7, 10.1, 29.9, 1e6),
    ),
    "i1e": (
        lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x),
        (-40, -9.9, 0.001, 0.7, 10.1, 29.9, 1e6),
    ),
    "entr": (lambda x: -x * mpmath.log(x), (*UNIT, 2.0, 1e5)),
    "sinc": (mpmath.sincpi, (-12.3, -0.7, 1e-6, 0.3, 0.63, 0.64, 0.95, 0.96, 5.1)),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_values_first_and_second_derivatives_against_mpmath(name):
    definition, points = DEFINITIONS[name]
    x = np.asarray(points, dtype=np.float64)
    with mpmath.workdps(800 if name in ("ndtr", "log_ndtr", "expit") else 150):
        truth = [
            [float(definition(mpf(float(p))))]
            + [float(mpmath.diff(definition, mpf(float(p)), k, h=mpf(10) ** -40)) for k in (1, 2)]
            for p in points
        ]
    got = np.stack([values(name, x), *along(special(name), x)], axis=1)
    np.testing.assert_allclose(got, truth, rtol=3e-12)


@pytest.mark.parametrize("name", UNARY)
def test_scipys_function_of_a_traced_array(name):
    f, x = getattr(scipy.special, name), samples((2, 3), UNARY[name])
    check(f, lambda x: np.asarray(f(x)), x)


@pytest.mark.parametrize("name", PAIRS)
def test_scipys_function_of_two_arrays(name):
    f, a, b = getattr(scipy.special, name), *(samples(3, PAIRS[name], k) for k in range(2))
    check(lambda x: f(x, x * x), lambda x: f(x, x * x), a)
    check(lambda x: f(1.5, x), lambda x: f(1.5, x), b)


@pytest.mark.parametrize("name", [*SHAPED, "chdtr", "chdtrc"])
def test_scipys_distributions_in_their_argument(name):
    f = getattr(scipy.special, name)
    check(lambda x: f(2.5, x), lambda x: f(2.5, x), samples(3, (0.4, 3)))


def test_what_scipy_has_and_gradlab_not_raises():
    with pytest.raises(TypeError, match="cut a traced array off"):
        autodiff.gradient(scipy.special.zetac, np.asarray(2.5))


@pytest.mark.parametrize("name", UNARY)
def test_the_same_numbers_on_torch(name):
    f, x = special(name), samples((2, 3), UNARY[name])
    t = torch.asarray(x)

    def loss(x):
        y = f(x)
        return x.__array_namespace__().sum(y * y)

    for got, expected in (
        (autodiff.gradient(loss, t), autodiff.gradient(loss, x)),
        (autodiff.hvp(loss, t, t), autodiff.hvp(loss, x, x)),
    ):
        # not closer: torch's polygamma(1, x) is right to 9 digits
        np.testing.assert_allclose(gl.to_numpy(got), expected, 1e-8, 1e-11)
