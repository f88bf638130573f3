"""The table of rules, and the functions written with them: Fourier transforms.

Each is linear, so that its forward mode is itself. A pull is the adjoint: the inverse transform
under the other normalisation. A real argument's cotangent is the real part.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

from gradlab.autodiff.array import apply, constant
from gradlab.autodiff.rule import RULES, rule

__all__ = ["FOURIER"]

_DUAL = {"backward": "forward", "forward": "backward", "ortho": "ortho", None: "forward"}


def _sized(xp: Any, x: Any, n: int, axis: int) -> Any:
    """Array cut, or filled with zeros, to n elements along an axis."""
    length, axis = x.shape[axis], axis % len(x.shape)
    if length >= n:
        return x[(slice(None),) * axis + (slice(n), ...)]
    shape = (*x.shape[:axis], n - length, *x.shape[axis + 1 :])
    return xp.concat([x, xp.zeros(shape, dtype=x.dtype, device=x.device)], axis=axis)


def _weighted(xp: Any, g: Any, n: int, axis: int, norm: str, m: int) -> Any:
    """Adjoint of the real inverse: what stands for itself and its mirror image counts twice."""
    half = xp.fft.rfft(g, n=n, axis=axis, norm=_DUAL[norm])
    k = xp.arange(half.shape[axis], device=g.device)
    twice = xp.astype((k > 0) & (2 * k < n), g.dtype) + 1
    shape = [1] * len(g.shape)
    shape[axis] = -1
    return _sized(xp, half * xp.reshape(twice, tuple(shape)), m, axis)


def _complex_rule(name: str, adjoint: str) -> None:
    rule(
        f"fft.{name}",
        "linear",
        lambda xp, g, shape, axis, norm: _sized(
            xp, getattr(xp.fft, adjoint)(g, axis=axis, norm=_DUAL[norm]), shape[axis], axis
        ),
        forward=lambda xp, a, *, n=None, axis=-1, norm="backward": getattr(xp.fft, name)(
            a, n=n, axis=axis, norm=norm
        ),
    )


_complex_rule("fft", "ifft")
_complex_rule("ifft", "fft")
rule(
    "fft.rfft",
    "linear",
    lambda xp, g, shape, n, axis, norm: _sized(
        xp,
        xp.real(xp.fft.ifft(_sized(xp, g, n, axis), axis=axis, norm=_DUAL[norm])),
        shape[axis],
        axis,
    ),
    forward=lambda xp, a, *, n, axis=-1, norm="backward": xp.fft.rfft(a, n=n, axis=axis, norm=norm),
)
rule(
    "fft.irfft",
    "linear",
    lambda xp, g, shape, n, axis, norm: _weighted(xp, g, n, axis, norm, shape[axis]),
    forward=lambda xp, a, *, n, axis=-1, norm="backward": xp.fft.irfft(
        a, n=n, axis=axis, norm=norm
    ),
)


def _fft(xp: Any, x: Any, /, *, n: Any = None, axis: int = -1, norm: str = "backward") -> Any:
    return apply(RULES["fft.fft"], (x,), {"n": n, "axis": axis, "norm": norm})


def _ifft(xp: Any, x: Any, /, *, n: Any = None, axis: int = -1, norm: str = "backward") -> Any:
    return apply(RULES["fft.ifft"], (x,), {"n": n, "axis": axis, "norm": norm})


def _rfft(xp: Any, x: Any, /, *, n: Any = None, axis: int = -1, norm: str = "backward") -> Any:
    n = x.shape[axis] if n is None else n
    return apply(RULES["fft.rfft"], (x,), {"n": n, "axis": axis, "norm": norm})


def _irfft(xp: Any, x: Any, /, *, n: Any = None, axis: int = -1, norm: str = "backward") -> Any:
    n = 2 * (x.shape[axis] - 1) if n is None else n
    return apply(RULES["fft.irfft"], (x,), {"n": n, "axis": axis, "norm": norm})


def _hfft(xp: Any, x: Any, /, *, n: Any = None, axis: int = -1, norm: str = "backward") -> Any:
    return _irfft(xp, xp.conj(x), n=n, axis=axis, norm=_DUAL[norm])


def _ihfft(xp: Any, x: Any, /, *, n: Any = None, axis: int = -1, norm: str = "backward") -> Any:
    return xp.conj(_rfft(xp, x, n=n, axis=axis, norm=_DUAL[norm]))


def _sizes(x: Any, s: Any, axes: Any) -> list[tuple[int, Any]]:
    """Axes to transform, each with the length to cut or fill it to, or None."""
    if axes is None:
        axes = range(len(x.shape)) if s is None else range(len(x.shape) - len(s), len(x.shape))
    axes = tuple(axes)
    if len({k % len(x.shape) for k in axes}) < len(axes):
        msg = f"a transform along several axes takes them once each: got `axes` {axes}"
        raise ValueError(msg)
    return list(zip(axes, [None] * len(axes) if s is None else s, strict=True))


def _fftn(xp: Any, x: Any, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    for axis, n in _sizes(x, s, axes):
        x = _fft(xp, x, n=n, axis=axis, norm=norm)
    return x


def _ifftn(xp: Any, x: Any, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    for axis, n in _sizes(x, s, axes):
        x = _ifft(xp, x, n=n, axis=axis, norm=norm)
    return x


def _rfftn(xp: Any, x: Any, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    *others, (last, n) = _sizes(x, s, axes)
    x = _rfft(xp, x, n=n, axis=last, norm=norm)
    for axis, m in others:
        x = _fft(xp, x, n=m, axis=axis, norm=norm)
    return x


def _irfftn(xp: Any, x: Any, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    *others, (last, n) = _sizes(x, s, axes)
    for axis, m in others:
        x = _ifft(xp, x, n=m, axis=axis, norm=norm)
    return _irfft(xp, x, n=n, axis=last, norm=norm)


def _fftshift(xp: Any, x: Any, /, *, axes: Any = None) -> Any:
    axes = _axes(x, axes)
    return xp.roll(x, tuple(x.shape[k] // 2 for k in axes), axis=axes)


def _ifftshift(xp: Any, x: Any, /, *, axes: Any = None) -> Any:
    axes = _axes(x, axes)
    return xp.roll(x, tuple(-(x.shape[k] // 2) for k in axes), axis=axes)


def _axes(x: Any, axes: Any) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(len(x.shape)))
    return (int(axes),) if isinstance(axes, Integral) else tuple(axes)


def _fftfreq(xp: Any, n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    return constant(xp.inner.fft.fftfreq(n, d=d, dtype=dtype, device=device))


def _rfftfreq(xp: Any, n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    return constant(xp.inner.fft.rfftfreq(n, d=d, dtype=dtype, device=device))


# The functions of the namespace's extension `fft`, by their names in the standard
FOURIER = {
    function.__name__.removeprefix("_"): function
    for function in (
        *(_fft, _ifft, _fftn, _ifftn, _rfft, _irfft, _rfftn, _irfftn, _hfft, _ihfft),
        *(_fftshift, _ifftshift, _fftfreq, _rfftfreq),
    )
}
