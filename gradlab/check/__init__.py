"""Is this gradient right? A verdict that knows its own error bar, and where the gradient is wrong.

Here a gradient is judged; the differences it is judged by live in `gradlab.numerical`.
"""

from gradlab.check.gradient import check_gradient
from gradlab.check.report import CheckReport, GradientMismatchError

__all__ = ["CheckReport", "GradientMismatchError", "check_gradient"]
