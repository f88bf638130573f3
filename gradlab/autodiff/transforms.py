"""Exact derivatives of functions: what users call.

Every verb opens a trace of its own, inside those that are open: traces nest to any order, and what
is variable in one is constant in those inside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from numbers import Complex, Real
from operator import index
from typing import Any

from gradlab import tree
from gradlab.autodiff.array import Array, constant, frozen, lift, plain
from gradlab.autodiff.elementwise import is_complex_dtype, is_inexact_dtype
from gradlab.autodiff.graph import pull, push
from gradlab.autodiff.node import LEVEL, Node, next_serial
from gradlab.backend import ensure_array, fresh, is_array, namespace

__all__ = [
    "grad",
    "gradient",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "value_and_grad",
    "value_and_gradient",
    "vjp",
]


class _Trace:
    """A call of f with some of its arguments lifted, and what it gave."""

    def __init__(self, x: tree.Tree, called: str = "x") -> None:
        self.level = level = next_serial()
        leaves, self.build = tree.flatten(x)
        if not leaves:
            msg = f"`{called}` must hold at least one array: got {x!r}"
            raise ValueError(msg)
        if not all(map(is_array, leaves)):
            leaves = [ensure_array(leaf, name) for name, leaf in tree.items(x, called)]
        try:
            namespace(*leaves)
        except TypeError:  # once more, with their names
            names = tuple(name for name, _ in tree.items(x, called))
            namespace(*leaves, names=names)
            raise
        lifted = []
        for k, leaf in enumerate(leaves):
            if not is_inexact_dtype(leaf.dtype):
                raise TypeError(_not_floating(list(tree.items(x, called))[k][0], leaf))
            lifted.append(lift(leaf, level))
        self.inner = [leaf._inner for leaf in lifted]
        self.nodes: list[Any] = [leaf._node for leaf in lifted]
        self.argument = self.build(lifted)

    def output(self, result: Any, what: str) -> tuple[Any, Node | None]:
        """Inner value of an output of f, and its node if it depends on the argument."""
        if type(result) is not Array:
            if not (isinstance(result, Complex) or is_array(result)):
                hint = " (does it lack a return?)" if result is None else ""
                msg = f"`f` must return {what}: got {type(result).__name__}{hint}"
                raise TypeError(msg)
            if is_array(result):
                xp = namespace(plain(self.inner[0]), result, names=("x", "the result of f"))
                if not xp.isdtype(result.dtype, ("bool", "numeric")):  # objects may be traced
                    msg = f"`f` must return {what} of numbers: got {result.dtype}"
                    raise TypeError(msg)
                return result, None
            like = plain(self.inner[0])
            dtype = like.dtype if isinstance(result, Real) else None
            return namespace(like).asarray(result, dtype=dtype, device=like.device), None
        data = result._read()
        if result._node is None:
            return data, None
        if result._node[LEVEL] == self.level:
            return data, result._node
        if result._node[LEVEL] > self.level:
            msg = (
                "`f` returned what depends on a traced array that has left the function it was "
                "traced for, and with it its derivative: return it from that function, as aux"
            )
            raise ValueError(msg)
        return result, None

    def scalar(self, result: Any) -> tuple[Any, Node | None]:
        """Output of an f that must give one real number."""
        value, node = self.output(result, "a real scalar")
        if value.shape != ():
            msg = (
                f"`f` must return a scalar: got shape {value.shape}; reduce it (xp.sum, xp.mean), "
                "or take autodiff.jacobian"
            )
            raise ValueError(msg)
        if is_complex_dtype(value.dtype):
            msg = f"`f` must return a real number: got {value.dtype}; take xp.real or xp.abs of it"
            raise TypeError(msg)
        return value, node

    def pulled(self, node: Node | None, u: Any, *, nan_safe: bool = False) -> list[Any]:
        """Cotangents of the leaves, arrays of their own; zeros where there is no way to them."""
        found = [None] * len(self.nodes)
        if node is not None:
            found = pull([(node, u)], self.nodes, nan_safe=nan_safe)
        return _own(found, self.inner, (u,))

    def pushed(self, tangents: Sequence[Any], node: Node | None, value: Any) -> Any:
        """Tangent of an output; None among those of the leaves is zero."""
        pairs = zip(self.nodes, tangents, strict=True)
        t = (
            None
            if node is None
            else push([pair for pair in pairs if pair[1] is not None], [node])[0]
        )
        return _own([t], [value], tangents)[0]


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
    given: Any = (argnums,) if is_one else argnums
    numbers = tuple(index(k) for k in given)  # of NumPy, too

    @wraps(f)
    def call(*args: Any, **options: Any) -> Any:
        places = _places(argnums, numbers, len(args))
        if is_one:
            k = places[0]
            trace = _Trace(args[k], f"argument {k}")
            lifted = {k: trace.argument}
        else:
            trace = _Trace({k: args[k] for k in places}, "arguments")
            lifted = trace.argument
        others = {k: x for k, x in enumerate(args) if k not in lifted} | options
        if others:
            _check_library(trace.inner[0], places[0], others)
        arguments = [lifted[k] if k in lifted else _constants(x) for k, x in enumerate(args)]
        if options:
            options = {name: _constants(x) for name, x in options.items()}
        result = f(*arguments, **options)
        if has_aux:
            if not isinstance(result, tuple | list) or len(result) != 2:  # noqa: PLR2004
                msg = f"`f` must return (value, aux) with has_aux: got {type(result).__name__}"
                raise TypeError(msg)
            result, aux = result
        value, node = trace.scalar(result)
        gradient = trace.build(trace.pulled(node, _ones_like(value), nan_safe=nan_safe))
        if not is_one:
            gradient = tuple(gradient[k] for k in places)
        value = _own([value], [value], trace.inner)[0]
        return ((value, _unwrapped(aux, trace.level)), gradient) if has_aux else (value, gradient)

    return call


def _places(argnums: int | Sequence[int], numbers: tuple[int, ...], count: int) -> list[int]:
    """Which of `count` arguments are differentiated in, none of them twice."""
    if not numbers or min(numbers) < -count or max(numbers) >= count:
        msg = f"`argnums` {argnums!r} must be positions of the {count} arguments given"
        raise ValueError(msg)
    places = [k % count for k in numbers]
    if len(set(places)) < len(places):
        msg = f"`argnums` {argnums!r} names an argument twice"
        raise ValueError(msg)
    return places


def _check_library(leaf: Any, place: int, others: dict[Any, Any]) -> None:
    """Raise where other arguments are of another library than `leaf`, of that at `place`."""
    arrays = {f"argument {place}": leaf}
    for key, other in others.items():
        called = key if isinstance(key, str) else f"argument {key}"
        arrays |= {name: x for name, x in tree.items(other, called) if is_array(x)}
    namespace(*arrays.values(), names=tuple(arrays))


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
    trace = _Trace(x)
    value, node = trace.output(f(trace.argument), "an array")
    u = _shaped_like(u, value, "u", "f(x)")
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
    trace = _Trace(x)
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
    trace = _Trace(x)
    tangents = _tangents(trace, v)
    slopes = tree.leaves(gradient(f, trace.argument))
    outputs = [trace.output(g, "an array") for g in slopes]
    values = [value for value, _ in outputs]
    pushed = [trace.pushed(tangents, node, value) for value, node in outputs]
    return trace.build(_own(pushed, values, ()))


def jacobian(f: Callable[[Any], Any], x: tree.Tree, /) -> tree.Tree:
    """Jacobian of `f` at `x`: every element of ``f(x)`` by every element of `x`.

    Parameters
    ----------
    f : callable
        Maps what `x` is to an array. Called once.
    x : array or tree
        Real floating. Not modified.

    Returns
    -------
    array or tree like `x`
        Of each array, shape ``f(x).shape + x.shape``, in its dtype (of a complex ``f(x)``, in that
        of this). Row by row backward, or column by column
        forward, whichever are fewer: each costs about two calls of `f`.

    Raises
    ------
    TypeError
        If `x` is not real floating, arrays are of two libraries, or `f` returns no array.

    References
    ----------
    Griewank and Walther, Evaluating Derivatives, 2nd ed., chapter 3.
    """
    trace = _Trace(_real(x, "jacobian"))
    value, node = trace.output(f(trace.argument), "an array")
    return trace.build(_jacobian(trace, value, node))


def hessian(f: Callable[[Any], Any], x: tree.Tree, /) -> tree.Tree:
    """Hessian of a scalar `f` at `x`, forward over reverse, exactly symmetric.

    Parameters
    ----------
    f : callable
        Maps what `x` is to a real scalar. Called once.
    x : array or tree
        Real floating. Not modified.

    Returns
    -------
    array or tree
        Of an array, shape ``x.shape + x.shape``; of a tree, one like `x` whose leaves are trees
        like `x`. Column by column, each at the cost of a Hessian-vector product.

    Raises
    ------
    TypeError
        If `x` is not real floating, arrays are of two libraries, or `f` returns no real number.
    ValueError
        If `f` does not return a scalar.

    References
    ----------
    Griewank and Walther, Evaluating Derivatives, 2nd ed., chapter 3.
    """
    trace = _Trace(_real(x, "hessian"))
    slopes = tree.leaves(gradient(f, trace.argument))
    rows = [_jacobian(trace, *trace.output(slope, "an array")) for slope in slopes]
    return trace.build(
        [
            trace.build([_mean(block, rows[j][i], slope) for j, block in enumerate(rows[i])])
            for i, slope in enumerate(slopes)
        ]
    )


def _jacobian(trace: _Trace, value: Any, node: Node | None) -> list[Any]:
    """Derivatives of all elements of an output, leaf by leaf."""
    xp = namespace(value if node is None else trace.inner[0])
    rows, columns = math.prod(value.shape), sum(math.prod(x.shape) for x in trace.inner)
    is_complex = is_complex_dtype(value.dtype)
    parts: list[list[Any]] = [[] for _ in trace.inner]
    axis = -1
    if node is not None and rows < columns and not is_complex:
        axis = 0  # pulled back: of a complex value, x would stay real
        for u in _basis(value):
            for of_leaf, part in zip(parts, trace.pulled(node, u), strict=True):
                of_leaf.append(xp.reshape(part, (-1,)))
    elif node is not None and rows:
        for k, x in enumerate(trace.inner):
            for v in _basis(x):
                tangents = [v if j == k else None for j in range(len(parts))]
                parts[k].append(xp.reshape(trace.pushed(tangents, node, value), (-1,)))
    found = []
    for of_leaf, x in zip(parts, trace.inner, strict=True):
        shape, dtype = (*value.shape, *x.shape), value.dtype if is_complex else x.dtype
        if of_leaf:
            whole = xp.reshape(xp.stack(of_leaf, axis=axis), shape)
            found.append(xp.astype(whole, dtype, copy=False))
        else:
            found.append(xp.zeros(shape, dtype=dtype, device=value.device))
    return found


def _mean(block: Any, other: Any, like: Any) -> Any:
    """Mean of a block of a Hessian, whose rows are elements of `like`, and the one across."""
    xp, n, m = namespace(block), len(like.shape), len(block.shape)
    swapped = xp.permute_dims(other, (*range(m - n, m), *range(m - n)))
    mean = xp.astype((block + swapped) / 2, like.dtype, copy=False)
    return _own([mean], [block], ())[0]


def _basis(like: Any) -> list[Any]:
    """Unit vectors of the space that `like` lives in."""
    like = plain(like)
    xp, n = namespace(like), math.prod(like.shape)
    unit = xp.eye(n, dtype=like.dtype, device=like.device)
    return [xp.reshape(unit[k, :], like.shape) for k in range(n)]


def _not_floating(name: str, x: Any) -> str:
    return (
        f"`{name}` must be floating to be differentiated in: got {x.dtype}; convert it, "
        "such as by gradlab.asarray(x, 'float64')"
    )


def _constants(x: Any) -> Any:
    """Arrays of a tree as constants of their namespace; everything else as it is."""
    if type(x) is Array:
        return frozen(x)
    if is_array(x):
        namespace(x)  # raises where it is no plain array
        return constant(x)
    return tree.map(_constants, x) if tree.is_tree(x) else x


def _unwrapped(x: Any, level: int) -> Any:
    """Tree with what a trace of `level` had lifted as it is outside that trace."""
    if tree.is_tree(x):
        return tree.map(lambda leaf: _unwrapped(leaf, level), x)
    if type(x) is not Array:
        return x
    if x._node is None:
        return fresh(x._read())
    # NumPy's operators turn 0-d arrays into scalars
    return _unwrapped(ensure_array(x._read()), level) if x._node[LEVEL] >= level else x


def _own(found: Sequence[Any], likes: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """Arrays that no one else refers to; zeros for None."""
    taken = {id(x) for x in given}
    owned: list[Any] = []
    for g, like in zip(found, likes, strict=True):
        if g is None:
            g = namespace(like).zeros_like(like)  # noqa: PLW2901
        elif type(g) is Array:
            g = frozen(g)  # noqa: PLW2901
        else:
            g = namespace(g).asarray(g, copy=True) if id(g) in taken else fresh(g)  # noqa: PLW2901
        taken.add(id(g))
        owned.append(g)
    return owned


def _ones_like(value: Any) -> Any:
    values = plain(value)
    one = namespace(values).ones((), dtype=values.dtype, device=values.device)
    return constant(one) if type(value) is Array else one


def _shaped_like(u: Any, value: Any, called: str, of: str) -> Any:
    u = ensure_array(u, called)
    namespace(plain(value), plain(u), names=(of, called))
    if u.shape != value.shape:
        msg = f"`{called}` must have the shape of {of}, {value.shape}: got {u.shape}"
        raise ValueError(msg)
    if is_complex_dtype(u.dtype) and not is_complex_dtype(value.dtype):
        msg = f"`{called}` must be real, as {of} is: got {u.dtype}"
        raise TypeError(msg)
    return namespace(u).astype(u, value.dtype, copy=False)


def _tangents(trace: _Trace, v: tree.Tree) -> list[Any]:
    names = [name for name, _ in tree.items(trace.argument, "v")]
    leaves = dict(tree.items(v, "v"))  # by name: a dict may be in another order
    if leaves.keys() != set(names):
        count, given = len(names), ", ".join(leaves)
        msg = f"`v` must be built like `x`, of {count} arrays: got {len(leaves)}, {given}"
        raise ValueError(msg)
    pairs = zip(names, trace.inner, strict=True)
    return [_shaped_like(leaves[name], x, "v", "x") for name, x in pairs]


def _real(x: tree.Tree, verb: str) -> tree.Tree:
    for name, leaf in tree.items(x):
        if is_complex_dtype(getattr(leaf, "dtype", float)):
            came = f"got {leaf.dtype}; of complex numbers take jvp or vjp"
            msg = f"`{name}` of {verb} must be real: {came}"
            raise TypeError(msg)
    return x
