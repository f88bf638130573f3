"""Random programs: traced values are NumPy's, gradients are those of differences, or it raises."""

from __future__ import annotations

import os

import array_api_compat.numpy as anp
import numpy as np
import pytest

from gradlab import autodiff
from gradlab.autodiff import AliasError

PROGRAMS = int(os.environ.get("GRADLAB_FUZZ_PROGRAMS", "300"))

SMOOTH = {
    "sin": lambda xp, a: xp.sin(a),
    "tanh": lambda xp, a: xp.tanh(a),
    "exp": lambda xp, a: xp.exp(a * 0.3),
    "log": lambda xp, a: xp.log(a * a + 1.5),
    "sqrt": lambda xp, a: xp.sqrt(a * a + 0.5),
    "square": lambda xp, a: a**2 * 0.3,
    "power": lambda xp, a: (a * a + 0.5) ** 1.5 * 0.1,
    "reciprocal": lambda xp, a: 1 / (a * a + 1),
    "negative": lambda xp, a: -a,
    "expm1": lambda xp, a: xp.expm1(a * 0.2),
    "atan": lambda xp, a: xp.atan(a),
    "logaddexp": lambda xp, a: xp.logaddexp(a, -a),
    "hypot": lambda xp, a: xp.hypot(a, xp.ones_like(a)),
    "by NumPy": lambda xp, a: np.float64(1.5) - np.sin(a),
    "base": lambda xp, a: 2.0 ** (a * 0.3),
    "complex": lambda xp, a: xp.real((a + 1j * a * a) * (2 - 1j)) + xp.abs(a + 0.5j),
    "remainder": lambda xp, a: a % 0.7 - xp.floor(a),
    "angle to whole numbers": lambda xp, a: np.arctan2(a * 50, SHORT),
    "angle of whole numbers": lambda xp, a: np.arctan2(SHORT, a * 50),
    "hypot of whole numbers": lambda xp, a: np.hypot(SHORT, a * 50) * 0.02,
    "power of whole numbers": lambda xp, a: np.asarray([200], np.uint8) ** (a * 0.1),
    "power by whole numbers": lambda xp, a: (a * a * 0.1 + 1) ** np.asarray([-128], np.int8),
    "power in single precision": lambda xp, a: np.asarray([1.1], np.float32) ** a,
    "bounds of whole numbers": lambda xp, a: np.clip(SHORT, a * 150, None) * 0.01 + a,
    "remainder by whole numbers": lambda xp, a: np.fmod(a * 150, SHORT) * 0.01,
    "double": lambda xp, a: np.float_power(a * a + 1, np.asarray([3], np.int8)) * 0.2,
}
SHORT = np.asarray([100], np.int8)  # its square does not fit
BINARY = {
    "add": lambda xp, a, b: a + b,
    "subtract": lambda xp, a, b: a - b,
    "multiply": lambda xp, a, b: a * b,
    "divide": lambda xp, a, b: a / (b * b + 1),
    "atan2": lambda xp, a, b: xp.atan2(a, b * b + 1),
    "where": lambda xp, a, b: xp.where(a > b, a * a, b),
    "maximum": lambda xp, a, b: xp.maximum(a, b),
    "minimum": lambda xp, a, b: xp.minimum(a * 0.5, b),
    "by NumPy": lambda xp, a, b: np.multiply(a, np.maximum(b, 0.1)),
    "power": lambda xp, a, b: (a * a + 0.4) ** (b * 0.5),
    "clip": lambda xp, a, b: xp.clip(a, b, b + 0.5),
    "nested": lambda xp, a, b: nested(xp, a, xp.sum(b) * 0.1),
    "checkpoint": lambda xp, a, b: autodiff.checkpoint(lambda s, t: xp.sin(s) * t)(
        a, xp.sum(b) * 0.2
    ),
}
SHAPING = {
    "transpose": lambda xp, a, r: xp.permute_dims(a, tuple(r.permutation(a.ndim).tolist())),
    "flip": lambda xp, a, r: xp.flip(a, axis=int(r.integers(a.ndim))),
    "roll": lambda xp, a, r: xp.roll(a, int(r.integers(-3, 4)), axis=int(r.integers(a.ndim))),
    "flatten": lambda xp, a, r: xp.reshape(a, (-1,)),
    "expand": lambda xp, a, r: xp.expand_dims(a, axis=int(r.integers(a.ndim + 1))),
    "concat": lambda xp, a, r: xp.concat([a, a * 2], axis=int(r.integers(a.ndim))),
    "stack": lambda xp, a, r: xp.stack([a, xp.sin(a)], axis=int(r.integers(a.ndim + 1))),
    "tile": lambda xp, a, r: xp.tile(a, (2,) + (1,) * (a.ndim - 1)),
    "repeat": lambda xp, a, r: xp.repeat(a, 2, axis=int(r.integers(a.ndim))),
    "slice": lambda xp, a, r: a[:: int(r.integers(1, 3)), ...],
    "backward slice": lambda xp, a, r: a[::-1, ...],
    "take": lambda xp, a, r: xp.take(a, xp.asarray(r.integers(0, a.shape[-1], 3)), axis=-1),
    "integers": lambda xp, a, r: a[xp.asarray(r.integers(0, a.shape[0], 3)), ...],
    "mask": lambda xp, a, r: a[a > -0.1],
    "sort": lambda xp, a, r: xp.sort(a, axis=int(r.integers(a.ndim))),
    "sum": lambda xp, a, r: xp.sum(a, axis=int(r.integers(a.ndim)), keepdims=bool(r.integers(2))),
    "mean": lambda xp, a, r: xp.mean(a, axis=int(r.integers(a.ndim)), keepdims=True),
    "max": lambda xp, a, r: xp.max(a, axis=int(r.integers(a.ndim)), keepdims=True),
    "prod": lambda xp, a, r: xp.prod(xp.tanh(a), axis=int(r.integers(a.ndim)), keepdims=True),
    "var": lambda xp, a, r: xp.var(a, axis=int(r.integers(a.ndim)), keepdims=True),
    "cumulative_sum": lambda xp, a, r: xp.cumulative_sum(a, axis=int(r.integers(a.ndim))),
    "cumulative_prod": lambda xp, a, r: xp.cumulative_prod(xp.cos(a), axis=int(r.integers(a.ndim))),
    "diff": lambda xp, a, r: xp.diff(a, axis=-1) if a.shape[-1] > 1 else a,
    "outer": lambda xp, a, r: xp.tensordot(a, xp.sin(a[:1, ...]), axes=0) if a.ndim < 2 else a,
    "gram": lambda xp, a, r: a @ xp.matrix_transpose(a) * 0.2 if a.ndim > 1 else a,
    "triangle": lambda xp, a, r: xp.tril(a) + a * 0.1 if a.ndim > 1 else a,
    "clip": lambda xp, a, r: xp.clip(a, -0.6, 0.8) + a * 0.1,
    "row": lambda xp, a, r: list(a)[-1],
    "last axis first": lambda xp, a, r: xp.moveaxis(a, -1, 0),
    "concat flat": lambda xp, a, r: xp.concat([a, np.ones(a.shape)], axis=None),
    "plain array @": lambda xp, a, r: r.standard_normal((2, a.shape[max(a.ndim - 2, 0)])) @ a,
    "points": lambda xp, a, r: a[tuple(r.integers(0, n, 3) for n in a.shape)],
    "std": lambda xp, a, r: xp.std(xp.concat([a, a * a + 1], axis=0), axis=0),
    "norm": lambda xp, a, r: xp.linalg.vector_norm(a + 2, ord=int(r.integers(2, 5))),
    "min": lambda xp, a, r: xp.min(a, axis=int(r.integers(a.ndim))),
    "filled": lambda xp, a, r: xp.full_like(a, xp.sum(a)),
    "mask of columns": lambda xp, a, r: a[..., r.random(a.shape[-1]) < 0.6],
    "mask of rows": lambda xp, a, r: a[r.random(a.shape[0]) < 0.6, ...],
    "mask beside slices": lambda xp, a, r: a[(*(slice(None),) * (a.ndim - 1), mask_of(a))],
    "initial": lambda xp, a, r: xp.cumulative_sum(a, axis=-1, include_initial=True),
}

