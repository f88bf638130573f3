"""What could be wrong without a word, a value or a derivative: it is right, or it raises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradlab import autodiff
from gradlab.autodiff import AliasError, grad, gradient, hessian


def ns(x):
    return x.__array_namespace__()


def total(x):
    return ns(x).sum(x)


def complex_step(f, x, v):
    """Derivatives of f's elements along v, exact but for rounding."""
    return np.ravel(np.imag(f(x + 1e-30j * v)) / 1e-30)


# --- second derivatives at special points

SECOND = {
    "norm beside a zero": (
        lambda xp, x: xp.linalg.vector_norm(x),
        [3.0, 0.0],
        [[0, 0], [0, 1 / 3]],
    ),
    "norm of order 4 at a zero": (
        lambda xp, x: xp.linalg.vector_norm(x, ord=4) ** 4,
        [1.0, 0.0],
        [[12, 0], [0, 0]],
    ),
    "power, mixed, at base 0 and exponent 2": (
        lambda xp, x: x[0] ** x[1],
        [0.0, 2.0],
        [[2, 0], [0, 0]],
    ),
    "power, mixed, at base 2 and exponent 1": (
        lambda xp, x: x[0] ** x[1],
        [2.0, 1.0],
        [[0, 1 + math.log(2)], [1 + math.log(2), 2 * math.log(2) ** 2]],
    ),
}


@pytest.mark.parametrize("what", SECOND)
def test_the_hessian_of_a(what):
    f, x, expected = SECOND[what]
    np.testing.assert_allclose(hessian(lambda x: f(ns(x), x), np.asarray(x)), expected, atol=1e-12)


UNBOUNDED = {
    "norm at 0": (lambda xp, x: xp.linalg.vector_norm(x) ** 2, [0.0, 0.0]),
    "hypot at 0": (lambda xp, x: xp.hypot(x[0], x[1]) ** 2, [0.0, 0.0]),
    "deviation of equals": (lambda xp, x: xp.std(x) ** 2, [1.0, 1.0]),
}


