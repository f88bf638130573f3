"""The mini-batch loop: batches, steps, epochs, and the one look at the device that each epoch has.

Everything is checked before the first step. After that, nothing waits for the device but the end
of an epoch, where the losses of its steps are fetched together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, Literal, Protocol, runtime_checkable

from gradlab import numerical
from gradlab.backend import Array, namespace, to_numpy
from gradlab.backend.random import Generator, as_generator
from gradlab.nn.checks import positive_int
from gradlab.optimizers import SGD, Optimizer
from gradlab.training.divergence import find_divergence
from gradlab.training.history import History

__all__ = ["Trainable", "fit"]


def _by_differences(network: Trainable) -> Callable[..., tuple[Array, Any]]:
    """What `loss_and_gradient_at` gives, by central differences: the network's own, if it has."""
    own = getattr(network, "numerical_gradient_at", None)

    def plain(params: Any, x: Array, rows: Array) -> Any:
        return numerical.gradient(partial(network.loss_at, x=x, rows=rows), params)

    def call(params: Any, x: Array, rows: Array) -> tuple[Array, Any]:
        return network.loss_at(params, x, rows), (own or plain)(params, x, rows)

    return call


GRADIENTS: dict[str, Callable[[Trainable], Callable[..., tuple[Array, Any]]]] = {
    "autodiff": lambda network: network.loss_and_gradient_at,
    "numerical": _by_differences,
}


@runtime_checkable
class Trainable(Protocol):
    """What `fit` asks of a network: parameters, one check, and pure functions of both."""

    params: dict[str, Array]

    def prepare(self, x: Any, t: Any) -> tuple[Array, Array]:
        """Check samples and targets, and return them as the other methods take them."""
        ...

    def loss_at(self, params: dict[str, Array], x: Array, rows: Array) -> Array:
        """Mean loss of the samples, shape ()."""
        ...

    def loss_and_gradient_at(
        self, params: dict[str, Array], x: Array, rows: Array
    ) -> tuple[Array, dict[str, Array]]:
        """What ``autodiff.value_and_grad(loss_at)`` gives."""
        ...

    def accuracy_at(self, params: dict[str, Array], x: Array, rows: Array) -> Array:
        """Accuracy on the samples, shape ()."""
        ...


