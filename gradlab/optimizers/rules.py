"""The update rules: their settings, formulas and sources."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gradlab.backend import Array, Namespace
from gradlab.optimizers.rule import Rate, Rule
from gradlab.optimizers.settings import not_negative, part, parts, positive, rate, set_checked

__all__ = ["SGD", "AdaGrad", "Adam", "AdamW", "RMSprop"]


@dataclass(frozen=True, slots=True)
class SGD(Rule):
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
        set_checked(self, lr=rate, momentum=part, weight_decay=not_negative)
        if self.nesterov and not self.momentum:
            msg = "`nesterov` needs a `momentum` above 0: got momentum=0"
            raise ValueError(msg)

    def advance(
        self, params: dict[str, Array], grads: dict[str, Array], state: dict[str, Any]
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """As that of every rule; what has no memory, written out, takes half the time."""
        if self.momentum or self.weight_decay:
            return Rule.advance(self, params, grads, state)
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
class AdaGrad(Rule):
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
        set_checked(self, lr=rate, weight_decay=not_negative, eps=positive)

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
class RMSprop(Rule):
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
        set_checked(
            self, lr=rate, alpha=part, momentum=part, weight_decay=not_negative, eps=positive
        )

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
class Adam(Rule):
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
        set_checked(self, lr=rate, betas=parts, eps=positive, weight_decay=not_negative)

    def _memory(self) -> tuple[str, ...]:
        return ("mean", "mean_square")

    def _moved(
        self, xp: Namespace, lr: float, count: int, p: Array, g: Array, *memory: Array
    ) -> tuple[Array, ...]:
        g = _decayed(p, g, self.weight_decay)
        return _adam(self, xp, lr, count, p, g, *memory)


@dataclass(frozen=True, slots=True)
class AdamW(Rule):
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
        set_checked(self, lr=rate, betas=parts, eps=positive, weight_decay=not_negative)

    def _memory(self) -> tuple[str, ...]:
        return ("mean", "mean_square")

    def _moved(
        self, xp: Namespace, lr: float, count: int, p: Array, g: Array, *memory: Array
    ) -> tuple[Array, ...]:
        p = p * (1 - lr * self.weight_decay)
        return _adam(self, xp, lr, count, p, g, *memory)


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
