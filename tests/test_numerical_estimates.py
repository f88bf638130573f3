"""Random estimates of gradients: unbiased, with the variance that theory gives them, seeded."""

from __future__ import annotations

import numpy as np
import pytest

import gradlab as gl
from gradlab.backend.random import Generator
from gradlab.numerical import estimate_gradient

METHODS = ("spsa", "gaussian", "sphere", "coordinate")
G = np.asarray([1.0, -2.0, 0.5, 3.0])


def variance(method, g):
    """Of one sample of a linear function with slope g (the moments of the directions)."""
    n, total = g.size, np.sum(g**2)
    return {
        "spsa": total - g**2,
        "gaussian": total + g**2,
        "sphere": n / (n + 2) * (total + 2 * g**2) - g**2,
        "coordinate": (n - 1) * g**2,
    }[method]


def linear(x):
    return (x * G).sum(axis=-1)


@pytest.mark.parametrize("antithetic", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_mean_and_variance_are_those_of_theory(method, antithetic):
    rng, x, count = Generator(1), np.zeros(4), 20_000
    options = {"method": method, "antithetic": antithetic, "vectorized": True, "seed": rng}
    singles = np.stack([estimate_gradient(linear, x, n_samples=1, **options) for _ in range(800)])
    expected = variance(method, G)
    np.testing.assert_allclose(singles.var(axis=0), expected, rtol=0.3)
    error = np.abs(singles.mean(axis=0) - G)
    assert np.all(error < 4 * np.sqrt(expected / 800) + 1e-6)
    mean = estimate_gradient(linear, x, n_samples=count, **options)
    assert np.all(np.abs(mean - G) < 4 * np.sqrt(expected / count) + 1e-6)


def test_curvature_and_the_value_cancel_where_samples_are_antithetic():
    f = lambda x: 1e3 + 50 * (x**2).sum() + linear(x)  # noqa: E731
    options = {"n_samples": 50, "step": 0.1, "seed": 0}
    both = estimate_gradient(f, np.zeros(4), **options)
    alone = estimate_gradient(f, np.zeros(4), antithetic=False, **options)
    np.testing.assert_allclose(both, estimate_gradient(linear, np.zeros(4), **options), atol=1e-9)
    assert np.max(np.abs(alone - both)) > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_every_backend_draws_the_same(backend, method):
    def f(x):
        xp = gl.namespace(x)
        return xp.sum(x**2 * xp.asarray([1.0, 2.0, 3.0], dtype=x.dtype, device=x.device))

    start = [0.5, -1.0, 2.0]
    got = estimate_gradient(f, gl.asarray(start), method=method, n_samples=7, seed=3)
    truth = estimate_gradient(f, np.asarray(start), method=method, n_samples=7, seed=3)
    tolerance = 1e-6 if backend.dtype == "float64" else 0.1
    np.testing.assert_allclose(gl.to_numpy(got), truth, rtol=tolerance, atol=tolerance)


def test_trees_and_chunks():
    x = {"a": np.asarray([[1.0, 2.0]]), "b": [np.asarray(3.0)]}
    f = lambda p: (p["a"] ** 2).sum() + p["b"][0] ** 3  # noqa: E731
    whole = estimate_gradient(f, x, n_samples=3000, seed=0)
    parts = estimate_gradient(f, x, n_samples=3000, seed=0, chunk_size=7)
    np.testing.assert_allclose(whole["a"], [[2, 4]], atol=2.5)
    np.testing.assert_allclose(whole["b"][0], 27, atol=1.0)
    np.testing.assert_allclose(parts["a"], whole["a"], rtol=1e-9)
    assert (whole["a"].shape, whole["b"][0].shape) == ((1, 2), ())


def test_a_generator_goes_on_and_a_seed_starts_again():
    once = [estimate_gradient(linear, G, n_samples=2, seed=5) for _ in range(2)]
    np.testing.assert_array_equal(once[0], once[1])
    rng = Generator(5)
    twice = [estimate_gradient(linear, G, n_samples=2, seed=rng) for _ in range(2)]
    np.testing.assert_array_equal(twice[0], once[0])
    assert np.any(twice[1] != twice[0])


def test_f_is_called_as_often_as_said_and_its_argument_stays():
    calls, x = [], np.ones(4)

    def f(x):
        calls.append(x.copy())
        x[...] = np.nan
        return 1.0

    estimate_gradient(f, x, n_samples=5, seed=0)
    assert len(calls) == 11
    estimate_gradient(f, x, n_samples=5, seed=0, antithetic=False)
    assert len(calls) == 17
    np.testing.assert_array_equal(x, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "newton"}, "`method` must be one of spsa, gaussian, sphere, coordinate"),
        ({"n_samples": 0}, "`n_samples` must be a positive integer: got 0"),
        ({"step": -1.0}, "`step` must be a positive finite number: got -1.0"),
        ({"step": 1e-30}, "`step` must move every element of `x`"),
        ({"seed": -1}, "`seed` must be a non-negative integer"),
    ],
)
def test_options_that_are_none_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        estimate_gradient(linear, G, **({"n_samples": 1, "seed": 0} | options))


def test_numbers_of_numpy_are_numbers():
    one, two = (
        estimate_gradient(linear, G, n_samples=n, step=step, seed=0)
        for n, step in ((3, 0.5), (np.int64(3), np.float32(0.5)))
    )
    np.testing.assert_array_equal(one, two)


def test_an_array_is_no_scalar():
    with pytest.raises(ValueError, match="`f` must return a scalar"):
        estimate_gradient(np.sin, G, n_samples=1, seed=0)
