"""Expressions written once, with the standard's names: name -> (function of xp and x, point)."""

from __future__ import annotations

from itertools import product

import numpy as np

__all__ = ["EXPRESSIONS", "KINKS"]

_rng = np.random.default_rng(0)


def samples(low, high, *shape):
    return _rng.uniform(low, high, shape)


X = np.asarray([[0.31, -0.72, 1.13, -1.21], [0.54, 0.93, -0.45, 0.12], [-0.98, 0.67, 0.22, -0.11]])
P = np.abs(X) + 0.2  # positive, all different
W, B = samples(-1, 1, 4, 5), samples(-1, 1, 5)
V = samples(-1, 1, 5, 2)
T = np.eye(5)[[1, 4, 0]]

UNARY = {
    "abs": X, "acos": X / 2, "acosh": P + 1, "asin": X / 2, "asinh": X, "atan": X, "atanh": X / 2,
    "cos": X, "cosh": X, "exp": X, "expm1": X, "log": P, "log10": P, "log1p": P, "log2": P,
    "negative": X, "positive": X, "reciprocal": P, "sin": X, "sinh": X, "sqrt": P, "square": X,
    "tan": X, "tanh": X,
}  # fmt: skip
BINARY = (
    *("add", "atan2", "copysign", "divide", "hypot", "logaddexp", "maximum", "minimum"),
    *("multiply", "pow", "remainder", "subtract"),
)
OTHERS = {
    "its like": samples(0.4, 1.4, 3, 4),
    "a row": samples(0.4, 1.4, 4),
    "a column": samples(0.4, 1.4, 3, 1),
    "a number": np.asarray(0.83),
    "a stack": samples(0.4, 1.4, 2, 1, 4),
}
REDUCTIONS = ("max", "mean", "min", "prod", "std", "sum", "var")
SMOOTH = {
    "sin": lambda xp, x: xp.sin(x),
    "exp": lambda xp, x: xp.exp(-x),
    "tanh": lambda xp, x: xp.tanh(x),
    "root": lambda xp, x: xp.sqrt(1 + x * x),
    "log": lambda xp, x: xp.log(2 + xp.cos(x)),
    "ratio": lambda xp, x: x / (1 + x * x),
    "cube": lambda xp, x: x**3,
}


def sigmoid(xp, x):
    return 1 / (1 + xp.exp(-x))


def softmax(xp, x):
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def log_softmax(xp, x):
    x = x - xp.max(x, axis=-1, keepdims=True)
    return x - xp.log(xp.sum(xp.exp(x), axis=-1, keepdims=True))


def normalized(xp, x, axis):
    centred = x - xp.mean(x, axis=axis, keepdims=True)
    return centred / xp.sqrt(xp.mean(centred * centred, axis=axis, keepdims=True) + 1e-3)


def recurrent(xp, x):
    state = xp.zeros(5, dtype=x.dtype)
    for k in range(x.shape[0]):
        state = xp.tanh(xp.matmul(x[k, :], xp.asarray(W)) + 0.5 * state)
    return state


def attention(xp, x):
    scores = xp.matmul(x, xp.matrix_transpose(x)) / 2.0
    return xp.matmul(softmax(xp, scores), x)


def assigned(x, write):
    y = 1.0 * x
    write(y, x)
    return y * x


def row_written(y, x):
    y[0, :] = x[1, :] ** 2


def part_scaled(y, x):
    y[1:, :2] *= x[1:, 2:]


def column_added(y, x):
    y[:, 0] += y[:, 1] * 2.0


def loop_written(y, x):
    for k in range(1, y.shape[0]):
        y[k, :] = y[k, :] + 0.5 * y[k - 1, :]


def mask_written(y, x):
    y[x > 0] = 0.25


