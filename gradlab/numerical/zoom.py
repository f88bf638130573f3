"""The second look, at the scale that the survey has found: the slope and its bar.

Differences of order up to 16 are taken over the multiples 1 to 8 of steps an octave apart, which
share most of their samples, and fits of order up to 24 to all of these, which have less noise. Of
all, and of what the survey has found, the least error bar is kept, element by element.
"""

from __future__ import annotations

import functools
import math
from decimal import Decimal, localcontext
from typing import NamedTuple

from gradlab.backend import Array, Namespace, namespace
from gradlab.numerical.ladders import KINDS, ONE_SIDED, Choice, Kind, Ladder, finite_or, larger

__all__ = ["best_of_zoom", "zoom_steps"]

_OCTAVES = range(-6, 2)  # of the zoom's steps, in units of the survey's reach
_MULTIPLES = 8  # of each, and half the order of the central difference over them
_LEAST = 3  # of them that make a slope
_POOLED = 3  # highest orders, whose changes tell of noise
_DEPTH, _HIGHEST = 4, 12  # octaves below that take part in a fit, and terms of the largest one
_DIGITS = 60  # of the weights on the way

# Bars, in units of what is estimated of noise and truncation. They were set by trial on the tests'
# table and on points strewn about it. Twice these bars held, at strewn points of 29 other functions
# (tests/oracles has most of them), all but 3 of 43,500 errors in float64 and all but 16 in float32.
_OF_SEEN, _OF_SPREAD, _OF_ROUNDING, _OF_TRUNCATION = 1.5, 0.5, 1.0, 2.0
_FAR, _NO_MORE = 4.0, 8.0  # steps in units of |x| from which f may be calmer than the survey saw
_CHANCE = 0.05  # of the change before, by which the last may be too small by chance
_ALIKE = 3.0  # times the least bar, up to which others take part in the mean
_FASTEST, _SLOWEST = 0.1, 0.9  # ratio by which changes from order to order may be taken to shrink


def zoom_steps(reach: Array, largest: Array) -> Array:
    """Multiples of powers of two, which x's digits hold exactly, about the survey's reach.

    None is beyond `largest`: where a bounded f is sampled too coarsely its slope looks like 0.
    """
    xp = namespace(reach)
    factors = _factors()
    top = xp.where(reach * factors[-1] < largest, reach, largest / factors[-1])
    unit = 2.0 ** xp.floor(xp.log2(top))
    return xp.stack([unit * factor for factor in factors])


@functools.cache
def _factors() -> tuple[float, ...]:
    return tuple(sorted({i * 2.0**q for q in _OCTAVES for i in range(1, _MULTIPLES + 1)}))


class _Order(NamedTuple):
    """Rows that give the slopes of polynomials of m terms: by a difference, and by a fit.

    The difference is of m steps alone, and shows what is not smooth; the fit is of all steps
    within its reach, and has less noise: `norm` is that of its weights of f. Beyond the multiples
    there are fits alone.
    """

    m: int
    difference: int
    fit: int
    norm: float


class _Octave(NamedTuple):
    """Stencils of one step: which of the rows are its, and what each of these is.

    Noise shows in some, by their change from the row before, which has the norm given.
    """

    step: float
    rows: slice
    orders: list[_Order]
    noisy: list[tuple[int, float]]


@functools.cache
def _stencils(kind: Kind) -> tuple[list[list[float]], list[_Octave]]:
    """Weights of slopes over all rungs, a row for each stencil, and their octaves."""
    everything: list[list[float]] = []
    octaves = []
    for q in _OCTAVES:
        rows = [_placed(weights, q) for weights in _differences(kind)]
        fits = 0
        if kind == "central":
            fits = len(rows)
            rows += [_placed(weights, q) for weights in _fits(min(q - _OCTAVES[0], _DEPTH))]
        orders = [
            _Order(m, (0 if m <= _MULTIPLES else fits) + m - 1, r, _norm(rows[r]))
            for m, r in enumerate(range(fits, len(rows)), 1)
        ]
        noisy = []
        for r in range(len(rows) - _POOLED, len(rows)):
            change = [a - b for a, b in zip(rows[r], rows[r - 1], strict=True)]
            noisy.append((r, _norm(change)))
        start = len(everything)
        everything += rows
        octaves.append(_Octave(2.0**q, slice(start, len(everything)), orders[_LEAST - 1 :], noisy))
    return everything, octaves