@pytest.mark.parametrize("what", UNBOUNDED)
def test_a_second_derivative_that_grows_without_bounds_is_not_a_number(what):
    f, x = UNBOUNDED[what]
    np.testing.assert_array_equal(gradient(lambda x: f(ns(x), x), np.asarray(x)), [0.0, 0.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.all(np.isnan(hessian(lambda x: f(ns(x), x), np.asarray(x))))


def test_the_mixed_derivative_of_a_power_at_base_0_and_exponent_1_is_infinite():
    with np.errstate(divide="ignore", invalid="ignore"):
        got = hessian(lambda x: x[0] ** x[1], np.asarray([0.0, 1.0]))
    assert got[0, 1] == got[1, 0] == -math.inf


def test_harmless_branches_keep_their_second_derivative():
    f = grad(lambda x: ns(x).sin(x) ** 2, nan_safe=True)  # its inner cotangent is 0 at 0
    assert float(grad(f)(np.asarray(0.0))) == 2.0


K = np.asarray([0, 0, 2])


def assigned(xp, x):
    y = x * 1
    y[K] = x**2
    return xp.sum(y**3)


THIRD = {
    "integer index": lambda xp, x: xp.sum(x[K] ** 4 * x),
    "mask": lambda xp, x: xp.sum(x[x > 0.6] ** 4),
    "sort": lambda xp, x: xp.sum(xp.sort(x) ** 4 * x),
    "assignment": assigned,
    "norm": lambda xp, x: xp.linalg.vector_norm(x),
    "power": lambda xp, x: xp.sum(x ** xp.sin(x)),
    "product": lambda xp, x: xp.prod(x) * xp.std(x),
}


@pytest.mark.parametrize("what", THIRD)
def test_the_third_derivative_of(what):
    """Forward and backward over the second, against differences of it."""
    x, v = np.asarray([0.5, 1.5, 0.7]), np.asarray([1.0, -0.5, 0.3])

    def second(x):
        return autodiff.hvp(lambda x: THIRD[what](ns(x), x), x, v)

    h = 1e-4
    truth = (second(x + h * v) - second(x - h * v)) / (2 * h)
    np.testing.assert_allclose(autodiff.jvp(second, x, v), truth, rtol=1e-5, atol=1e-5)
    pulled = autodiff.vjp(second, x, v)  # third derivatives are symmetric
    np.testing.assert_allclose(pulled, autodiff.jvp(second, x, v), rtol=1e-9, atol=1e-9)


# --- rules at their edges


def test_a_remainder_has_the_derivative_of_its_own_branch():
    b = np.asarray([0.1])  # 1 % 0.1 is 1 - 9 * 0.1, though 1 / 0.1 rounds to 10
    assert gradient(lambda b: total(np.asarray([1.0]) % b), b) == [-9.0]


def test_powers_of_complex_and_negative_numbers():
    got = gradient(lambda x: total(ns(x).real(1j**x)), np.asarray([1.0]))
    np.testing.assert_allclose(got, [-math.pi / 2])  # of cos(pi x / 2)
    assert np.isnan(gradient(lambda x: (-2.0) ** x, np.asarray(3.0)))


def test_a_sum_in_integers_is_a_step():
    got = gradient(lambda x: ns(x).sum(x, dtype=ns(x).int64) * 2.5 + x[0], np.asarray([1.5, 2.5]))
    np.testing.assert_array_equal(got, [1.0, 0.0])


def test_a_variance_without_degrees_of_freedom_is_not_finite():
    with np.errstate(divide="ignore", invalid="ignore"), pytest.warns(RuntimeWarning):
        got = gradient(lambda x: ns(x).var(x, correction=3), np.asarray([1.0, 2.0]))
    assert not np.any(np.isfinite(got))


def test_products_norms_and_contractions_of_nothing():
    x = np.zeros((0, 3))
    for f in (
        lambda xp, x: xp.prod(x),
        lambda xp, x: xp.sum(xp.prod(x, axis=0)),
        lambda xp, x: xp.linalg.vector_norm(x),
        lambda xp, x: xp.sum(xp.tensordot(x, x, axes=((0,), (0,)))),
    ):
        assert gradient(lambda x, f=f: f(ns(x), x), x).shape == (0, 3)


def test_a_flat_concatenation_of_columns():
    got = gradient(lambda x: total(ns(x).concat([x, x * x], axis=None)), np.asarray([[1.0], [2.0]]))
    np.testing.assert_array_equal(got, [[3.0], [5.0]])


def test_indices_along_an_axis_are_broadcast():
    x, k = np.arange(12.0).reshape(3, 4), np.asarray([[0, 2]])
    f = lambda x: total(ns(x).take_along_axis(x, ns(x).asarray(k), axis=1))  # noqa: E731
    value, slope = autodiff.value_and_gradient(f, x)
    assert float(value) == np.sum(np.take_along_axis(x, k, axis=1))
    np.testing.assert_array_equal(slope, np.tile([1.0, 0, 1, 0], (3, 1)))


def test_bounds_that_are_traced_or_not_a_number():
    x = np.asarray([1.0, 2.0])
    got = gradient(lambda x: total(ns(x).clip(np.asarray([1.5, 1.5]), x, None)), x)
    np.testing.assert_array_equal(got, [0.0, 1.0])
    f = lambda x: total(ns(x).clip(x, np.asarray([math.nan, 0.0])))  # noqa: E731
    assert np.isnan(autodiff.value_and_gradient(f, x)[0])


def test_arrays_filled_with_what_is_traced():
    got = gradient(lambda x: total(ns(x).full_like(x, x[0])), np.asarray([1.0, 2.0]))
    np.testing.assert_array_equal(got, [2.0, 0.0])


REFUSED = {
    "linspace": lambda xp, x: total(xp.linspace(x[0], x[1], 3)),
    "arange": lambda xp, x: total(xp.arange(0.0, x[1])),
    "correction": lambda xp, x: xp.std(x, correction=x[0]),
    "np.logaddexp.reduce": lambda xp, x: np.logaddexp.reduce(x),
    "np.modf": lambda xp, x: np.modf(x)[0],
    "out": lambda xp, x: np.add(x, 1.0, out=np.zeros(2)),
    "a third operand": lambda xp, x: xp.add(x, x, x),
    "take without axis": lambda xp, x: total(xp.take(x[None, ...], xp.asarray([0]))),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_lose_an_argument_is_refused(what):
    with pytest.raises(TypeError, match=r"cut a traced array off|cannot take|at most|needs an"):
        gradient(lambda x: REFUSED[what](ns(x), x), np.asarray([1.0, 2.0]))


# --- NumPy's operators and functions on traced arrays

BY_NUMPY = {
    "array * x": (lambda c, x: c * x, [3.0, 4.0]),
    "array ** x": (lambda c, x: c**x, [3 * math.log(3), 16 * math.log(4)]),
    "array @ x": (lambda c, x: c @ x, [3.0, 4.0]),
    "array < x": (lambda c, x: (c < x * 2.5) * x, [0.0, 1.0]),
    "array // x": (lambda c, x: c // x + x, [1.0, 1.0]),
    "scalar - x": (lambda c, x: c[0] - x, [-1.0, -1.0]),
    "scalar == x": (lambda c, x: (np.float64(1.0) == x) * x, [1.0, 0.0]),
    "power": (lambda c, x: np.power(x, 2.0), [2.0, 4.0]),
    "absolute": (lambda c, x: np.absolute(-x), [1.0, 1.0]),
    "arctan2": (lambda c, x: np.arctan2(x, c), [3 / 10, 4 / 20]),
    "maximum": (lambda c, x: np.maximum(x, 1.5), [0.0, 1.0]),
}


@pytest.mark.parametrize("what", BY_NUMPY)
def test_numpy_leaves_it_to_the_traced_array(what):
    f, expected = BY_NUMPY[what]
    c = np.asarray([3.0, 4.0])
    got = gradient(lambda x: ns(x).sum(f(c, x) * 1.0), np.asarray([1.0, 2.0]))
    np.testing.assert_allclose(got, expected)


def test_a_plain_array_does_not_take_in_what_is_traced():
    def f(x):
        buffer = np.zeros(2)
        alias = buffer
        alias += x  # would leave `buffer` as it is
        return ns(x).sum(x * buffer)

    with pytest.raises(TypeError, match="a plain array cannot take in what is traced"):
        gradient(f, np.ones(2))


def test_constants_seen_by_numpy_cannot_be_written_to():
    x = np.asarray([1.0, 2.0])

    def f(x):
        np.asarray(autodiff.stop_gradient(x))[:] = 5.0
        return total(x * x)

    with pytest.raises(ValueError, match="read-only"):
        gradient(f, x)
    np.testing.assert_array_equal(x, [1.0, 2.0])


# --- constants of other dtypes

MASK = np.asarray([True, False, True, True])

MASKED = {
    "columns": lambda x: x[:, MASK] ** 2,
    "columns by values": lambda x: x[:, x[0] > 2.5] ** 2,
    "columns by a list": lambda x: x[:, [True, False, True, True]] ** 2,
    "rows": lambda x: x[x[:, 0] > 3, :] ** 2,
    "a stack's": lambda x: x[None][:, :, MASK] ** 2,
    "of a constant": lambda x: x * np.sum(autodiff.stop_gradient(x)[:, MASK]),
    "compared": lambda x: x * (x[:, MASK] > 6).sum(),
}


def masked_write(x):
    y = x * 1
    y[:, MASK] *= 2
    y[:, MASK] += x[:, MASK] ** 2
    return y


@pytest.mark.parametrize("what", [*MASKED, "written"])
def test_truth_values_beside_slices_choose_and_are_no_indices(what):
    f = (MASKED | {"written": masked_write})[what]
    x = np.arange(1.0, 13).reshape(3, 4)
    expected = f(x) if what != "of a constant" else x * np.sum(x[:, MASK])
    value, slope = autodiff.value_and_gradient(lambda x: np.sum(f(x)), x)
    assert float(value) == np.sum(expected)
    v = np.cos(x)
    truth = sum(complex_step(f, x, v)) if what in {"columns", "a stack's", "written"} else None
    if truth is not None:
        np.testing.assert_allclose(np.sum(slope * v), truth, rtol=1e-13)
    np.testing.assert_allclose(
        autodiff.jvp(lambda x: np.sum(f(x)), x, v), np.sum(slope * v), rtol=1e-13
    )


NARROW = {
    "int8": np.asarray([100, 7, -3], np.int8),
    "uint8": np.asarray([200, 7, 3], np.uint8),
    "int32": np.asarray([100_000, 7, -3], np.int32),
    "int64": np.asarray([4_000_000_000, 7, 3]),
    "float16": np.asarray([1.1, 7.3, 3.2], np.float16),
    "float32": np.asarray([1.1, 7.3, 3.2], np.float32),
}
TWO = {
    name: getattr(np, name)
    for name in (
        *("arctan2", "copysign", "fmax", "fmod", "hypot", "logaddexp", "logaddexp2", "maximum"),
        *("power", "remainder"),
    )
} | {
    "average": lambda a, b: np.average(a, weights=b * 1),
    "einsum": lambda a, b: np.einsum("i,i,i,i->i", a, a, b, b),
    "interp": lambda a, b: np.interp(b, [-9.0, 9.0], a[:2]),
}


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("name", TWO)
def test_constants_of_narrow_dtypes_lose_nothing_in_derivatives(name, dtype):
    x, c = np.asarray([1.3, 2.6, 0.7]), NARROW[dtype]
    f = TWO[name]
    wide = c.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for got, truth in (
            (lambda x: np.sum(f(x, c)), lambda x: np.sum(f(x, wide))),
            (lambda x: np.sum(f(c, x)), lambda x: np.sum(f(wide, x))),
        ):
            np.testing.assert_allclose(gradient(got, x), gradient(truth, x), rtol=1e-12)
            pushed = autodiff.jvp(got, x, x)
            np.testing.assert_allclose(pushed, autodiff.jvp(truth, x, x), rtol=1e-12)
            np.testing.assert_allclose(hessian(got, x), hessian(truth, x), rtol=1e-12)


def test_angles_and_powers_of_whole_numbers_have_their_formulas_derivatives():
    sides = gradient(lambda x: np.sum(np.arctan2(x, np.asarray([100_000], np.int32))), np.ones(1))
    np.testing.assert_allclose(sides, 1e5 / (1 + 1e10), rtol=1e-14)
    got = gradient(lambda x: np.sum(np.asarray([200, 3], np.uint8) ** x), np.asarray(2.0))
    np.testing.assert_allclose(got, 40_000 * math.log(200) + 9 * math.log(3), rtol=1e-14)
    got = gradient(lambda x: np.sum(x ** np.asarray([-128], np.int8)), np.asarray([1.01]))
    np.testing.assert_allclose(got, -128 * 1.01**-129.0, rtol=1e-12)


def test_a_bound_that_is_traced_makes_whole_numbers_floating_as_numpy_does():
    whole = np.asarray([0, 5, 2])
    value, slope = autodiff.value_and_gradient(
        lambda x: np.sum(np.clip(whole, 0, x)), np.asarray(3.5)
    )
    assert (float(value), float(slope)) == (5.5, 1.0)
    slope = gradient(lambda x: np.clip(0.7, x - 1, x), np.asarray(0.35))
    assert float(slope) == 1.0
    with pytest.raises(TypeError, match="cut the traced bound `max` off"):
        gradient(lambda x: total(ns(x).clip(whole, 0, x)), np.asarray(3.5))


def test_a_deviation_of_equals_has_gradient_zero_where_their_mean_rounds():
    for x in (np.full(3, 0.1), np.full(1000, 0.1, np.float32), np.full((3, 7), 0.1)):
        got = gradient(lambda x: np.sum(np.std(x, axis=-1)) + np.std(x), x)
        np.testing.assert_array_equal(got, np.zeros_like(x))
    near = np.asarray([0.1, 0.1, np.nextafter(0.1, 1)])  # of (0, 0, 1), whatever the scale is
    np.testing.assert_allclose(gradient(np.std, near), [-(2**-0.5) / 3] * 2 + [2**0.5 / 3])
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.all(np.isnan(hessian(np.std, np.full(3, 0.1))))


# --- memory: what is kept, what is shared, whose it is

BUFFERS = {
    "a view of it": lambda x, b: x * ns(x).reshape(b, (2,)),
    "a cast of it": lambda x, b: x * ns(x).astype(b, b.dtype, copy=False),
    "an argument of a checkpoint": lambda x, b: autodiff.checkpoint(lambda a, b: a * b)(x, b),
    "an argument of a custom rule": lambda x, b: autodiff.custom_vjp(
        lambda a, b: a * b, lambda a, b: (a * b, b), lambda b, g: (g * b, None)
    )(x, b),
}


@pytest.mark.parametrize("what", BUFFERS)
def test_a_buffer_refilled_afterwards_was_kept_as_it_was(what):
    def f(x):
        buffer = np.asarray([2.0, 3.0])
        y = BUFFERS[what](x, buffer)
        buffer[:] = 100.0
        return total(y)

    np.testing.assert_array_equal(gradient(f, np.ones(2)), [2.0, 3.0])


CHANGED = {
    "axes": (lambda x, k: ns(x).permute_dims(x, k), [1, 0]),
    "where axes come from": (lambda x, k: ns(x).moveaxis(x, k, [0, 1]), [1, 0]),
    "shifts": (lambda x, k: ns(x).roll(x, k, axis=(0, 1)), [0, 1]),
    "an array of shifts": (lambda x, k: np.roll(x, k, axis=(0, 1)), np.asarray([0, 1])),
    "ends of a slice": (
        lambda x, k: x[k[0, ...] : k[1, ...]] @ np.ones((3, 3)),
        np.asarray([0, 2]),
    ),
    "a correction": (lambda x, k: np.var(x, ddof=k[1, ...]) + x, np.asarray([0, 1])),
    "a diagonal": (lambda x, k: ns(x).tril(x, k=k[1, ...]), np.asarray([-1, 0])),
}


@pytest.mark.parametrize("what", CHANGED)
def test_options_that_change_afterwards_were_kept_as_they_were(what):
    f, given = CHANGED[what]
    x, weights = np.arange(9.0).reshape(3, 3), np.cos(np.arange(9.0)).reshape(3, 3)

    def loss(x, *, changes):
        options = given.copy()
        y = f(x, options)
        if changes:
            options[0], options[1] = options[1], options[0]
        return np.sum(y**2 * weights[: y.shape[0]])

    for derivative in (gradient, lambda f, x: autodiff.jvp(f, x, weights)):
        got, truth = (
            derivative(lambda x, changes=changes: loss(x, changes=changes), x)
            for changes in (True, False)
        )
        np.testing.assert_array_equal(got, truth)


def test_a_view_written_back_is_a_view_no_longer():
    def f(x):
        y = x[None, ...] * ns(x).ones((2, 2))
        row = y[0, ...]
        row += 1
        y[0, ...] = row
        row += 1  # NumPy would show this in y
        return total(y)

    with pytest.raises(AliasError):
        gradient(f, np.asarray([1.0, 2.0]))


@pytest.mark.parametrize("how", ["&=", "|=", "^=", "//=", "<<=", ">>="])
def test_in_place_operators_are_seen_by_every_name(how):
    def f(xp, x):
        a = xp.astype(x, xp.float64, copy=True) if how == "//=" else xp.asarray([5, 6])
        b = a
        if how == "&=":
            b &= 4
        elif how == "|=":
            b |= 8
        elif how == "^=":
            b ^= 1
        elif how == "//=":
            b //= 2.0
        elif how == "<<=":
            b <<= 1
        else:
            b >>= 1
        return xp.sum(a * 1.0) + 0 * xp.sum(x)

    import array_api_compat.numpy as anp  # noqa: PLC0415

    x = np.asarray([5.0, 8.0])
    value, slope = autodiff.value_and_gradient(lambda x: f(ns(x), x), x)
    assert float(value) == float(f(anp, x))
    np.testing.assert_array_equal(slope, [0.0, 0.0])


def test_nested_gradients_share_nothing():
    def f(x):
        a, b = grad(lambda a, b: total(a + b) * x[0], argnums=(0, 1))(x, x)
        a += 1
        return total(b)

    value, slope = autodiff.value_and_gradient(f, np.asarray([1.0, 2.0]))
    assert float(value) == 2.0
    np.testing.assert_array_equal(slope, [2.0, 0.0])


def test_an_argument_is_not_named_twice():
    with pytest.raises(ValueError, match=r"`argnums` \(0, -1\) names an argument twice"):
        grad(lambda a: a, argnums=(0, -1))(1.0)


def test_a_checkpoint_may_leave_arguments_unused():
    x = np.ones(2)
    f = autodiff.checkpoint(lambda a, b: a * 2)
    da, db = grad(lambda a, b: total(f(a, b)), argnums=(0, 1))(x, x)
    np.testing.assert_array_equal(da, [2.0, 2.0])
    np.testing.assert_array_equal(db, [0.0, 0.0])
    constant = autodiff.checkpoint(lambda a: ns(a).ones(2))
    np.testing.assert_array_equal(gradient(lambda x: total(constant(x)), x), [0.0, 0.0])


def test_a_checkpoint_notices_that_it_was_computed_on_something_else():
    def f(x):
        buffer = np.asarray([2.0, math.inf])
        y = autodiff.checkpoint(lambda a: a * a * buffer)(x)
        buffer[0] = 100.0
        return y[0]

    with pytest.raises(ValueError, match="gave another result when it was computed again"):
        gradient(f, np.ones(2))


def test_functions_may_write_to_their_arguments_at_every_depth():
    def piece(a, b):
        a *= 2.0
        b += 1.0
        return total(a * a * b)

    x, b = np.asarray([1.0, 2.0]), np.asarray([3.0, 4.0])
    expected = np.diag(8 * (b + 1))
    np.testing.assert_allclose(hessian(lambda x: piece(x, ns(x).asarray(b)), x), expected)

    def outer(b):  # the inner gradient is 8 x (b + 1); what it writes to b stays inside
        return total(grad(piece)(x, b) * b)

    value, slope = autodiff.value_and_gradient(outer, b)
    assert float(value) == np.sum(8 * x * (b + 1) * b)
    np.testing.assert_allclose(slope, 8 * x * (2 * b + 1))
    np.testing.assert_array_equal(b, [3.0, 4.0])


def written_whole(y):
    y *= 2.0
    return total(y)


def written_in_part(y):
    y[0] = 3 * y[1]
    return total(y)


def written_by_a_view(y):
    part = y[:2]
    part *= 3.0
    return total(part)


WRITING = {"whole": written_whole, "in part": written_in_part, "by a view": written_by_a_view}


@pytest.mark.parametrize("what", WRITING)
def test_a_checkpoint_that_writes_to_its_argument_says_so(what):
    f = autodiff.checkpoint(lambda y, c: WRITING[what](y) * total(c))
    with pytest.raises(ValueError, match="writes to its argument 0, which its caller"):
        gradient(lambda x: f(x * 1, x), np.ones(3))
    f = autodiff.checkpoint(lambda y, c: total(y) * WRITING[what](c))
    with pytest.raises(ValueError, match="writes to its argument 1, which its caller"):
        gradient(lambda x: f(x, np.ones(3)), np.ones(3))


def cube(fwd=lambda x: (x**3, x), bwd=lambda x, g: (3 * x**2 * g,)):
    return autodiff.custom_vjp(lambda x: x**3, fwd, bwd)


def cubed_in_place(x):
    x **= 3
    return x, None


HANDED_ON = {
    "a checkpoint": autodiff.checkpoint(lambda a: a),
    "a checkpoint's view": autodiff.checkpoint(lambda a: a[::-1]),
    "a custom rule": autodiff.custom_vjp(lambda a: a, lambda a: (a, None), lambda _, g: (g,)),
}


@pytest.mark.parametrize("what", HANDED_ON)
def test_what_hands_on_its_argument_shares_memory_with_it(what):
    def f(x, *, writes):
        y = x * 1
        z = HANDED_ON[what](y)
        if writes:
            z += 1  # NumPy would show this in y
        return total(y * z)

    x = np.asarray([1.0, 2.0])
    truth = [4.0, 2.0] if "view" in what else [2.0, 4.0]
    np.testing.assert_array_equal(gradient(lambda x: f(x, writes=False), x), truth)
    with pytest.raises(AliasError):
        gradient(lambda x: f(x, writes=True), x)


def test_a_custom_rule_cannot_write_to_what_others_hold():
    x = np.asarray([1.0, 2.0])
    f = cube(fwd=cubed_in_place)
    with pytest.raises(ValueError, match="read-only"):
        gradient(lambda x: total(f(x)), x)
    with pytest.raises(ValueError, match="writes to its argument 0"):
        gradient(lambda x: total(x * gradient(lambda y: total(f(x * y)), x)), x)
    np.testing.assert_array_equal(x, [1.0, 2.0])

    def bwd(saved, g):
        g *= 2.0
        return (g,)

    f = cube(bwd=bwd)
    with pytest.raises(ValueError, match="read-only"):
        gradient(lambda x: total(f(x) + x), x)


def test_a_custom_rule_keeps_and_hands_out_copies():
    slope, buffer = np.asarray([10.0, 20.0]), np.zeros(2)

    def fwd(x):
        buffer[:] = x
        return buffer, slope

    f = cube(fwd=fwd, bwd=lambda saved, g: (saved,))

    def loss(x):
        y = f(x)
        buffer[:] = 100.0
        return total(y * 2.0)

    value, got = autodiff.value_and_gradient(loss, np.asarray([1.0, 2.0]))
    assert float(value) == 6.0
    got += 1.0
    np.testing.assert_array_equal(slope, [10.0, 20.0])


def test_a_custom_rule_on_what_other_libraries_hold_gets_copies():
    strict = pytest.importorskip("array_api_strict")
    x = strict.asarray([1.0, 2.0])
    got = gradient(lambda x: total(cube(fwd=cubed_in_place, bwd=lambda _, g: (g,))(x)), x)
    np.testing.assert_array_equal(np.asarray(got), [1.0, 1.0])
    np.testing.assert_array_equal(np.asarray(x), [1.0, 2.0])


CAPTURING = {
    "fwd": lambda x: cube(fwd=lambda y: (y * x, y)),
    "what fwd saves": lambda x: cube(fwd=lambda y: (y**3, (y, {"x": x}))),
    "bwd": lambda x: cube(bwd=lambda y, g: (g * x,)),
}


@pytest.mark.parametrize("what", CAPTURING)
def test_a_custom_rule_that_uses_another_traced_array_says_so(what):
    x = np.asarray([1.0, 2.0])
    for derivative in (gradient, lambda f, x: autodiff.jvp(f, x, x), hessian):
        with pytest.raises(TypeError, match="not among its arguments"):
            derivative(lambda x: total(CAPTURING[what](x)(x * 2.0)), x)


def test_a_custom_rule_may_use_what_an_outer_trace_differentiates_in():
    def outer(a):
        f = cube(fwd=lambda y: (y**3, (y, a)), bwd=lambda saved, g: (saved[0] * saved[1] * g,))
        return grad(f)(np.asarray(2.0)) * a

    assert float(grad(outer)(np.asarray(5.0))) == 2 * 2.0 * 5.0


# --- transforms


def test_directions_have_the_dtype_of_what_they_are_directions_of():
    x = np.ones(2, dtype="float32")
    assert autodiff.jvp(lambda x: x, x, np.asarray([1, 2])).dtype == x.dtype
    assert autodiff.vjp(lambda x: x, x, np.ones(2)).dtype == x.dtype
    for product in (autodiff.jvp, autodiff.vjp):
        with pytest.raises(TypeError, match="must be real, as"):
            product(lambda x: x, x, np.ones(2) * 1j)


def test_a_direction_is_matched_by_name():
    x = {"a": np.ones(2), "b": np.ones(2)}
    v = {"b": np.full(2, 5.0), "a": np.full(2, 3.0)}
    got = autodiff.hvp(lambda p: total(p["a"] * p["b"]), x, v)
    np.testing.assert_array_equal(got["a"], v["b"])
    np.testing.assert_array_equal(got["b"], v["a"])
    with pytest.raises(ValueError, match="must be built like `x`"):
        autodiff.jvp(lambda p: p["a"], {"a": np.ones(2)}, {"b": np.ones(2)})


def test_a_jacobian_is_of_real_numbers_and_may_be_complex():
    got = autodiff.jacobian(lambda x: x[:1] * (1 + 2j), np.asarray([1.0, 2.0]))
    np.testing.assert_array_equal(got, [[1 + 2j, 0]])
    for verb in (autodiff.jacobian, autodiff.hessian):
        with pytest.raises(TypeError, match="must be real: got complex128"):
            verb(lambda z: ns(z).sum(ns(z).abs(z)), np.ones(2) * 1j)


# --- beside a singularity

STEEP = {
    "asin": lambda xp, x: 1 / xp.sqrt((2 + x) * -x),
    "acos": lambda xp, x: -1 / xp.sqrt((2 + x) * -x),
    "atanh": lambda xp, x: 1 / ((2 + x) * -x),
}


@pytest.mark.parametrize("name", STEEP)
def test_a_slope_that_grows_without_bounds_keeps_its_digits(name):
    below = np.asarray([-(2.0**-30), -(2.0**-45)])  # exact, and 1 + below is, too
    truth = STEEP[name](np, below)
    for sign in (1.0, -1.0):
        got = gradient(lambda x: total(getattr(ns(x), name)(x)), sign * (1 + below))
        np.testing.assert_allclose(got, truth, rtol=1e-14)


@pytest.mark.parametrize(("name", "curvature"), [("asin", 1.0), ("acos", -1.0), ("atanh", 2.0)])
def test_a_curvature_that_vanishes_keeps_its_digits(name, curvature):
    x = np.asarray(1e-20)
    got = hessian(lambda x: getattr(ns(x), name)(x), x)
    np.testing.assert_allclose(got, curvature * x, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_angles_of_what_is_small_or_large_keep_the_digits_of_their_slopes(dtype):
    tiny, eps = np.finfo(dtype).tiny, np.finfo(dtype).eps
    for scale in (tiny * 100, math.sqrt(tiny), 1.0, 1 / math.sqrt(tiny)):
        x = np.asarray([3 * scale, 4 * scale], dtype)
        got = gradient(lambda x: ns(x).atan2(x[0], x[1]), x)
        expected = np.asarray([4 / 25, -3 / 25]) / scale
        np.testing.assert_allclose(got, expected, rtol=8 * eps)


def test_the_value_is_no_array_of_the_callers():
    x = np.asarray(2.0)
    value, slope = autodiff.value_and_grad(lambda x: x)(x)
    assert not np.shares_memory(value, x)
    assert (float(value), float(slope)) == (2.0, 1.0)
