"""The two ways through a recorded graph: cotangents back, tangents forward."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gradlab.autodiff.array import (
    ARGNUMS,
    DTYPE,
    LEVEL,
    OPTIONS,
    PARENTS,
    RULE,
    SAVED,
    SERIAL,
    SHAPE,
    Array,
    Node,
    apply,
    computed,
    constant,
    lift,
    new_level,
)
from gradlab.autodiff.elementwise import conj, is_complex_dtype
from gradlab.autodiff.rule import RULES, Rule
from gradlab.backend import namespace

__all__ = ["pull", "push"]


def pull(
    results: Iterable[tuple[Node, Any]], targets: Sequence[Node], *, nan_safe: bool = False
) -> list[Any]:
    """Carry cotangents of results back to the targets; None where a target has no part in them."""
    pending: dict[int, Any] = {}
    for node, g in results:
        _deliver(pending, node, g)
    nodes = _reachable([node for node, _ in results])
    order = sorted(nodes)
    while order:  # the last one first; what is done with is let go of
        node = nodes.pop(order.pop())
        if node[RULE] is not None:
            cotangents = _cotangents(node, pending.pop(node[SERIAL]), nan_safe=nan_safe)
            for parent, cotangent in zip(node[PARENTS], cotangents, strict=True):
                _deliver(pending, parent, cotangent)
    return [pending.get(node[SERIAL]) for node in targets]  # only leaves are left


def push(tangents: Iterable[tuple[Node, Any]], results: Sequence[Node]) -> list[Any]:
    """Carry tangents of leaves forward to the results; None where a result has no part in them."""
    known = {node[SERIAL]: t for node, t in tangents}
    nodes = _reachable(results)
    for serial in sorted(nodes):
        node = nodes[serial]
        ts = [known.get(parent[SERIAL]) for parent in node[PARENTS]]
        if any(t is not None for t in ts):
            known[node[SERIAL]] = _cast(_pushed(node, ts), node[DTYPE])
    return [known.get(node[SERIAL]) for node in results]


def _reachable(starts: Iterable[Node]) -> dict[int, Node]:
    nodes: dict[int, Node] = {}
    stack = list(starts)
    while stack:
        node = stack.pop()
        if node[SERIAL] not in nodes:
            nodes[node[SERIAL]] = node
            stack.extend(node[PARENTS])
    return nodes


def _deliver(pending: dict[int, Any], node: Node, g: Any) -> None:
    if g.shape != node[SHAPE] or g.dtype != node[DTYPE]:
        g = _fitted(g, node)
    serial = node[SERIAL]
    pending[serial] = pending[serial] + g if serial in pending else g


def _fitted(g: Any, node: Node) -> Any:
    """Cotangent in the shape and dtype of what it belongs to."""
    if g.shape != node[SHAPE]:
        g = _summed(g, node[SHAPE])
    return _cast(g, node[DTYPE])


def _summed(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum a cotangent over the axes that broadcasting had added or widened."""
    xp = namespace(g)
    added = g.ndim - len(shape)
    axes = tuple(
        k for k, n in enumerate(g.shape) if k < added or (shape[k - added] == 1 and n != 1)
    )
    return xp.reshape(xp.sum(g, axis=axes, keepdims=True), shape)


def _cast(g: Any, dtype: Any) -> Any:
    if g.dtype == dtype:
        return g
    xp = namespace(g)
    if is_complex_dtype(g.dtype) and not is_complex_dtype(dtype):
        g = xp.real(g)  # what was real moves only along the real axis
    return xp.astype(g, dtype, copy=False)


def _cotangents(node: Node, g: Any, *, nan_safe: bool = False) -> list[Any]:
    rule = node[RULE]
    if not isinstance(rule, Rule):
        return rule.cotangents(node, g)
    saved = node[SAVED]
    xp = _namespace_within(g, saved)
    found = []
    for i, parent in zip(node[ARGNUMS], node[PARENTS], strict=True):
        k = i if rule.arity else 0
        short = rule.short[k]
        if short is not None:
            cotangent = short(xp, g, saved)
        else:
            cotangent = rule.pulls[k](*_arguments(node, g, xp, i, parent))
        if nan_safe and rule.kind == "elementwise":
            harmful = (g == 0) & ~xp.isfinite(cotangent)  # elsewhere, it has derivatives itself
            cotangent = xp.where(harmful, xp.zeros_like(cotangent), cotangent)
        found.append(cotangent)
    return found


def _namespace_within(g: Any, saved: tuple[Any, ...]) -> Any:
    """Namespace of cotangents and saved values: that of an outer trace where one is traced."""
    if type(g) is not Array:
        for x in (*saved, *saved[-1]) if saved and type(saved[-1]) is tuple else saved:
            if type(x) is Array:
                return x.__array_namespace__()
    return namespace(g)


def _arguments(node: Node, g: Any, xp: Any, i: int, parent: Node) -> list[Any]:
    rule, saved = node[RULE], node[SAVED]
    values = []
    for name in rule.plans[i if rule.arity else 0]:
        if type(name) is int:
            values.append(saved[name])
        elif name == "g":
            values.append(g)
        elif name == "xp":
            values.append(xp)
        else:
            more = {"shape": parent[SHAPE], "dtype": parent[DTYPE], "i": i, **_TOOLS}
            values.append(more[name] if name in more else node[OPTIONS][name])
    return values


def _call(name: str, *operands: Any, **options: Any) -> Any:
    """Compute a rule's function on inner values, which stay what they are."""
    if any(type(x) is Array for x in operands):
        return apply(RULES[name], operands, options)
    return RULES[name].forward(namespace(*operands), *operands, **options)


def _through(f: Callable[[Any, Any], Any], a: Any, g: Any) -> Any:
    """Cotangent of `a` under ``f(xp, a)``, by a trace of its own."""
    lifted = lift(a, new_level())
    result = f(lifted.__array_namespace__(), lifted)
    return pull([(_node_of(result), g)], [_node_of(lifted)])[0]


_TOOLS = {"call": _call, "through": _through}


def _pushed(node: Node, ts: list[Any]) -> Any:
    rule = node[RULE]
    kind = rule.kind if isinstance(rule, Rule) else "other"
    if kind == "linear":
        return _pushed_linear(node, ts)
    total = None
    xp = namespace(*ts, *_flat(node[SAVED]))
    for k, t in enumerate(ts):
        if t is None:
            continue
        i, parent = node[ARGNUMS][k], node[PARENTS][k]
        if kind == "elementwise":
            wide = conj(xp.broadcast_to(t, node[SHAPE]))
            part = conj(rule.pulls[i](*_arguments(node, wide, xp, i, parent)))
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
    lifted = lift(zero, new_level())
    parent = node[PARENTS][k]
    pulled = constant(_fitted(_cotangents(node, lifted)[k], parent))
    if pulled._node is None or pulled._node[LEVEL] != _node_of(lifted)[LEVEL]:
        return zero
    return pull([(pulled._node, t)], [_node_of(lifted)])[0]


def _node_of(x: Array) -> Node:
    return x._node  # type: ignore[return-value]  # of what is known to be traced


def _flat(saved: tuple[Any, ...]) -> list[Any]:
    """Arrays among what was saved; the extra of a rule may be a tuple of them."""
    extra = saved[-1] if saved and type(saved[-1]) is tuple else ()
    return [x for x in (*saved, *extra) if hasattr(x, "dtype")]