# Functions by NumPy's names, with options in its order
SHAPING |= {
    "np.average": lambda xp, a, r: np.average(a, -1, r.uniform(0.5, 1, a.shape[-1])),
    "np.average of all": lambda xp, a, r: np.average(a, weights=a * a + 1),
    "np.clip": lambda xp, a, r: np.clip(a, -0.4, None) if r.integers(2) else a.clip(max=0.4),
    "np.cumsum": lambda xp, a, r: np.cumsum(a, [None, 0, -1][int(r.integers(3))]),
    "np.delete": lambda xp, a, r: np.delete(a, [0] if r.integers(2) else [], axis=-1),
    "np.diff": lambda xp, a, r: np.diff(a, int(r.integers(3)), 0, prepend=0.3, append=a),
    "np.einsum": lambda xp, a, r: np.einsum("i,i->i", a, a) if a.ndim < 2 else a.sum(1, None),
    "np.interp": lambda xp, a, r: np.interp(a, [-1.0, 0.1, 2.0], [0.3, 0.9, -0.5]),
    "np.linalg.norm": lambda xp, a, r: np.linalg.norm(a + 2, None, int(r.integers(a.ndim))),
    "np.pad": lambda xp, a, r: (
        np.pad(a, ((1,), *((0, 1),) * (a.ndim - 1))[: a.ndim])
        if a.ndim == 1
        else np.pad(a, [(int(r.integers(2)), 1)] * a.ndim, constant_values=0.3)
    ),
    "np.sort": lambda xp, a, r: np.sort(a, None) if r.integers(2) else np.sort(a, 0),
    "np.split": lambda xp, a, r: np.array_split(a, [int(r.integers(-4, 4))], -1)[1],
    "np.std": lambda xp, a, r: np.std(np.append(a, [0.3, 1.5]), None, None, None, 1),
    "np.take": lambda xp, a, r: np.take(a, [0, -1, 0], int(r.integers(a.ndim))),
    "np.trapezoid": lambda xp, a, r: np.trapezoid(a, None, 0.4, int(r.integers(a.ndim))),
    "np.where": lambda xp, a, r: np.where(a > 0.1, a, 0.1) + np.fmax(a, 0.2),
}


