"""The traced namespace over NumPy, its arrays constants, as a module that the suite can import."""

import array_api_compat.numpy

from gradlab.autodiff.namespace import traced_namespace

globals().update(vars(traced_namespace(array_api_compat.numpy)))
__array_namespace_info__ = traced_namespace(array_api_compat.numpy).__array_namespace_info__
