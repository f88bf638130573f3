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

__all__ = ["DISCRETE", "INTERNAL", "RULES", "Kind", "Rule", "discrete", "rule"]

Kind = Literal["elementwise", "linear", "bilinear", "other"]
Pull = Callable[..., Any]

_ARRAYS, _RESULTS = "abc", "ye"
SPECIAL = ("g", "xp", "shape", "dtype", "i", "call", "through")


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
    """

    __slots__ = (
        *("_needed", "arity", "defaults", "forward", "has_extra", "kind", "name", "needs"),
        *("plans", "pulls", "short"),
    )

    def __init__(
        self, name: str, kind: Kind, pulls: tuple[Pull | None, ...], forward: Callable[..., Any]
    ) -> None:
        self.name = name
        self.kind: Kind = kind
        self.pulls: tuple[Any, ...] = pulls
        self._needed: dict[tuple[int, ...], frozenset[int]] = {}
        self.forward = forward
        self.arity = 0 if "arrays" in _parameters(forward) else len(pulls)
        options = _parameters(forward)[2 if self.arity == 0 else 1 + len(pulls) :]
        self.defaults = dict.fromkeys(options) | (forward.__kwdefaults__ or {})
        self.plans = tuple(None if pull is None else self._plan(pull) for pull in pulls)
        self.short = tuple(
            None if plan is None else _short(pull, plan)
            for pull, plan in zip(pulls, self.plans, strict=True)
        )
        self.has_extra = any("e" in _parameters(pull) for pull in pulls if pull is not None)
        self.needs = tuple(
            frozenset() if plan is None else frozenset(t for t in plan if isinstance(t, int))
            for plan in self.plans
        )

    def _plan(self, pull: Pull) -> tuple[int | str, ...]:
        """Where each parameter of `pull` comes from: an index of what is saved, or a name."""
        plan: list[int | str] = []
        for name in _parameters(pull):
            if name in _ARRAYS[: max(self.arity, 1)]:
                plan.append(_ARRAYS.index(name))
            elif name in _RESULTS:
                plan.append(max(self.arity, 1) + _RESULTS.index(name))
            elif name in SPECIAL or name in self.defaults:
                plan.append(name)
            else:
                msg = f"rule {self.name!r}: {name!r} of a pull is neither saved nor an option"
                raise TypeError(msg)
        return tuple(plan)

    def needed(self, argnums: tuple[int, ...]) -> frozenset[int]:
        """Indices of what the pulls of these arguments use: arguments, then the result."""
        found = self._needed.get(argnums)
        if found is None:
            found = frozenset().union(*(self.needs[0 if self.arity == 0 else i] for i in argnums))
            self._needed[argnums] = found
        return found


def _short(pull: Any, plan: tuple[int | str, ...]) -> Callable[..., Any] | None:
    """``short(xp, g, saved)`` for a pull of one of the common plans: a call without a list."""
    match plan:
        case ("g",):
            return lambda xp, g, saved: pull(g)
        case ("g", int(i)):
            return lambda xp, g, saved: pull(g, saved[i])
        case ("xp", "g"):
            return lambda xp, g, saved: pull(xp, g)
        case ("xp", "g", int(i)):
            return lambda xp, g, saved: pull(xp, g, saved[i])
        case ("xp", "g", int(i), int(j)):
            return lambda xp, g, saved: pull(xp, g, saved[i], saved[j])
    return None


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of a function's parameters, keyword-only ones last; `inspect` is slow to import."""
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


RULES: dict[str, Rule] = {}

# Rules of functions that no namespace has: what they compute is a step at every depth of traces.
INTERNAL = frozenset({"power_log", "root", "scatter"})

# Functions whose result does not change under small changes of their arguments: truth values,
# integers and steps. They give constants, and no cotangent comes back.
DISCRETE: set[str] = set()


def rule(
    name: str, kind: Kind, *pulls: Pull | None, forward: Callable[..., Any] | None = None
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
    """
    RULES[name] = Rule(name, kind, pulls, forward or _default_forward(name, len(pulls)))


def discrete(*names: str) -> None:
    """Enter functions without a derivative: zero almost everywhere, or no numbers at all."""
    DISCRETE.update(names)


def _default_forward(name: str, arity: int) -> Callable[..., Any]:
    if arity == 1:
        return lambda xp, a: getattr(xp, name)(a)
    if arity == 2:  # noqa: PLR2004
        return lambda xp, a, b: getattr(xp, name)(a, b)
    return lambda xp, a, b, c: getattr(xp, name)(a, b, c)
