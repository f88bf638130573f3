"""The namespace of traced arrays: every function of the standard, over the rules.

One namespace stands for one library, at every depth of traces. Functions with a rule record it;
composites below are written with others; discrete ones and those that make arrays give constants.
What is missing raises, and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from gradlab.autodiff.array import (
    Array,
    apply,
    constant,
    namespace_source,
    plain,
    record,
)
from gradlab.autodiff.composites import COMPOSITES, as_view, kept
from gradlab.autodiff.elementwise import is_inexact_dtype
from gradlab.autodiff.fourier import FOURIER
from gradlab.autodiff.linalg import LINEAR_ALGEBRA
from gradlab.autodiff.rule import DISCRETE, RULES, Rule
from gradlab.autodiff.special import Special
from gradlab.backend import is_array

__all__ = [
    "CREATION",
    "PLAIN",
    "UNSUPPORTED",
    "TracedNamespace",
    "traced_namespace",
]

CREATION = (
    *("arange", "empty", "empty_like", "eye", "linspace", "ones", "ones_like", "zeros"),
    "zeros_like",
)
PLAIN = (
    "broadcast_shapes",
    "can_cast",
    "finfo",
    "iinfo",
    "isdtype",
    "result_type",
)  # of dtypes, not of values
VIEWS = (
    *("expand_dims", "flip", "imag", "matrix_transpose", "moveaxis", "permute_dims"),
    *("positive", "real", "squeeze"),
)
CHANGING = ("roll", "std", "tril", "triu", "var")  # whose options may be lists or arrays
CONSTANTS = (
    *("e", "inf", "nan", "newaxis", "pi", "bool", "complex64", "complex128", "float32", "float64"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    "__array_api_version__",
)
_GENERAL = "symmetric matrices alone have a rule: use xp.linalg.eigh, or stop_gradient(x)"
UNSUPPORTED = {
    "from_dlpack": "a traced array is made by differentiating, not by exchange",
    "linalg.eig": _GENERAL,
    "linalg.eigvals": _GENERAL,
    "nextafter": "the neighbour of a floating number is no function that has a derivative",
    "unique_all": "which values are unique has no derivative: use xp.sort, or stop_gradient(x)",
    "unique_counts": "which values are unique has no derivative: use xp.sort, or stop_gradient(x)",
    "unique_inverse": "which values are unique has no derivative: use xp.sort, or stop_gradient(x)",
    "unique_values": "which values are unique has no derivative: use xp.sort, or stop_gradient(x)",
}


class TracedNamespace:
    """Functions of the standard that take and give traced arrays.

    Attributes
    ----------
    inner : namespace
        The library's own, whose arrays are constants here.
    """

    is_traced = True

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.__name__ = f"gradlab.autodiff.namespace({inner.__name__})"
        table: dict[str, Any] = {
            name: _recording(rule, inner) for name, rule in RULES.items() if not rule.is_internal
        }
        for name in (*CREATION, *DISCRETE, *UNSUPPORTED):
            table[name] = _constant_giving(getattr(inner, name, None), name)
        table |= {name: _on_plain(getattr(inner, name, None), name) for name in PLAIN}
        table |= {name: getattr(inner, name, None) for name in CONSTANTS}
        for name, value in table.items():
            if hasattr(inner, name):  # an older library lacks newer functions of the standard
                setattr(self, name, value)
        for name, function in COMPOSITES.items():
            setattr(self, name, _bound(function, self))
        self.linalg = _Extension(self, LINEAR_ALGEBRA)
        for name in ("eig", "eigvals"):
            if hasattr(inner.linalg, name):
                function = _constant_giving(getattr(inner.linalg, name), f"linalg.{name}")
                setattr(self.linalg, name, function)
        self.fft = _Extension(self, FOURIER)
        self.special = Special(self)

    def __repr__(self) -> str:
        return f"<namespace {self.__name__}>"

    def __getattr__(self, name: str) -> Any:
        msg = f"{self.__name__} has no {name!r}"
        raise AttributeError(msg)

    def __array_namespace_info__(self) -> Any:
        return self.inner.__array_namespace_info__()


class _Extension:
    """A part of the namespace, such as ``linalg``."""

    def __init__(self, xp: TracedNamespace, functions: dict[str, Callable[..., Any]]) -> None:
        for name, function in functions.items():
            setattr(self, name, _bound(function, xp))


def traced_namespace(inner: Any) -> TracedNamespace:
    """Namespace of the traced arrays of a library, always the same object."""
    found = _namespaces.get(id(inner))
    if found is None:
        found = _namespaces[id(inner)] = TracedNamespace(inner)
    return found


_namespaces: dict[int, TracedNamespace] = {}  # by the library's namespace, which lives as long
namespace_source.append(traced_namespace)


def _recording(rule: Rule, inner: Any) -> Callable[..., Any]:
    arity, is_view = rule.arity, rule.name in VIEWS
    if arity == 1 and not is_view:
        return _recording_one(rule, inner)

    def function(*args: Any, **given: Any) -> Any:
        operands, rest = args[:arity], args[arity:]
        given.update(_positional(rule, rest))
        return as_view(rule, *operands, **given) if is_view else apply(rule, operands, given)

    return _named(function, rule.name, partial(rule.forward, inner))


def _recording_one(rule: Rule, inner: Any) -> Callable[..., Any]:
    """Function of one array; one of a first-order trace takes the short way."""
    keep_a, keep_y = (k in rule.needed((0,)) for k in (0, 1))
    defaults, may_round, may_change = rule.defaults, "dtype" in rule.defaults, rule.name in CHANGING
    forward: Any = getattr(inner, rule.name, None)
    if defaults:
        forward = partial(rule.forward, inner)

    def function(x: Any, /, *rest: Any, **given: Any) -> Any:
        if rest:
            given.update(_positional(rule, rest))
        if may_change:
            given = kept(given)
        if type(x) is Array and x._alias is None and x._node is not None:
            a = x._inner
            if type(a) is not Array:
                y = forward(a, **given)
                if may_round and not is_inexact_dtype(y.dtype):
                    return constant(y)
                saved = (a if keep_a else None, y if keep_y else None)
                if defaults:
                    given = {**defaults, **given}
                return record(y, rule, (x._node,), (0,), saved, given, inner)
        return apply(rule, (x,), given)

    return _named(function, rule.name, partial(rule.forward, inner))


def _positional(rule: Rule, rest: tuple[Any, ...]) -> Any:
    """Options that were given by position, with their names."""
    options = tuple(rule.defaults)
    if len(rest) > len(options):
        most, came = rule.arity + len(options), rule.arity + len(rest)
        msg = f"xp.{rule.name} takes at most {most} arguments: got {came}"
        raise TypeError(msg)
    return zip(options, rest, strict=False)


def _constant_giving(function: Any, name: str) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        if name in UNSUPPORTED and any(type(x) is Array and x._node is not None for x in args):
            msg = f"xp.{name} of a traced array: {UNSUPPORTED[name]}"
            raise NotImplementedError(msg)
        if name in CREATION:  # of the arrays that they are like, these take no values
            for x in (*args["_like" in name :], *options.values()):
                if type(x) is Array:
                    x._value(f"xp.{name}")
        args = tuple(_plain_tree(x) for x in args)
        return _constant_tree(function(*args, **{k: plain(v) for k, v in options.items()}))

    return _named(call, name, function)


def _on_plain(function: Any, name: str) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        return function(*(plain(x) for x in args), **options)

    return _named(call, name, function)


def _bound(function: Callable[..., Any], xp: TracedNamespace) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        return function(xp, *args, **options)

    return _named(call, function.__name__, partial(function, xp))


def _named(call: Any, name: str, wrapped: Any) -> Callable[..., Any]:
    """Name a function, and say whose signature `inspect` is to show."""
    call.__name__ = call.__qualname__ = name
    call.__wrapped__ = wrapped
    return call


def _plain_tree(x: Any) -> Any:
    return type(x)(plain(e) for e in x) if type(x) in (list, tuple) else plain(x)


def _constant_tree(x: Any) -> Any:
    if isinstance(x, tuple):
        made = [constant(e) for e in x]
        return type(x)(*made) if hasattr(x, "_fields") else tuple(made)
    return constant(x) if is_array(x) or hasattr(x, "dtype") else x
