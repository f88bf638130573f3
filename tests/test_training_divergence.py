"""Divergence: when it is called so, what the error says, and which parameters are left."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.optimizers import SGD, AdaGrad, Adam
from gradlab.training import DivergenceError, History, fit


class Scripted:
    """A network of two classes whose losses are written beforehand; its parameter counts steps.

    The first is the loss of the initial parameters, each other that of those after a step.
    """

    def __init__(self, losses):
        self.losses = list(losses)
        self.steps = 0
        self.params = {"w": np.zeros(1)}

    def prepare(self, x, t):
        return x, t

    def scores_at(self, params, x):  # noqa: ARG002
        return x

    def loss_of(self, scores, rows):  # noqa: ARG002
        return np.asarray(self.losses[self.steps])

    def loss_and_gradient_at(self, params, x, rows):
        loss = self.loss_of(self.scores_at(params, x), rows)
        self.steps += 1
        return loss, {"w": -np.ones(1)}

    def accuracy_of(self, scores, rows):  # noqa: ARG002
        return np.asarray(0.5)

    def baseline_at(self, rows):  # noqa: ARG002
        return np.asarray(math.log(2))


@pytest.fixture
def run():
    """Train on epochs of two batches, of two samples and one, with the losses given."""

    def train(*losses, lr=1.0, **options):
        network = Scripted(losses)
        x, rows = np.zeros((3, 1)), np.tile([1.0, 0.0], (3, 1))
        options = {"steps": len(losses) - 1, "optimizer": SGD(lr), **options}
        return network, lambda: fit(network, x, rows, batch_size=2, **options)

    return train


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_divergence_at_its_step(run, bad):
    network, train = run(0.7, 0.6, 0.5, bad, 0.5, 0.5, 0.5, lr=0.5)
    with pytest.raises(DivergenceError, match=r"lr=0.5: .* at step 3; .* Try lr=0.05$") as caught:
        train()
    error = caught.value
    assert isinstance(error, RuntimeError)
    assert (error.step, error.lr) == (3, 0.5)
    assert error.loss == bad or math.isnan(bad)
    assert network.params["w"] == [1.0]  # two steps of 0.5: the end of the first epoch
    assert len(error.history.loss) == len(error.history.accuracy) == 2
    assert error.history.train_loss_list[:3] == [0.7, 0.6, 0.5]
    assert error.history.stop_reason == "diverged"


LIMIT = 10 * math.log(2)  # ten times the loss of guessing


@pytest.mark.parametrize("end", [math.nan, 1.01 * LIMIT])
def test_what_the_last_step_did_is_seen_before_the_training_ends(run, end):
    network, train = run(0.7, 0.6, 0.5, 0.4, end)
    with pytest.raises(DivergenceError, match="at step 4;") as caught:
        train()
    assert network.params["w"] == [2.0]
    assert len(caught.value.history.train_loss_list) == 4
    assert run(0.7, 0.6, 0.5, 0.4, 0.99 * LIMIT)[1]().stop_reason == "finished"


def test_the_network_goes_back_to_where_the_loss_was_last_below_the_limit(run):
    """The loss of step 4 is good, but that was before the step, which spoilt the parameters."""
    network, train = run(0.7, 0.7, 0.7, 0.7, *[32 * LIMIT] * 7)
    with pytest.raises(DivergenceError, match="at step 4;"):
        train()
    assert network.params["w"] == [2.0]


def test_three_epochs_in_a_row_above_the_limit_are_divergence(run):
    above = 1.01 * LIMIT
    two = (*[0.7] * 3, *[above] * 4, *[0.7] * 4)
    network, mends = run(*two)
    assert mends().stop_reason == "finished"
    assert network.params["w"] == [10.0]
    network, train = run(*[0.7] * 3, *[above] * 6, *[0.7] * 4)
    with pytest.raises(DivergenceError, match="at step 3;") as caught:
        train()
    assert caught.value.loss == above
    assert len(caught.value.history.loss) == 4
    assert network.params["w"] == [2.0]


def test_wild_batches_before_a_good_end_are_no_divergence(run):
    _, train = run(0.7, 0.7, 100 * LIMIT, 100 * LIMIT, 0.7)
    assert train().loss[1] > LIMIT


def test_a_start_worse_than_guessing_raises_the_limit(run):
    _, fine = run(50.0, 400.0, 400.0, 400.0, 400.0)
    assert fine().stop_reason == "finished"
    network, train = run(50.0, 60.0, 60.0, 501.0, 501.0)
    with pytest.raises(DivergenceError, match="at step 3;"):
        train()
    assert network.params["w"] == [2.0]


def test_divergence_in_the_first_epoch_restores_the_initial_parameters(run):
    network, train = run(0.7, 1e6, 1e6)
    initial = network.params["w"]
    with pytest.raises(DivergenceError, match="at step 1"):
        train()
    assert network.params["w"] is initial
    assert initial == [0.0]


def test_what_a_callback_changed_after_a_good_epoch_is_restored_too(run):
    network, train = run(
        *(0.7, 0.7, 0.7, math.nan, 0.7),
        callbacks=[lambda history: network.params.update(w=np.ones(1) * 7)],
    )
    with pytest.raises(DivergenceError):
        train()
    assert network.params["w"] == [7.0]


def test_a_callback_that_stops_among_bad_epochs_is_obeyed(run):
    network, train = run(
        *(0.7, 0.7, 2 * LIMIT, 2 * LIMIT, 2 * LIMIT),
        callbacks=[lambda history: len(history.loss) == 1],
    )
    history = train()
    assert (history.stop_reason, history.loss) == ("callback", pytest.approx([0.7]))
    assert network.params["w"] == [2.0]


def test_an_interrupt_of_an_exploding_epoch_goes_back_to_the_last_good_one(run):
    for script, epochs, steps in (
        ((0.7, 0.7, 0.7, 0.7, 0.7), 1, 3),  # so it stays at the last complete step
        ((0.7, 0.7, 0.7, 2 * LIMIT, 2 * LIMIT), 1, 2),
        ((0.7, 0.7, 0.7, math.nan, math.nan), 1, 2),
        ((0.7, 2 * LIMIT, 2 * LIMIT, 0.7, 0.7), 0, 0),  # the epoch before was bad, too
    ):
        network, train = run(*script)
        real, network.loss_and_gradient_at = network.loss_and_gradient_at, None

        def interrupted(*args, network=network, real=real):
            if network.steps == 3:
                raise KeyboardInterrupt
            return real(*args)

        network.loss_and_gradient_at = interrupted
        history = train()
        assert history.stop_reason == "interrupted"
        assert (len(history.loss), len(history.train_loss_list)) == (epochs, steps)
        assert network.params["w"] == [steps]


def test_a_bad_start_is_not_blamed_on_the_rate(run):
    _, train = run(math.nan, 0.7, 0.7)
    with pytest.raises(DivergenceError, match="nan at step 0 already, before lr=1 was used: look"):
        train()
    assert "in `x`, in `t` and" in str(DivergenceError(0, math.nan, 1.0, History(seed=0)))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_not_blamed_on_the_rate(bad):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(40, 2)), rng.normal(size=(40, 1))
    for name in ("x", "t"):
        samples = {"x": x.copy(), "t": t.copy()}
        samples[name][30, 0] = bad
        network = nn.Network([nn.Dense(1)], 2, loss="mean_squared_error", seed=0)
        with (
            np.errstate(invalid="ignore"),
            pytest.raises(DivergenceError, match=f"for `{name}` must be finite: got NaN") as caught,
        ):
            fit(network, **samples, epochs=3, batch_size=8)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301
        with (
            np.errstate(invalid="ignore"),
            pytest.raises(ValueError, match=f"`{name}` of `validation` must be finite: got NaN"),
        ):
            fit(network, x, t, epochs=3, validation=(samples["x"], samples["t"]), patience=2)


def test_a_rate_that_a_rule_does_not_tell_is_not_in_the_message():
    message = str(DivergenceError(3, 7.5, math.nan, History(seed=0)))
    assert message.startswith("training diverged: the loss is 7.5 at step 3; ")
    assert message.endswith("Try a smaller learning rate")
    assert "step 0 already: look" in str(DivergenceError(0, 7.5, math.nan, History(seed=0)))


def test_a_schedule_is_named_by_the_rate_of_the_step_before(run):
    _, train = run(0.7, 0.7, math.nan, 0.7, lr=lambda step: 2.0**-step)
    with pytest.raises(DivergenceError, match=r"lr=0.5: the loss is nan at step 2") as caught:
        train()
    assert caught.value.lr == 0.5


def test_the_error_survives_a_pickle():
    error = DivergenceError(3, math.inf, 0.5, History(seed=0, train_loss_list=[1.0]))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert str(again) == str(error)
    assert (again.step, again.loss, again.lr, again.history) == (3, math.inf, 0.5, error.history)


def test_a_huge_rate_diverges_on_real_losses():
    from gradlab.nn import TwoLayerNetwork  # noqa: PLC0415

    rng = np.random.default_rng(0)
    network = TwoLayerNetwork(2, 2, 3, "glorot", seed=0)
    before = {key: value.copy() for key, value in network.params.items()}
    with pytest.raises(DivergenceError, match=r"lr=1e\+06"):
        fit(
            network,
            rng.normal(size=(9, 2)),
            [0, 1, 2] * 3,
            epochs=2,
            batch_size=3,
            optimizer=SGD(1e6),
        )
    for key, value in before.items():
        np.testing.assert_array_equal(network.params[key], value)


def clouds():
    """Three clouds of points, which overlap."""
    rng = np.random.default_rng(0)
    t = rng.integers(0, 3, 300)
    return rng.normal(0, 2, (3, 5))[t] + rng.normal(size=(300, 5)), t


def curves(scale=1.0, shift=0.0):
    """Two numbers to predict from four."""
    x = np.random.default_rng(0).normal(size=(300, 4))
    y = np.stack([np.sin(x[:, 0]) + x[:, 1] * x[:, 2], x[:, 3] ** 2], axis=1)
    return x, y * scale + shift


def network(activation, *sizes, loss="mean_squared_error"):
    inputs, *hidden, outputs = sizes
    layers = [layer for size in hidden for layer in (nn.Dense(size), activation())]
    return nn.Network([*layers, nn.Dense(outputs)], inputs, loss=loss, seed=1)


# Data, network, and rates at which it learns, however roughly, or is lost. The rule was found on
# digits, at rates 3, which learns by way of a loss of 4.5, and 1e4, whose loss is finite.
JUDGED = {
    "digits": (
        lambda: gl.data.load_digits()[0],
        lambda: gl.TwoLayerNetwork(64, 50, 10, "glorot", seed=0),
        (0.1, 3.0, 5.0),
        (100.0, 1e4),
    ),
    "clouds, tanh twice": (
        clouds,
        lambda: network(nn.Tanh, 5, 8, 8, 3, loss="cross_entropy"),
        (0.03, 1.0, 3.0),
        (100.0, 1e4),
    ),
    "clouds, relu": (
        clouds,
        lambda: network(nn.ReLU, 5, 16, 3, loss="cross_entropy"),
        (0.03, 1.0, 2.0),
        (10.0, 1e3),
    ),
    "curves, tanh": (
        curves,
        lambda: network(nn.Tanh, 4, 16, 2),
        (0.03, 0.3, 0.7),
        (1.0, 1e3),  # at 1 the loss falls for five epochs, then grows without end
    ),
    "curves a thousand times as high, sigmoid": (
        lambda: curves(1e3),
        lambda: network(nn.Sigmoid, 4, 16, 2),
        (0.003, 0.1),
        (10.0, 1e3),
    ),
    "curves far from 0, linear": (
        lambda: curves(shift=1000.0),
        lambda: network(nn.Tanh, 4, 2),
        (0.03, 0.3),
        (10.0, 1e3),
    ),
}


@pytest.mark.parametrize(("what", "lr"), [(what, lr) for what in JUDGED for lr in JUDGED[what][2]])
def test_what_learns_is_not_judged(what, lr):
    data, make, _, _ = JUDGED[what]
    history = fit(make(), *data(), epochs=15, batch_size=50, optimizer=SGD(lr))
    assert history.loss[-1] < history.loss[0]


@pytest.mark.parametrize(("what", "lr"), [(what, lr) for what in JUDGED for lr in JUDGED[what][3]])
def test_what_is_lost_is_judged_so_while_its_loss_is_finite(what, lr):
    data, make, _, _ = JUDGED[what]
    with pytest.raises(DivergenceError, match=f"lr={lr:g}") as caught:
        fit(make(), *data(), epochs=15, batch_size=50, optimizer=SGD(lr))
    assert math.isfinite(caught.value.loss)


def digits(scale=1, count=None):
    x, t = gl.data.load_digits()[0]
    return x[:count] * scale, t[:count]


def relu_twice(inputs, outputs):
    layers = [nn.Dense(50), nn.ReLU(), nn.Dense(50), nn.ReLU(), nn.Dense(outputs)]
    return nn.Network(layers, inputs, init="he", seed=0)


# Trainings that go by way of epochs ten or a hundred times as bad as guessing, to a good end.
MENDS = {
    "digits up to 16, linear": (
        lambda: digits(16),
        lambda: nn.Network([nn.Dense(10)], 64, seed=0),
        SGD(1.0),
    ),
    "digits, linear": (digits, lambda: nn.Network([nn.Dense(10)], 64, seed=0), SGD(30.0)),
    "few digits": (lambda: digits(count=500), lambda: relu_twice(64, 10), AdaGrad(0.3)),
    "clouds, adam": (clouds, lambda: relu_twice(5, 3), Adam(0.3)),
    "clouds, tanh": (clouds, lambda: network(nn.Tanh, 5, 20, 3, loss="cross_entropy"), SGD(30.0)),
}


@pytest.mark.parametrize("what", MENDS)
def test_a_loss_that_comes_down_again_is_not_judged(what):
    data, make, rule = MENDS[what]
    history = fit(make(), *data(), epochs=30, optimizer=rule)
    assert max(history.loss) > 10 * history.train_loss_list[0]
    assert history.accuracy[-1] > 0.95


def small():
    """A number to predict that is nearly 0: less than the network begins with."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 5))
    return x, x @ rng.normal(size=(5, 1)) * 1e-4


