"""Derivatives, gradient descent and small networks over the Python array API."""

from gradlab import backend, numerical, tree
from gradlab.backend import (
    asarray,
    get_backend,
    namespace,
    set_backend,
    synchronize,
    to_numpy,
    use_backend,
)
from gradlab.descent import DescentResult, gradient_descent
from gradlab.numerical import derivative as numerical_diff
from gradlab.numerical import gradient as numerical_gradient

__all__ = [
    "DescentResult",
    "asarray",
    "backend",
    "get_backend",
    "gradient_descent",
    "namespace",
    "numerical",
    "numerical_diff",
    "numerical_gradient",
    "set_backend",
    "synchronize",
    "to_numpy",
    "tree",
    "use_backend",
]
