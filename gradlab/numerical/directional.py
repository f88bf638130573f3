"""The slope of a black box along one line, with an error bar: the judge of gradients.

f is evaluated at x and at ``x +- t v`` for a geometric ladder of t, from a quarter of the scale
of x down to a few units in its last place, and everything else is arithmetic of numbers on the
host, fetched once a ladder. What a good step is, is not assumed: it is read off the ladder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from gradlab.backend import Array, Namespace, namespace, nonfinite_expected, owned, to_numpy
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
_SURE = 64  # times its rounding, and it is none
_AGREEING = 0.1  # of their distance to another, that slopes of three levels may differ by
_NARROW = 2e-3  # width in units of x of a step that half precision makes
_SINGLE = 2.0**-21  # rounding in single precision, generously, in units of f
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

    @property
    def is_constant(self) -> bool:
        """Whether f is bit-identical along the whole line."""
        return bool(self.steps) and not (any(self.slopes) or any(self.bends) or self.spread)

    @property
    def is_flat(self) -> bool:
        """Whether f is bit-identical over the finest steps."""
        fine = (*self.slopes[-_CONFIRMING:], *self.bends[-_CONFIRMING:])
        return bool(self.steps) and not (any(fine) or self.spread)

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


@dataclass(frozen=True, slots=True)
class _Limit:
    """A slope as t goes to 0, from a level and coarser ones.

    `error` counts what finer levels say beyond their noise, `by_scatter` takes all of that,
    `scatter`, for noise.
    """

    value: float
    error: float
    by_scatter: float
    scatter: float
    level: int


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
    x; plus, where the finest levels are flat between steps up and down, the height of these, and
    what all changes are multiples of. Three things widen the bar. Where f has different slopes to
    the right and to the left, at x or nearer than noise lets steps be, half of what is between
    them, as what is inside is a subgradient: what of the bends does not shrink with t is
    extrapolated as the slopes are. Where coarse steps are just as sure of another slope, and what
    parts them may be round-off that looks smooth from near by, as in ``(1 - cos(x)) / x**2``, or a
    part in single precision, their distance. Where
    finer levels agree on another slope too well to be noise, twice the distance to that.

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
        return owned(f(build([xp.where(moves, leaf + t * d, leaf) for leaf, d, moves in lines])))

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
    changes = [max(abs(a - centre), abs(b - centre)) for _, a, b in levels]
    tread = _tread(levels, centre)
    if tread > _SURE * eps * abs(centre):
        noise = [max(n, tread) for n in noise]
    if not any(changes[-_CONFIRMING:]):
        unit = _grain(value - centre for value in values)
        noise = [max(n, unit) for n in noise]
    value, error, gap, kink = math.nan, math.inf, 0.0, 0.0
    if len(levels) > _FINE and scatter + spread <= max(changes) / _SIGNIFICANT:
        limits = _extrapolate(steps, slopes, noise, ratio)
        best = min(limits, key=lambda one: one.error)
        value, error = best.value, best.error
        finer = list(zip(steps, slopes, sizes, strict=True))[best.level + 1 :]
        gap = max(_gap(limits, best, eps, max(sizes)), _contradiction(best, finer, eps))
        jump = _jump(steps, bends, noise, ratio)
        kink = jump.value if abs(jump.value) > jump.error else 0.0
        error = _SAFETY * error + gap
        error += abs(kink) / 2 + jump.error if kink else 0.0
    swing = 0.0 if kink or gap else _swing(steps, slopes, bends, noise)
    return Ladder(centre, spread, steps, slopes, bends, noise, kink, gap, value, error, swing)


def _grain(changes: Iterable[float]) -> float:
    """Largest power of two that all changes of f are multiples of: that which its terms round to.

    Where large terms cancel, that may be far above the rounding of their sum. 0 of no change.
    """
    ratios = (abs(d).as_integer_ratio() for d in changes if d and math.isfinite(d))
    return min(((n & -n) / below for n, below in ratios), default=0.0)


def _scatter(steps: list[float], slopes: list[float]) -> float:
    """How far the values of the finest levels are from a straight line."""
    fine = list(zip(steps, slopes, strict=True))[-_FINE:]
    return max((abs(d - fine[0][1]) * t for t, d in fine), default=math.inf)


def _tread(levels: list[tuple[float, float, float]], centre: float) -> float:
    """Height of the first step up or down, where f is flat over the finest levels; else 0.

    So does f look whose argument, or result, is rounded on the way. Flat on a larger scale, or to
    one side alone, it is so by itself.
    """
    moved = [(t, abs(a - centre), abs(b - centre)) for t, a, b in levels]
    flat = 0
    while flat < len(moved) and moved[-1 - flat][1:] == (0.0, 0.0):
        flat += 1
    narrow = [(up, down) for t, up, down in moved[: len(moved) - flat] if t < _NARROW]
    if flat < _CONFIRMING or not any(up and down for up, down in narrow):
        return 0.0
    return max(narrow[-1])


def _extrapolate(
    steps: list[float], slopes: list[float], noise: list[float], ratio: int, *, first: int = 2
) -> list[_Limit]:
    """Limits at t = 0 by all levels and orders.

    The errors of `slopes` have the powers `first`, `first` + 2 and so on of t.
    """
    table: list[list[float]] = []
    for slope in slopes:
        row = [slope]
        for j, coarser in enumerate(table[-1][:_ORDERS] if table else []):
            row.append(row[-1] + (row[-1] - coarser) / (ratio ** (2 * j + first) - 1))
        table.append(row)
    found = [_Limit(math.nan, math.inf, math.inf, math.inf, 0)]
    for k in range(2, len(steps) - _CONFIRMING):
        for j, before in enumerate(table[k - 2]):
            second, value = table[k - 1][j], table[k][j]
            truncation = max(
                abs(value - second),
                abs(second - before),
                abs(value - table[k][max(j - 1, 0)]),
            )
            off = [abs(row[j] - value) for row in table[k + 1 :]]
            finer = list(zip(off, steps[k + 1 :], noise[k + 1 :], strict=True))
            error = truncation + _MARGIN * noise[k] / steps[k]
            unexplained = max(0.0, *(d - _MARGIN * n / t for d, t, n in finer))
            scatter = max(d * t for d, t, _ in finer)
            by_scatter = error + _MARGIN * scatter / steps[k]
            found.append(_Limit(value, error + unexplained, by_scatter, scatter, k))
    return found


def _jump(steps: list[float], bends: list[float], noise: list[float], ratio: int) -> _Limit:
    """Right slope less left slope as t goes to 0: what of the bends is not in proportion to t."""
    finer = pairwise(bends)
    jumps = [(ratio * bend - coarser) / (ratio - 1) for coarser, bend in finer]
    # A value moves a bend by up to four times what it moves a slope by
    rough = [4 * n * (ratio + 1 / ratio) / (ratio - 1) for n in noise[1:]]
    return min(_extrapolate(steps[1:], jumps, rough, ratio, first=3), key=lambda one: one.error)


def _gap(limits: list[_Limit], best: _Limit, eps: float, size: float) -> float:
    """How far the best is from what coarse steps are as sure of, if finer ones see but noise.

    The noise may be that of a cancellation, or of a part in single precision.
    """
    doubtful = [one for one in limits if one.scatter <= eps ** (1 / 3) * size]
    sure = [min(doubtful, key=lambda one: one.by_scatter)] if doubtful else []
    sure += [one for one in limits if one.level < best.level and one.scatter <= _SINGLE * size]
    off = [(abs(one.value - best.value), one.by_scatter + best.error) for one in sure]
    return max((distance for distance, errors in off if distance > errors), default=0.0)


def _contradiction(best: _Limit, finer: list[tuple[float, float, float]], eps: float) -> float:
    """Twice how far a slope is from finer ones that agree too well with each other to be noise.

    Where a wave is too fast for all but the smallest steps, these tell of it.
    """
    found = 0.0
    for three in zip(finer, finer[1:], finer[2:], strict=False):
        off = [d - best.value for _, d, _ in three]
        nearest = min(map(abs, off))
        rounding = max(eps * size / t for t, _, size in three)
        is_told = nearest > max(best.error, _SURE * rounding)
        if is_told and max(off) - min(off) < _AGREEING * nearest:
            found = max(found, 2 * nearest)
    return found


def _swing(
    steps: list[float], slopes: list[float], bends: list[float], noise: list[float]
) -> float:
    """Of the finer three quarters: what is far away may be another world, past a pole, say."""
    near = list(zip(steps, slopes, bends, noise, strict=True))[len(steps) // 4 :]
    sizes = (max(abs(d), abs(b)) - 4 * _SIGNIFICANT * n / t for t, d, b, n in near)
    return max(0.0, *sizes, 0.0)
