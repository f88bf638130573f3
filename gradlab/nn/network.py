"""Networks: their parameters, and what is computed from them.

The mathematics is pure, functions of `params` that check nothing and never wait for the device
(those named ``..._at``); the other methods check what they are given, then call it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from numbers import Real
from os import PathLike
from typing import Any, Self

from gradlab.autodiff import value_and_grad
from gradlab.autodiff.array import Array as Traced
from gradlab.backend import Array, asarray, kind_of, namespace, use_backend
from gradlab.backend.random import Generator, as_generator
from gradlab.nn.checks import positive_int, real_targets, require_samples, samples, targets
from gradlab.nn.compiled import compile_network
from gradlab.nn.functions import accuracy_of_rows, linear
from gradlab.nn.layers import KINDS, Dense, Layer, Sigmoid
from gradlab.nn.losses import LOSSES
from gradlab.nn.perturbation import central_differences
from gradlab.numerical import gradient as numerical_gradient
from gradlab.tree import Tree

__all__ = ["Network", "TwoLayerNetwork"]

_LOSS = ("scores_at", "loss_of", "loss_at")  # what gradients are of


class Network:
    """Network of dense layers, with functions of every element between them.

    Parameters
    ----------
    layers : sequence of layers
        `Dense`, `Sigmoid`, `Tanh`, `ReLU`, in the order of computation; at least one is dense.
    input_size : int
        Features of a sample.
    loss : {"cross_entropy", "mean_squared_error"}
        The cross-entropy of a softmax of the last layer's output, or the mean over all elements
        of ``(output - t)**2``.
    init : float or {"glorot", "he"}
        Standard deviation of the normal numbers that the weights start from: itself, or for a
        layer from m to n units sqrt(2 / (m + n)) or sqrt(2 / m). Biases start at 0. A small
        number stalls, the more so the deeper the network: with 0.01, SGD(0.1) and two hidden layers
        of 50 sigmoids, digits are read no better than by guessing after 50 epochs; with one, a
        quarter of them after 30. ``docs/training.md`` has more.
    seed : int or Generator, optional
        None draws one, kept in `seed`.
    dtype : {"float64", "float32"}, optional
        Of the parameters. Default: that of `gradlab.get_backend`.

    Attributes
    ----------
    params : dict
        ``W1`` (input_size, units), ``b1`` (units,), ``W2`` ... of the dense layers in order, on
        the backend that was selected. Read afresh at every call: entries may be rebound, or
        updated in place.
    seed : int
        Makes the same network again (if `seed` was a Generator: a fresh one).

    Raises
    ------
    ValueError, TypeError
        If an argument is none of the above.

    References
    ----------
    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
    AISTATS 2010, eq. 12. He et al., Delving deep into rectifiers, ICCV 2015, eq. 10.

    Notes
    -----
    A class made of this one may compute the loss otherwise, such as with a penalty: gradients are
    those of its `loss_at`, with the `scores_at` and `loss_of` that this calls. They are traced
    then, and differences are `gradlab.numerical.gradient`'s; both take longer.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab import nn
    >>> network = nn.Network([nn.Dense(50), nn.Tanh(), nn.Dense(10)], input_size=64, seed=0)
    >>> print(network.summary())
    layer      output  parameters
    1 Dense        50        3250
    2 Tanh         50           0
    3 Dense        10         510
    loss cross_entropy, 3760 parameters
    """

    params: dict[str, Array]
    seed: int
    has_own_loss = False  # whether a class made of this one computes the loss otherwise

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.has_own_loss = any(getattr(cls, name) is not getattr(Network, name) for name in _LOSS)
        if "loss" in vars(cls) and not cls.has_own_loss:
            msg = (
                f"{cls.__name__}.loss is not what training and gradients are of: override "
                "`loss_at(self, params, x, rows)`, which `loss` calls"
            )
            raise TypeError(msg)

    def __init__(
        self,
        layers: Sequence[Layer],
        input_size: int,
        *,
        loss: str = "cross_entropy",
        init: float | str = "glorot",
        seed: int | Generator | None = None,
        dtype: str | None = None,
    ) -> None:
        self.layers: tuple[Any, ...] = _checked_layers(layers)
        if loss not in tuple(LOSSES):
            msg = f"`loss` must be one of {', '.join(map(repr, LOSSES))}: got {loss!r}"
            raise ValueError(msg)
        self.loss_name, self.loss_function = loss, LOSSES[loss]
        sizes = [positive_int(input_size, "input_size")]
        sizes += [layer.units for layer in self.layers if isinstance(layer, Dense)]
        stds = [_std(init, m, n) for m, n in pairwise(sizes)]
        self.names_of_layers = _names(self.layers)
        self._steps: tuple[tuple[Any, tuple[str, ...]], ...] = tuple(
            zip(self.layers, self.names_of_layers, strict=True)
        )
        self._compiled = compile_network(self._steps, self.loss_function)
        rng = as_generator(seed)
        self.seed = rng.seed
        with use_backend(dtype=dtype):
            self.params = {}
            for k, std in enumerate(stds, 1):
                self.params[f"W{k}"] = rng.normal((sizes[k - 1], sizes[k]), scale=std)
                self.params[f"b{k}"] = asarray([0.0] * sizes[k])

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_compiled"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._compiled = compile_network(self._steps, self.loss_function)

    def summary(self) -> str:
        """Table of the layers: the features of their output, and how many parameters they have."""
        rows, total = [("layer", "output", "parameters")], 0
        size = self.params["W1"].shape[0]
        for number, (layer, names) in enumerate(self._steps):
            count = sum(math.prod(self.params[name].shape) for name in names)
            size = self.params[names[0]].shape[1] if names else size
            rows.append((f"{number + 1} {type(layer).__name__}", str(size), str(count)))
            total += count
        first = max(len(row[0]) for row in rows) + 2
        lines = [f"{a:<{first}}{b:>8}{c:>12}" for a, b, c in rows]
        return "\n".join([*lines, f"loss {self.loss_name}, {total} parameters"])

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to a file: its layers, loss, seed and parameters.

        Parameters
        ----------
        path : str or path
            Replaced if it exists, all at once. See `gradlab.store`.

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from gradlab import nn
        >>> network = nn.Network([nn.Dense(3), nn.ReLU(), nn.Dense(1)], 2, seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "network.npz"
        ...     network.save(path)
        ...     again = nn.Network.load(path)
        >>> bool((again.predict([1.0, 2.0]) == network.predict([1.0, 2.0])).all())
        True
        """
        is_two_layer = isinstance(self, TwoLayerNetwork)
        layers = [[type(layer).__name__, getattr(layer, "units", None)] for layer in self.layers]
        state = {
            "kind": "network",
            "class": "TwoLayerNetwork" if is_two_layer else "Network",
            "layers": layers,
            "loss": self.loss_name,
            "seed": self.seed,
            "params": self.params,
        }
        from gradlab import store  # noqa: PLC0415  (what it imports: not at `import gradlab`)

        store.save(path, state)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Network that `save` wrote, on the selected backend.

        Parameters
        ----------
        path : str or path

        Returns
        -------
        Network
            Of the class that was saved, which `TwoLayerNetwork` is; its parameters in the same
            dtype, bit by bit.

        Raises
        ------
        gradlab.store.StoreError
            If the file is damaged, holds no network, or one of another class than is asked for.
        OSError
            If it cannot be read.
        """
        from gradlab import store  # noqa: PLC0415  (what it imports: not at `import gradlab`)

        state = store.load(path)
        kind = state.get("kind") if isinstance(state, dict) else None
        if kind != "network":
            msg = f"{path}: expected a network, as Network.save writes it: got {kind or 'no such'}"
            raise store.StoreError(msg)
        made: Any = TwoLayerNetwork if state["class"] == "TwoLayerNetwork" else Network
        asked = TwoLayerNetwork if issubclass(cls, TwoLayerNetwork) else Network
        if cls is not Network and made is not asked:
            msg = f"{path}: it holds a {state['class']}, not a {cls.__name__}: use Network.load"
            raise store.StoreError(msg)
        network: Self = object.__new__(made if cls is Network else cls)
        layers = [
            KINDS[name](*([] if units is None else [units])) for name, units in state["layers"]
        ]
        weights = state["params"]["W1"]
        dtype = weights.dtype.name
        Network.__init__(
            network,
            layers,
            weights.shape[0],
            loss=state["loss"],
            seed=state["seed"],
            dtype=dtype if dtype in ("float64", "float32") else None,  # of what is replaced below
        )
        network.params = {name: asarray(value) for name, value in state["params"].items()}
        return network

    def predict(self, x: Any) -> Array:
        """Probabilities of the classes; with the mean squared error, the last layer's output.

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
        return self.loss_function.predict(self.scores_at(self.params, self._samples(x)))

    def loss(self, x: Any, t: Any) -> Array:
        """Loss, the mean over the batch.

        Parameters
        ----------
        x : array, shape (n, input_size) or (input_size,)
            As for `predict`, n >= 1.
        t : array or int
            Labels, shape (n,), integers, or probabilities, shape (n, output_size), with the mean
            squared error any real numbers. For one sample: an integer, or shape (output_size,).

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
        """Part of the samples whose likeliest class is theirs; arguments and errors as `loss`.

        NaN where a regression has one output, and so no classes.
        """
        return self.accuracy_at(self.params, *self.prepare(x, t))

    def numerical_gradient(self, x: Any, t: Any, *, step: Any = None) -> dict[str, Array]:
        """Gradient of the loss by central differences of every parameter.

        Only what a parameter moves is computed, by formulas that lose nothing to rounding: the
        central difference itself, tens to thousands of times faster than the plain loop, which is
        ``numerical.gradient(network.objective(x, t), network.params)``.

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
            O(eps). Costs, for a layer of m units, about 6 m evaluations of what follows it; where
            a step is so large, or a kink so near, that the loss is no cubic of it to rounding, two
            for each weight. Waits for the device once.

        Raises
        ------
        ValueError, TypeError
            As `loss`; if `step` is not positive.
        """
        return self.numerical_gradient_at(self.params, *self.prepare(x, t), step=step)

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
        require_samples(x)
        last = [names for names in self.names_of_layers if names][-1]
        outputs = self.params[last[0]].shape[-1]
        check = targets if self.loss_name == "cross_entropy" else real_targets
        return x, check(t, (*x.shape[:-1], outputs), x, "x")

    def loss_at(self, params: Tree, x: Array, rows: Array) -> Array:
        """Loss of `params`, shape (), on what `prepare` returned or some of its samples."""
        return self.loss_of(self.scores_at(params, x), rows)

    def accuracy_at(self, params: Tree, x: Array, rows: Array) -> Array:
        """Accuracy of `params`, shape (), on what `prepare` returned or some of its samples."""
        return self.accuracy_of(self.scores_at(params, x), rows)

    def scores_at(self, params: Tree, x: Array) -> Array:
        """Output of the last layer, on what `prepare` returned or some of its samples."""
        if xp := _plain_namespace(x, params.values()):
            scores: Array = self._compiled.scores(xp, params, x)
            return scores
        for layer, names in self._steps:
            x = linear(x, *(params[name] for name in names)) if names else layer.function(x)
        return x

    def loss_of(self, scores: Array, rows: Array) -> Array:
        """Loss, shape (), where the last layer's output is `scores`."""
        return self.loss_function.of_rows(scores, rows)

    def accuracy_of(self, scores: Array, rows: Array) -> Array:
        """Accuracy, shape (), where the last layer's output is `scores`."""
        if self.loss_name == "mean_squared_error" and rows.shape[-1] == 1:  # there are no classes
            xp = namespace(scores)
            return xp.full((), math.nan, dtype=scores.dtype, device=scores.device)
        return accuracy_of_rows(scores, rows)

    def loss_and_gradient_at(self, params: Tree, x: Array, rows: Array) -> tuple[Array, Tree]:
        """What ``autodiff.value_and_grad(loss_at)`` gives, without the time that tracing takes."""
        found: tuple[Array, Tree]
        xp = None if self.has_own_loss else _plain_namespace(x, (*params.values(), rows))
        if xp is not None:
            found = self._compiled.loss_and_gradient(xp, params, x, rows)
        else:
            found = value_and_grad(self.loss_at)(params, x, rows)
        return found

    def numerical_gradient_at(
        self, params: Tree, x: Array, rows: Array, *, step: Any = None
    ) -> dict[str, Array]:
        """Central differences of `loss_at`, on what `prepare` returned or some of its samples."""
        if not self.has_own_loss:
            return central_differences(self, params, x, rows, step)
        found: dict[str, Array] = numerical_gradient(
            lambda params: self.loss_at(params, x, rows), params, step=step
        )
        return found

    def baseline_at(self, rows: Array) -> Array:
        """Loss, shape (), of the scale of guessing: of one answer to all samples.

        With the cross-entropy, log(classes), that of equal probabilities; with the mean squared
        error, the variance of the targets, the loss of their mean; of targets that are all alike,
        the mean of their squares.
        """
        return self.loss_function.baseline(namespace(rows), rows)

    def _samples(self, x: Any) -> Array:
        params = self.params
        for number, (layer, names) in enumerate(self._steps, 1):
            _require_all(params, names, f"{number}, {layer!r}")
        called = tuple(f"network.params[{key!r}]" for key in params)
        namespace(*params.values(), names=called)
        features = params["W1"].shape[0]
        for number, (layer, names) in enumerate(self._steps, 1):
            if names:
                features = _output_size(params, names, features, f"{number}, {layer!r}")
        return samples(x, params["W1"].shape[0], params["W1"])


