"""The traced namespace over NumPy, every floating array that it makes a traced one, of one trace.

A traced array refuses to become a Python number or a NumPy array, by which the suite reads results:
here, and only here, it gives its values.
"""

from functools import wraps

import array_api_compat.numpy as anp
import numpy as np

from gradlab.autodiff.array import Array, lift, plain
from gradlab.autodiff.elementwise import is_inexact_dtype
from gradlab.autodiff.namespace import CREATION, traced_namespace
from gradlab.autodiff.node import next_serial

xp = traced_namespace(anp)
LEVEL = next_serial()


def traced(x):
    """Array in the one open trace, where it has a derivative."""
    is_constant = type(x) is Array and x._node is None
    return lift(x, LEVEL) if is_constant and is_inexact_dtype(x.dtype) else x


def tracing(function):
    @wraps(function)
    def call(*args, **options):
        return traced(function(*args, **options))

    return call


globals().update(vars(xp))
globals().update(
    {name: tracing(vars(xp)[name]) for name in (*CREATION, "asarray", "full", "full_like")}
)
__array_namespace_info__ = xp.__array_namespace_info__

Array.__float__ = lambda self: float(plain(self))
Array.__complex__ = lambda self: complex(plain(self))
Array.__int__ = lambda self: int(plain(self))
Array.__index__ = lambda self: plain(self).__index__()
Array.item = lambda self: plain(self).item()
Array.__array__ = lambda self, *args, **options: np.array(plain(self), *args, **options)
