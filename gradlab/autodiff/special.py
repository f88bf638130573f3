"""The table of rules: special functions. `g` is the cotangent, `y` the result.

Values come from the library that holds the data (see `gradlab.backend.special`), but for those
that the standard can say stably. All arguments are real. Names that begin with an underscore are
not for users: families of derivatives, accurate where a formula in the functions would cancel.
Pulls of two arrays combine them by functions of `xp`: operators of a plain array may refuse what is
traced beside it.

Conventions: ``xlogy(0, y)`` is 0, and its gradients are 0 in y and ``log(y)`` in x; those of
`entr`, `rel_entr` and `kl_div` at 0 are the limits there; infinities that tie for the maximum
share the gradient of `logsumexp` equally; `i0e` and `i1e` have, at their kink at 0, the mean of
the derivatives on either side. Parameters of shape (`a` of `gammainc`, `df` of `stdtr`) have no
derivative, and raise where one is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from gradlab.autodiff.array import Array, apply
from gradlab.autodiff.elementwise import is_complex_dtype, is_inexact_dtype
from gradlab.autodiff.rule import RULES, Kind, Rule, rule
from gradlab.backend import is_array, special_function

__all__ = ["Special"]

_PREFIX = "special."


def _special(
    name: str, kind: Kind, *pulls: Callable[..., Any], forward: Callable[..., Any] | None = None
) -> None:
    """Enter a rule; by default the library has the function."""
    full = _PREFIX + name
    if forward is None and len(pulls) == 1:
        forward = lambda xp, a: special_function(name, a)  # noqa: E731
    elif forward is None:
        forward = lambda xp, a, b: special_function(name, a, b)  # noqa: E731
    rule(full, kind, *pulls, forward=forward, is_internal=True)


def _shape_of(name: str, argument: str) -> Callable[..., Any]:
    """Pull of a parameter that is not differentiated in."""

    def pull(g: Any) -> NoReturn:
        msg = (
            f"special.{name} has no derivative in its argument {argument!r}: hand it over as a "
            "constant, autodiff.stop_gradient(...)"
        )
        raise NotImplementedError(msg)

    return pull


def _split(xp: Any, condition: Any, a: Any, other: float) -> tuple[Any, Any]:
    """`a` where the condition holds and where not, the number `other` elsewhere."""
    filler = xp.full_like(a, other)
    return xp.where(condition, a, filler), xp.where(condition, filler, a)


def _polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Sum of ``coefficients[k] * x**k``, by Horner's scheme."""
    total = coefficients[-1] + 0 * x
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


# --- logistic


def _expit(xp: Any, a: Any) -> Any:
    e = xp.exp(-xp.abs(a))
    return xp.where(a < 0, e, xp.ones_like(e)) / (1 + e)


def _logit(xp: Any, a: Any) -> Any:
    low = a < 0.5  # noqa: PLR2004
    tail, d = xp.where(low, a, 1 - a), 2 * a - 1  # d, and 1 - a where it is used, are exact
    ratio = xp.where(low, -d, d) / xp.where(tail == 0, xp.ones_like(a), tail)
    size = xp.where(tail == 0, xp.full_like(a, math.inf), xp.log1p(ratio))
    return xp.where(low, -size, size)


def _log_expit(xp: Any, a: Any) -> Any:
    return xp.where(a < 0, a, xp.zeros_like(a)) - xp.log1p(xp.exp(-xp.abs(a)))


_special(
    "expit",
    "elementwise",
    lambda g, a, y, call: g * (y * call("special.expit", -a)),
    forward=_expit,
)
_special("logit", "elementwise", lambda g, a: g / (a * (1 - a)), forward=_logit)
_special(
    "log_expit",
    "elementwise",
    lambda g, a, call: g * call("special.expit", -a),
    forward=_log_expit,
)


# --- entropies


def _entr(xp: Any, a: Any) -> Any:
    positive = xp.where(a > 0, a, xp.ones_like(a))
    value = xp.where(xp.isnan(a), a, -positive * xp.log(positive))
    return xp.where(a < 0, xp.full_like(a, -math.inf), value)


def _times_log(xp: Any, a: Any, b: Any, log: Callable[[Any], Any], one: float) -> Any:
    """``a * log(b)``, and 0 where a is 0 and b a number."""
    zero = (a == 0) & ~xp.isnan(b)
    return xp.where(zero, xp.zeros_like(a), a) * log(xp.where(zero, xp.full_like(b, one), b))


