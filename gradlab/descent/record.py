"""The record of a descent: the newest points wait on the device, the older ones are judged."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import inf, isfinite, isnan
from typing import Any, TypeAlias

from gradlab.backend import Array, owned, stack_arrays, stack_scalars, to_numpy
from gradlab.descent.objective import Objective, Point
from gradlab.descent.result import DescentResult, Status

__all__ = ["Record", "Verdict", "rises"]

Verdict: TypeAlias = tuple[Status, str]

_PATH_NUMBERS = 2**20  # a path of at most as many numbers is kept unasked: 8 MiB in float64
_VISIBLE = 2.0**14  # roundings that a step promises at least, to begin with
_RISES, _GROWTH = 3, 1e3  # three rises in a row, the gradient thousandfold: no valley comes back


class Record:
    """Points of a run, in order, judged by the rules that hold at any of them.

    A run that a rule ends is cut there: what is returned does not depend on when the host looked.
    """

    first: Point  # these five from the first look on
    previous: Point
    last: Point
    best: Point
    good: Point  # the last one before f began to rise

    def __init__(
        self,
        objective: Objective,
        *,
        called: str,
        steps: int,
        gtol: float,
        ftol: float = 0.0,
        advises_lr: bool = False,
        callback: Callable[[DescentResult], Any] | None = None,
        trace: bool | None = None,
    ) -> None:
        if not (callback is None or callable(callback)):
            msg = f"`callback` must be a function of the result so far: got {callback!r}"
            raise TypeError(msg)
        self.objective = objective
        self.called = called
        self.gtol, self.ftol = gtol, ftol
        self.callback = callback
        self.lr: float | None = None  # of the step under way; None where that is not the user's
        self.advises_lr = advises_lr  # in messages, where the next run would use it
        self.lrs: list[float] = []  # of the steps taken
        self.waiting: list[Point] = []
        self.losses: list[float] = []  # of the points judged
        self.sizes: list[float] = []
        keeps_path = (steps + 1) * objective.size <= _PATH_NUMBERS if trace is None else trace
        self.path: list[list[Array]] | None = [] if keeps_path else None
        self.keeps_numbers = trace is not False

    @property
    def nit(self) -> int:
        """Steps between the points judged."""
        return len(self.losses) - 1

    def guard(self, descend: Callable[[], Verdict]) -> DescentResult:
        """What `descend` reached, also where it was interrupted."""
        try:
            return self.result(*descend())
        except KeyboardInterrupt:
            ended = self.look()
            if not self.losses:
                raise  # not one point was reached
            return self.result(*(ended or ("interrupted", "KeyboardInterrupt came")))
        except Exception as error:
            if ended := self.look():
                return self.result(*ended)  # the call that failed came after the end of the run
            error.add_note(f"in step {len(self.losses)} of {self.called}{_with(self.lr)}")
            raise

    def arrive(self, point: Point, *, is_due: bool = True) -> Verdict | None:
        """Take in a new point; judge it, and those that wait, if that is due or a callback asks."""
        self.waiting.append(point)
        if not (is_due or self.callback):
            return None
        return self.look() or self._ask()

    def rounding(self) -> float:
        """Of f at the last point."""
        return self.objective.eps(self.last.loss) * abs(self.losses[-1])

    def scale(self) -> float:
        """Largest element of the last point, 1 at the least. The host waits for it."""
        xp = self.objective.xp
        sizes = [xp.max(xp.abs(x)) for x in self.last.x if 0 not in x.shape]
        return max(1.0, float(xp.max(xp.stack(sizes)))) if sizes else 1.0

    def visible(self, distance: float, slope: float) -> float:
        """`distance`, or what it takes to promise more than rounding hides, at the scale of x."""
        needed = _VISIBLE * self.rounding() / -slope if slope else 0.0
        if not distance < needed:
            return distance
        return max(distance, min(needed, self.scale() / self.sizes[-1]))

    def look(self) -> Verdict | None:
        """Fetch and judge the points that wait; cut the run at the first that ends it."""
        if not self.waiting:
            return None
        xp = self.objective.xp
        losses = stack_arrays([point.loss for point in self.waiting])
        sizes = stack_arrays([point.size for point in self.waiting])
        dtype = xp.result_type(losses, sizes)
        host = to_numpy(xp.stack([xp.astype(c, dtype) for c in (losses, sizes)]))
        points, self.waiting = self.waiting, []
        for point, loss, size in zip(points, *host.tolist(), strict=True):
            if ended := self._judge(point, loss, size):
                return ended
        return None

    def _judge(self, point: Point, loss: float, size: float) -> Verdict | None:
        """Make `point` the last one, and apply the rules that hold at any point."""
        if not self.losses:
            self.first = self.best = self.good = self.last = point
            self.lowest = loss if isfinite(loss) else inf
        elif isfinite(loss) and loss <= self.losses[-1]:
            self.good = point
        if isfinite(loss) and loss < self.lowest:
            self.best, self.lowest = point, loss
        self.previous, self.last = self.last, point
        self.losses.append(loss)
        self.sizes.append(size)
        if self.path is not None:
            self.path.append(point.x)
        return self._verdict()

    def _verdict(self) -> Verdict | None:
        losses, sizes = self.losses[-_RISES - 1 :], self.sizes[-_RISES - 1 :]
        loss, size = losses[-1], sizes[-1]
        if not (isfinite(loss) and isfinite(size)):
            cure = self.try_lr(0.1) if self.nit else "; start elsewhere"
            return "diverged", f"f or its gradient is not finite{cure}"
        is_exploding = len(losses) > _RISES and size >= _GROWTH * sizes[0] and rises(losses)
        if is_exploding and loss > self.losses[0]:
            return "diverged", f"f rises ever faster{self.try_lr(0.1)}"
        if size <= self.gtol:
            return "converged", f"no element of the gradient exceeds gtol={self.gtol:g}"
        if self.ftol and self.nit:
            lr = self.lrs[self.nit - 1]
            scale = max(abs(loss), abs(losses[-2]), 1.0)
            change = max(abs(loss - losses[-2]), lr * sizes[-2] ** 2)
            if lr and change <= self.ftol * scale:
                return "converged", f"f changes by no more than ftol={self.ftol:g} in a step"
        return None

    def try_lr(self, factor: float) -> str:
        """What to try, in a message; nothing where the method chooses its steps, or hides them."""
        lr = self._lr_of_last_step() if self.advises_lr else None
        return f"; try lr={lr * factor:g}" if lr and not isnan(lr) else ""

    def _ask(self) -> Verdict | None:
        if self.callback is None:
            return None
        try:
            is_enough = bool(self.callback(self.result("running", "under way")))
        except StopIteration:
            is_enough = True
        return ("stopped", "the callback asked for it") if is_enough else None

    def result(self, status: Status, why: str) -> DescentResult:
        """What was reached, at the last point judged."""
        build, xp = self.objective.build, self.objective.xp

        def handed_out(leaves: list[Array]) -> Any:  # which may be written to
            return build([owned(leaf) for leaf in leaves])

        at = self.good if status == "diverged" else self.last
        path = losses = grad_norms = lrs = None
        if status != "running":
            if self.path is not None:
                columns = zip(*self.path, strict=True)
                path = build([xp.stack(list(column)) for column in columns])
            if self.keeps_numbers:
                losses = stack_scalars(self.losses, at.loss)
                grad_norms = stack_scalars(self.sizes, at.size)
                lrs = stack_scalars([*self.lrs[: self.nit], 0.0], at.loss)[:-1]  # there may be none
        return DescentResult(
            x=handed_out(at.x),
            fun=owned(at.loss),
            grad=handed_out(at.grad),
            nit=self.nit,
            nfev=self.objective.nfev,
            njev=self.objective.njev,
            status=status,
            success=status == "converged",
            message=f"{status} after {self.nit} steps{_with(self._lr_of_last_step())}: {why}",
            best_x=handed_out(self.best.x),
            best_fun=owned(self.best.loss),
            path=path,
            losses=losses,
            grad_norms=grad_norms,
            lrs=lrs,
        )

    def _lr_of_last_step(self) -> float | None:
        return self.lr if self.lr is None or self.nit < 1 else self.lrs[self.nit - 1]


def rises(losses: list[float]) -> bool:
    """Whether each is higher than the one before."""
    return all(a < b for a, b in pairwise(losses))


def _with(lr: float | None) -> str:
    return "" if lr is None or isnan(lr) else f" with lr={lr:g}"
