"""Properties of the rules over random shapes, axes, broadcasts, dtypes, and tied values."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradlab import autodiff

SMOOTH = {
    "acosh": (1.3, 3), "asin": (-0.8, 0.8), "asinh": (-2, 2), "atan": (-2, 2),
    "atanh": (-0.8, 0.8), "cos": (-3, 3), "cosh": (-2, 2), "exp": (-2, 2), "expm1": (-2, 2),
    "log": (0.3, 3), "log10": (0.3, 3), "log1p": (-0.6, 3), "log2": (0.3, 3), "negative": (-2, 2),
    "reciprocal": (0.5, 3), "sin": (-3, 3), "sinh": (-2, 2), "sqrt": (0.3, 3), "square": (-2, 2),
    "tan": (-1, 1), "tanh": (-2, 2), "acos": (-0.8, 0.8),
}  # fmt: skip
OPERATIONS = {
    "add": (-2, 2), "atan2": (0.3, 2), "divide": (0.5, 2), "hypot": (0.3, 2),
    "logaddexp": (-2, 2), "multiply": (-2, 2), "pow": (0.4, 2), "subtract": (-2, 2),
}  # fmt: skip
REDUCTIONS = ("mean", "prod", "std", "sum", "var")
SCANS = ("cumulative_sum", "cumulative_prod")

shapes = hnp.array_shapes(min_dims=1, max_dims=3, max_side=3)
dtypes = st.sampled_from(["float64", "float32"])


def numbers(data, shape, interval, dtype):
    seed = data.draw(st.integers(0, 10**6))
    return np.random.default_rng(seed).uniform(*interval, shape).astype(dtype)


def complex_step(f, x, v):
    """Derivative along v without a difference: exact to rounding for what is analytic."""
    return np.imag(f(x.astype(complex) + 1e-30j * v)) / 1e-30


def ns(x):
    return x.__array_namespace__()


def check(f, plain, x, v, u):
    """Forward mode against the complex step, backward mode against forward, in x's dtype."""
    truth = complex_step(plain, x.astype("float64"), v.astype("float64"))
    pushed, pulled = autodiff.jvp(f, x, v), autodiff.vjp(f, x, u)
    assert (pushed.dtype, pulled.dtype) == (x.dtype, x.dtype)
    assert (pushed.shape, pulled.shape) == (truth.shape, x.shape)
    rtol = 1e-10 if x.dtype == np.float64 else 2e-3
    scale = 1 + np.max(np.abs(truth), initial=0)
    np.testing.assert_allclose(pushed, truth, atol=rtol * scale)
    left = np.sum(pulled.astype(float) * v)
    right = np.sum(u.astype(float) * truth)
    np.testing.assert_allclose(left, right, atol=rtol * scale * max(1, truth.size))


@settings(max_examples=60)
@given(st.data(), st.sampled_from(sorted(SMOOTH)), shapes, dtypes)
def test_functions_of_one_array(data, name, shape, dtype):
    x = numbers(data, shape, SMOOTH[name], dtype)
    v, u = (numbers(data, shape, (-1, 1), dtype) for _ in range(2))
    check(lambda x: getattr(ns(x), name)(x), getattr(np, name), x, v, u)


@settings(max_examples=60)
@given(
    st.data(),
    st.sampled_from(sorted(OPERATIONS)),
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3),
    dtypes,
)
def test_functions_of_two_arrays_that_broadcast(data, name, both, dtype):
    a, b = (numbers(data, s, OPERATIONS[name], dtype) for s in both.input_shapes)
    plain = {
        "pow": lambda a, b: np.exp(b * np.log(a)),
        "atan2": lambda a, b: np.arctan(a / b),
        "hypot": lambda a, b: np.sqrt(a * a + b * b),
        "logaddexp": lambda a, b: np.log(np.exp(a) + np.exp(b)),
    }.get(name) or getattr(np, name)
    u = numbers(data, both.result_shape, (-1, 1), dtype)
    va, vb = (numbers(data, s, (-1, 1), dtype) for s in both.input_shapes)
    check(lambda x: getattr(ns(x), name)(x, ns(x).asarray(b)), lambda x: plain(x, b), a, va, u)
    check(lambda x: getattr(ns(x), name)(ns(x).asarray(a), x), lambda x: plain(a, x), b, vb, u)


