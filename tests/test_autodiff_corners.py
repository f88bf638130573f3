"""Corners that attacks on the traced array found: each was a wrong number once, or no error."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradlab import autodiff
from gradlab.autodiff import AliasError, grad, gradient


def ns(x):
    return x.__array_namespace__()


def test_what_custom_rules_and_checkpoints_keep_is_not_changed_by_a_refilled_buffer():
    buffer = np.asarray([2.0, 3.0])
    product = autodiff.custom_vjp(
        lambda x, c: x * c, lambda x, c: (x * c, c), lambda c, g: (g * c, None)
    )
    for f in (product, autodiff.checkpoint(lambda x, c: x * c)):

        def loss(x, f=f):
            buffer[...] = [2.0, 3.0]
            y = f(x, buffer)
            buffer[...] = 100.0
            return ns(x).sum(y)

        np.testing.assert_array_equal(gradient(loss, np.ones(2)), [2.0, 3.0])


def test_a_checkpoint_of_what_does_not_depend_on_its_argument_has_gradient_zero():
    f = autodiff.checkpoint(lambda x: ns(x).ones(2))
    np.testing.assert_array_equal(gradient(lambda x: ns(x).sum(f(x)), np.ones(2)), [0.0, 0.0])


def mixed(a, b):
    """Second derivative of a**b in a and b."""
    slope = grad(lambda b, a: grad(lambda a: a**b)(a))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(slope(np.asarray(b), np.asarray(a)))


def test_the_mixed_derivative_of_a_power_is_that_of_its_formula():
    for a, b in ((2.0, 3.0), (0.5, -1.0), (2.0, 0.0)):
        assert mixed(a, b) == pytest.approx(a ** (b - 1) * (1 + b * math.log(a)))
    assert mixed(0.0, 3.0) == 0.0
    assert not math.isfinite(mixed(0.0, 1.0))  # -inf
    assert not math.isfinite(mixed(0.0, 0.5))


def test_clip_keeps_nan_and_its_gradient():
    x = np.asarray([math.nan, 0.5, 3.0])
    value, slope = autodiff.value_and_gradient(lambda x: ns(x).clip(x, 0.0, 1.0)[1], x)
    assert float(value) == 0.5
    np.testing.assert_array_equal(slope, [0.0, 1.0, 0.0])
    assert math.isnan(autodiff.value_and_gradient(lambda x: ns(x).clip(x, 0.0, 1.0)[0], x)[0])


def test_numpy_s_elementwise_functions_are_those_of_the_standard():
    x = np.asarray([0.3, 0.6])
    f = lambda x: ns(x).sum(np.arcsin(x) * np.exp(np.power(x, 2)) + np.absolute(-x))  # noqa: E731
    truth = np.exp(x**2) * (1 / np.sqrt(1 - x**2) + np.arcsin(x) * 2 * x) + 1
    np.testing.assert_allclose(gradient(f, x), truth)
    with pytest.raises(TypeError, match="cannot take in what is traced"):
        gradient(lambda x: np.exp(x, out=np.empty(2)), x)
    with pytest.raises(TypeError, match=r"np.logaddexp.reduce would cut"):
        gradient(np.logaddexp.reduce, x)
    with pytest.raises(TypeError, match=r"np\.heaviside"):
        gradient(lambda x: np.heaviside(x, 2.0), x)


def test_a_filled_array_remembers_what_it_was_filled_with():
    f = lambda x: ns(x).sum(ns(x).full_like(x, x[0]) * x)  # noqa: E731
    np.testing.assert_array_equal(gradient(f, np.asarray([2.0, 3.0])), [2 * 2 + 3, 2.0])


def test_ranges_of_traced_numbers_are_refused():
    with pytest.raises(TypeError, match=r"xp\.linspace would cut"):
        gradient(lambda x: ns(x).sum(ns(x).linspace(x[0], 1.0, 3)), np.ones(1))


def test_a_view_that_was_written_back_is_stale_once_its_base_changes():
    def f(x):
        y = x * 1
        part = y[:1]
        part *= 2.0
        y[:1] = part
        y[0] = 5.0
        return part[0] * x[1]

    with pytest.raises(AliasError):
        gradient(f, np.asarray([1.0, 2.0]))


def test_arrays_of_constants_cannot_be_changed_behind_a_node():
    def f(x):
        c = ns(x).asarray([2.0, 3.0])
        y = ns(x).sum(x * c)
        with pytest.raises(ValueError, match="read-only"):
            np.asarray(c)[0] = 100.0
        return y

    np.testing.assert_array_equal(gradient(f, np.ones(2)), [2.0, 3.0])


@pytest.mark.parametrize("axis", [np.asarray(1), np.int64(1), (np.int64(1),), -1])
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
def test_an_axis_may_be_what_numpy_takes_for_one(name, axis):
    x = np.asarray([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    weights = np.asarray([1.0, 10.0])

    def f(x, axis):
        return ns(x).sum(getattr(ns(x), name)(x, axis=axis) * weights)

    np.testing.assert_array_equal(grad(lambda x: f(x, axis))(x), grad(f)(x, 1))


def test_too_many_arguments_and_a_missing_axis_are_refused():
    with pytest.raises(TypeError, match=r"xp\.roll takes at most 3 arguments: got 4"):
        gradient(lambda x: ns(x).roll(x, 1, 0, 3), np.ones(2))
    with pytest.raises(TypeError, match="2 dimensions needs an `axis`"):
        gradient(lambda x: ns(x).take(x, [0]), np.ones((2, 2)))


@pytest.mark.parametrize("shapes", [((2, 0), (0, 3)), ((0, 2), (2, 3)), ((2, 3), (3, 0))])
def test_products_over_nothing_have_gradients_of_their_shapes(shapes):
    a, b = (np.ones(shape) for shape in shapes)
    f = lambda a: ns(a).sum(ns(a).tensordot(a, b, axes=1)) + ns(a).sum(a * 2)  # noqa: E731
    assert gradient(f, a).shape == a.shape


def test_a_read_only_view_of_a_refilled_buffer_is_copied():
    buffer = np.asarray([2.0, 3.0])

    def f(x):
        y = x * np.broadcast_to(buffer, (2,))
        buffer[...] = 100.0
        return ns(x).sum(y)

    np.testing.assert_array_equal(gradient(f, np.ones(2)), [2.0, 3.0])
