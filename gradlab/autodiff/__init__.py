"""Exact derivatives of functions of arrays, by tracing what the functions compute."""

from gradlab.autodiff import namespace as _namespace  # noqa: F401  (arrays ask for it)
from gradlab.autodiff.alias import AliasError
from gradlab.autodiff.functions import checkpoint, custom_vjp, primitive, stop_gradient
from gradlab.autodiff.jacobians import hessian, jacobian
from gradlab.autodiff.transforms import (
    grad,
    gradient,
    hvp,
    jvp,
    value_and_grad,
    value_and_gradient,
    vjp,
)

__all__ = [
    "AliasError",
    "checkpoint",
    "custom_vjp",
    "grad",
    "gradient",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "primitive",
    "stop_gradient",
    "value_and_grad",
    "value_and_gradient",
    "vjp",
]
