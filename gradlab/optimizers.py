"""Update rules: how parameters move, given their gradients.

A rule is a frozen dataclass of plain numbers. What it remembers is a tree that the caller keeps,
`state`; the step count in it is a Python int, so that a schedule never waits for the device.
Formulas and defaults are those of torch.optim.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from numbers import Real
from typing import Any, Protocol, TypeAlias, runtime_checkable

from gradlab import tree
from gradlab.backend import Array, Namespace, kind_of, namespace

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "advance_of",
    "clip_norm",
    "lr_of",
]

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
        """New parameters and new state; the arguments stay as they are."""
        ...


def advance_of(optimizer: Optimizer) -> Callable[..., tuple[tree.Tree, tree.Tree]]:
    """`advance`, for dicts of arrays that one step has taken; `step` where a rule has no other."""
    advance: Callable[..., Any] = getattr(optimizer, "advance", optimizer.step)
    return advance


def lr_of(optimizer: Optimizer, step: int) -> float:
    """Learning rate of a step, the first of which is 0; NaN where the rule does not say."""
    lr_at = getattr(optimizer, "lr_at", None)
    return math.nan if lr_at is None else float(lr_at(step))


class _Rule(ABC):
    """What the rules of this module share: they say how one array moves, and what they remember."""

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
        return _finite(self.lr(step), rule)

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


@dataclass(frozen=True, slots=True)
class SGD(_Rule):
    """Stochastic gradient descent: ``params - lr * v``, ``v = momentum * v + grads``.

    Parameters
    ----------
    lr : float or callable
        Learning rate, positive and finite; or a function of the step number, an int that starts
        at 0, to a number that is finite and not negative.
    momentum : float
        In [0, 1); 0 moves along the gradient alone.
    nesterov : bool
        Move by ``momentum * v + grads`` instead of v.
    weight_decay : float
        Not negative; ``weight_decay * params`` is added to the gradient.

    Raises
    ------
    ValueError
        If a setting is something else, or `nesterov` is without `momentum`.

    References
    ----------
    Robbins and Monro, A stochastic approximation method, Ann. Math. Statist. 22 (1951). Sutskever
    et al., On the importance of initialization and momentum in deep learning, ICML 2013.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab.optimizers import SGD
    >>> optimizer = SGD(lambda step: 0.5 / (1 + step))
    >>> params, grads = {"w": gl.asarray([1.0, 2.0])}, {"w": gl.asarray([1.0, 1.0])}
    >>> state = optimizer.init(params)
    >>> params, state = optimizer.step(params, grads, state)
    >>> params, state = optimizer.step(params, grads, state)
    >>> params, state
    ({'w': array([0.25, 1.25])}, {'step': 2})
    """

    lr: Rate
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _set(self, lr=_rate, momentum=_part, weight_decay=_not_negative)
        if self.nesterov and not self.momentum:
            msg = "`nesterov` needs a `momentum` above 0: got momentum=0"
            raise ValueError(msg)

    def advance(
        self, params: dict[str, Array], grads: dict[str, Array], state: dict[str, Any]
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """As that of every rule; what has no memory, written out, takes half the time."""
        if self.momentum or self.weight_decay:
            return _Rule.advance(self, params, grads, state)
        lr, count = self.lr_at(state["step"]), state["step"] + 1
        return {key: _less(p, lr, grads[key]) for key, p in params.items()}, {"step": count}

    def _memory(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def _moved(
        self, xp: Namespace, lr: float, count: int, p: Array, g: Array, *memory: Array
    ) -> tuple[Array, ...]:
        g = _decayed(p, g, self.weight_decay)
        if not memory:
            return (p - lr * g,)
        v = self.momentum * memory[0]
        v += g
        if not self.nesterov:
            return p - lr * v, v
        ahead = self.momentum * v
        ahead += g
        return _less(p, lr, ahead), v


@dataclass(frozen=True, slots=True)
class AdaGrad(_Rule):
    """Steps divided by the root of the sum of all squared gradients so far, element by element.

    Parameters
    ----------
    lr, weight_decay
        As for `SGD`.
    eps : float
        Positive; added to the root.

    Raises
    ------
    ValueError
        If a setting is something else.

    References
    ----------
    Duchi, Hazan and Singer, Adaptive subgradient methods, JMLR 12 (2011).
    """

    lr: Rate = 0.01
    weight_decay: float = 0.0
    eps: float = 1e-10

    def __post_init__(self) -> None:
        _set(self, lr=_rate, weight_decay=_not_negative, eps=_positive)

    def _memory(self) -> tuple[str, ...]:
        return ("sum_of_squares",)

    def _moved(
        self, xp: Namespace, lr: float, count: int, p: Array, g: Array, *memory: Array
    ) -> tuple[Array, ...]:
        g = _decayed(p, g, self.weight_decay)
        total = g * g
        total += memory[0]
        root = xp.sqrt(total)
        root += self.eps
        return _less(p, lr, g / root), total


@dataclass(frozen=True, slots=True)
class RMSprop(_Rule):
    """Steps divided by the root of a moving average of squared gradients, element by element.

    Parameters
    ----------
    lr, momentum, weight_decay
        As for `SGD`; momentum averages the divided steps.
    alpha : float
        In [0, 1): how much of the average stays at a step.
    eps : float
        Positive; added to the root.

    Raises
    ------
    ValueError
        If a setting is something else.

    References
    ----------
    Tieleman and Hinton, Lecture 6.5: rmsprop, Coursera, 2012.
    """

    lr: Rate = 0.01
    alpha: float = 0.99
    momentum: float = 0.0
    weight_decay: float = 0.0
    eps: float = 1e-8

    def __post_init__(self) -> None:
        _set(self, lr=_rate, alpha=_part, momentum=_part, weight_decay=_not_negative, eps=_positive)

    def _memory(self) -> tuple[str, ...]:
        return ("mean_square", "momentum") if self.momentum else ("mean_square",)

    def _moved(
        self, xp: Namespace, lr: float, count: int, p: Array, g: Array, *memory: Array
    ) -> tuple[Array, ...]:
        g = _decayed(p, g, self.weight_decay)
        average = _averaged(self.alpha, memory[0], g * g)
        root = xp.sqrt(average)
        root += self.eps
        v = g / root
        if not self.momentum:
            return _less(p, lr, v), average
        v += self.momentum * memory[1]
        return p - lr * v, average, v


@dataclass(frozen=True, slots=True)
class Adam(_Rule):
    """Moving average of gradients, divided by the root of that of their squares.

    Parameters
    ----------
    lr, weight_decay
        As for `SGD`.
    betas : (float, float)
        Each in [0, 1): how much of the averages of gradients and of squares stays at a step.
    eps : float
        Positive; added to the root.

    Raises
    ------
    ValueError
        If a setting is something else.

    References
    ----------
    Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab.optimizers import Adam
    >>> optimizer = Adam(0.1)
    >>> x = gl.asarray([1.0, -2.0])
    >>> state = optimizer.init(x)
    >>> x, state = optimizer.step(x, 2 * x, state)
    >>> x.round(6)
    array([ 0.9, -1.9])
    """

    lr: Rate = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _set(self, lr=_rate, betas=_parts, eps=_positive, weight_decay=_not_negative)

    def _memory(self) -> tuple[str, ...]:
        return ("mean", "mean_square")

    def _moved(
        self, xp: Namespace, lr: float, count: int, p: Array, g: Array, *memory: Array
    ) -> tuple[Array, ...]:
        g = _decayed(p, g, self.weight_decay)
        return _adam(self, xp, lr, count, p, g, *memory)


@dataclass(frozen=True, slots=True)
class AdamW(_Rule):
    """Adam, with a decay of the weights that is not divided by the root.

    Parameters
    ----------
    lr, betas, eps
        As for `Adam`.
    weight_decay : float
        Not negative; each step first shrinks the parameters by ``lr * weight_decay``.

    Raises
    ------
    ValueError
        If a setting is something else.

    References
    ----------
    Loshchilov and Hutter, Decoupled weight decay regularization, ICLR 2019, algorithm 2.
    """

    lr: Rate = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        _set(self, lr=_rate, betas=_parts, eps=_positive, weight_decay=_not_negative)

    def _memory(self) -> tuple[str, ...]:
        return ("mean", "mean_square")

    def _moved(
        self, xp: Namespace, lr: float, count: int, p: Array, g: Array, *memory: Array
    ) -> tuple[Array, ...]:
        p = p * (1 - lr * self.weight_decay)
        return _adam(self, xp, lr, count, p, g, *memory)


@dataclass(frozen=True, slots=True)
class _Clipped:
    """Update rule that is given gradients of a bounded norm."""

    optimizer: Optimizer
    max_norm: float

    def lr_at(self, step: int) -> float:
        return lr_of(self.optimizer, step)

    def init(self, params: tree.Tree) -> tree.Tree:
        return self.optimizer.init(params)

    def step(
        self, params: tree.Tree, grads: tree.Tree, state: tree.Tree
    ) -> tuple[tree.Tree, tree.Tree]:
        return self.optimizer.step(params, self._clipped(grads), state)

    def advance(
        self, params: tree.Tree, grads: tree.Tree, state: tree.Tree
    ) -> tuple[tree.Tree, tree.Tree]:
        return advance_of(self.optimizer)(params, self._clipped(grads), state)

    def _clipped(self, grads: tree.Tree) -> tree.Tree:
        leaves = [g for g in tree.leaves(grads) if 0 not in g.shape]
        if leaves:
            xp = namespace(*leaves)
            # by the largest element first: squares of large ones would overflow
            largest = xp.max(xp.stack([xp.max(xp.abs(g)) for g in leaves]))
            scale = xp.where(largest > 0, largest, xp.ones_like(largest))
            squares = xp.stack([xp.sum((g / scale) ** 2) for g in leaves])
            norm = xp.sqrt(xp.sum(squares)) * scale
            factor = xp.minimum(self.max_norm / (norm + 1e-6), xp.ones_like(norm))
            grads = tree.map(lambda g: _scaled(xp, g, factor), grads)
        return grads


def clip_norm(optimizer: Optimizer, max_norm: float) -> Optimizer:
    """Update rule whose gradients are scaled down to a Euclidean norm of at most `max_norm`.

    Parameters
    ----------
    optimizer : Optimizer
        What is given the clipped gradients.
    max_norm : float
        Positive: of all arrays of the gradient together.

    Returns
    -------
    Optimizer

    Raises
    ------
    TypeError, ValueError
        If an argument is something else.

    References
    ----------
    Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, ICML
    2013, algorithm 1.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab.optimizers import SGD, clip_norm
    >>> optimizer = clip_norm(SGD(1.0), max_norm=5.0)
    >>> x = gl.asarray([0.0, 0.0])
    >>> optimizer.step(x, gl.asarray([30.0, -40.0]), optimizer.init(x))[0].round(4)
    array([-3.,  4.])
    """
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, type):
        msg = f"`optimizer` must be an update rule, such as SGD(0.1): got {optimizer!r}"
        raise TypeError(msg)
    return _Clipped(optimizer, _positive(max_norm, "max_norm"))


def _scaled(xp: Namespace, g: Array, factor: Array) -> Array:
    """`g` times a number, in its dtype; of integers, in that of the number."""
    new = g * factor
    if new.dtype != g.dtype and kind_of(g.dtype) == "real floating":
        new = xp.astype(new, g.dtype)
    return new if g.shape else xp.asarray(new)  # NumPy's operators turn 0-d arrays into scalars


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


# A rule's own arrays are written to: fresh memory costs more than arithmetic. NumPy's scalars never
# are, hence the returns.


def _less(p: Array, lr: float, direction: Array) -> Array:
    """``p - lr * direction`` in the memory of `direction`."""
    direction *= -lr
    direction += p
    return direction


def _averaged(share: float, before: Array, new: Array) -> Array:
    """``share * before + (1 - share) * new`` in the memory of `new`."""
    new *= 1 - share
    new += share * before
    return new


def _decayed(p: Array, g: Array, weight_decay: float) -> Array:
    return g + weight_decay * p if weight_decay else g


def _adam(  # noqa: PLR0917  (as `_moved` has them)
    rule: Adam | AdamW, xp: Namespace, lr: float, count: int, p: Array, g: Array, *memory: Array
) -> tuple[Array, ...]:
    b1, b2 = rule.betas
    mean = b1 * memory[0]
    mean += (1 - b1) * g
    square = _averaged(b2, memory[1], g * g)
    root = xp.sqrt(square)
    root /= math.sqrt(1 - b2 ** (count + 1))
    root += rule.eps
    return _less(p, lr / (1 - b1 ** (count + 1)), mean / root), mean, square


def _set(rule: Any, **checks: Callable[[Any, str], Any]) -> None:
    """Replace settings by what their checks give: Python numbers; NumPy's would widen float32."""
    for name, check in checks.items():
        object.__setattr__(rule, name, check(getattr(rule, name), name))


