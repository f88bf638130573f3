"""Which backend is selected: grammar, precedence, errors, contexts, threads, tasks."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

import gradlab as gl
from gradlab.backend import (
    BackendUnavailableError,
    UnknownBackendError,
    UnsupportedDTypeError,
    get_backend,
    set_backend,
    use_backend,
)

STRICT = "array_api_strict"


@pytest.fixture(autouse=True)
def _process_default():
    yield
    set_backend(None)


SPELLINGS = {
    "numpy": ("numpy", "cpu"),
    " NumPy ": ("numpy", "cpu"),
    "CPU": ("numpy", "cpu"),
    "Array_API_Strict": (STRICT, "CPU_DEVICE"),
    "array_api_strict: device1 ": (STRICT, "device1"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_names_are_read_without_case_and_blanks_devices_with_case(spelling, monkeypatch):
    monkeypatch.setenv("GRADLAB_BACKEND", spelling)
    backend = get_backend()
    assert (backend.name, backend.device) == SPELLINGS[spelling]
    assert backend.source == "GRADLAB_BACKEND"


@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_means_unset(empty, monkeypatch):
    monkeypatch.setenv("GRADLAB_BACKEND", empty)
    monkeypatch.setenv("GRADLAB_DTYPE", empty)
    backend = get_backend()
    assert (backend.name, backend.dtype, backend.source) == ("numpy", "float64", "default")


WRONG = {
    "numpi": r"'numpi' from use_backend \(did you mean 'numpy'\?\): valid are numpy, cupy",
    "cudda": r"did you mean 'cuda'\?",
    "torch": r"unknown backend 'torch' from use_backend: valid are numpy",
    "numpy:1": r"'numpy:1' from use_backend takes no device: write 'numpy'",
    "auto:1": "takes no device: write 'auto'",
    "cupy:": "has no device after the colon: write 'cupy'",
    "": "unknown backend ''",
}


@pytest.mark.parametrize("spec", WRONG)
def test_a_misspelt_name_is_refused_at_once(spec):
    with pytest.raises(UnknownBackendError, match=WRONG[spec]) as caught:
        use_backend(spec)
    assert isinstance(caught.value, ValueError)


def test_the_message_says_where_the_value_came_from(monkeypatch):
    monkeypatch.setenv("GRADLAB_BACKEND", "numpi")
    with pytest.raises(UnknownBackendError, match="from GRADLAB_BACKEND"):
        get_backend()
    with pytest.raises(UnknownBackendError, match="from set_backend"):
        set_backend("cupi")


def test_a_backend_is_named_by_a_string():
    with pytest.raises(TypeError, match="named by a string such as 'cupy:0': got int"):
        use_backend(0)


def test_a_device_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(
        BackendUnavailableError, match=r"no device 'Device1': it has .*device1"
    ) as e:
        use_backend(f"{STRICT}:Device1").__enter__()
    assert e.value.reason == "bad_index"
    assert isinstance(e.value.__cause__, ValueError)


def test_each_source_wins_over_those_after_it(monkeypatch):
    assert get_backend().source == "default"
    monkeypatch.setenv("GRADLAB_BACKEND", f"{STRICT}:device1")
    assert get_backend().source == "GRADLAB_BACKEND"
    set_backend(f"{STRICT}:device2")
    assert (get_backend().device, get_backend().source) == ("device2", "set_backend")
    with use_backend("numpy") as backend:
        assert backend == get_backend()
        assert (backend.name, backend.source) == ("numpy", "use_backend")
        given = gl.namespace(gl.asarray([1.0]))
    assert given is not gl.namespace()
    assert get_backend().device == "device2"
    set_backend(None)
    assert get_backend().device == "device1"


def test_dtypes_have_the_same_order(monkeypatch):
    monkeypatch.setenv("GRADLAB_DTYPE", " Float32 ")
    assert get_backend().dtype == "float32"
    set_backend("numpy", dtype="float64")
    assert get_backend().dtype == "float64"
    with use_backend(dtype="float32") as backend:
        assert (backend.name, backend.dtype, backend.source) == ("numpy", "float32", "set_backend")
        assert gl.asarray([1.0]).dtype == "float32"


def test_a_bad_dtype_is_named_with_its_source(monkeypatch):
    with pytest.raises(UnsupportedDTypeError, match="`dtype` must be float64 or float32: got 'f'"):
        use_backend(dtype="f")
    monkeypatch.setenv("GRADLAB_DTYPE", "float16")
    with pytest.raises(UnsupportedDTypeError, match=r"GRADLAB_DTYPE must be .* got 'float16'"):
        get_backend()


def test_a_device_without_float64_prefers_float32_and_refuses_the_other(monkeypatch):
    with use_backend(f"{STRICT}:no_float64") as backend:
        assert backend.dtype == "float32"
    monkeypatch.setenv("GRADLAB_DTYPE", "float64")
    with pytest.raises(UnsupportedDTypeError, match=r"'no_float64' .* has only float32"):
        use_backend(f"{STRICT}:no_float64").__enter__()
    assert get_backend().name == "numpy"


def test_a_backend_stands_for_itself_its_dtype_included():
    with use_backend(f"{STRICT}:device1", dtype="float32") as backend:
        pass
    assert str(backend) == f"{STRICT}:device1"
    with use_backend(backend) as again:
        assert again == backend
    set_backend(backend)
    assert get_backend().dtype == "float32"


def test_contexts_nest_and_unwind_with_exceptions():
    with use_backend(f"{STRICT}:device1"):
        with suppress(KeyError), use_backend(f"{STRICT}:device2"):
            assert get_backend().device == "device2"
            raise KeyError
        assert get_backend().device == "device1"
        selection = use_backend("numpy")
        with selection, selection:
            assert get_backend().name == "numpy"
        assert get_backend().device == "device1"
    assert get_backend().name == "numpy"


def test_an_entry_that_fails_changes_nothing():
    with use_backend(f"{STRICT}:device1"):
        with pytest.raises(BackendUnavailableError):
            use_backend(f"{STRICT}:nowhere", dtype="float32").__enter__()
        assert (get_backend().device, get_backend().dtype) == ("device1", "float64")
    with pytest.raises(BackendUnavailableError):
        set_backend(f"{STRICT}:nowhere")
    assert get_backend().source == "default"


def test_functions_are_decorated_recursive_ones_too():
    @use_backend(f"{STRICT}:device1")
    def f(n):
        return f(n - 1) if n else get_backend().device

    assert f(3) == "device1"
    assert get_backend().name == "numpy"


def test_coroutine_functions_keep_the_selection_while_they_wait():
    @use_backend(f"{STRICT}:device1")
    async def f():
        await asyncio.sleep(0)
        return get_backend().device

    assert asyncio.run(f()) == "device1"


def test_generators_are_refused_with_the_cure():
    def items():
        yield 1

    async def later():
        yield 1

    for f in (items, later):
        with pytest.raises(TypeError, match=r"cannot decorate the generator .* inside it"):
            use_backend("numpy")(f)


def in_new_thread(f):
    found = []
    thread = threading.Thread(target=lambda: found.append(f()))
    thread.start()
    thread.join()
    return found[0]


def test_new_threads_see_the_process_and_not_the_context():
    with use_backend(f"{STRICT}:device1"):
        assert in_new_thread(get_backend).name == "numpy"
        set_backend(f"{STRICT}:device2")
        assert in_new_thread(get_backend).device == "device2"
        assert get_backend().device == "device1"


def test_threads_of_a_pool_keep_their_selections_apart():
    barrier = threading.Barrier(3)

    def work(device):
        with use_backend(f"{STRICT}:{device}"):
            barrier.wait(timeout=10)
            seen = get_backend().device
            barrier.wait(timeout=10)
        return seen, get_backend().name

    devices = ["CPU_DEVICE", "device1", "device2"]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, devices)) == [(device, "numpy") for device in devices]


def test_a_pool_is_handed_the_selection_as_a_backend():
    with use_backend(f"{STRICT}:device1") as backend, ThreadPoolExecutor(1) as pool:

        def work():
            with use_backend(backend):
                return gl.asarray([1.0]).device

        assert pool.submit(work).result() == gl.asarray([1.0]).device


def test_tasks_keep_their_selections_apart():
    async def work(device):
        with use_backend(f"{STRICT}:{device}"):
            for _ in range(3):
                await asyncio.sleep(0)
                assert get_backend().device == device
        return get_backend().name

    async def both():
        return await asyncio.gather(work("device1"), work("device2"))

    assert asyncio.run(both()) == ["numpy", "numpy"]


def test_one_selection_may_hold_in_several_threads_and_tasks_at_once():
    selection = use_backend(f"{STRICT}:device1")
    begun, inside, left = (threading.Event() for _ in range(3))

    def first():
        with selection:
            begun.set()
            assert inside.wait(timeout=10)
            seen = get_backend().device
        left.set()
        return seen, get_backend().name

    def second():
        assert begun.wait(timeout=10)
        with selection:
            inside.set()
            assert left.wait(timeout=10)
            seen = get_backend().device
        return seen, get_backend().name

    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(first), pool.submit(second)]
        assert [end.result() for end in ends] == [("device1", "numpy")] * 2

    async def task(rounds):
        with selection:
            for _ in range(rounds):
                await asyncio.sleep(0)
            seen = get_backend().device
        return seen, get_backend().name

    async def both():
        return await asyncio.gather(task(1), task(3))

    assert asyncio.run(both()) == [("device1", "numpy")] * 2
