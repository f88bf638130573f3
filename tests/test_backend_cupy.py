"""Why CuPy may not work here: each reason, played by a module that fails as CuPy does."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import logging
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import gradlab as gl
from gradlab.backend import BackendNotInstalledError, BackendUnavailableError, on_cupy, selection
from gradlab.backend.on_cupy import _try_out


class CUDARuntimeError(RuntimeError):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Device:
    current = 1

    def __init__(self, index):
        self.id = index

    def __enter__(self):
        self.outer, Device.current = Device.current, self.id
        return self

    def __exit__(self, *exception):
        Device.current = self.outer


class Pool:
    """A pool with blocks of each device; it answers for the current one, as CuPy's does."""

    def __init__(self):
        self.held = {0: 3 * 2**20, 1: 2**20}

    def used_bytes(self):
        return self.held[Device.current] // 2

    def total_bytes(self):
        return self.held[Device.current]

    def free_bytes(self):
        return self.held[Device.current] // 4

    def free_all_blocks(self):
        self.held[Device.current] = 0


def fake_cupy(count=2, driver=13000, fails=None):
    """Make a module with the parts of CuPy that are asked; its arrays are NumPy's."""

    def count_devices():
        if isinstance(count, Exception):
            raise count
        return count

    def ones(shape):
        if fails is not None:
            raise fails
        return np.ones(shape)

    runtime = SimpleNamespace(
        driverGetVersion=lambda: driver,
        runtimeGetVersion=lambda: 13010,
        getDeviceCount=count_devices,
        getDevice=lambda: Device.current,
        setDevice=lambda index: setattr(Device, "current", index),
        memGetInfo=lambda: (2**30, 2**32),
        getDeviceProperties=lambda index: {"name": f"GPU {index}".encode()},
    )
    stream = SimpleNamespace(synchronize=lambda: None)
    cuda = SimpleNamespace(runtime=runtime, Device=Device, get_current_stream=lambda: stream)
    pool, pinned = Pool(), Pool()
    return SimpleNamespace(
        __version__="14.2",
        __spec__=importlib.machinery.ModuleSpec("cupy", None),
        cuda=cuda,
        ones=ones,
        asarray=np.asarray,
        asnumpy=np.asarray,
        add=np.add,
        get_default_memory_pool=lambda: pool,
        get_default_pinned_memory_pool=lambda: pinned,
    )


@pytest.fixture
def install(monkeypatch):
    """Put a module in the place of CuPy."""

    def install(module):
        monkeypatch.setitem(sys.modules, "cupy", module)
        found = importlib.machinery.ModuleSpec("cupy", None)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
        clear()

    monkeypatch.setattr(Device, "current", 1)

    def clear():
        _try_out.cache_clear()
        selection._resolve_auto.cache_clear()
        vars(selection._of_thread).clear()

    yield install
    clear()


def enter(spec):
    with gl.use_backend(spec) as backend:
        return backend


UNUSABLE = {
    "no_driver": (
        fake_cupy(CUDARuntimeError(35, "insufficient"), driver=0),
        "no NVIDIA driver; choose numpy",
    ),
    "driver_too_old": (
        fake_cupy(CUDARuntimeError(35, "insufficient"), driver=11000),
        "serves CUDA 11000, CuPy needs 13010",
    ),
    "no_device": (fake_cupy(CUDARuntimeError(100, "none")), "CUDA_VISIBLE_DEVICES empty"),
    "no_device at all": (fake_cupy(0), "sees no GPU"),
    "no_device of a broken driver": (fake_cupy(CUDARuntimeError(999, "odd\nmore")), "GPUs: odd;"),
    "libraries_missing": (fake_cupy(fails=ImportError("libcublas.so.13")), "libcublas.so.13"),
    "libraries_missing at run time": (fake_cupy(fails=RuntimeError("")), "RuntimeError"),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_an_unusable_cupy_is_explained(install, what):
    module, message = UNUSABLE[what]
    install(module)
    with pytest.raises(BackendUnavailableError, match=message) as caught:
        enter("cupy")
    assert caught.value.reason == what.split()[0]
    assert caught.value.__cause__ is not None or what == "no_device at all"


@pytest.mark.parametrize("index", ["2", "-1", "x"])
def test_an_index_beyond_the_last_gpu_is_named(install, index):
    install(fake_cupy())
    with pytest.raises(
        BackendUnavailableError, match=f"no device '{index}': this machine has 2"
    ) as e:
        enter(f"cupy:{index}")
    assert e.value.reason == "bad_index"


def test_a_cupy_that_cannot_be_imported_is_explained(install, monkeypatch):
    install(None)  # what `import` finds there makes it fail
    with pytest.raises(BackendUnavailableError, match="cannot be imported") as caught:
        enter("cupy")
    assert caught.value.reason == "import_failed"


def test_a_cupy_that_is_not_there_gets_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendNotInstalledError, match=r"pip install 'gradlab\[cuda13x\]'") as e:
        enter("gpu:0")
    assert isinstance(e.value, ImportError)