@settings(max_examples=60)
@given(st.data(), st.sampled_from(REDUCTIONS), shapes, st.booleans(), dtypes)
def test_reductions_over_any_axes(data, name, shape, keepdims, dtype):
    axis = data.draw(st.none() | hnp.valid_tuple_axes(len(shape), min_size=1))
    x = numbers(data, shape, (-2, 2), dtype)
    count = math.prod(shape if axis is None else [shape[k] for k in axis])
    options = {"axis": axis, "keepdims": keepdims}
    if name == "std" and count == 1:
        return  # 0, where its derivative is 0 by convention: no truth by analysis

    def variance(z):
        return np.mean((z - np.mean(z, axis=axis, keepdims=True)) ** 2, **options)

    plain = {"var": variance, "std": lambda z: np.sqrt(variance(z))}.get(name) or (
        lambda z: getattr(np, name)(z, **options)
    )
    out = plain(x.astype("float64"))
    if name == "std" and np.min(out) < 0.05:
        return  # too near the kink for float32
    v, u = numbers(data, shape, (-1, 1), dtype), numbers(data, np.shape(out), (-1, 1), dtype)
    check(lambda x: getattr(ns(x), name)(x, **options), plain, x, v, u)


@settings(max_examples=60)
@given(st.data(), st.sampled_from(SCANS), shapes, st.booleans(), dtypes)
def test_scans_along_any_axis_and_products_with_zeros(data, name, shape, initial, dtype):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = data.draw(hnp.arrays(dtype, shape, elements=st.sampled_from([-2.0, 0.0, 0.5, 1.0])))
    v = numbers(data, shape, (-1, 1), dtype)

    def plain(z):
        scanned = (np.cumsum if name == "cumulative_sum" else np.cumprod)(z, axis=axis)
        first = np.zeros_like(np.take(z, [0], axis=axis)) + (name == "cumulative_prod")
        return np.concatenate([first, scanned], axis=axis) if initial else scanned

    u = numbers(data, np.shape(plain(x)), (-1, 1), dtype)
    check(lambda x: getattr(ns(x), name)(x, axis=axis, include_initial=initial), plain, x, v, u)


tied = st.sampled_from([-1.0, 0.0, 1.0, 2.0])


@settings(max_examples=60)
@given(st.data(), st.sampled_from(["max", "min"]), shapes, st.booleans(), dtypes)
def test_tied_extremes_share_equally(data, name, shape, keepdims, dtype):
    axis = data.draw(st.none() | hnp.valid_tuple_axes(len(shape), min_size=1))
    x = data.draw(hnp.arrays(dtype, shape, elements=tied))
    extreme = getattr(np, name)(x, axis=axis, keepdims=True)
    u = numbers(data, np.shape(getattr(np, name)(x, axis=axis, keepdims=keepdims)), (-1, 1), dtype)
    ties = x == extreme
    truth = u.reshape(extreme.shape) * ties / ties.sum(axis=axis, keepdims=True)
    got = autodiff.vjp(lambda x: getattr(ns(x), name)(x, axis=axis, keepdims=keepdims), x, u)
    np.testing.assert_allclose(got, truth, rtol=1e-6)
    assert got.dtype == x.dtype


@settings(max_examples=60)
@given(
    st.data(),
    st.sampled_from(["maximum", "minimum"]),
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3),
    dtypes,
)
def test_tied_pairs_share_equally(data, name, both, dtype):
    a, b = (data.draw(hnp.arrays(dtype, s, elements=tied)) for s in both.input_shapes)
    va, vb = (numbers(data, s, (-1, 1), dtype) for s in both.input_shapes)
    chosen = a > b if name == "maximum" else a < b
    truth = np.where(a == b, (va + vb) / 2, np.where(chosen, va, vb))
    f = lambda x: getattr(ns(x[0]), name)(x[0], x[1])  # noqa: E731
    np.testing.assert_allclose(autodiff.jvp(f, (a, b), (va, vb)), truth, rtol=1e-6, atol=1e-7)
    u = numbers(data, both.result_shape, (-1, 1), dtype)
    ga, gb = autodiff.vjp(f, (a, b), u)
    assert (ga.shape, gb.shape) == (a.shape, b.shape)
    np.testing.assert_allclose(np.sum(ga * va) + np.sum(gb * vb), np.sum(u * truth), atol=1e-5)


