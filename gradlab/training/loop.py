"""The mini-batch loop: what is asked of it, checked before the first step, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any, Literal

from gradlab import numerical
from gradlab.backend import Array
from gradlab.backend.random import Generator, as_generator
from gradlab.nn import Network
from gradlab.nn.checks import positive_int, require_samples
from gradlab.optimizers import SGD, Optimizer
from gradlab.optimizers.rule import as_optimizer
from gradlab.training.checkpoint import Checkpoint, fingerprint, name_of
from gradlab.training.history import History, StopReason
from gradlab.training.run import Batches, Run, Samples, Trainable, loss_at

__all__ = ["GRADIENTS", "check_arguments", "checked_samples", "fit"]


def _by_differences(network: Trainable) -> Callable[..., tuple[Array, Any]]:
    """What `loss_and_gradient_at` gives, by central differences: the network's own, if it has."""
    own = getattr(network, "numerical_gradient_at", None)

    def plain(params: Any, x: Array, rows: Array) -> Any:
        return numerical.gradient(lambda params: loss_at(network, params, x, rows), params)

    def call(params: Any, x: Array, rows: Array) -> tuple[Array, Any]:
        return loss_at(network, params, x, rows), (own or plain)(params, x, rows)

    return call


GRADIENTS: dict[str, Callable[[Trainable], Callable[..., tuple[Array, Any]]]] = {
    "autodiff": lambda network: network.loss_and_gradient_at,
    "numerical": _by_differences,
}


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
    validation: tuple[Any, Any] | None = None,
    patience: int | None = None,
    seed: int | Generator | None = 0,
    replace: bool = False,
    callbacks: Iterable[Callable[[History], Any]] = (),
    progress: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    resume: bool = True,
    reduce: Callable[[Any], Any] | None = None,
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
        How long to train, exactly one of them, in total: a training that goes on from a
        checkpoint goes on to them. An epoch is ceil(n / batch_size) steps; `steps` may end within
        one, which is recorded for what it is.
    batch_size : int
        Samples of a step; at most n are used. Without `replace` the last batch of an epoch may
        be shorter.
    optimizer : Optimizer
        Update rule, such as `gradlab.optimizers.SGD`; it starts afresh, but for a checkpoint.
    gradient : {"autodiff", "numerical"}
        Exact, at the cost of about three losses a step; or central differences, as
        `Network.numerical_gradient` computes them; for another network, which has none of its
        own, by `gradlab.numerical.gradient`, 2 k + 1 losses for k parameters.
    validation : (x, t), optional
        Samples and targets to judge the parameters by at the end of each epoch.
    patience : int, optional
        Stop after so many epochs in a row without a lower loss on the validation data. Where the
        training finishes, stops or is interrupted, the network then has the parameters of the best
        epoch.
    seed : int, Generator or None
        Of the batches. None draws one, kept in the history.
    replace : bool
        False goes through the data in a new random order each epoch; True draws each batch with
        replacement.
    callbacks : sequence of callables
        Each is called with the history after every epoch. A true return stops the training.
    progress : bool
        Show a bar of tqdm on standard error. Otherwise nothing is printed.
    checkpoint : str or path, optional
        File to write to where a good epoch ends, as often as takes less than 3 % of the time, and
        always when the training finishes, stops, is interrupted, diverges or raises. See
        `gradlab.store`.
    resume : bool
        Go on from `checkpoint` if there is such a file; False begins anew, and replaces it.
    reduce : callable, optional
        Given the gradients of each step, returns those that the optimizer is given.

    Returns
    -------
    History
        Also after KeyboardInterrupt (`stop_reason` ``interrupted``): then the parameters are
        those of the last complete step (with `patience`, of the best epoch), and an epoch that
        was under way has its losses in `train_loss_list` alone. Where the loss exploded since the
        last good epoch, parameters and history go back to the end of that.

    Raises
    ------
    ValueError, TypeError
        For a bad argument, before any work; `gradlab.store.StoreError`, a ValueError, for a
        checkpoint that is damaged.
    OSError
        If a checkpoint cannot be read or written.
    DivergenceError
        At the end of an epoch in which a loss was not finite; or of the third in a row, or the
        last of the training, at whose end the loss exceeds ten times the larger of the first
        step's loss and the network's baseline. The parameters are then those from before the
        first of these epochs.

    Notes
    -----
    The rule of divergence: a step's loss is that of the parameters before it, so what an epoch
    led to is judged by one more loss at its end, of the samples of its first batches, a hundred at
    least. The baseline is the loss of guessing, log(classes) for the cross-entropy and the
    variance of the targets, or the mean of their squares if all are alike, for the mean squared
    error (`baseline_at`). Ten times that, and ten times the loss that the initial weights began
    with, is worse than to know nothing, by more than noise; but a training may pass through an
    epoch or two of it to a good end. What stays there for three is lost. ``docs/training.md`` has
    the figures.

    Any other exception passes through, the parameters being those of the last complete step.

    An epoch waits for the device once; each numerical gradient, and a checkpoint, once more.

    A training that goes on from a checkpoint, with the same arguments, does what it would have
    done without stopping: on NumPy, on one machine and number of BLAS threads, bit by bit.

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
    check_arguments(network, optimizer, gradient, reduce)
    size = positive_int(batch_size, "batch_size")
    train = checked_samples(network, x, t)
    batches = Batches(as_generator(seed), train.x.shape[0], min(size, train.x.shape[0]), replace)
    if epochs is not None:
        total = positive_int(epochs, "epochs") * batches.per_epoch
    else:
        total = positive_int(steps, "steps")
    held_out = _validation(network, validation, patience)
    file = None
    if checkpoint is not None:
        settings = {
            "network": type(network).__name__ if _is_own(network) else None,
            "layers": _text(getattr(network, "layers", None)),
            "loss": _text(getattr(network, "loss_name", None)),
            "optimizer": name_of(optimizer),
            "gradient": gradient,
            "seed": None if seed is None else batches.rng.seed,
            "samples": batches.samples,
            "batch_size": batches.size,
            "replace": replace,
            "data": fingerprint(*train),
            "validation": held_out and fingerprint(*held_out),
        }
        file = Checkpoint(checkpoint, settings)
    run = Run(
        network,
        train,
        held_out,
        batches=batches,
        optimizer=optimizer,
        gradient=GRADIENTS[gradient],
        reduce=reduce,
        checkpoint=file,
    )
    if file and resume and file.path.exists():
        run.resume(file, total)
    if file:
        file.rehearse(run.at, run.history)
    history = run.history
    try:
        with _bar(total, run.at.steps, shown=progress) as advance:
            history.stop_reason = _train(run, total, advance, callbacks, patience)
        run.keep(now=True)
    except KeyboardInterrupt:
        run.break_off()
        history.stop_reason = "interrupted"
        run.keep(now=True)
    except Exception:
        run.keep_good()
        raise
    if patience is not None:
        run.restore_best()
    return history


