"""Exact derivatives of functions: what users call.

Every verb opens a trace of its own, inside those that are open: traces nest to any order, and what
is variable in one is constant in those inside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from operator import index
from typing import Any

from gradlab import tree
from gradlab.autodiff.trace import Trace, constants, ones_like, own, shaped_like, unwrapped
from gradlab.backend import is_array, namespace

__all__ = [
    "grad",
    "gradient",
    "hvp",
    "jvp",
    "value_and_grad",
    "value_and_gradient",
    "vjp",
]


def value_and_grad(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    has_aux: bool = False,
    nan_safe: bool = False,
) -> Callable[..., Any]:
    """Function that gives the value of `f` and its exact gradient.

    Parameters
    ----------
    f : callable
        Maps arrays, or trees of them, to a real scalar, with the functions of their own namespace
        (``xp = x.__array_namespace__()``) and with operators.
    argnums : int or sequence of int
        Which positional arguments to differentiate in. All others are constants.
    has_aux : bool
        `f` returns ``(value, aux)``; aux, any tree, is handed on.
    nan_safe : bool
        A cotangent of zero stays zero where an elementwise function's derivative is not a number
        or infinite: ``where(x > 0, x, sqrt(-x))`` then has the gradient of the branch taken.

    Returns
    -------
    callable
        With the arguments of `f`; gives ``(value, gradient)``, with `has_aux` ``((value, aux),
        gradient)``. The gradient has the structure, shapes, dtypes and device of the argument; of
        several arguments it is a tuple. What `f` does not use gets zeros. Cost: about that of
        three calls of `f`, and memory for what the backward pass needs.

    Raises
    ------
    TypeError
        If an argument to differentiate in is not of floating dtype, arrays are of two libraries,
        or `f` returns no real number.
    ValueError
        If `f` does not return a scalar.

    References
    ----------
    Griewank and Walther, Evaluating Derivatives, 2nd ed., chapter 3.

    Examples
    --------
    >>> import gradlab as gl
    >>> f = gl.value_and_grad(lambda x, y: x * y**2, argnums=(0, 1))
    >>> value, (dx, dy) = f(gl.asarray(3.0), gl.asarray(2.0))
    >>> float(value), float(dx), float(dy)
    (12.0, 4.0, 12.0)
    """
    is_one = not isinstance(argnums, Iterable)
    wanted: Any = (argnums,) if is_one else argnums
    numbers = tuple(index(k) for k in wanted)  # of NumPy, too
    called = f"argument {numbers[0]}" if is_one else "arguments"

    @wraps(f)
    def call(*args: Any, **options: Any) -> Any:
        places = _places(argnums, numbers, len(args))
        if is_one:
            trace = Trace(args[places[0]], called)
            lifted = {places[0]: trace.argument}
        else:
            trace = Trace({k: args[k] for k in places}, called)
            lifted = trace.argument
        found = [trace.inner[0]]
        arguments = [lifted[k] if k in lifted else constants(x, found) for k, x in enumerate(args)]
        given = {name: constants(x, found) for name, x in options.items()} if options else options
        if len(found) > 1:
            _check_library(found, places, args, options)
        result = f(*arguments, **given)
        if has_aux:
            if not isinstance(result, tuple | list) or len(result) != 2:  # noqa: PLR2004
                msg = f"`f` must return (value, aux) with has_aux: got {type(result).__name__}"
                raise TypeError(msg)
            result, aux = result
        value, node = trace.scalar(result)
        gradient = trace.build(trace.pulled(node, ones_like(value), nan_safe=nan_safe))
        if not is_one:
            gradient = tuple(gradient[k] for k in places)
        value = own([value], [value], trace.inner)[0]
        return ((value, unwrapped(aux, trace.level)), gradient) if has_aux else (value, gradient)

    return call


def _places(argnums: int | Sequence[int], numbers: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Which of `count` arguments are differentiated in, none of them twice."""
    if len(numbers) == 1 and 0 <= numbers[0] < count:
        return numbers
    if not numbers or min(numbers) < -count or max(numbers) >= count:
        msg = f"`argnums` {argnums!r} must be positions of the {count} arguments given"
        raise ValueError(msg)
    places = tuple(k % count for k in numbers)
    if len(set(places)) < len(places):
        msg = f"`argnums` {argnums!r} names an argument twice"
        raise ValueError(msg)
    return places


def _check_library(
    found: list[Any], places: tuple[int, ...], args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """Raise where arrays are of two libraries: the first differentiated in, and the constants."""
    try:
        namespace(*found)
    except TypeError:  # once more, with their names
        arrays = {f"argument {places[0]}": found[0]}
        others = {f"argument {k}": x for k, x in enumerate(args) if k not in places}
        for called, x in (others | options).items():
            arrays |= {name: leaf for name, leaf in tree.items(x, called) if is_array(leaf)}
        namespace(*arrays.values(), names=tuple(arrays))
        raise


def grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, *, nan_safe: bool = False
) -> Callable[..., Any]:
    """Function that gives the exact gradient of `f`; parameters and errors of `value_and_grad`.

    Examples
    --------
    >>> import gradlab as gl
    >>> gl.grad(lambda x: x**3)(gl.asarray(2.0))
    array(12.)
    >>> float(gl.grad(gl.grad(lambda x: x**3))(gl.asarray(2.0)))
    12.0
    """
    function = value_and_grad(f, argnums, nan_safe=nan_safe)

    @wraps(f)
    def call(*args: Any, **options: Any) -> Any:
        return function(*args, **options)[1]

    return call


