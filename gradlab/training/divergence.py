"""When a training has diverged: the rule, and the error that names the learning rate."""

from __future__ import annotations

import math

from gradlab.optimizers import Optimizer, lr_of
from gradlab.training.checkpoint import Mark
from gradlab.training.history import History

__all__ = ["DivergenceError", "find_divergence", "limit_of"]

_FACTOR = 10  # noise, and losses on the way to a good end, stay well below it
_EPOCHS = 3  # above the limit, in a row: what mends does so sooner, and what is lost stays there


class DivergenceError(RuntimeError):
    """The loss exploded, or is not finite; the network has the parameters of the last good epoch.

    Attributes
    ----------
    step : int
        First step, counted from 0, whose loss gave it away; that of a step which was not taken is
        the loss at the end.
    loss : float
        Its loss.
    lr : float
        Learning rate of the step before, which led there.
    history : History
        All that was recorded, the bad epochs included.
    not_finite : str
        Which of the training's `x` and `t` hold NaN or infinity: then it is not the learning rate.
    """

    not_finite = ""

    def __init__(self, step: int, loss: float, lr: float, history: History) -> None:
        super().__init__(step, loss, lr, history)  # all of them, so that a pickle restores it
        self.step = step
        self.loss = loss
        self.lr = lr
        self.history = history

    def __str__(self) -> str:
        is_known = not math.isnan(self.lr)  # a rule of others may not say
        if self.not_finite:
            return (
                f"the loss is {self.loss:g} at step {self.step}, for {self.not_finite} must be "
                "finite: got NaN or infinity; leave such samples out, or fill them"
            )
        if self.step == 0:
            before = f", before lr={self.lr:g} was used" if is_known else ""
            return (
                f"the loss is {self.loss:g} at step 0 already{before}: look for NaN, infinity or "
                "huge numbers in `x`, in `t` and in the parameters"
            )
        rate, cure = f" with lr={self.lr:g}", f"Try lr={self.lr / 10:g}"
        if not is_known:
            rate, cure = "", "Try a smaller learning rate"
        return (
            f"training diverged{rate}: the loss is {self.loss:g} at step {self.step}; the "
            f"parameters of the last good epoch are restored. {cure}"
        )


def limit_of(history: History, baseline: float) -> float:
    """Loss above which an epoch is bad."""
    return _FACTOR * max(history.train_loss_list[0], baseline)


def find_divergence(
    history: History, end: float, limit: float, *, good: Mark, is_over: bool, optimizer: Optimizer
) -> DivergenceError | None:
    """Judge the last epoch by the rule that `fit` publishes.

    Parameters
    ----------
    end : float
        The loss at its end.
    good : Mark
        Where the last good epoch ended.
    is_over : bool
        Whether no other epoch follows.
    """
    losses = [*history.train_loss_list[good.steps :], end]
    bad = [k for k, loss in enumerate(losses) if not math.isfinite(loss)]
    if not bad and (is_over or len(history.loss) - good.epochs >= _EPOCHS) and end > limit:
        bad = [k for k, loss in enumerate(losses) if loss > limit]
    if not bad:
        return None
    step = good.steps + bad[0]
    return DivergenceError(step, losses[bad[0]], lr_of(optimizer, max(step - 1, 0)), history)
