"""What a rule is: how one function of the standard is computed and differentiated.

A rule's pulls say, for each array argument, which cotangent it gets. They are functions of a few
names, and take just what they name; only that is saved until the backward pass:

``g``
    the cotangent of the result,
``a``, ``b``, ``c``
    the first, second and third array argument (of a rule for sequences, ``a`` is the tuple),
``y``
    the result,
``e``
    what `forward` returned beside it: ``(y, e)``, where a pull names ``e``,
``shape``, ``dtype``
    those of the argument whose cotangent is wanted,
``xp``
    the namespace of these values,
``i``
    the position of the argument, in a rule for sequences,
``call``
    ``call(name, *arrays, **options)``: another rule's function, for those that no library has,
``through``
    ``through(f, a, g)``: the cotangent of ``a`` by differentiating ``f(xp, a)``,
any other name
    an option of the function, such as ``axis``.

Pulls use the standard alone, on inner values, so that they differentiate, too. What a pull returns
is summed to the argument's shape where broadcasting had widened it, and cast to its dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from gradlab.autodiff.node import DTYPE, SHAPE

__all__ = ["DISCRETE", "RULES", "TOOLS", "Call", "Kind", "Rule", "discrete", "rule"]

Kind = Literal["elementwise", "linear", "bilinear", "other"]
Pull = Callable[..., Any]
Call = Callable[[Any, Any, tuple[Any, ...], Any, Any, int], Any]

_ARRAYS, _RESULTS, _TOOLS = "abc", "ye", ("call", "through")
_SPECIAL = ("g", "xp", "shape", "dtype", "i", *_TOOLS)

# What pulls call `call` and `through`: graph.py enters them, for it is written over this module.
TOOLS: dict[str, Callable[..., Any]] = {}


class Rule:
    """One entry of the table; see the module's docstring for what its pulls may name.

    Attributes
    ----------
    kind : str
        ``elementwise``: the Jacobian is diagonal, so that a pull also pushes; ``linear`` in
        all array arguments together, or ``bilinear``, in each of two: `forward` itself pushes;
        ``other``: pushed by transposing the pull.
    arity : int
        Array arguments, the first positional ones; 0 for one sequence of arrays.
    plans : tuple
        What each pull names: indices of what is saved (arguments, then results), or names; None
        where there is no pull.
    defaults : dict
        Options of `forward`, with their default values.
    is_internal : bool
        No namespace has the function: what it computes is a step at every depth of traces.
    """

    __slots__ = (
        *("_calls", "_needed", "arity", "defaults", "forward", "has_extra", "is_internal"),
        *("kind", "name", "plans", "pulls"),
    )

    def __init__(
        self,
        name: str,
        kind: Kind,
        pulls: tuple[Pull | None, ...],
        forward: Callable[..., Any],
        *,
        is_internal: bool = False,
    ) -> None:
        self.name = name
        self.kind: Kind = kind
        self.pulls = pulls
        self.forward = forward
        self.is_internal = is_internal
        self.arity = 0 if "arrays" in _parameters(forward) else len(pulls)
        options = _parameters(forward)[2 if self.arity == 0 else 1 + len(pulls) :]
        self.defaults = dict.fromkeys(options) | (forward.__kwdefaults__ or {})
        self.plans = tuple(None if pull is None else self._plan(pull) for pull in pulls)
        self.has_extra = any("e" in _parameters(pull) for pull in pulls if pull is not None)
        self._needed: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._calls: dict[tuple[int, ...], tuple[Call, ...]] = {}

    def _plan(self, pull: Pull) -> tuple[int | str, ...]:
        """Where each parameter of `pull` comes from: an index of what is saved, or a name."""
        plan: list[int | str] = []
        for name in _parameters(pull):
            if name in _ARRAYS[: max(self.arity, 1)]:
                plan.append(_ARRAYS.index(name))
            elif name in _RESULTS:
                plan.append(max(self.arity, 1) + _RESULTS.index(name))
            elif name in _SPECIAL or name in self.defaults:
                plan.append(name)
            else:
                msg = f"rule {self.name!r}: {name!r} of a pull is neither saved nor an option"
                raise TypeError(msg)
        return tuple(plan)

    def needed(self, argnums: tuple[int, ...]) -> tuple[int, ...]:
        """Indices of what the pulls of these arguments use: arguments, then the results."""
        found = self._needed.get(argnums)
        if found is None:
            plans = [self.plans[0 if self.arity == 0 else i] for i in argnums]
            used = {k for plan in plans for k in plan or () if isinstance(k, int)}
            found = self._needed[argnums] = tuple(sorted(used))
        return found

    def calls(self, argnums: tuple[int, ...]) -> tuple[Call, ...]:
        """Pulls of these arguments, each as ``call(xp, g, saved, options, parent, i)``."""
        found = self._calls.get(argnums)
        if found is None:
            places = [0 if self.arity == 0 else i for i in argnums]
            made = [_compiled(self.pulls[k], self.plans[k]) for k in places]
            found = self._calls[argnums] = tuple(made)
        return found


def _compiled(pull: Pull | None, plan: tuple[int | str, ...] | None) -> Call:
    """Function that hands a pull what it names: written out, it costs one call and no list."""
    places = {"g": "g", "xp": "xp", "i": "i"} | {name: f"tools[{name!r}]" for name in _TOOLS}
    places |= {"shape": f"parent[{SHAPE}]", "dtype": f"parent[{DTYPE}]"}
    given = [
        f"saved[{name}]" if isinstance(name, int) else places.get(name, f"options[{name!r}]")
        for name in plan or ()
    ]
    source = f"lambda xp, g, saved, options, parent, i: pull({', '.join(given)})"
    call: Call = eval(source, {"pull": pull, "tools": TOOLS})  # noqa: S307  (names from the table)
    return call


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of a function's parameters, keyword-only ones last; `inspect` is slow to import."""
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


RULES: dict[str, Rule] = {}

# Functions whose result does not change under small changes of their arguments: truth values,
# integers and steps. They give constants, and no cotangent comes back.
DISCRETE: set[str] = set()


def rule(
    name: str,
    kind: Kind,
    *pulls: Pull | None,
    forward: Callable[..., Any] | None = None,
    is_internal: bool = False,
) -> None:
    """Enter a rule into the table.

    Parameters
    ----------
    name : str
        The function's name in the standard.
    kind : {"elementwise", "linear", "bilinear", "other"}
    *pulls : callable or None
        One for each array argument; None where it has no derivative.
    forward : callable, optional
        ``forward(xp, *arrays, **options)``. Default: the function of that name, without options.
    is_internal : bool, optional
        No namespace has the function: `forward` gets plain arrays alone.
    """
    forward = forward or _default_forward(name, len(pulls))
    RULES[name] = Rule(name, kind, pulls, forward, is_internal=is_internal)


def discrete(*names: str) -> None:
    """Enter functions without a derivative: zero almost everywhere, or no numbers at all."""
    DISCRETE.update(names)


def _default_forward(name: str, arity: int) -> Callable[..., Any]:
    if arity == 1:
        return lambda xp, a: getattr(xp, name)(a)
    if arity == 2:  # noqa: PLR2004
        return lambda xp, a, b: getattr(xp, name)(a, b)
    return lambda xp, a, b, c: getattr(xp, name)(a, b, c)
