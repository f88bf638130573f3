"""Update rules: what a step does, what it leaves alone, what a learning rate may be."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradlab as gl
from gradlab.optimizers import SGD, Optimizer


def test_a_step_goes_down_the_gradient_and_leaves_its_arguments_alone(xp, assert_close):
    params = {"W": xp.asarray([[1.0, 2.0]]), "b": [xp.asarray(3.0), xp.zeros((0,))]}
    grads = {"W": xp.asarray([[10.0, -10.0]]), "b": [xp.asarray(1.0), xp.zeros((0,))]}
    optimizer = SGD(0.1)
    state = optimizer.init(params)
    moved, after = optimizer.step(params, grads, state)
    assert_close(moved["W"], [[0.0, 3.0]], atol=1e-7)
    assert_close(moved["b"][0], 2.9)
    assert_close(params["W"], [[1.0, 2.0]])
    assert_close(params["b"][0], 3.0)
    assert gl.backend.is_array(moved["b"][0])
    assert (state, after) == ({"step": 0}, {"step": 1})


def test_the_dtype_of_the_parameters_stays(xp):
    params = xp.asarray([1.0, 2.0], dtype=xp.float32)
    for lr in (0.5, np.float64(0.5), np.float32(0.5), lambda step: np.float64(0.5)):
        optimizer = SGD(lr)
        for grads in (params, xp.asarray([1.0, 2.0])):
            moved, _ = optimizer.step(params, grads, optimizer.init(params))
            assert moved.dtype == xp.float32


@given(st.floats(1e-6, 1.9), st.integers(1, 30))
def test_steps_on_a_parabola_shrink_by_one_minus_lr(lr, count):
    optimizer = SGD(lr)
    x = np.asarray([8.0])
    state = optimizer.init(x)
    for _ in range(count):
        x, state = optimizer.step(x, x, state)  # the gradient of x**2 / 2 is x
    np.testing.assert_allclose(x, 8.0 * (1 - lr) ** count, rtol=1e-9, atol=1e-12)
    assert state == {"step": count}


def test_a_schedule_is_asked_for_each_step_from_zero():
    asked = []

    def lr(step):
        asked.append(step)
        return [1.0, 0.5, 0.0][step]

    optimizer = SGD(lr)
    x = np.asarray([8.0])
    state = optimizer.init(x)
    for _ in range(3):
        x, state = optimizer.step(x, np.ones(1), state)
    assert asked == [0, 1, 2]
    assert x == [6.5]
    assert optimizer.lr_at(1) == 0.5
    assert SGD(0.3).lr_at(7) == 0.3


@pytest.mark.parametrize("lr", [0, -0.1, float("nan"), float("inf"), "0.1", None, True, np.ones(1)])
def test_a_rate_that_is_none_is_refused_and_named(lr):
    with pytest.raises(ValueError, match=r"`lr` must be .*: got"):
        SGD(lr)


@pytest.mark.parametrize("returned", [-1.0, float("nan"), float("inf"), None])
def test_a_schedule_that_returns_no_rate_is_refused_at_its_step(returned):
    optimizer = SGD(lambda step: returned)
    with pytest.raises(
        ValueError, match=rf"`lr\(4\)` must return a finite number .*: got {returned}"
    ):
        optimizer.lr_at(4)


def test_parameters_must_be_real_floating_arrays(xp):
    with pytest.raises(TypeError, match=r"`params\['W'\]` must be real floating: got .*int64"):
        SGD(0.1).init({"W": xp.asarray([1, 2])})
    with pytest.raises(TypeError, match="expected an array, got list"):
        SGD(0.1).init({"W": [1.0, 2.0]})


def test_nothing_to_move_is_nothing_moved():
    assert SGD(0.1).step({}, {}, SGD(0.1).init({})) == ({}, {"step": 1})


def test_gradients_must_fit_the_parameters(xp):
    params = {"W": xp.zeros((2, 3))}
    state = SGD(0.1).init(params)
    with pytest.raises(
        ValueError, match=r"`grads` must have the shapes .*: got \(3,\) for \(2, 3\)"
    ):
        SGD(0.1).step(params, {"W": xp.zeros((3,))}, state)
    with pytest.raises(ValueError, match="trees must be built alike"):
        SGD(0.1).step(params, {"V": xp.zeros((2, 3))}, state)


def test_gradients_of_another_library_are_named():
    with pytest.raises(TypeError, match="`params` is of numpy, `grads` is of array_api_strict"):
        SGD(0.1).step(np.ones(2), array_api_strict.ones(2), {"step": 0})


def test_a_rule_is_a_frozen_value():
    assert SGD(0.1) == SGD(0.1)
    assert isinstance(SGD(0.1), Optimizer)
    with pytest.raises(AttributeError):
        SGD(0.1).lr = 0.2