def _placed(weights: dict[float, float], q: int) -> list[float]:
    """Row of weights, by rungs, of the slopes over multiples of the step of octave q."""
    return [weights.get(h / 2.0**q, 0.0) for h in _factors()]


def _norm(row: list[float]) -> float:
    """Noise of a slope of such weights, for a unit step and f's of 1."""
    return math.hypot(*(w / h for w, h in zip(row, _factors(), strict=True)))


def _differences(kind: Kind) -> list[dict[float, float]]:
    """Weights of slopes in the differences of highest order over the multiples 1 to m of a step."""
    orders = range(1, _MULTIPLES + 1)
    return [{i: _weight(kind, m, i) for i in range(1, m + 1)} for m in orders]


def _weight(kind: Kind, m: int, i: int) -> float:
    """Weight of the slope over i steps in the difference over 1 to m of them."""
    sign = -1.0 if i % 2 == 0 else 1.0
    if kind == "central":
        product = math.factorial(m - i) * math.factorial(m + i)
        return sign * 2.0 * math.factorial(m) ** 2 / product
    return sign * math.comb(m, i)


def _fits(depth: int) -> list[dict[float, float]]:
    """Weights of slopes in fits of even polynomials of 1, 2 ... terms, whose limit is the slope.

    The fit of m terms is to slopes over m steps and less, 8 at the most: over whole steps, halves,
    quarters ... `depth` times.
    """
    found = []
    units = sorted({i * 2**k for k in range(depth + 1) for i in range(1, _MULTIPLES + 1)})
    for m in range(1, _MULTIPLES + 1):
        rungs = [i / 2**depth for i in units if i <= m * 2**depth]
        most = min(_MULTIPLES + 2 * depth, _HIGHEST) if m == _MULTIPLES else m
        fits = _fitted(rungs, most)[m - 1 :]
        found += [dict(zip(rungs, weights, strict=True)) for weights in fits]
    return found


def _fitted(rungs: list[float], most: int) -> list[list[float]]:
    """Weights of slopes in the fits of 1 to so many terms, by least squares; errors are as 1 / h.

    By orthogonal polynomials (Forsythe, J. SIAM 5 (1957), 74-88), in more digits than floating
    numbers have: else low powers would have errors.
    """
    with localcontext(prec=_DIGITS):
        zero, one = Decimal(0), Decimal(1)
        t = [(Decimal(h) / Decimal(rungs[-1])) ** 2 for h in rungs]
        weights, before, p = [zero] * len(t), [zero] * len(t), [one] * len(t)
        before_at_0, at_0, norm_before = zero, one, one
        found = []
        for _ in range(most):
            parts = [u * v for u, v in zip(t, p, strict=True)]
            norm = sum((u * v for u, v in zip(parts, p, strict=True)), zero)
            weights = [w + u * at_0 / norm for w, u in zip(weights, parts, strict=True)]
            found.append([float(w) for w in weights])
            a, b = sum((u * u for u in parts), zero) / norm, norm / norm_before
            before, p = p, [(u - a) * v - b * w for u, v, w in zip(t, p, before, strict=True)]
            before_at_0, at_0, norm_before = at_0, -a * at_0 - b * before_at_0, norm
    return found


def best_of_zoom(ladder: Ladder, best: Choice, eps: Array, size: Array) -> Choice:
    """Least bar among differences and fits of high order, or `best` where none has less.

    From small steps to large: a larger step is taken only where its slope agrees with that before.
    """
    central, *others = (_best_of_stencils(ladder, best, eps, size, kind) for kind in KINDS)
    for other in others:
        central = central.where(ONE_SIDED * other.error < central.error, other)
    return central


