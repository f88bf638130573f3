"""Checkpoints: what a training needs to go on as if it had not stopped, in a file.

What stands in it is a `Mark` and the history up to there. A training goes on from a checkpoint
only where it would have gone there by itself: with the same data, batches and seed.
"""

from __future__ import annotations

import hashlib
from os import PathLike
from time import perf_counter
from typing import Any, NamedTuple

from gradlab import tree
from gradlab.backend import Array, asarray_like, is_array, namespace, to_numpy
from gradlab.training.history import PER_EPOCH, History

__all__ = ["Best", "Checkpoint", "Mark", "fingerprint", "name_of"]

_SHARE = 0.03  # of the time, at most, that writing may take
_FIRST_COST = 0.01  # seconds, before the first has been measured
_SAMPLES = 16  # that a fingerprint takes as they are
_DIGITS = 6  # and of its means: what another device rounds otherwise does not show


class Best(NamedTuple):
    """The epoch, counted from 0, with the lowest loss on the validation data."""

    epoch: int
    loss: float
    params: dict[str, Array]


class Mark(NamedTuple):
    """Where a training stands, after a complete step."""

    params: dict[str, Array]
    state: tree.Tree  # of the optimizer
    rng: dict[str, Any]  # as the epoch began
    steps: int  # whose losses are in the history
    waiting: int  # more steps, whose losses are on the device
    epochs: int  # that are complete
    best: Best | None


class Checkpoint:
    """A file that a training writes to, and goes on from.

    Parameters
    ----------
    path : str or path
    settings : dict of plain values
        What must be the same where a training goes on.
    """

    def __init__(self, path: str | PathLike[str], settings: dict[str, Any]) -> None:
        from gradlab import store  # noqa: PLC0415  (what it imports: not at `import gradlab`)

        self.path = store.named(path, "checkpoint")
        if not self.path.parent.is_dir():
            msg = f"`checkpoint` must be in a folder that exists: got {str(path)!r}"
            raise FileNotFoundError(msg)
        self.settings = settings
        self._cost, self._end = _FIRST_COST, perf_counter()
        self._written: Mark | None = None

    def save(self, mark: Mark, history: History, *, now: bool = False) -> None:
        """Write, if it is `now` or the last time is so long ago that this takes a small share."""
        start = perf_counter()
        due = self._cost <= _SHARE * (start - self._end + self._cost)
        if mark is self._written or not (now or due):
            return
        from gradlab import store  # noqa: PLC0415  (what it imports: not at `import gradlab`)

        store.save(self.path, self._state(mark, history))
        self._written, self._end = mark, perf_counter()
        self._cost = self._end - start

    def rehearse(self, mark: Mark, history: History) -> None:
        """Raise now, before any work, what a write would raise."""
        from gradlab import store  # noqa: PLC0415  (what it imports: not at `import gradlab`)

        try:
            store.rehearse(self.path, self._state(mark, history))
        except TypeError as error:
            msg = f"`checkpoint` cannot hold what `optimizer` remembers: {error}"
            raise TypeError(msg) from error

    def _state(self, mark: Mark, history: History) -> dict[str, Any]:
        lists = {name: getattr(history, name)[: mark.epochs] for name in PER_EPOCH}
        return {
            "kind": "training",
            "settings": self.settings,
            "params": mark.params,
            "state": mark.state,
            "rng": mark.rng,
            "seed": history.seed,
            "history": {"train_loss_list": history.train_loss_list[: mark.steps], **lists},
            "best": mark.best and mark.best._asdict(),
        }

    def load(self, fresh: Mark, history: History) -> Mark:
        """Read the file, fill the history, and return where the training stood.

        Parameters
        ----------
        fresh : Mark
            Where it would begin otherwise; arrays go where its arrays are.
        history : History
            Empty.

        Raises
        ------
        ValueError
            If the file is damaged, or of another training.
        """
        from gradlab import store  # noqa: PLC0415  (what it imports: not at `import gradlab`)

        saved = store.load(self.path)
        if not (isinstance(saved, dict) and saved.get("kind") == "training"):
            msg = f"{self.path}: expected a checkpoint of a training, got something else"
            raise store.StoreError(msg)
        self._compare("parameters", _shapes(saved["params"]), _shapes(fresh.params))
        self._compare("settings", saved["settings"], self.settings)
        self._compare("optimizer's memory", _keys(saved["state"]), _keys(fresh.state))
        like = next(iter(fresh.params.values()))
        saved = {name: _placed(value, like) for name, value in saved.items()}
        for name, values in saved["history"].items():
            getattr(history, name).extend(values)
        history.seed = saved["seed"]
        best = saved["best"] and Best(**saved["best"])
        history.best_epoch = best.epoch if best else None
        self._written = Mark(
            saved["params"],
            saved["state"],
            saved["rng"],
            steps=len(history.train_loss_list),
            waiting=0,
            epochs=len(history.loss),
            best=best,
        )
        return self._written

    def _compare(self, what: str, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
        if theirs != ours:
            names = [name for name in (*theirs, *ours) if theirs.get(name) != ours.get(name)]
            parts = ({name: of.get(name) for name in names} for of in (theirs, ours))
            old, new = (", ".join(f"{k}={v}" for k, v in part.items()) for part in parts)
            msg = (
                f"{self.path} is the checkpoint of another training: its {what} have {old}, here "
                f"it is {new}; give the same, or another checkpoint, or begin anew without resume"
            )
            raise ValueError(msg)


def fingerprint(x: Array, rows: Array) -> str:
    """Text that samples have, and others have not: in one wait for the device.

    It is made of some of them, evenly spaced, and of the means of all. These are rounded, so that
    it is the same on another device.
    """
    xp, count = namespace(x, rows), x.shape[0]
    index = [k * (count - 1) // (_SAMPLES - 1) for k in range(_SAMPLES)]
    known = xp.__array_namespace_info__().dtypes(device=x.device, kind="real floating")
    wide = known.get("float64", x.dtype)
    columns = []
    for part in (x, rows):
        part = xp.reshape(part, (count, -1))  # noqa: PLW2901
        some = xp.take(part, xp.asarray(index, device=x.device), axis=0)
        total = xp.sum(part, axis=0, keepdims=True, dtype=wide)
        columns.append(xp.concat([xp.astype(some, wide), total], axis=0))
    *some, total = to_numpy(xp.concat(columns, axis=1)).astype("float64")
    largest = max(abs(sample).max() for sample in some) or 1.0
    means = (total / count / largest).round(_DIGITS) + 0.0  # which makes -0 a 0
    digest = hashlib.sha256(b"".join(sample.tobytes() for sample in (*some, means)))
    return digest.hexdigest()[:16]


def name_of(optimizer: Any) -> str:
    """Classes of an update rule, and of the one within."""
    name, inner = type(optimizer).__name__.strip("_"), getattr(optimizer, "optimizer", None)
    return name if inner is None else f"{name}({name_of(inner)})"


def _placed(x: tree.Tree, like: Array) -> tree.Tree:
    return tree.map(lambda leaf: asarray_like(leaf, like) if is_array(leaf) else leaf, x)


def _shapes(params: dict[str, Array]) -> dict[str, str]:
    """Dtypes and shapes by name; array-api-strict and torch give dtypes names with dots."""
    return {
        name: f"{str(value.dtype).rpartition('.')[2]}{tuple(value.shape)}"
        for name, value in params.items()
    }


def _keys(state: tree.Tree) -> dict[str, Any]:
    return dict.fromkeys(state, "present") if isinstance(state, dict) else {}
