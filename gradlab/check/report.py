"""What was found of a gradient, and the error of one that is wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["CheckReport", "GradientMismatchError", "Mode", "Verdict"]

Mode = Literal["directional", "full", "taylor"]
Verdict = Literal["passed", "failed", "inconclusive"]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found of a gradient.

    Attributes
    ----------
    verdict : {"passed", "failed", "inconclusive"}
        Inconclusive where the error bar is wider than what an element of ordinary size (of its
        leaf), wrong by half, would change.
    message : str
        Why.
    max_abs_err, error_bar : float
        ``|given - numerical|`` where it is largest beside its error bar, and that bar (of random
        directions, which are alike, the widest of their bars: a narrow one may be luck).
    worst : (str, tuple of int) or None
        Leaf and index of a wrong element; in mode "full", of the worst one in any case.
    given, numerical : float
        Derivative by the gradient given and by differences: of the element `worst`, or where
        there is none, along the worst direction.
    observed_order : float or None
        In mode "taylor", of the remainder (see `check_gradient`); None where round-off hides it.
    seed : int or None
        What random directions were drawn with; None where there are none.
    """

    verdict: Verdict
    message: str
    max_abs_err: float = math.nan
    error_bar: float = math.nan
    worst: tuple[str, tuple[int, ...]] | None = None
    given: float = math.nan
    numerical: float = math.nan
    observed_order: float | None = None
    seed: int | None = None

    @property
    def passed(self) -> bool:
        """Whether the verdict is "passed"."""
        return self.verdict == "passed"


class GradientMismatchError(AssertionError):
    """A gradient is wrong; `report` says where.

    Attributes
    ----------
    report : CheckReport
    """

    def __init__(self, report: CheckReport) -> None:
        super().__init__(report.message)
        self.report = report
