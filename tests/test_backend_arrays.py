"""Arrays in and out, namespaces, random numbers, the timer."""

from __future__ import annotations

import math
import time

import array_api_compat
import array_api_compat.numpy as anp
import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import gradlab as gl
from gradlab.backend import (
    asarray_like,
    ensure_array,
    extreme,
    fresh,
    is_array,
    mean,
    random,
    row_maxima,
    scatter_add,
    snapshot,
    stack_scalars,
    sum_over,
    sum_over_axes,
    timing,
    total,
)

DEVICE1 = array_api_strict.Device("device1")


def test_what_goes_in_comes_out(xp, assert_close):
    for values, dtype in (([1.5, 2.5], xp.float32), ([[1], [2]], xp.int64), ([True], xp.bool)):
        x = xp.asarray(values, dtype=dtype)
        out = gl.to_numpy(x)
        assert type(out) is np.ndarray
        assert str(out.dtype) in str(x.dtype)
        np.testing.assert_array_equal(out, values)


def test_python_numbers_get_the_default_dtypes(backend):
    xp = gl.namespace()
    assert gl.asarray([1.0, 2]).dtype == getattr(xp, backend.dtype)
    assert gl.asarray(3).dtype == xp.int64
    assert gl.asarray([True, False]).dtype == xp.bool
    wide = xp.complex128 if backend.dtype == "float64" else xp.complex64
    assert gl.asarray([1j]).dtype == wide
    assert gl.asarray([]).shape == (0,)


def test_arrays_come_to_the_selected_device_in_their_own_dtype(backend):
    xp = gl.namespace()
    own = gl.asarray([1.0])
    assert gl.asarray(own) is own
    foreign = array_api_strict.asarray([1.0, 2.0], dtype=array_api_strict.float32, device=DEVICE1)
    for x in (np.asarray([1.0, 2.0], dtype=np.float32), foreign):
        got = gl.asarray(x)
        assert got.dtype == xp.float32
        assert got.device == own.device
        assert gl.to_numpy(got).tolist() == [1.0, 2.0]
    assert gl.asarray(np.float32(2.0)).dtype == xp.float32


def test_a_dtype_is_named_or_the_namespace_s_own(backend):
    xp = gl.namespace()
    assert gl.asarray([1, 2], "float32").dtype == xp.float32
    assert gl.asarray(np.asarray([1.5]), "float32").dtype == xp.float32
    assert gl.asarray([1, 2], xp.int32).dtype == xp.int32
    with pytest.raises(TypeError, match=r"`dtype` must be one of bool, .*: got 'floaty'"):
        gl.asarray([1], "floaty")


@pytest.mark.parametrize(
    "obj",
    ["abc", None, [None], [{}], object(), np.asarray(["a"]), np.asarray([1], object), np.str_("a")],
)
def test_what_holds_no_numbers_is_refused(obj):
    with pytest.raises(TypeError, match="`obj` must hold numbers"):
        gl.asarray(obj)


def test_a_column_with_dtypes_of_its_own_is_what_numpy_makes_of_it():
    class Column:
        dtype = "Float64"  # as data frames call it

        def __array__(self, dtype=None, copy=None):
            return np.asarray([1.0, 2.0], dtype=dtype)

    np.testing.assert_array_equal(gl.to_numpy(gl.asarray(Column())), [1.0, 2.0])


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="regular nested list"):
        gl.asarray([[1.0], [1.0, 2.0]])


def test_lists_and_scalars_come_out_too():
    assert gl.to_numpy([1, 2]).tolist() == [1, 2]
    assert gl.to_numpy(np.float64(1.0)).shape == ()


def test_the_namespace_is_that_of_the_arrays_given(xp):
    x = xp.ones(2)
    found = gl.namespace(x, 2.0, None, x[0])
    assert found is gl.namespace(xp.zeros(1))
    assert found.__name__ == array_api_compat.array_namespace(x).__name__


def test_scalars_of_numpy_belong_to_numpy_and_subclasses_too():
    class Mine(np.ndarray):
        pass

    assert gl.namespace(np.float64(1.0)) is anp
    assert gl.namespace(np.ones(2).view(Mine)) is anp
    assert not is_array(np.float64(1.0))
    assert not is_array([1.0])
    assert is_array(np.ones(2).view(Mine))


def test_an_array_of_cupy_is_one_though_it_names_no_namespace():
    kind = type("ndarray", (), {"__module__": "cupy", "dtype": np.dtype("float64")})
    assert is_array(kind())
    assert not is_array(type("ufunc", (), {"__module__": "cupy._core._kernel"})())


