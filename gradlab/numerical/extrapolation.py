"""The slope at a point, with its error bar, from samples of f on ladders of steps beside it.

First a survey, from beyond the scale of x down to its last digits: Richardson's tableau tells at
which scale f is smooth, and where no extrapolation makes neighbours agree, what is left of them is
f's noise. Then a zoom: differences of order up to 16 over the multiples 1 to 8 of steps an octave
apart, which share most of their samples, and fits of order up to 24 to these, which have less
noise. Of all, the least error bar is kept, element by element.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import NamedTuple

from gradlab.backend import Array, Namespace, namespace
from gradlab.numerical.ladders import OWN_SCALE, Choice, Kind, Ladder, finite_or, larger

__all__ = ["Survey", "best_of_survey", "best_of_zoom", "zoom_steps"]

KINDS: tuple[Kind, ...] = ("central", "forward", "backward")

_LAST = 3  # rungs, of steps so small that their differences tell of noise alone
_COLUMNS = 5  # of the survey's tableau
_RESOLVED = 0.05  # bar in units of the slope, below which a slope of small steps counts as found
# Noise in units of the change of f: from which on it is none, or may be none where small steps know
# of another slope
_WAVE, _DOUBTFUL = 0.05, 1e-4
_BEYOND_ROUNDING = 64.0  # in units of rounding, of what is none
_NARROW = 2e-3  # width in units of x of a step that half precision makes
_ONE_SIDED = 10.0  # times less its bar must be: a one-sided tableau converges slowly

# Units in the least change of an f that cancels, and in the largest: fewer are f's own steps
_GRAINS, _COARSE = 4, 1000.0

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


def _tableau(slopes: Array, steps: Array, power: int, columns: int) -> list[Array]:
    """Richardson's tableau of differences whose errors are powers of h**power.

    Column j has the rungs from j on: its entry for rung k is made of rungs k - j to k.
    """
    table = [slopes]
    for j in range(1, columns):
        last = table[-1]
        ratio = (steps[:-j, :] / steps[j:, :]) ** power
        table.append(last[1:, :] + (last[1:, :] - last[:-1, :]) / (ratio - 1.0))
    return table


def _noise_levels(ladder: Ladder) -> Array:
    """Absolute error of f's values that each rung shows, at the most.

    A slope that no order of extrapolation makes agree with that of the next rung is off by
    noise / h. Where steps are large it may be truncation.
    """
    xp = namespace(ladder.steps)
    columns = _tableau(ladder.slopes("central"), ladder.steps, 2, _COLUMNS - 1)
    spreads = xp.full_like(ladder.steps[1:, :], math.inf)
    for column in columns:
        spread = finite_or(xp, xp.abs(column[1:, :] - column[:-1, :]), math.inf)
        missing = xp.full_like(spreads[: spreads.shape[0] - spread.shape[0], :], math.inf)
        spread = xp.concat([missing, spread])
        spreads = xp.where(spread < spreads, spread, spreads)
    levels = finite_or(xp, spreads * ladder.steps[1:, :], 0.0)
    return xp.concat([levels, xp.zeros_like(levels[:1, :])])


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first look found: the best of all differences, and of those to either side.

    `is_doubtful` where what passes for noise may be f's own: a staircase of small steps, or a wave.
    """

    best: Choice
    forward: Choice
    backward: Choice
    levels: Array
    noise: Array
    is_doubtful: Array


def best_of_survey(ladder: Ladder, eps: Array, size: Array) -> Survey:
    """Entries of the tableaux that are to be believed; `size` is that of x."""
    xp = namespace(ladder.steps)
    levels = _noise_levels(ladder)
    rounding = ladder.size * eps
    tread = _tread(xp, ladder, rounding, size)
    noise = larger(xp, larger(xp, _of_smaller_steps(xp, levels), rounding), tread)
    noise = larger(xp, noise, _grain(xp, ladder))
    found = [_best_of_tableau(xp, ladder, noise, kind) for kind in KINDS]
    large, small = found[0]
    for other_large, other_small in found[1:]:
        large = large.where(_ONE_SIDED * other_large.error < large.error, other_large)
        better = _ONE_SIDED * _share(xp, other_small) < _share(xp, small)
        small = small.where(better, other_small)
    pairs = ((large, small), found[1], found[2])
    is_own = [_is_structure(xp, ladder, levels, *pair) for pair in pairs]
    best, forward, backward = (
        pair[0].where(own, pair[1]) for own, pair in zip(is_own, pairs, strict=True)
    )
    seen = xp.where(large.noise > _BEYOND_ROUNDING * rounding[-1, :], large.noise, 0.0)
    change = _change_within(xp, ladder, large.reach)
    is_wave = (seen > _WAVE * change) | (_differ(xp, large, small) & (seen > _DOUBTFUL * change))
    return Survey(
        best, forward, backward, levels, noise, (is_wave & ~is_own[0]) | (tread[-1, :] > 0)
    )