class TwoLayerNetwork(Network):
    """Network of one hidden sigmoid layer, with the cross-entropy of a softmax as its loss.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        Features of a sample, hidden units, classes.
    weight_init_std : float or {"glorot", "he"}
        What `Network` calls `init`. The default, the textbook's, needs a learning rate of about 1
        to leave its plateau within ten epochs of digits; "glorot" is there at 0.1.
    seed : int or Generator, optional
        None draws one, kept in `seed`.
    dtype : {"float64", "float32"}, optional
        Of the parameters. Default: that of `gradlab.get_backend`.

    Attributes
    ----------
    params : dict
        ``W1`` (input_size, hidden_size), ``b1`` (hidden_size,), ``W2`` (hidden_size,
        output_size), ``b2`` (output_size,); as of `Network`.
    seed : int
        Makes the same network again (if `seed` was a Generator: a fresh one).

    Raises
    ------
    ValueError
        If a size is no positive integer, or `weight_init_std` or `dtype` is none of the above.

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
        _std(weight_init_std, 1, 1, "weight_init_std")
        layers = (Dense(hidden), Sigmoid(), Dense(outputs))
        super().__init__(layers, inputs, init=weight_init_std, seed=seed, dtype=dtype)


def _checked_layers(layers: Any) -> tuple[Layer, ...]:
    found = list(layers) if isinstance(layers, list | tuple) else []
    names = ", ".join(f"{name}()" for name in KINDS)
    for number, layer in enumerate(found, 1):
        if type(layer) not in KINDS.values():  # of another class, not all would be computed by it
            msg = f"layer {number} of `layers` must be one of {names}: got {layer!r}"
            raise TypeError(msg)
        if isinstance(layer, Dense):
            found[number - 1] = Dense(positive_int(layer.units, f"units of layer {number}"))
    if not any(isinstance(layer, Dense) for layer in found):
        msg = f"`layers` must be a list of layers ({names}), one of them Dense: got {layers!r}"
        raise ValueError(msg)
    return tuple(found)


def _names(layers: tuple[Layer, ...]) -> tuple[tuple[str, ...], ...]:
    """Names of each layer's parameters."""
    numbers = iter(range(1, len(layers) + 1))
    return tuple(
        (f"W{k}", f"b{k}") if isinstance(layer, Dense) and (k := next(numbers)) else ()
        for layer in layers
    )


