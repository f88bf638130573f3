"""Derivatives, gradient descent and small networks over the Python array API."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

import numpy as _  # noqa: F401, ICN001, TID251  (first: from deep inside it takes 10 ms longer)

from gradlab.backend import (
    asarray,
    get_backend,
    namespace,
    set_backend,
    synchronize,
    to_numpy,
    use_backend,
)

if TYPE_CHECKING:
    from gradlab import (
        autodiff,
        backend,
        check,
        data,
        descent,
        nn,
        numerical,
        optimizers,
        store,
        training,
        tree,
    )
    from gradlab.autodiff import grad, value_and_grad
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
    "descent",
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
    "store",
    "synchronize",
    "to_numpy",
    "training",
    "tree",
    "use_backend",
    "value_and_grad",
]

# Where names are that are imported when they are first asked for: all at once, they would add half
# of NumPy's own time to `import gradlab`. A name without a second part is that of a module.
_HOMES = {
    **{name: (name, "") for name in ("autodiff", "check", "data", "descent", "nn", "numerical")},
    **{name: (name, "") for name in ("optimizers", "store", "training", "tree")},
    **{name: ("autodiff", name) for name in ("grad", "value_and_grad")},
    **{
        name: ("check", name) for name in ("CheckReport", "GradientMismatchError", "check_gradient")
    },
    **{name: ("descent", name) for name in ("DescentResult", "gradient_descent", "lbfgs")},
    "TwoLayerNetwork": ("nn", "TwoLayerNetwork"),
    "numerical_diff": ("numerical", "derivative"),
    "numerical_gradient": ("numerical", "gradient"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module 'gradlab' has no attribute {name!r}"
        raise AttributeError(msg)
    home, attribute = _HOMES[name]
    module = _import_module(f"gradlab.{home}")
    value: object = getattr(module, attribute) if attribute else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
