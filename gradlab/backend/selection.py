"""Which backend new arrays are made on, and who decided it.

Nothing is read or imported before the first use: a bad value of the environment never breaks
``import gradlab``. An explicit choice never falls back; only ``auto`` may, and says so once.
"""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable
from contextlib import ContextDecorator, ExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from typing import Any, TypeVar

from gradlab.backend.errors import BackendError, UnknownBackendError, UnsupportedDTypeError
from gradlab.backend.library import Device, load

__all__ = ["Backend", "get_backend", "set_backend", "use_backend"]

NAMES = ("numpy", "cupy", "auto", "array_api_strict")
ALIASES = {"cpu": "numpy", "cuda": "cupy", "gpu": "cupy"}
WITH_DEVICE = ("cupy", "array_api_strict")
DTYPES = ("float64", "float32")

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Backend:
    """A selected backend: where gradlab makes new arrays.

    Attributes
    ----------
    name : str
        ``numpy``, ``cupy`` or ``array_api_strict``.
    device : int or str
        ``"cpu"``, the index of a GPU, or the name of a device of array-api-strict.
    dtype : str
        ``float64`` or ``float32``: real floating dtype of what gradlab itself creates.
    source : str
        What decided: ``use_backend``, ``set_backend``, ``GRADLAB_BACKEND`` or ``default``.
    fallback : str
        Why ``auto`` did not take the GPU; empty where it did or was not asked.
    """

    name: str
    device: Device
    dtype: str
    source: str
    fallback: str = field(default="", compare=False)

    def __str__(self) -> str:
        device = f":{self.device}" if self.name in WITH_DEVICE else ""
        return f"{self.name}{device}"


@dataclass(frozen=True, slots=True)
class _Request:
    """A backend as it was asked for: not yet imported, found or tried."""

    name: str
    device: str | None
    source: str


_DEFAULT = _Request("numpy", None, "default")

_in_context: ContextVar[_Request | None] = ContextVar("gradlab_backend", default=None)
_dtype_in_context: ContextVar[str | None] = ContextVar("gradlab_dtype", default=None)
_entered: ContextVar[tuple[tuple[_Use, ExitStack], ...]] = ContextVar("gradlab_entered", default=())
_of_process: dict[str, Any] = {"request": None, "dtype": None}  # read by every thread
_of_thread = threading.local()  # `place`: the library and device that it was last let compute on


def get_backend() -> Backend:
    """Return the backend in force here: where new arrays are made, and who decided it.

    Returns
    -------
    Backend
        Resolved now: `use_backend` before `set_backend` before the environment variables
        ``GRADLAB_BACKEND`` and ``GRADLAB_DTYPE`` before NumPy in float64.

    Raises
    ------
    UnknownBackendError, BackendNotInstalledError, BackendUnavailableError
        If the selection cannot work. Only ``auto`` falls back to NumPy.
    UnsupportedDTypeError
        If the default dtype is unknown, or the device does not have it.

    Examples
    --------
    >>> import gradlab as gl
    >>> with gl.use_backend("numpy", dtype="float32"):
    ...     gl.get_backend()
    Backend(name='numpy', device='cpu', dtype='float32', source='use_backend', fallback='')
    """
    backend = _in_force()
    place = backend.name, backend.device
    if getattr(_of_thread, "place", None) != place:  # once: programs may choose another GPU, too
        load(backend.name).activate(backend.device)
        _of_thread.place = place
    return backend


def set_backend(spec: str | Backend | None, *, dtype: str | None = None) -> None:
    """Select the backend of this process: the default of every thread, new ones included.

    Parameters
    ----------
    spec : str, Backend or None
        ``numpy``, ``cupy[:N]``, ``auto`` or ``array_api_strict[:DEVICE]``; ``cpu``, ``cuda[:N]``
        and ``gpu[:N]`` are other names of them. A `Backend` also brings its dtype. None hands the
        choice back to the environment.
    dtype : {"float64", "float32"}, optional
        Default dtype; None hands that choice back, too.

    Raises
    ------
    UnknownBackendError, BackendNotInstalledError, BackendUnavailableError, UnsupportedDTypeError
        If it cannot work; the selection is then left as it was.
    """
    request, dtype = _checked(spec, dtype, "set_backend")
    if request is not None or dtype is not None:
        with _Use(request, dtype):  # tried before anything is changed
            pass
    _of_process.update(request=request, dtype=dtype)


def use_backend(spec: str | Backend | None = None, *, dtype: str | None = None) -> _Use:
    """Select a backend for a block or a function: context manager and decorator.

    Parameters
    ----------
    spec : str, Backend or None
        As for `set_backend`; None keeps the backend in force.
    dtype : {"float64", "float32"}, optional
        Default dtype; None keeps the one in force.

    Returns
    -------
    context manager and decorator
        Its value is the `Backend`. The selection is that of the thread or asyncio task alone
        (a ContextVar), nests, and ends with the block, however the block ends.

    Raises
    ------
    UnknownBackendError, UnsupportedDTypeError
        At once, if `spec` or `dtype` is misspelt.
    BackendNotInstalledError, BackendUnavailableError
        On entering, if the backend cannot work.

    Notes
    -----
    A thread starts without its parent's selection: hand it over by
    ``contextvars.copy_context().run``, or enter ``use_backend(parent_backend)`` in the thread.

    CuPy computes on its current device alone: the GPU that is selected becomes that of the thread,
    until the block ends.
    """
    return _Use(*_checked(spec, dtype, "use_backend"))