def _best_of_stencils(ladder: Ladder, best: Choice, eps: Array, size: Array, kind: Kind) -> Choice:
    like = ladder.steps
    xp, unit = namespace(like), like[_factors().index(1.0), :]
    rows, octaves = _stencils(kind)
    weights = xp.asarray(rows, dtype=like.dtype, device=like.device)
    slopes, noise = ladder.slopes(kind), ladder.size * eps / like
    spread = xp.zeros_like(unit)
    tried: list[tuple[Array, Array]] = []
    for octave in octaves:
        values, rounding = _apply(xp, weights[octave.rows, :], slopes, noise)
        changes = finite_or(xp, xp.abs(values[1:, :] - values[:-1, :]), math.inf)
        pooled = [changes[r - 1, :] / norm for r, norm in octave.noisy]
        own = xp.max(xp.stack(pooled), axis=0)
        spread = own if not tried else spread
        step = unit * octave.step
        seen = _OF_SEEN * best.noise / unit
        calmer = (step > _FAR * size) & (_NO_MORE * spread < seen)
        seen = xp.where(calmer, _NO_MORE * spread, seen)
        for m, difference, fit, norm in octave.orders:
            value = values[fit, :]
            error = (
                _truncation(xp, changes[difference - 1, :], changes[difference - 2, :])
                + xp.abs(value - values[difference, :])
                + _OF_SPREAD * norm * spread
                + larger(xp, _OF_ROUNDING * rounding[fit, :], norm * seen)
            )
            error = finite_or(xp, error, math.inf)
            agrees = xp.abs(value - best.value) <= error + best.error
            choice = Choice(value, error, step, min(m, _MULTIPLES) * step, best.noise)
            best = best.where((error < best.error) & agrees, choice)
            tried.append((value, error))
        spread = larger(xp, own, spread)
    return _mean(xp, best, tried)


def _mean(xp: Namespace, best: Choice, tried: list[tuple[Array, Array]]) -> Choice:
    """The best with its value the mean, by their bars, of all that are about as good and agree."""
    values, errors = (xp.stack(column) for column in zip(*tried, strict=True))
    alike = (errors <= _ALIKE * best.error) & (xp.abs(values - best.value) <= best.error)
    alike = alike & (errors > 0)
    weights = xp.where(alike, best.error / xp.where(alike, errors, 1.0), 0.0) ** 2
    off = xp.where(weights > 0, values - best.value, 0.0)
    total = xp.sum(weights, axis=0)
    mean = best.value + xp.sum(weights * off, axis=0) / xp.where(total > 0, total, 1.0)
    return Choice(mean, best.error, best.step, best.reach, best.noise)


def _apply(xp: Namespace, weights: Array, slopes: Array, noise: Array) -> tuple[Array, Array]:
    """Slopes by every row, NaN where a sample lacks, and what rounding may do to them."""
    usable = xp.isfinite(slopes)
    used = xp.astype(weights != 0, weights.dtype)
    missing = xp.matmul(used, xp.astype(~usable, weights.dtype))
    values = xp.matmul(weights, xp.where(usable, slopes, 0.0))
    return xp.where(missing > 0, math.nan, values), xp.matmul(xp.abs(weights), noise)


def _truncation(xp: Namespace, last: Array, before: Array) -> Array:
    """What a slope lacks of the limit, if changes from order to order go on shrinking alike."""
    ratio = xp.where(last < before, last / xp.where(before > 0, before, 1.0), _SLOWEST)
    ratio = xp.where(ratio > _FASTEST, ratio, _FASTEST)
    ratio = xp.where(ratio < _SLOWEST, ratio, _SLOWEST)
    rest = last * ratio / (1.0 - ratio)
    return _OF_TRUNCATION * larger(xp, rest, _CHANCE * before)