@settings(max_examples=60)
@given(st.data(), shapes, st.booleans(), dtypes)
def test_sorting_is_a_stable_permutation(data, shape, descending, dtype):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = data.draw(hnp.arrays(dtype, shape, elements=tied))
    v = numbers(data, shape, (-1, 1), dtype)
    order = np.argsort(-x if descending else x, axis=axis, kind="stable")
    got = autodiff.jvp(lambda x: ns(x).sort(x, axis=axis, descending=descending), x, v)
    np.testing.assert_array_equal(got, np.take_along_axis(v, order, axis=axis))


@settings(max_examples=60)
@given(st.data(), shapes, dtypes)
def test_kinks_have_their_conventions(data, shape, dtype):
    x = data.draw(hnp.arrays(dtype, shape, elements=tied))
    v = numbers(data, shape, (-1, 1), dtype)
    for f, slope in (
        (lambda x: ns(x).abs(x), np.sign(x)),
        (lambda x: ns(x).clip(x, 0, 1), (x >= 0) & (x <= 1)),
        (lambda x: ns(x).where(x > 0, x * x, -x), np.where(x > 0, 2 * x, -1)),
        (lambda x: x**0, 0 * x),
        (lambda x: x**2.0, 2 * x),
        (lambda x: ns(x).copysign(x, ns(x).asarray(-x)), -np.ones_like(x)),
    ):
        np.testing.assert_allclose(autodiff.jvp(f, x, v), slope * v, rtol=1e-6)


@settings(max_examples=60)
@given(st.data(), shapes, dtypes)
def test_indexing_adds_where_a_key_repeats(data, shape, dtype):
    x = numbers(data, shape, (-2, 2), dtype)
    key = data.draw(
        hnp.basic_indices(shape, allow_newaxis=True)
        | hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=4))
        | hnp.arrays(bool, shape)
    )
    u = np.asarray(numbers(data, np.shape(x[key]), (-1, 1), dtype))
    truth = np.zeros(shape)
    np.add.at(truth, key, u)
    got = autodiff.vjp(lambda x: x[key], x, u)
    np.testing.assert_allclose(got, truth, atol=1e-5)
    v = numbers(data, shape, (-1, 1), dtype)
    np.testing.assert_array_equal(autodiff.jvp(lambda x: x[key], x, v), v[key])


@settings(max_examples=60)
@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), dtypes)
def test_products_of_stacks_and_vectors(data, n, m, k, dtype):
    batch = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=2))
    left, right = (
        data.draw(st.sampled_from([(m,), (n, m)])),
        data.draw(st.sampled_from([(m,), (m, k)])),
    )
    shape_a = left if len(left) == 1 else (*batch.input_shapes[0], *left)
    shape_b = right if len(right) == 1 else (*batch.input_shapes[1], *right)
    a, b = (numbers(data, s, (-2, 2), dtype) for s in (shape_a, shape_b))
    va, vb = (numbers(data, s, (-1, 1), dtype) for s in (shape_a, shape_b))
    truth = va @ b + a @ vb
    f = lambda x: x[0] @ x[1]  # noqa: E731
    np.testing.assert_allclose(autodiff.jvp(f, (a, b), (va, vb)), truth, atol=1e-4)
    u = np.asarray(numbers(data, np.shape(truth), (-1, 1), dtype))
    ga, gb = autodiff.vjp(f, (a, b), u)
    np.testing.assert_allclose(np.sum(ga * va) + np.sum(gb * vb), np.sum(u * truth), atol=1e-3)
