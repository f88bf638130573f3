"""Gradients and Hessian-vector products against torch, autograd and, where it is there, JAX."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import gradlab as gl

sys.path.insert(0, str(Path(__file__).parent))
from expressions import EXPRESSIONS, KINKS
from peers import PEERS, by_gradlab, loss_of

WRITING = {
    *("a column added to", "a mask written", "a part scaled in place", "a row written"),
    "rows written in a loop",
}
# What a peer cannot differentiate
LACKING = {
    "autograd": {
        *(name for name in EXPRESSIONS if name.startswith("copysign")),
        *("positive", "cumulative_prod", "meshgrid", "sort descending", "sort of columns"),
        *("broadcast_to", "roll over two axes", "take_along_axis"),
        *WRITING,
    },
}
PAIRS = [(p, e) for p in PEERS for e in EXPRESSIONS if e not in LACKING.get(p, ())]

nan, inf = np.nan, np.inf
# At kinks: what the peers give where that is not what gradlab does; None where they raise
ELSEWHERE = {
    "torch": {
        "atan2 at 0": [0, 0],
        "copysign at 0": [0, -1],
        "hypot at 0": [nan, nan],
        "logaddexp of two -inf": [nan, nan],
    },
    "autograd": {
        "clip at its bounds": [0, 0, 0],
        "copysign at 0": None,
        "cumulative_prod with a zero": None,
        "hypot at 0": [nan, nan],
        "logaddexp of two -inf": [nan, nan],
        "norm at 0": [nan, nan],
        "norm of order 1 at 0": None,
        "norm of order inf with a tie": [1, -1],
        "prod with one zero": [nan, 0, 0],
        "prod with two zeros": [nan, nan, 0],
        "sort descending with ties": None,
        "std of equal values": [nan, nan],
    },
}
KINKS_OF = [(p, k) for p in ELSEWHERE for k in KINKS]


def agree(peer, expression):
    f, x = EXPRESSIONS[expression]
    loss, v = loss_of(f), np.cos(np.arange(x.size)).reshape(x.shape)
    expected = peer(loss, x, v)
    for got, theirs in zip(by_gradlab(loss, x, v), expected, strict=True):
        scale = max(1.0, np.max(np.abs(theirs)))
        np.testing.assert_allclose(got, theirs, rtol=1e-9, atol=1e-11 * scale)


@pytest.mark.parametrize(("peer", "expression"), PAIRS)
def test_both_orders_agree(peer, expression):
    agree(PEERS[peer], expression)


@pytest.mark.parametrize("expression", sorted(LACKING["autograd"]))
def test_what_a_peer_lacks_is_listed_only_while_it_does(expression):
    f, x = EXPRESSIONS[expression]
    with pytest.raises((AssertionError, AttributeError, NotImplementedError, TypeError)):
        PEERS["autograd"](loss_of(f), x, x)


def test_both_orders_agree_with_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)  # noqa: FBT003  (JAX's signature)

    def by_jax(loss, x, v):
        slope = jax.grad(lambda x: loss(jax.numpy, x))
        return slope(x), jax.jvp(slope, (x,), (v,))[1]

    for expression in EXPRESSIONS.keys() - WRITING:  # JAX's arrays cannot be written to
        agree(by_jax, expression)


@pytest.mark.parametrize("kink", KINKS)
def test_a_kink_has_the_gradient_that_is_documented(kink):
    f, x, documented = KINKS[kink]
    with np.errstate(all="ignore"):
        (got,) = by_gradlab(f, np.asarray(x), None)
    np.testing.assert_array_equal(got, documented)


@pytest.mark.parametrize(("peer", "kink"), KINKS_OF)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_peer_has_the_same_gradient_at_a_kink_or_the_one_recorded(peer, kink):
    f, x, documented = KINKS[kink]
    expected = ELSEWHERE[peer].get(kink, documented)
    if expected is None:
        with pytest.raises((NotImplementedError, TypeError)):
            PEERS[peer](f, np.asarray(x), None)
        return
    np.testing.assert_array_equal(PEERS[peer](f, np.asarray(x), None)[0], expected)


def test_a_branch_of_nan_is_kept_out_on_request():
    f, x, _ = KINKS["a branch of NaN that is not taken"]
    with np.errstate(invalid="ignore"):
        got = gl.grad(lambda x: f(x.__array_namespace__(), x), nan_safe=True)(np.asarray(x))
    np.testing.assert_array_equal(got, [0.0])


def test_the_positive_part_of_a_network_has_gradient_0_at_0_and_torch_agrees():
    torch = pytest.importorskip("torch")
    t = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    (theirs,) = torch.autograd.grad(torch.nn.functional.relu(t).sum(), t)
    got = gl.grad(lambda x: gl.nn.relu(x)[0])(np.zeros(1))
    np.testing.assert_array_equal(got, theirs.numpy())
    np.testing.assert_array_equal(got, [0.0])


def test_there_are_at_least_150_expressions_for_each_peer():
    for peer in PEERS:
        assert sum(p == peer for p, _ in PAIRS) >= 150
