"""Finite differences of black boxes."""

from gradlab.numerical.differences import (
    ConstantFunctionWarning,
    derivative,
    gradient,
    value_and_gradient,
)
from gradlab.numerical.estimates import estimate_gradient
from gradlab.numerical.family import hessian, hvp, jacobian, jvp, vjp

__all__ = [
    "ConstantFunctionWarning",
    "derivative",
    "estimate_gradient",
    "gradient",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "value_and_gradient",
    "vjp",
]
