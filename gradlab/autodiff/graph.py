"""The two ways through a recorded graph: cotangents back, tangents forward."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from heapq import heappop, heappush
from operator import itemgetter
from typing import Any

from gradlab.autodiff.array import Array, apply, computed, constant, is_traced, lift
from gradlab.autodiff.elementwise import conj, is_complex_dtype
from gradlab.autodiff.node import (
    ARGNUMS,
    DTYPE,
    LEVEL,
    OPTIONS,
    PARENTS,
    RULE,
    SAVED,
    SERIAL,
    SHAPE,
    Node,
    next_serial,
)
from gradlab.autodiff.rule import RULES, TOOLS, Call, Rule
from gradlab.backend import namespace, reshape, sum_over_axes

__all__ = ["pull", "push"]


def pull(start: Node, g: Any, targets: Sequence[Node], *, nan_safe: bool = False) -> list[Any]:
    """Carry the cotangent of a result back to the targets; None where one has no part in it."""
    pending: dict[int, Any] = {start[SERIAL]: g}
    waiting = [] if start[RULE] is None else [(-start[SERIAL], start)]
    while waiting:  # the one made last comes first; what is done with is let go of
        place, node = heappop(waiting)
        _, _, rule, argnums, parents, saved, options, shape, _, xp = node
        g = pending.pop(-place)
        if g.shape != shape and not _takes_narrow(node):
            g = _widened(g, node)
        calls: Sequence[Call] = ()
        given: Sequence[Any] = ()
        if type(g) is Array or nan_safe or type(rule) is not Rule or is_traced(xp):
            given = _cotangents(node, g, nan_safe=nan_safe)
        else:  # nearly always: `_cotangents` without its questions
            calls = rule.calls(argnums)
        for k, parent in enumerate(parents):
            c = calls[k](xp, g, saved, options, parent, argnums[k]) if calls else given[k]
            if c.shape != parent[SHAPE]:
                c = _summed(c, parent[SHAPE])
            if c.dtype != parent[DTYPE]:
                c = _cast(c, parent[DTYPE])
            serial = parent[SERIAL]
            if serial in pending:
                pending[serial] = pending[serial] + c
                continue
            pending[serial] = c
            if parent[RULE] is not None:
                heappush(waiting, (-serial, parent))
    found = []  # only leaves are left
    for node in targets:
        g = pending.get(node[SERIAL])
        found.append(g if g is None or g.shape == node[SHAPE] else _widened(g, node))
    return found


def push(tangents: Iterable[tuple[Node, Any]], results: Sequence[Node]) -> list[Any]:
    """Carry tangents of leaves forward to the results; None where a result has no part in them."""
    known = {node[SERIAL]: t for node, t in tangents}
    for node in _in_order(results):
        ts = [known.get(parent[SERIAL]) for parent in node[PARENTS]]
        if any(t is not None for t in ts):
            known[node[SERIAL]] = _cast(_pushed(node, ts), node[DTYPE])
    return [known.get(node[SERIAL]) for node in results]


def _in_order(starts: Iterable[Node]) -> list[Node]:
    """Nodes that the given ones are computed from, and these, in the order of their making."""
    found: dict[int, Node] = {}
    stack = list(starts)
    while stack:
        node = stack.pop()
        if node[SERIAL] not in found:
            found[node[SERIAL]] = node
            stack.extend(node[PARENTS])
    return sorted(found.values(), key=itemgetter(SERIAL))


def _summed(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum a cotangent over the axes that broadcasting had added or widened.

    It may stay narrower than `shape`, with 1 for a length: elements that are equal there.
    """
    axes, added = _widened_axes(g.shape, shape)
    if not axes:
        return g
    if len(axes) == added:
        return sum_over_axes(g, axes)
    g = sum_over_axes(g, axes, keepdims=True)
    return reshape(g, g.shape[added:]) if added else g


