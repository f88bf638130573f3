"""What the standard asks of a namespace and its arrays, beside the numbers; see conformance/."""

from __future__ import annotations

import inspect

import array_api_compat.numpy as anp
import array_api_strict
import numpy as np
import pytest

from gradlab.autodiff import gradient, stop_gradient
from gradlab.autodiff.namespace import traced_namespace

xp = traced_namespace(anp)


def has_signature(function):
    """Whether a function tells its parameters; ufuncs of older NumPys do not."""
    try:
        return inspect.isfunction(function) and bool(inspect.signature(function))
    except ValueError:
        return False


FUNCTIONS = [name for name in dir(array_api_strict) if has_signature(getattr(xp, name, None))]


def parameters(function):
    """Kinds of the parameters that are given by name, or by position or name."""
    kinds = {p.name: p.kind for p in inspect.signature(function).parameters.values()}
    return {name: kind for name, kind in kinds.items() if kind in (1, 3)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_name_what_those_of_array_api_strict_name(name):
    ours = parameters(getattr(xp, name))
    for parameter, kind in parameters(getattr(array_api_strict, name)).items():
        assert ours[parameter] in (1, kind)


def test_several_arrays_are_given_as_a_tuple():
    x = xp.asarray([1.0, 2.0])
    for made in (xp.meshgrid(x, x), xp.broadcast_arrays(x, x), xp.unstack(x)):
        assert type(made) is tuple


def test_constants_are_exchanged_by_dlpack():
    constant = xp.asarray([1.0, 2.0])
    got = np.from_dlpack(constant)
    np.testing.assert_array_equal(got, [1.0, 2.0])
    assert constant.__dlpack_device__() == got.__dlpack_device__()
    for source in (got, constant):
        np.testing.assert_array_equal(np.asarray(xp.from_dlpack(source)), [1.0, 2.0])


def test_what_is_exchanged_by_dlpack_shares_no_memory_with_a_node():
    buffer = np.asarray([2.0, 3.0])

    def f(x):
        c = xp.from_dlpack(buffer)
        y = xp.sum(x * c)
        exported = np.from_dlpack(c)
        if exported.flags.writeable:  # as newer NumPys take it in
            exported[:] = 100.0
        buffer[:] = 100.0
        return y

    np.testing.assert_array_equal(gradient(f, np.ones(2)), [2.0, 3.0])
    with pytest.raises(BufferError, match="leave `copy=False` away"):
        xp.from_dlpack(buffer, copy=False)
    with pytest.raises(BufferError, match="leave `copy=False` away"):
        xp.asarray([1.0]).__dlpack__(copy=False)


def test_traced_arrays_are_exchanged_without_their_derivative_only():
    with pytest.raises(TypeError, match=r"xp\.from_dlpack would cut"):
        gradient(lambda x: xp.sum(xp.from_dlpack(x)), np.ones(2))
    got = gradient(lambda x: xp.sum(x * xp.from_dlpack(stop_gradient(x))), np.ones(2))
    np.testing.assert_array_equal(got, [1.0, 1.0])


def test_vecdot_takes_the_axis_of_each_of_its_arrays_as_libraries_do():
    a, b = np.arange(9.0).reshape(3, 3), np.asarray([1.0, 10.0, 100.0])
    np.testing.assert_array_equal(xp.vecdot(a, b, axis=0), b @ a)
    np.testing.assert_array_equal(xp.vecdot(b, a, axis=0), b @ a)
    np.testing.assert_array_equal(xp.vecdot(a, b), a @ b)


def test_vecdot_keeps_the_dtype_of_integers_and_refuses_vectors_of_two_lengths():
    x = xp.asarray([[100, 2], [3, 4]], dtype=xp.uint8)
    got = xp.vecdot(x, x)
    assert got.dtype == xp.uint8
    np.testing.assert_array_equal(np.asarray(got), np.asarray([10004 % 256, 25]))
    with pytest.raises(ValueError, match="one length along `axis`: got 2 and 1"):
        xp.vecdot(xp.ones((3, 2)), xp.ones((3, 1)))


def test_eigenvalues_of_any_matrix_are_of_constants_only():
    a = np.asarray([[1.0, 2.0], [3.0, 4.0]])
    values, vectors = xp.linalg.eig(a)
    np.testing.assert_allclose(a @ np.asarray(vectors), np.asarray(vectors * values))
    np.testing.assert_array_equal(np.asarray(xp.linalg.eigvals(a)), np.asarray(values))
    for name in ("eig", "eigvals"):
        with pytest.raises(NotImplementedError, match=rf"{name} of a traced array: symmetric"):
            gradient(lambda a, name=name: getattr(xp.linalg, name)(a), a)
