"""Arrays of kinds that are rarely met: right, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from gradlab import autodiff
from gradlab.autodiff import grad, gradient

X = np.asarray([1.0, 2.0, 3.0])


def ns(x):
    return x.__array_namespace__()


# --- bytes in the other order, as files hold them

SWAPPED = np.asarray([0, 0, 2], ">i8")


def filled(x):
    buffer = ns(x).asarray(np.zeros(3, ">f8"))
    buffer[...] = x**2
    return buffer


ROUND = autodiff.custom_vjp(
    lambda x: x.astype(">f8"), lambda x: (x.astype(">f8"), None), lambda _, g: (10 * g,)
)

BY_BYTES = {
    "a cast": (lambda x: x.astype(">f8") ** 2, [2, 4, 6]),
    "a cast by the namespace": (lambda x: ns(x).astype(x, np.dtype(">f4")) ** 2, [2, 4, 6]),
    "a sum": (lambda x: np.sum(x, dtype=">f8"), [1, 1, 1]),
    "what is filled": (lambda x: np.full_like(x, x[1], dtype=">f8"), [0, 3, 0]),
    "what is written into": (filled, [2, 4, 6]),
    "a custom rule's result": (ROUND, [10, 10, 10]),
    "indices": (lambda x: x[SWAPPED] ** 2, [4, 0, 6]),
}


@pytest.mark.parametrize("what", BY_BYTES)
def test_bytes_in_the_other_order_change_no_derivative_of(what):
    f, expected = BY_BYTES[what]
    np.testing.assert_allclose(gradient(lambda x: np.sum(f(x)), X), expected)
    np.testing.assert_allclose(gradient(lambda x: np.sum(f(x)), X.astype(">f8")), expected)


def test_of_what_is_written_twice_by_swapped_indices_the_last_one_counts():
    def f(x):
        y = x * 0.0
        y[SWAPPED] = x
        return np.sum(y**2)

    np.testing.assert_array_equal(gradient(f, X), [0.0, 4.0, 6.0])


def test_complex_numbers_are_not_written_into_real_ones_of_swapped_bytes():
    def f(x):
        buffer = ns(x).asarray(np.zeros(3, ">f8"))
        buffer[0] = x[0] * 1j
        return np.sum(buffer)

    with pytest.raises(TypeError, match="cannot write complex128 into an array of >f8"):
        gradient(f, X)


# --- what holds no numbers


@pytest.mark.parametrize("dtype", [int, bool, np.int8, np.dtype(">i4")])
def test_casts_to_whole_numbers_by_any_name_are_steps(dtype):
    got = gradient(lambda x: np.sum(ns(x).astype(x, dtype) * x), X)
    np.testing.assert_array_equal(got, X.astype(dtype))


@pytest.mark.parametrize("dtype", ["O", "S5", "datetime64[s]"])
def test_a_cast_to_what_is_no_number_is_refused(dtype):
    for cast in (lambda x: x.astype(dtype), lambda x: ns(x).astype(x, np.dtype(dtype))):
        with pytest.raises(TypeError, match="takes dtypes of numbers"):
            gradient(lambda x, cast=cast: np.sum(x) + (cast(x) == 0).sum(), X)


def test_an_array_of_traced_objects_is_no_result():
    def f(x):
        objects = np.empty(2, dtype=object)
        objects[0], objects[1] = x[0] ** 2, x[1] * x[2]
        return objects

    np.testing.assert_array_equal(gradient(lambda x: f(x).sum(), X), [2.0, 3.0, 2.0])
    for derivative in (autodiff.jacobian, lambda f, x: autodiff.jvp(f, x, x)):
        with pytest.raises(TypeError, match="must return an array of numbers: got object"):
            derivative(f, X)


# --- classes of NumPy with rules of their own


class Tenfold(np.ndarray):
    def __mul__(self, other):
        return 10 * super().__mul__(other)


MASKED = np.ma.MaskedArray(X, mask=[False, True, False])
OWN = {
    "a masked array": MASKED,
    "the masked number": np.ma.masked,
    "a matrix": np.ones((3, 3)).view(np.matrix),
    "a class that multiplies by itself": np.ones(3).view(Tenfold),
}


@pytest.mark.parametrize("what", OWN)
def test_arrays_that_compute_by_rules_of_their_own_are_refused(what):
    c = OWN[what]
    for derivative in (
        lambda: gradient(lambda x: np.sum(x * c), X),
        lambda: gradient(lambda x: np.sum(c * x), X),
        lambda: grad(lambda x, c: np.sum(x * c))(X, c),
        lambda: gradient(lambda c: np.sum(c), c),
        lambda: autodiff.jvp(lambda x: x, np.ones(c.shape), c),
    ):
        with pytest.raises(
            TypeError, match=r"rules of its own: convert it|would cut a traced array off"
        ):
            derivative()


@pytest.mark.parametrize("name", ["exp", "log", "multiply", "where", "dot", "getdata", "array"])
def test_functions_of_masked_arrays_are_refused(name):
    given = {"multiply": (MASKED,), "where": (X > 1, MASKED), "dot": (X,)}.get(name, ())
    with pytest.raises(TypeError, match="would cut a traced array off"):
        gradient(lambda x: np.sum(getattr(np.ma, name)(*given, x)), X)


class Named(np.ndarray):
    """Adds nothing to how its arrays compute."""


def test_arrays_of_a_class_that_computes_as_numpy_does_are_taken(tmp_path):
    mapped = np.memmap(tmp_path / "x", dtype="float64", mode="w+", shape=(3,))
    mapped[:] = X
    for x in (mapped, X.view(Named), X.view(np.recarray)):
        np.testing.assert_array_equal(gradient(lambda a, x=x: np.sum(a * x * a), x), 2 * X**2)
