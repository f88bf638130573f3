"""The table of rules: elementwise functions. `g` is the cotangent, `y` the result.

Where a function is holomorphic, the cotangent is g times the conjugate of its derivative, so that
the gradient of a real loss is the direction of its steepest ascent. Conventions at kinks: ties of
`maximum` and `minimum` share equally; `abs` and `hypot` have gradient 0 at 0; ``x**0`` has
gradient 0 everywhere, ``0**y`` in y, too. The second derivative of a real `abs` is 0 at 0; that of
`hypot`, and of what else grows without bounds there, is not a number.
"""

from __future__ import annotations

import cmath
import math
from typing import Any

from gradlab.autodiff.rule import discrete, rule
from gradlab.backend import kind_of, namespace, sign

__all__ = ["conj", "is_complex_dtype", "is_inexact_dtype", "ratio"]


def is_complex_dtype(dtype: Any) -> bool:
    """Whether a dtype of any library is complex; its name says so everywhere."""
    return kind_of(dtype) == "complex floating"


def is_inexact_dtype(dtype: Any) -> bool:
    """Whether a dtype of any library is real or complex floating."""
    return kind_of(dtype) in ("real floating", "complex floating")


def conj(x: Any) -> Any:
    """Conjugate of an array or number; a real one is returned as it is."""
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        return x.conjugate()
    return namespace(x).conj(x) if is_complex_dtype(dtype) else x


def _unit(xp: Any, x: Any) -> Any:
    """Sign of real numbers; complex ones by their size, and 0 where that is 0."""
    if not is_complex_dtype(x.dtype):
        return sign(x)
    size = xp.abs(x)
    return x * ratio(xp, xp.ones_like(size), size)


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | complex) and not hasattr(x, "dtype")


def _as(condition: Any, like: Any, xp: Any) -> Any:
    """Truth values as numbers 0 and 1 in the real dtype that goes with `like`."""
    return xp.astype(condition, xp.real(like).dtype if is_complex_dtype(like.dtype) else like.dtype)


def ratio(xp: Any, above: Any, below: Any) -> Any:
    """Quotient; where `below` is 0, it is 0 and its own derivative infinite."""
    zero = below == 0
    return xp.where(zero, xp.sqrt(below), above / xp.where(zero, xp.ones_like(below), below))


def _promoted(xp: Any, g: Any, *operands: Any) -> list[Any]:
    """Operands in the dtype that goes with all: whole numbers wrap, and others lose precision."""
    dtype = xp.result_type(g, *(x for x in operands if hasattr(x, "dtype")))
    return [xp.astype(x, dtype, copy=False) if hasattr(x, "dtype") else x for x in operands]


def _divisor(g: Any, a: Any, b: Any) -> Any:
    slope = -a / b if _is_number(a) else -(a / b)  # whole numbers without sign would wrap
    slope /= b  # in its memory
    return g * conj(slope)


def _pow_base(xp: Any, g: Any, a: Any, b: Any, call: Any) -> Any:
    if _is_number(b):
        if b == 0:
            return xp.zeros_like(g)
        return g * conj(b * a ** (b - 1) if b != 2 else 2 * a)  # noqa: PLR2004
    a, b = _promoted(xp, g, a, b)
    return _power_log_base(xp, g, a, b, call, 0)


def _pow_exponent(xp: Any, g: Any, a: Any, b: Any, y: Any, call: Any) -> Any:
    if _is_number(a):
        log = cmath.log(a) if isinstance(a, complex) and a else math.log(a) if a > 0 else math.nan
        return g * conj(y * log) if a else xp.zeros_like(g)
    a, b = _promoted(xp, g, a, b)
    slope = call("power_log", a, b, n=1)
    return g * conj(xp.where((a == 0) & (b == 0), xp.zeros_like(slope), slope))


def _power_log(xp: Any, a: Any, b: Any, *, n: int) -> Any:
    """``a**b * log(a)**n`` with its limits at 0: the derivatives of a power in its exponent."""
    if n == 0:
        return a**b
    zero = a == 0
    y = a**b * xp.log(xp.where(zero, xp.ones_like(a), a)) ** n
    real = xp.real(b) if is_complex_dtype(b.dtype) else b
    return xp.where(zero & (real <= 0), xp.full_like(y, (-math.inf) ** n), y)


def _power_log_base(xp: Any, g: Any, a: Any, b: Any, call: Any, n: int) -> Any:
    # x**0 has gradient 0 at 0; elsewhere it is b - 1 itself, whose derivative in b counts
    both = (a == 0) & (b == 0)
    less = xp.where(both, xp.ones_like(b), b - 1) if n == 0 else b - 1
    slope = b * call("power_log", a, less, n=n)
    return g * conj(slope + n * call("power_log", a, less, n=n - 1) if n else slope)


def _atan2(xp: Any, g: Any, a: Any, b: Any, other: Any) -> Any:
    a, b, other = _promoted(xp, g, a, b, other)
    size = xp.hypot(a, b)  # squares of what is small would lose digits
    return g * (other / size / size)


def _logaddexp(xp: Any, g: Any, a: Any, b: Any, y: Any) -> Any:
    """Cotangent of `a`: g times the logistic function of a - b, accurate in both tails."""
    both = xp.isinf(a) & (a == b)  # there a - b is not a number, and each has its half
    zero = xp.zeros_like(y)
    t = xp.where(both, zero, a) - xp.where(both, zero, b)
    e = xp.exp(xp.where(t < 0, t, -t))  # not abs: its kink at 0 would cost a second derivative
    return g * (xp.where(t < 0, e, xp.ones_like(e)) / (1 + e))


