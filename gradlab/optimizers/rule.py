"""What an update rule is: the protocol, and the steps that all of gradlab's own share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Protocol, TypeAlias, runtime_checkable

from gradlab import tree
from gradlab.backend import Array, Namespace, kind_of, namespace, owned
from gradlab.optimizers.settings import finite

__all__ = ["Optimizer", "Rate", "Rule", "advance_of", "as_optimizer", "lr_of", "step_of"]

Rate: TypeAlias = float | Callable[[int], float]


@runtime_checkable
class Optimizer(Protocol):
    """What training and descent ask of an update rule.

    One that has ``lr_at(step)``, its learning rate at a step, has it recorded as well.
    """

    def init(self, params: tree.Tree) -> tree.Tree:
        """State before the first step."""
        ...

    def step(
        self, params: tree.Tree, grads: tree.Tree, state: tree.Tree
    ) -> tuple[tree.Tree, tree.Tree]:
        """New parameters and new state.

        `params` and `grads` may be written to: training and descent hand over copies.
        """
        ...


def as_optimizer(optimizer: Any) -> Optimizer:
    """Return `optimizer` if it is an update rule."""
    if isinstance(optimizer, Optimizer) and not isinstance(optimizer, type):
        return optimizer
    hint = ""
    if isinstance(optimizer, type):
        hint = f"; make one of the class: {optimizer.__name__}()"
    msg = f"`optimizer` must be an update rule, such as SGD(0.1): got {optimizer!r}{hint}"
    raise TypeError(msg)


def step_of(optimizer: Optimizer) -> Callable[..., tuple[tree.Tree, tree.Tree]]:
    """`step`, which a rule of others may take in place: it gets copies.

    What it returns is checked, and its parameters keep their dtypes.
    """
    if isinstance(optimizer, Rule) and _definer(optimizer, "step") is Rule:
        return optimizer.step

    def step(params: tree.Tree, grads: tree.Tree, state: tree.Tree) -> tuple[tree.Tree, tree.Tree]:
        result = optimizer.step(tree.map(owned, params), tree.map(owned, grads), state)
        if not (isinstance(result, tuple | list) and len(result) == 2):  # noqa: PLR2004
            msg = (
                "`optimizer.step` must return a pair, the new parameters and the new state: got "
                f"{type(result).__name__}"
            )
            raise TypeError(msg)
        moved, after = result
        likes = dict(tree.items(params, "params"))
        fitting = tree.fitting(moved, likes, "params", "`optimizer.step`")
        return tree.flatten(params)[1](fitting), after

    return step


def advance_of(optimizer: Optimizer) -> Callable[..., tuple[tree.Tree, tree.Tree]]:
    """`advance`, for dicts of arrays that one step has taken; `step_of` where a rule has none.

    One that has a `step` of its own, and inherits `advance`, has none.
    """
    advance: Callable[..., Any] | None = getattr(optimizer, "advance", None)
    if advance is None or not issubclass(
        _definer(optimizer, "advance"), _definer(optimizer, "step")
    ):
        return step_of(optimizer)
    return advance


def _definer(optimizer: Optimizer, method: str) -> type:
    """Class that an object has a method from; `object` where the object has it from none."""
    return next((cls for cls in type(optimizer).__mro__ if method in vars(cls)), object)


def lr_of(optimizer: Optimizer, step: int) -> float:
    """Learning rate of a step, the first of which is 0; NaN where the rule does not say."""
    lr_at = getattr(optimizer, "lr_at", None)
    return math.nan if lr_at is None else float(lr_at(step))


class Rule(ABC):
    """What the rules share: they say how one array moves, and what they remember."""

    __slots__ = ()
    lr: Rate

    def lr_at(self, step: int) -> float:
        """Learning rate of a step.

        Parameters
        ----------
        step : int
            Steps taken before it.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the function `lr` returned no number, a negative or an infinite one.
        """
        if not callable(self.lr):
            return self.lr
        rule = f"`lr({step})` must return a finite number that is not negative"
        return finite(self.lr(step), rule)

    def init(self, params: tree.Tree) -> tree.Tree:
        """State before the first step.

        Parameters
        ----------
        params : array or nested dict, list or tuple of arrays
            Real floating, of one library.

        Returns
        -------
        dict
            ``step``, the number of steps taken, a Python int; and by their names the averages that
            the rule remembers, zeros built like `params`.

        Raises
        ------
        TypeError
            If `params` holds something else.
        """
        leaves = dict(tree.items(params, "params"))
        xp = namespace(*leaves.values(), names=tuple(leaves))
        for name, leaf in leaves.items():
            dtype = getattr(leaf, "dtype", None)
            if dtype is None or kind_of(dtype) != "real floating":
                msg = f"`{name}` must be real floating: got {dtype or type(leaf).__name__}"
                raise TypeError(msg)
        return {"step": 0} | {name: tree.map(xp.zeros_like, params) for name in self._memory()}

    def step(
        self, params: tree.Tree, grads: tree.Tree, state: tree.Tree
    ) -> tuple[tree.Tree, tree.Tree]:
        """One step.

        Parameters
        ----------
        params : array or nested dict, list or tuple of arrays
            Not modified.
        grads : array or tree like `params`
            Not modified.
        state : dict
            From `init` or the step before. Not modified.

        Returns
        -------
        params : array or tree
            New arrays in the structure, shapes, dtypes and on the device of the old ones.
        state : dict

        Raises
        ------
        ValueError
            If `grads` has another structure or another shape than `params`, or `state` is not of
            this rule and of `params`.
        TypeError
            If `grads` is of another library, or not real.
        """
        names = self._memory()
        try:
            count, *memory = [state[name] for name in ("step", *names)]
        except (KeyError, TypeError) as error:
            came = list(state) if isinstance(state, dict) else type(state).__name__
            msg = f"`state` must be what `init` of this rule, or the step before, gave: got {came}"
            raise ValueError(msg) from error
        (ps, gs, *memory), build = tree.aligned(params, grads, *memory)
        xp = namespace(*ps, *gs, names=("params",) * len(ps) + ("grads",) * len(gs))
        _check_shapes("grads", gs, ps)
        for column in memory:
            _check_shapes("state", column, ps)
        gs = [g if g.dtype == p.dtype else _cast(xp, g, p) for p, g in zip(ps, gs, strict=True)]
        if len(set(map(type, chain(ps, gs, *memory)))) > 1:
            # Some are traced: what a rule writes to must be able to take them in
            xp = namespace(*ps, *gs, *chain(*memory))
            ps, gs, *memory = ([xp.asarray(x) for x in column] for column in (ps, gs, *memory))
        moved = self._all_moved(ps, gs, memory, count)
        # NumPy's operators turn 0-d arrays into scalars
        moved = [new if new[0].shape else tuple(map(xp.asarray, new)) for new in moved]
        after = {name: build([new[k] for new in moved]) for k, name in enumerate(names, 1)}
        return build([new[0] for new in moved]), {"step": count + 1} | after

    def advance(
        self, params: dict[str, Array], grads: dict[str, Array], state: dict[str, Any]
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """What `step` returns, unchecked: `params` and `grads` are dicts of arrays that fit.

        They have axes, and one dtype, as those of networks have. Checks cost a step of a small
        network as much as its arithmetic. `grads` are given away: they may be written to.
        """
        names = self._memory()
        gs = [grads[key] for key in params]
        memory = [[state[name][key] for key in params] for name in names]
        moved = self._all_moved(params.values(), gs, memory, state["step"])
        after = {"step": state["step"] + 1}
        for k, name in enumerate(names, 1):
            after[name] = {key: new[k] for key, new in zip(params, moved, strict=True)}
        return {key: new[0] for key, new in zip(params, moved, strict=True)}, after

    def _all_moved(
        self, ps: Iterable[Array], gs: list[Array], memory: list[list[Array]], count: int
    ) -> list[tuple[Array, ...]]:
        xp, lr = namespace(*gs[:1]), self.lr_at(count)
        return [self._moved(xp, lr, count, *group) for group in zip(ps, gs, *memory, strict=True)]

    @abstractmethod
    def _moved(
        self, xp: Namespace, lr: float, count: int, p: Array, g: Array, *memory: Array
    ) -> tuple[Array, ...]:
        """New parameter, and what is remembered of it."""

    @abstractmethod
    def _memory(self) -> tuple[str, ...]:
        """Names of what is remembered."""


def _check_shapes(called: str, column: list[Array], params: list[Array]) -> None:
    for p, x in zip(params, column, strict=True):
        if p.shape != getattr(x, "shape", None):
            given = tuple(x.shape) if hasattr(x, "shape") else type(x).__name__
            msg = f"`{called}` must have the shapes of `params`: got {given} for {tuple(p.shape)}"
            raise ValueError(msg)


def _cast(xp: Namespace, g: Array, p: Array) -> Array:
    if kind_of(g.dtype) not in ("real floating", "integral"):
        msg = f"`grads` must be real: got {g.dtype}"
        raise TypeError(msg)
    return xp.astype(g, p.dtype)
