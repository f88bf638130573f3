"""The first look at f from beyond the scale of x down to its last digits: slope, scale and noise.

Richardson's tableau tells at which scale f is smooth, and where no extrapolation makes neighbours
agree, what is left of them is f's noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradlab.backend import Array, Namespace, namespace
from gradlab.numerical.ladders import (
    KINDS,
    ONE_SIDED,
    Choice,
    Kind,
    Ladder,
    finite_or,
    larger,
)

__all__ = ["Survey", "best_of_survey", "survey_steps"]

_SURVEY = 24  # rungs
_LARGEST = 3.0  # log2 of the first of them in units of max(|x|, 1)
_OWN_SCALE = -16.0  # log2(|x|) below which half of the rungs are of the scale 1, half of that of x

_LAST = 3  # rungs, of steps so small that their differences tell of noise alone
_COLUMNS = 5  # of the survey's tableau
_RESOLVED = 0.05  # bar in units of the slope, below which a slope of small steps counts as found
# Noise in units of the change of f: from which on it is none, or may be none where small steps know
# of another slope
_WAVE, _DOUBTFUL = 0.05, 1e-4
_BEYOND_ROUNDING = 64.0  # in units of rounding, of what is none
_NARROW = 2e-3  # width in units of x of a step that half precision makes

# Units in the least change of an f that cancels, and in the largest: fewer are f's own steps
_GRAINS, _COARSE = 4, 1000.0


def survey_steps(x: Array) -> Array:
    """Steps for a first look, from beyond the scale of x down to its last digits."""
    xp = namespace(x)
    digits = -math.log2(float(xp.finfo(x.dtype).eps)) - 4.0
    is_zero = xp.abs(x) < float(xp.finfo(x.dtype).smallest_normal)
    exponent = xp.where(is_zero, _OWN_SCALE, xp.log2(xp.abs(xp.where(is_zero, 1.0, x))))
    top = xp.where(exponent > 0, exponent, 0.0) + _LARGEST
    bottom, near = exponent - digits, exponent + 2.0
    gap = xp.where(near + 4.0 > -digits, near + 4.0, -digits)
    half = _SURVEY // 2
    rungs = []
    for k in range(_SURVEY):
        even = top + (bottom - top) * (k / (_SURVEY - 1))
        of_one = top + (gap - top) * (k / (half - 1))
        own = near + (bottom - near) * ((k - half) / (half - 1))
        rungs.append(xp.where(exponent < _OWN_SCALE, of_one if k < half else own, even))
    return 2.0 ** xp.stack(rungs)


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
        large = large.where(ONE_SIDED * other_large.error < large.error, other_large)
        better = ONE_SIDED * _share(xp, other_small) < _share(xp, small)
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
    size = xp.where(size < 2.0**_OWN_SCALE, 1.0, size)
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
