"""Line searches: how far to go along a direction, for f to fall as much as its slope promises.

They see f along the direction as a function of one number, on the host: every trial is a wait for
the device, for what to try next depends on it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Search", "Trial", "backtrack", "wolfe"]

_DECREASE = 1e-4  # of what the slope promises (Nocedal and Wright, section 3.1) ...
_CURVATURE = 0.9  # ... and of the slope left, for quasi-Newton methods (the same)
_TRIALS = 60  # of a curvature: a step of 1 comes down to eps, or less
_HALVINGS = 200  # lr = 1 comes down to 1e-60, for f and x in units of any size
_GROWTH = 4.0  # of a step that is found too short
_LARGEST = sys.float_info.max / 2  # promise that can be computed with
_INSIDE = 0.1  # of a bracket: a trial nearer to its ends would learn little


@dataclass(frozen=True, slots=True)
class Trial:
    """f, and where the search asks for it its slope, at a distance; `point` is the caller's."""

    distance: float
    loss: float
    slope: float = math.nan
    point: Any = None


@dataclass(frozen=True, slots=True)
class Search:
    """What a search took, or None, and all that it tried and refused."""

    taken: Trial | None
    refused: list[Trial]


def backtrack(
    evaluate: Callable[[float], Trial], distance: float, start: Trial, rounding: float
) -> Search:
    """Halve `distance` until f falls by a part of what the slope promises (Armijo's condition).

    Parameters
    ----------
    evaluate : callable
        Distance to `Trial`.
    distance : float
        First to try.
    start : Trial
        At distance 0. Where its slope is not negative and finite, nothing is tried.
    rounding : float
        Of f: a step that promises less is not tried.

    References
    ----------
    Armijo, Minimization of functions having Lipschitz continuous first partial derivatives,
    Pacific J. Math. 16 (1966). Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 3.1.
    """
    refused: list[Trial] = []
    if -math.inf < start.slope < 0:  # of what is out of range, nothing can be asked
        distance = min(distance, _LARGEST / -start.slope)
    while _is_worth(distance, start, rounding) and len(refused) < _HALVINGS:
        trial = evaluate(distance)
        if _is_lower(trial, start):
            return Search(trial, refused)
        refused.append(trial)
        distance /= 2
    return Search(None, refused)


def wolfe(
    evaluate: Callable[[float], Trial], distance: float, start: Trial, rounding: float
) -> Search:
    """Find where f falls as `backtrack` asks and its slope has come up to 0.9 of the first one.

    Parameters are those of `backtrack`; the trials need their slopes. Where the change of f drowns
    in `rounding`, the slope at the trial stands in for it, as with Hager and Zhang; the first
    distance is always tried.

    References
    ----------
    Lewis and Overton, Nonsmooth optimization via quasi-Newton methods, Math. Program. 141 (2013),
    algorithm 2.6. Nocedal and Wright, Numerical Optimization, 2nd ed., equation 3.59. Hager and
    Zhang, A new conjugate gradient method with guaranteed descent, SIAM J. Optim. 16 (2005).
    """
    low, high = start, None  # f falls enough at `low`, too little at `high`
    refused: list[Trial] = []
    if not -math.inf < start.slope < 0:
        return Search(None, refused)
    while not refused or (_is_worth(distance, start, rounding) and len(refused) < _TRIALS):
        trial = evaluate(distance)
        if not _falls(trial, start, rounding):
            high = trial
        elif trial.slope < _CURVATURE * start.slope:
            low = trial
        else:
            return Search(trial, refused)
        refused.append(trial)
        distance = _GROWTH * distance if high is None else _between(low, high)
    return Search(low if _is_lower(low, start) else None, refused)


def _is_worth(distance: float, start: Trial, rounding: float) -> bool:
    return rounding < -distance * start.slope < math.inf


def _is_lower(trial: Trial, start: Trial) -> bool:
    bound = start.loss + _DECREASE * trial.distance * start.slope
    return trial.loss <= bound and trial.loss < start.loss  # the bound may be lost in rounding


def _falls(trial: Trial, start: Trial, rounding: float) -> bool:
    if not math.isfinite(trial.slope):
        return trial.loss == -math.inf
    is_level = trial.loss <= start.loss + rounding
    slope_stands_in = is_level and trial.slope <= (2 * _DECREASE - 1) * start.slope
    return slope_stands_in or _is_lower(trial, start)


def _between(low: Trial, high: Trial) -> float:
    """Where the cubic through both trials is lowest, well inside; else the middle."""
    width = high.distance - low.distance
    middle = low.distance + width / 2
    if not (math.isfinite(high.loss) and math.isfinite(high.slope)):
        return middle
    a = low.slope + high.slope - 3 * (high.loss - low.loss) / width
    square = a * a - low.slope * high.slope
    if not 0 <= square < math.inf:
        return middle
    root = math.sqrt(square)
    below = high.slope - low.slope + 2 * root
    if not below > 0:
        return middle
    part = 1 - (high.slope + root - a) / below
    return low.distance + width * min(max(part, _INSIDE), 1 - _INSIDE)
