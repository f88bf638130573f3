"""How a run ended, where no rule ended it on the way: the rules that hold at its last point."""

from __future__ import annotations

import math
from itertools import pairwise

from gradlab.backend import overflow_expected
from gradlab.descent.line_search import Search, Trial
from gradlab.descent.objective import Objective
from gradlab.descent.record import Record, Verdict, rises

__all__ = ["judge_end", "judge_failed_search", "judge_searched_end"]

_SAME_GRADIENT = 0.01  # a gradient that changes by less saw a straight slope
_FEW_STEPS = 10  # fewer steps than this are no evidence of a small lr
_REACHES = (1.0, 2**-5, 2**-10)  # of eps**(1/3): at least one stays inside a narrow valley
_SHRINKS = 0.5  # per quarter of the run; a gradient that shrinks less is not on its way to zero
_VISIBLE = 1000  # roundings of f: a rise that is known to a tenth of a percent
_NEAREST = 4  # trials so near that as far behind x f is a line, but for noise
_BENDS = (8, 1.5)  # powers of the distance: a line rises with the first, a jump with none


def judge_end(run: Record) -> Verdict:
    """Verdict on a run that took all its steps at the learning rates it was given."""
    losses, sizes, nit = run.losses, run.sizes, run.nit
    if nit > 1 and losses[-1] > losses[0] and rises(losses[nit // 2 :]):
        return "diverged", f"f rose all through the last half of the run{run.try_lr(0.1)}"
    is_above = losses[-1] - losses[0] > math.sqrt(run.objective.eps(run.last.loss)) * abs(losses[0])
    if not is_above and (ended := _judge_fall(run)):
        return ended
    if not is_above and _is_stationary(run, run.objective):
        return "converged", "no step along the gradient lowers f any more"
    if nit > 1 and _turned_back(run):
        if sizes[-1] > _SHRINKS * sizes[-1 - max(1, nit // 4)]:
            return "oscillating", f"steps go to and fro and do not shrink{run.try_lr(0.1)}"
    elif nit >= _FEW_STEPS and _is_straight(run):
        return "too_small", f"the gradient has hardly changed on the way{run.try_lr(10)}"
    return "max_steps", _on_its_way(run)


def judge_searched_end(run: Record) -> Verdict:
    """Verdict on a run that took all its steps, of lengths that a line search found."""
    return _judge_fall(run) or ("max_steps", _on_its_way(run))


def _on_its_way(run: Record) -> str:
    if run.nit and not run.losses[-1] < run.losses[-2]:
        return f"f did not fall in the last step{run.try_lr(0.1)}"
    return f"{'f was still falling; ' if run.nit else ''}take more steps, or go on from x"


def judge_failed_search(run: Record, search: Search, start: Trial) -> Verdict:
    """Verdict on a search along the gradient that found no lower point.

    The tell is how f rises over the trials: a valley's floor bends, so that half the distance
    makes a quarter of the rise, down to where the rise drowns in rounding. A kink, a jump, an edge
    and a gradient of another function do not. Where terms of f cancel, its rounding is larger than
    its value tells: it is what f lacks of a straight line close behind x, for what lies ahead, such
    as a jump, does not show there.
    """
    if ended := _judge_fall(run):
        return ended
    if not -math.inf < start.slope < 0:
        return "stalled", "the square of the gradient is out of the range of its dtype: scale f"
    trials = sorted(search.refused, key=lambda trial: -trial.distance)
    behind = [(t.distance, _at(run, -t.distance) - start.loss) for t in trials[-_NEAREST:]]
    off = (abs(near - far * (d / e)) for (e, far), (d, near) in pairwise(behind))  # of a line, 0
    noise = sorted(filter(math.isfinite, off)) or [0.0]
    rounding = max(run.rounding(), noise[(len(noise) - 1) // 2])  # a kink on the way is in one
    floor = start.loss + _VISIBLE * rounding
    seen = [pair for pair in pairwise(trials) if not pair[0].loss <= floor]
    is_bent = True
    if seen:
        far, near = seen[-1]
        rise, part = far.loss - start.loss, near.distance / far.distance
        low, high = (rise * part**power for power in _BENDS)
        is_bent = low <= near.loss - start.loss < high < math.inf
    if is_bent and (not trials or trials[-1].loss <= floor):
        return "converged", "no step along the gradient lowers f any more"
    return "stalled", (
        "no step along the gradient lowers f, as it promises: look for a kink, a jump, noise, "
        "an edge of the domain, or a gradient that is not that of f"
    )


def _at(run: Record, distance: float) -> float:
    """Value of f so far from the last point, against the gradient."""
    objective = run.objective
    with overflow_expected():
        return float(objective.loss(objective.moved(run.last, distance)))


def _judge_fall(run: Record) -> Verdict | None:
    sizes, losses = run.sizes, run.losses
    largest = max(g for g, loss in zip(sizes, losses, strict=True) if loss <= losses[0])
    if sizes[-1] > math.sqrt(run.objective.eps(run.last.loss)) * largest:
        return None
    return "converged", f"the gradient fell from {largest:.3g} to {sizes[-1]:.3g}"


def _is_stationary(run: Record, objective: Objective) -> bool:
    """Whether f falls, beyond its rounding, at none of three points along the gradient."""
    xp, eps = objective.xp, objective.eps(run.last.loss)
    reach = eps ** (1 / 3) * run.scale() / run.sizes[-1]
    rounding = 4 * eps * abs(run.losses[-1])
    tried = [objective.loss(objective.moved(run.last, reach * part)) for part in _REACHES]
    return not bool(xp.any(xp.stack(tried) < run.last.loss - rounding))


def _is_straight(run: Record) -> bool:
    """Whether the last gradient is the first, but for a small part of its largest element."""
    xp, limit = run.objective.xp, _SAME_GRADIENT * run.sizes[-1]
    pairs = zip(run.first.grad, run.last.grad, strict=True)
    return not any(bool(xp.any(xp.abs(a - b) > limit)) for a, b in pairs)


def _turned_back(run: Record) -> bool:
    """Whether the last two gradients point against each other."""
    xp = run.objective.xp
    a, b = 1 / run.sizes[-2], 1 / run.sizes[-1]  # so that no product overflows
    pairs = zip(run.previous.grad, run.last.grad, strict=True)
    dots = [xp.sum((a * u) * (b * v)) for u, v in pairs]
    return bool(xp.sum(xp.stack(dots)) < 0)