def test_two_libraries_in_one_call_are_named_with_the_cure():
    one, other = np.ones(2), array_api_strict.ones(2)
    with pytest.raises(TypeError, match=r"`argument 0` is of numpy, `argument 2` is of array_api"):
        gl.namespace(one, 1.0, other)
    with pytest.raises(TypeError, match=r"`x` is of numpy, `y` is of .*gradlab.asarray"):
        gl.namespace(one, other, names=("x", "y"))
    with pytest.raises(TypeError, match="expected an array, got list"):
        gl.namespace([1.0])


def test_an_array_of_a_foreign_library_answers_for_itself():
    class Foreign:
        def __array_namespace__(self):
            return anp

    assert gl.namespace(Foreign()) is anp
    assert is_array(Foreign())


def test_host_values_go_to_the_device_of_another_array(xp):
    like = xp.ones(2, dtype=xp.float32)
    got = asarray_like(np.asarray([1, 2]), like)
    assert got.device == like.device
    assert got.dtype == xp.int64


def test_scalars_are_stacked_where_they_are(xp):
    like = xp.ones(1, dtype=xp.float32)
    on_device = stack_scalars([xp.asarray(1.0, dtype=xp.float32), like[0]], like)
    assert (on_device.shape, on_device.device) == ((2,), like.device)
    assert stack_scalars([1, 2.5], like).dtype == xp.float32
    assert gl.to_numpy(stack_scalars([np.float32(1.5)], like)).tolist() == [1.5]


def test_ensure_array_leaves_arrays_alone_and_numpy_s_scalars_to_numpy(backend):
    x = np.ones(2)
    assert ensure_array(x) is x
    assert isinstance(ensure_array(np.float32(1.0)), np.ndarray)
    assert gl.namespace(ensure_array([1.0])) is gl.namespace()


def test_memory_is_copied_where_another_might_write_to_it(xp):
    x = xp.asarray([1.0, 2.0])
    for copy in (snapshot(x), fresh(x[:1])):
        copy[0] = 9.0
    assert gl.to_numpy(x).tolist() == [1.0, 2.0]
    frozen = np.ones(2)
    frozen.flags.writeable = False
    assert snapshot(frozen) is frozen
    assert fresh(frozen).flags.writeable
    assert isinstance(fresh(np.float64(1.0)), np.ndarray)
    own = np.ones(2)
    assert fresh(own) is own


def test_values_are_added_at_repeated_indices(xp):
    values = xp.asarray([1.0, 2.0, 3.0])
    index = xp.asarray([0, 0, 2])
    assert gl.to_numpy(scatter_add(values, index, (3,))).tolist() == [3.0, 0.0, 3.0]
    assert gl.to_numpy(scatter_add(values, (slice(1, 4),), (4,))).tolist() == [0.0, 1.0, 2.0, 3.0]
    turned = xp.asarray([1.0, 2.0, 3.0], dtype=xp.float32) * 1j
    assert gl.to_numpy(scatter_add(turned, index, (3,))).tolist() == [3j, 0j, 3j]
    one = xp.asarray([[5.0, 6.0]])
    assert gl.to_numpy(scatter_add(one, (None, slice(None)), (2,))).tolist() == [5.0, 6.0]


def test_random_numbers_are_pcg64_s_on_every_backend_and_dtype(backend):
    host = np.random.Generator(np.random.PCG64(7))
    rng = random.Generator(7)
    for got, truth in (
        (rng.normal((2, 3), scale=2.0), host.standard_normal((2, 3)) * 2.0),
        (rng.uniform(-1.0, 3.0, 4), host.uniform(-1.0, 3.0, 4)),
        (rng.normal(), host.standard_normal()),
    ):
        assert gl.namespace(got) is gl.namespace()
        np.testing.assert_array_equal(gl.to_numpy(got), np.asarray(truth).astype(backend.dtype))
    like = array_api_strict.ones(1, device=DEVICE1)
    order = rng.permutation(5, like=like)
    assert order.device == DEVICE1
    np.testing.assert_array_equal(gl.to_numpy(order), host.permutation(5))
    np.testing.assert_array_equal(gl.to_numpy(rng.integers(0, 9, 4)), host.integers(0, 9, 4))
    assert rng.normal(dtype="float32").dtype == gl.namespace().float32


