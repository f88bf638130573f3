"""What callers hand in, checked once and before any work: sizes, samples, targets.

The rule for targets stands here and nowhere else. Whatever form they come in, the mathematics
sees rows of probabilities.
"""

from __future__ import annotations

import math
import operator
from typing import Any

from gradlab.backend import (
    Array,
    Namespace,
    asarray_like,
    ensure_array,
    is_array,
    kind_of,
    namespace,
    sum_over,
    to_numpy,
)

__all__ = ["positive_int", "real_targets", "require_samples", "samples", "targets"]

_REAL = ("bool", "integral", "real floating")
_SUM_TOLERANCE = 1e-3  # a float16 row of a thousand classes sums to 1 within it


def positive_int(value: Any, name: str) -> int:
    """Return `value` as an int; ValueError that names it unless it is a positive integer."""
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        msg = f"`{name}` must be a positive integer: got {value!r}"
        raise ValueError(msg)
    return number


def samples(x: Any, features: int, like: Array) -> Array:
    """Return `x` as a network computes with it: checked, and in the dtype of its parameters.

    Parameters
    ----------
    x : array or nested list, shape (n, features) or (features,)
        Real numbers: images of uint8 too.
    features : int
        What the network was made for.
    like : array
        Parameter whose dtype the result has.

    Returns
    -------
    array, shape of `x`
        `x` itself where nothing has to be cast.

    Raises
    ------
    ValueError
        If the shape is another one.
    TypeError
        If `x` holds no real numbers, or is of another library than `like`.
    """
    x = ensure_array(x, "x")
    xp = namespace(x, like, names=("x", "network.params"))
    if x.ndim not in (1, 2) or x.shape[-1] != features:
        msg = (
            f"`x` must be a batch of shape (n, {features}) or one sample of shape ({features},), "
            f"for the network has {features} inputs: got shape {tuple(x.shape)}"
        )
        if x.ndim > 2 and math.prod(x.shape[1:]) == features:  # noqa: PLR2004  (images)
            msg += f"; flatten the samples: xp.reshape(x, (-1, {features}))"
        raise ValueError(msg)
    if kind_of(x.dtype) not in _REAL:
        msg = f"`x` must hold real numbers: got {x.dtype}"
        raise TypeError(msg)
    return xp.astype(x, like.dtype, copy=False)


def require_samples(x: Array) -> None:
    """Refuse a batch of no samples: it has no mean, and so no loss."""
    if x.shape[0] == 0:
        msg = f"`x` must be a batch of at least one sample: got shape {tuple(x.shape)}"
        raise ValueError(msg)


def targets(t: Any, shape: tuple[int, ...], like: Array, called: str = "logits") -> Array:
    """Return targets as rows of probabilities, however they were given.

    Parameters
    ----------
    t : array, list or int
        For a batch, `shape` (n, classes): 1-D integers are labels, 2-D rows are probabilities.
        For one sample, `shape` (classes,): an integer, alone or in an array of shape () or (1,),
        is its label; a 1-D row is its probabilities.
    shape : (n, classes) or (classes,)
        Shape of the scores that `t` is compared with.
    like : array, real floating
        Its dtype and device are those of the result.
    called : str
        What the caller calls the scores, for the message of an error.

    Returns
    -------
    array, `shape`
        Each row non-negative, its sum 1. May be `t` itself.

    Raises
    ------
    ValueError
        If `t` is anything else. Its values are read in one wait for the device.
    TypeError
        If `t` is of another library than `like`.
    """
    if len(shape) not in (1, 2) or 0 in shape:
        msg = (
            f"`{called}` must be a batch of shape (n, classes) or one sample of shape (classes,), "
            f"neither of them 0: got shape {shape}"
        )
        raise ValueError(msg)
    t = _as_array(t, like)
    xp = namespace(like, t, names=(called, "t"))
    *batch, classes = shape
    is_integer = kind_of(t.dtype) == "integral"
    if is_integer and (t.shape == tuple(batch) or (not batch and t.shape == (1,))):
        return _one_hot(xp, xp.reshape(t, tuple(batch)), classes, like)
    if t.shape == shape and kind_of(t.dtype) in _REAL:
        return _probabilities(xp, xp.astype(t, like.dtype, copy=False))
    raise ValueError(_neither(t, shape, called))