def _quotient(xp: Any, a: Any, b: Any) -> Any:
    """``a / b``; where both are 0, it is 0 and its own derivatives infinite."""
    both = xp.logical_and(a == 0, b == 0)
    total = xp.add(a, b)
    root = xp.sqrt(xp.where(both, total, xp.ones_like(total)))
    return xp.where(both, root, xp.divide(a, xp.where(both, xp.ones_like(b), b)))


def _log_ratio(xp: Any, a: Any, b: Any) -> Any:
    """``log(a / b)``, accurate where the two are close."""
    near = (a > 0) & (a / 2 < b) & (b / 2 < a)
    ones = xp.ones_like(a + b)
    x, y = xp.where(near, a, ones), xp.where(near, b, ones)
    far = xp.log(xp.where(near, ones, a)) - xp.log(xp.where(near, ones, b))
    return xp.where(near, xp.log1p((x - y) / y), far)


def _rel_entr(xp: Any, a: Any, b: Any) -> Any:
    inside, zero = (a > 0) & (b > 0), (a == 0) & (b >= 0)
    ones = xp.ones_like(a + b)
    x, y = xp.where(inside, a, ones), xp.where(inside, b, ones)
    outside = xp.where(zero, xp.zeros_like(ones), xp.full_like(ones, math.inf))
    value = xp.where(inside, x * _log_ratio(xp, x, y), outside)
    return xp.where(xp.isnan(a) | xp.isnan(b), xp.full_like(ones, math.nan), value)


def _share(xp: Any, a: Any, b: Any) -> Any:
    """``a / b`` in the domain of the relative entropy."""
    value = _quotient(xp, a, b)
    outside = xp.logical_or(a < 0, b < 0)
    return xp.where(outside, xp.full_like(value, math.nan), value)


_special("entr", "elementwise", lambda xp, g, a: -g * (xp.log(a) + 1), forward=_entr)
_special(
    "xlogy",
    "elementwise",
    lambda xp, g, b: g * xp.log(b),
    lambda xp, g, a, b: g * _quotient(xp, a, b),
    forward=lambda xp, a, b: _times_log(xp, a, b, xp.log, 1.0),
)
_special(
    "xlog1py",
    "elementwise",
    lambda xp, g, b: g * xp.log1p(b),
    lambda xp, g, a, b: g * _quotient(xp, a, 1 + b),
    forward=lambda xp, a, b: _times_log(xp, a, b, xp.log1p, 0.0),
)
_special("_log_ratio", "elementwise", lambda g, a: g / a, lambda g, b: -g / b, forward=_log_ratio)
_special(
    "rel_entr",
    "elementwise",
    lambda g, a, b, call: g * (call("special._log_ratio", a, b) + 1),
    lambda xp, g, a, b: -g * _share(xp, a, b),
    forward=_rel_entr,
)
_special(
    "kl_div",
    "elementwise",
    lambda g, a, b, call: g * call("special._log_ratio", a, b),
    lambda xp, g, a, b: g * (1 - _share(xp, a, b)),
    forward=lambda xp, a, b: _rel_entr(xp, a, b) - a + b,
)


# --- sums of exponentials


