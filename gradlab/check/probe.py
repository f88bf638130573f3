"""The gradient and the differences along one direction, side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from gradlab.check.report import CheckReport, Verdict
from gradlab.numerical.directional import Ladder

__all__ = ["Probe", "alike"]


@dataclass(frozen=True, slots=True)
class Probe:
    """The gradient and the differences along one direction."""

    given: float
    numerical: float
    error_bar: float
    ordinary: float  # what an element of ordinary size contributes
    ladder: Ladder

    @property
    def excess(self) -> float:
        """Disagreement in error bars: more than 1 is proof. 0 where nothing can be said."""
        error = abs(self.given - self.numerical)
        if math.isnan(error) or not error or self.error_bar == math.inf:
            return 0.0
        return error / self.error_bar if self.error_bar else math.inf

    @property
    def is_blurred(self) -> bool:
        """Whether the bar is wider than what an ordinary element, wrong by half, would change."""
        return not self.error_bar <= self.ordinary / 2 or self.error_bar == math.inf

    def per(self, unit: float) -> Probe:
        """Return the same, along a direction whose length is divided by `unit`."""
        return Probe(
            self.given / unit,
            self.numerical / unit,
            self.error_bar / unit,
            self.ordinary / unit,
            self.ladder,
        )

    def report(self, verdict: Verdict, message: str, **more: Any) -> CheckReport:
        """Return a report with these numbers."""
        error = abs(self.given - self.numerical)
        values = {"given": self.given, "numerical": self.numerical, **more}
        return CheckReport(verdict, message, error, self.error_bar, **values)

    def compared(self) -> str:
        """Both numbers, for a message."""
        return f"given {self.given:.9g}, numerical {self.numerical:.9g} +- {self.error_bar:.1e}"

    def why_blurred(self) -> str:
        """Why there is no verdict."""
        ladder = self.ladder
        if not math.isfinite(ladder.centre):
            return f"f(x) is {ladder.centre}"
        if ladder.spread:
            return f"f is not deterministic: two calls at x differ by {ladder.spread:.1e}"
        if ladder.gap:
            return f"coarse and fine steps see slopes that differ by {ladder.gap:.1e}"
        if ladder.kink:
            return f"f has a kink at x: its slope jumps by {ladder.kink:.1e}"
        if ladder.error == math.inf:
            return "no difference of f can be trusted: not finite beside x, or noise alone"
        return f"round-off hides the answer: {self.compared()}"


def alike(probes: list[Probe]) -> list[Probe]:
    """Probes of one bar, the widest of those that are finite: a narrow one may be luck."""
    widest = max((p.error_bar for p in probes if p.error_bar < math.inf), default=math.inf)
    return [replace(p, error_bar=max(p.error_bar, widest)) for p in probes]
