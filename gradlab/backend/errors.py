"""What can be wrong with a backend: one class for each cure."""

from __future__ import annotations

from typing import Literal

__all__ = [
    "BackendError",
    "BackendNotInstalledError",
    "BackendUnavailableError",
    "Reason",
    "UnknownBackendError",
    "UnsupportedDTypeError",
]

Reason = Literal[
    "no_driver", "driver_too_old", "no_device", "bad_index", "libraries_missing", "import_failed"
]


class BackendError(Exception):
    """The selected backend or dtype cannot be used; the subclass and the message say why."""


class UnknownBackendError(BackendError, ValueError):
    """The selection is misspelt; the message lists the valid names and the value's source."""


class UnsupportedDTypeError(BackendError, ValueError):
    """The default dtype is misspelt, or the selected device does not have it."""


class BackendNotInstalledError(BackendError, ImportError):
    """The library behind the backend is not installed: the message has the command that does it."""


class BackendUnavailableError(BackendError, RuntimeError):
    """The library is installed but cannot be used here.

    Attributes
    ----------
    reason : str
        One of ``no_driver``, ``driver_too_old``, ``no_device``, ``bad_index``,
        ``libraries_missing``, ``import_failed``. What the library raised, if it did, is chained.
    """

    reason: Reason

    def __init__(self, message: str, *, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason
