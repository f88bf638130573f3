"""A training under way: its steps, and the one look at the device that each epoch has.

An interrupt may come between any two instructions. Where the training stands is therefore one
attribute, a `Mark`, which is replaced after each step and each epoch; what was begun after it is
undone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple, Protocol, runtime_checkable

from gradlab.backend import Array, namespace, stack_arrays, to_numpy
from gradlab.backend.random import Generator
from gradlab.nn import Network
from gradlab.optimizers import Optimizer, advance_of, lr_of
from gradlab.optimizers.rule import step_of
from gradlab.training.checkpoint import Best, Checkpoint, Mark
from gradlab.training.divergence import find_divergence, limit_of
from gradlab.training.history import PER_EPOCH, History

__all__ = ["Batches", "Run", "Samples", "Trainable", "loss_at", "not_finite"]

_OWN = ("loss_and_gradient_at", "numerical_gradient_at", "scores_at", "loss_of", "loss_at")
_JUDGED = 100  # samples at least: the loss of fewer is noise


@runtime_checkable
class Trainable(Protocol):
    """What `fit` asks of a network: parameters, one check, and pure functions of both.

    One whose loss is more than `loss_of` the scores, such as with a penalty, has
    ``loss_at(params, x, rows)``, too: its mean loss, of which its gradients are.
    """

    params: dict[str, Array]

    def prepare(self, x: Any, t: Any) -> tuple[Array, Array]:
        """Check samples and targets, and return them as the other methods take them."""
        ...

    def scores_at(self, params: dict[str, Array], x: Array) -> Array:
        """What the samples are judged by, one row for each."""
        ...

    def loss_of(self, scores: Array, rows: Array) -> Array:
        """Mean loss of the samples, shape ()."""
        ...

    def accuracy_of(self, scores: Array, rows: Array) -> Array:
        """Accuracy on the samples, shape ()."""
        ...

    def loss_and_gradient_at(
        self, params: dict[str, Array], x: Array, rows: Array
    ) -> tuple[Array, dict[str, Array]]:
        """Mean loss of the samples, and its gradient in `params`."""
        ...

    def baseline_at(self, rows: Array) -> Array:
        """Loss of what knows nothing of the samples, the same answer to each of them; shape ()."""
        ...


def loss_at(network: Trainable, params: dict[str, Array], x: Array, rows: Array) -> Array:
    """Mean loss of the samples, shape (): the network's own, if it has."""
    if own := getattr(network, "loss_at", None):
        return own(params, x, rows)
    return network.loss_of(network.scores_at(params, x), rows)


class Samples(NamedTuple):
    """What `Trainable.prepare` returned."""

    x: Array
    rows: Array


def not_finite(samples: Samples) -> str:
    """Which of samples and targets hold NaN or infinity, as messages call them."""
    pairs = zip(("`x`", "`t`"), samples, strict=True)
    return " and ".join(
        name for name, x in pairs if not bool(namespace(x).all(namespace(x).isfinite(x)))
    )