def mask_of(a):
    """Truth values along the last axis, by the values of a row."""
    return a[(*(0,) * (a.ndim - 1), ...)] > -0.2


def nested(xp, a, b):
    """Gradient of sum(sin(a b)) in a: by its formula on plain arrays."""
    if xp is anp:
        return np.cos(a * b) * b
    return autodiff.grad(lambda t: xp.sum(xp.sin(t * b)))(a)


def copied(xp, a):
    return xp.asarray(a, copy=True)


WRITES = ("set", "add", "row", "view", "mask", "integers", "in place", "back", "overlap", "self")


def write(xp, a, r, how):
    """Change a copy of `a`, through one name or through a view of it."""
    a = a if how == "self" else copied(xp, a)
    k = int(r.integers(a.shape[0]))
    v = a[-1, ...] * 0.5
    if how == "set":
        a[k, ...] = xp.sin(v)
    elif how == "add":
        a[k, ...] += v
    elif how == "mask":
        a[a > 0.3] = 0.1
    elif how == "integers":
        a[xp.asarray(r.integers(0, a.shape[0], 3))] = xp.cos(v) if a.ndim > 1 else 0.3
    elif how == "in place":
        a *= 1.5
        a -= xp.tanh(a)
        a /= 2.0
    elif how == "self":
        a[k, ...] = 0.5  # through a name that others may hold
    else:
        return write_to_view(xp, a, r, how)
    return a


