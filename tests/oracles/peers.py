"""Gradient and Hessian-vector product of one loss, ``loss(xp, x)``, by gradlab and its peers.

Each takes the loss, a point and a direction (None for the gradient alone), of NumPy, and gives
arrays of NumPy.
"""

from __future__ import annotations

from types import SimpleNamespace

import array_api_compat.torch as torch_namespace
import autograd
import autograd.numpy as anp
import numpy as np
import torch

from gradlab import autodiff

__all__ = ["PEERS", "by_autograd", "by_gradlab", "by_torch", "loss_of"]


class _Autograd:
    """autograd's NumPy under the standard's names, where they are others there."""

    asarray = staticmethod(lambda x, copy=False: x)
    concat = staticmethod(anp.concatenate)
    cumulative_sum = staticmethod(anp.cumsum)
    diff = staticmethod(lambda x, axis=-1, n=1: anp.diff(x, n, axis))
    flip = staticmethod(lambda x, axis: x[(slice(None),) * axis + (slice(None, None, -1),)])
    matrix_transpose = staticmethod(lambda x: anp.swapaxes(x, -1, -2))
    std = staticmethod(lambda x, correction=0, **o: anp.std(x, ddof=correction, **o))
    take = staticmethod(lambda x, indices, axis: x[(slice(None),) * axis + (indices,)])
    unstack = staticmethod(lambda x, axis: anp.moveaxis(x, axis, 0))
    var = staticmethod(lambda x, correction=0, **o: anp.var(x, ddof=correction, **o))
    vecdot = staticmethod(lambda a, b, axis: anp.sum(a * b, axis=axis))
    linalg = SimpleNamespace(outer=anp.outer, vector_norm=lambda x, **o: anp.linalg.norm(x, **o))

    def __getattr__(self, name):
        return getattr(anp, name)


_autograd_namespace = _Autograd()


def by_gradlab(loss, x, v):
    traced = lambda x: loss(x.__array_namespace__(), x)  # noqa: E731
    slope = autodiff.gradient(traced, x)
    return (slope,) if v is None else (slope, autodiff.hvp(traced, x, v))


def by_torch(loss, x, v):
    t = torch.asarray(x, dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(loss(torch_namespace, t), t, create_graph=True)
    found = slope.detach().numpy()
    if v is None:
        return (found,)
    (second,) = torch.autograd.grad(torch.sum(slope * torch.asarray(v)), t)
    return found, second.numpy()


def by_autograd(loss, x, v):
    slope = autograd.grad(lambda x: loss(_autograd_namespace, x))
    if v is None:
        return (slope(x),)
    return slope(x), autograd.grad(lambda x: anp.sum(slope(x) * v))(x)


PEERS = {"torch": by_torch, "autograd": by_autograd}


def loss_of(f):
    """Number with first and second derivatives in every element of ``f(xp, x)``."""

    def loss(xp, x):
        y = f(xp, x)
        n = int(np.prod(y.shape))
        weights = np.sin(1.0 + np.arange(n)).reshape(tuple(y.shape))
        return xp.sum(y * xp.asarray(weights) + 0.3 * y * y)

    return loss
