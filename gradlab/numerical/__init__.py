"""Finite differences of black boxes."""

from gradlab.numerical.differences import (
    ConstantFunctionWarning,
    derivative,
    gradient,
    value_and_gradient,
)

__all__ = ["ConstantFunctionWarning", "derivative", "gradient", "value_and_gradient"]
