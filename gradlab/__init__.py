"""Derivatives, gradient descent and small networks over the Python array API."""

import numpy as _  # noqa: F401, ICN001, TID251  (first: from deep inside it takes 10 ms longer)

from gradlab import autodiff, backend, check, data, nn, numerical, optimizers, training, tree
from gradlab.autodiff import grad, value_and_grad
from gradlab.backend import (
    asarray,
    get_backend,
    namespace,
    set_backend,
    synchronize,
    to_numpy,
    use_backend,
)
from gradlab.check import CheckReport, GradientMismatchError, check_gradient
from gradlab.descent import DescentResult, gradient_descent, lbfgs
from gradlab.nn import TwoLayerNetwork
from gradlab.numerical import derivative as numerical_diff
from gradlab.numerical import gradient as numerical_gradient

__all__ = [
    "CheckReport",
    "DescentResult",
    "GradientMismatchError",
    "TwoLayerNetwork",
    "asarray",
    "autodiff",
    "backend",
    "check",
    "check_gradient",
    "data",
    "get_backend",
    "grad",
    "gradient_descent",
    "lbfgs",
    "namespace",
    "nn",
    "numerical",
    "numerical_diff",
    "numerical_gradient",
    "optimizers",
    "set_backend",
    "synchronize",
    "to_numpy",
    "training",
    "tree",
    "use_backend",
    "value_and_grad",
]
