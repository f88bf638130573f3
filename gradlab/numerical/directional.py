"""The slope of a black box along one line, with an error bar: the judge of gradients.

f is evaluated at x and at ``x +- t v`` for a geometric ladder of t, from a quarter of the scale
of x down to a few units in its last place, and everything else is arithmetic of numbers on the
host, fetched once a ladder. What a good step is, is not assumed: it is read off the ladder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradlab.backend import Array, Namespace, namespace, nonfinite_expected, to_numpy
from gradlab.numerical.black_box import real_result, stack_results

__all__ = ["Ladder", "climb"]

_COARSEST = 0.25  # of the scale of x
_FINEST = 16  # units in the last place of the scale: the displacement is exact to 1/16 or better
_LEVELS = 24  # about; the ratio of the ladder is a power of two, for exact displacements
_FINE = 6  # levels, the finest, that tell the noise
_CONFIRMING = 3  # levels finer than the one that is believed
_ORDERS = 5  # columns of Richardson's extrapolation
_MARGIN = 2  # times the noise, is what it may do at worst
_SIGNIFICANT = 8  # times its noise, and a difference is no noise
_SAFETY = 4  # of the error bar


@dataclass(frozen=True, slots=True)
class Ladder:
    """Values of f along a line, and what they tell of its slope at the middle.

    Attributes
    ----------
    centre, spread : float
        f at x, and the difference between two calls there.
    steps : list of float
        t of each level, coarsest first; from the finest up to the first where f is not finite.
    slopes : list of float
        Central differences ``(f(x + t v) - f(x - t v)) / 2t``.
    bends : list of float
        ``(f(x + t v) - 2 f(x) + f(x - t v)) / t``: right slope less left slope.
    noise : list of float
        What a value of f is uncertain by, at each level.
    kink : float
        Right slope less left slope as t goes to 0, where that is not 0.
    gap : float
        What coarse and fine steps disagree by, where both are sure: one of them sees noise.
    value, error : float
        Slope at x along v, and its error bar; NaN and infinity where nothing can be said.
    swing : float
        Largest slope, or change of slope, near x, beyond what is noise.
    """

    centre: float
    spread: float
    steps: list[float]
    slopes: list[float]
    bends: list[float]
    noise: list[float]
    kink: float
    gap: float
    value: float
    error: float
    swing: float

    def remainder_order(self, slope: float) -> float:
        """Order in t of ``f(x + t v) - f(x) - t * slope``, 2 where the slope is right.

        Measured on the four finest levels that stand out of the noise; NaN with fewer than two.
        """
        ahead = zip(self.steps, self.slopes, self.bends, strict=True)
        remainders = [abs(t * (d + b / 2 - slope)) for t, d, b in ahead]
        seen = [
            (math.log2(t), math.log2(r))
            for t, r, n in zip(self.steps, remainders, self.noise, strict=True)
            if r > _SIGNIFICANT * n and math.isfinite(r) and r > 0
        ][-4:]
        if len(seen) < 2:  # noqa: PLR2004  (a slope takes two points)
            return math.nan
        (t0, r0), (t1, r1) = seen[0], seen[-1]
        return (r1 - r0) / (t1 - t0)


def climb(
    f: Callable[[Any], Any],
    build: Callable[[Sequence[Array]], Any],
    x: list[Array],
    v: list[Array],
) -> Ladder:
    """Slope of the scalar function `f` at `x` along `v`, with all that was seen on the way.

    Parameters
    ----------
    f : callable
        Maps ``build(leaves)`` to a real scalar. Called about 50 times (in float32, about 40), on
        copies.
    build : callable
        Makes f's argument of leaves.
    x, v : list of arrays
        Leaves of one library, real floating; `v` has about the size of `x`. Where it is 0, x is
        left as it is.

    Returns
    -------
    Ladder

    Notes
    -----
    Each entry of Richardson's table (extrapolation to t = 0 in powers of t**2) is given an error:
    its distance to the entries it is made from, and the last two steps of its column, plus
    round-off, plus the distance to any finer entry of its column that round-off does not explain.
    The last keeps a coarse level from speaking for what it is too coarse to see. The smallest
    error is believed. Round-off is eps of the coarsest precision in sight (of x, of f's dtype, of
    f's values) times f; plus the scatter of the finest levels; plus the difference of two calls at
    x. Two things widen the bar: where f has different slopes to the right and to the left, half of
    what is between them, as what is inside is a subgradient; and where the coarse steps are just
    as sure of another slope, and what parts them is below ``eps**(1/3)`` of f, their distance: it
    may be round-off that looks smooth from near by, as in ``(1 - cos(x)) / x**2``.

    References
    ----------
    Ridders, Accurate computation of F'(x) and F'(x)F''(x), Advances in Engineering Software 4
    (1982).
    """
    xp = namespace(*x)
    eps = max(float(xp.finfo(leaf.dtype).eps) for leaf in x)
    ratio, steps = _steps(eps)

    lines = [(leaf, d, d != 0) for leaf, d in zip(x, v, strict=True)]

    def at(t: float) -> Any:
        return f(build([xp.where(moves, leaf + t * d, leaf) for leaf, d, moves in lines]))

    results = [at(0.0)]
    with nonfinite_expected():
        results += [at(t) for step in steps for t in (step, -step)]
    results.append(at(0.0))
    values, eps = _fetch(xp, results, x[0], eps)
    return _judge(values, steps, ratio, eps)


def _steps(eps: float) -> tuple[int, list[float]]:
    span = round(math.log2(_COARSEST / (_FINEST * eps)))
    octaves = max(1, round(span / _LEVELS))
    return 2**octaves, [_COARSEST * 2.0 ** -(octaves * k) for k in range(span // octaves + 1)]


def _fetch(xp: Namespace, results: list[Any], like: Array, eps: float) -> tuple[list[float], float]:
    """Results as numbers, and the coarsest eps in sight.

    Numbers that are all representable in float32 were computed there, whatever their dtype.
    """
    column = real_result(xp, stack_results(results, like), like)
    values = to_numpy(column)
    with nonfinite_expected():
        is_single = bool((values.astype("float32") == values).all())
    single = float(xp.finfo(xp.float32).eps) if is_single else 0.0
    return values.tolist(), max(eps, float(xp.finfo(column.dtype).eps), single)


def _judge(values: list[float], steps: list[float], ratio: int, eps: float) -> Ladder:
    centre, spread = values[0], abs(values[-1] - values[0])
    levels = [(t, a, b) for t, a, b in zip(steps, values[1:-1:2], values[2:-1:2], strict=True)]
    finite = len(levels)
    while finite and all(map(math.isfinite, (centre, *levels[finite - 1]))):
        finite -= 1
    levels = levels[finite:]
    steps = [t for t, _, _ in levels]
    slopes = [(a / 2 - b / 2) / t for t, a, b in levels]
    bends = [((a - centre) + (b - centre)) / t for t, a, b in levels]
    sizes = [max(abs(a), abs(b)) for _, a, b in levels]
    scatter = max(_scatter(steps, slopes), _scatter(steps, bends))
    noise = [eps * size + scatter + spread for size in sizes]
    variation = max((max(abs(a - centre), abs(b - centre)) for _, a, b in levels), default=0.0)
    kink = _kink(steps, bends, noise, ratio)
    swing = _swing(steps, slopes, bends, noise) if not kink else 0.0
    value, error, gap = math.nan, math.inf, 0.0
    if len(levels) > _FINE and scatter + spread <= variation / _SIGNIFICANT:
        doubtful = eps ** (1 / 3) * max(sizes)
        value, error, gap = _extrapolate(steps, slopes, noise, ratio, doubtful)
        error = _SAFETY * error + abs(kink) / 2 + gap
    return Ladder(centre, spread, steps, slopes, bends, noise, kink, gap, value, error, swing)


def _scatter(steps: list[float], slopes: list[float]) -> float:
    """How far the values of the finest levels are from a straight line."""
    fine = list(zip(steps, slopes, strict=True))[-_FINE:]
    return max((abs(d - fine[0][1]) * t for t, d in fine), default=math.inf)


def _extrapolate(
    steps: list[float], slopes: list[float], noise: list[float], ratio: int, doubtful: float
) -> tuple[float, float, float]:
    """Slope at t = 0, its error, and how far coarse and fine steps disagree beyond theirs."""
    table: list[list[float]] = []
    for slope in slopes:
        row = [slope]
        for j, coarser in enumerate(table[-1][:_ORDERS] if table else [], start=1):
            row.append(row[-1] + (row[-1] - coarser) / (ratio ** (2 * j) - 1))
        table.append(row)
    fine = coarse = math.nan, math.inf
    for k in range(2, len(steps) - _CONFIRMING):
        for j, first in enumerate(table[k - 2]):
            second, value = table[k - 1][j], table[k][j]
            truncation = max(
                abs(value - second),
                abs(second - first),
                abs(value - table[k][max(j - 1, 0)]),
            )
            off = [abs(row[j] - value) for row in table[k + 1 :]]
            finer = list(zip(off, steps[k + 1 :], noise[k + 1 :], strict=True))
            error = truncation + _MARGIN * noise[k] / steps[k]
            unexplained = max(0.0, *(d - _MARGIN * n / t for d, t, n in finer))
            if error + unexplained < fine[1]:
                fine = value, error + unexplained
            scatter = max(d * t for d, t, _ in finer)
            error += _MARGIN * scatter / steps[k]
            if scatter <= doubtful and error < coarse[1]:
                coarse = value, error
    gap = abs(fine[0] - coarse[0])
    return *fine, gap if gap > fine[1] + coarse[1] else 0.0


def _kink(steps: list[float], bends: list[float], noise: list[float], ratio: int) -> float:
    """Right slope less left slope at the finest level where it stands out, if it does not shrink.

    Of a smooth f it shrinks in proportion to t: over two levels, to a quarter at the most.
    """
    for i in range(len(steps) - 1, 1, -1):
        if abs(bends[i]) > _SIGNIFICANT * 4 * noise[i] / steps[i]:
            return bends[i] if abs(bends[i]) > 2 * abs(bends[i - 2]) / ratio**2 else 0.0
    return 0.0


def _swing(
    steps: list[float], slopes: list[float], bends: list[float], noise: list[float]
) -> float:
    """Of the finer three quarters: what is far away may be another world, past a pole, say."""
    near = list(zip(steps, slopes, bends, noise, strict=True))[len(steps) // 4 :]
    sizes = (max(abs(d), abs(b)) - 4 * _SIGNIFICANT * n / t for t, d, b, n in near)
    return max(0.0, *sizes, 0.0)
