"""NumPy's functions by NumPy's names, written with the standard's.

A table: NumPy's name to ``function(xp, ...)``, whose further parameters have NumPy's names, order
and defaults. `xp` is the traced namespace, so that what is computed is recorded, whatever library
holds the data. An option that changes nothing where it has its default, and cannot be honoured
where it has not, is a parameter that no function reads: `REFUSED` lists them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gradlab.backend import is_array

__all__ = [
    "FUNCTIONS",
    "METHODS",
    "REFUSED",
    "UFUNCS",
    "argsort_of",
    "as_array",
    "as_arrays",
    "as_one_dtype",
    "at_part",
    "cast",
    "entered",
    "flat",
    "in_double",
    "named",
    "product_on",
    "sort_of",
    "sum_on",
]

REFUSED = (
    *("casting", "edge_order", "equal_nan", "initial", "left", "mode", "order", "out", "period"),
    *("returned", "right", "sorter", "sparse", "subok", "where"),
)
_VARIADIC = 0x04  # of a code object's flags: it has *args

FUNCTIONS: dict[str, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}  # those that are not the function of the same name

# Elementwise functions and their methods: what the standard calls them, where it has another name,
# or a function
UFUNCS: dict[str, str | Callable[..., Any]] = {
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")},
    "absolute": "abs",
    "conjugate": "conj",
    "cbrt": lambda xp, x: xp.sign(x) * xp.abs(x) ** (1 / 3),
    "degrees": lambda xp, x: x * (180 / math.pi),
    "divmod": lambda xp, x, y: (xp.floor_divide(x, y), xp.remainder(x, y)),
    "exp2": lambda xp, x: 2.0**x,
    "fabs": "abs",
    "float_power": lambda xp, x, y: xp.pow(*in_double(xp, x, y)),
    "fmax": lambda xp, x, y: _ignoring_nan(xp, xp.maximum, x, y),
    "fmin": lambda xp, x, y: _ignoring_nan(xp, xp.minimum, x, y),
    "fmod": lambda xp, x, y: _fmod(xp, *as_one_dtype(xp, x, y)),
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "logaddexp2": lambda xp, x, y: (
        xp.logaddexp(*(z * math.log(2) for z in as_one_dtype(xp, x, y))) / math.log(2)
    ),
    "power": "pow",
    "radians": lambda xp, x: x * (math.pi / 180),
    "right_shift": "bitwise_right_shift",
    "rint": "round",
    "true_divide": "divide",
}
UFUNCS |= {"deg2rad": UFUNCS["radians"], "rad2deg": UFUNCS["degrees"]}


def entered(
    name: str, function: Callable[..., Any], table: dict[str, Callable[..., Any]] = FUNCTIONS
) -> Callable[..., Any]:
    """Enter a function into the table, so that it refuses what it cannot honour."""
    code, defaults = function.__code__, function.__defaults__ or ()
    positional = code.co_varnames[1 : code.co_argcount]
    is_variadic = bool(code.co_flags & _VARIADIC)
    every = {
        **dict(zip(reversed(positional), reversed(defaults), strict=False)),
        **(function.__kwdefaults__ or {}),
    }
    refused = {option: value for option, value in every.items() if option in REFUSED}
    function.__qualname__ = f"np.{name}"  # what Python's own errors call it

    def call(xp: Any, /, *args: Any, **options: Any) -> Any:  # an option may be called xp, too
        given = options
        if not is_variadic:
            given = {**dict(zip(positional, args, strict=False)), **options}
            if len(given) < len(args) + len(options):
                return function(xp, *args, **options)  # too many, or twice: it raises
            args = ()
        for option, default in refused.items():
            if option in given and not _is_same(given[option], default):
                msg = (
                    f"np.{name} cannot honour `{option}` for a traced array: leave it out, and "
                    "compute what it stands for with other functions"
                )
                raise TypeError(msg)
        if given.get("dtype") is not None:  # by any name that the library knows, such as "f4"
            given = {**given, "dtype": xp.empty((0,), dtype=given["dtype"]).dtype}
        return function(xp, *args, **given)

    table[name] = call
    return call


def _is_same(value: Any, default: Any) -> bool:
    if default == "K" and isinstance(value, str):
        return value in "KAC"  # how a copy lies in memory, but for Fortran's order
    return value is default or (type(value) is type(default) and bool(value == default))


def named(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function by these names."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            entered(name, function)
        return function

    return enter


def as_array(xp, x):
    return x if is_array(x) else xp.asarray(x)


def as_arrays(xp, *given):
    return [as_array(xp, x) for x in given]


def cast(xp, x, dtype):
    return x if dtype is None else xp.astype(x, dtype, copy=False)


def flat(xp, x):
    return xp.reshape(x, (-1,))


def at_part(axis, part):
    """Key of a part along an axis that is not negative."""
    return (*((slice(None),) * axis), part, ...)


def _signed(xp, sign, x):
    """`x` with the other sign where `sign` is negative: at 0, its slope is 1."""
    return xp.where(sign < 0, -x, x)


def _fmod(xp, x, y):
    return _signed(xp, x, xp.remainder(_signed(xp, x, x), _signed(xp, y, y)))


def as_one_dtype(xp, *given):
    """Arrays in the dtype of all: of their own, numbers would wrap or lose precision."""
    dtype = xp.result_type(*given)
    return [xp.astype(as_array(xp, x), dtype, copy=False) for x in given]


def in_double(xp, *given):
    """Arrays in double precision; numbers as they are."""
    return [
        xp.astype(x, xp.result_type(x, xp.float64), copy=False) if hasattr(x, "dtype") else x
        for x in given
    ]


def _ignoring_nan(xp, f, x, y):
    x, y = as_one_dtype(xp, x, y)
    chosen = xp.where(xp.isnan(y), x, f(x, y))
    return xp.where(xp.isnan(x), y, chosen)


def _of_flat(name):
    """Function along an axis that takes the flat array where there is none."""

    def function(xp, a, axis, **options):
        if axis is None:
            a, axis = flat(xp, a), -1
        return getattr(xp, name)(a, axis=axis, **options)

    return function


argsort_of, sort_of, sum_on, product_on = (
    _of_flat(name) for name in ("argsort", "sort", "cumulative_sum", "cumulative_prod")
)