def _tread(xp: Namespace, ladder: Ladder, rounding: Array, size: Array) -> Array:
    """Noise of an f that is flat over the smallest rungs, and then steps up or down; else 0.

    So does f look whose argument is rounded on the way. Flat on a larger scale, or to one side
    alone, it is so by itself. Where x tells no scale, that is 1.
    """
    size = xp.where(size < 2.0**OWN_SCALE, 1.0, size)
    equal = (ladder.above == ladder.value) & (ladder.below == ladder.value)
    flat = xp.cumulative_sum(xp.astype(~equal[::-1, :], xp.int64), axis=0)[::-1, :] == 0
    narrow = ladder.steps < _NARROW * size
    moves = narrow & (ladder.above != ladder.value) & (ladder.below != ladder.value)
    first = flat[1:, :] & ~flat[:-1, :]
    height = xp.max(xp.where(first, ladder.changes[:-1, :], 0.0), axis=0)
    width = xp.max(xp.where(flat, ladder.steps, 0.0), axis=0)
    is_stair = xp.any(moves, axis=0) & (xp.sum(xp.astype(flat, xp.int64), axis=0) >= _LAST)
    info = xp.finfo(height.dtype)
    is_stair = is_stair & (height > _BEYOND_ROUNDING * rounding[-1, :])
    is_stair = is_stair & (height > float(info.smallest_normal) / float(info.eps))  # no underflow
    relative = width / xp.where(size > 0, size, 1.0) * ladder.size
    return xp.where(is_stair, larger(xp, relative, height), xp.zeros_like(relative))


def _grain(xp: Namespace, ladder: Ladder) -> Array:
    """Unit that all changes of f are multiples of, as where a large term cancels; else 0."""
    changes = xp.concat([ladder.above - ladder.value, ladder.below - ladder.value])
    changes = finite_or(xp, changes, 0.0)
    sizes = xp.abs(changes)
    least = xp.min(xp.where(sizes > 0, sizes, math.inf), axis=0)
    unit = finite_or(xp, least, 1.0)
    counts = (changes / (unit / part) for part in range(1, _GRAINS + 1))
    whole = [xp.all(count == xp.round(count), axis=0) for count in counts]
    is_whole = xp.any(xp.stack(whole), axis=0)
    most, info = xp.max(sizes, axis=0), xp.finfo(unit.dtype)
    is_whole = is_whole & (most > _COARSE * unit) & (most < _GRAINS / float(info.eps) * unit)
    is_whole = is_whole & (unit > float(info.smallest_normal) / float(info.eps))  # no underflow
    return xp.where(is_whole, unit, xp.zeros_like(unit))


def _best_of_tableau(
    xp: Namespace, ladder: Ladder, noise: Array, kind: Kind
) -> tuple[Choice, Choice]:
    """Entries with the least bar, and with the least in units of the slope."""
    large = small = _nothing(ladder.steps[-1, :])
    table = _tableau(ladder.slopes(kind), ladder.steps, 2 if kind == "central" else 1, _COLUMNS)
    for j in range(1, _COLUMNS):
        entry, finer, coarser = table[j], table[j - 1][1:, :], table[j - 1][:-1, :]
        truncation = larger(xp, xp.abs(entry - finer), xp.abs(entry - coarser))
        steps, level = ladder.steps[j:, :], noise[j:, :]
        error = finite_or(xp, 2.0 * truncation + 4.0 * level / steps, math.inf)
        entries = Choice(entry, error, steps, ladder.steps[:-j, :], level)
        choice = _pick(xp, entries, error)
        large = large.where(choice.error < large.error, choice)
        choice = _pick(xp, entries, _share(xp, entries))
        small = small.where(_share(xp, choice) < _share(xp, small), choice)
    return large, small


def _share(xp: Namespace, choice: Choice) -> Array:
    """Bar in units of the slope, infinite where the slope is not found at all."""
    size = xp.abs(choice.value)
    return xp.where(choice.error < _RESOLVED * size, choice.error / size, math.inf)


def _is_structure(
    xp: Namespace, ladder: Ladder, levels: Array, large: Choice, small: Choice
) -> Array:
    """Whether the well-resolved slope of small steps is f's own, though large ones have less bar.

    They differ either by noise, which then is there on most of the rungs between, or because f
    has a scale of its own at small steps, as sqrt has beside 0. What is as large as all that f
    changes by is no noise, but a wave that large steps are too coarse for.
    """
    between = (ladder.steps > small.reach) & (ladder.steps < large.step)
    noisy = between & (levels > 0.01 * large.noise)
    count = xp.sum(xp.astype(between, levels.dtype), axis=0)
    noisy_count = xp.sum(xp.astype(noisy, levels.dtype), axis=0)
    is_wave = large.noise > _WAVE * _change_within(xp, ladder, large.reach)
    is_own = is_wave | ((small.reach < large.step) & (2.0 * noisy_count < count))
    return _differ(xp, large, small) & (small.reach < large.reach) & is_own