def test_a_folder_that_an_uninstalled_cupy_has_left_is_no_cupy(monkeypatch, tmp_path):
    (tmp_path / "cupy" / "cuda").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    with pytest.raises(BackendNotInstalledError, match="not installed"):
        enter("cupy")


def test_out_of_memory_stays_what_it_is(install):
    install(fake_cupy(fails=MemoryError("full")))
    with pytest.raises(MemoryError, match="full"):
        enter("cupy")


def test_a_working_cupy_is_selected_and_described(install):
    install(fake_cupy())
    assert str(enter("cuda")) == "cupy:1"  # the current one
    assert str(enter("cupy:0")) == "cupy:0"
    described = gl.backend.examine()["backends"]["cupy"]
    assert described["usable"]
    assert described["devices"][1] == {
        "device": 1, "name": "GPU 1", "free": 2**30, "total": 2**32,
        "used_by_arrays": 2**19, "held_by_pool": 2**20,
    }  # fmt: skip


def test_what_is_built_at_once_is_a_part_of_the_memory_that_is_free(install):
    install(fake_cupy())
    assert on_cupy.chunk_bytes(0) == (2**30 + 3 * 2**18) // 32
    assert on_cupy.chunk_bytes(1) == (2**30 + 2**18) // 32


def test_memory_is_given_back_to_the_selected_device(install):
    module = fake_cupy()
    install(module)
    with gl.use_backend("cupy:0"):
        gl.backend.free_cached_memory()
    assert module.get_default_memory_pool().held == {0: 0, 1: 2**20}
    assert module.get_default_pinned_memory_pool().held[0] == 0


def test_the_selected_gpu_is_the_one_that_computes(install, monkeypatch):
    install(fake_cupy())
    with gl.use_backend("cupy:0"):
        assert Device.current == 0
        with gl.use_backend("cupy:1"):
            assert Device.current == 1
        with gl.use_backend("numpy"):
            assert Device.current == 0
        assert Device.current == 0
    assert Device.current == 1
    monkeypatch.setenv("GRADLAB_BACKEND", "cupy:0")
    gl.get_backend()
    assert Device.current == 0
    with Device(1):  # as a program may choose for itself
        gl.get_backend()
        assert Device.current == 1


def test_complex_numbers_are_added_by_their_parts(install):
    """The additions of CuPy that do not disturb each other are of real numbers."""
    module = fake_cupy()
    seen = []
    module.add = SimpleNamespace(
        at=lambda x, key, more: seen.append(x.dtype.kind) or np.add.at(x, key, more)
    )
    install(module)
    got = on_cupy.add_at(np.zeros(2, complex), [0, 0], np.asarray([1 + 2j, 3j]))
    assert (got.tolist(), seen) == ([1 + 5j, 0j], ["f", "f"])


def test_auto_takes_the_gpu_where_it_works(install):
    install(fake_cupy())
    backend = enter("auto")
    assert (str(backend), backend.fallback) == ("cupy:1", "")


def test_auto_falls_back_records_why_and_says_so_once(install, caplog):
    install(fake_cupy(CUDARuntimeError(35, ""), driver=0))
    with caplog.at_level(logging.WARNING, logger="gradlab"):
        for _ in range(3):
            backend = enter("auto")
            assert backend.name == "numpy"
            assert "no NVIDIA driver" in backend.fallback
    (record,) = caplog.records
    assert "backend auto: using numpy, because" in record.getMessage()
    assert "no NVIDIA driver" in record.getMessage()


def test_several_wheels_are_warned_of(monkeypatch):
    from importlib import metadata  # noqa: PLC0415

    wheels = [SimpleNamespace(metadata={"Name": n}) for n in ("CuPy-cuda12x", "cupy", "numpy")]
    monkeypatch.setattr(metadata, "distributions", lambda: wheels)
    (warning,) = gl.backend.examine()["warnings"]
    assert "cupy, cupy-cuda12x" in warning


def test_the_doctor_reports_a_selection_that_cannot_work(install, monkeypatch):
    install(fake_cupy(0))
    monkeypatch.setenv("GRADLAB_BACKEND", "cupy")
    report = gl.backend.examine()
    assert "sees no GPU" in report["error"]
    assert report["backends"]["cupy"]["reason"] == "no_device"
    assert report["backends"]["numpy"]["usable"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert gl.backend.examine()["backends"]["cupy"]["reason"] == "not_installed"