def _require_all(params: Tree, names: tuple[str, ...], layer: str) -> None:
    for name in names:
        if name not in params:
            msg = f"`network.params` must have the parameters of layer {layer}: {name!r} is missing"
            raise ValueError(msg)
        called, value = f"network.params[{name!r}]", params[name]
        if not hasattr(value, "dtype"):
            msg = f"`{called}` must be an array: got {value!r}; convert it with gradlab.asarray"
            raise TypeError(msg)
        if kind_of(value.dtype) != "real floating":
            msg = f"`{called}` must be real floating: got {value.dtype}; cast it with xp.astype"
            raise TypeError(msg)


def _output_size(params: Tree, names: tuple[str, ...], features: int, layer: str) -> int:
    """Features of a dense layer's output; ValueError if its parameters do not fit its input."""
    weights, biases = (params[name].shape for name in names)
    if len(weights) != 2 or weights[0] != features or biases != weights[1:]:  # noqa: PLR2004
        msg = (
            f"the parameters of layer {layer}, which has {features} inputs, must have shapes "
            f"({features}, units) and (units,): params[{names[0]!r}] has {tuple(weights)}, "
            f"params[{names[1]!r}] has {tuple(biases)}"
        )
        raise ValueError(msg)
    return int(weights[1])


def _plain_namespace(x: Array, others: Iterable[Array]) -> Any:
    """Namespace of arrays that are not traced, of one type and dtype; None of any others."""
    kind = type(x)
    if kind is Traced:
        return None
    dtype = x.dtype
    for other in others:
        if type(other) is not kind or (other.dtype is not dtype and other.dtype != dtype):
            return None
    return namespace(x)


def _std(init: Any, inputs: int, outputs: int, called: str = "init") -> float:
    if isinstance(init, str) and init in ("glorot", "he"):
        return math.sqrt(2 / (inputs + outputs if init == "glorot" else inputs))
    is_number = isinstance(init, Real) and not isinstance(init, bool)
    if not (is_number and 0 < init < math.inf):
        msg = f"`{called}` must be a positive finite number, 'glorot' or 'he': got {init!r}"
        raise ValueError(msg)
    return float(init)