discrete(
    *("all", "any", "argmax", "argmin", "argsort", "bitwise_and", "bitwise_invert"),
    *("bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil"),
    *("count_nonzero", "equal", "floor", "floor_divide", "greater", "greater_equal", "isfinite"),
    *("isin", "isinf", "isnan", "less", "less_equal", "logical_and", "logical_not", "logical_or"),
    *("logical_xor", "nonzero", "not_equal", "round", "searchsorted", "signbit", "trunc"),
)

rule("add", "elementwise", lambda g: g, lambda g: g)
rule("subtract", "elementwise", lambda g: g, lambda g: -g)
rule("multiply", "elementwise", lambda g, b: g * conj(b), lambda g, a: g * conj(a))
rule("divide", "elementwise", lambda g, b: g / conj(b), _divisor)
rule("pow", "elementwise", _pow_base, _pow_exponent)
rule(
    "power_log",
    "elementwise",
    _power_log_base,
    lambda g, a, b, n, call: g * conj(call("power_log", a, b, n=n + 1)),
    forward=_power_log,
    is_internal=True,
)
rule("remainder", "elementwise", lambda g: g, lambda xp, g, a, b, y: -g * xp.round((a - y) / b))
rule("negative", "elementwise", lambda g: -g)
rule("positive", "elementwise", lambda g: g)
rule("square", "elementwise", lambda g, a: g * (2 * conj(a)))
rule("reciprocal", "elementwise", lambda g, y: -g * conj(y * y))
rule("abs", "elementwise", lambda xp, g, a: g * _unit(xp, a))

rule("exp", "elementwise", lambda g, y: g * conj(y))
rule("expm1", "elementwise", lambda g, y: g * conj(y + 1))
rule("log", "elementwise", lambda g, a: g / conj(a))
rule("log1p", "elementwise", lambda g, a: g / conj(a + 1))
rule("log2", "elementwise", lambda g, a: g / (conj(a) * math.log(2)))
rule("log10", "elementwise", lambda g, a: g / (conj(a) * math.log(10)))
rule("sqrt", "elementwise", lambda g, y: g / (2 * conj(y)))

rule(
    "root",  # the last step of norms
    "elementwise",
    lambda xp, g, a, y, degree: g * ratio(xp, y / degree, a),
    forward=lambda xp, a, *, degree: a ** (1 / degree),
    is_internal=True,
)

rule(
    "rest_of_square",  # 1 - a * a, whose digits cancel neither close to 1 nor, in the slope, to 0
    "elementwise",
    lambda g, a: g * (-2 * conj(a)),
    forward=lambda xp, a: (1 - a) * (1 + a),
    is_internal=True,
)

rule("sin", "elementwise", lambda xp, g, a: g * conj(xp.cos(a)))
rule("cos", "elementwise", lambda xp, g, a: -g * conj(xp.sin(a)))
rule("tan", "elementwise", lambda g, y: g * conj(1 + y * y))
rule("asin", "elementwise", lambda xp, g, a, call: g / conj(xp.sqrt(call("rest_of_square", a))))
rule("acos", "elementwise", lambda xp, g, a, call: -g / conj(xp.sqrt(call("rest_of_square", a))))
rule("atan", "elementwise", lambda g, a: g / conj(1 + a * a))
rule("sinh", "elementwise", lambda xp, g, a: g * conj(xp.cosh(a)))
rule("cosh", "elementwise", lambda xp, g, a: g * conj(xp.sinh(a)))
rule("tanh", "elementwise", lambda g, y: g * conj(1 - y * y))
rule("asinh", "elementwise", lambda xp, g, a: g / conj(xp.sqrt(a * a + 1)))
rule("acosh", "elementwise", lambda xp, g, a: g / conj(xp.sqrt(a - 1) * xp.sqrt(a + 1)))
rule("atanh", "elementwise", lambda g, a, call: g / conj(call("rest_of_square", a)))
rule(
    "atan2",
    "elementwise",
    lambda xp, g, a, b: _atan2(xp, g, a, b, b),
    lambda xp, g, a, b: _atan2(xp, -g, a, b, a),
)
rule(
    "hypot",
    "elementwise",
    lambda xp, g, a, y: g * ratio(xp, xp.broadcast_to(a, y.shape), y),
    lambda xp, g, b, y: g * ratio(xp, xp.broadcast_to(b, y.shape), y),
)
rule("logaddexp", "elementwise", _logaddexp, lambda xp, g, a, b, y: _logaddexp(xp, g, b, a, y))

rule(
    "maximum",
    "elementwise",
    lambda xp, g, a, b: g * ((_as(a > b, g, xp) + _as(a >= b, g, xp)) / 2),
    lambda xp, g, a, b: g * ((_as(b > a, g, xp) + _as(b >= a, g, xp)) / 2),
)
rule(
    "minimum",
    "elementwise",
    lambda xp, g, a, b: g * ((_as(a < b, g, xp) + _as(a <= b, g, xp)) / 2),
    lambda xp, g, a, b: g * ((_as(b < a, g, xp) + _as(b <= a, g, xp)) / 2),
)
rule(
    "where",
    "elementwise",
    None,
    lambda xp, g, a: xp.where(a, g, xp.zeros_like(g)),
    lambda xp, g, a: xp.where(a, xp.zeros_like(g), g),
)
rule(
    "copysign",
    "elementwise",
    lambda xp, g, a, y: xp.where(xp.signbit(a) == xp.signbit(y), g, -g),
    None,
)

rule("real", "elementwise", lambda g: g)
rule("imag", "elementwise", lambda xp, g, dtype: xp.astype(g, dtype) * 1j)
rule("conj", "elementwise", lambda g: conj(g))
rule(
    "astype",
    "elementwise",
    lambda g: g,
    forward=lambda xp, a, *, dtype, copy=True: xp.astype(a, dtype, copy=copy),
)