class _Use(ContextDecorator):
    """One selection, which may be entered again while it holds, here or in another thread or task.

    A decorator makes its own.
    """

    def __init__(self, request: _Request | None, dtype: str | None) -> None:
        self._request = request
        self._dtype = dtype

    def _recreate_cm(self) -> _Use:
        return _Use(self._request, self._dtype)

    def __enter__(self) -> Backend:
        with ExitStack() as undo:  # of the lines below, should the backend not work
            if self._request is not None:
                undo.callback(_in_context.reset, _in_context.set(self._request))
            if self._dtype is not None:
                undo.callback(_dtype_in_context.reset, _dtype_in_context.set(self._dtype))
            backend = _in_force()
            undo.callback(load(backend.name).activate(backend.device))
            _entered.set((*_entered.get(), (self, undo.pop_all())))
        return backend

    def __exit__(self, *exception: object) -> None:
        entered = list(_entered.get())
        last = max(k for k, (use, _) in enumerate(entered) if use is self)
        _, undo = entered.pop(last)
        _entered.set(tuple(entered))
        undo.close()

    def __call__(self, func: F) -> F:
        """Decorate `func`; the selection holds while a call of it runs."""
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            msg = (
                f"`use_backend` cannot decorate the generator {func.__name__!r}: it would end "
                "before the first item; write `with use_backend(...)` inside it"
            )
            raise TypeError(msg)
        if not inspect.iscoroutinefunction(func):
            return super().__call__(func)

        @wraps(func)
        async def call(*args: Any, **kwargs: Any) -> Any:
            with self._recreate_cm():
                return await func(*args, **kwargs)

        return call  # type: ignore[return-value]  # a coroutine function for a coroutine function


def _in_force() -> Backend:
    request = _in_context.get() or _of_process["request"] or _from_environment() or _DEFAULT
    name, device, fallback = _resolve(request)
    return Backend(name, device, _find_dtype(name, device), request.source, fallback)


def _checked(
    spec: str | Backend | None, dtype: str | None, source: str
) -> tuple[_Request | None, str | None]:
    if isinstance(spec, Backend) and dtype is None:
        dtype = spec.dtype
    request = None if spec is None else _request(spec, source)
    return request, None if dtype is None else _check_dtype(dtype, "`dtype`")


def _from_environment() -> _Request | None:
    value = os.environ.get("GRADLAB_BACKEND", "")
    return _request(value, "GRADLAB_BACKEND") if value.strip() else None


def _request(spec: str | Backend, source: str) -> _Request:
    if not isinstance(spec, str | Backend):
        msg = f"a backend is named by a string such as 'cupy:0': got {type(spec).__name__}"
        raise TypeError(msg)
    return _parse(str(spec), source)


@lru_cache
def _parse(spec: str, source: str) -> _Request:
    written, colon, device = (part.strip() for part in spec.strip().partition(":"))
    name = ALIASES.get(written.lower(), written.lower())
    if name not in NAMES:
        from difflib import get_close_matches  # noqa: PLC0415  (slow; not at `import gradlab`)

        close = get_close_matches(name, [*NAMES, *ALIASES], n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        msg = (
            f"unknown backend {spec!r} from {source}{hint}: valid are numpy, cupy[:N], auto, "
            "array_api_strict[:DEVICE], and the aliases cpu, cuda[:N], gpu[:N]"
        )
        raise UnknownBackendError(msg)
    if colon and not (device and name in WITH_DEVICE):
        rule = "takes no device" if device else "has no device after the colon"
        msg = f"backend {spec!r} from {source} {rule}: write {written!r}"
        raise UnknownBackendError(msg)
    return _Request(name, device or None, source)


def _resolve(request: _Request) -> tuple[str, Device, str]:
    if request.name == "auto":
        return _resolve_auto()
    return request.name, load(request.name).find_device(request.device), ""


@lru_cache(maxsize=1)
def _resolve_auto() -> tuple[str, Device, str]:
    try:
        return "cupy", load("cupy").find_device(None), ""
    except BackendError as error:
        reason = str(error)
    import logging  # noqa: PLC0415  (slow; not at `import gradlab`)

    logging.getLogger("gradlab").warning("backend auto: using numpy, because %s", reason)
    return "numpy", load("numpy").find_device(None), reason


def _find_dtype(name: str, device: Device) -> str:
    dtype, source = _requested_dtype()
    known = load(name).device_dtypes(device)
    if dtype is None:
        return known[0]
    if dtype not in known:
        msg = f"{source} {dtype}: device {device!r} of {name} has only {', '.join(known)}"
        raise UnsupportedDTypeError(msg)
    return dtype


def _requested_dtype() -> tuple[str | None, str]:
    dtype = _dtype_in_context.get() or _of_process["dtype"]
    if dtype is not None:
        return dtype, "`dtype`"
    value = os.environ.get("GRADLAB_DTYPE", "").strip().lower()
    return (_check_dtype(value, "GRADLAB_DTYPE") if value else None), "GRADLAB_DTYPE"


def _check_dtype(dtype: str, source: str) -> str:
    if dtype not in DTYPES:
        msg = f"{source} must be float64 or float32: got {dtype!r}"
        raise UnsupportedDTypeError(msg)
    return dtype
