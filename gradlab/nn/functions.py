"""The mathematics of networks: layers, activations, losses, written for any array library.

Functions whose names end in ``_of``, ``_of_rows`` or ``_cotangent`` are pure and check nothing: the
formulas that networks and exact derivatives share. `softmax_cross_entropy` and `accuracy` check
their targets, which costs one wait for the device.
"""

from __future__ import annotations

from typing import Any

from gradlab.autodiff import primitive
from gradlab.backend import (
    Array,
    Namespace,
    ensure_array,
    kind_of,
    namespace,
    overflow_expected,
    row_maxima,
    sum_over,
)
from gradlab.nn.checks import targets

__all__ = [
    "accuracy",
    "accuracy_of_rows",
    "biases_cotangent",
    "cross_entropy_of",
    "cross_entropy_of_rows",
    "linear",
    "logits_cotangent",
    "relu",
    "sigmoid",
    "sigmoid_of",
    "sigmoid_of_minus",
    "sigmoid_slope",
    "softmax",
    "softmax_cross_entropy",
    "tanh",
    "targets_cotangent",
    "weights_cotangent",
]


def sigmoid_of(xp: Namespace, a: Array) -> Array:
    """Logistic function; `xp` is the namespace of `a`."""
    return sigmoid_of_minus(xp, -a)


def sigmoid_of_minus(xp: Namespace, b: Array) -> Array:
    """Logistic function of -b."""
    with overflow_expected():  # where exp(b) is infinite, the quotient is 0 as it should be
        e = xp.exp(b)
    e += 1
    e **= -1  # of its own memory: fresh memory costs more
    return e


def weights_cotangent(g: Array, a: Array) -> Array:
    """Cotangent of W in ``a @ W + b``."""
    return a.mT @ g if a.ndim > 1 else a[:, None] * g[None, :]


def biases_cotangent(g: Array) -> Array:
    """Cotangent of b in ``a @ W + b``."""
    return sum_over(g, 0) if g.ndim > 1 else g


def sigmoid_slope(y: Array) -> Array:
    """Derivative of the logistic function, `y` being its value."""
    slope = 1 - y
    slope *= y
    return slope


def _rows_of(a: Array) -> int:
    return a.shape[0] if a.ndim > 1 else 1


def cross_entropy_of(xp: Namespace, a: Array, b: Array) -> tuple[Array, tuple[Array, ...]]:
    """Loss, and for its cotangents: logits less their largest, exponentials, sums of both rows."""
    z = a - row_maxima(a)
    e = xp.exp(z)
    total, weight = sum_over(e, -1), sum_over(b, -1)
    terms = weight * xp.log(total) - xp.vecdot(b, z)
    loss = terms if a.ndim == 1 else sum_over(terms, 0) / a.shape[0]
    return loss[...], (z, e, total, weight)  # of a scalar of NumPy's an array


def logits_cotangent(g: Any, b: Array, e: tuple[Array, ...]) -> Array:
    """Cotangent of the logits; `e` is what `cross_entropy_of` gave beside the loss."""
    z, p, total, weight = e
    slope = p * (weight / total)[..., None]
    slope -= b
    slope *= g / _rows_of(z)
    return slope


def targets_cotangent(xp: Namespace, g: Any, e: tuple[Array, ...]) -> Array:
    """Cotangent of the targets: minus the logarithm of the probabilities, times g / n."""
    z, _, total, _ = e
    return (xp.log(total)[..., None] - z) * (g / _rows_of(z))


# Fused steps: the cotangents are those of the formulas in the functions' docstrings below.
_linear = primitive(
    "linear",
    "other",
    lambda g, b: g @ b.mT,
    weights_cotangent,
    biases_cotangent,
    forward=lambda xp, a, b, c: a @ b + c,
    names=("x", "W", "b"),
)
_sigmoid = primitive(
    "sigmoid", "elementwise", lambda g, y: g * sigmoid_slope(y), forward=sigmoid_of
)
_relu = primitive(
    "relu",
    "elementwise",
    lambda xp, g, a: xp.where(a > 0, g, xp.zeros_like(g)),
    forward=lambda xp, a: xp.where(a <= 0, xp.zeros_like(a), a),  # a maximum shares ties
)
_cross_entropy = primitive(
    "cross_entropy",
    "other",
    logits_cotangent,
    targets_cotangent,
    forward=cross_entropy_of,
)


def linear(x: Array, W: Array, b: Array, /) -> Array:  # noqa: N803  (the formula's letter)
    """Affine map ``x @ W + b``.

    Parameters
    ----------
    x : array, shape (n, inputs) or (inputs,)
        Real floating.
    W : array, shape (inputs, outputs)
        Weights.
    b : array, shape (outputs,)
        Biases.

    Returns
    -------
    array, shape (n, outputs) or (outputs,)

    Raises
    ------
    TypeError
        If the arrays are of two libraries.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab import nn
    >>> nn.linear(gl.asarray([1.0, 2.0]), gl.asarray([[3.0], [4.0]]), gl.asarray([0.5]))
    array([11.5])
    """
    return _linear(x, W, b)


