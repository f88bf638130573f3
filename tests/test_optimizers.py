"""Update rules: what a step does, what it leaves alone, what a learning rate may be."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradlab as gl
from gradlab.optimizers import (
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    advance_of,
    clip_norm,
    lr_of,
)


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


@pytest.mark.parametrize("params", [1.0, None])
def test_parameters_that_are_no_array_are_named(params):
    with pytest.raises(TypeError, match="`params` must be real floating: got"):
        SGD(0.1).init(params)


def test_nothing_to_move_is_nothing_moved():
    assert SGD(0.1).step({}, {}, SGD(0.1).init({})) == ({}, {"step": 1})


def test_gradients_must_fit_the_parameters(xp):
    params = {"W": xp.zeros((2, 3))}
    state = SGD(0.1).init(params)
    with pytest.raises(
        ValueError, match=r"`grads` must have the shapes .*: got \(3,\) for \(2, 3\)"
    ):
        SGD(0.1).step(params, {"W": xp.zeros((3,))}, state)
    with pytest.raises(ValueError, match=r"`grads` must have the shapes .*: got NoneType"):
        SGD(0.1).step(params, {"W": None}, state)
    with pytest.raises(ValueError, match="trees must be built alike"):
        SGD(0.1).step(params, {"V": xp.zeros((2, 3))}, state)


@pytest.mark.parametrize("grads", [np.ones(2) * 1j, np.ones(2) > 0], ids=["complex", "bool"])
def test_gradients_that_are_not_real_are_refused(grads):
    with pytest.raises(TypeError, match="`grads` must be real: got"):
        SGD(0.1).step(np.ones(2), grads, {"step": 0})


STATES = {
    "nothing": (None, "`state` must be what `init` .* gave: got NoneType"),
    "no state": ({}, r"`state` must be what `init` .* gave: got \[\]"),
    "that of another rule": (SGD(0.1).init(np.ones(2)), r"gave: got \['step'\]"),
    "that of other parameters": (
        Adam().init(np.ones(1)),
        r"`state` must have the shapes of `params`: got \(1,\) for \(2,\)",
    ),
}


@pytest.mark.parametrize("what", STATES)
def test_a_state_is_refused_that_is(what):
    state, message = STATES[what]
    with pytest.raises(ValueError, match=message):
        Adam().step(np.ones(2), np.ones(2), state)


DIFFERENTIABLE = {
    "momentum": SGD(0.1, momentum=0.9),
    "nesterov": SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "AdaGrad": AdaGrad(0.1),
    "RMSprop": RMSprop(0.1, momentum=0.5),
    "Adam": Adam(0.1),
    "AdamW": AdamW(0.1),
}


@pytest.mark.parametrize("optimizer", DIFFERENTIABLE.values(), ids=DIFFERENTIABLE)
@pytest.mark.parametrize("traced", ["params", "grads", "state"])
def test_a_step_is_differentiated_in_one_of_its_arguments_alone(optimizer, traced):
    given = {"params": np.asarray([1.0, 2.0]), "grads": np.asarray([3.0, -7.0])}
    start = optimizer.init(given["params"])
    given["state"] = optimizer.step(given["params"], 2 * given["grads"], start)[1]

    def size_of_moved(x):
        new = {**x, "step": 1} if traced == "state" else x
        return (optimizer.step(**{**given, traced: new})[0] ** 2).sum()

    x = given[traced]
    if traced == "state":
        x = {name: x[name] for name in x if name != "step"}
    got, truth = gl.grad(size_of_moved)(x), gl.numerical_gradient(size_of_moved, x)
    for a, b in zip(gl.tree.leaves(got), gl.tree.leaves(truth), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


def test_gradients_of_another_library_are_named():
    with pytest.raises(TypeError, match="`params` is of numpy, `grads` is of array_api_strict"):
        SGD(0.1).step(np.ones(2), array_api_strict.ones(2), {"step": 0})


def test_a_rule_is_a_frozen_value():
    assert SGD(0.1) == SGD(0.1)
    assert isinstance(SGD(0.1), Optimizer)
    with pytest.raises(AttributeError):
        SGD(0.1).lr = 0.2


RULES = {
    "SGD": (SGD(0.95), (-0.350392995752, 0.084782316550)),
    "momentum": (SGD(0.1, momentum=0.9), (0.896413858494, 0.088085601715)),
    "Nesterov": (SGD(0.1, momentum=0.9, nesterov=True), (0.689614901697, -0.000679905836)),
    "AdaGrad": (AdaGrad(1.5), None),
    "RMSprop": (RMSprop(0.1, alpha=0.9, momentum=0.5), None),
    "Adam": (Adam(0.3), (0.136014617326, 0.318245388896)),
    "AdamW": (AdamW(0.3, weight_decay=0.2), None),
    "clipped": (clip_norm(Adam(0.3), 0.5), None),
}


def descended(optimizer, x, steps=30):
    """From (-7, 2) down x**2 / 20 + y**2."""
    slope = gl.namespace(x).asarray([0.1, 2.0], dtype=x.dtype, device=x.device)
    state = optimizer.init(x)
    for _ in range(steps):
        x, state = optimizer.step(x, slope * x, state)
    return x


@pytest.mark.parametrize("name", [name for name, (_, truth) in RULES.items() if truth])
def test_thirty_steps_end_where_torch_ends(name):
    optimizer, truth = RULES[name]  # the numbers are those of torch.optim 2.13
    np.testing.assert_allclose(descended(optimizer, np.asarray([-7.0, 2.0])), truth, atol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_gives_the_same_on_every_backend_and_keeps_the_dtype(xp, name, assert_close):
    optimizer, _ = RULES[name]
    start = xp.asarray([-7.0, 2.0])
    got = descended(optimizer, start, 10)
    truth = descended(optimizer, np.asarray([-7.0, 2.0]), 10)
    assert_close(got, truth, rtol=1e-3 if "32" in str(start.dtype) else 1e-12)
    assert (got.dtype, got.device) == (start.dtype, start.device)
    assert descended(optimizer, xp.asarray([-7.0, 2.0], dtype=xp.float32), 3).dtype == xp.float32
    assert_close(start, [-7.0, 2.0])


@pytest.mark.parametrize("name", RULES)
def test_a_state_is_a_tree_that_a_step_leaves_alone(name):
    optimizer, _ = RULES[name]
    params = {"W": np.ones((2, 1)), "b": [np.zeros(1), np.zeros((0,))]}
    grads = {"W": np.full((2, 1), 3.0), "b": [np.ones(1), np.zeros((0,))]}
    state = optimizer.init(params)
    _, once = optimizer.step(params, grads, state)
    kept = {k: v for k, v in once.items() if k != "step"}
    copies = [leaf.copy() for leaf in gl.tree.leaves(kept)]
    _, twice = optimizer.step(params, grads, once)
    assert (state["step"], once["step"], twice["step"]) == (0, 1, 2)
    for leaf, copy in zip(gl.tree.leaves(kept), copies, strict=True):
        np.testing.assert_array_equal(leaf, copy)
    again = optimizer.step(params, grads, once)[0]
    np.testing.assert_array_equal(again["W"], optimizer.step(params, grads, once)[0]["W"])


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", RULES)
def test_a_step_without_checks_is_the_step(xp, name, decay):
    optimizer, _ = RULES[name]
    if decay and hasattr(optimizer, "weight_decay"):
        optimizer = dataclasses.replace(optimizer, weight_decay=decay)
    params = {"W": xp.asarray([[1.0, -2.0]]), "b": xp.asarray([0.5])}
    state = optimizer.init(params)
    expected, expected_state = params, state
    for slope in (0.3, -0.7, 2.0):
        grads = {"b": xp.asarray([slope]), "W": xp.asarray([[2.0, slope]])}
        expected, expected_state = optimizer.step(expected, grads, expected_state)
        params, state = advance_of(optimizer)(params, grads, state)  # grads are given away
        for got, truth in ((params, expected), (state, expected_state)):
            assert list(got) == list(truth)
            for a, b in zip(gl.tree.leaves(got), gl.tree.leaves(truth), strict=True):
                assert bool(xp.all(xp.asarray(a == b)))


def test_gradients_are_clipped_by_their_norm_over_all_arrays():
    params = {"a": np.zeros(2), "b": np.zeros((1, 1))}
    grads = {"a": np.asarray([3.0, 0.0]), "b": np.asarray([[4.0]])}
    for max_norm, factor in ((1.0, 0.2), (5.0, 1.0), (50.0, 1.0)):
        optimizer = clip_norm(SGD(1.0), max_norm)
        moved, _ = optimizer.step(params, grads, optimizer.init(params))
        np.testing.assert_allclose(moved["a"], [-3 * factor, 0], rtol=1e-6)
        np.testing.assert_allclose(moved["b"], [[-4 * factor]], rtol=1e-6)
    edge = {"a": np.asarray([3e-9, 0.0]), "b": np.asarray([[4e-9]])}  # torch.nn.utils' 1e-6 tells
    moved, _ = clip_norm(SGD(1.0), 5e-9).step(params, edge, {"step": 0})
    np.testing.assert_allclose(moved["b"], [[-4e-9 * 5e-9 / 1.005e-6]])
    huge = {"a": np.asarray([3e200, 0.0]), "b": np.asarray([[4e200]])}
    moved, _ = clip_norm(SGD(1.0), 1.0).step(params, huge, {"step": 0})
    np.testing.assert_allclose(moved["b"], [[-0.8]])
    assert clip_norm(SGD(0.5), 1.0).lr_at(3) == 0.5
    assert clip_norm(SGD(0.5), 1.0).step({}, {}, {"step": 0}) == ({}, {"step": 1})


def test_clipped_gradients_may_be_integers_or_without_axes():
    optimizer = clip_norm(SGD(1.0), 1.0)
    moved, _ = optimizer.step(np.zeros(2), np.asarray([3, 4]), {"step": 0})
    np.testing.assert_allclose(moved, [-0.6, -0.8], rtol=1e-6)
    moved, _ = optimizer.step([np.zeros(())] * 2, [np.asarray(3.0), np.asarray(4.0)], {"step": 0})
    np.testing.assert_allclose(moved, [-0.6, -0.8], rtol=1e-6)


BAD = [
    (lambda: SGD(0.1, momentum=1.0), r"`momentum` must be a number in \[0, 1\): got 1.0"),
    (lambda: SGD(0.1, momentum=-0.1), "`momentum` must be a number in"),
    (lambda: SGD(0.1, nesterov=True), "`nesterov` needs a `momentum` above 0"),
    (lambda: SGD(0.1, weight_decay=-1), "`weight_decay` must be a finite number"),
    (lambda: AdaGrad(eps=0), "`eps` must be positive: got 0"),
    (lambda: RMSprop(alpha=1), "`alpha` must be a number in"),
    (lambda: Adam(-0.1), "`lr` must be a positive finite number"),
    (lambda: Adam(betas=(0.9, 1.0)), r"`betas\[1\]` must be a number in"),
    (lambda: AdamW(betas=0.9), "`betas` must be two numbers"),
    (lambda: clip_norm(SGD(0.1), 0), "`max_norm` must be positive"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_settings_that_are_none_are_refused_and_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_is_no_rule_cannot_be_clipped():
    with pytest.raises(TypeError, match=r"`optimizer` must be an update rule.*of the class: SGD"):
        clip_norm(SGD, 1.0)


class Half:
    """An update rule of a user's own: two methods."""

    def init(self, params):  # noqa: ARG002
        return {}

    def step(self, params, grads, state):
        return gl.tree.map(lambda p, g: p - g / 2, params, grads), state