def value_and_gradient(
    f: Callable[[Any], Any], x: tree.Tree, /, *, nan_safe: bool = False
) -> tuple[Any, tree.Tree]:
    """Value and exact gradient of `f` at `x`, as `gradlab.numerical.value_and_gradient` has them.

    Parameters and errors are those of `value_and_grad`; `x` may also be a number.
    """
    value, gradient = value_and_grad(f, nan_safe=nan_safe)(x)
    return value, gradient


def gradient(f: Callable[[Any], Any], x: tree.Tree, /, *, nan_safe: bool = False) -> tree.Tree:
    """Exact gradient of `f` at `x`: structure, shapes, dtypes and device of `x`.

    Parameters and errors are those of `value_and_grad`; `x` may also be a number.

    Examples
    --------
    >>> import gradlab as gl
    >>> gl.autodiff.gradient(lambda x: x[0] ** 2 + x[1] ** 2, gl.asarray([3.0, 4.0]))
    array([6., 8.])
    """
    return value_and_gradient(f, x, nan_safe=nan_safe)[1]


def vjp(f: Callable[[Any], Any], x: tree.Tree, u: Any, /) -> tree.Tree:
    """Vector-Jacobian product: cotangent of `x` for the cotangent `u` of ``f(x)``.

    Parameters
    ----------
    f : callable
        Maps what `x` is to an array. Called once.
    x : array or tree
        Floating. Not modified.
    u : array, shape of ``f(x)``

    Returns
    -------
    array or tree like `x`
        For complex numbers, with the inner product ``Re(sum(conj(a) * b))``. Cost and memory as
        for `value_and_grad`.

    Raises
    ------
    TypeError
        If `x` is not floating, arrays are of two libraries, or `f` returns no array.
    ValueError
        If `u` has another shape than ``f(x)``.

    References
    ----------
    Griewank and Walther, Evaluating Derivatives, 2nd ed., chapter 3.
    """
    trace = Trace(x)
    value, node = trace.output(f(trace.argument), "an array")
    u = shaped_like(u, value, "u", "f(x)")
    return trace.build(trace.pulled(node, u))


def jvp(f: Callable[[Any], Any], x: tree.Tree, v: tree.Tree, /) -> Any:
    """Jacobian-vector product: derivative of `f` at `x` along `v`, by forward differentiation.

    Parameters
    ----------
    f : callable
        Maps what `x` is to an array. Called once.
    x : array or tree
        Floating. Not modified.
    v : array or tree like `x`
        Direction; its length scales the result.

    Returns
    -------
    array, shape of ``f(x)``
        Exact. Cost: about that of three calls of `f`, which is recorded first.

    Raises
    ------
    TypeError
        If `x` is not floating, arrays are of two libraries, or `f` returns no array.
    ValueError
        If `v` is built otherwise than `x`, or has another shape.

    References
    ----------
    Griewank and Walther, Evaluating Derivatives, 2nd ed., chapter 3.
    """
    trace = Trace(x)
    tangents = _tangents(trace, v)
    value, node = trace.output(f(trace.argument), "an array")
    return trace.pushed(tangents, node, value)


def hvp(f: Callable[[Any], Any], x: tree.Tree, v: tree.Tree, /) -> tree.Tree:
    """Hessian-vector product of a scalar `f`, forward over reverse: the cost of a few gradients.

    Parameters
    ----------
    f : callable
        Maps what `x` is to a real scalar. Called once.
    x : array or tree
        Floating. Not modified.
    v : array or tree like `x`
        Direction; its length scales the result.

    Returns
    -------
    array or tree like `x`

    Raises
    ------
    TypeError, ValueError
        As `value_and_grad` and `jvp`.

    References
    ----------
    Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994).
    """
    trace = Trace(x)
    tangents = _tangents(trace, v)
    slopes = tree.leaves(gradient(f, trace.argument))
    outputs = [trace.output(g, "an array") for g in slopes]
    values = [value for value, _ in outputs]
    pushed = [trace.pushed(tangents, node, value) for value, node in outputs]
    return trace.build(own(pushed, values, ()))


def _tangents(trace: Trace, v: tree.Tree) -> list[Any]:
    names = [name for name, _ in tree.items(trace.argument, "v")]
    leaves = dict(tree.items(v, "v"))  # by name: a dict may be in another order
    if leaves.keys() != set(names):
        count, given = len(names), ", ".join(leaves)
        msg = f"`v` must be built like `x`, of {count} arrays: got {len(leaves)}, {given}"
        raise ValueError(msg)
    pairs = zip(names, trace.inner, strict=True)
    return [shaped_like(leaves[name], x, "v", "x") for name, x in pairs]
