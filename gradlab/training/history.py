"""What a training leaves behind: plain numbers on the host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = ["History", "StopReason"]

StopReason: TypeAlias = Literal["finished", "callback", "interrupted", "diverged"]


@dataclass(slots=True)
class History:
    """Course of a training.

    Attributes
    ----------
    seed : int
        What the batches were drawn with.
    train_loss_list : list of float
        Loss of the batch of each step, before the step.
    loss : list of float
        Mean of these over the samples of each epoch.
    accuracy : list of float
        On all training data, at the end of each epoch.
    seconds : list of float
        Wall-clock time of each epoch, the device's work included and callbacks not.
    stop_reason : {"finished", "callback", "interrupted", "diverged"} or None
        None while the training is under way; ``diverged`` only in a `DivergenceError`.
    """

    seed: int
    train_loss_list: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    stop_reason: StopReason | None = None
