"""Which learning rate, or other value: found by short trainings, or in a table of whole ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal

from gradlab.backend import Array, Namespace, namespace, nonfinite_expected, to_numpy
from gradlab.backend.random import Generator, as_generator
from gradlab.descent import DescentResult
from gradlab.nn.checks import positive_int
from gradlab.optimizers import SGD, Optimizer
from gradlab.optimizers.rule import step_of
from gradlab.training.divergence import DivergenceError
from gradlab.training.history import History
from gradlab.training.loop import GRADIENTS, check_arguments, checked_samples
from gradlab.training.run import Batches, Samples, Trainable, loss_at, not_finite

_NOISE = 1.001  # a loss that is higher by more than this rises: rounding and tiny rates do not

_LADDER = tuple(10 ** (power / 4) for power in range(-20, 9))

__all__ = ["LearningRates", "Sweep", "lr_find", "sweep"]


@dataclass(frozen=True, slots=True)
class LearningRates:
    """What `lr_find` found; as a string, a table.

    Attributes
    ----------
    lr : float or None
        The rate that lowered the loss most; None if none lowered it.
    lrs : list of float
        Rates that were tried, rising; at the last one the loss rose, if not all were tried.
    losses : list of float
        On all the data after the steps at each rate; NaN or infinite where that overflowed.
    start : float
        The loss before.
    seed : int
        What the batches were drawn with.
    """

    lr: float | None
    lrs: list[float]
    losses: list[float]
    start: float
    seed: int

    def __str__(self) -> str:
        rows = [["lr", "loss"], ["", _shown(self.start)]]
        for lr, loss in zip(self.lrs, self.losses, strict=True):
            rows.append([_shown(lr), _shown(loss), *(["best"] if lr == self.lr else [])])
        return _table(rows)


def lr_find(
    network: Trainable,
    x: Any,
    t: Any,
    *,
    lrs: Iterable[float] = _LADDER,
    steps: int = 20,
    batch_size: int = 100,
    optimizer: Callable[[float], Optimizer] = SGD,
    gradient: Literal["autodiff", "numerical"] = "autodiff",
    seed: int | Generator | None = 0,
) -> LearningRates:
    """Learning rate that lowers the loss most in a few steps.

    Every rate begins at the parameters that the network has, and sees the same batches. They are
    tried in rising order, up to the first at which the loss rises: that of all the data at the
    end, or the mean of the batches on the way, each beside what it is without training; single
    steps may rise at lower rates. Beyond it a loss may be low again, by luck.

    Parameters
    ----------
    network, x, t, batch_size, gradient
        As for `fit`. The network stays as it is.
    lrs : sequence of float
        Rates to try. Default: 1e-5 to 100, four for each power of ten.
    steps : int
        With each rate. Momentum and averages need some dozens to show what they do.
    optimizer : callable
        Maps a rate to an update rule: `SGD`, `Adam`, ``lambda lr: SGD(lr, momentum=0.9)``.
    seed : int, Generator or None
        Of the batches. A Generator stays where it is; None draws one, kept in the result.

    Returns
    -------
    LearningRates
        Its `lr` is the one at which the loss fell furthest, below the first at which it rises. A
        longer training may do better at a lower one.

    Raises
    ------
    ValueError, TypeError
        As `fit`; if `lrs` is empty, or the loss is not finite to begin with.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab.training import lr_find
    >>> x, t = gl.asarray([[0.0, 1.0], [1.0, 0.0], [0.1, 0.9], [0.9, 0.2]]), [0, 1, 0, 1]
    >>> network = gl.TwoLayerNetwork(2, 3, 2, weight_init_std="glorot", seed=0)
    >>> print(lr_find(network, x, t, lrs=[0.1, 1.0, 10.0, 1000.0], steps=10))
    lr   loss
         0.6938
    0.1  0.691
    1    0.654   best
    10   2.23
    """
    rates = _rates(lrs)
    if not callable(optimizer):
        msg = f"`optimizer` must map a rate to an update rule, as SGD does: got {optimizer!r}"
        raise TypeError(msg)
    check_arguments(network, optimizer(rates[0]), gradient)
    positive_int(steps, "steps")
    size = positive_int(batch_size, "batch_size")
    x, rows = checked_samples(network, x, t)
    rng = as_generator(seed)
    before = rng.state
    batches = Batches(rng, x.shape[0], min(size, x.shape[0]), replace=False)
    drawn: list[Array] = []
    while len(drawn) < steps:
        drawn += batches.draw(x)
    rng.state = before

    xp, value_and_grad = namespace(x, rows), GRADIENTS[gradient](network)

    def parts(batch: Array) -> tuple[Array, Array]:
        return xp.take(x, batch, axis=0), xp.take(rows, batch, axis=0)

    def trained(rule: Optimizer) -> list[float]:
        """Loss of the batch of each step, then that of all the data."""
        params = dict(network.params)
        step, state, losses = step_of(rule), rule.init(params), []
        for batch in drawn[:steps]:
            loss, grads = value_and_grad(params, *parts(batch))
            params, state = step(params, grads, state)
            losses.append(loss)
        return _fetched(xp, [*losses, loss_at(network, params, x, rows)])

    params = network.params
    scalars = [loss_at(network, params, *parts(batch)) for batch in drawn[:steps]]
    *untrained, start = _fetched(xp, [*scalars, loss_at(network, params, x, rows)])
    if not math.isfinite(start):
        names = not_finite(Samples(x, rows)) or "`network.params`"
        msg = (
            f"the loss is {start:g} before any step: look for NaN, infinity and the like in {names}"
        )
        raise ValueError(msg)
    found: tuple[float, float | None] = (start, None)
    tried: list[float] = []
    losses: list[float] = []
    with nonfinite_expected():
        for lr in rates:
            *of_steps, loss = trained(optimizer(lr))
            tried.append(lr)
            losses.append(loss)
            mean_rises = not sum(of_steps) <= _NOISE * sum(untrained)  # of the same batches
            if mean_rises or not loss <= _NOISE * start:
                break
            found = min(found, (loss, lr), key=lambda pair: pair[0])
    return LearningRates(found[1], tried, losses, start, rng.seed)


def _rates(lrs: Any) -> list[float]:
    found: list[Any] = (
        list(lrs) if isinstance(lrs, Iterable) and not isinstance(lrs, str) else [None]
    )
    if not all(isinstance(lr, Real) or getattr(lr, "shape", None) == () for lr in found):
        msg = f"`lrs` must be a sequence of learning rates: got {lrs!r}"
        raise TypeError(msg)
    if not found:
        msg = "`lrs` must have at least one learning rate: got none"
        raise ValueError(msg)
    return sorted(float(lr) for lr in found)


def _fetched(xp: Namespace, scalars: list[Array]) -> list[float]:
    numbers: list[float] = to_numpy(xp.stack(scalars)).tolist()
    return numbers


@dataclass(frozen=True, slots=True)
class Sweep:
    """What `sweep` returns; as a string, a table with a line for each value.

    Attributes
    ----------
    values : list
        As they were given; after an interrupt, those that were begun.
    results : list
        What `run` returned for each; where it diverged, the history up to there.
    interrupted : bool
        Whether an interrupt ended it, so that there may be values without a result.
    """

    values: list[Any]
    results: list[Any]
    interrupted: bool = False

    def __str__(self) -> str:
        rows = [_columns(result) for result in self.results]
        names = list(dict.fromkeys(name for row in rows for name in row))
        lines = [
            [_shown(value), *(_shown(row.get(name)) for name in names)]
            for value, row in zip(self.values, rows, strict=True)
        ]
        return _table([["value", *names], *lines])


def sweep(run: Callable[[Any], Any], values: Iterable[Any]) -> Sweep:
    """Call a function with each of some values, and make a table of what it returns.

    Parameters
    ----------
    run : callable
        Maps a value to a `History`, a `DescentResult`, a dict of numbers, or a number. It makes
        its own network, so that all begin alike.
    values : sequence
        Of any argument: learning rates, sizes, optimizers ...

    Returns
    -------
    Sweep
        A training that diverges has its line, too. After KeyboardInterrupt, or a result whose
        `stop_reason` or `status` is ``interrupted``, the results so far.

    Examples
    --------
    >>> import gradlab as gl
    >>> from gradlab.training import sweep
    >>> def run(lr):
    ...     return gl.gradient_descent(lambda x: (x**2).sum(), gl.asarray([1.0]), lr=lr)
    >>> print(sweep(run, [0.01, 0.1, 1.0]))
    value  fun       nit  status
    0.01   0.01759   100  max_steps
    0.1    4.15e-20  100  converged
    1      1         100  oscillating
    """
    if not callable(run):
        msg = f"`run` must be a function of a value: got {run!r}"
        raise TypeError(msg)
    if not isinstance(values, Iterable):
        msg = f"`values` must be a sequence: got {values!r}"
        raise TypeError(msg)
    found = Sweep([], [])
    for value in list(values):
        try:
            result = _result(run, value)
        except KeyboardInterrupt:
            return replace(found, interrupted=True)
        found.values.append(value)
        found.results.append(result)
        columns = _columns(result)  # `fit` or a descent has caught it
        if "interrupted" in (columns.get("stop_reason"), columns.get("status")):
            return replace(found, interrupted=True)
    return found


def _result(run: Callable[[Any], Any], value: Any) -> Any:
    try:
        return run(value)
    except DivergenceError as error:
        return error.history


def _columns(result: Any) -> dict[str, Any]:
    if isinstance(result, History):
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        lists = {name: getattr(result, name) for name in names}
        last = {name: values[-1] for name, values in lists.items() if values}
        return {**last, "epochs": len(result.loss), "stop_reason": result.stop_reason}
    if isinstance(result, DescentResult):
        return {name: getattr(result, name) for name in ("fun", "nit", "status")}
    return result if isinstance(result, dict) else {"result": result}


def _shown(value: Any) -> str:
    if getattr(value, "shape", None) == ():
        value = to_numpy(value).item()
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(rows: list[list[str]]) -> str:
    """Lines of columns, each as wide as its widest entry."""
    count = max(len(row) for row in rows)
    widths = [max(len(row[k]) for row in rows if k < len(row)) for k in range(count)]
    lines = (
        "  ".join(f"{text:<{w}}" for text, w in zip(row, widths, strict=False)) for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
