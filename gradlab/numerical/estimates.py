"""Gradients from a few evaluations in random directions, for functions of many variables."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Literal, get_args

from gradlab import tree
from gradlab.backend import Array, Namespace, nonfinite_expected
from gradlab.backend.random import Generator, as_generator
from gradlab.numerical.points import BlackBox

__all__ = ["estimate_gradient"]

Estimator = Literal["spsa", "gaussian", "sphere", "coordinate"]


def estimate_gradient(
    f: Callable[[Any], Array],
    x: tree.Tree,
    /,
    *,
    method: Estimator = "spsa",
    n_samples: int,
    step: float | None = None,
    antithetic: bool = True,
    seed: int | Generator | None,
    vectorized: bool = False,
    chunk_size: int | None = None,
) -> tree.Tree:
    """Random estimate of the gradient of a scalar function, unbiased but for the step.

    With g the gradient, u a random direction and c the step, the mean over the samples of
    ``(f(x + c u) - f(x - c u)) / (2 c) * u`` (for `sphere` and `coordinate`, times n, the number of
    elements).

    Parameters
    ----------
    f : callable
        Maps what `x` is to a real scalar. Called 2 n_samples + 1 times, on copies; without
        `antithetic`, n_samples + 1 times.
    x : array, number, or nested dict, list or tuple of arrays
        Real. Not modified.
    method : {"spsa", "gaussian", "sphere", "coordinate"}
        Elements of u are 1 or -1 at random; normal numbers; a point of the unit sphere; one
        element, drawn at random, is 1 and all others are 0. For one sample and small steps, the
        variance of element i is ``|g|**2 - g_i**2``, ``|g|**2 + g_i**2``,
        ``n (|g|**2 + 2 g_i**2) / (n + 2) - g_i**2`` and ``(n - 1) g_i**2``.
    n_samples : int
        Directions; the variance falls as their inverse.
    step : float, optional
        c, in units of `x`. Default: eps**(1/3) of the coarser dtype (eps**(1/2) without
        `antithetic`), times ``max(1, max(|x|))``. Take a larger one where f is noisy.
    antithetic : bool
        Evaluate on both sides: error O(step**2) instead of O(step), and the variance no longer
        grows with f's own value or curvature.
    seed : int, Generator or None
        The draws are the same on every backend. A `Generator` goes on with its numbers from call
        to call, and tells its seed; None draws fresh ones.
    vectorized, chunk_size
        As for `gradlab.numerical.gradient`.

    Returns
    -------
    array or tree like `x`

    Raises
    ------
    TypeError
        If `x` is not real, or `f` returns no real number of its library.
    ValueError
        If `f` does not return a scalar, an option is none of the above, or `step` moves nothing.

    References
    ----------
    Spall, Multivariate stochastic approximation using a simultaneous perturbation gradient
    approximation, IEEE Trans. Autom. Control 37 (1992). Nesterov and Spokoiny, Random
    gradient-free minimization of convex functions, Found. Comput. Math. 17 (2017). Berahas, Cao,
    Choromanski and Scheinberg, A theoretical and empirical comparison of gradient approximations
    in derivative-free optimization, Found. Comput. Math. 22 (2022).

    Examples
    --------
    >>> import gradlab as gl
    >>> xp, x = gl.namespace(), gl.asarray([1.0, 2.0])
    >>> f = lambda x: xp.sum(x**2)
    >>> gl.numerical.estimate_gradient(f, x, n_samples=1000, seed=0).round()
    array([2., 4.])
    """
    if method not in get_args(Estimator):
        msg = f"`method` must be one of {', '.join(get_args(Estimator))}: got {method!r}"
        raise ValueError(msg)
    if isinstance(n_samples, bool) or not isinstance(n_samples, Integral) or n_samples < 1:
        msg = f"`n_samples` must be a positive integer: got {n_samples!r}"
        raise ValueError(msg)
    n_samples = int(n_samples)
    rng = as_generator(seed)
    box = BlackBox(f, x, vectorized=vectorized, chunk_size=chunk_size)
    box.check_scalar()
    xp, flat = box.xp, box.flat()
    c = _step(box, flat, step, antithetic=antithetic)
    n, total = flat.shape[0], xp.zeros_like(flat)
    for start in range(0, n_samples, box.chunk_rows):
        count = min(box.chunk_rows, n_samples - start)
        u = _directions(xp, rng, method, count, n, flat)
        above = box.at(flat + c * u)
        below = box.at(flat - c * u) if antithetic else box.value[0, 0]
        with nonfinite_expected():  # f may be infinite on both sides
            slope = (above - below) / (2 * c if antithetic else c)
            total = total + xp.sum(xp.astype(slope, flat.dtype)[:, None] * u, axis=0)
    scale = n if method in ("sphere", "coordinate") else 1
    return box.build(box.split(total[None, :] * (scale / n_samples), rows=False))


def _step(box: BlackBox, flat: Array, step: Any, *, antithetic: bool) -> Any:
    if step is None:
        power = 1 / 3 if antithetic else 1 / 2
        if not flat.shape[0]:
            return box.eps**power
        size = box.xp.max(box.xp.abs(flat))
        return box.eps**power * box.xp.maximum(size, box.xp.ones_like(size))
    is_number = isinstance(step, Real) and not isinstance(step, bool)
    if not (is_number and 0 < step < math.inf):
        msg = f"`step` must be a positive finite number: got {step!r}"
        raise ValueError(msg)
    step = float(step)
    if any(bool(box.xp.any(leaf + step == leaf)) for leaf in box.leaves):
        msg = "`step` must move every element of `x`: at one, x + step == x; give a larger step"
        raise ValueError(msg)
    return step


def _directions(  # noqa: PLR0917  (of one formula)
    xp: Namespace, rng: Generator, method: str, count: int, n: int, like: Array
) -> Array:
    """Directions drawn at random, shape (count, n)."""
    if method == "spsa":
        bits = rng.integers(0, 2, (count, n), like=like)
        return xp.astype(2 * bits - 1, like.dtype)
    if method == "coordinate":
        chosen = rng.integers(0, max(n, 1), (count, 1), like=like)
        return xp.astype(chosen == xp.arange(n, device=like.device), like.dtype)
    u = rng.normal((count, n), like=like)
    return u if method == "gaussian" else u / xp.sqrt(xp.sum(u * u, axis=1, keepdims=True))