def test_a_seed_is_a_whole_number_a_generator_or_fresh():
    drawn = random.Generator()
    assert drawn.seed != random.Generator().seed
    again = random.Generator(drawn.seed)
    assert float(drawn.normal()) == float(again.normal())
    assert random.as_generator(drawn) is drawn
    assert random.as_generator(np.int64(3)).seed == 3
    assert repr(random.Generator(3)) == "Generator(seed=3)"
    for bad in (-1, 1.5, True, "1"):
        with pytest.raises(ValueError, match="`seed` must be a non-negative integer, a Generator"):
            random.Generator(bad)


def test_memory_that_no_array_uses_can_be_given_back(backend):
    gl.backend.free_cached_memory()  # NumPy and array-api-strict hold none
    assert float(gl.asarray(1.0)) == 1.0


def test_the_timer_waits_at_both_ends(monkeypatch, backend):
    waits = []
    monkeypatch.setattr(timing, "synchronize", lambda: waits.append(time.sleep(0.01)))
    with gl.backend.Timer() as timer:
        time.sleep(0.02)
    assert len(waits) == 2
    assert 0.03 <= timer.seconds < 5
    gl.synchronize()


@pytest.mark.parametrize("shape", [(3,), (1, 1), (100, 10), (2, 32), (2, 33), (3, 2, 4)])
def test_the_largest_of_each_row_is_the_maximum(xp, shape):
    values = np.random.default_rng(0).standard_normal(shape).round(1)
    values.flat[0] = -np.inf
    values[..., -1] = np.where(values[..., -1] > 1, np.nan, values[..., -1])
    x = xp.asarray(values.tolist())
    got = row_maxima(x)
    expected = np.max(gl.to_numpy(x), axis=-1, keepdims=True)
    assert (got.dtype, got.device) == (x.dtype, x.device)
    np.testing.assert_array_equal(gl.to_numpy(got), expected)
    if len(shape) == 2:
        turned = xp.asarray(values.T.tolist()).mT  # columns in one piece
        np.testing.assert_array_equal(gl.to_numpy(row_maxima(turned)), expected)


@pytest.mark.parametrize(("shape", "axis"), [((5,), 0), ((3, 4), 0), ((3, 4), -1), ((0, 4), 0)])
def test_a_sum_over_an_axis_is_the_sum(xp, shape, axis):
    values = np.arange(math.prod(shape), dtype=float).reshape(shape)
    x = xp.reshape(xp.asarray(values.ravel().tolist(), dtype=xp.float32), shape)
    got = sum_over(x, axis)
    assert got.dtype == x.dtype
    np.testing.assert_array_equal(gl.to_numpy(got), values.sum(axis=axis))


REDUCED = [
    *(((5,), (0,)), ((3, 4), (0,)), ((3, 4), (1,)), ((3, 4), (0, 1)), ((3, 200), (1,))),
    *(((200, 3), (0,)), ((2, 3, 4), (0,)), ((2, 3, 4), (0, 2)), ((3, 1), (1,))),
]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(("shape", "axes"), REDUCED)
def test_reductions_are_those_of_numpy(xp, shape, axes, keepdims):
    """Sums of whole numbers are exact, in whatever order."""
    values = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    x = xp.reshape(xp.asarray(values.ravel().tolist(), dtype=xp.float32), shape)
    found = [(sum_over_axes(x, axes, keepdims=keepdims), np.sum(values, axes, keepdims=keepdims))]
    for axis in (axes, axes[0], axes[-1] - values.ndim, None):
        options = {"axis": axis, "keepdims": keepdims}
        found += [
            (total(x, **options), np.sum(values, **options)),
            (mean(x, **options), np.mean(values, **options)),
            (extreme("min", x, **options), np.min(values, **options)),
            (extreme("max", x, **options), np.max(values, **options)),
        ]
    for got, expected in found:
        assert got.dtype == x.dtype
        np.testing.assert_array_equal(gl.to_numpy(xp.asarray(got)), expected)


@given(arrays(np.float32, array_shapes(max_dims=3), elements=st.floats(-1e3, 1e3, width=32)))
def test_totals_and_means_are_numpys_to_the_last_bit(x):
    for axis in (None, *range(x.ndim)):
        np.testing.assert_array_equal(total(x, axis), np.sum(x, axis=axis))
        np.testing.assert_array_equal(mean(x, axis), np.mean(x, axis=axis))
    assert total(x > 0).dtype == np.sum(x > 0).dtype
