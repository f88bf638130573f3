"""Divergence: when it is called so, what the error says, and which parameters are left."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from gradlab.optimizers import SGD
from gradlab.training import DivergenceError, History, fit


class Scripted:
    """A network of two classes whose losses are written beforehand; its parameter counts steps."""

    def __init__(self, losses):
        self.losses = iter(losses)
        self.params = {"w": np.zeros(1)}

    def prepare(self, x, t):
        return x, t

    def loss_at(self, params, x, rows):  # noqa: ARG002
        return np.asarray(next(self.losses))

    def loss_and_gradient_at(self, params, x, rows):
        return self.loss_at(params, x, rows), {"w": -np.ones(1)}

    def accuracy_at(self, params, x, rows):  # noqa: ARG002
        return np.asarray(0.5)


@pytest.fixture
def run():
    """Train on epochs of two batches, of two samples and one, with the losses given."""

    def train(*losses, lr=1.0, **options):
        network = Scripted(losses)
        x, rows = np.zeros((3, 1)), np.tile([1.0, 0.0], (3, 1))
        options = {"steps": len(losses), "optimizer": SGD(lr), **options}
        return network, lambda: fit(network, x, rows, batch_size=2, **options)

    return train


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_divergence_at_its_step(run, bad):
    network, train = run(0.7, 0.6, 0.5, bad, 0.5, 0.5, lr=0.5)
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


def test_a_mean_loss_of_ten_times_guessing_is_divergence(run):
    guessing = math.log(2)
    _, fine = run(0.1, 0.1, 9.9 * guessing, 9.9 * guessing)
    assert fine().stop_reason == "finished"
    network, train = run(0.1, 0.1, 1.0, 32 * guessing)
    with pytest.raises(DivergenceError, match="at step 3;") as caught:
        train()
    assert caught.value.loss == 32 * guessing
    assert network.params["w"] == [2.0]


def test_one_wild_batch_in_a_good_epoch_is_no_divergence(run):
    _, train = run(0.7, 0.7, 0.1, 11 * math.log(2))
    assert train().loss[1] < 10 * math.log(2)


def test_a_start_worse_than_guessing_raises_the_limit(run):
    _, fine = run(50.0, 400.0, 400.0, 400.0)
    assert fine().stop_reason == "finished"
    network, train = run(50.0, 60.0, 501.0, 501.0)
    with pytest.raises(DivergenceError, match="at step 2;"):
        train()
    assert network.params["w"] == [2.0]


def test_divergence_in_the_first_epoch_restores_the_initial_parameters(run):
    network, train = run(0.7, 1e6)
    initial = network.params["w"]
    with pytest.raises(DivergenceError, match="at step 1"):
        train()
    assert network.params["w"] is initial
    assert initial == [0.0]


def test_what_a_callback_changed_after_a_good_epoch_is_restored_too(run):
    network, train = run(
        0.7, 0.7, math.nan, 0.7, callbacks=[lambda history: network.params.update(w=np.ones(1) * 7)]
    )
    with pytest.raises(DivergenceError):
        train()
    assert network.params["w"] == [7.0]


def test_a_bad_start_is_not_blamed_on_the_rate(run):
    _, train = run(math.nan, 0.7)
    with pytest.raises(DivergenceError, match="nan at step 0 already, before lr=1 was used: look"):
        train()


def test_a_schedule_is_named_by_the_rate_of_the_step_before(run):
    _, train = run(0.7, 0.7, math.nan, lr=lambda step: 2.0**-step)
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
