"""Whole matrices of exact derivatives: Jacobians and Hessians."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gradlab import tree
from gradlab.autodiff.array import plain
from gradlab.autodiff.elementwise import is_complex_dtype
from gradlab.autodiff.node import Node
from gradlab.autodiff.trace import Trace, own
from gradlab.autodiff.transforms import gradient
from gradlab.backend import namespace

__all__ = ["hessian", "jacobian"]


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
    trace = Trace(_real(x, "jacobian"))
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
    trace = Trace(_real(x, "hessian"))
    slopes = tree.leaves(gradient(f, trace.argument))
    rows = [_jacobian(trace, *trace.output(slope, "an array")) for slope in slopes]
    return trace.build(
        [
            trace.build([_mean(block, rows[j][i], slope) for j, block in enumerate(rows[i])])
            for i, slope in enumerate(slopes)
        ]
    )


def _jacobian(trace: Trace, value: Any, node: Node | None) -> list[Any]:
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
    return own([mean], [block], ())[0]


def _basis(like: Any) -> list[Any]:
    """Unit vectors of the space that `like` lives in."""
    like = plain(like)
    xp, n = namespace(like), math.prod(like.shape)
    unit = xp.eye(n, dtype=like.dtype, device=like.device)
    return [xp.reshape(unit[k, :], like.shape) for k in range(n)]


def _real(x: tree.Tree, verb: str) -> tree.Tree:
    for name, leaf in tree.items(x):
        if is_complex_dtype(getattr(leaf, "dtype", float)):
            came = f"got {leaf.dtype}; of complex numbers take jvp or vjp"
            msg = f"`{name}` of {verb} must be real: {came}"
            raise TypeError(msg)
    return x
