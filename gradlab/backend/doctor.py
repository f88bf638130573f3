"""What is installed, what works, what is selected: the facts behind ``gradlab doctor``."""

from __future__ import annotations

import platform
import re
from typing import Any

from gradlab.backend.errors import BackendError, BackendUnavailableError
from gradlab.backend.library import LIBRARIES, load
from gradlab.backend.selection import get_backend

__all__ = ["examine", "version_of"]

_CUPY_WHEEL = re.compile(r"cupy(-cuda\w+|-rocm[\w-]+)?")


def examine() -> dict[str, Any]:
    """Examine this machine, as plain values that JSON can hold.

    Returns
    -------
    dict
        ``selected`` (or ``error``, if the selection cannot work), ``backends`` (each library:
        version, devices and memory in bytes, or why it cannot be used), ``warnings``,
        ``versions``.
    """
    from importlib import metadata  # noqa: PLC0415  (slow; not at `import gradlab`)

    report: dict[str, Any] = {}
    try:
        backend = get_backend()
    except BackendError as error:
        report["error"] = str(error)
    else:
        report["selected"] = {
            "backend": str(backend),
            "dtype": backend.dtype,
            "source": backend.source,
            "fallback": backend.fallback,
        }
    report["backends"] = {name: _examine_library(name) for name in LIBRARIES}
    installed = {str(dist.metadata["Name"]).lower() for dist in metadata.distributions()}
    report["warnings"] = _duplicate_wheels(installed)
    report["versions"] = {
        "gradlab": version_of("gradlab"),
        "array-api-compat": version_of("array-api-compat"),
        "python": platform.python_version(),
    }
    return report


def _examine_library(name: str) -> dict[str, Any]:
    library = load(name)
    try:
        library.find_device(None)
        return {"usable": True, **library.describe()}
    except BackendUnavailableError as error:
        return {"usable": False, "reason": error.reason, "message": str(error)}
    except BackendError as error:
        return {"usable": False, "reason": "not_installed", "message": str(error)}


def version_of(name: str) -> str:
    """Version of a distribution, "unknown" where it is a folder of sources on the path."""
    from importlib import metadata  # noqa: PLC0415  (slow; not at `import gradlab`)

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


def _duplicate_wheels(installed: set[str]) -> list[str]:
    wheels = sorted(name for name in installed if _CUPY_WHEEL.fullmatch(name))
    if len(wheels) < 2:  # noqa: PLR2004  (two are one too many)
        return []
    msg = (
        f"several CuPy wheels are installed and overwrite each other ({', '.join(wheels)}): "
        "uninstall all of them, then install one"
    )
    return [msg]