EXPRESSIONS = {
    **{f"{n}": (lambda xp, x, n=n: getattr(xp, n)(x), x) for n, x in UNARY.items()},
    **{
        f"{name} with {what} {side}": (
            (lambda xp, x, n=name, c=c: getattr(xp, n)(x, xp.asarray(c)))
            if side == "second" else
            (lambda xp, x, n=name, c=c: getattr(xp, n)(xp.asarray(c), x)),
            P)
        for name, (what, c), side in product(BINARY, OTHERS.items(), ("first", "second"))
        if (name, side) != ("copysign", "first")  # without a derivative in the sign
    },
    **{
        f"{name} of x twice": (lambda xp, x, n=name: getattr(xp, n)(
            x * x, xp.roll(x, 1, axis=0) + 0.1), P)
        for name in BINARY
    },
    **{
        f"{name} over {axis} keepdims={keepdims}": (
            lambda xp, x, n=name, o={"axis": axis, "keepdims": keepdims}: getattr(xp, n)(x, **o),
            X)
        for name, axis, keepdims in product(REDUCTIONS, (None, 0, -1), (False, True))
    },
    **{
        f"{a} of {b}": (lambda xp, x, f=SMOOTH[a], g=SMOOTH[b]: f(xp, g(xp, x)), X)
        for a, b in product(SMOOTH, SMOOTH)
    },
    # --- manipulations and indexing
    "std with a correction": (lambda xp, x: xp.std(x, axis=1, correction=1), X),
    "var with a correction": (lambda xp, x: xp.var(x, correction=1.0), X),
    "broadcast_to": (lambda xp, x: xp.broadcast_to(x, (2, 3, 4)), X),
    "clip": (lambda xp, x: xp.clip(x, -0.5, 0.6), X),
    "concat": (lambda xp, x: xp.concat([x, x * x, x[:1, :]], axis=0), X),
    "cumulative_sum": (lambda xp, x: xp.cumulative_sum(x, axis=1), X),
    "cumulative_prod": (lambda xp, x: xp.cumulative_prod(x, axis=0), X),
    "diff": (lambda xp, x: xp.diff(x, axis=1), X),
    "diff twice": (lambda xp, x: xp.diff(x, axis=1, n=2), X),
    "expand_dims": (lambda xp, x: xp.expand_dims(x, axis=1) * x, X),
    "flip": (lambda xp, x: xp.flip(x, axis=0) * x, X),
    "matrix_transpose": (lambda xp, x: xp.matrix_transpose(x), X),
    "meshgrid": (lambda xp, x: xp.meshgrid(x[0, :], x[:, 0])[0] * 2, X),
    "moveaxis": (lambda xp, x: xp.moveaxis(xp.stack([x, x * x]), 0, -1), X),
    "permute_dims": (lambda xp, x: xp.permute_dims(xp.stack([x, x * x]), (2, 0, 1)), X),
    "repeat": (lambda xp, x: xp.repeat(x, 3, axis=1), X),
    "reshape": (lambda xp, x: xp.reshape(x, (2, 6)) * 1.5, X),
    "roll": (lambda xp, x: xp.roll(x, 1, axis=0) * x, X),
    "roll over two axes": (lambda xp, x: xp.roll(x, (1, -2), axis=(0, 1)) * x, X),
    "sort": (lambda xp, x: xp.sort(x[0, :]), X),
    "sort of columns": (lambda xp, x: xp.sort(x, axis=0), X),
    "sort descending": (lambda xp, x: xp.sort(x, axis=1, descending=True), X),
    "squeeze": (lambda xp, x: xp.squeeze(x[:1, :], axis=0), X),
    "stack": (lambda xp, x: xp.stack([x, x**2], axis=1), X),
    "take": (lambda xp, x: xp.take(x, xp.asarray([0, 2, 2]), axis=1), X),
    "take_along_axis": (
        lambda xp, x: xp.take_along_axis(x, xp.asarray([[0, 3], [1, 1], [2, 0]]), axis=1), X),
    "tile": (lambda xp, x: xp.tile(x, (2, 3)), X),
    "tril": (lambda xp, x: xp.tril(x, k=1), X),
    "triu": (lambda xp, x: xp.triu(x), X),
    "unstack": (lambda xp, x: xp.unstack(x, axis=1)[1], X),
    "where": (lambda xp, x: xp.where(x > 0, x * x, -x), X),
    "where of three": (lambda xp, x: xp.where(x < -0.5, x**3, xp.where(x > 0.5, xp.exp(x), x)), X),
    "a slice": (lambda xp, x: x[1:, ::2], X),
    "a slice back": (lambda xp, x: xp.flip(x[:, 1:3], axis=1) * x[:, :2], X),
    "an element": (lambda xp, x: x[1, 2] * x, X),
    "None and ellipsis": (lambda xp, x: x[None, ..., -1] * x[2, :1], X),
    "integer indices": (lambda xp, x: x[xp.asarray([0, 0, 2]), :], X),
    "pairs of indices": (lambda xp, x: x[xp.asarray([0, 0, 2]), xp.asarray([1, 1, 3])], X),
    "a mask": (lambda xp, x: x[x > -0.3], X),
    # --- products
    "matmul": (lambda xp, x: xp.matmul(x, xp.asarray(W)), X),
    "matmul from the left": (lambda xp, x: xp.matmul(xp.asarray(W.T), xp.matrix_transpose(x)), X),
    "Gram matrix": (lambda xp, x: xp.matmul(x, xp.matrix_transpose(x)), X),
    "matmul of vectors": (lambda xp, x: xp.matmul(x[0, :], x[1, :]), X),
    "matmul by a vector": (lambda xp, x: xp.matmul(x, x[2, :]), X),
    "matmul of stacks": (
        lambda xp, x: xp.matmul(xp.stack([x, x * x]), xp.matrix_transpose(x)), X),
    "tensordot": (lambda xp, x: xp.tensordot(x, x * x, axes=([0], [0])), X),
    "tensordot over two axes": (lambda xp, x: xp.tensordot(x, x * x, axes=2), X),
    "tensordot outer": (lambda xp, x: xp.tensordot(x[0, :], x[:, 1], axes=0), X),
    "vecdot": (lambda xp, x: xp.vecdot(x, x * x, axis=-1), X),
    "outer": (lambda xp, x: xp.linalg.outer(x[0, :], x[:, 1]), X),
    "vector_norm": (lambda xp, x: xp.linalg.vector_norm(x), X),
    "vector_norm of rows": (lambda xp, x: xp.linalg.vector_norm(x, axis=1), X),
    "vector_norm of order 3": (lambda xp, x: xp.linalg.vector_norm(x[:, 0], ord=3), X),
    "quadratic form": (
        lambda xp, x: xp.sum(xp.matmul(x[0, :], xp.asarray(W[:, :4])) * x[0, :]), X),
    "power of a matrix": (lambda xp, x: xp.matmul(xp.matmul(x[:, :3], x[:, :3]), x[:, :3]), X),
    # --- networks, losses
    "a linear layer": (lambda xp, x: xp.matmul(x, xp.asarray(W)) + xp.asarray(B), X),
    "a sigmoid layer": (lambda xp, x: sigmoid(xp, xp.matmul(x, xp.asarray(W))), X),
    "two layers": (
        lambda xp, x: xp.matmul(xp.tanh(xp.matmul(x, xp.asarray(W)) + xp.asarray(B)),
                                xp.asarray(V)), X),
    "a layer by its weights": (lambda xp, w: sigmoid(xp, xp.matmul(xp.asarray(X), w)), W),
    "relu by maximum": (lambda xp, x: xp.maximum(xp.matmul(x, xp.asarray(W)), xp.asarray(0.0)), X),
    "leaky relu": (lambda xp, x: xp.where(x > 0, x, 0.1 * x), X),
    "elu": (lambda xp, x: xp.where(x > 0, x, xp.expm1(x)), X),
    "swish": (lambda xp, x: x * sigmoid(xp, x), X),
    "softplus": (lambda xp, x: xp.logaddexp(x, xp.zeros_like(x)), X),
    "softmax": (softmax, X),
    "log_softmax": (log_softmax, X),
    "layer normalization": (lambda xp, x: normalized(xp, x, -1), X),
    "batch normalization": (lambda xp, x: normalized(xp, x, 0), X),
    "attention": (attention, X),
    "a recurrent network": (recurrent, X),
    "a convolution": (lambda xp, x: x[:, :-2] * 0.3 - x[:, 1:-1] + 0.7 * x[:, 2:] * x[:, :-2], X),
    "mean pooling": (lambda xp, x: xp.mean(xp.reshape(x, (3, 2, 2)), axis=-1), X),
    "max pooling": (lambda xp, x: xp.max(xp.reshape(x, (3, 2, 2)), axis=-1), X),
    "mean squared error": (
        lambda xp, w: xp.mean((xp.matmul(xp.asarray(X), w) - xp.asarray(T)) ** 2), W),
    "mean absolute error": (lambda xp, x: xp.mean(xp.abs(x - 0.05)), X),
    "Huber's loss": (
        lambda xp, x: xp.where(xp.abs(x) < 0.6, x * x / 2, 0.6 * (xp.abs(x) - 0.3)), X),
    "cross-entropy": (
        lambda xp, w: -xp.mean(xp.sum(log_softmax(xp, xp.matmul(xp.asarray(X), w)) * xp.asarray(T),
                                      axis=-1)), W),
    "binary cross-entropy": (
        lambda xp, x: -xp.log(sigmoid(xp, x)) - 0.3 * xp.log(1 - sigmoid(xp, x)), X),
    "hinge loss": (lambda xp, x: xp.mean(xp.maximum(1 - x, xp.zeros_like(x))), X),
    "focal loss": (lambda xp, x: -((1 - sigmoid(xp, x)) ** 2) * xp.log(sigmoid(xp, x)), X),
    "Kullback-Leibler divergence": (
        lambda xp, x: xp.sum(softmax(xp, x) * (log_softmax(xp, x) - xp.log(xp.asarray(P)))), X),
    "Gaussian likelihood": (
        lambda xp, x: xp.sum(x[0, :] + (x[1, :] - 0.2) ** 2 * xp.exp(-2 * x[0, :]) / 2), X),
    "Poisson likelihood": (lambda xp, x: xp.sum(xp.exp(x) - 2 * x), X),
    "cosine similarity": (
        lambda xp, x: xp.sum(x[0, :] * x[1, :])
        / xp.sqrt(xp.sum(x[0, :] ** 2) * xp.sum(x[1, :] ** 2)), X),
    "ridge penalty": (lambda xp, w: xp.sum(xp.matmul(xp.asarray(X), w) ** 2) + xp.sum(w * w), W),
    "log-sum-exp": (lambda xp, x: xp.log(xp.sum(xp.exp(x), axis=-1)), X),
    # --- functions that optimizers are tried on
    "Rosenbrock": (
        lambda xp, x: xp.sum((1 - x[:, :-1]) ** 2 + 100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2), X),
    "Rastrigin": (lambda xp, x: xp.sum(x * x - 10 * xp.cos(6.283185 * x) + 10), X),
    "Styblinski-Tang": (lambda xp, x: xp.sum(x**4 - 16 * x**2 + 5 * x) / 2, X),
    "Ackley": (
        lambda xp, x: -20 * xp.exp(-0.2 * xp.sqrt(xp.mean(x * x)))
        - xp.exp(xp.mean(xp.cos(6.283185 * x))), X),
    "Himmelblau": (
        lambda xp, x: (x[0, 0] ** 2 + x[0, 1] - 11) ** 2 + (x[0, 0] + x[0, 1] ** 2 - 7) ** 2, X),
    "Beale": (
        lambda xp, x: (1.5 - x[0, 0] + x[0, 0] * x[0, 1]) ** 2
        + (2.25 - x[0, 0] + x[0, 0] * x[0, 1] ** 2) ** 2, X),
    "Griewank": (lambda xp, x: xp.sum(x * x) / 4000 - xp.prod(xp.cos(x)) + 1, X),
    "Booth": (
        lambda xp, x: (x[0, 0] + 2 * x[0, 1] - 7) ** 2 + (2 * x[0, 0] + x[0, 1] - 5) ** 2, X),
    # --- assignments
    "a row written": (lambda xp, x: assigned(x, row_written), X),
    "a part scaled in place": (lambda xp, x: assigned(x, part_scaled), X),
    "a column added to": (lambda xp, x: assigned(x, column_added), X),
    "rows written in a loop": (lambda xp, x: assigned(x, loop_written), X),
    "a mask written": (lambda xp, x: assigned(x, mask_written), X),
}  # fmt: skip


