"""The exact gradient of a network's loss as one straight function, made for its layers.

A loop over layers, and what it keeps in lists, would cost a small network some percent of its time;
and on a GPU the host must not fall behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradlab.nn.functions import biases_cotangent, weights_cotangent

__all__ = ["compile_gradient"]


def compile_gradient(steps: Any, loss: Any) -> Callable[..., Any]:
    """Function of ``(xp, params, x, rows)`` that returns the loss and its gradient, a dict.

    Parameters
    ----------
    steps : sequence of (layer, names of its parameters)
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
            forward += [f"kept{k} = x", f"x = x @ params['{W}'] + params['{b}']"]
            slopes += [f"'{W}': {W}", f"'{b}': {b}"]
        else:
            scope[f"layer{k}"] = layer
            back = [f"g = layer{k}.cotangent(xp, g, kept{k})"] if slopes else []
            forward += [f"x = kept{k} = layer{k}.value(xp, x)"]
        backward = back + backward
    lines = (
        "def run(xp, params, x, rows):",
        *forward,
        "value, extra = loss.value(xp, x, rows)",
        "g = loss.cotangent(xp, rows, extra)",
        *backward,
        f"return value, {{{', '.join(slopes)}}}",
    )
    exec("\n    ".join(lines), scope)  # noqa: S102  (of names of this module's)
    run: Callable[..., Any] = scope["run"]
    return run