@lru_cache
def _widened_axes(wide: tuple[int, ...], shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """Axes along which broadcasting to `wide` has repeated elements, and how many it has added."""
    added = len(wide) - len(shape)
    axes = (k for k, n in enumerate(wide) if k < added or (n != 1 and shape[k - added] == 1))
    return tuple(axes), added


def _takes_narrow(node: Node) -> bool:
    """Whether a cotangent may go on as narrow as it came: its axes stay as they are."""
    rule, shape = node[RULE], node[SHAPE]
    if not isinstance(rule, Rule):
        return False
    if rule.kind == "elementwise":
        for parent in node[PARENTS]:  # noqa: SIM110  (a generator takes thrice the time)
            if parent[SHAPE] != shape:
                return False
        return True
    return rule is RULES["sum"] or rule is RULES["mean"]  # they repeat it along axes of length 1


def _widened(g: Any, node: Node) -> Any:
    return namespace(g).broadcast_to(g, node[SHAPE])


def _cast(g: Any, dtype: Any) -> Any:
    if g.dtype == dtype:
        return g
    xp = namespace(g)
    if is_complex_dtype(g.dtype) and not is_complex_dtype(dtype):
        g = xp.real(g)  # what was real moves only along the real axis
    return xp.astype(g, dtype, copy=False)


def _cotangents(node: Node, g: Any, *, nan_safe: bool = False) -> list[Any]:
    """Cotangents of the traced arguments of a node, in shapes that may still be too wide."""
    _, _, rule, argnums, parents, saved, options, _, _, xp = node
    if type(rule) is not Rule:
        return rule.cotangents(node, g)
    if type(g) is Array or is_traced(xp):  # inside a trace, all are of its class:
        g, saved = constant(g), _constants(saved)  # operators of a library may refuse its arrays
        xp = namespace(g)
    found = [
        call(xp, g, saved, options, parent, i)
        for call, parent, i in zip(rule.calls(argnums), parents, argnums, strict=True)
    ]
    if nan_safe and rule.kind == "elementwise":
        found = [_zero_where_zero(g, c) for c in found]
    return found


def _constants(saved: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        _constants(x) if type(x) is tuple else constant(x) if hasattr(x, "dtype") else x
        for x in saved
    )


def _zero_where_zero(g: Any, c: Any) -> Any:
    """Cotangent of an elementwise function, 0 where that of the result is and it is not finite."""
    xp = namespace(g, c)
    return xp.where((g == 0) & ~xp.isfinite(c), xp.zeros_like(c), c)  # elsewhere, derivatives


def _call(name: str, *operands: Any, **options: Any) -> Any:
    """Compute a rule's function on inner values, which stay what they are."""
    if any(type(x) is Array for x in operands):
        return apply(RULES[name], operands, options)
    return RULES[name].forward(namespace(*operands), *operands, **options)


def _through(f: Callable[[Any, Any], Any], a: Any, g: Any) -> Any:
    """Cotangent of `a` under ``f(xp, a)``, by a trace of its own."""
    lifted = lift(a, next_serial())
    result = f(lifted.__array_namespace__(), lifted)
    return pull(_node_of(result), g, [_node_of(lifted)])[0]


TOOLS.update(call=_call, through=_through)


def _pushed(node: Node, ts: list[Any]) -> Any:
    rule = node[RULE]
    kind = rule.kind if isinstance(rule, Rule) else "other"
    if kind == "linear" and (rule.arity < 2 or rule is RULES["setitem"]):  # noqa: PLR2004
        return _pushed_linear(node, ts)  # of others, the shapes of constants are not known
    total = None
    xp = namespace(*ts, *_flat(node[SAVED]))
    for k, t in enumerate(ts):
        if t is None:
            continue
        i, parent = node[ARGNUMS][k], node[PARENTS][k]
        if kind == "elementwise":
            wide = conj(xp.broadcast_to(t, node[SHAPE]))
            part = conj(rule.calls((i,))[0](xp, wide, node[SAVED], node[OPTIONS], parent, i))
        elif kind == "bilinear":
            operands = [node[SAVED][0], node[SAVED][1]]
            operands[i] = t
            part = computed(rule, xp, operands, node[OPTIONS])
        else:
            part = _transposed(node, k, t, xp)
        part = _cast(part, node[DTYPE])
        total = part if total is None else total + part
    return total


def _pushed_linear(node: Node, ts: list[Any]) -> Any:
    rule, options = node[RULE], node[OPTIONS]
    like = next(t for t in ts if t is not None)
    xp = namespace(*ts)
    by_argument = dict(zip(node[ARGNUMS], ts, strict=True))
    if rule.arity == 0:
        shapes = options["shapes"]
        operands = [by_argument.get(i) for i in range(len(shapes))]
    else:
        shapes = (node[SHAPE], ())[: rule.arity]  # of two, the first is what is assigned to
        operands = [by_argument.get(i) for i in range(rule.arity)]
    operands = [
        xp.zeros(shape, dtype=like.dtype, device=like.device) if t is None else t
        for t, shape in zip(operands, shapes, strict=True)
    ]
    return computed(rule, xp, operands, options)


def _transposed(node: Node, k: int, t: Any, xp: Any) -> Any:
    """Push by transposing the pull, which is linear in its cotangent."""
    zero = xp.zeros(node[SHAPE], dtype=node[DTYPE], device=t.device)
    lifted = lift(zero, next_serial())
    parent = node[PARENTS][k]
    pulled = _summed(_cotangents(node, lifted)[k], parent[SHAPE])
    pulled = constant(_cast(_widened(pulled, parent), parent[DTYPE]))
    if pulled._node is None or pulled._node[LEVEL] != _node_of(lifted)[LEVEL]:
        return zero
    return pull(pulled._node, t, [_node_of(lifted)])[0]


def _node_of(x: Array) -> Node:
    return x._node  # type: ignore[return-value]  # of what is known to be traced


def _flat(saved: tuple[Any, ...]) -> list[Any]:
    """Arrays among what was saved; the extra of a rule may be a tuple of them."""
    extra = saved[-1] if saved and type(saved[-1]) is tuple else ()
    return [x for x in (*saved, *extra) if hasattr(x, "dtype")]