def _rate(value: Any, name: str) -> Rate:
    if callable(value):
        return value  # type: ignore[no-any-return]
    lr = _finite(value, f"`{name}` must be a positive finite number or a function")
    if lr == 0:
        msg = f"`{name}` must be positive: got 0"
        raise ValueError(msg)
    return lr


def _positive(value: Any, name: str) -> float:
    number = _finite(value, f"`{name}` must be a positive finite number")
    if number == 0:
        msg = f"`{name}` must be positive: got 0"
        raise ValueError(msg)
    return number


def _not_negative(value: Any, name: str) -> float:
    return _finite(value, f"`{name}` must be a finite number that is not negative")


def _part(value: Any, name: str) -> float:
    number = _finite(value, f"`{name}` must be a number in [0, 1)")
    if number >= 1:
        msg = f"`{name}` must be a number in [0, 1): got {value!r}"
        raise ValueError(msg)
    return number


def _parts(value: Any, name: str) -> tuple[float, float]:
    if not (isinstance(value, tuple | list) and len(value) == 2):  # noqa: PLR2004
        msg = f"`{name}` must be two numbers in [0, 1): got {value!r}"
        raise ValueError(msg)
    first, second = (_part(part, f"{name}[{k}]") for k, part in enumerate(value))
    return first, second


def _finite(value: Any, rule: str) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and 0 <= value < math.inf):
        msg = f"{rule}: got {value!r}"
        raise ValueError(msg)
    return float(value)