def real_targets(t: Any, shape: tuple[int, ...], like: Array, called: str = "x") -> Array:
    """Return targets of a regression as rows of numbers.

    Parameters and errors are those of `targets`, but for the rows, which may hold any real numbers;
    integers in one dimension are labels only where there are two outputs or more.
    """
    t = _as_array(t, like)
    xp = namespace(like, t, names=(called, "t"))
    if tuple(t.shape) == tuple(shape) and kind_of(t.dtype) in _REAL:
        return xp.astype(t, like.dtype, copy=False)
    if kind_of(t.dtype) == "integral" and shape[-1] > 1:
        return targets(t, shape, like, called)
    msg = (
        f"`t` must have the shape {tuple(shape)} of the network's output, and hold real numbers: "
        f"got shape {tuple(t.shape)} of {t.dtype}"
    )
    if tuple(t.shape) == tuple(shape[:-1]) and shape[-1] == 1:
        msg += f"; give each sample a row: xp.reshape(t, {tuple(shape)})"
    raise ValueError(msg)


def _as_array(t: Any, like: Array) -> Array:
    if is_array(t):
        return t
    if isinstance(t, list | tuple):
        return ensure_array(t, "t")
    if isinstance(t, bool) or not hasattr(t, "__index__"):
        msg = f"`t` must be an array, or the label of one sample as an integer: got {t!r}"
        raise ValueError(msg)
    return asarray_like(operator.index(t), like)


def _one_hot(xp: Namespace, labels: Array, classes: int, like: Array) -> Array:
    low, high = to_numpy(xp.stack([xp.min(labels), xp.max(labels)])).tolist()
    if low < 0 or high >= classes:
        msg = (
            f"labels in `t` must lie between 0 and {classes - 1}, for there are {classes} classes: "
            f"got {low if low < 0 else high}; number the classes from 0"
        )
        raise ValueError(msg)
    index = xp.arange(classes, device=like.device)
    return xp.astype(xp.astype(labels, index.dtype)[..., None] == index, like.dtype)


def _probabilities(xp: Namespace, rows: Array) -> Array:
    off = xp.max(xp.abs(sum_over(rows, -1) - 1))
    low, off = to_numpy(xp.stack([xp.min(rows), off])).tolist()
    if not (low >= 0 and off <= _SUM_TOLERANCE):  # NaN fails, too
        msg = (
            "rows of `t` must be probabilities, non-negative and of sum 1: got an element "
            f"{low:g} and a sum {off:g} away from 1; divide counts by their sum, and give the "
            "classes as integer labels or one-hot rows"
        )
        raise ValueError(msg)
    return rows


def _neither(t: Array, shape: tuple[int, ...], called: str) -> str:
    *batch, classes = shape
    labels = f"one integer label for each sample, shape {tuple(batch)}" if batch else "an integer"
    if kind_of(t.dtype) == "other":  # names of classes, or objects
        cure = "number the classes: names, t = numpy.unique(t, return_inverse=True)"
    elif t.shape == tuple(batch):
        cure = "cast labels to integers: xp.astype(t, xp.int64)"
    elif t.ndim == 1 and batch:
        cure = f"`{called}` has {batch[0]} samples and `t` has {t.shape[0]}"
    elif tuple(t.shape) == shape[::-1]:
        cure = "its axes are exchanged: give t.T"
    elif batch and t.shape == (batch[0], 1):
        cure = "flatten the labels: xp.reshape(t, (-1,))"
    else:
        cure = "give it one of these shapes"
    return (
        f"`t` must be {labels}, or probabilities of {classes} classes, shape {shape}: got shape "
        f"{tuple(t.shape)} of {t.dtype}; {cure}"
    )
