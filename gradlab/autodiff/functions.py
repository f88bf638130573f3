"""Functions that say how they are differentiated."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from functools import wraps
from typing import Any, get_args

from gradlab import tree
from gradlab.autodiff.array import (
    Array,
    apply,
    below,
    constant,
    frozen,
    lift,
    plain,
    record,
    traced_at,
)
from gradlab.autodiff.elementwise import is_inexact_dtype
from gradlab.autodiff.graph import pull
from gradlab.autodiff.node import (
    ARGNUMS,
    LEVEL,
    OPTIONS,
    PARENTS,
    SAVED,
    SHAPE,
    Node,
    next_serial,
)
from gradlab.autodiff.rule import Kind, Rule
from gradlab.backend import is_array, namespace, read_only, snapshot

__all__ = ["checkpoint", "custom_vjp", "primitive", "stop_gradient"]


def primitive(
    name: str,
    kind: Kind,
    *pulls: Callable[..., Any] | None,
    forward: Callable[..., Any],
    names: tuple[str, ...] = (),
) -> Callable[..., Any]:
    """Function that computes `forward`, and is differentiated by a rule: one step for many.

    Parameters
    ----------
    name : str
        What errors call it.
    kind : {"elementwise", "linear", "bilinear", "other"}
    *pulls : callable or None
        One for each array argument, as `gradlab.autodiff.rule` describes them.
    forward : callable
        ``forward(xp, *arrays)``, with the functions of the standard.
    names : tuple of str, optional
        What the caller calls the arrays, for the message that they are of two libraries.

    Returns
    -------
    callable
        Takes the arrays: traced ones record one node, any others are computed on as they are.
    """
    rule = Rule(name, kind, pulls, forward)
    if kind not in get_args(Kind):
        msg = f"`kind` of {name} must be one of {', '.join(get_args(Kind))}: got {kind!r}"
        raise ValueError(msg)
    if rule.defaults:
        msg = f"`forward` of {name} takes more than xp and an array for each of {len(pulls)} pulls"
        raise TypeError(msg)

    def call(*operands: Any) -> Any:
        for x in operands:
            if type(x) is Array:
                return apply(rule, operands, {})
        result = forward(namespace(*operands, names=names), *operands)
        return result[0] if rule.has_extra else result

    call.__name__ = call.__qualname__ = name
    return call


def stop_gradient(x: tree.Tree, /) -> tree.Tree:
    """The values of `x` as constants: no derivative, of any order, goes through.

    Parameters
    ----------
    x : array or tree

    Returns
    -------
    array or tree
        Constants of the traced namespace where `x` is traced; any other array as it is.

    Examples
    --------
    >>> import gradlab as gl
    >>> gl.grad(lambda x: x * gl.autodiff.stop_gradient(x))(gl.asarray(3.0))
    array(3.)
    """
    return tree.map(lambda leaf: constant(plain(leaf)) if type(leaf) is Array else leaf, x)


def custom_vjp(
    f: Callable[..., Any],
    fwd: Callable[..., tuple[Any, Any]],
    bwd: Callable[[Any, Any], tuple[Any, ...]],
) -> Callable[..., Any]:
    """Function that computes as `f` and is differentiated as `fwd` and `bwd` say.

    Parameters
    ----------
    f : callable
        Maps arrays to one array.
    fwd : callable
        ``fwd(*args) -> (out, saved)``, `out` being ``f(*args)``. Called instead of `f` where
        an argument is traced, with arrays of one trace less, which are read-only.
    bwd : callable
        ``bwd(saved, g)`` gives a tuple: the cotangent of each argument, None for none. `g` is
        read-only.

    Returns
    -------
    callable
        With the positional arguments of `f`. Derivatives of higher order go through `bwd`.

    Raises
    ------
    TypeError, ValueError
        When differentiated: if `bwd` does not give one cotangent, of the right shape, for each
        argument, if `fwd` or `bwd` uses a traced array that is not an argument, or if `fwd`
        writes to an argument.

    Examples
    --------
    >>> import gradlab as gl
    >>> twice = gl.autodiff.custom_vjp(
    ...     lambda x: 2 * x, lambda x: (2 * x, None), lambda saved, g: (10 * g,)
    ... )
    >>> gl.grad(twice)(gl.asarray(1.0))
    array(10.)
    """
    rule = _Custom(getattr(f, "__name__", "custom_vjp"), bwd)

    @wraps(f)
    def call(*args: Any) -> Any:
        level = _level(args, rule.name)
        if level is None:
            return f(*args)
        inner = [_lent(_kept(x, level)) for x in args]
        pair = _without_writing(rule.name, fwd, inner)
        if not isinstance(pair, tuple | list) or len(pair) != 2:  # noqa: PLR2004
            msg = f"`fwd` of {rule.name} must return (out, saved): got {type(pair).__name__}"
            raise TypeError(msg)
        out, saved = pair
        value = _inner_result(out, level, rule.name)
        for leaf in tree.leaves(saved):
            _check_not_traced(leaf, range(level, next_serial()), rule.name)
        if not is_inexact_dtype(value.dtype):
            return constant(value)
        traced = tuple(traced_at(args, level))
        parents = tuple(args[k]._node for k in traced)
        result = record(value, rule, parents, traced, (), (saved, len(args)), None)
        return _sharing(result, out, inner, args)

    return call


def checkpoint(f: Callable[..., Any], /) -> Callable[..., Any]:
    """Function that saves its arguments alone and computes `f` again in the backward pass.

    Of a chain of n steps cut into sqrt(n) checkpointed pieces, memory grows as sqrt(n), and time
    by one more forward pass.

    Parameters
    ----------
    f : callable
        Maps arrays to one array, every time to the same one. Traced arrays must be arguments: those
        of a closure raise.

    Returns
    -------
    callable
        With the positional arguments of `f`.

    Raises
    ------
    ValueError
        When differentiated: if `f` gives another result when it is computed again, or writes to
        an argument.

    References
    ----------
    Griewank and Walther, Evaluating Derivatives, 2nd ed., chapter 12.
    """
    rule = _Checkpoint(getattr(f, "__name__", "checkpoint"), f)

    @wraps(f)
    def call(*args: Any) -> Any:
        level = _level(args, rule.name)
        if level is None:
            return f(*args)
        inner = [_kept(x, level) for x in args]
        given = [_handed_on(x) for x in inner]
        out = _without_writing(rule.name, f, given)
        value = _inner_result(out, level, rule.name)
        if not is_inexact_dtype(value.dtype):
            return constant(value)
        traced = tuple(traced_at(args, level))
        parents = tuple(args[k]._node for k in traced)
        result = record(value, rule, parents, traced, (value,), inner, None)
        return _sharing(result, out, given, args)

    return call


class _Custom:
    """Rule of one custom_vjp."""

    def __init__(self, name: str, bwd: Callable[[Any, Any], tuple[Any, ...]]) -> None:
        self.name, self.bwd = name, bwd

    def cotangents(self, node: Node, g: Any) -> list[Any]:
        saved, count = node[OPTIONS]
        given = self.bwd(saved, _lent(g))
        if not isinstance(given, tuple) or len(given) != count:
            came = f"{len(given)}" if isinstance(given, tuple) else type(given).__name__
            msg = f"`bwd` of {self.name} must return a tuple of {count} cotangents: got {came}"
            raise TypeError(msg)
        found = []
        for i, parent in zip(node[ARGNUMS], node[PARENTS], strict=True):
            part = given[i]
            if part is None:
                part = _zeros(parent, g)
            elif not hasattr(part, "shape"):
                msg = (
                    f"`bwd` of {self.name} must return arrays or None: got {type(part).__name__} "
                    f"for argument {i}"
                )
                raise TypeError(msg)
            elif part.shape != parent[SHAPE]:
                msg = (
                    f"`bwd` of {self.name} must return the shape of argument {i}, "
                    f"{parent[SHAPE]}: got {part.shape}"
                )
                raise ValueError(msg)
            _check_not_traced(part, (node[LEVEL],), self.name)
            found.append(_lent(part))  # it may be what was saved
        return found


class _Checkpoint:
    """Rule of one checkpointed function."""

    def __init__(self, name: str, f: Callable[..., Any]) -> None:
        self.name, self.f = name, f

    def cotangents(self, node: Node, g: Any) -> list[Any]:
        level = next_serial()
        inner = list(node[OPTIONS])
        for i in node[ARGNUMS]:
            inner[i] = lift(inner[i], level)
        out = constant(self.f(*map(_handed_on, inner)))
        if not _is_same(plain(out), plain(node[SAVED][0])):
            msg = (
                f"{self.name} gave another result when it was computed again for its derivative: "
                "what it uses has changed since, such as a buffer or random numbers; hand it over "
                "as an argument"
            )
            raise ValueError(msg)
        targets = [inner[i]._node for i in node[ARGNUMS]]
        node_of_out, found = out._node, [None] * len(targets)
        if node_of_out is not None and node_of_out[LEVEL] == level:
            found = pull(node_of_out, g, targets)
        return [
            _zeros(parent, g) if part is None else part
            for part, parent in zip(found, node[PARENTS], strict=True)
        ]


def _kept(x: Any, level: int) -> Any:
    """Argument of one trace less, for the backward pass: a plain array may change until then."""
    return snapshot(x) if is_array(x) and type(x) is not Array else below(x, level)


def _handed_on(x: Any) -> Any:
    """Argument of a reference of its own, which shows whether the function writes to it."""
    return frozen(constant(x)) if is_array(x) else x


def _lent(x: Any) -> Any:
    """Array for the user's code, which may read what others hold, too."""
    return frozen(x) if type(x) is Array else read_only(x) if is_array(x) else x