def write_to_view(xp, a, r, how):
    part = a[: max(1, a.shape[0] // 2), ...]
    if how == "row":
        for row in a if a.ndim > 1 else [a]:
            row[0, ...] = 0.25
    elif how == "view":
        part *= 2.0
        if r.integers(2):
            return part
    elif how == "back":
        part *= 1.3
        a[: max(1, a.shape[0] // 2), ...] = part
        return part if r.integers(4) == 0 else a
    else:
        a[1:, ...] = a[:-1, ...]  # overlapping
    return a


def accumulate(xp, a, r):
    """Add to a number that has other names: NumPy's scalars are immutable, its 0-d arrays not."""
    how = int(r.integers(10))
    if how == 0:
        total = xp.asarray(0.3)
    elif how < 4:
        total = a if a.ndim == 0 else xp.linalg.vector_norm(a + 2)  # `a` is in the pool, too
    else:
        total = xp.sum(a) * 0.5 if how % 2 else 0.0 * a[(0,) * a.ndim]
    seen = [total]
    for _ in range(3):
        total += xp.tanh(xp.sum(a)) * 0.3 if r.integers(2) else 0.25
        total *= 0.9
        seen.append(total)
    z = seen[int(r.integers(4))] * seen[-1] + seen[1]
    return xp.log(z * z + 1)  # no program's numbers grow without bounds


def run(xp, x, seed):
    """Run the program of a seed: a few operations on a pool of values, then a sum."""
    r = np.random.default_rng(seed)
    pool = [x]
    for _ in range(int(r.integers(3, 13))):
        a = pool[int(r.integers(len(pool)))]
        kind = int(r.integers(11))
        if a.size and (kind == 10 or (a.ndim == 0 and kind > 7)):
            pool.append(accumulate(xp, a, r))
        elif a.ndim == 0 or kind < 3:
            f = SMOOTH[sorted(SMOOTH)[int(r.integers(len(SMOOTH)))]]
            pool.append(f(xp, a))
        elif kind < 5:
            b = pool[int(r.integers(len(pool)))]
            f = BINARY[sorted(BINARY)[int(r.integers(len(BINARY)))]]
            fits = a.shape == b.shape or 0 in (a.ndim, b.ndim)
            pool.append(f(xp, a, b if fits else xp.sum(b) * 0.1))
        elif kind < 8 and a.size and a.size < 200 and a.ndim < 4:
            f = SHAPING[sorted(SHAPING)[int(r.integers(len(SHAPING)))]]
            pool.append(f(xp, a, r))
        elif a.size:
            pool.append(write(xp, a, r, WRITES[int(r.integers(len(WRITES)))]))
    total = xp.sum(pool[-1]) * 1.0
    for a in pool[:-1]:
        total = total + xp.sum(a) * 0.3
    return total


def differences(f, x, v, step):
    coarse, fine = (
        (np.asarray(f(x + h * v)) - np.asarray(f(x - h * v))) / (2 * h) for h in (step, step / 2)
    )
    return (4 * fine - coarse) / 3


def is_smooth(f, x, v):
    """Whether no kink lies within the steps: differences of two widths agree."""
    wide, narrow = differences(f, x, v, 4e-4), differences(f, x, v, 3e-5)
    return np.all(np.abs(wide - narrow) < 1e-6 * (1 + np.abs(wide)))


@pytest.mark.parametrize("part", range(4))
def test_random_programs_are_right_or_raise(part):
    compared = raised = 0
    for seed in range(part, PROGRAMS, 4):
        x = np.random.default_rng(seed + 10_000).uniform(-1, 1, (3, 2) if seed % 3 else (4,))
        v = np.random.default_rng(seed + 20_000).standard_normal(x.shape)
        plain = lambda x, seed=seed: run(anp, np.array(x), seed)  # noqa: E731
        traced = lambda x, seed=seed: run(x.__array_namespace__(), x, seed)  # noqa: E731
        expected = float(plain(x))
        try:
            value, slope = autodiff.value_and_gradient(traced, x)
        except AliasError:
            raised += 1
            continue
        assert float(value) == pytest.approx(expected, rel=1e-12, abs=1e-12), seed
        if not is_smooth(plain, x, v):
            continue
        got = float(np.sum(slope * v))
        truth = float(differences(plain, x, v, 4e-4))
        assert got == pytest.approx(truth, rel=1e-6, abs=1e-6), seed
        pushed = float(autodiff.jvp(traced, x, v))
        assert pushed == pytest.approx(got, rel=1e-9, abs=1e-9), seed
        grad = lambda x, traced=traced: autodiff.gradient(traced, x)  # noqa: E731
        second = autodiff.jvp(grad, x, v)
        np.testing.assert_allclose(autodiff.vjp(grad, x, v), second, rtol=1e-7, atol=1e-7)
        if is_smooth(grad, x, v):
            truth = differences(grad, x, v, 4e-4)
            np.testing.assert_allclose(second, truth, rtol=1e-5, atol=1e-5, err_msg=str(seed))
        compared += 1
    assert compared > PROGRAMS / 4 * 0.5
    assert raised < PROGRAMS / 4 * 0.4
