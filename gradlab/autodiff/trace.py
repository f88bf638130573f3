"""A call of a function with arguments that are traced, and what it gave."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Complex, Real
from typing import Any

from gradlab import tree
from gradlab.autodiff.array import Array, constant, frozen, lift, plain
from gradlab.autodiff.elementwise import is_complex_dtype, is_inexact_dtype
from gradlab.autodiff.graph import pull, push
from gradlab.autodiff.node import LEVEL, Node, next_serial
from gradlab.backend import ensure_array, fresh, is_array, namespace, one_like

__all__ = ["Trace", "constants", "ones_like", "own", "shaped_like", "unwrapped"]


class Trace:
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
        lifted: list[Array] = []
        known = None
        for leaf in leaves:
            dtype = leaf.dtype
            if dtype is not known and not is_inexact_dtype(dtype):
                raise TypeError(_not_floating(list(tree.items(x, called))[len(lifted)][0], leaf))
            known = dtype
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
            found = pull(node, u, self.nodes, nan_safe=nan_safe)
        return own(found, self.inner, (u,))

    def pushed(self, tangents: Sequence[Any], node: Node | None, value: Any) -> Any:
        """Tangent of an output; None among those of the leaves is zero."""
        pairs = zip(self.nodes, tangents, strict=True)
        t = (
            None
            if node is None
            else push([pair for pair in pairs if pair[1] is not None], [node])[0]
        )
        return own([t], [value], tangents)[0]


def _not_floating(name: str, x: Any) -> str:
    return (
        f"`{name}` must be floating to be differentiated in: got {x.dtype}; convert it, "
        "such as by gradlab.asarray(x, 'float64')"
    )


def constants(x: Any, found: list[Any]) -> Any:
    """Arrays of a tree, which are added to those `found`, as constants; all else as it is."""
    if type(x) is Array or is_array(x):
        found.append(x)
        return frozen(x) if type(x) is Array else constant(x)
    return tree.map(lambda leaf: constants(leaf, found), x) if tree.is_tree(x) else x


def unwrapped(x: Any, level: int) -> Any:
    """Tree with what a trace of `level` had lifted as it is outside that trace."""
    if tree.is_tree(x):
        return tree.map(lambda leaf: unwrapped(leaf, level), x)
    if type(x) is not Array:
        return x
    if x._node is None:
        return fresh(x._read())
    # NumPy's operators turn 0-d arrays into scalars
    return unwrapped(ensure_array(x._read()), level) if x._node[LEVEL] >= level else x


def own(found: Sequence[Any], likes: Sequence[Any], given: Sequence[Any]) -> list[Any]:
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


def ones_like(value: Any) -> Any:
    """Cotangent of a scalar output: 1, in its dtype and on its device."""
    values = plain(value)
    one = one_like(values)
    return constant(one) if type(value) is Array else one


def shaped_like(u: Any, value: Any, called: str, of: str) -> Any:
    """Cotangent or tangent `u` as an array in the dtype of `value`, whose shape it must have."""
    u = ensure_array(u, called)
    namespace(plain(value), plain(u), names=(of, called))
    if u.shape != value.shape:
        msg = f"`{called}` must have the shape of {of}, {value.shape}: got {u.shape}"
        raise ValueError(msg)
    if is_complex_dtype(u.dtype) and not is_complex_dtype(value.dtype):
        msg = f"`{called}` must be real, as {of} is: got {u.dtype}"
        raise TypeError(msg)
    return namespace(u).astype(u, value.dtype, copy=False)
