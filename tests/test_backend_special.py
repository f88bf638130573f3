"""Special functions come from the library that holds the data, or say why they do not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import gradlab as gl
from gradlab.backend import on_cupy, special_function


class CuPyArray:
    """What is asked of an array of CuPy; its type's module says whose it is."""

    __module__ = "cupy"
    dtype = np.dtype("float32")
    device = SimpleNamespace(id=0)


@pytest.fixture
def arrays(xp):
    return xp.asarray(np.asarray([0.5, 2.0], dtype=np.float32))


def test_the_value_dtype_and_device_on_every_backend(arrays):
    """Truths: erf(1/2), erf(2), log(gamma(1/2)) and log(gamma(2)), of published tables."""
    pytest.importorskip("scipy.special", reason="values are SciPy's")
    for name, truth in (("erf", [0.5204998778, 0.9953222650]), ("gammaln", [0.5723649429, 0])):
        got = special_function(name, arrays)
        assert (got.dtype, got.device) == (arrays.dtype, arrays.device)
        np.testing.assert_allclose(gl.to_numpy(got), truth, rtol=1e-6, atol=1e-7)


def test_what_a_library_lacks_comes_by_the_host(arrays):
    """Truth: beta(1/2, 1/2) is pi, beta(2, 2) is 1/6; torch has no such function."""
    pytest.importorskip("scipy.special", reason="values are SciPy's")
    got = special_function("beta", arrays, arrays)
    assert (got.dtype, got.device) == (arrays.dtype, arrays.device)
    np.testing.assert_allclose(gl.to_numpy(got), [np.pi, 1 / 6], rtol=1e-6)


def test_a_dtype_stays_where_scipy_gives_another():
    pytest.importorskip("scipy.special", reason="values are SciPy's")
    got = special_function("polygamma", 1, np.asarray([1.0], dtype=np.float32))
    np.testing.assert_allclose(got, np.asarray([np.pi**2 / 6], np.float32), 1e-6, strict=True)


def test_cupys_own_functions_are_called_and_data_stay_on_the_gpu(monkeypatch):
    monkeypatch.setattr(on_cupy, "special", lambda: SimpleNamespace(erf=lambda x: ("erf of", x)))
    x = CuPyArray()
    assert special_function("erf", x) == ("erf of", x)
    with pytest.raises(NotImplementedError, match=r"cupy has no special function 'stdtr'.*to_nump"):
        special_function("stdtr", x, x)


def test_cupy_gets_the_order_of_a_function_as_an_array(monkeypatch):
    """It compares the order, and takes what comes of that for an array."""
    monkeypatch.setattr(on_cupy, "from_host", lambda values, device: values)
    monkeypatch.setattr(on_cupy, "special", lambda: SimpleNamespace(polygamma=lambda n, x: n))
    order = special_function("polygamma", 2, CuPyArray())
    np.testing.assert_array_equal(order, np.float32(2), strict=True)


def test_torchs_data_stay_on_their_device():
    torch = pytest.importorskip("torch")
    x = torch.ones(2, device="meta")
    assert special_function("erf", x).device == x.device
    with pytest.raises(NotImplementedError, match="torch has no special function 'beta'"):
        special_function("beta", x, x)
