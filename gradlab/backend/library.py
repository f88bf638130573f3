"""What gradlab asks of an array library, and the table of libraries that can be selected.

Each library is a module of this package with the functions of `Library`. Nothing else in
gradlab names NumPy, CuPy or array-api-strict.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol, TypeAlias, cast

__all__ = [
    "HOST_CHUNK_BYTES",
    "LIBRARIES",
    "Array",
    "Device",
    "Library",
    "Namespace",
    "library_of",
    "load",
]

Array: TypeAlias = Any  # any array of the standard: it has no type of its own yet
Namespace: TypeAlias = Any
Device: TypeAlias = int | str

# Larger arrays are fresh pages of the kernel each time with glibc (M_MMAP_THRESHOLD, mallopt(3)):
# to touch these takes longer than simple arithmetic
HOST_CHUNK_BYTES = 2**17

LIBRARIES = {
    "numpy": "gradlab.backend.on_numpy",
    "cupy": "gradlab.backend.on_cupy",
    "array_api_strict": "gradlab.backend.on_strict",
}


class Library(Protocol):
    """The functions that a library's module has."""

    def namespace(self) -> Namespace:
        """Array namespace of the standard. Imports the library."""
        ...

    def find_device(self, device: str | None) -> Device:
        """Name of the requested device (None: the library's current one), tried once."""
        ...

    def activate(self, device: Device) -> Callable[[], object]:
        """Let this thread compute on `device`; what is returned lets it where it did before."""
        ...

    def from_host(self, values: Array, device: Device | None) -> Array:
        """NumPy array `values` on `device` (None: the current one), dtype kept."""
        ...

    def to_host(self, x: Array) -> Array:
        """NumPy array with the values of `x`; waits for the device."""
        ...

    def device_of(self, x: Array) -> Device:
        """Name of the device that holds `x`, as `find_device` names it."""
        ...

    def device_dtypes(self, device: Device) -> tuple[str, ...]:
        """Real floating dtypes that `device` has, the preferred one first."""
        ...

    def add_at(self, x: Array, key: Any, values: Array) -> Array:
        """`x`, which may be written to, with `values` added at `key`, repeats included."""
        ...

    def special(self) -> Any:
        """Module of the library's own special functions, or None: SciPy's, on the host."""
        ...

    def synchronize(self) -> None:
        """Wait until all work given to the current device is done."""
        ...

    def chunk_bytes(self, device: Device) -> int:
        """Size of the arrays that a computation on `device` may build at once, for each of them."""
        ...

    def free_cached_memory(self, device: Device) -> None:
        """Give memory that the library holds, but no array uses, back to `device` and the host."""
        ...

    def describe(self) -> dict[str, Any]:
        """Version, devices and memory, for the doctor. Raises as `find_device` does."""
        ...


@lru_cache
def load(name: str) -> Library:
    """Return the module that answers for the library `name`; imports no array library itself."""
    return cast("Library", import_module(LIBRARIES[name]))


def library_of(x: object) -> str:
    """Name of the library that `x` comes from: the root of the module of its type or a base."""
    return _library_of_type(type(x))  # type: ignore[arg-type]  # mypy doubts that types hash


@lru_cache
def _library_of_type(kind: type) -> str:
    roots = [base.__module__.partition(".")[0] for base in kind.__mro__]
    return next((root for root in roots if root in (*LIBRARIES, "torch")), roots[0])
