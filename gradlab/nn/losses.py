"""What networks are trained on: each loss with its cotangent, and its change under changes.

All take scores `z` and targets `rows` of one shape, (n, outputs) or (outputs,), and are the mean
over the samples.
"""

from __future__ import annotations

import math
from typing import Any

from gradlab.backend import Array, Namespace, namespace, nonfinite_expected, row_maxima
from gradlab.nn import functions

__all__ = ["LOSSES", "CrossEntropy", "MeanSquaredError"]


class CrossEntropy:
    """Cross-entropy of the softmax of the scores; targets are rows of probabilities."""

    of_rows = staticmethod(functions.cross_entropy_of_rows)
    value = staticmethod(functions.cross_entropy_of)

    @staticmethod
    def cotangent(xp: Namespace, rows: Array, extra: Any) -> Array:
        return functions.logits_cotangent(1.0, rows, extra)

    @staticmethod
    def baseline(xp: Namespace, rows: Array) -> Array:
        log_classes = math.log(rows.shape[-1])
        return xp.asarray(log_classes, dtype=rows.dtype, device=rows.device)

    predict = staticmethod(functions.softmax)

    @staticmethod
    def state(xp: Namespace, z: Array, rows: Array) -> tuple[Array, ...]:
        """What `change` needs of scores and targets, all of shape (outputs, n)."""
        log_p = z - row_maxima(z)
        log_p = log_p - xp.log(xp.sum(xp.exp(log_p), axis=-1, keepdims=True))
        return log_p.mT, xp.exp(log_p).mT, rows.mT

    @staticmethod
    def change(
        xp: Namespace, state: tuple[Array, ...], dz: Array, *, is_large: bool
    ) -> tuple[Array, Array]:
        """Change of the losses of samples where their scores change, and the size of its terms.

        ``log(sum_k p_k exp(dz_k)) - sum_k t_k dz_k``, p being the softmax; the outputs are the
        first axis. Large changes may not overflow, small ones lose nothing to rounding.
        """
        log_p, p, rows = state
        with nonfinite_expected():  # where it is not finite, it is not used
            excess = xp.sum(p * xp.expm1(dz), axis=0)
        if is_large:
            moved = log_p + dz
            top = xp.max(moved, axis=0)
            log_sum = xp.log(xp.sum(xp.exp(moved - top), axis=0)) + top
            is_small = xp.abs(excess) < 0.5  # noqa: PLR2004  (else the logarithm loses nothing)
            small = xp.log1p(xp.where(is_small, excess, xp.zeros_like(excess)))
            log_sum = xp.where(is_small, small, log_sum)
        else:
            log_sum = xp.log1p(excess)
        return xp.sum(rows, axis=0) * log_sum - xp.sum(rows * dz, axis=0), xp.abs(dz)


class MeanSquaredError:
    """Mean over all elements of ``(z - t)**2``; targets are any real rows."""

    @staticmethod
    def of_rows(z: Array, rows: Array) -> Array:
        xp = namespace(z, rows)
        return xp.asarray(xp.mean((z - rows) ** 2))

    @staticmethod
    def value(xp: Namespace, z: Array, rows: Array) -> tuple[Array, Any]:
        off = z - rows
        return xp.asarray(xp.mean(off * off)), off

    @staticmethod
    def cotangent(xp: Namespace, rows: Array, extra: Any) -> Array:
        return extra * (2 / math.prod(extra.shape))

    @staticmethod
    def baseline(xp: Namespace, rows: Array) -> Array:
        variance = xp.mean((rows - xp.mean(rows, axis=0)) ** 2)
        square = xp.mean(rows**2)
        eps = float(xp.finfo(rows.dtype).eps)
        return xp.asarray(xp.where(variance > eps * square, variance, square))

    @staticmethod
    def predict(z: Array) -> Array:
        return z

    @staticmethod
    def state(xp: Namespace, z: Array, rows: Array) -> tuple[Array, ...]:
        """What `change` needs of scores and targets, all of shape (outputs, n)."""
        return ((z - rows).mT,)

    @staticmethod
    def change(
        xp: Namespace, state: tuple[Array, ...], dz: Array, *, is_large: bool
    ) -> tuple[Array, Array]:
        """Change of the losses of samples where their scores change, and the size of its terms."""
        (off,) = state
        terms = dz * (2 * off + dz)
        return xp.mean(terms, axis=0), xp.abs(dz) * (2 * xp.abs(off) + xp.abs(dz))


LOSSES: dict[str, Any] = {"cross_entropy": CrossEntropy, "mean_squared_error": MeanSquaredError}