def tanh_once():
    layers = [nn.Dense(20), nn.Tanh(), nn.Dense(1)]
    return nn.Network(layers, 5, loss="mean_squared_error", seed=0)


# The last step of an epoch, which may be the only one, is one too far.
SPOILT = {
    "the only step": (digits, None, {"steps": 1, "optimizer": SGD(1e4)}),
    "the step of each epoch": (
        *(digits, None),
        {"epochs": 5, "batch_size": 5000, "optimizer": SGD(1e4)},
    ),
    "a regression": (
        *(small, tanh_once),
        {"epochs": 5, "optimizer": SGD(1.0)},
    ),
    "one peak of a schedule": (
        *(digits, None),
        {"epochs": 1, "optimizer": SGD(lambda step: 1e4 if step == 14 else 0.5)},
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_parameters_that_the_last_step_spoilt_are_not_those_that_are_restored(what):
    data, make, options = SPOILT[what]
    x, t = data()
    trained = make() if make else gl.TwoLayerNetwork(64, 50, 10, "glorot", seed=0)
    before = float(trained.loss(x, t))
    with pytest.raises(DivergenceError):
        fit(trained, x, t, **options)
    assert float(trained.loss(x, t)) <= 10 * before  # the limit


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_targets_that_are_all_alike_are_no_reason_to_call_a_training_lost(dtype):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(60, 2)).astype(dtype), np.full((60, 1), 0.1 * 3, dtype=dtype)
    regression = nn.Network(
        [nn.Dense(4), nn.Tanh(), nn.Dense(1)], 2, loss="mean_squared_error", seed=1, dtype=dtype
    )
    baseline = regression.baseline_at(regression.prepare(x, t)[1])
    assert baseline == pytest.approx(0.09, rel=1e-6)
    fit(regression, x, t, epochs=200, batch_size=20)
    fit(regression, x, t, epochs=30, batch_size=20, optimizer=Adam(0.01))  # which first loses some


def test_the_baseline_is_the_loss_of_guessing():
    x, t = curves(100.0, 7.0)
    regression = network(nn.Tanh, 4, 2)
    baseline = regression.baseline_at(regression.prepare(x, t)[1])
    assert baseline == pytest.approx(np.mean(np.var(t, axis=0)))
    regression.params["W1"] = regression.params["W1"] * 0
    regression.params["b1"] = t.mean(axis=0)
    assert baseline == pytest.approx(regression.loss(x, t))
    classifier = network(nn.Tanh, 5, 3, loss="cross_entropy")
    assert classifier.baseline_at(classifier.prepare(*clouds())[1]) == pytest.approx(math.log(3))
