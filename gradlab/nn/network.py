"""A network of two layers: its parameters, and what is computed from them.

The mathematics is pure, functions of `params` that check nothing and never wait for the device
(those named ``..._at``); the other methods check what they are given, then call it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

from gradlab.backend import Array, asarray, namespace, use_backend
from gradlab.backend.random import Generator, as_generator
from gradlab.nn.checks import positive_int, samples, targets
from gradlab.nn.functions import (
    accuracy_of_rows,
    cross_entropy_of_rows,
    linear,
    sigmoid,
    softmax,
    two_layer_loss_and_gradient,
)
from gradlab.numerical import gradient
from gradlab.tree import Tree

__all__ = ["TwoLayerNetwork"]


class TwoLayerNetwork:
    """Network of one hidden sigmoid layer, with the cross-entropy of a softmax as its loss.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        Features of a sample, hidden units, classes.
    weight_init_std : float or {"glorot", "he"}
        Standard deviation of the normal numbers that the weights start from: itself, or for a
        layer from m to n units sqrt(2 / (m + n)) or sqrt(2 / m). Biases start at 0.
    seed : int or Generator, optional
        None draws one, kept in `seed`.
    dtype : {"float64", "float32"}, optional
        Of the parameters. Default: that of `gradlab.get_backend`.

    Attributes
    ----------
    params : dict
        ``W1`` (input_size, hidden_size), ``b1`` (hidden_size,), ``W2`` (hidden_size,
        output_size), ``b2`` (output_size,), on the backend that was selected. Read afresh at
        every call: entries may be rebound, or updated in place.
    seed : int
        Makes the same network again (if `seed` was a Generator: a fresh one).

    Raises
    ------
    ValueError
        If a size is no positive integer, or `weight_init_std` or `dtype` is none of the above.

    References
    ----------
    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
    AISTATS 2010, eq. 12. He et al., Delving deep into rectifiers, ICCV 2015, eq. 10.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab.nn import TwoLayerNetwork
    >>> network = TwoLayerNetwork(2, hidden_size=3, output_size=2, seed=0)
    >>> x, t = gl.asarray([[0.0, 1.0], [1.0, 0.0]]), gl.asarray([0, 1])
    >>> network.predict(x).shape
    (2, 2)
    >>> before = network.loss(x, t)
    >>> grad = network.numerical_gradient(x, t)
    >>> for key in ("W1", "b1", "W2", "b2"):
    ...     network.params[key] -= 0.1 * grad[key]
    >>> bool(network.loss(x, t) < before)
    True
    """

    params: dict[str, Array]
    seed: int

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        weight_init_std: float | str = 0.01,
        *,
        seed: int | Generator | None = None,
        dtype: str | None = None,
    ) -> None:
        inputs = positive_int(input_size, "input_size")
        hidden = positive_int(hidden_size, "hidden_size")
        outputs = positive_int(output_size, "output_size")
        stds = [_std(weight_init_std, m, n) for m, n in ((inputs, hidden), (hidden, outputs))]
        rng = as_generator(seed)
        self.seed = rng.seed
        with use_backend(dtype=dtype):
            self.params = {
                "W1": rng.normal((inputs, hidden), scale=stds[0]),
                "b1": asarray([0.0] * hidden),
                "W2": rng.normal((hidden, outputs), scale=stds[1]),
                "b2": asarray([0.0] * outputs),
            }

    def predict(self, x: Any) -> Array:
        """Probabilities of the classes.

        Parameters
        ----------
        x : array, shape (n, input_size) or (input_size,)
            A batch, or one sample. Real; cast to the dtype of the parameters.

        Returns
        -------
        array, shape (n, output_size) or (output_size,)
            In the dtype and on the device of the parameters.

        Raises
        ------
        ValueError
            If `x` has another shape.
        TypeError
            If `x` is complex, or of another library than the parameters.
        """
        return softmax(_logits(self.params, self._samples(x)))

    def loss(self, x: Any, t: Any) -> Array:
        """Cross-entropy, the mean over the batch.

        Parameters
        ----------
        x : array, shape (n, input_size) or (input_size,)
            As for `predict`, n >= 1.
        t : array or int
            Labels, shape (n,), integers, or probabilities, shape (n, output_size). For one
            sample: an integer, or shape (output_size,).

        Returns
        -------
        array, shape ()
            In the dtype of the parameters. Waits for the device once, to check `t`.

        Raises
        ------
        ValueError, TypeError
            As `predict`; if `t` is neither, or a label is out of range.
        """
        return self.objective(x, t)(self.params)

    def accuracy(self, x: Any, t: Any) -> Array:
        """Part of the samples whose likeliest class is theirs; arguments and errors as `loss`."""
        return self.accuracy_at(self.params, *self.prepare(x, t))

    def numerical_gradient(self, x: Any, t: Any, *, step: Any = None) -> dict[str, Array]:
        """Gradient of the loss by central differences of every parameter.

        Parameters
        ----------
        x, t
            As for `loss`.
        step : float or dict like `params`, optional
            Half-width, as for `gradlab.numerical.gradient`.

        Returns
        -------
        dict of arrays
            Keys, shapes, dtypes and device of `params`. Truncation error O(step**2), round-off
            O(eps / step). Costs 2n + 1 losses for n parameters.

        Raises
        ------
        ValueError, TypeError
            As `loss`; if `step` is not positive.
        """
        slope: dict[str, Array] = gradient(self.objective(x, t), self.params, step=step)
        return slope

    def gradient(self, x: Any, t: Any) -> dict[str, Array]:
        """Exact gradient of the loss in every parameter; see `loss_and_gradient`."""
        return self.loss_and_gradient(x, t)[1]

    def loss_and_gradient(self, x: Any, t: Any) -> tuple[Array, dict[str, Array]]:
        """Loss and its exact gradient.

        Parameters
        ----------
        x, t
            As for `loss`.

        Returns
        -------
        loss : array, shape ()
        gradient : dict of arrays
            Keys, shapes, dtypes and device of `params`. Costs about three losses, for any number
            of parameters.

        Raises
        ------
        ValueError, TypeError
            As `loss`.

        Examples
        --------
        >>> import gradlab as gl
        >>> network = gl.TwoLayerNetwork(2, hidden_size=1, output_size=2, seed=0)
        >>> loss, grad = network.loss_and_gradient([1.0, 2.0], 0)
        >>> exact, numerical = grad["b2"], network.numerical_gradient([1.0, 2.0], 0)["b2"]
        >>> bool(abs(exact - numerical).max() < 1e-9)
        True
        """
        return self.loss_and_gradient_at(self.params, *self.prepare(x, t))

    def objective(self, x: Any, t: Any) -> Callable[[Tree], Array]:
        """Loss on `x` and `t` as a function of the parameters alone, for verbs that take one.

        Parameters
        ----------
        x, t
            As for `loss`. Checked here, once. Not copied: leave them be while the function lives.

        Returns
        -------
        callable
            Maps a dict like `params` to an array of shape (). Pure; never waits for the device.

        Raises
        ------
        ValueError, TypeError
            As `loss`.

        Examples
        --------
        >>> import gradlab as gl
        >>> from gradlab.nn import TwoLayerNetwork
        >>> network = TwoLayerNetwork(2, hidden_size=1, output_size=2, seed=0)
        >>> loss = network.objective([1.0, 2.0], 0)
        >>> result = gl.gradient_descent(loss, network.params, lr=1.0, step_num=20)
        >>> bool(result.fun < 0.1)
        True
        """
        x, rows = self.prepare(x, t)
        return lambda params: self.loss_at(params, x, rows)

    def prepare(self, x: Any, t: Any) -> tuple[Array, Array]:
        """Check `x` and `t` as `loss` does, and return what `loss_at` and `accuracy_at` take.

        Returns
        -------
        x : array, shape as given
            In the dtype of the parameters.
        rows : array, shape (n, output_size) or (output_size,)
            `t` as probabilities, in that dtype.
        """
        x = self._samples(x)
        classes = self.params["W2"].shape[-1]
        return x, targets(t, (*x.shape[:-1], classes), x, "x")

    @staticmethod
    def loss_at(params: Tree, x: Array, rows: Array) -> Array:
        """Loss of `params`, shape (), on what `prepare` returned or some of its samples."""
        return cross_entropy_of_rows(_logits(params, x), rows)

    @staticmethod
    def loss_and_gradient_at(params: Tree, x: Array, rows: Array) -> tuple[Array, Tree]:
        """What ``autodiff.value_and_grad(loss_at)`` gives, without the time that tracing takes."""
        return two_layer_loss_and_gradient(params, x, rows)

    @staticmethod
    def accuracy_at(params: Tree, x: Array, rows: Array) -> Array:
        """Accuracy of `params`, shape (), on what `prepare` returned or some of its samples."""
        return accuracy_of_rows(_logits(params, x), rows)

    def _samples(self, x: Any) -> Array:
        names = tuple(f"network.params[{key!r}]" for key in self.params)
        namespace(*self.params.values(), names=names)
        weights = self.params["W1"]
        return samples(x, weights.shape[0], weights)


def _logits(params: Tree, x: Array) -> Array:
    hidden = sigmoid(linear(x, params["W1"], params["b1"]))
    return linear(hidden, params["W2"], params["b2"])


def _std(weight_init_std: Any, inputs: int, outputs: int) -> float:
    if isinstance(weight_init_std, str) and weight_init_std in ("glorot", "he"):
        return math.sqrt(2 / (inputs + outputs if weight_init_std == "glorot" else inputs))
    is_number = isinstance(weight_init_std, Real) and not isinstance(weight_init_std, bool)
    if not (is_number and 0 < weight_init_std < math.inf):
        msg = (
            "`weight_init_std` must be a positive finite number, 'glorot' or 'he': "
            f"got {weight_init_std!r}"
        )
        raise ValueError(msg)
    return float(weight_init_std)
