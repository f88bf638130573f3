"""Functions written with `np.`, with methods and with `cp.`: their gradients, and what raises."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import array_api_strict
import numpy as np
import pytest

import gradlab as gl
from gradlab import autodiff
from gradlab.autodiff import gradient

X = np.random.default_rng(5).uniform(0.3, 1.8, (3, 4))  # inside every domain, without ties
SQUARE = X[:, :3] + 2 * np.eye(3)
C = np.random.default_rng(6).uniform(0.5, 1.5, (3, 4))
VECTOR = C[0]

WITH_NP = {
    "abs": lambda x: np.abs(-x),
    "add": lambda x: np.add(x, [1.0, 2.0, 3.0, 4.0]) * x,
    "add.accumulate": lambda x: np.add.accumulate(x),
    "add.outer": lambda x: np.add.outer(x[0], x[:, 0]) ** 2,
    "add.reduce": lambda x: np.add.reduce(x) ** 2,
    "add.reduce of all": lambda x: np.add.reduce(x, axis=None) ** 2,
    "amax": lambda x: np.amax(x, 1) ** 2,
    "angle": lambda x: np.angle(x + 1j * x**2),
    "append": lambda x: np.append(x, x**2, axis=0),
    "append flat": lambda x: np.append(x, [1.0, 2.0]) ** 2,
    "arcsin": lambda x: np.arcsin(x / 2),
    "arctan2": lambda x: np.arctan2(x, C),
    "array_split": lambda x: np.array_split(x, 3, axis=1)[0] ** 2,
    "astype": lambda x: np.astype(x, np.float64) ** 2,
    "atleast_1d": lambda x: np.atleast_1d(x[0, 0]) ** 2,
    "atleast_2d": lambda x: np.atleast_2d(x[0], x)[0] ** 2,
    "atleast_3d": lambda x: np.atleast_3d(x) ** 2,
    "atleast_3d of a vector": lambda x: np.atleast_3d(x[0]) ** 2,
    "average": lambda x: np.average(x**2, axis=0),
    "average with weights": lambda x: np.average(x**2, axis=1, weights=VECTOR),
    "average with traced weights": lambda x: np.average(C, weights=x),
    "broadcast_arrays": lambda x: np.broadcast_arrays(x[:1], C)[0] * x,
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 4)) ** 2,
    "clip": lambda x: np.clip(x, 0.5, 1.5) ** 2,
    "clip by name": lambda x: np.clip(x, max=1.5, min=None) ** 2,
    "column_stack": lambda x: np.column_stack([x[:, 0], x]) ** 2,
    "concatenate": lambda x: np.concatenate([x, C, x**2], axis=1),
    "concatenate flat": lambda x: np.concatenate((x, x[0]), axis=None) ** 2,
    "convolve": lambda x: np.convolve(x[0], x[1, :3]),
    "convolve by a longer one": lambda x: np.convolve(x[0, :2], VECTOR),
    "copy": lambda x: np.copy(x) ** 2,
    "corrcoef": lambda x: np.corrcoef(x),
    "cov": lambda x: np.cov(x),
    "cov by columns": lambda x: np.cov(x, rowvar=False, bias=True),
    "cov of two": lambda x: np.cov(x[0], x[1] ** 2, ddof=0),
    "cov of one": lambda x: np.cov(x[0]),
    "cross": lambda x: np.cross(x[:, :3], C[:, 1:]),
    "cross along another axis": lambda x: np.cross(x, C, axis=0) * x,
    "cumprod": lambda x: np.cumprod(x, axis=1),
    "cumprod flat": lambda x: np.cumprod(x),
    "cumsum": lambda x: np.cumsum(x, 0) ** 2,
    "cumsum flat": lambda x: np.cumsum(x) ** 2,
    "cumulative_sum": lambda x: np.cumulative_sum(x, axis=1, include_initial=True) ** 2,
    "deg2rad": lambda x: np.deg2rad(x) * np.rad2deg(x),
    "delete": lambda x: np.delete(x, [0, -1], axis=1) ** 2,
    "delete a slice": lambda x: np.delete(x, slice(1, 9, 2)) ** 2,
    "diag of a matrix": lambda x: np.diag(x, 1) ** 2,
    "diag of a vector": lambda x: np.diag(x[0], -1) ** 2,
    "diagonal": lambda x: np.diagonal(x, -1) ** 2,
    "diagonal of a stack": lambda x: np.diagonal(np.stack([x, C]), 1, 2, 0) ** 2,
    "diagonal outside": lambda x: np.sum(np.diagonal(x, 7)) + x[0, 0],
    "diff": lambda x: np.diff(x, 2) ** 2,
    "diff with edges": lambda x: np.diff(x, axis=0, prepend=1.0, append=x[:1]) ** 2,
    "dot": lambda x: np.dot(x, x[1]),
    "dot of a number": lambda x: np.dot(2.0, x) ** 2,
    "dot of lists": lambda x: np.dot(x, [1.0, 2.0, 3.0, 4.0]),
    "dot of stacks": lambda x: np.dot(x, np.stack([C.T, x.T])),
    "dstack": lambda x: np.dstack([x, x**2]),
    "einsum a product": lambda x: np.einsum("ij,kj->ik", x, x),
    "einsum a trace": lambda x: np.einsum("ii", x[:, :3]) ** 2,
    "einsum of three": lambda x: np.einsum("ij,jk,kl->il", x, x.T, C),
    "einsum a batch": lambda x: np.einsum("bi,bij->bj", x, np.stack([x.T] * 3)),
    "einsum sums and turns": lambda x: np.einsum("ij,kl->lj", x, C * x),
    "einsum without a result": lambda x: np.einsum("ji,jk", x, x),
    "exp2": lambda x: np.exp2(x),
    "expand_dims": lambda x: np.expand_dims(x, (0, -1)) ** 2,
    "fabs": lambda x: np.fabs(-x),
    "flip": lambda x: np.flip(x) * x,
    "fliplr and flipud": lambda x: np.fliplr(x) * np.flipud(x),
    "float_power": lambda x: np.float_power(x, 1.5),
    "fmax and fmin": lambda x: np.fmax(x, C) * np.fmin(x, np.full_like(C, np.nan)),
    "full_like": lambda x: np.full_like(x, 2.0) * np.ones_like(x) * x + np.zeros_like(x),
    "gradient": lambda x: np.gradient(x**2, 0.5, axis=1),
    "gradient of all": lambda x: np.gradient(x**2, 0.5, 2.0)[0],
    "hsplit": lambda x: np.hsplit(x, [1, 3])[1] ** 2,
    "hsplit of a vector": lambda x: np.hsplit(x[0], 2)[1] ** 2,
    "hstack": lambda x: np.hstack([x, x**2]),
    "hstack of vectors": lambda x: np.hstack([x[0], 1.0, x[1]]) ** 2,
    "hypot": lambda x: np.hypot(x, 2.0),
    "inner": lambda x: np.inner(x, C * x),
    "interp": lambda x: np.interp(x, [0.0, 0.7, 1.2, 1.5], VECTOR),
    "interp of traced values": lambda x: np.interp([-1.0, 0.4, 1.3, 9.0], [0.0, 0.5, 1.0, 2.0], x[0]),
    "kron": lambda x: np.kron(x[:2], x[0]),
    "linalg.cross": lambda x: np.linalg.cross(x[:, :3], C[:, 1:]) ** 2,
    "linalg.diagonal": lambda x: np.linalg.diagonal(np.stack([x, C]), offset=1) ** 2,
    "linalg.matmul": lambda x: np.linalg.matmul(x, C.T) ** 2,
    "linalg.multi_dot": lambda x: np.linalg.multi_dot([x, C.T, x]),
    "linalg.norm": lambda x: np.linalg.norm(x),
    "linalg.norm by rows": lambda x: np.linalg.norm(x, axis=1, keepdims=True),
    "linalg.norm of order 3": lambda x: np.linalg.norm(x, 3, axis=0),
    "linalg.norm of order -1": lambda x: np.linalg.norm(x[0], -1),
    "linalg.norm of order 1": lambda x: np.linalg.norm(x, 1),
    "linalg.norm of order -inf": lambda x: np.linalg.norm(x, -np.inf, axis=(1, 0), keepdims=True),
    "linalg.norm of Frobenius": lambda x: np.linalg.norm(x, "fro"),
    "linalg.trace": lambda x: np.linalg.trace(x**2, offset=1),
    "logaddexp": lambda x: np.logaddexp(x, 0.0),
    "matmul": lambda x: np.matmul(x, x.T),
    "matrix_transpose": lambda x: np.matrix_transpose(x) ** 2,
    "max": lambda x: np.max(x, axis=0, keepdims=True) ** 2,
    "mean": lambda x: np.mean(x**2, 0),
    "mean in another dtype": lambda x: np.mean(x**2, dtype="d"),
    "meshgrid": lambda x: np.meshgrid(x[0], x[:, 0], indexing="ij")[1] ** 2,
    "min": lambda x: np.min(x, (0, 1)) ** 2,
    "moveaxis": lambda x: np.moveaxis(np.stack([x, x**2]), 0, -1),
    "multiply": lambda x: np.multiply(C, x) * x,
    "multiply.accumulate": lambda x: np.multiply.accumulate(x, axis=1),
    "multiply.outer": lambda x: np.multiply.outer(x[0], C[0]) ** 2,
    "multiply.reduce": lambda x: np.multiply.reduce(x, axis=1, keepdims=True),
    "nan_to_num": lambda x: np.nan_to_num(np.where(C > 1, np.nan, x), nan=2.0) ** 2,
    "nanmean": lambda x: np.nanmean(np.where(C > 1, np.nan, x) ** 2),
    "nansum": lambda x: np.nansum(np.where(C > 1, np.nan, x) ** 2, axis=1),
    "outer": lambda x: np.outer(x, x[0]),
    "pad": lambda x: np.pad(x, 1) ** 2,
    "pad unevenly": lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=3.0) ** 2,
    "pad by a pair": lambda x: np.pad(x, (1, 2), mode="constant") ** 2,
    "polyval": lambda x: np.polyval([1.0, -2.0, 3.0], x),
    "polyval of traced coefficients": lambda x: np.polyval(x[0], 0.7),
    "power": lambda x: np.power(x, 2.5) * np.power(2.0, x),
    "prod": lambda x: np.prod(x, axis=1),
    "ptp": lambda x: np.ptp(x, axis=1) ** 2,
    "ravel": lambda x: np.ravel(x) ** 2,
    "real and imag": lambda x: np.real(x * (1 + 2j)) * np.imag(x * 2j),
    "repeat": lambda x: np.repeat(x, [1, 0, 2], axis=0) ** 2,
    "reshape": lambda x: np.reshape(x, (2, -1)) ** 2,
    "roll": lambda x: np.roll(x, 1, axis=1) * x,
    "rot90": lambda x: np.rot90(x) ** 2,
    "rot90 back": lambda x: np.rot90(x, -1, axes=(1, 0)) ** 2,
    "sort": lambda x: np.sort(x, axis=0) * C,
    "sort flat": lambda x: np.sort(x, axis=None, kind="stable") * C.ravel(),
    "split": lambda x: np.split(x, 2, axis=1)[1] ** 2,
    "square and sqrt": lambda x: np.square(x) * np.sqrt(x),
    "squeeze": lambda x: np.squeeze(x[None, ..., None]) ** 2,
    "stack": lambda x: np.stack([x, C, x**2], axis=-1),
    "std": lambda x: np.std(x, 0, ddof=1),
    "sum": lambda x: np.sum(x**2),
    "sum by position": lambda x: np.sum(x**2, 1, None, None, True),
    "swapaxes": lambda x: np.swapaxes(np.stack([x, x**2]), 0, -1),
    "take": lambda x: np.take(x, [[0, 2], [1, 1]], axis=1) ** 2,
    "take of the flat array": lambda x: np.take(x, [5, 0, 5]) ** 2,
    "take_along_axis": lambda x: np.take_along_axis(x, np.argsort(x, axis=0), axis=0) * C,
    "tensordot": lambda x: np.tensordot(x, x**2, axes=[[0, 1], [0, 1]]),
    "tensordot by one": lambda x: np.tensordot(x, x.T, 1),
    "tile": lambda x: np.tile(x, 2) ** 2,
    "trace": lambda x: np.trace(x**2, 1),
    "transpose": lambda x: np.transpose(np.stack([x, x**2]), (2, 0, 1)),
    "trapezoid": lambda x: np.trapezoid(x**2, dx=0.5),
    "trapezoid over points": lambda x: np.trapezoid(C, x, axis=0),
    "tril and triu": lambda x: np.tril(x, 1) * np.triu(x, -1),
    "true_divide": lambda x: np.true_divide(C, x),
    "unstack": lambda x: np.unstack(x, axis=1)[2] ** 2,
    "var": lambda x: np.var(x, axis=1, keepdims=True, ddof=1.5),
    "var by its correction": lambda x: np.var(x, axis=None, correction=1),
    "vdot": lambda x: np.vdot(x, C * x),
    "vecdot": lambda x: np.vecdot(x, x**2),
    "vstack and vsplit": lambda x: np.vsplit(np.vstack([x[0], x]), [1])[1] ** 2,
    "where": lambda x: np.where(x > 1.0, x**2, C * x),
    "where of numbers": lambda x: np.where(np.floor(x), x**2, 0.5),
    "shape, ndim and size": lambda x: x * np.shape(x)[0] * np.ndim(x) * np.size(x, 1),
}  # fmt: skip

WITH_METHODS = {
    "clip": lambda x: x.clip(0.5, 1.5) ** 2,
    "conj": lambda x: x.conj() * x.conjugate(),
    "copy": lambda x: x.copy() ** 2,
    "cumprod": lambda x: x.cumprod(1),
    "cumsum": lambda x: x.cumsum() ** 2,
    "diagonal": lambda x: x.diagonal(1) ** 2,
    "dot": lambda x: x.dot(x.T),
    "flatten": lambda x: x.flatten() ** 2,
    "max": lambda x: x.max(0, None, True) ** 2,
    "mean": lambda x: (x**2).mean(axis=1),
    "min": lambda x: x.min() ** 2,
    "prod": lambda x: x.prod(0),
    "ravel": lambda x: x.ravel() ** 2,
    "real": lambda x: x.real**2,
    "repeat": lambda x: x.repeat(2, 1) ** 2,
    "reshape by sizes": lambda x: x.reshape(2, -1) ** 2,
    "reshape by a shape": lambda x: x.reshape((4, 3), order="C") ** 2,
    "squeeze": lambda x: x.reshape(1, 12).squeeze(0) ** 2,
    "std": lambda x: x.std(1, None, None, 1),
    "sum": lambda x: (x**2).sum(0, None, None, True),
    "swapaxes": lambda x: x.swapaxes(0, 1) ** 2,
    "take": lambda x: x.take([0, 2], 1) ** 2,
    "trace": lambda x: (x**2).trace(),
    "transpose": lambda x: x.transpose() ** 2,
    "transpose by axes": lambda x: x.transpose(1, 0) ** 2,
    "transpose by a tuple": lambda x: x.transpose((1, 0)) ** 2,
    "var": lambda x: x.var(ddof=1, keepdims=True),
}


def differences(f, x, v):
    """Derivative along v on plain NumPy: central differences, Richardson of order 6."""
    table = []
    for k in range(3):
        h = 2.0**-k * 0.004
        table.append((np.asarray(f(x + h * v)) - np.asarray(f(x - h * v))) / (2 * h))
    first = [(4 * b - a) / 3 for a, b in pairwise(table)]
    return (16 * first[1] - first[0]) / 15


def check(f, x):
    """Value and gradient of a weighted sum of f's elements, against NumPy and differences."""
    weights = np.random.default_rng(7).uniform(0.5, 1.5, np.shape(f(x)))

    def loss(x):
        return np.sum(f(x) * weights)

    value, slope = autodiff.value_and_gradient(loss, x)
    np.testing.assert_allclose(value, loss(x), rtol=1e-13)
    assert slope.shape == x.shape
    for v in (np.ones_like(x), C[:, : x.shape[1]], 1 - C[:, : x.shape[1]]):
        np.testing.assert_allclose(np.sum(slope * v), differences(loss, x, v), rtol=2e-8, atol=1e-8)
    for k in np.ndindex(x.shape):
        unit = np.zeros_like(x)
        unit[k] = 1.0
        np.testing.assert_allclose(slope[k], differences(loss, x, unit), rtol=2e-8, atol=1e-8)


@pytest.mark.parametrize("name", WITH_NP)
def test_a_function_of_numpy_has_the_gradient_of_its_differences(name):
    check(WITH_NP[name], X)


@pytest.mark.parametrize("name", WITH_METHODS)
def test_a_method_has_the_gradient_of_its_differences(name):
    check(WITH_METHODS[name], X)
