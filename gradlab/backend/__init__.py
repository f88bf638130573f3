"""The rooms that name an array library: selection, arrays in and out, random numbers, time."""

from gradlab.backend import random
from gradlab.backend.arrays import (
    asarray,
    asarray_like,
    ensure_array,
    is_array,
    kind_of,
    namespace,
    nonfinite_expected,
    overflow_expected,
    rows_of,
    sign,
    stack_arrays,
    stack_scalars,
    synchronize,
    to_numpy,
    with_namespace,
)
from gradlab.backend.doctor import examine, version_of
from gradlab.backend.errors import (
    BackendError,
    BackendNotInstalledError,
    BackendUnavailableError,
    UnknownBackendError,
    UnsupportedDTypeError,
)
from gradlab.backend.library import Array, Namespace
from gradlab.backend.linear_algebra import cholesky
from gradlab.backend.memory import (
    chunk_bytes,
    free_cached_memory,
    fresh,
    owned,
    read_only,
    scatter_add,
    snapshot,
)
from gradlab.backend.selection import Backend, get_backend, set_backend, use_backend
from gradlab.backend.shortcuts import (
    extreme,
    mean,
    one_like,
    reshape,
    row_maxima,
    sum_over,
    sum_over_axes,
    total,
)
from gradlab.backend.special import special_function
from gradlab.backend.timing import Timer

__all__ = [
    "Array",
    "Backend",
    "BackendError",
    "BackendNotInstalledError",
    "BackendUnavailableError",
    "Namespace",
    "Timer",
    "UnknownBackendError",
    "UnsupportedDTypeError",
    "asarray",
    "asarray_like",
    "cholesky",
    "chunk_bytes",
    "ensure_array",
    "examine",
    "extreme",
    "free_cached_memory",
    "fresh",
    "get_backend",
    "is_array",
    "kind_of",
    "mean",
    "namespace",
    "nonfinite_expected",
    "one_like",
    "overflow_expected",
    "owned",
    "random",
    "read_only",
    "reshape",
    "row_maxima",
    "rows_of",
    "scatter_add",
    "set_backend",
    "sign",
    "snapshot",
    "special_function",
    "stack_arrays",
    "stack_scalars",
    "sum_over",
    "sum_over_axes",
    "synchronize",
    "to_numpy",
    "total",
    "use_backend",
    "version_of",
    "with_namespace",
]
