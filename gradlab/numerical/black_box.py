"""Calling functions that gradlab knows nothing of: what goes in, and what may come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradlab import tree
from gradlab.backend import (
    Array,
    Namespace,
    ensure_array,
    get_backend,
    is_array,
    kind_of,
    namespace,
    owned,
    rows_of,
    stack_arrays,
    stack_scalars,
)

__all__ = [
    "check_number",
    "real_leaves",
    "real_result",
    "run_arrays",
    "run_batch",
    "run_one_array",
    "run_one_by_one",
    "stack_results",
]


def run_one_by_one(f: Callable[[Any], Any], build: Any, points: list[Array]) -> Array:
    """Values of the scalar function `f`, shape (k,), at k points, each a row of every array."""
    return stack_results(_results(f, build, points), points[0])


def stack_results(results: list[Any], like: Array) -> Array:
    """Shape (k,), of what k calls of a scalar function of arrays such as `like` returned."""
    kinds = _check_numbers(results, like)
    if len(kinds) > 1 and any(map(is_array, results)):
        # NaN as a number, where f is not defined
        results = [r if is_array(r) else stack_scalars([r], like)[0, ...] for r in results]
    column = stack_scalars(results, like)
    if column.ndim != 1:
        msg = (
            f"`f` must return a scalar: got shape {column.shape[1:]}; reduce it (xp.sum, xp.mean) "
            "or take its element"
        )
        raise ValueError(msg)
    return column


def _results(f: Callable[[Any], Any], build: Any, points: list[Array]) -> list[Any]:
    rows = [rows_of(chunk) for chunk in points]
    if len(rows) == 1 and build(rows[0][:1]) is rows[0][0]:  # of an array alone, it is the argument
        at: Any = rows[0]
    else:
        at = [build(row) for row in zip(*rows, strict=True)]
    first = f(at[0])
    if not is_array(first):
        return [first, *[f(x) for x in at[1:]]]
    return [owned(first), *[owned(f(x)) for x in at[1:]]]


def run_batch(f: Callable[[Any], Any], build: Any, points: list[Array]) -> Array:
    """Values of the vectorized `f`, shape (k,), from one call."""
    result = f(build(points))
    k = points[0].shape[0]
    if not is_array(result) or result.shape != (k,):
        came = f"shape {result.shape}" if is_array(result) else type(result).__name__
        msg = f"`f` with vectorized=True must return shape (k,) for k = {k} points: got {came}"
        raise ValueError(msg)
    namespace(points[0], result, names=("x", "the result of f"))
    return owned(result)


def run_one_array(f: Callable[[Any], Any], build: Any, points: list[Array]) -> Array:
    """Arrays that `f` gives at k points, stacked: shape (k, ...)."""
    like = points[0]
    results = _results(f, build, points)
    _check_numbers(results, like)
    results = [x if is_array(x) else stack_scalars([x], like)[0, ...] for x in results]
    shapes = sorted({tuple(result.shape) for result in results})
    if len(shapes) > 1:
        msg = f"`f` must return arrays of one shape: got {shapes[0]} and {shapes[1]}"
        raise ValueError(msg)
    return stack_arrays(results)


def run_arrays(f: Callable[[Any], Any], build: Any, points: list[Array]) -> Array:
    """Arrays of the vectorized `f`, shape (k, ...), from one call."""
    result = f(build(points))
    k = points[0].shape[0]
    if not is_array(result) or result.ndim == 0 or result.shape[0] != k:
        came = f"shape {result.shape}" if is_array(result) else type(result).__name__
        msg = f"`f` with vectorized=True must return shape (k, ...) for k = {k} points: got {came}"
        raise ValueError(msg)
    namespace(points[0], result, names=("x", "the result of f"))
    return owned(result)


def _check_numbers(results: list[Any], like: Array) -> set[type]:
    """Check one of each type, and return the types."""
    kinds = set(map(type, results))
    for kind in kinds:
        check_number(next(result for result in results if type(result) is kind), like)
    return kinds


def check_number(result: Any, like: Array) -> None:
    """Raise TypeError unless `result` is a number or an array of the library of `like`."""
    if type(result) is type(like):
        return
    if is_array(result):
        namespace(like, result, names=("x", "the result of f"))
    elif isinstance(result, bool) or not (
        isinstance(result, int | float) or hasattr(result, "dtype")
    ):
        hint = " (does it lack a return?)" if result is None else ""
        msg = f"`f` must return a real array or number: got {type(result).__name__}{hint}"
        raise TypeError(msg)


def real_result(xp: Namespace, result: Array, like: Array) -> Array:
    """Return `result` if it is real floating, integers in the dtype of `like`."""
    kind = kind_of(result.dtype)
    if kind == "real floating":
        return result
    if kind == "integral":
        return xp.astype(result, like.dtype)
    msg = f"`f` must return real numbers: got {result.dtype}"
    raise TypeError(msg)


def real_leaves(x: tree.Tree, called: str = "x") -> list[Array]:
    """Leaves of `x` as real floating arrays of one library; `called` is its name in messages."""
    named = {name: ensure_array(leaf, name) for name, leaf in tree.items(x, called)}
    if not named:
        msg = f"`{called}` must hold at least one array: got {x!r}"
        raise ValueError(msg)
    xp = namespace(*named.values(), names=tuple(named))
    for name, leaf in named.items():
        kind = kind_of(leaf.dtype)
        if kind == "integral":
            named[name] = xp.astype(leaf, getattr(xp, get_backend().dtype))
        elif kind != "real floating":
            msg = f"`{name}` must be real: got {leaf.dtype}; differentiate in real parameters"
            raise TypeError(msg)
    return list(named.values())
