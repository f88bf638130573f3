"""What the standard asks of a namespace and its arrays, beside the numbers; see also conformance."""

from __future__ import annotations

import inspect

import array_api_compat.numpy as anp
import array_api_strict
import numpy as np
import pytest

import gradlab as gl
from gradlab.autodiff.namespace import traced_namespace

xp = traced_namespace(anp)
FUNCTIONS = [name for name in dir(array_api_strict) if inspect.isfunction(getattr(xp, name, None))]


def parameters(function):
    """Kinds of the parameters that are given by name, or by position or name."""
    kinds = {p.name: p.kind for p in inspect.signature(function).parameters.values()}
    return {name: kind for name, kind in kinds.items() if kind in (1, 3)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_name_what_those_of_array_api_strict_name(name):
    ours = parameters(getattr(xp, name))
    for parameter, kind in parameters(getattr(array_api_strict, name)).items():
        assert ours[parameter] in (1, kind)


def test_several_arrays_are_given_as_a_tuple():
    x = xp.asarray([1.0, 2.0])
    for made in (xp.meshgrid(x, x), xp.broadcast_arrays(x, x), xp.unstack(x)):
        assert type(made) is tuple
