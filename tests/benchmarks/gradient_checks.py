"""The trial of `check_gradient`: correct gradients, and gradients made wrong, by a seed.

``python -m nox -s trial`` prints how many were caught, missed and falsely accused. The gradients
are written by hand; functions, sizes, dtypes, scales and corruptions are drawn.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradlab as gl
from gradlab.check.gradient import Check
from gradlab.check.probe import alike

LARGEST = 100_000
FULL_UP_TO = 30  # elements, for which the mode "full" is tried where directions see nothing
VISIBLE = 10  # error bars
CAUGHT = 0.995  # of the corruptions beyond them, at the least


def quadratic(x, c):
    return np.sum(c * x**2) / 2, c * x


def quartic(x, c):
    return np.sum(x**4 + c * x), 4 * x**3 + c


def wave(x, c):
    return np.mean(x * np.sin(c * x)), (np.sin(c * x) + c * x * np.cos(c * x)) / x.size


def log_cosh(x, c):
    return np.sum(np.logaddexp(x - c, c - x)), np.tanh(x - c)


def logsumexp(x, c):
    z = c * x
    e = np.exp(z - np.max(z))
    return np.max(z) + np.log(np.sum(e)), c * e / np.sum(e)


def logarithm(x, c):
    return np.mean(np.log1p(x**2) + c * x), (2 * x / (1 + x**2) + c) / x.size


def norm(x, c):
    r = np.sqrt(np.sum((x - c) ** 2))
    return r, (x - c) / r


def rosenbrock(x, c):
    y = np.concatenate([x, c[:1]])  # so that one element is enough
    a, b = y[:-1], y[1:]
    g = -2 * (1 - a) - 400 * a * (b - a**2)
    g[1:] += 200 * (b - a**2)[:-1]
    return np.sum((1 - a) ** 2 + 100 * (b - a**2) ** 2), g


def kinked(x, c):
    """Of relu: the kinks lie beside x, not at it."""
    z = x - c
    return np.mean(np.maximum(z, 0) * z + np.abs(z)), (2 * np.maximum(z, 0) + np.sign(z)) / x.size


def network(p, c):
    """Of tanh units with cross-entropy, on four samples."""
    W, b, V = p["W"], p["b"], p["V"]
    s = np.reshape(c[: 4 * W.shape[0]], (4, -1))
    h = np.tanh(s @ W + b)
    z = h @ V
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    y = e / np.sum(e, axis=1, keepdims=True)
    loss = -np.mean(np.log(y[:, 0]))
    dz = y / 4
    dz[:, 0] -= np.asarray(0.25, dtype=y.dtype)
    da = (dz @ V.T) * (1 - h**2)
    return loss, {"W": s.T @ da, "b": np.sum(da, axis=0), "V": h.T @ dz}


FUNCTIONS = (
    *(quadratic, quartic, wave, log_cosh, logsumexp, logarithm, norm, rosenbrock, kinked),
    network,
)


@dataclass(frozen=True)
class Case:
    """A function, a point and the gradient there, in words, too."""

    name: str
    f: Any
    x: Any
    gradient: Any


def draw_case(rng, largest=LARGEST):
    """A function with its size, dtype and the scales of x and f drawn."""
    function = FUNCTIONS[rng.integers(len(FUNCTIONS))]
    n = int(np.exp(rng.uniform(0, np.log(largest + 1))))
    dtype = rng.choice(["float32", "float64"])
    scale = np.asarray(10.0 ** rng.uniform(-12, 12), dtype=dtype)
    width = 10.0 ** rng.uniform(-2, 1)
    if function is network:
        inputs, units = max(1, n // 8), 8
        shapes = {"W": (inputs, units), "b": (units,), "V": (units, 3)}
        x = {k: (0.3 * rng.normal(size=shape)).astype(dtype) for k, shape in shapes.items()}
        c = rng.normal(size=4 * inputs).astype(dtype)
        n = sum(leaf.size for leaf in x.values())
    else:
        x = (width * rng.normal(size=n)).astype(dtype)
        c = rng.normal(size=n).astype(dtype)
    gradient = gl.tree.map(lambda g: scale * g, function(x, c)[1])
    name = f"{function.__name__}, n = {n}, {dtype}, scale {scale:.1e}"
    return Case(name, lambda x: scale * function(x, c)[0], x, gradient)


def zero(g, rng):
    return 0 * g


def half_of_one(g, rng):
    return _one(g, rng, 0.5)


def sign_of_one(g, rng):
    return _one(g, rng, -1.0)


def slightly_one(g, rng):
    return _one(g, rng, 1 + 10.0 ** rng.uniform(-6, -1))


def nothing_of_one(g, rng):
    return _one(g, rng, 0.0)


def swapped_neighbours(g, rng):
    i = rng.integers(max(1, g.size - 1))
    g[i : i + 2] = g[i : i + 2][::-1]
    return g


def scaled(g, rng):
    return (1 + 10.0 ** rng.uniform(-6, 0)) * g


def shifted(g, rng):
    return np.roll(g, 1)


def noisy(g, rng):
    return g * (1 + 10.0 ** rng.uniform(-4, 0) * rng.normal(size=g.size))


def nothing_of_a_half(g, rng):
    g[: (g.size + 1) // 2] = 0
    return g


def _one(g, rng, factor):
    g[rng.integers(g.size)] *= factor
    return g


CORRUPTIONS = (
    *(zero, half_of_one, sign_of_one, slightly_one, nothing_of_one, swapped_neighbours),
    *(scaled, shifted, noisy, nothing_of_a_half),
)


def corrupted(gradient, rng):
    """The name of a corruption drawn, and the gradient after it; None where nothing changed."""
    leaves, build = gl.tree.flatten(gradient)
    corruption = CORRUPTIONS[rng.integers(len(CORRUPTIONS))]
    i = rng.integers(len(leaves))
    bad = corruption(leaves[i].ravel().copy(), rng).astype(leaves[i].dtype)
    if np.array_equal(bad, leaves[i].ravel()):
        return None
    return corruption.__name__, build([*leaves[:i], bad.reshape(leaves[i].shape), *leaves[i + 1 :]])


def directional_effect(case, wrong, seed):
    """Largest change, over the check's own directions, of the derivative, in its error bars."""
    check = Check(case.f, case.x)
    check.take(case.gradient)
    rng = gl.backend.random.Generator(seed)
    vs = [check._direction(rng) for _ in range(8)]
    pairs = list(zip(gl.tree.leaves(wrong), gl.tree.leaves(case.gradient), strict=True))
    effects = []
    for v, probe in zip(vs, alike([check._probe(v, check.n) for v in vs]), strict=True):
        terms = [(np.asarray(a, "f8") - b) * d for (a, b), d in zip(pairs, v, strict=True)]
        effects.append(abs(sum(map(np.sum, terms))) / probe.error_bar)
    return max(effects)


