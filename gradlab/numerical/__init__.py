"""Finite differences of black boxes."""

from gradlab.numerical.differences import (
    ConstantFunctionWarning,
    derivative,
    gradient,
    value_and_gradient,
)
from gradlab.numerical.error_bars import (
    DerivativeResult,
    Status,
    derivative_and_error,
    gradient_and_error,
)
from gradlab.numerical.estimates import estimate_gradient
from gradlab.numerical.family import hessian, hvp, jacobian, jvp, vjp

__all__ = [
    "ConstantFunctionWarning",
    "DerivativeResult",
    "Status",
    "derivative",
    "derivative_and_error",
    "estimate_gradient",
    "gradient",
    "gradient_and_error",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "value_and_gradient",
    "vjp",
]
