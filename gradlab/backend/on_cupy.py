"""CuPy, in the terms of `Library`, and the reasons why it may not work here.

With the wheel and no driver `import cupy` succeeds and only the first operation fails, and
`cupy.is_available()` hides why; so the runtime is asked step by step, and a small
computation is tried once on each device that is selected.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from gradlab.backend.errors import BackendNotInstalledError, BackendUnavailableError, Reason
from gradlab.backend.library import Array, Device, Namespace

__all__ = [
    "activate",
    "add_at",
    "chunk_bytes",
    "describe",
    "device_dtypes",
    "device_of",
    "find_device",
    "free_cached_memory",
    "from_host",
    "namespace",
    "special",
    "synchronize",
    "to_host",
]

# cudaError_t, CUDA Runtime API, section "Data types used by CUDA Runtime"
_INSUFFICIENT_DRIVER = 35
_NO_DEVICE = 100

# Launches should be few and large; that part of the free memory leaves room for what a computation
# needs beside its chunk.
_CHUNKS = 32


def namespace() -> Namespace:
    _cupy()
    import array_api_compat.cupy as xp  # noqa: PLC0415  (imports CuPy)

    return xp


def find_device(device: str | None) -> Device:
    cupy = _cupy()
    count = _count_devices(cupy)
    if device is None:
        index = int(cupy.cuda.runtime.getDevice())
    elif device.isascii() and device.isdigit() and int(device) < count:
        index = int(device)
    else:
        msg = (
            f"cupy has no device {device!r}: this machine has {count}, numbered from 0 "
            f"(CUDA_VISIBLE_DEVICES may hide some); choose one as cupy:0"
        )
        raise BackendUnavailableError(msg, reason="bad_index")
    _try_out(index)
    return index


def activate(device: Device) -> Callable[[], object]:
    runtime = _cupy().cuda.runtime
    before = runtime.getDevice()
    if before != device:  # CuPy computes on the current one, and nowhere else
        runtime.setDevice(device)
    return partial(runtime.setDevice, before)


def from_host(values: Array, device: Device | None) -> Array:
    cupy = _cupy()
    if device is None:
        return cupy.asarray(values)
    with cupy.cuda.Device(device):  # creation functions ignore `device=`
        return cupy.asarray(values)


def to_host(x: Array) -> Array:
    return _cupy().asnumpy(x)


def device_of(x: Array) -> Device:
    return int(x.device.id)


def device_dtypes(device: Device) -> tuple[str, ...]:
    return ("float64", "float32")


def special() -> Any:
    _cupy()
    import cupyx.scipy.special  # noqa: PLC0415  (optional, slow)

    return cupyx.scipy.special


def synchronize() -> None:
    _cupy().cuda.get_current_stream().synchronize()


def chunk_bytes(device: Device) -> int:
    cupy = _cupy()
    with cupy.cuda.Device(device):
        free, _ = cupy.cuda.runtime.memGetInfo()
        return int(free + cupy.get_default_memory_pool().free_bytes()) // _CHUNKS


def free_cached_memory(device: Device) -> None:
    cupy = _cupy()
    with cupy.cuda.Device(device):  # each has a pool of its own
        cupy.get_default_memory_pool().free_all_blocks()
    cupy.get_default_pinned_memory_pool().free_all_blocks()


def describe() -> dict[str, Any]:
    cupy = _cupy()
    runtime = cupy.cuda.runtime
    devices = []
    for index in range(_count_devices(cupy)):
        with cupy.cuda.Device(index):
            free, total = runtime.memGetInfo()
            pool = cupy.get_default_memory_pool()
            sizes = {"free": free, "total": total}
            sizes |= {"used_by_arrays": pool.used_bytes(), "held_by_pool": pool.total_bytes()}
        name = runtime.getDeviceProperties(index)["name"].decode()
        devices.append({"device": index, "name": name, **{k: int(v) for k, v in sizes.items()}})
    return {
        "version": cupy.__version__,
        "cuda_driver": int(runtime.driverGetVersion()),
        "cuda_runtime": int(runtime.runtimeGetVersion()),
        "devices": devices,
    }


def _cupy() -> Any:
    spec = importlib.util.find_spec("cupy")
    is_bare_folder = spec is not None and spec.submodule_search_locations and spec.origin is None
    if spec is None or is_bare_folder:  # such as an uninstalled CuPy leaves
        msg = (
            "the backend cupy is not installed: run `python -m pip install 'gradlab[cuda13x]'` "
            "(CUDA 13; 'gradlab[cuda12x]' for CUDA 12), or choose numpy"
        )
        raise BackendNotInstalledError(msg)
    try:
        import cupy  # noqa: PLC0415  (optional, slow)
    except (ImportError, RuntimeError) as error:
        msg = f"cupy is installed but cannot be imported: {_first_line(error)}"
        raise BackendUnavailableError(msg, reason="import_failed") from error
    return cupy


def _count_devices(cupy: Any) -> int:
    runtime = cupy.cuda.runtime
    try:
        count = int(runtime.getDeviceCount())
    except RuntimeError as error:  # cupy_backends.cuda.api.runtime.CUDARuntimeError
        reason, what = _explain(runtime, error)
        msg = f"cupy {cupy.__version__} is installed but {what}; choose numpy to use the CPU"
        raise BackendUnavailableError(msg, reason=reason) from error
    if count == 0:
        msg = "cupy is installed but sees no GPU (is CUDA_VISIBLE_DEVICES empty?)"
        raise BackendUnavailableError(msg, reason="no_device")
    return count


def _explain(runtime: Any, error: RuntimeError) -> tuple[Reason, str]:
    driver = int(runtime.driverGetVersion())  # 0 where there is no driver at all
    if driver == 0:
        return "no_driver", "this machine has no NVIDIA driver"
    status = getattr(error, "status", None)
    if status == _INSUFFICIENT_DRIVER:
        needed = runtime.runtimeGetVersion()
        return "driver_too_old", f"the NVIDIA driver serves CUDA {driver}, CuPy needs {needed}"
    if status == _NO_DEVICE:
        return "no_device", "the driver sees no GPU (is CUDA_VISIBLE_DEVICES empty?)"
    return "no_device", f"the driver cannot be asked for its GPUs: {_first_line(error)}"


@cache  # a failure raises, and is not kept
def _try_out(index: int) -> None:
    """Run one elementwise kernel, one sum and one product: each loads another CUDA library."""
    cupy = _cupy()
    try:
        with cupy.cuda.Device(index):
            a = cupy.ones((2, 2))
            float(((a + a) @ a).sum())
    except (ImportError, RuntimeError) as error:  # out of memory is a MemoryError, and stays one
        major = int(cupy.cuda.runtime.runtimeGetVersion()) // 1000
        msg = (
            f"cupy cannot compute on device {index}: {_first_line(error)}. CUDA's libraries may be "
            f"missing: run `python -m pip install 'cupy-cuda{major}x[ctk]'`, or install the CUDA "
            "toolkit"
        )
        raise BackendUnavailableError(msg, reason="libraries_missing") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def add_at(x: Array, key: Any, values: Array) -> Array:
    add = _cupy().add
    parts = (x.real, values.real), (x.imag, values.imag)  # its atomic additions are of real numbers
    for part, more in parts if x.dtype.kind == "c" else [(x, values)]:
        add.at(part, key, more)
    return x
