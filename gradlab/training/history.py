"""What a training leaves behind: plain numbers on the host."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike
from typing import Literal, TypeAlias

__all__ = ["PER_EPOCH", "History", "StopReason"]

StopReason: TypeAlias = Literal["finished", "patience", "callback", "interrupted", "diverged"]
PER_EPOCH = ("loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds")


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
    val_loss, val_accuracy : list of float
        On the validation data, at the end of each epoch; empty where there are none.
    lr : list of float
        Learning rate of the last step of each epoch.
    seconds : list of float
        Wall-clock time of each epoch, the device's work included; callbacks and the writing of
        checkpoints not.
    best_epoch : int or None
        The epoch, counted from 0, of the lowest `val_loss`.
    stop_reason : {"finished", "patience", "callback", "interrupted", "diverged"} or None
        None while the training is under way; ``diverged`` only in a `DivergenceError`.
    """

    seed: int
    train_loss_list: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int | None = None
    stop_reason: StopReason | None = None

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write a table of the epochs, one a line, under a line of names.

        Parameters
        ----------
        path : str or path
            Replaced if it exists. Numbers are written so that they are read back exactly; columns
            that have no values are left out.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        import csv  # noqa: PLC0415  (not at `import gradlab`, nor the next)
        from pathlib import Path  # noqa: PLC0415

        names = [name for name in PER_EPOCH if getattr(self, name)]
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *names])
            rows = zip(*(getattr(self, name) for name in names), strict=True)
            writer.writerows([epoch, *row] for epoch, row in enumerate(rows))
