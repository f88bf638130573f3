"""Nested parameters: dicts, lists and tuples of arrays, flattened and mapped.

A dict is always a tree. A list or tuple is one where it holds arrays or trees; where it holds
plain numbers it is array-like, and a leaf. Everything else is a leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from gradlab.backend import Array, asarray_like, is_array, kind_of, namespace

__all__ = ["Tree", "aligned", "fitting", "flatten", "is_tree", "items", "leaves", "map"]

Tree: TypeAlias = Any


def is_tree(x: Any) -> bool:
    """Whether `x` has leaves below it, rather than being one."""
    if isinstance(x, dict):
        return True
    return isinstance(x, list | tuple) and any(is_array(e) or is_tree(e) for e in x)


def items(x: Tree, name: str = "x") -> Iterator[tuple[str, Any]]:
    """Leaves of `x` in order, each with the Python expression that reaches it from `name`."""
    if not is_tree(x):
        yield name, x
        return
    for key, child in x.items() if isinstance(x, dict) else enumerate(x):
        yield from items(child, f"{name}[{key!r}]")


def leaves(x: Tree) -> list[Any]:
    """Leaves of `x`, in order."""
    return [leaf for _, leaf in items(x)]


def flatten(x: Tree) -> tuple[list[Any], Callable[[Sequence[Any]], Tree]]:
    """Leaves of `x`, and the function that builds a tree like `x` from as many others."""
    found, build = _by_key(x)
    return list(found.values()), build


def aligned(x: Tree, *others: Tree) -> tuple[list[list[Any]], Callable[[Sequence[Any]], Tree]]:
    """Leaves of `x`, then of each other those that the same keys reach; and, as `flatten`, `build`.

    Raises
    ------
    ValueError
        If another tree is not built like `x`.
    """
    found, build = _by_key(x)
    columns = [list(found.values())]
    for tree in others:
        other = tree if found is x and isinstance(tree, dict) else dict(items(tree))
        if other.keys() != found.keys():
            one, two = ([name for name, _ in items(t, "tree")] for t in (x, tree))
            msg = f"trees must be built alike: one has {one}, the other {two}"
            raise ValueError(msg)
        columns.append([other[key] for key in found])
    return columns, build


def map(f: Callable[..., Any], x: Tree, *others: Tree) -> Tree:  # noqa: A001  (the field's word)
    """Tree of `f(leaf, *leaves_of_others)`, built like `x`.

    Raises
    ------
    ValueError
        If another tree is not built like `x`.
    """
    if not is_tree(x):
        return f(x, *others)
    columns, build = aligned(x, *others)
    return build([f(*group) for group in zip(*columns, strict=True)])


def fitting(x: Tree, likes: dict[str, Array], called: str, giver: str) -> list[Array]:
    """Leaves of `x`, which `giver` returned, in the order and the dtypes of the arrays `likes`.

    Parameters
    ----------
    x : Tree
    likes : dict
        What it must be built like, as `items` of the name `called` gives it.

    Raises
    ------
    ValueError
        If `x` is built otherwise, or has another shape.
    TypeError
        If it is of another library, or not real.
    """
    parts = dict(items(x, called))  # by name: a dict may be in another order
    if parts.keys() != likes.keys():
        of, came = ", ".join(likes), ", ".join(parts)
        msg = f"{giver} must return what is built like `{called}`, of {of}: got {came}"
        raise ValueError(msg)
    found = []
    for name, like in likes.items():
        leaf = parts[name]
        if leaf is None:
            msg = f"{giver} must return an array for `{name}`: got None (does it lack a return?)"
            raise TypeError(msg)
        if type(leaf) is not type(like):
            leaf = leaf if is_array(leaf) else asarray_like(leaf, like)
            namespace(like, leaf, names=(name, f"the result of {giver.strip('`')}"))
        if leaf.shape != like.shape:
            msg = f"{giver} must return shape {like.shape} for `{name}`: got {leaf.shape}"
            raise ValueError(msg)
        if leaf.dtype != like.dtype:
            if kind_of(leaf.dtype) not in ("real floating", "integral"):
                msg = f"{giver} must return real numbers for `{name}`: got {leaf.dtype}"
                raise TypeError(msg)
            leaf = namespace(leaf).astype(leaf, like.dtype)
        found.append(leaf)
    return found


def _by_key(x: Tree) -> tuple[dict[Any, Any], Callable[[Sequence[Any]], Tree]]:
    """Leaves of `x` by what reaches them, `x` itself where it is a flat dict; and `build`."""
    if _is_flat_dict(x):
        keys = tuple(x)
        return x, lambda new: dict(zip(keys, new, strict=True))
    if not is_tree(x):
        return {"x": x}, _only  # as `items` calls it
    return dict(items(x)), lambda new: _build(x, iter(new))


def _only(new: Sequence[Any]) -> Tree:
    (leaf,) = new
    return leaf


def _is_flat_dict(x: Any) -> bool:
    if not isinstance(x, dict):
        return False
    for child in x.values():  # noqa: SIM110  (a generator takes thrice the time, at every step)
        if isinstance(child, (dict, list, tuple)):
            return False
    return True


def _build(like: Tree, new: Iterator[Any]) -> Tree:
    if not is_tree(like):
        return next(new)
    if isinstance(like, dict):
        return {key: _build(child, new) for key, child in like.items()}
    children = [_build(child, new) for child in like]
    return type(like)(*children) if hasattr(like, "_fields") else type(like)(children)
