"""array-api-strict, in the terms of `Library`: the standard and nothing else, for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.backend.errors import BackendNotInstalledError, BackendUnavailableError
from gradlab.backend.library import HOST_CHUNK_BYTES, Array, Device, Namespace

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


def namespace() -> Namespace:
    try:
        import array_api_strict  # noqa: PLC0415  (optional)
    except ModuleNotFoundError as error:
        msg = (
            "the backend array_api_strict is not installed: run "
            "`python -m pip install array-api-strict`, or choose numpy"
        )
        raise BackendNotInstalledError(msg) from error
    return array_api_strict


def find_device(device: str | None) -> Device:
    xp = namespace()
    if device is None:
        device = "CPU_DEVICE"
    try:
        xp.Device(device)
    except ValueError as error:
        names = ", ".join(_names())
        msg = f"array_api_strict has no device {device!r}: it has {names}"
        raise BackendUnavailableError(msg, reason="bad_index") from error
    return device


def activate(device: Device) -> Callable[[], object]:
    """Nothing to change: its arrays say where they compute."""
    return lambda: None


def from_host(values: Array, device: Device | None) -> Array:
    xp = namespace()
    return xp.asarray(values, device=None if device is None else xp.Device(device), copy=True)


def to_host(x: Array) -> Array:
    return np.array(x.to_device(namespace().Device("CPU_DEVICE")))


def device_of(x: Array) -> Device:
    return _name(x.device)


def device_dtypes(device: Device) -> tuple[str, ...]:
    xp = namespace()
    known = xp.__array_namespace_info__().dtypes(device=xp.Device(device), kind="real floating")
    return tuple(sorted(known, reverse=True))  # float64 first where there is one


def special() -> None:
    """None: the standard has no such functions."""


def synchronize() -> None:
    """Nothing to wait for: array-api-strict has finished when it returns."""


def chunk_bytes(device: Device) -> int:
    return HOST_CHUNK_BYTES


def free_cached_memory(device: Device) -> None:
    """Nothing to free: its arrays are NumPy's."""


def describe() -> dict[str, Any]:
    return {"version": namespace().__version__, "devices": [{"device": n} for n in _names()]}


def _name(device: Any) -> str:
    return str(device).partition("'")[2].rstrip("')")  # repr is the only public way to the name


def _names() -> list[str]:
    return [_name(device) for device in namespace().__array_namespace_info__().devices()]


def add_at(x: Array, key: Any, values: Array) -> Array:
    host = to_host(x)
    parts = key if isinstance(key, tuple) else (key,)
    places = tuple(to_host(part) if hasattr(part, "dtype") else part for part in parts)
    np.add.at(host, places, to_host(values))
    return from_host(host, device_of(x))
