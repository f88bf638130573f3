"""The backends that the tests run on: each selected in turn, its arrays made on its device.

The header of the report says which backends are there, and why others are not and so not tested.
`GRADLAB_TEST_REQUIRE`, a list of names with commas between, makes it a failure where one is not.
"""

from __future__ import annotations

import importlib.util
import os
from functools import partial

import hypothesis
import numpy as np
import pytest

import gradlab as gl

# How long an example takes tells of the machine's other work, not of the code.
hypothesis.settings.register_profile("gradlab", deadline=None)
hypothesis.settings.load_profile("gradlab")

SELECTABLE = {
    "numpy": "numpy",
    "strict": "array_api_strict",
    "strict-device1": "array_api_strict:device1",
    "strict-no_float64": "array_api_strict:no_float64",
    "cupy": "cupy",
}
CREATION = (
    *("arange", "asarray", "empty", "eye", "full", "linspace", "ones", "zeros"),
    *("from_dlpack", "empty_like", "full_like", "ones_like", "zeros_like"),
)
REQUIRED = {name.strip() for name in os.environ.get("GRADLAB_TEST_REQUIRE", "").split(",")} - {""}


class Placed:
    """A namespace whose creation functions make arrays on one device, as a user's code would."""

    def __init__(self, namespace, device):
        self._namespace = namespace
        self._device = device

    def __getattr__(self, name):
        function = getattr(self._namespace, name)
        return partial(function, device=self._device) if name in CREATION else function


def find_missing(name):
    """Why the backend cannot be tested here, or None."""
    if name == "torch":
        return None if importlib.util.find_spec("torch") else "torch is not installed"
    try:
        with gl.use_backend(SELECTABLE[name]):
            return None
    except gl.backend.BackendError as error:
        return str(error)


MISSING = {name: find_missing(name) for name in (*SELECTABLE, "torch")}


PRESENT = [name for name, why in MISSING.items() if why is None or name in REQUIRED]


def pytest_report_header():
    return [f"backend {name}: {why or 'present'}" for name, why in MISSING.items()]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for variable in ("GRADLAB_BACKEND", "GRADLAB_DTYPE"):
        monkeypatch.delenv(variable, raising=False)


def _fail_if_missing(name):
    if MISSING[name] is not None:
        pytest.fail(f"GRADLAB_TEST_REQUIRE names {name}: {MISSING[name]}")


@pytest.fixture(params=[name for name in PRESENT if name in SELECTABLE])
def backend(request):
    """Each backend that can be selected, selected."""
    _fail_if_missing(request.param)
    with gl.use_backend(SELECTABLE[request.param]) as selected:
        yield selected


@pytest.fixture(params=PRESENT)
def xp(request):
    """Each namespace, its arrays on the selected device; torch's while NumPy is selected."""
    _fail_if_missing(request.param)
    if request.param == "torch":
        yield importlib.import_module("array_api_compat.torch")
        return
    with gl.use_backend(SELECTABLE[request.param]):
        yield Placed(gl.namespace(), gl.asarray(0.0).device)


WAITS = ("__bool__", "__float__", "__int__", "__index__", "__complex__", "__array__", "__dlpack__")


@pytest.fixture
def waits(monkeypatch):
    """What made the host wait for array-api-strict's device: a list that grows.

    Counted are conversions of an array to a value of Python or NumPy, and copies to the host by
    gradlab (with what these convert, once). What travels the other way is not.
    """
    strict = pytest.importorskip("array_api_strict")
    found, within = [], []

    def counted(function):
        def call(*args, **options):
            if not within:
                found.append(function.__name__)
            within.append(function)
            try:
                return function(*args, **options)
            finally:
                within.pop()

        return call

    kind = type(strict.asarray(0.0))
    for name in WAITS:
        monkeypatch.setattr(kind, name, counted(getattr(kind, name)))
    monkeypatch.setattr("gradlab.backend.on_strict.to_host", counted(gl.backend.on_strict.to_host))
    return found


@pytest.fixture
def cupy():
    """CuPy, where it works."""
    if MISSING["cupy"] is not None and "cupy" not in REQUIRED:
        pytest.skip(MISSING["cupy"])
    _fail_if_missing("cupy")
    return importlib.import_module("cupy")


@pytest.fixture
def assert_close():
    """Compare an array with the truth: values, shape, and on request the dtype."""

    def compare(got, expected, *, rtol=None, atol=0.0):
        got = gl.to_numpy(got)
        expected = np.asarray(expected)
        if rtol is None:
            rtol = 1e-4 if got.dtype == np.float32 else 1e-9
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)

    return compare