def _differ(xp: Namespace, a: Choice, b: Choice) -> Array:
    return xp.abs(a.value - b.value) > a.error + b.error


def _change_within(xp: Namespace, ladder: Ladder, reach: Array) -> Array:
    return xp.max(xp.where(ladder.steps <= reach, ladder.changes, 0.0), axis=0)


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
    within its reach, and has half the noise or less: `norm` is that of its weights of f. Beyond
    the multiples there are fits alone.
    """

    m: int
    difference: int
    fit: int
    norm: float


class _Octave(NamedTuple):
    """Stencils of one step: rows of weights of slopes over all rungs, and what each of them is.

    Noise shows in some rows, by their change from the row before, which has the norm given.
    """

    step: float
    rows: list[list[float]]
    orders: list[_Order]
    noisy: list[tuple[int, float]]


@functools.cache
def _stencils(kind: Kind) -> list[_Octave]:
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
        octaves.append(_Octave(2.0**q, rows, orders[_LEAST - 1 :], noisy))
    return octaves


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
    """Least bar among differences of high order, or `best` where none has less.

    From small steps to large: a larger step is taken only where its slope agrees with that before.
    """
    central, *others = (_best_of_stencils(ladder, best, eps, size, kind) for kind in KINDS)
    for other in others:
        central = central.where(_ONE_SIDED * other.error < central.error, other)
    return central


def _best_of_stencils(ladder: Ladder, best: Choice, eps: Array, size: Array, kind: Kind) -> Choice:
    xp = namespace(ladder.steps)
    slopes, unit = ladder.slopes(kind), ladder.steps[_factors().index(1.0), :]
    spread = xp.zeros_like(unit)
    tried: list[tuple[Array, Array]] = []
    for octave in _stencils(kind):
        values, rounding = _apply(xp, octave.rows, ladder, slopes, eps)
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


def _apply(
    xp: Namespace, rows: list[list[float]], ladder: Ladder, slopes: Array, eps: Array
) -> tuple[Array, Array]:
    """Slopes by every row, NaN where a sample lacks, and what rounding may do to them."""
    like = ladder.steps
    weights = xp.asarray(rows, dtype=like.dtype, device=like.device)
    usable = xp.isfinite(slopes)
    used = xp.astype(weights != 0, weights.dtype)
    missing = xp.matmul(used, xp.astype(~usable, weights.dtype))
    values = xp.matmul(weights, xp.where(usable, slopes, 0.0))
    rounding = xp.matmul(xp.abs(weights), ladder.size * eps / ladder.steps)
    return xp.where(missing > 0, math.nan, values), rounding


def _truncation(xp: Namespace, last: Array, before: Array) -> Array:
    """What a slope lacks of the limit, if changes from order to order go on shrinking alike."""
    ratio = xp.where(last < before, last / xp.where(before > 0, before, 1.0), _SLOWEST)
    ratio = xp.where(ratio > _FASTEST, ratio, _FASTEST)
    ratio = xp.where(ratio < _SLOWEST, ratio, _SLOWEST)
    rest = last * ratio / (1.0 - ratio)
    return _OF_TRUNCATION * larger(xp, rest, _CHANCE * before)


def _pick(xp: Namespace, stack: Choice, score: Array) -> Choice:
    """Entry of the least score along axis 0."""
    best = xp.argmin(score, axis=0)
    rungs = xp.arange(score.shape[0], device=score.device)
    chosen = rungs[:, None] == best[None, :]
    fields = (stack.value, stack.error, stack.step, stack.reach, stack.noise)
    return Choice(*(xp.sum(xp.where(chosen, field, 0.0), axis=0) for field in fields))


def _nothing(like: Array) -> Choice:
    """No slope: NaN within an infinite bar."""
    xp = namespace(like)
    nan, infinite = xp.full_like(like, math.nan), xp.full_like(like, math.inf)
    return Choice(nan, infinite, like, like, xp.zeros_like(like))


def _of_smaller_steps(xp: Namespace, levels: Array) -> Array:
    """Largest of each rung's and those of smaller steps: noise does not lessen as steps grow."""
    rungs = [xp.max(levels[-_LAST:, :], axis=0)] * _LAST
    for k in range(levels.shape[0] - 1 - _LAST, -1, -1):
        rungs.append(larger(xp, levels[k, :], rungs[-1]))
    return xp.stack(rungs[::-1])
