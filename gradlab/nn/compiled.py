"""A network's mathematics as straight functions, made for its layers.

A loop over layers, what it keeps in lists, and arrays that are made where one could be written to
would cost a small network some percent of its time; and on a GPU the host must not fall behind.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from gradlab.nn.functions import biases_cotangent, weights_cotangent

__all__ = ["Compiled", "compile_network"]


class Compiled(NamedTuple):
    """Functions of arrays that are not traced, all of one dtype; they write to their own alone.

    Attributes
    ----------
    scores : callable
        ``scores(xp, params, x)``: the last layer's output.
    loss_and_gradient : callable
        ``loss_and_gradient(xp, params, x, rows)``: the loss, shape (), and its gradient, a dict.
    """

    scores: Callable[..., Any]
    loss_and_gradient: Callable[..., Any]


@lru_cache
def compile_network(steps: Any, loss: Any) -> Compiled:
    """Functions of the network of these layers.

    Parameters
    ----------
    steps : tuple of (layer, names of its parameters)
    loss : CrossEntropy or MeanSquaredError
    """
    scope: dict[str, Any] = {"loss": loss, "of_b": biases_cotangent, "of_W": weights_cotangent}
    forward: list[str] = []
    backward: list[str] = []  # from the end
    slopes: list[str] = []
    for k, (layer, names) in enumerate(steps):
        if names:
            W, b = names  # noqa: N806  (the formula's letter)
            back = [f"{b}, {W} = of_b(g), of_W(g, kept{k})"]
            back += [f"g = g @ params['{W}'].mT"] if slopes else []
            forward += [f"kept{k} = x", f"x = x @ params['{W}']", f"x += params['{b}']"]
            slopes += [f"'{W}': {W}", f"'{b}': {b}"]
        else:
            scope[f"layer{k}"] = layer
            back = [f"g = layer{k}.cotangent(xp, g, kept{k})"] if slopes else []
            is_own = k > 0 and steps[k - 1][1]  # what a dense layer gave, and nobody keeps
            value = f"layer{k}.value(xp, x)" if is_own else f"layer{k}.function(x)"
            forward += [f"x = kept{k} = {value}"]
        backward = back + backward
    scores = ("def scores(xp, params, x):", *forward, "return x")
    loss_and_gradient = (
        "def loss_and_gradient(xp, params, x, rows):",
        *forward,
        "value, extra = loss.value(xp, x, rows)",
        "g = loss.cotangent(xp, rows, extra)",
        *backward,
        f"return value, {{{', '.join(slopes)}}}",
    )
    for lines in (scores, loss_and_gradient):
        exec("\n    ".join(lines), scope)  # noqa: S102  (of names of this module's)
    return Compiled(scope["scores"], scope["loss_and_gradient"])
