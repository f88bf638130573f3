"""Descent over functions: drivers, line searches, and the diagnosis of how a run ended."""

from gradlab.descent.quasi_newton import lbfgs
from gradlab.descent.result import DescentResult, Status
from gradlab.descent.steepest import gradient_descent

__all__ = ["DescentResult", "Status", "gradient_descent", "lbfgs"]