def fit(
    network: Trainable,
    x: Any,
    t: Any,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 100,
    optimizer: Optimizer = SGD(0.1),  # noqa: B008  (frozen)
    gradient: Literal["autodiff", "numerical"] = "autodiff",
    seed: int | Generator | None = 0,
    replace: bool = False,
    callbacks: Iterable[Callable[[History], Any]] = (),
    progress: bool = False,
) -> History:
    """Train a network on mini-batches.

    Parameters
    ----------
    network : Network
        Its `params` get new arrays at every step; the old ones are not modified.
    x : array, shape (n, features)
        Training samples, real. Cast to the dtype of the parameters once.
    t : array
        Labels, shape (n,), integers, or probabilities, shape (n, classes).
    epochs, steps : int, optional
        How long to train, exactly one of them. An epoch is ceil(n / batch_size) steps; `steps`
        may end within one, which is recorded for what it is.
    batch_size : int
        Samples of a step; at most n are used. Without `replace` the last batch of an epoch may
        be shorter.
    optimizer : Optimizer
        Update rule, such as `gradlab.optimizers.SGD`; it starts afresh.
    gradient : {"autodiff", "numerical"}
        Exact, at the cost of about three losses a step; or central differences, as
        `Network.numerical_gradient` computes them; for another network, which has none of its
        own, by `gradlab.numerical.gradient`, 2 k + 1 losses for k parameters.
    seed : int, Generator or None
        Of the batches. None draws one, kept in the history.
    replace : bool
        False goes through the data in a new random order each epoch; True draws each batch with
        replacement.
    callbacks : sequence of callables
        Each is called with the history after every epoch. A true return stops the training.
    progress : bool
        Show a bar of tqdm on standard error. Otherwise nothing is printed.

    Returns
    -------
    History
        Also after KeyboardInterrupt (`stop_reason` ``interrupted``): then the parameters are
        those of the last complete step, and an epoch that was under way has its losses in
        `train_loss_list` alone.

    Raises
    ------
    ValueError, TypeError
        For a bad argument, before any work.
    DivergenceError
        At the end of an epoch in which the loss of a step was not finite, or whose mean loss
        exceeds ten times the larger of the first step's loss and log(classes).

    Notes
    -----
    The rule of divergence: log(classes) is the loss of guessing, so ten times that, and ten
    times the loss that the initial weights began with, is worse than to know nothing, by more
    than a batch's noise or a bad epoch that will mend. The parameters of the end of the last good
    epoch are restored.

    Any other exception passes through, the parameters being those of the last complete step.

    An epoch waits for the device once, and each numerical gradient once more.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab.nn import TwoLayerNetwork
    >>> from gradlab.optimizers import SGD
    >>> from gradlab.training import fit
    >>> x, t = gl.asarray([[0.0, 1.0], [1.0, 0.0], [0.1, 0.9], [0.9, 0.2]]), [0, 1, 0, 1]
    >>> network = TwoLayerNetwork(2, hidden_size=3, output_size=2, weight_init_std="glorot", seed=0)
    >>> history = fit(network, x, t, epochs=20, batch_size=2, optimizer=SGD(2.0))
    >>> len(history.train_loss_list), history.accuracy[-1], history.stop_reason
    (40, 1.0, 'finished')
    """
    if (epochs is None) == (steps is None):
        msg = f"give exactly one of `epochs` and `steps`: got epochs={epochs!r}, steps={steps!r}"
        raise ValueError(msg)
    callbacks = _callables(callbacks)
    _check(network, optimizer, gradient)
    batch_size = positive_int(batch_size, "batch_size")
    x, rows = network.prepare(x, t)
    if x.ndim == 1:
        msg = f"`x` must be a batch of shape (n, features): got one sample of shape {x.shape}"
        raise ValueError(msg)
    size = min(batch_size, x.shape[0])
    per_epoch = -(-x.shape[0] // size)
    if epochs is not None:
        total = positive_int(epochs, "epochs") * per_epoch
    else:
        total = positive_int(steps, "steps")

    rng = as_generator(seed)
    history = History(seed=rng.seed)
    run = _Run(
        network,
        x,
        rows,
        optimizer=optimizer,
        gradient=GRADIENTS[gradient],
        history=history,
    )
    try:
        with _bar(total, shown=progress) as advance:
            for done in range(0, total, per_epoch):
                batches = _draw(rng, x, size, replace=replace)
                run.train(batches[: total - done], advance)
                if any([callback(history) for callback in callbacks]):  # noqa: C419  (call all)
                    history.stop_reason = "callback"
                    return history
    except KeyboardInterrupt:
        run.keep_losses()
        history.stop_reason = "interrupted"
        return history
    history.stop_reason = "finished"
    return history


class _Run:
    """A training under way: the losses of an epoch wait on the device until its end."""

    def __init__(
        self,
        network: Trainable,
        x: Array,
        rows: Array,
        *,
        optimizer: Optimizer,
        gradient: Callable[..., Any],
        history: History,
    ) -> None:
        self.network = network
        self.x, self.rows = x, rows
        self.xp = namespace(x, rows)
        self.optimizer = optimizer
        self.state = optimizer.init(network.params)
        self.value_and_grad = gradient(network)
        self.history = history
        self.losses: list[Array] = []

    def train(self, batches: list[Array], advance: Callable[[int], Any]) -> None:
        """Take one step for each batch of indices, and record them as an epoch."""
        start = perf_counter()
        good = dict(self.network.params)
        for batch in batches:
            self._step(batch)
            advance(1)
        loss_of_steps, accuracy = self._fetch()
        self.losses = []
        sizes = [batch.shape[0] for batch in batches]
        weighted = sum(n * loss for n, loss in zip(sizes, loss_of_steps, strict=True))
        history = self.history
        history.train_loss_list += loss_of_steps
        history.loss.append(weighted / sum(sizes))
        history.accuracy.append(accuracy)
        history.seconds.append(perf_counter() - start)
        classes = self.rows.shape[-1]
        if error := find_divergence(history, len(batches), classes, self.optimizer):
            self.network.params.update(good)
            history.stop_reason = "diverged"
            raise error

    def keep_losses(self) -> None:
        """Record the steps of an epoch that was broken off."""
        if self.losses:
            self.history.train_loss_list += to_numpy(self.xp.stack(self.losses)).tolist()

    def _step(self, batch: Array) -> None:
        x = self.xp.take(self.x, batch, axis=0)
        rows = self.xp.take(self.rows, batch, axis=0)
        params = self.network.params
        loss, grads = self.value_and_grad(params, x, rows)
        moved, self.state = self.optimizer.step(params, grads, self.state)
        self.losses.append(loss)
        params.update(moved)  # one call: an interrupt comes before or after all of it

    def _fetch(self) -> tuple[list[float], float]:
        """Losses of the steps and the accuracy reached, in one wait for the device."""
        accuracy = self.network.accuracy_at(self.network.params, self.x, self.rows)
        *losses, last = to_numpy(self.xp.stack([*self.losses, accuracy])).tolist()
        return losses, last


def _draw(rng: Generator, x: Array, size: int, *, replace: bool) -> list[Array]:
    """Batches of indices for one epoch over the samples `x`, on their device."""
    n = x.shape[0]
    if replace:
        order = rng.integers(0, n, -(-n // size) * size, like=x)
    else:
        order = rng.permutation(n, like=x)
    end = order.shape[0]
    return [order[start : min(start + size, end)] for start in range(0, end, size)]


def _check(network: Any, optimizer: Any, gradient: Any) -> None:
    if not isinstance(network, Trainable):
        msg = f"`network` must be a network, such as a TwoLayerNetwork: got {network!r}"
        raise TypeError(msg)
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, type):
        msg = f"`optimizer` must be an update rule, such as SGD(0.1): got {optimizer!r}"
        raise TypeError(msg)
    if gradient not in GRADIENTS:
        msg = f"`gradient` must be one of {', '.join(map(repr, GRADIENTS))}: got {gradient!r}"
        raise ValueError(msg)


def _callables(callbacks: Any) -> tuple[Callable[[History], Any], ...]:
    found = () if callable(callbacks) else tuple(callbacks)
    if callable(callbacks) or not all(callable(callback) for callback in found):
        msg = f"`callbacks` must be a sequence of functions of the history: got {callbacks!r}"
        raise TypeError(msg)
    return found


@contextmanager
def _bar(total: int, *, shown: bool) -> Iterator[Callable[[int], Any]]:
    """Yield what is told of steps taken: a bar of tqdm, or nothing."""
    if not shown:
        yield lambda _: None
        return
    from tqdm import tqdm  # noqa: PLC0415  (not at `import gradlab`)

    with tqdm(total=total, unit="step") as bar:
        yield bar.update