def sigmoid(x: Array, /) -> Array:
    """Logistic function ``1 / (1 + exp(-x))`` of every element.

    Parameters
    ----------
    x : array, any shape, real floating

    Returns
    -------
    array, shape and dtype of `x`
        Accurate to a few units in the last place at both tails, down to the smallest normal
        number; below it, 0.

    Raises
    ------
    TypeError
        If `x` is not real floating: cast integers with ``xp.astype``.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab import nn
    >>> nn.sigmoid(gl.asarray([0.0, -1000.0, 1000.0]))
    array([0.5, 0. , 1. ])
    """
    return _sigmoid(_floating(x, "x"))


def relu(x: Array, /) -> Array:
    """Positive part ``max(x, 0)`` of every element.

    Parameters
    ----------
    x : array, any shape, real

    Returns
    -------
    array, shape and dtype of `x`
        NaN stays NaN. The gradient at 0 is 0.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab import nn
    >>> nn.relu(gl.asarray([-1.5, 2.5]))
    array([0. , 2.5])
    """
    return _relu(x)


def tanh(x: Array, /) -> Array:
    """Hyperbolic tangent of every element.

    Parameters
    ----------
    x : array, any shape, real floating

    Returns
    -------
    array, shape and dtype of `x`

    Raises
    ------
    TypeError
        If `x` is not real floating: cast integers with ``xp.astype``.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab import nn
    >>> nn.tanh(gl.asarray([0.0, 100.0]))
    array([0., 1.])
    """
    x = _floating(x, "x")
    return namespace(x).tanh(x)


def softmax(x: Array, /) -> Array:
    """Probabilities ``exp(x) / sum(exp(x))`` along the last axis.

    Parameters
    ----------
    x : array, shape (..., classes), real floating
        Not infinite in the positive.

    Returns
    -------
    array, shape and dtype of `x`
        Each row sums to 1, whatever its scale, and depends on its own row alone.

    Raises
    ------
    TypeError
        If `x` is not real floating: cast integers with ``xp.astype``.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab import nn
    >>> nn.softmax(gl.asarray([[0.0, 0.0], [1000.0, 0.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    x = _floating(x, "x")
    xp = namespace(x)
    e = xp.exp(x - row_maxima(x))
    return e / xp.sum(e, axis=-1, keepdims=True)


def softmax_cross_entropy(logits: Array, t: Any, /) -> Array:
    """Cross-entropy of the softmax of `logits`, the mean over the batch.

    Parameters
    ----------
    logits : array, shape (n, classes) or (classes,)
        Real floating, finite: scores before the softmax.
    t : array, list or int
        Labels, 1-D integers, or 2-D rows of probabilities. For one sample: an integer, or a row.

    Returns
    -------
    array, shape ()
        ``-sum_k t_k log p_k``, computed from the logits: it neither overflows nor turns infinite
        where ``p_k`` rounds to 0. In the dtype of `logits`.

    Raises
    ------
    ValueError
        If `t` is neither, or a label is out of range.
    TypeError
        If `logits` is not real floating, or `t` is of another library.

    Notes
    -----
    To check `t` waits for the device, once.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab import nn
    >>> float(nn.softmax_cross_entropy(gl.asarray([1000.0, 0.0]), 1))
    1000.0
    """
    logits = _floating(logits, "logits")
    return cross_entropy_of_rows(logits, targets(t, logits.shape, logits))


def cross_entropy_of_rows(logits: Array, rows: Array) -> Array:
    """Mean cross-entropy, shape (), of logits and rows of probabilities of one shape and dtype."""
    return _cross_entropy(logits, rows)


def accuracy(scores: Array, t: Any, /) -> Array:
    """Part of the samples whose largest score is that of their class.

    Parameters
    ----------
    scores : array, shape (n, classes) or (classes,)
        Logits or probabilities. Of equal scores the first one counts.
    t : array, list or int
        As for `softmax_cross_entropy`; of a row, the largest probability is the class.

    Returns
    -------
    array, shape ()
        Between 0 and 1, in the dtype of `scores`.

    Raises
    ------
    ValueError, TypeError
        As `softmax_cross_entropy`.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab import nn
    >>> scores = gl.asarray([[0.2, 0.8], [0.7, 0.3], [0.5, 0.5], [0.1, 0.9]])
    >>> float(nn.accuracy(scores, [1, 0, 0, 0]))
    0.75
    """
    scores = _floating(scores, "scores")
    return accuracy_of_rows(scores, targets(t, scores.shape, scores, "scores"))


def accuracy_of_rows(scores: Array, rows: Array) -> Array:
    """Accuracy, shape (), of scores against rows of probabilities of one shape."""
    xp = namespace(scores, rows)
    hits = xp.argmax(scores, axis=-1) == xp.argmax(rows, axis=-1)
    top = row_maxima(scores)[..., 0]
    hits = hits & (top == top)  # noqa: PLR0124  (of NaN the first is said to be the largest)
    return xp.asarray(xp.mean(xp.astype(xp.asarray(hits), scores.dtype)))


def _floating(x: Any, called: str) -> Array:
    """Return `x` as an array; of integers, bytes would wrap around in what is computed."""
    x = ensure_array(x, called)
    if kind_of(x.dtype) != "real floating":
        msg = f"`{called}` must be real floating: got {x.dtype}"
        raise TypeError(msg)
    return x
