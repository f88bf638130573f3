"""What networks are made of: dense layers, and functions of every element between them.

A function of every element is known by its `function`, which exact derivatives go through, and by
three formulas: its `value` y, which may write to its argument, for fresh memory costs more than
arithmetic; its `cotangent` by y; and the `change` of its value under a change `u` of its argument,
accurate to rounding however small that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from gradlab.backend import Array, Namespace, overflow_expected
from gradlab.nn import functions

__all__ = ["KINDS", "Activation", "Dense", "Layer", "ReLU", "Sigmoid", "Tanh"]


@dataclass(frozen=True, slots=True)
class Dense:
    """Layer ``x @ W + b``: every unit sees every feature.

    Parameters
    ----------
    units : int
        Features of its output.
    """

    units: int


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """Logistic function ``1 / (1 + exp(-x))`` of every element."""

    function = staticmethod(functions.sigmoid)

    @staticmethod
    def value(xp: Namespace, a: Array) -> Array:
        a *= -1
        return functions.sigmoid_of_minus(xp, a)

    @staticmethod
    def cotangent(xp: Namespace, g: Array, y: Array) -> Array:
        slope = functions.sigmoid_slope(y)
        slope *= g
        return slope

    @staticmethod
    def change(xp: Namespace, a: Array, y: Array, u: Array) -> Array:
        is_up, b = u > 0, a + u
        other = functions.sigmoid_of(xp, -a)  # 1 - y, where y is nearly 1
        # The tails are exp(-c): what rounding has taken from a + u is a share of them
        lost, b = (xp.where(is_up, part, -part) for part in ((a - b) + u, b))
        with overflow_expected():
            tail = 1 / (1 + xp.exp(-b) * (1 - lost))
        return xp.where(is_up, -other, y) * tail * xp.expm1(-xp.abs(u))


@dataclass(frozen=True, slots=True)
class Tanh:
    """Hyperbolic tangent of every element."""

    @staticmethod
    def function(x: Array) -> Array:
        return functions.tanh(x)

    @staticmethod
    def value(xp: Namespace, a: Array) -> Array:
        return xp.tanh(a)

    @staticmethod
    def cotangent(xp: Namespace, g: Array, y: Array) -> Array:
        slope = 1 - y * y
        slope *= g
        return slope

    @staticmethod
    def change(xp: Namespace, a: Array, y: Array, u: Array) -> Array:
        a = 2 * a  # tanh(a) = 2 sigmoid(2 a) - 1
        return 2 * Sigmoid.change(xp, a, functions.sigmoid_of(xp, a), 2 * u)


@dataclass(frozen=True, slots=True)
class ReLU:
    """Positive part ``max(x, 0)`` of every element; its gradient at 0 is 0."""

    @staticmethod
    def function(x: Array) -> Array:
        return functions.relu(x)

    @staticmethod
    def value(xp: Namespace, a: Array) -> Array:
        return xp.maximum(a, xp.zeros_like(a))

    @staticmethod
    def cotangent(xp: Namespace, g: Array, y: Array) -> Array:
        return xp.where(y > 0, g, xp.zeros_like(g))

    @staticmethod
    def change(xp: Namespace, a: Array, y: Array, u: Array) -> Array:
        positive = a > 0
        return xp.where(positive, xp.maximum(u, -a), xp.maximum(a + u, xp.zeros_like(u)))


Activation: TypeAlias = Sigmoid | Tanh | ReLU
Layer: TypeAlias = Dense | Activation
KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Dense, Sigmoid, Tanh, ReLU)}
