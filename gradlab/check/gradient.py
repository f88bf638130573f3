"""The verdict on a gradient: by random directions, element by element, or by its remainder."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from numbers import Integral
from typing import Any, get_args

from gradlab import tree
from gradlab.backend import (
    Array,
    asarray_like,
    is_array,
    namespace,
    nonfinite_expected,
    owned,
    to_numpy,
)
from gradlab.backend.random import Generator, as_generator
from gradlab.check.probe import Probe, alike
from gradlab.check.report import CheckReport, GradientMismatchError, Mode, Verdict
from gradlab.numerical.black_box import real_leaves
from gradlab.numerical.directional import climb

__all__ = ["Check", "check_gradient"]

_ROUNDING = 8  # eps of its terms that a correct gradient along a direction may be off by
_FAR = (0.0, 2.0**10, 2.0**20, 2.0**30)  # steps, of the size of x, and none
_SHORT = 2.0**-16  # line, in units of 1, over which rounding of its argument may make f flat
_LEAF_PROBES = 2  # random directions of one leaf alone
_NO_ELEMENT = CheckReport("passed", "x has no element")
_LEAST_ORDER = 1.5  # the remainder of a right gradient has order 2 or more, of a wrong one 1


def check_gradient(
    f: Callable[[Any], Any],
    gradient: Any,
    x: tree.Tree,
    /,
    *,
    mode: Mode = "directional",
    n_probes: int = 8,
    seed: int | Generator | None = 0,
    raise_on_failure: bool = True,
) -> CheckReport:
    """Compare a gradient of the scalar function `f` at `x` with differences along lines.

    There is no tolerance to choose: each difference has its own error bar (truncation, round-off
    and noise of `f`, as observed), and so the verdict does not depend on the scale of `f` or `x`.

    Parameters
    ----------
    f : callable
        Maps what `x` is to a real scalar. Called about 50 times a line (in float32, 40), on
        copies.
    gradient : callable or array or tree
        The gradient at `x`, or a function from x to it, which is called twice. Exact,
        hand-written or of another library, as long as its arrays are of the library of `x`.
    x : array, number, list of numbers, or nested dict, list or tuple of arrays
        Where to check; away from kinks and from the edge of the domain. Not modified.
    mode : {"directional", "full", "taylor"}
        Along random directions; along each element in turn; or along random directions with the
        order of the remainder ``f(x + t v) - f(x) - t * gradient.v`` as t goes to 0, which must
        be 2 (or more, where the curvature is 0), and is 1 for a wrong gradient.
    n_probes : int
        Random directions. Every element moves in each, by 9/16 to 16/16 of the mean absolute
        value of its leaf (of 1, where that is 0), up or down. A leaf whose part in these would be
        lost in the error bar is moved alone, once or twice.
    seed : int, Generator or None
        Of the directions; they are the same on every backend. None draws one, kept in the report.
    raise_on_failure : bool
        Raise where the verdict is "failed".

    Returns
    -------
    CheckReport
        Where directions disagree, bisection of the elements finds one that is wrong.

    Raises
    ------
    GradientMismatchError
        If the verdict is "failed": values beyond the error bar, NaN or infinity where `f` has a
        slope, another structure, shape or dtype than those of `x`.
    TypeError, ValueError
        For a bad argument, arrays of two libraries, or an `f` that returns no real scalar.

    Examples
    --------
    >>> import gradlab as gl
    >>> x = gl.asarray([1.0, 2.0, 3.0])
    >>> cubes = lambda x: gl.namespace(x).sum(x**3)
    >>> gl.check_gradient(cubes, lambda x: 3 * x**2, x).verdict
    'passed'
    >>> wrong = gl.asarray([3.0, 12.0, 13.5])
    >>> report = gl.check_gradient(cubes, wrong, x, raise_on_failure=False)
    >>> report.verdict, report.worst, report.given, round(report.numerical, 6)
    ('failed', ('x', (2,)), 13.5, 27.0)
    """
    if mode not in get_args(Mode):
        msg = f"`mode` must be one of {', '.join(get_args(Mode))}: got {mode!r}"
        raise ValueError(msg)
    if isinstance(n_probes, bool) or not isinstance(n_probes, Integral) or n_probes < 1:
        msg = f"`n_probes` must be a positive integer: got {n_probes!r}"
        raise ValueError(msg)
    check = Check(f, x)
    report = check.take(gradient)
    if report is None:
        if mode == "full":
            report = check.elements()
        else:
            rng = as_generator(seed)
            report = check.directions(rng, n_probes, has_order=mode == "taylor")
            report = replace(report, seed=rng.seed)
        if report.verdict == "failed" and (spread := check.spread()):
            why = f"`gradient` is not deterministic: two calls at x differ by {spread:.1e}"
            report = replace(report, message=f"{report.message}; {why}")
    if report.verdict == "failed" and raise_on_failure:
        raise GradientMismatchError(report)
    return report


class Check:
    """A function at a point, the gradient that is checked there, and the lines through it."""

    answers: list[list[Array]]  # leaves of the gradient, from each call

    def __init__(self, f: Callable[[Any], Any], x: tree.Tree) -> None:
        self.f = f
        self.names = [name for name, _ in tree.items(x)]
        self.x = real_leaves(x)
        self.xp = namespace(*self.x)
        self.build = tree.flatten(x)[1]
        self.sizes: list[int] = [math.prod(leaf.shape) for leaf in self.x]
        self.starts = list(accumulate(self.sizes, initial=0))[:-1]
        self.n = sum(self.sizes)
        self.scales = [self._scale(leaf) for leaf in self.x]
        self.ones = [
            self.xp.ones_like(leaf) * scale for leaf, scale in zip(self.x, self.scales, strict=True)
        ]

    def take(self, gradient: Any) -> CheckReport | None:
        """Accept the gradient, or report what makes its values not worth comparing."""
        self.answers = []
        for _ in range(2 if callable(gradient) else 1):
            given = gradient
            if callable(gradient):
                given = gradient(self.build([self.xp.asarray(x, copy=True) for x in self.x]))
            parts = dict(tree.items(given))  # by name: a dict may be in another order
            if parts.keys() != set(self.names):
                msg = f"`gradient` must be built like x, with {self.names}: it has {list(parts)}"
                return CheckReport("failed", msg)
            leaves = []
            for name, x in zip(self.names, self.x, strict=True):
                part = parts[name]
                if part is None:
                    why = f"`gradient` gave None for `{name}` (does it lack a return?)"
                    return CheckReport("failed", why)
                g = part if is_array(part) else asarray_like(part, x)
                if why := _misfit(name, x, g, is_typed=hasattr(part, "dtype")):
                    return CheckReport("failed", why)
                leaves.append(self.xp.asarray(g, dtype=x.dtype, copy=True))
            self.answers.append(leaves)
        i = self._nonfinite()
        return None if i is None else self._report_nonfinite(i)

    def spread(self) -> float:
        """Largest difference between the answers."""
        pairs = zip(self.answers[0], self.answers[-1], strict=True)
        with nonfinite_expected():
            gaps = [self.xp.max(self.xp.abs(a - b)) for a, b in pairs if math.prod(a.shape)]
        return max(map(float, gaps), default=0.0)

    def directions(self, rng: Generator, n_probes: int, *, has_order: bool) -> CheckReport:
        """Report on random directions, and on a wrong element where one of them disagrees."""
        if not self.n:
            return _NO_ELEMENT
        vs = [self._direction(rng) for _ in range(n_probes)]
        probes = alike([self._probe(v, self.n) for v in vs])
        k = max(range(n_probes), key=lambda k: probes[k].excess)
        order = _order(probes) if has_order else None
        if probes[k].excess > 1:
            report = self._locate(vs[k], f"random direction {k + 1} of {n_probes}", probes[k])
            return replace(report, observed_order=order)
        blurred = [probe for probe in probes if probe.is_blurred]
        if 2 * len(blurred) > n_probes:
            why = blurred[0].why_blurred()
            return blurred[0].report("inconclusive", why, observed_order=order)
        if order is not None and order < _LEAST_ORDER:
            why = f"the remainder has order {order:.2f}, not 2, though no slope disagrees"
            return probes[k].report("inconclusive", why, observed_order=order)
        if hidden := self._leaf_by_leaf(vs, probes[k].error_bar):
            return replace(hidden, observed_order=order)
        msg = f"agrees along {n_probes} random directions: {probes[k].compared()}"
        return probes[k].report("passed", msg, observed_order=order)

    def _leaf_by_leaf(self, vs: list[list[Array]], bar: float) -> CheckReport | None:
        """Report on a leaf that is wrong, or hidden, where other leaves have drowned it."""
        if sum(size > 0 for size in self.sizes) == 1:
            return None
        leaves = zip(self.names, self.starts, self.sizes, self.ordinaries, strict=True)
        for name, start, size, ordinary in leaves:
            if not size or ordinary * math.sqrt(size) >= 2 * bar:
                continue
            for v in vs[:_LEAF_PROBES]:
                alone = self._masked(v, start, start + size)
                probe = self._probe(alone, size, ordinary)
                if probe.excess > 1:
                    return self._locate(alone, f"a random direction of `{name}` alone", probe)
                if not self._is_hidden(probe, alone):
                    break
            else:
                why = f"`{name}` alone: {probe.why_blurred()}"
                return probe.report("inconclusive", why)
        return None

    def _is_hidden(self, probe: Probe, v: list[Array]) -> bool:
        """Whether what moves along `v`, not all of x, may be wrong unseen: unless f ignores it."""
        if not probe.is_blurred:
            return False
        return not (probe.ladder.is_constant and self.ordinary > 0 and self._ignores(v))

    def _ignores(self, v: list[Array]) -> bool:
        """Whether f is bit-identical, too, where `v` leads far away."""
        lines = list(zip(self.x, v, strict=True))
        far = (*_FAR, 1 / (self._length(v) or 1.0))
        with nonfinite_expected():
            here, *there = (owned(self.f(self.build([x + t * d for x, d in lines]))) for t in far)
            return all(bool(value == here) for value in there)

    def elements(self) -> CheckReport:
        """Report on all elements, one at a time."""
        if not self.n:
            return _NO_ELEMENT
        probes = [self._element(i) for i in range(self.n)]
        i = max(range(self.n), key=lambda i: probes[i].excess)
        wrong = sum(probe.excess > 1 for probe in probes)
        if wrong:
            why = f"{wrong} of {self.n} elements are wrong; {self._named(i)}: "
            return self._report(i, probes[i], "failed", why + probes[i].compared())
        for j, probe in enumerate(probes):
            if self._is_hidden(probe, self._masked(self.ones, j, j + 1)):
                why = f"{self._named(j)}: {probe.why_blurred()}"
                return self._report(j, probe, "inconclusive", why)
        why = f"agrees in each of {self.n} elements; {self._named(i)}: {probes[i].compared()}"
        return self._report(i, probes[i], "passed", why)

    def _locate(self, v: list[Array], where: str, probe: Probe) -> CheckReport:
        """Report on the element that bisection of a direction that disagrees leads to."""
        low, high = 0, self.n
        while high - low > 1:
            middle = (low + high) // 2
            halves = [(low, middle), (middle, high)]
            found = [self._probe(self._masked(v, *half), half[1] - half[0]) for half in halves]
            low, high = halves[found[1].excess > found[0].excess]
        element = self._element(low)
        why = f"the gradient is wrong along {where}: {probe.compared()}; "
        if element.excess > 1:
            why += f"so it is at {self._named(low)}: {element.compared()}"
            return self._report(low, element, "failed", why)
        why += f"the error is spread over many elements, such as {self._named(low)}"
        return probe.report("failed", why, worst=self._place(low))

    def _report(self, i: int, probe: Probe, verdict: Verdict, message: str) -> CheckReport:
        return probe.report(verdict, message, worst=self._place(i))

    def _nonfinite(self) -> int | None:
        """Index of the first element that is NaN or infinite in any answer."""
        for leaves in self.answers:
            for g, start, size in zip(leaves, self.starts, self.sizes, strict=True):
                is_bad = ~self.xp.isfinite(self.xp.reshape(g, (-1,)))
                if size and bool(self.xp.any(is_bad)):
                    return int(start + self.xp.argmax(self.xp.astype(is_bad, self.xp.int32)))
        return None

    def _report_nonfinite(self, i: int) -> CheckReport:
        probe = self._element(i)
        scale = self.scales[self._leaf(i)]
        probe = replace(probe, error_bar=probe.ladder.error / scale)
        why = f"the gradient is not finite at {self._named(i)}: {probe.compared()}"
        if probe.error_bar < math.inf:
            return self._report(i, probe, "failed", why)
        return self._report(i, probe, "inconclusive", f"{why}; {probe.why_blurred()}")

    def _scale(self, leaf: Array) -> float:
        """Power of two beside the mean absolute value, 1 where that is 0.

        Not so small that steps would lose digits, nor so large that it would overflow.
        """
        xp, info = self.xp, self.xp.finfo(leaf.dtype)
        with nonfinite_expected():
            mean = float(xp.mean(xp.abs(leaf))) if math.prod(leaf.shape) else 0.0
        if mean == math.inf:  # as the sum is, if not x
            mean = float(xp.max(xp.abs(leaf)))
        if not (mean and math.isfinite(mean)):
            return 1.0
        least = round(math.log2(float(info.smallest_normal) / float(info.eps)))
        return 2.0 ** min(max(round(math.log2(mean)), least), math.frexp(float(info.max))[1] - 1)

    def _direction(self, rng: Generator) -> list[Array]:
        """Signs and sizes of four bits: steps are exact, and two elements are seldom alike."""
        v = []
        for one in self.ones:
            k = rng.integers(-8, 8, one.shape, like=one)
            k = self.xp.where(k < 0, k - 8, k + 9)
            v.append(self.xp.astype(k, one.dtype) / 16 * one)
        return v

    def _masked(self, v: list[Array], low: int, high: int) -> list[Array]:
        """Direction `v` with the elements outside [low, high), of all leaves in order, at 0."""
        masked = []
        for d, start, size in zip(v, self.starts, self.sizes, strict=True):
            index = self.xp.reshape(self.xp.arange(start, start + size, device=d.device), d.shape)
            is_in = (index >= low) & (index < high)
            masked.append(self.xp.where(is_in, d, self.xp.zeros_like(d)))
        return masked

    def _element(self, i: int) -> Probe:
        leaf = self._leaf(i)
        alone = self._masked(self.ones, i, i + 1)
        return self._probe(alone, 1, self.ordinaries[leaf]).per(self.scales[leaf])

    def _probe(self, v: list[Array], n: int, ordinary: float | None = None) -> Probe:
        """Compare along `v`, in which `n` elements move, of whose size one is known already."""
        ladder = climb(self.f, self.build, self.x, v)
        if ladder.is_flat and 0 < self._length(v) < _SHORT and not self._ignores(v):
            ladder = replace(ladder, error=math.inf)
        given, size = max(
            (self._along(leaves, v) for leaves in self.answers),
            key=lambda answer: abs(answer[0] - ladder.value),
        )
        eps = max(float(self.xp.finfo(x.dtype).eps) for x in self.x)
        bar = ladder.error + _ROUNDING * eps * size
        known = self.ordinary if ordinary is None else ordinary
        ordinary = max(known, abs(ladder.value) / math.sqrt(n), ladder.swing / n)
        return Probe(given, ladder.value, bar, ordinary, ladder)

    def _length(self, v: list[Array]) -> float:
        """Largest element."""
        return max(float(self.xp.max(self.xp.abs(d))) for d in v if math.prod(d.shape))

    def _along(self, leaves: list[Array], v: list[Array]) -> tuple[float, float]:
        """Sum of gradient times direction, and of its absolute terms."""
        along, size = (math.fsum(column) for column in zip(*self._sums(leaves, v), strict=True))
        return along, size

    def _sums(self, leaves: list[Array], v: list[Array]) -> list[list[float]]:
        """The same, of each leaf."""
        xp = self.xp
        with nonfinite_expected():
            terms = [
                xp.where(d != 0, g * d, xp.zeros_like(d)) for g, d in zip(leaves, v, strict=True)
            ]
            sums = [xp.stack([xp.sum(term), xp.sum(xp.abs(term))]) for term in terms]
        return [_numbers(column) for column in sums]

    @cached_property
    def ordinaries(self) -> list[float]:
        """What an element of each leaf contributes along its own scale, on average."""
        return [
            total / max(1, size)
            for (_, total), size in zip(
                self._sums(self.answers[0], self.ones), self.sizes, strict=True
            )
        ]

    @cached_property
    def ordinary(self) -> float:
        """The same, of all elements."""
        sums = zip(self.ordinaries, self.sizes, strict=True)
        return math.fsum(one * size for one, size in sums) / max(1, self.n)

    def _leaf(self, i: int) -> int:
        return bisect_right(self.starts, i) - 1

    def _place(self, i: int) -> tuple[str, tuple[int, ...]]:
        leaf = self._leaf(i)
        index, rest = [], i - self.starts[leaf]
        for length in reversed(self.x[leaf].shape):
            rest, k = divmod(rest, length)
            index.append(k)
        return self.names[leaf], tuple(reversed(index))

    def _named(self, i: int) -> str:
        name, index = self._place(i)
        return f"`{name}{list(index)}`" if index else f"`{name}`"


def _numbers(column: Array) -> list[float]:
    numbers: list[float] = to_numpy(column).tolist()
    return numbers


def _order(probes: list[Probe]) -> float | None:
    orders = [probe.ladder.remainder_order(probe.given) for probe in probes]
    return min((order for order in orders if not math.isnan(order)), default=None)


def _misfit(name: str, x: Array, g: Array, *, is_typed: bool) -> str:
    """What keeps `g` from being a gradient in `x`."""
    namespace(x, g, names=(name, "the result of gradient"))
    if g.shape != x.shape:
        return f"`gradient` must have shape {x.shape} for `{name}`: it has {g.shape}"
    one, other = (getattr(dtype, "name", dtype) for dtype in (g.dtype, x.dtype))
    if is_typed and one != other:  # by name: the order of bytes does not matter
        return f"`gradient` must have dtype {x.dtype} for `{name}`: it has {g.dtype}"
    return ""