class Batches(NamedTuple):
    """How the samples of an epoch are drawn."""

    rng: Generator
    samples: int
    size: int
    replace: bool

    @property
    def per_epoch(self) -> int:
        """How many they are."""
        return -(-self.samples // self.size)

    def draw(self, like: Array) -> list[Array]:
        """Batches of indices for one epoch, on the device of `like`."""
        n, size = self.samples, self.size
        if self.replace:
            order = self.rng.integers(0, n, self.per_epoch * size, like=like)
        else:
            order = self.rng.permutation(n, like=like)
        end = order.shape[0]
        return [order[start : min(start + size, end)] for start in range(0, end, size)]


class Run:
    """The losses of an epoch wait on the device until its end.

    The loss of a step is that of the parameters before it. What the last steps of an epoch did is
    seen by one more loss, at its end; only then the epoch is good, and what a training may go back
    to.
    """

    def __init__(
        self,
        network: Trainable,
        train: Samples,
        validation: Samples | None,
        *,
        batches: Batches,
        optimizer: Optimizer,
        gradient: Callable[[Trainable], Callable[..., tuple[Array, Any]]],
        reduce: Callable[[Any], Any] | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.network = network
        self.train, self.validation = train, validation
        self.xp = namespace(*train)
        self.batches, self.per_epoch = batches, batches.per_epoch
        self.optimizer, self.reduce = optimizer, reduce
        self.checkpoint = checkpoint
        self.history = History(seed=batches.rng.seed)
        self.best: Best | None = None
        self.losses: list[Array] = []
        self.judged: Array = None  # indices of samples
        self.baseline = network.baseline_at(train.rows)
        has_own_loss = getattr(network, "has_own_loss", hasattr(network, "loss_at"))
        self.loss_of = self._loss_of_params if has_own_loss else self._loss_of_scores
        state = optimizer.init(network.params)
        self.value_and_grad = gradient(network)
        self.move = step_of(optimizer)
        is_of_one_dtype = len({leaf.dtype for leaf in network.params.values()}) == 1
        # `advance` writes to gradients: to those that gradlab itself has made for this step alone
        made_by = [getattr(getattr(network, name, None), "__func__", None) for name in _OWN]
        is_own = made_by == [getattr(Network, name) for name in _OWN]
        can_advance = reduce is None and is_of_one_dtype and is_own
        self.move_again = advance_of(optimizer) if can_advance else self.move
        self.good = Mark(dict(network.params), state, batches.rng.state, 0, 0, 0, None)
        self.at = self.good

    def resume(self, checkpoint: Checkpoint, total: int) -> None:
        """Go to where the checkpoint's training stood; it may not be beyond so many steps."""
        self.good = self.at = checkpoint.load(self.at, self.history)
        if self.at.steps > total:
            msg = (
                f"{checkpoint.path} has {self.at.steps} steps already, more than the {total} "
                "asked for in total: ask for more, or begin anew without resume"
            )
            raise ValueError(msg)
        self.best = self.at.best
        self.batches.rng.state = self.at.rng
        self.network.params.update(self.at.params)

    def epoch(self, total: int, advance: Callable[[int], Any]) -> None:
        """Take the steps of an epoch, or what is left of it, up to so many in total; record it."""
        start = perf_counter()
        before = self.at
        offset = before.epochs * self.per_epoch
        self.losses = []
        self.at = before._replace(params=dict(self.network.params))
        drawn = self.batches.draw(self.train.x)
        self.judged = self._first_of(drawn)
        batches = drawn[: total - offset]
        for batch in batches[before.steps - offset :]:
            self._step(batch)
            self.move = self.move_again  # the first step has checked what fits what
            advance(1)
        baseline, end, metrics = self._fetch()
        history = self.history
        losses = history.train_loss_list[offset:]
        sizes = [batch.shape[0] for batch in batches]
        weighted = sum(n * loss for n, loss in zip(sizes, losses, strict=True))
        history.loss.append(weighted / sum(sizes))
        for name, value in metrics.items():
            getattr(history, name).append(value)
        history.lr.append(lr_of(self.optimizer, self.at.steps - 1))
        history.seconds.append(perf_counter() - start)
        limit, is_over = limit_of(history, baseline), self.at.steps == total
        if error := find_divergence(
            history, end, limit, good=self.good, is_over=is_over, optimizer=self.optimizer
        ):
            if not math.isfinite(error.loss):
                error.not_finite = not_finite(self.train)
            self.network.params.update(self.good.params)
            history.stop_reason = "diverged"
            raise error
        is_judged = all(map(math.isfinite, history.val_loss[-1:]))
        if self.validation and not is_judged and (names := not_finite(self.validation)):
            msg = f"{names} of `validation` must be finite: got NaN or infinity"
            raise ValueError(msg)
        self._keep_best()
        mark = self.at
        if len(batches) == self.per_epoch:  # else it is open: a training that goes on ends it
            rng = self.batches.rng.state
            mark = mark._replace(rng=rng, epochs=before.epochs + 1, best=self.best)
        if end <= limit:
            self.good = mark
        self.at = mark

    def keep(self, *, now: bool = False) -> None:
        """Take over what callbacks did to the parameters; write a checkpoint where it is time."""
        params = self.network.params
        if any(params[name] is not value for name, value in self.at.params.items()):
            self.at = self.at._replace(params=dict(params))
        if self._is_good():
            self.good = self.at
        if self.checkpoint:
            self.checkpoint.save(self.good, self.history, now=now)

    def keep_good(self) -> None:
        """Write a checkpoint of the last good epoch, if there was one."""
        if self.checkpoint and self.good.steps:
            self.checkpoint.save(self.good, self.history, now=True)

    def break_off(self) -> None:
        """Go back to the last complete step, or to the last good epoch if the loss exploded since.

        The losses up to there are recorded.
        """
        at, good = self.at, self.good
        self._go_to(at)
        if at.steps + at.waiting == good.steps:
            return
        end = self._end_loss(self.network.scores_at(self.network.params, self.train.x))
        numbers = self._fetch_losses([self.baseline, end])
        losses = [*self.history.train_loss_list[good.steps :], numbers[1]]
        limit = limit_of(self.history, numbers[0])
        if not (self._is_good() and all(map(math.isfinite, losses)) and losses[-1] <= limit):
            self._go_to(good)

    def _is_good(self) -> bool:
        """Whether the last complete epoch was."""
        return self.at.epochs <= self.good.epochs

    def _go_to(self, mark: Mark) -> None:
        history = self.history
        self.at = mark
        self.network.params.update(mark.params)
        del history.train_loss_list[mark.steps :]
        for name in PER_EPOCH:
            del getattr(history, name)[mark.epochs :]
        self.best = mark.best
        history.best_epoch = mark.best.epoch if mark.best else None

    def epochs_since_best(self) -> int:
        """How many complete epochs there were without a lower loss on the validation data."""
        return self.at.epochs - (self.best.epoch + 1 if self.best else 0)

    def restore_best(self) -> None:
        """Give the network the parameters of the best epoch, if there is one."""
        if self.best:
            self.network.params.update(self.best.params)

    def _step(self, batch: Array) -> None:
        at, params = self.at, self.network.params
        x = self.xp.take(self.train.x, batch, axis=0)
        rows = self.xp.take(self.train.rows, batch, axis=0)
        loss, grads = self.value_and_grad(params, x, rows)
        if self.reduce:
            names = list(grads)
            grads = self.reduce(grads)
            if not (isinstance(grads, dict) and grads.keys() == set(names)):
                got = list(grads) if isinstance(grads, dict) else type(grads).__name__
                msg = f"`reduce` must return a dict of the gradients of {names}: got {got}"
                raise ValueError(msg)
        moved, state = self.move(params, grads, at.state)
        self.losses.append(loss)
        self.at = Mark(moved, state, at.rng, at.steps, at.waiting + 1, at.epochs, at.best)
        params.update(moved)

    def _first_of(self, batches: list[Array]) -> Array:
        """Indices of the first batches of an epoch, as many as it takes to judge the parameters."""
        count = -(-_JUDGED // self.batches.size)
        return batches[0] if count == 1 else self.xp.concat(batches[:count])

    def _end_loss(self, scores: Array) -> Array:
        """Loss at the end of an epoch, of some of the training samples, given the scores of all."""
        judged = (self.xp.take(part, self.judged, axis=0) for part in (scores, *self.train))
        return self.loss_of(*judged)

    def _loss_of_scores(self, scores: Array, x: Array, rows: Array) -> Array:  # noqa: ARG002
        return self.network.loss_of(scores, rows)

    def _loss_of_params(self, scores: Array, x: Array, rows: Array) -> Array:  # noqa: ARG002
        return loss_at(self.network, self.network.params, x, rows)

    def _fetch(self) -> tuple[float, float, dict[str, float]]:
        """Record the losses of the steps; return baseline, loss and metrics of the parameters."""
        network, (x, rows) = self.network, self.train
        scores = network.scores_at(network.params, x)
        end = self._end_loss(scores)
        metrics = {"accuracy": network.accuracy_of(scores, rows)}
        if self.validation:
            x, rows = self.validation
            scores = network.scores_at(network.params, x)
            metrics["val_loss"] = self.loss_of(scores, x, rows)
            metrics["val_accuracy"] = network.accuracy_of(scores, rows)
        baseline, loss, *numbers = self._fetch_losses([self.baseline, end, *metrics.values()])
        return baseline, loss, dict(zip(metrics, numbers, strict=True))

    def _fetch_losses(self, others: list[Array]) -> list[float]:
        """Record the losses of the steps; return other numbers, got in the same wait."""
        at, wanted = self.at, [*self.losses[: self.at.waiting], *others]
        numbers: list[float] = to_numpy(stack_arrays(wanted)).tolist()
        self.history.train_loss_list += numbers[: at.waiting]
        self.at = at._replace(steps=at.steps + at.waiting, waiting=0)
        return numbers[at.waiting :]

    def _keep_best(self) -> None:
        history = self.history
        if not history.val_loss:
            return
        loss = history.val_loss[-1]
        if loss < (self.best.loss if self.best else float("inf")):
            copy = {
                name: self.xp.asarray(value, copy=True)  # a callback may write into the parameters
                for name, value in self.network.params.items()
            }
            self.best = Best(len(history.val_loss) - 1, loss, copy)
            history.best_epoch = self.best.epoch