def norm(xp, x, **options):
    return xp.linalg.vector_norm(x, **options)


# Where a function has no derivative, or an unusual one: point, and what gradlab gives there
KINKS = {
    "max of a tie": (lambda xp, x: xp.max(x), [1.0, 1.0, 0.0], [0.5, 0.5, 0.0]),
    "min of a tie": (lambda xp, x: xp.min(x), [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]),
    "max of rows with ties": (
        lambda xp, x: xp.sum(xp.max(xp.reshape(x, (2, 2)), axis=1)), [2.0, 2.0, 3.0, 1.0],
        [0.5, 0.5, 1.0, 0.0]),
    "maximum of a tie": (lambda xp, x: xp.sum(xp.maximum(x, xp.zeros_like(x))), [0.0], [0.5]),
    "minimum of a tie": (lambda xp, x: xp.sum(xp.minimum(x, xp.ones_like(x))), [1.0], [0.5]),
    "maximum of x and itself": (lambda xp, x: xp.sum(xp.maximum(x, x)), [1.0], [1.0]),
    "abs at 0": (lambda xp, x: xp.sum(xp.abs(x)), [0.0, -1.0], [0.0, -1.0]),
    "clip at its bounds": (
        lambda xp, x: xp.sum(xp.clip(x, 0.0, 1.0)), [0.0, 1.0, 2.0], [1.0, 1.0, 0.0]),
    "sqrt at 0": (lambda xp, x: xp.sum(xp.sqrt(x)), [0.0], [np.inf]),
    "log at 0": (lambda xp, x: xp.sum(xp.log(x)), [0.0], [np.inf]),
    "reciprocal at 0": (lambda xp, x: xp.sum(1 / x), [0.0], [-np.inf]),
    "norm at 0": (norm, [0.0, 0.0], [0.0, 0.0]),
    "norm of order 1 at 0": (
        lambda xp, x: norm(xp, x, ord=1), [0.0, -2.0], [0.0, -1.0]),
    "norm of order inf with a tie": (
        lambda xp, x: norm(xp, x, ord=float("inf")), [1.0, -1.0], [0.5, -0.5]),
    "hypot at 0": (lambda xp, x: xp.hypot(x[0], x[1]), [0.0, 0.0], [0.0, 0.0]),
    "std of equal values": (lambda xp, x: xp.std(x), [2.0, 2.0], [0.0, 0.0]),
    "var of equal values": (lambda xp, x: xp.var(x), [2.0, 2.0], [0.0, 0.0]),
    "prod with one zero": (lambda xp, x: xp.prod(x), [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
    "prod with two zeros": (lambda xp, x: xp.prod(x), [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
    "cumulative_prod with a zero": (
        lambda xp, x: xp.sum(xp.cumulative_prod(x, axis=0)), [2.0, 0.0, 3.0], [1.0, 8.0, 0.0]),
    "x**0 at 0": (lambda xp, x: xp.sum(x**0), [0.0], [0.0]),
    "x**0 at 0, of arrays": (
        lambda xp, x: xp.sum(xp.pow(x, xp.zeros_like(x))), [0.0], [0.0]),
    "x**1 at 0": (lambda xp, x: xp.sum(x**1), [0.0], [1.0]),
    "x**0.5 at 0": (lambda xp, x: xp.sum(x**0.5), [0.0], [np.inf]),
    "0**y by y": (
        lambda xp, x: xp.sum(xp.pow(xp.zeros_like(x), x)), [2.0, 0.0], [0.0, 0.0]),
    "x**2 below 0, of arrays": (
        lambda xp, x: xp.sum(xp.pow(x, 2 * xp.ones_like(x))), [-3.0], [-6.0]),
    "where between branches": (
        lambda xp, x: xp.sum(xp.where(x > 0, x * x, -x)), [0.0], [-1.0]),
    "a branch of NaN that is not taken": (
        lambda xp, x: xp.sum(xp.where(x > 0, xp.sqrt(x), xp.zeros_like(x))), [-1.0], [np.nan]),
    "sort with ties": (
        lambda xp, x: xp.sum(xp.sort(x) * xp.asarray([1.0, 2.0, 4.0])), [1.0, 1.0, 0.0],
        [2.0, 4.0, 1.0]),
    "sort descending with ties": (
        lambda xp, x: xp.sum(xp.sort(x, descending=True) * xp.asarray([1.0, 2.0, 4.0])),
        [1.0, 1.0, 0.0], [1.0, 2.0, 4.0]),
    "sign at 0": (lambda xp, x: xp.sum(xp.sign(x) * x), [0.0, -2.0], [0.0, -1.0]),
    "floor at a step": (lambda xp, x: xp.sum(xp.floor(x) * x), [1.0], [1.0]),
    "remainder at a step": (lambda xp, x: xp.sum(xp.remainder(x, 1.0)), [2.0], [1.0]),
    "logaddexp of two -inf": (
        lambda xp, x: xp.logaddexp(x[0], x[1]), [-np.inf, -np.inf], [0.5, 0.5]),
    "atan2 at 0": (lambda xp, x: xp.atan2(x[0], x[1]), [0.0, 0.0], [np.nan, np.nan]),
    "x / x at 0": (lambda xp, x: xp.sum(x / x), [0.0], [np.nan]),
    "asin at 1": (lambda xp, x: xp.sum(xp.asin(x)), [1.0], [np.inf]),
    "tanh far out": (lambda xp, x: xp.sum(xp.tanh(x)), [400.0], [0.0]),
    "logistic function far out": (
        lambda xp, x: xp.sum(1 / (1 + xp.exp(-x))), [800.0], [0.0]),
    "copysign at 0": (
        lambda xp, x: xp.sum(xp.copysign(x, -xp.ones_like(x))), [0.0, 2.0], [-1.0, -1.0]),
    "an index twice": (lambda xp, x: xp.sum(x[xp.asarray([0, 0, 1])]), [1.0, 2.0], [2.0, 1.0]),
}  # fmt: skip