def test_a_rule_of_two_methods_is_enough_for_descent_and_training():
    result = gl.gradient_descent(lambda x: x @ x / 2, np.asarray([3.0, 4.0]), optimizer=Half())
    np.testing.assert_allclose(result.x, [0, 0], atol=1e-9)
    assert np.isnan(result.lrs).all()
    network = gl.TwoLayerNetwork(2, 2, 2, seed=0)
    history = gl.training.fit(network, np.eye(2), [0, 1], epochs=2, optimizer=clip_norm(Half(), 1))
    assert np.isnan(history.lr).all()
    assert lr_of(SGD(0.5), 3) == 0.5


class InPlace:
    """An update rule that writes into what it is given."""

    def __init__(self, lr):
        self.lr = lr

    def init(self, params):  # noqa: ARG002
        return {}

    def step(self, params, grads, state):
        for key in params:
            grads[key] *= self.lr
            params[key] -= grads[key]
        return params, state


def test_a_rule_may_write_in_place():
    def f(p):
        return p["a"] @ p["a"]

    start = {"a": np.asarray([1.0, 2.0])}
    result, reference = (
        gl.gradient_descent(f, start, optimizer=rule, step_num=20)
        for rule in (InPlace(1.1), SGD(1.1))
    )
    for name in ("x", "best_x", "path"):
        np.testing.assert_array_equal(getattr(result, name)["a"], getattr(reference, name)["a"])
    assert start["a"].tolist() == [1.0, 2.0]
    network, other = (gl.TwoLayerNetwork(2, 2, 2, seed=0) for _ in range(2))
    before = {key: value.copy() for key, value in network.params.items()}
    kept = dict(network.params)
    gl.training.fit(network, np.eye(2), [0, 1], epochs=2, optimizer=InPlace(0.5))
    gl.training.fit(other, np.eye(2), [0, 1], epochs=2, optimizer=SGD(0.5))
    for key, value in before.items():
        np.testing.assert_array_equal(kept[key], value)
        np.testing.assert_array_equal(network.params[key], other.params[key])


def test_a_rule_may_be_two_functions():
    half = Half()
    rule = SimpleNamespace(init=half.init, step=half.step)
    result = gl.gradient_descent(lambda x: x @ x / 2, np.asarray([3.0, 4.0]), optimizer=rule)
    np.testing.assert_allclose(result.x, [0, 0], atol=1e-9)
    network, other = (gl.TwoLayerNetwork(2, 2, 2, seed=0) for _ in range(2))
    gl.training.fit(network, np.eye(2), [0, 1], epochs=2, optimizer=rule)
    gl.training.fit(other, np.eye(2), [0, 1], epochs=2, optimizer=half)
    np.testing.assert_array_equal(network.params["W1"], other.params["W1"])