def trial(count, seed=0, largest=LARGEST):
    """Counts of outcomes, among them the two that must not be: `false alarms` and `missed`."""
    rng = np.random.default_rng(seed)
    outcomes, failures = Counter(), []
    for k in range(count):
        case = draw_case(rng, largest)
        report = gl.check_gradient(case.f, case.gradient, case.x, seed=k, raise_on_failure=False)
        outcomes["correct: " + report.verdict] += 1
        if report.verdict == "failed":
            failures.append(f"false alarm: {case.name}: {report.message}")
        while (drawn := corrupted(case.gradient, rng)) is None:
            case = draw_case(rng, largest)
        name, wrong = drawn
        report = gl.check_gradient(case.f, wrong, case.x, seed=k, raise_on_failure=False)
        visible = directional_effect(case, wrong, k) > VISIBLE
        outcomes[f"corrupted, {'visible' if visible else 'hidden'}: {report.verdict}"] += 1
        if visible and report.verdict != "failed":
            failures.append(f"missed: {name} of {case.name}: {report.message}")
        if report.verdict != "failed" and sum(g.size for g in gl.tree.leaves(wrong)) <= FULL_UP_TO:
            report = gl.check_gradient(case.f, wrong, case.x, mode="full", raise_on_failure=False)
            outcomes[f"corrupted, left to mode full: {report.verdict}"] += 1
    return outcomes, failures


def main():
    """Print the outcomes; fail if a right gradient did, or too many wrong ones did not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    outcomes, failures = trial(options.count, options.seed)
    for failure in failures:
        print(failure)
    for outcome, times in sorted(outcomes.items()):
        print(f"{outcome:44s}{times:6d}")
    caught = outcomes["corrupted, visible: failed"]
    visible = sum(times for outcome, times in outcomes.items() if ", visible" in outcome)
    print(f"of corruptions beyond {VISIBLE} error bars, caught: {caught / visible:.2%}")
    print(f"false alarms: {outcomes['correct: failed']}")
    return int(outcomes["correct: failed"] > 0 or caught < CAUGHT * visible)


if __name__ == "__main__":
    sys.exit(main())