def _without_writing(name: str, f: Callable[..., Any], args: Sequence[Any]) -> Any:
    """What `f` gives; the caller's arrays would not show what it writes to its arguments."""
    before = [x._inner if type(x) is Array else None for x in args]
    result = f(*args)
    for k, (x, data) in enumerate(zip(args, before, strict=True)):
        if type(x) is Array and (x._inner is not data or _is_stale(x)):
            msg = (
                f"{name} writes to its argument {k}, which its caller would not see: write to a "
                "copy, xp.asarray(x, copy=True), and return it"
            )
            raise ValueError(msg)
    return result


def _sharing(result: Array, out: Any, given: Sequence[Any], args: Sequence[Any]) -> Array:
    """Result that shares the fate of the argument that `out` is, or is a view of."""
    for x, arg in zip(given, args, strict=True):
        if type(arg) is Array and (out is x or _is_of_family(out, x)):
            return arg._view(result)
    return result


def _is_of_family(a: Any, b: Any) -> bool:
    one, two = getattr(a, "_alias", None), getattr(b, "_alias", None)
    return one is not None and two is not None and one.family is two.family


def _is_stale(x: Array) -> bool:
    return x._alias is not None and x._alias.family.is_stale


def _check_not_traced(x: Any, levels: Container[int], name: str) -> None:
    """Raise where what is traced at one of the levels is a part of `x`, at whatever depth."""
    while type(x) is Array:
        if x._node is not None and x._node[LEVEL] in levels:
            msg = (
                f"{name} uses a traced array that is not among its arguments, where its derivative "
                "would be lost: hand it over as an argument"
            )
            raise TypeError(msg)
        x = x._inner


