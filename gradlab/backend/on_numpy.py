"""NumPy, in the terms of `Library`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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
    import array_api_compat.numpy as xp  # noqa: PLC0415  (costs as much as NumPy itself)

    return xp


def find_device(device: str | None) -> Device:
    return "cpu"


def activate(device: Device) -> Callable[[], object]:
    """Nothing to change: there is one device."""
    return lambda: None


def from_host(values: Array, device: Device | None) -> Array:
    return values


def to_host(x: Array) -> Array:
    return np.asarray(x)


def device_of(x: Array) -> Device:
    return "cpu"


def device_dtypes(device: Device) -> tuple[str, ...]:
    return ("float64", "float32")


def special() -> None:
    """SciPy has NumPy's."""


def synchronize() -> None:
    """Nothing to wait for: NumPy has finished when it returns."""


def chunk_bytes(device: Device) -> int:
    return HOST_CHUNK_BYTES


def free_cached_memory(device: Device) -> None:
    """Nothing to free: NumPy holds no memory but that of arrays."""


def describe() -> dict[str, Any]:
    return {"version": np.__version__, "devices": [{"device": "cpu"}]}


def add_at(x: Array, key: Any, values: Array) -> Array:
    np.add.at(x, key, values)
    return x
