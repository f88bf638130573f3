"""The search of a learning rate, which leaves no trace, and tables of trainings."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.backend.random import Generator
from gradlab.optimizers import SGD, Adam
from gradlab.training import fit, lr_find, sweep

RNG = np.random.default_rng(5)
X = np.concatenate([RNG.normal(-1, 1, (40, 2)), RNG.normal(1, 1, (40, 2))])
LABELS = np.repeat([0, 1], 40)
RULES = {"sgd": SGD, "momentum": lambda lr: SGD(lr, momentum=0.9), "adam": Adam}


def make():
    return gl.TwoLayerNetwork(2, 4, 2, "glorot", seed=1)


def test_nothing_is_left_behind(backend):
    network, rng = make(), Generator(7)
    rng.permutation(3)
    arrays, state = dict(network.params), rng.state
    before = {key: np.array(gl.to_numpy(value)) for key, value in arrays.items()}
    found = lr_find(network, gl.asarray(X.tolist()), gl.asarray(LABELS), batch_size=20, seed=rng)
    assert found.lr is not None
    assert rng.state == state
    for key, value in arrays.items():
        assert network.params[key] is value
        assert gl.to_numpy(value).tobytes() == before[key].tobytes()


def test_the_seed_of_a_search_is_kept():
    found = lr_find(make(), X, LABELS, batch_size=20, seed=None)
    assert lr_find(make(), X, LABELS, batch_size=20, seed=found.seed) == found


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
def test_the_loss_falls_at_the_rate_found_and_below_it(rule, loss):
    layers = [nn.Dense(6), nn.Tanh(), nn.Dense(2)]
    network = nn.Network(layers, 2, loss=loss, seed=3)
    found = lr_find(network, X, LABELS, batch_size=20, optimizer=RULES[rule])
    chosen = found.lrs.index(found.lr)
    assert found.start == float(network.loss(X, LABELS))
    assert found.losses[chosen] == min(found.losses[: chosen + 1]) < found.start
    assert all(later >= found.losses[chosen] for later in found.losses[chosen:-1])
    history = fit(network, X, LABELS, steps=20, batch_size=20, optimizer=RULES[rule](found.lr))
    assert float(network.loss(X, LABELS)) == pytest.approx(found.losses[chosen])
    assert np.mean(history.train_loss_list) < found.start


def test_rates_are_tried_up_to_the_first_at_which_the_loss_rises():
    """Of (W1 + b1)², a step multiplies the sum by 1 - 4 lr: above 0.5 it rises."""
    x = np.ones((1, 1))
    network = nn.Network([nn.Dense(1)], 1, loss="mean_squared_error", seed=0)
    network.params = {"W1": np.asarray([[1.0]]), "b1": np.zeros(1)}

    def find(*lrs):
        return lr_find(network, x, np.zeros((1, 1)), lrs=lrs, steps=1)

    found = find(0.6, 0.01, 0.26, 0.1, 0.2)
    assert (found.lr, found.lrs) == (0.26, [0.01, 0.1, 0.2, 0.26, 0.6])
    assert found.losses == pytest.approx([(1 - 4 * lr) ** 2 for lr in found.lrs])
    assert find(0.51, 0.25).lrs == [0.25, 0.51]
    assert find(0.51, 2.0).lrs == [0.51]
    assert find(0.51, 2.0).lr is None
    assert math.isinf(find(1e-3, 1e200).losses[-1])


def test_a_low_loss_beyond_one_that_rises_is_not_believed():
    x, t = [[0.0, 1.0], [1.0, 0.0], [0.1, 0.9], [0.9, 0.2]], [0, 1, 0, 1]
    network = gl.TwoLayerNetwork(2, 3, 2, "glorot", seed=0)
    alone = lr_find(network, x, t, lrs=[1.0], steps=10)
    wild = gl.TwoLayerNetwork(2, 3, 2, "glorot", seed=0)
    for _ in range(10):
        grad = wild.gradient(x, t)
        wild.params = {key: value - 1000 * grad[key] for key, value in wild.params.items()}
    assert float(wild.loss(x, t)) < alone.losses[0]  # where it landed, by luck
    assert lr_find(network, x, t, lrs=[1.0, 1000.0], steps=10).lr == 1.0


def test_mistakes_are_told():
    for options, message in (
        ({"lrs": []}, "`lrs` must have at least one"),
        ({"steps": 0}, "`steps` must be a positive integer"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"lrs": [-1.0]}, "`lr` must be a positive finite number"),
        ({"gradient": "x"}, "`gradient` must be one of"),
        ({"gradient": ["x"]}, "`gradient` must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            lr_find(make(), X, LABELS, **options)
    for network, options, message in (
        (make(), {"optimizer": SGD(0.1)}, r"`optimizer` must map a rate to .*: got SGD\(lr=0.1"),
        (make(), {"optimizer": lambda lr: None}, "`optimizer` must be an update rule.*: got None"),
        (None, {}, "`network` must be a network"),
        *((make(), {"lrs": lrs}, "`lrs` must be a seq.* got ") for lrs in (0.1, "12", ["a"], None)),
    ):
        with pytest.raises(TypeError, match=message):
            lr_find(network, X, LABELS, **options)


def test_a_loss_that_is_not_finite_to_begin_with_is_told():
    network = make()
    with pytest.raises(ValueError, match=r"the loss is nan before any step: .* in `x`$"):
        lr_find(network, X * math.nan, LABELS)
    network.params["b1"] = network.params["b1"] * math.nan
    with pytest.raises(ValueError, match=r"in `network\.params`$"):
        lr_find(network, X, LABELS)


@pytest.mark.parametrize(
    ("run", "values", "message"),
    [(None, [1], "`run` must be a function"), (abs, 1, "`values` must be a sequence: got 1")],
)
def test_a_sweep_of_something_else_is_refused(run, values, message):
    with pytest.raises(TypeError, match=message):
        sweep(run, values)


def test_data_are_refused_as_for_a_training():
    for x, t, message in (
        (X[0], 1, r"`x` must be a batch of shape \(n, features\): got one sample"),
        (X[:0], LABELS[:0], r"`x` must be a batch of at least one sample: got shape \(0, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            lr_find(make(), x, t)


def test_a_sweep_is_a_table_of_trainings():
    def run(lr):
        validation = (X[::2], LABELS[::2])
        return fit(make(), X, LABELS, epochs=2, optimizer=SGD(lr), validation=validation)

    found = sweep(run, [0.1, 1.0, 1e9])
    assert found.values == [0.1, 1.0, 1e9]
    assert [result.stop_reason for result in found.results] == ["finished", "finished", "diverged"]
    names, *rows = [line.split() for line in str(found).splitlines()]
    assert names[:5] == ["value", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert names[5:] == ["epochs", "stop_reason"]
    assert [row[0] for row in rows] == ["0.1", "1", "1e+09"]
    assert float(rows[1][1]) == pytest.approx(found.results[1].loss[-1], rel=1e-3)
    assert rows[2][-1] == "diverged"


def test_an_interrupt_ends_a_sweep_with_what_it_has():
    values = []

    def run(value):
        values.append(value)

        def interrupt(history):
            if value == 2:
                raise KeyboardInterrupt

        return fit(make(), X, LABELS, epochs=1, callbacks=[interrupt])

    found = sweep(run, [1, 2, 3])
    assert (values, found.values, found.interrupted) == ([1, 2], [1, 2], True)
    assert [result.stop_reason for result in found.results] == ["finished", "interrupted"]

    def raising(value):
        if value == 2:
            raise KeyboardInterrupt
        return value

    found = sweep(raising, [1, 2, 3])
    assert (found.values, found.results, found.interrupted) == ([1], [1], True)
    assert not sweep(raising, [1, 3]).interrupted

    def interrupted(lr):
        def f(x):
            f.calls += 1
            if (lr, f.calls) == (2, 30):
                raise KeyboardInterrupt
            return (x**2).sum()

        f.calls = 0
        return gl.gradient_descent(f, [1.0], lr=lr)

    found = sweep(interrupted, [1, 2, 3])
    assert (found.values, found.interrupted) == ([1, 2], True)
    assert [row.split()[-1] for row in str(found).splitlines()] == (
        ["status", "oscillating", "interrupted"]
    )
    assert "path" not in repr(found.results[0])


def test_a_sweep_takes_any_value_and_any_number():
    rows = str(sweep(lambda rule: rule.lr_at(0), [SGD(0.5), Adam()])).splitlines()
    assert rows[0].split() == ["value", "result"]
    assert rows[1].startswith("SGD(lr=0.5, ")
    assert rows[2].endswith("0.001")
    assert str(sweep(abs, [])) == "value"
    assert str(sweep(lambda k: {"a": k} if k else {"b": gl.asarray(0.25)}, [1, 0])).split() == (
        ["value", "a", "b", "1", "1", "0", "0.25"]
    )


def test_integers_of_arrays_are_shown_to_their_last_digit(backend):
    seeds = [np.int64(1234567), np.int64(1234568)]
    rows = str(sweep(lambda seed: {"a": gl.asarray(seed), "b": seed > 1234567}, seeds)).split()
    assert rows[3:] == ["1234567", "1234567", "False", "1234568", "1234568", "True"]


def test_what_a_run_raises_passes():
    with pytest.raises(ZeroDivisionError):
        sweep(lambda value: 1 / value, [0])