def _softmax(xp: Any, a: Any, axis: Any = None) -> Any:
    e = xp.exp(a - xp.max(a, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


def _log_sum(xp: Any, a: Any, axis: Any) -> tuple[Any, Any, Any]:
    """The maximum, `a` less that, and the logarithm of the sum of exponentials of these.

    The largest are counted apart: what the others add is not lost beside 1. Where the maximum is
    infinite, so is the sum.
    """
    largest = xp.max(a, axis=axis, keepdims=True)
    d = a - xp.where(xp.isinf(largest), xp.zeros_like(largest), largest)
    ties = (d == 0) | xp.isinf(largest)
    rest = xp.where(ties, xp.full_like(d, -math.inf), d)
    count = xp.sum(xp.astype(ties, a.dtype), axis=axis, keepdims=True)
    count = xp.where(count == 0, xp.ones_like(count), count)  # there is a NaN
    total = xp.sum(xp.exp(rest), axis=axis, keepdims=True)
    return largest, d, xp.log1p(total / count) + xp.log(count)


def _log_softmax(xp: Any, a: Any, axis: Any = None) -> Any:
    largest, d, log = _log_sum(xp, a, axis)
    return xp.where(xp.isinf(largest), a - largest, d - log)


def _logsumexp(xp: Any, a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    largest, _, log = _log_sum(xp, a, axis)
    y = largest + log
    return y if keepdims else _squeezed(xp, y, axis)


def _squeezed(xp: Any, y: Any, axis: Any) -> Any:
    axes = tuple(range(y.ndim)) if axis is None else axis
    return xp.squeeze(y, axis=axes)


def _pull_logsumexp(xp: Any, g: Any, a: Any, y: Any, axis: Any, keepdims: bool) -> Any:  # noqa: FBT001
    if not keepdims:
        kept = xp.sum(xp.zeros_like(a), axis=axis, keepdims=True).shape
        g, y = xp.reshape(g, kept), xp.reshape(y, kept)
    ties = xp.isinf(a) & xp.equal(a, y)
    zero = xp.zeros_like(a)
    e = xp.exp(xp.where(ties, zero, a) - xp.where(ties, zero, y))
    return g * (e / xp.sum(e, axis=axis, keepdims=True))


_special(
    "softmax",
    "other",
    lambda xp, g, y, axis: (g - xp.sum(g * y, axis=axis, keepdims=True)) * y,
    forward=_softmax,
)
_special(
    "log_softmax",
    "other",
    lambda xp, g, y, axis: g - xp.exp(y) * xp.sum(g, axis=axis, keepdims=True),
    forward=_log_softmax,
)
_special("logsumexp", "other", _pull_logsumexp, forward=_logsumexp)


# --- errors and the normal distribution


def _erfcx(xp: Any, a: Any, *, n: int) -> Any:
    """Derivative of order `n` of ``erfcx(a) = exp(a**2) * erfc(a)``.

    They satisfy ``y[k] = 2 a y[k-1] + 2 (k-1) y[k-2]``, which for positive `a` cancels; there the
    ratios of neighbours are continued fractions, whose convergence from 2 on takes 50 steps.

    References
    ----------
    Gautschi, Computational aspects of three-term recurrence relations, SIAM Review 9 (1967).
    """
    right = a > 2  # noqa: PLR2004
    x, rest = _split(xp, right, a, 2.0)
    steps = n + 50
    s = 2 * steps / (2 * x + math.sqrt(2 * steps))
    ratio = xp.ones_like(x)
    for k in range(steps, 0, -1):
        s = 2 * k / (2 * x + s)
        if k <= n:
            ratio = -s * ratio
    before, y = xp.full_like(rest, -1 / math.sqrt(math.pi)), special_function("erfcx", rest)
    for k in range(n):
        before, y = y, 2 * rest * y + 2 * max(k, 1) * before
    return xp.where(right, special_function("erfcx", x) * ratio, y)


def _density(xp: Any, a: Any) -> Any:
    """Of the standard normal distribution."""
    return xp.exp(-a * a / 2) / math.sqrt(2 * math.pi)


def _mills(xp: Any, a: Any, call: Any) -> Any:
    """``density(a) / ndtr(a)``, accurate in both tails."""
    left, right = _split(xp, a < 0, a, 0.0)
    tail = math.sqrt(2 / math.pi) / call("special.erfcx", -left / math.sqrt(2))
    return xp.where(a < 0, tail, _density(xp, right) / call("special.ndtr", right))


_special("erf", "elementwise", lambda xp, g, a: g * (xp.exp(-a * a) * (2 / math.sqrt(math.pi))))
_special("erfc", "elementwise", lambda xp, g, a: -g * (xp.exp(-a * a) * (2 / math.sqrt(math.pi))))
_special("erfinv", "elementwise", lambda xp, g, y: g * (xp.exp(y * y) * (math.sqrt(math.pi) / 2)))
_special("erfcx", "elementwise", lambda g, a, call: g * call("special._erfcx", a, n=1))
_special(
    "_erfcx",
    "elementwise",
    lambda g, a, n, call: g * call("special._erfcx", a, n=n + 1),
    forward=_erfcx,
)
_special("ndtr", "elementwise", lambda xp, g, a: g * _density(xp, a))
_special("log_ndtr", "elementwise", lambda xp, g, a, call: g * _mills(xp, a, call))
_special("ndtri", "elementwise", lambda xp, g, y: g * (xp.exp(y * y / 2) * math.sqrt(2 * math.pi)))


# --- gamma functions and distributions


def _pull_gammainc(xp: Any, g: Any, a: Any, b: Any, call: Any) -> Any:
    return g * xp.exp(call("special.xlogy", a - 1, b) - b - call("special.gammaln", a))


def _pull_stdtr(xp: Any, g: Any, a: Any, b: Any, call: Any) -> Any:
    log = xp.log1p(xp.divide(b * b, a)) * ((a + 1) / 2) + xp.log(a) / 2
    return g * xp.exp(-log - call("special.betaln", a / 2, xp.full_like(a, 0.5)))


def _pull_betaln(xp: Any, g: Any, a: Any, b: Any, call: Any) -> Any:
    return g * xp.subtract(call("special.digamma", a), call("special.digamma", xp.add(a, b)))


_special("gammaln", "elementwise", lambda g, a, call: g * call("special.digamma", a))
_special("gamma", "elementwise", lambda g, a, y, call: g * (y * call("special.digamma", a)))
_special("digamma", "elementwise", lambda g, a, call: g * call("special.polygamma", a, n=1))
_special(
    "polygamma",
    "elementwise",
    lambda g, a, n, call: g * call("special.polygamma", a, n=n + 1),
    forward=lambda xp, a, *, n: xp.astype(special_function("polygamma", n, a), a.dtype, copy=False),
)
_special(
    "betaln",
    "elementwise",
    _pull_betaln,
    lambda xp, g, a, b, call: _pull_betaln(xp, g, b, a, call),
)
_special(
    "beta",
    "elementwise",
    lambda xp, g, a, b, y, call: _pull_betaln(xp, g * y, a, b, call),
    lambda xp, g, a, b, y, call: _pull_betaln(xp, g * y, b, a, call),
)
_special("gammainc", "elementwise", _shape_of("gammainc", "a"), _pull_gammainc)
_special(
    "gammaincc",
    "elementwise",
    _shape_of("gammaincc", "a"),
    lambda xp, g, a, b, call: _pull_gammainc(xp, -g, a, b, call),
)
_special("stdtr", "elementwise", _shape_of("stdtr", "df"), _pull_stdtr)


# --- modified Bessel functions, and their multiples by exp(-abs(a))


def _bessel(xp: Any, t: Any, last: int) -> list[Any]:
    """``exp(-t) * I_m(t)`` for m up to `last` and t from 0 on.

    By power series, whose terms are all positive, or by recurrence, which cancels little from 10
    on.
    """
    row = [special_function("i0e", t), special_function("i1e", t)]
    near, far = _split(xp, t < 10, t, 10.0)  # noqa: PLR2004
    before, y = special_function("i0e", far), special_function("i1e", far)
    for m in range(2, last + 1):
        before, y = y, before - 2 * (m - 1) / far * y
        terms = [1 / (math.factorial(k) * math.factorial(m + k)) for k in range(40)]
        series = xp.exp(-near) * (near / 2) ** m * _polynomial(terms, near * near / 4)
        row.append(xp.where(t < 10, series, y))  # noqa: PLR2004
    return row


def _iv(xp: Any, a: Any, *, n: int) -> Any:
    t = xp.abs(a)
    y = xp.exp(t) * _bessel(xp, t, n)[n]
    return xp.sign(a) * y if n % 2 else y


def _scaled(xp: Any, a: Any, *, n: int, order: int) -> Any:
    """Derivative of some order of ``exp(-abs(a)) * I_n(a)``; at 0, the mean of both sides.

    By differences of neighbours, ``y' = (y[n-1] + y[n+1]) / 2 - y[n]``, and from 30 on, where these
    cancel, by the asymptotic series.

    References
    ----------
    Abramowitz and Stegun, Handbook of Mathematical Functions, 9.6.26 and 9.7.1.
    """
    t = xp.abs(a)
    near, far = _split(xp, t < 30, t, 30.0)  # noqa: PLR2004
    members = _bessel(xp, near, n + order)
    row = [members[abs(m)] for m in range(n - order, n + order + 1)]
    for _ in range(order):
        row = [(p + r) / 2 - q for p, q, r in zip(row, row[1:], row[2:], strict=False)]
    terms, c = [], 1 / math.sqrt(2 * math.pi)
    for k in range(25):
        terms.append(c * math.prod(-k - 0.5 - i for i in range(order)))
        c *= ((2 * k + 1) ** 2 - 4 * n * n) / (8 * (k + 1))
    series = _polynomial(terms, 1 / far) / (xp.sqrt(far) * far**order)
    y = xp.where(t < 30, row[0], series)  # noqa: PLR2004
    return xp.sign(a) * y if (n + order) % 2 else y


_special("i0", "elementwise", lambda g, a, call: g * call("special.i1", a))
_special(
    "i1",
    "elementwise",
    lambda g, a, call: g * ((call("special.i0", a) + call("special._iv", a, n=2)) / 2),
)
_special(
    "_iv",
    "elementwise",
    lambda g, a, n, call: (
        g * ((call("special._iv", a, n=n - 1) + call("special._iv", a, n=n + 1)) / 2)
    ),
    forward=_iv,
)
_special("i0e", "elementwise", lambda g, a, call: g * call("special._scaled", a, n=0, order=1))
_special("i1e", "elementwise", lambda g, a, call: g * call("special._scaled", a, n=1, order=1))
_special(
    "_scaled",
    "elementwise",
    lambda g, a, n, order, call: g * call("special._scaled", a, n=n, order=order + 1),
    forward=_scaled,
)


# --- sin(pi x) / (pi x)


def _sinc(xp: Any, a: Any, *, n: int) -> Any:
    """Derivative of order `n`: by its power series, or by recurrence where that cancels little."""
    z = math.pi * a
    near = xp.abs(z) < n + 1
    small, large = _split(xp, near, z, n + 1.0)
    first = (n + 1) // 2
    terms = [
        (-1) ** k / ((2 * k + 1) * math.factorial(2 * k - n)) for k in range(first, first + 25)
    ]
    series = _polynomial(terms, small * small)
    sine, cosine = xp.sin(large), xp.cos(large)
    y = sine / large
    for k in range(1, n + 1):
        turned = (sine, cosine, -sine, -cosine)[k % 4]
        y = (turned - k * y) / large
    return math.pi**n * xp.where(near, small * series if n % 2 else series, y)


_special(
    "sinc",
    "elementwise",
    lambda g, a, call: g * call("special._sinc", a, n=1),
    forward=lambda xp, a: _sinc(xp, a, n=0),
)
_special(
    "_sinc",
    "elementwise",
    lambda g, a, n, call: g * call("special._sinc", a, n=n + 1),
    forward=_sinc,
)


class Special:
    """The part of the traced namespace with the special functions of the table."""

    def __init__(self, xp: Any) -> None:
        for name, entry in RULES.items():
            short = name.removeprefix(_PREFIX)
            if name != short and not short.startswith("_"):
                setattr(self, short, _recording(short, entry, xp))
        self.polygamma = partial(_polygamma, xp)
        self.psi = self.digamma

    def __getattr__(self, name: str) -> Any:
        msg = f"special has no {name!r}: it has {', '.join(sorted(vars(self)))}"
        raise AttributeError(msg)


def _polygamma(xp: Any, n: int, x: Any, /) -> Array:
    """Derivative of order `n` of `digamma`."""
    if type(n) is not int or n < 0:
        msg = f"`n` of special.polygamma must be an int from 0 on: got {n!r}"
        raise TypeError(msg)
    if n == 0:
        return xp.special.digamma(x)
    return apply(RULES["special.polygamma"], _floating("polygamma", xp, [x]), {"n": n})


def _recording(name: str, entry: Rule, xp: Any) -> Callable[..., Array]:
    """Function that computes a rule on real floating arrays."""
    arity = entry.arity
    most = entry.forward.__code__.co_argcount - 1  # what may be given by position

    def function(*args: Any, **options: Any) -> Array:
        if not arity <= len(args) <= most:
            msg = f"special.{name} takes {arity} to {most} positional arguments: got {len(args)}"
            raise TypeError(msg)
        options.update(zip(entry.defaults, args[arity:], strict=False))
        return apply(entry, _floating(name, xp, args[:arity]), options)

    function.__name__ = function.__qualname__ = name
    return function


def _floating(name: str, xp: Any, args: Sequence[Any]) -> list[Any]:
    """Arguments as real floating arrays; whole numbers and scalars take the others' dtype."""
    arrays = [x for x in args if is_array(x)]
    if any(is_complex_dtype(x.dtype) for x in arrays) or any(type(x) is complex for x in args):
        msg = f"special.{name} takes real arguments: got complex ones"
        raise TypeError(msg)
    dtype = next(
        (x.dtype for x in arrays if is_inexact_dtype(x.dtype)), xp.inner.asarray(0.0).dtype
    )
    device = arrays[0].device if arrays else None
    made = []
    for x in args:
        if not is_array(x):
            x = xp.inner.asarray(x, dtype=dtype, device=device)  # noqa: PLW2901
        made.append(x if is_inexact_dtype(x.dtype) else xp.astype(x, dtype))
    return made
