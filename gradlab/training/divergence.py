"""When a training has diverged: the rule, and the error that names the learning rate."""

from __future__ import annotations

import math

from gradlab.optimizers import Optimizer, lr_of
from gradlab.training.history import History

__all__ = ["DivergenceError", "find_divergence"]

_FACTOR = 10  # noise of a batch, and epochs that go wrong and recover, stay well below it


class DivergenceError(RuntimeError):
    """The loss exploded, or is not finite; the network has the parameters of the last good epoch.

    Attributes
    ----------
    step : int
        First step, counted from 0, whose loss gave it away.
    loss : float
        Its loss.
    lr : float
        Learning rate of the step before, which led there.
    history : History
        All that was recorded, the bad epoch included.
    """

    def __init__(self, step: int, loss: float, lr: float, history: History) -> None:
        super().__init__(step, loss, lr, history)  # all of them, so that a pickle restores it
        self.step = step
        self.loss = loss
        self.lr = lr
        self.history = history

    def __str__(self) -> str:
        if self.step == 0:
            return (
                f"the loss is {self.loss:g} at step 0 already, before lr={self.lr:g} was used: "
                "look for NaN, infinity or huge numbers in `x` and in the parameters"
            )
        return (
            f"training diverged with lr={self.lr:g}: the loss is {self.loss:g} at step "
            f"{self.step}; the parameters of the last good epoch are restored. "
            f"Try lr={self.lr / 10:g}"
        )


def find_divergence(
    history: History, steps: int, baseline: float, optimizer: Optimizer
) -> DivergenceError | None:
    """Judge the last epoch, of so many steps, by the rule that `fit` publishes."""
    losses = history.train_loss_list
    limit = math.inf
    guessing = max(losses[0], baseline)
    if history.loss[-1] > _FACTOR * guessing:
        limit = _FACTOR * guessing
    for step in range(len(losses) - steps, len(losses)):
        if not math.isfinite(losses[step]) or losses[step] > limit:
            return DivergenceError(step, losses[step], lr_of(optimizer, max(step - 1, 0)), history)
    return None