def _train(
    run: Run,
    total: int,
    advance: Callable[[int], Any],
    callbacks: Iterable[Callable[[History], Any]],
    patience: int | None,
) -> StopReason:
    for _ in range(run.at.epochs, -(-total // run.per_epoch)):
        if patience is not None and run.epochs_since_best() >= patience:
            return "patience"
        run.epoch(total, advance)
        if any([callback(run.history) for callback in callbacks]):  # noqa: C419  (call all)
            return "callback"
        run.keep()
    return "finished"


def checked_samples(network: Trainable, x: Any, t: Any) -> Samples:
    """What the network prepares, refused where it is no batch."""
    x, rows = network.prepare(x, t)
    if x.ndim == 1:
        msg = f"`x` must be a batch of shape (n, features): got one sample of shape {x.shape}"
        raise ValueError(msg)
    require_samples(x)
    return Samples(x, rows)


def _validation(network: Trainable, validation: Any, patience: Any) -> Samples | None:
    if patience is not None:
        positive_int(patience, "patience")
        if validation is None:
            msg = "`patience` needs `validation`, the data (x, t) to judge by: got None"
            raise ValueError(msg)
    if validation is None:
        return None
    if not (isinstance(validation, tuple | list) and len(validation) == 2):  # noqa: PLR2004
        msg = f"`validation` must be (x, t): got {type(validation).__name__}"
        raise TypeError(msg)
    try:
        return checked_samples(network, *validation)
    except (TypeError, ValueError) as error:
        msg = f"in `validation`: {error}"
        raise type(error)(msg) from error


def check_arguments(network: Any, optimizer: Any, gradient: Any, reduce: Any = None) -> None:
    """Refuse what is of another kind than `fit` takes."""
    if not isinstance(network, Network | Trainable):
        msg = f"`network` must be a network, such as a TwoLayerNetwork: got {network!r}"
        raise TypeError(msg)
    as_optimizer(optimizer)
    if gradient not in tuple(GRADIENTS):
        msg = f"`gradient` must be one of {', '.join(map(repr, GRADIENTS))}: got {gradient!r}"
        raise ValueError(msg)
    if not (reduce is None or callable(reduce)):
        msg = f"`reduce` must be a function of the gradients: got {reduce!r}"
        raise TypeError(msg)


def _is_own(network: Trainable) -> bool:
    """Whether layers and loss alone do not say what a network computes."""
    return not isinstance(network, Network) or network.has_own_loss


def _text(x: Any) -> str | None:
    return None if x is None else str(list(x)) if isinstance(x, tuple) else str(x)


def _callables(callbacks: Any) -> tuple[Callable[[History], Any], ...]:
    found = tuple(callbacks) if isinstance(callbacks, Iterable) else (None,)
    if callable(callbacks) or not all(callable(callback) for callback in found):
        msg = f"`callbacks` must be a sequence of functions of the history: got {callbacks!r}"
        raise TypeError(msg)
    return found


@contextmanager
def _bar(total: int, done: int, *, shown: bool) -> Iterator[Callable[[int], Any]]:
    """Yield what is told of steps taken: a bar of tqdm, or nothing."""
    if not shown:
        yield lambda _: None
        return
    from tqdm import tqdm  # noqa: PLC0415  (not at `import gradlab`)

    with tqdm(total=total, initial=done, unit="step") as bar:
        yield bar.update
