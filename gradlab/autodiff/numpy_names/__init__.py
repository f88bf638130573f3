"""NumPy's functions by NumPy's names, written with the standard's.

Each module fills the tables that `entering` holds.
"""

from gradlab.autodiff.numpy_names import elements, products, reductions, shapes, table  # noqa: F401
from gradlab.autodiff.numpy_names.entering import FUNCTIONS, METHODS, REFUSED, UFUNCS

__all__ = ["FUNCTIONS", "METHODS", "REFUSED", "UFUNCS"]
