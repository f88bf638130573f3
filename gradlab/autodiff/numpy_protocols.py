"""How NumPy and CuPy hand their functions, and the methods of arrays, to a traced array."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NoReturn

from gradlab.autodiff.numpy_names import FUNCTIONS, METHODS, UFUNCS

__all__ = ["NumPyProtocols"]

_REDUCED = {
    "add": "sum",
    "logical_and": "all",
    "logical_or": "any",
    "maximum": "max",
    "minimum": "min",
    "multiply": "prod",
}
_ACCUMULATED = {"add": "cumsum", "multiply": "cumprod"}
_FFT_OPTIONS = {"n": ("s", "axes", "norm"), "shift": ("axes",)}  # by the ends of names


class NumPyProtocols:
    """What an array answers to NumPy's and CuPy's functions, and the methods that theirs have.

    A base of the traced array, without a state of its own.
    """

    __slots__ = ()

    def __array_ufunc__(self: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method == "at":
            msg = (
                f"np.{ufunc.__name__}.at would write where nodes may have saved, in spite of what "
                "is read-only: write x[k] += v with an array x of the traced namespace, whose "
                "indices k differ"
            )
            raise TypeError(msg)
        if "out" in options:
            msg = (
                "a plain array cannot take in what is traced: write y = y + x for y += x and for "
                "`out=`, or make y with a function of x's namespace, such as xp.asarray(y)"
            )
            raise TypeError(msg)
        function = None
        if _goes_by_its_name(ufunc):
            function = _ufunc_method(self.__array_namespace__(), ufunc.__name__, method)
        name = f"np.{ufunc.__name__}" if method == "__call__" else f"np.{ufunc.__name__}.{method}"
        if function is not None and (method != "__call__" or not options):
            return function(*_listed(self.__array_namespace__(), inputs), **options)
        return _on_values(name, getattr(ufunc, method), inputs, options)

    def __array_function__(self: Any, func: Any, types: Any, args: Any, options: Any) -> Any:
        name = f"{func.__module__}.{func.__name__}".removeprefix("numpy.")
        function = _function(self.__array_namespace__(), name)
        if function is not None:
            return function(*args, **options)
        return _on_values(f"np.{name}", func, args, options)

    def __cupy_override_elementwise_kernel__(
        self: Any, kernel: Any, *args: Any, **options: Any
    ) -> Any:
        name = kernel.name.removeprefix("cupy_")
        xp = self.__array_namespace__()
        function = partial(FUNCTIONS["where"], xp) if name == "where" else _ufunc(xp, name)
        what = f"the kernel {kernel.name}"
        if options or len(args) > kernel.nin:
            what += f" with `{', '.join(options) or 'out'}`"
        elif function is not None and name != kernel.name:
            return function(*args)
        return self._refuse(what)

    @property
    def real(self: Any) -> Any:
        return self.__array_namespace__().real(self)

    @property
    def imag(self: Any) -> Any:
        return self.__array_namespace__().imag(self)

    @property
    def flat(self: Any) -> Any:
        msg = "a traced array has no x.flat: take x.reshape(-1), or write to x[...]"
        raise AttributeError(msg)

    def tolist(self: Any) -> Any:
        """Python numbers of a constant; a traced array raises."""
        return self._on_host("x.tolist()").tolist()

    def tobytes(self: Any, order: Any = "C") -> bytes:
        """Bytes of a constant; a traced array raises."""
        return self._on_host("x.tobytes()").tobytes(order)

    def view(self: Any, *_: Any, **__: Any) -> NoReturn:
        """Refuse to read the same memory as another type."""
        msg = "a traced array has no x.view(): take x[...], or x.astype(dtype) for another dtype"
        raise TypeError(msg)

    def sort(self: Any, *_: Any, **__: Any) -> NoReturn:
        """Refuse to sort in place."""
        msg = "x.sort() would write into a traced array: write y = np.sort(x), or xp.sort(x)"
        raise TypeError(msg)


def _method(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **options: Any) -> Any:
        return function(self.__array_namespace__(), self, *args, **options)

    call.__name__, call.__qualname__ = name, f"Array.{name}"
    call.__doc__ = f"As numpy.ndarray.{name}."
    return call


for _name, _given in METHODS.items():
    setattr(NumPyProtocols, _name, _method(_name, _given))


@cache
def _goes_by_its_name(ufunc: Any) -> bool:
    """Whether it is NumPy's or SciPy's: others may compute another thing by the same name."""
    public, own = ("numpy", "scipy.special"), ("numpy._core.umath", "scipy.special._ufuncs")
    return any(
        getattr(sys.modules.get(module), ufunc.__name__, None) is ufunc for module in public + own
    )


def _ufunc(xp: Any, name: str) -> Callable[..., Any] | None:
    found = UFUNCS.get(name, name)
    if not isinstance(found, str):
        return partial(found, xp)
    return getattr(xp, found, None) or getattr(xp.special, found, None)  # SciPy's ufuncs, too


def _ufunc_method(xp: Any, name: str, method: str) -> Callable[..., Any] | None:
    """Function for a ufunc or one of its methods; those go along the first axis."""
    if method == "__call__":
        return _ufunc(xp, name)
    table = {"reduce": _REDUCED, "accumulate": _ACCUMULATED}.get(method, {})
    if name in table:
        return partial(FUNCTIONS[table[name]], xp, axis=0)
    function = _ufunc(xp, name) if method == "outer" else None
    return None if function is None else partial(_outer, function)


def _outer(function: Callable[..., Any], a: Any, b: Any) -> Any:
    b_ndim = getattr(b, "ndim", 0)
    return function(a[(..., *(None,) * b_ndim)] if getattr(a, "ndim", 0) else a, b)


def _function(xp: Any, name: str) -> Callable[..., Any] | None:
    """Function of NumPy by its name; of `linalg` and `fft`, the standard's own where it has one."""
    if name in FUNCTIONS:
        return partial(FUNCTIONS[name], xp)
    part, _, last = name.rpartition(".")
    found = getattr(getattr(xp, part, None), last, None) if part in ("linalg", "fft") else None
    return partial(_fft, found, last) if found is not None and part == "fft" else found


def _fft(function: Callable[..., Any], name: str, a: Any, *given: Any, **options: Any) -> Any:
    """Transform whose options may be given by position, and None for none."""
    names = next(
        (o for end, o in _FFT_OPTIONS.items() if name.endswith(end)), ("n", "axis", "norm")
    )
    options |= dict(zip(names, given, strict=False))
    return function(a, **{option: value for option, value in options.items() if value is not None})


def _listed(xp: Any, inputs: tuple[Any, ...]) -> list[Any]:
    return [xp.asarray(x) if isinstance(x, list | tuple) else x for x in inputs]


def _on_values(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """What a function without a rule makes of constants; traced arrays refuse."""
    what = f"{name} with `{', '.join(options)}`" if options else name
    values = {option: _values(x, what) for option, x in options.items()}
    return function(*(_values(x, what) for x in args), **values)


def _values(x: Any, what: str) -> Any:
    """Read-only arrays of NumPy for the constants in `x`: nodes may have saved them."""
    if isinstance(x, list | tuple):
        return type(x)(_values(e, what) for e in x)
    return x._on_host(what) if issubclass(type(x), NumPyProtocols) else x