def _is_same(a: Any, b: Any) -> bool:
    """Whether two results are equal, but for rounding, where the second is finite."""
    if a.shape != b.shape or 0 in a.shape:
        return bool(a.shape == b.shape)
    xp = namespace(a, b)
    finite = xp.isfinite(b)
    a, b = (xp.where(finite, x, xp.zeros_like(x)) for x in (a, b))
    tolerance = math.sqrt(xp.finfo(b.dtype).eps) * xp.max(xp.abs(b))
    return bool(xp.all(xp.abs(a - b) <= tolerance))


def _zeros(parent: Node, g: Any) -> Any:
    return namespace(plain(g)).zeros(parent[SHAPE], dtype=g.dtype, device=g.device)


def _level(args: tuple[Any, ...], name: str) -> int | None:
    """Innermost of the traces of the arguments, which must be arrays where they are traced."""
    for k, x in enumerate(args):
        if tree.is_tree(x) and any(type(e) is Array and e._node for e in tree.leaves(x)):
            msg = (
                f"{name} takes arrays: argument {k} is a {type(x).__name__} that holds traced "
                "ones, which it would not see; hand them over one by one"
            )
            raise TypeError(msg)
    levels = [x._node[LEVEL] for x in args if type(x) is Array and x._node is not None]
    return max(levels, default=None)


def _inner_result(out: Any, level: int, name: str) -> Any:
    _check_not_traced(out, range(level, next_serial()), name)
    if type(out) is Array and out._node is None:
        return plain(out)
    if not is_array(out) and not hasattr(out, "dtype"):
        msg = f"{name} must return one array: got {type(out).__name__}"
        raise TypeError(msg)
    return snapshot(out) if is_array(out) and type(out) is not Array else out
