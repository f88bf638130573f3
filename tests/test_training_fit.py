"""The mini-batch loop: what it learns, what it keeps, what it leaves alone, how it ends."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import chain

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.nn import TwoLayerNetwork
from gradlab.optimizers import SGD, Adam
from gradlab.training import fit, loop

# Two clouds of points, ten of each, that a line separates.
RNG = np.random.default_rng(5)
X = np.concatenate([RNG.normal(-2, 0.5, (10, 2)), RNG.normal(2, 0.5, (10, 2))])
LABELS = np.repeat([0, 1], 10)


def make(**options):
    return TwoLayerNetwork(2, 2, 2, "glorot", seed=1, **options)


def data():
    return gl.asarray(X.tolist()), gl.asarray(LABELS)


def on_host(params):
    return {key: np.array(gl.to_numpy(value)) for key, value in params.items()}


def test_separable_data_are_learnt(backend):
    network = make()
    x, t = data()
    history = fit(network, x, t, epochs=8, batch_size=6, optimizer=SGD(1.0))
    assert history.stop_reason == "finished"
    assert history.accuracy[-1] == 1.0
    assert float(network.accuracy(x, t)) == 1.0
    assert history.loss[-1] < 0.2 < history.loss[0]
    assert len(history.train_loss_list) == 8 * 4
    assert len(history.loss) == len(history.accuracy) == len(history.seconds) == 8
    assert all(type(loss) is float for loss in history.train_loss_list)
    assert all(seconds > 0 for seconds in history.seconds)


def test_the_same_seed_gives_the_same_training_on_every_backend(backend):
    network = make()
    history = fit(network, *data(), epochs=2, batch_size=8, seed=4)
    with gl.use_backend("numpy", dtype="float64"):
        reference = make()
        truth = fit(reference, *data(), epochs=2, batch_size=8, seed=4)
    rtol = 1e-3 if backend.dtype == "float32" else 1e-9
    np.testing.assert_allclose(history.train_loss_list, truth.train_loss_list, rtol=rtol)
    assert history.accuracy == pytest.approx(truth.accuracy)
    for key, value in network.params.items():
        assert value.device == gl.asarray(0.0).device
        expected = gl.to_numpy(reference.params[key])
        np.testing.assert_allclose(gl.to_numpy(value), expected, rtol=rtol, atol=10 * rtol**2)


def test_a_full_batch_is_gradient_descent_on_the_whole_loss(backend):
    network, by_hand = make(), make()
    x, t = data()
    history = fit(network, x, t, steps=3, batch_size=1000, optimizer=SGD(0.5))
    losses = []
    for _ in range(3):
        losses.append(float(by_hand.loss(x, t)))
        grad = by_hand.numerical_gradient(x, t)
        for key in grad:
            by_hand.params[key] = by_hand.params[key] - 0.5 * grad[key]
    rtol, atol = (1e-3, 1e-3) if backend.dtype == "float32" else (1e-7, 1e-9)
    np.testing.assert_allclose(history.train_loss_list, losses, rtol=rtol)
    assert history.loss == pytest.approx(history.train_loss_list)
    for key, value in on_host(by_hand.params).items():
        np.testing.assert_allclose(gl.to_numpy(network.params[key]), value, rtol=rtol, atol=atol)


class Recorder:
    """A network that learns nothing, and writes down the samples of each batch."""

    def __init__(self, n):
        self.params = {"w": np.zeros(1)}
        self.x = np.arange(float(n))[:, None]
        self.t = np.tile([1.0, 0.0], (n, 1))
        self.batches = []

    def prepare(self, x, t):
        return x, t

    def scores_at(self, params, x):
        return x + params["w"] * 0

    def loss_of(self, scores, rows):  # noqa: ARG002
        return np.asarray(np.mean(scores))

    def accuracy_of(self, scores, rows):  # noqa: ARG002
        return np.asarray(0.5)

    def loss_and_gradient_at(self, params, x, rows):
        self.batches.append(x[:, 0].tolist())
        return self.loss_of(self.scores_at(params, x), rows), {"w": np.ones(1)}

    def baseline_at(self, rows):  # noqa: ARG002
        return np.asarray(math.log(2))

    def fit(self, **options):
        return fit(self, self.x, self.t, **options)


def test_every_epoch_sees_each_sample_once_in_a_new_order():
    network = Recorder(7)
    history = network.fit(epochs=3, batch_size=3, optimizer=SGD(1e-9))
    assert [len(batch) for batch in network.batches] == [3, 3, 1] * 3
    epochs = [list(chain(*network.batches[i : i + 3])) for i in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert history.train_loss_list == [float(np.mean(batch)) for batch in network.batches]
    assert history.loss == pytest.approx([3.0] * 3)  # each sample weighs the same: mean of 0 .. 6


def test_batches_are_drawn_with_replacement_where_asked():
    network = Recorder(7)
    history = network.fit(epochs=4, batch_size=3, replace=True)
    assert [len(batch) for batch in network.batches] == [3] * 12
    drawn = list(chain(*network.batches))
    assert set(drawn) <= set(range(7))
    assert len(set(drawn[:9])) < 9
    assert len(history.loss) == 4


def test_steps_count_in_total_and_may_end_within_an_epoch():
    network = Recorder(7)
    history = network.fit(steps=5, batch_size=3, optimizer=SGD(1e-9))
    assert [len(batch) for batch in network.batches] == [3, 3, 1, 3, 3]
    assert len(history.train_loss_list) == 5
    assert len(history.loss) == len(history.accuracy) == len(history.seconds) == 2
    assert history.loss[1] == pytest.approx(np.mean(list(chain(*network.batches[3:]))))


def test_the_seed_decides_the_batches_and_is_kept():
    def batches(seed):
        network = Recorder(7)
        return network.fit(epochs=2, batch_size=3, seed=seed).seed, network.batches

    assert batches(1) == batches(1) == batches(gl.backend.random.Generator(1))
    assert batches(1)[1] != batches(2)[1]
    drawn, first = batches(None)
    assert batches(drawn)[1] == first


def test_integers_are_cast_once():
    x = np.asarray([[0, 1], [2, 3], [4, 5]], dtype=np.uint8)
    network, floats = make(dtype="float32"), make(dtype="float32")
    fit(network, x, [0, 1, 1], steps=2, batch_size=2)
    fit(floats, x.astype(np.float32), [0, 1, 1], steps=2, batch_size=2)
    for key, value in network.params.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, floats.params[key])


def test_the_callers_arrays_stay_as_they_are(backend):
    network = make()
    x, t = data()
    held = dict(network.params)
    before = on_host(held)
    own = network.params
    fit(network, x, t, steps=2, batch_size=5)
    assert network.params is own
    for key, value in held.items():
        assert network.params[key] is not value
        np.testing.assert_array_equal(gl.to_numpy(value), before[key])
    np.testing.assert_allclose(gl.to_numpy(x), X, rtol=1e-6)
    np.testing.assert_array_equal(gl.to_numpy(t), LABELS)


def test_callbacks_see_the_history_and_a_true_return_stops():
    seen, also = [], []

    def stop(history):
        seen.append((len(history.loss), history.stop_reason))
        return len(history.loss) == 2

    history = Recorder(4).fit(epochs=9, batch_size=2, callbacks=[stop, also.append])
    assert seen == [(1, None), (2, None)]
    assert also == [history, history]
    assert history.stop_reason == "callback"
    assert len(history.train_loss_list) == 4


def test_a_change_that_a_callback_makes_is_trained_on():
    network = Recorder(4)

    def reset(history):
        network.params["w"] = np.full(1, 100.0)

    network.fit(epochs=2, batch_size=4, optimizer=SGD(1.0), callbacks=[reset])
    assert network.params["w"] == [100.0]
    network.fit(epochs=1, batch_size=4, optimizer=SGD(1.0))
    assert network.params["w"] == [99.0]


def test_an_interrupt_returns_what_was_reached(backend, monkeypatch):
    real, calls = loop.GRADIENTS["autodiff"], []

    def interrupted(network):
        def call(*args):
            calls.append(args)
            if len(calls) == 6:
                raise KeyboardInterrupt
            return real(network)(*args)

        return call

    monkeypatch.setitem(loop.GRADIENTS, "autodiff", interrupted)
    network, reference = make(), make()
    history = fit(network, *data(), epochs=9, batch_size=6)
    monkeypatch.undo()
    assert history.stop_reason == "interrupted"
    assert len(history.train_loss_list) == 5  # a whole epoch of four, and one step
    assert len(history.loss) == len(history.accuracy) == 1
    truth = fit(reference, *data(), steps=5, batch_size=6)
    assert history.train_loss_list == truth.train_loss_list
    for key, value in on_host(reference.params).items():
        np.testing.assert_array_equal(gl.to_numpy(network.params[key]), value)


def test_an_interrupt_before_the_first_step_leaves_an_empty_history(monkeypatch):
    def raising(*args):
        raise KeyboardInterrupt

    def interrupted(network):
        return raising

    monkeypatch.setitem(loop.GRADIENTS, "autodiff", interrupted)
    history = fit(make(), *data(), epochs=1)
    assert (history.stop_reason, history.train_loss_list, history.loss) == ("interrupted", [], [])


def test_an_exception_passes_and_leaves_the_last_complete_step():
    network, reference = make(), make()

    def broken(history):
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        fit(network, *data(), epochs=3, batch_size=8, callbacks=[broken])
    fit(reference, *data(), epochs=1, batch_size=8)
    for key, value in reference.params.items():
        np.testing.assert_array_equal(network.params[key], value)


def test_nothing_is_printed_unless_asked_for(capsys):
    Recorder(4).fit(epochs=2, batch_size=2)
    assert capsys.readouterr() == ("", "")
    Recorder(4).fit(epochs=2, batch_size=2, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "4/4" in err
    assert "step/s" in err


def test_the_bar_is_imported_where_it_is_shown():
    code = "import sys, gradlab.training; sys.exit('tqdm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


class Course(Recorder):
    """A network whose losses on the validation data are written beforehand; `w` counts epochs."""

    def __init__(self, losses):
        super().__init__(2)
        self.losses = iter(losses)

    def loss_of(self, scores, rows):  # noqa: ARG002
        return np.asarray(next(self.losses) if len(scores) == 1 else 1.0)

    def fit(self, **options):
        options = {"batch_size": 2, "optimizer": SGD(1.0), **options}
        return super().fit(validation=(self.x[:1], self.t[:1]), **options)

    def loss_and_gradient_at(self, params, x, rows):
        return self.loss_of(self.scores_at(params, x), rows), {"w": -np.ones(1)}


def test_each_epoch_is_judged_on_the_validation_data(backend):
    network = make()
    x, t = data()
    seen = []
    held_out = (gl.asarray([[0.5, 0.1], [-0.5, 0.2], [1.0, -2.0]]), gl.asarray([0, 1, 1]))

    def judge(history):
        seen.append((float(network.loss(*held_out)), float(network.accuracy(*held_out))))

    history = fit(network, x, t, epochs=3, batch_size=7, validation=held_out, callbacks=[judge])
    got = list(zip(history.val_loss, history.val_accuracy, strict=True))
    assert got == [pytest.approx(pair, rel=1e-6) for pair in seen]
    assert history.best_epoch == int(np.argmin(history.val_loss))
    assert fit(make(), x, t, epochs=1).val_loss == []


COURSES = {
    "stops": ([3.0, 2.0, 2.5, 2.0, 9.9], 2, 9, 1, 4, "patience"),
    "best inside the window at the end": ([3.0, 2.0, 2.5], 2, 3, 1, 3, "finished"),
    "best at the end": ([3.0, 2.5, 2.0], 2, 3, 2, 3, "finished"),
    "runs out at the end": ([3.0, 4.0, 5.0], 2, 3, 0, 3, "finished"),
    "patience of one": ([1.0, np.nan], 1, 5, 0, 2, "patience"),
    "not a number first": ([np.nan, 1.0, 2.0], 2, 3, 1, 3, "finished"),
}


@pytest.mark.parametrize("what", COURSES)
def test_patience_stops_and_gives_back_the_best_weights(what):
    losses, patience, epochs, best, ran, reason = COURSES[what]
    network = Course(losses)
    history = network.fit(epochs=epochs, patience=patience)
    assert (history.best_epoch, len(history.loss), history.stop_reason) == (best, ran, reason)
    assert network.params["w"] == [best + 1.0]


def test_without_patience_the_last_weights_stay():
    network = Course([1.0, 2.0, 3.0])
    assert network.fit(epochs=3).best_epoch == 0
    assert network.params["w"] == [3.0]


def test_never_better_than_nothing_leaves_the_last_weights():
    network = Course([np.nan, np.inf, np.nan])
    history = network.fit(epochs=9, patience=3)
    assert (history.best_epoch, history.stop_reason) == (None, "patience")
    assert network.params["w"] == [3.0]


def test_a_callback_that_writes_into_the_parameters_does_not_change_the_best():
    network = Course([1.0, 2.0])

    def spoil(history):
        network.params["w"] += 100.0

    network.fit(epochs=2, patience=2, callbacks=[spoil])
    assert network.params["w"] == [1.0]


def test_reduce_stands_between_gradient_and_step():
    given = []

    def halved(grads):
        given.append(grads)
        return {"w": grads["w"] / 2}

    network = Recorder(4)
    network.fit(steps=3, batch_size=2, optimizer=SGD(1.0), reduce=halved)
    assert network.params["w"] == [-1.5]
    assert [grads["w"].tolist() for grads in given] == [[1.0]] * 3


@pytest.mark.parametrize("made", [gl.nn.Network, gl.TwoLayerNetwork])
def test_gradients_that_a_network_keeps_are_not_written_to(made):
    class Keeping(made):
        def loss_and_gradient_at(self, params, x, rows):
            loss, grads = super().loss_and_gradient_at(params, x, rows)
            kept.append((grads, {k: g.copy() for k, g in grads.items()}))
            return loss, grads

    kept = []
    sizes = (2, 3, 2) if made is gl.TwoLayerNetwork else ([gl.nn.Dense(2)], 2)
    fit(Keeping(*sizes, seed=0), *data(), steps=4, optimizer=SGD(0.5))
    assert len(kept) == 4
    for grads, copies in kept:
        for name, copy in copies.items():
            np.testing.assert_array_equal(grads[name], copy)


def test_gradients_that_a_wrapper_keeps_are_not_written_to():
    kept, network = [], make()
    inner = network.loss_and_gradient_at

    def keeping(*given):
        loss, grads = inner(*given)
        kept.append((grads["b1"], grads["b1"].copy()))
        return loss, grads

    network.loss_and_gradient_at = keeping
    fit(network, *data(), steps=4, optimizer=SGD(0.5))
    assert len(kept) == 4
    for grad, copy in kept:
        np.testing.assert_array_equal(grad, copy)


@pytest.mark.parametrize(
    ("reduce", "got"),
    [(lambda grads: None, "got NoneType"), (lambda grads: {"v": 1}, r"got \['v'\]")],
)
def test_what_reduce_returns_is_looked_at(reduce, got):
    with pytest.raises(ValueError, match=rf"`reduce` must return a dict .* \['w'\]: {got}"):
        Recorder(4).fit(steps=3, batch_size=2, reduce=reduce)


def test_the_rate_of_each_epoch_is_recorded():
    history = Recorder(4).fit(steps=5, batch_size=2, optimizer=SGD(lambda step: 0.5**step))
    assert history.lr == [0.5, 0.125, 0.0625]
    assert Recorder(4).fit(epochs=2, optimizer=SGD(0.25)).lr == [0.25, 0.25]


def test_the_table_of_epochs_is_read_back_exactly(tmp_path):
    history = fit(make(), X, LABELS, epochs=3, validation=(X[:3], LABELS[:3]))
    history.to_csv(tmp_path / "history.csv")
    names, *rows = (tmp_path / "history.csv").read_text().splitlines()
    assert names == "epoch,loss,accuracy,val_loss,val_accuracy,lr,seconds"
    columns = np.asarray([row.split(",") for row in rows], float).T
    assert columns[0].tolist() == [0, 1, 2]
    for name, column in zip(names.split(",")[1:], columns[1:], strict=True):
        assert column.tolist() == getattr(history, name)
    fit(make(), X, LABELS, epochs=1).to_csv(tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_text().startswith("epoch,loss,accuracy,lr,seconds\n0,")


def test_bad_validation_data_are_named_before_any_work(monkeypatch):
    monkeypatch.setitem(loop.GRADIENTS, "autodiff", None)
    for validation, kind, message in (
        ((X[:, :1], LABELS), ValueError, "in `validation`: `x` must be a batch"),
        ((X, LABELS + 1), ValueError, "in `validation`: labels in `t` must lie between 0 and 1"),
        ((X[0], 1), ValueError, "in `validation`: `x` must be a batch .*: got one sample"),
        (X, TypeError, r"`validation` must be \(x, t\): got ndarray"),
    ):
        with pytest.raises(kind, match=message):
            fit(make(), *data(), epochs=1, validation=validation)


MISTAKES = {
    "neither": ({}, ValueError, "exactly one of `epochs` and `steps`: got epochs=None, steps=No"),
    "both": ({"epochs": 1, "steps": 1}, ValueError, "exactly one of `epochs` and `steps`"),
    "no epochs": ({"epochs": 0}, ValueError, "`epochs` must be a positive integer: got 0"),
    "half a step": ({"steps": 0.5}, ValueError, "`steps` must be a positive integer: got 0.5"),
    "batch": ({"steps": 1, "batch_size": 0}, ValueError, "`batch_size` must be a positive integer"),
    "gradient": (
        {"steps": 1, "gradient": "x"},
        ValueError,
        "must be one of 'autodiff', 'numerical': got 'x'",
    ),
    "gradients": ({"steps": 1, "gradient": ["x"]}, ValueError, "must be one of 'autodiff'"),
    "checkpoint": ({"steps": 1, "checkpoint": 3}, TypeError, "`checkpoint` must be the name of"),
    "seed": ({"steps": 1, "seed": -1}, ValueError, "`seed` must be"),
    "patience": ({"steps": 1, "patience": 0}, ValueError, "`patience` must be a positive integer"),
    "no validation": ({"steps": 1, "patience": 1}, ValueError, "`patience` needs `validation`"),
    "reduce": ({"steps": 1, "reduce": 2}, TypeError, "`reduce` must be a function"),
    "a rate": ({"steps": 1, "optimizer": 0.1}, TypeError, r"such as SGD\(0.1\): got 0.1"),
    "a class": ({"steps": 1, "optimizer": SGD}, TypeError, "`optimizer` must be an update rule"),
    "a function": ({"steps": 1, "callbacks": print}, TypeError, "`callbacks` must be a sequence"),
    "no callbacks": (
        {"steps": 1, "callbacks": None},
        TypeError,
        "`callbacks` must be a sequence of functions of the history: got None",
    ),
    "a string": ({"steps": 1, "callbacks": "ab"}, TypeError, "`callbacks` must be a sequence"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_bad_option_is_refused_before_any_work(monkeypatch, what):
    options, kind, message = MISTAKES[what]
    monkeypatch.setitem(loop.GRADIENTS, "autodiff", None)
    with pytest.raises(kind, match=message):
        fit(make(), *data(), **options)


def test_bad_data_are_refused_before_any_work(backend, monkeypatch):
    monkeypatch.setitem(loop.GRADIENTS, "autodiff", None)
    network, (x, t) = make(), data()
    with pytest.raises(ValueError, match="`x` has 20 samples and `t` has 19"):
        fit(network, x, t[:19], epochs=1)
    with pytest.raises(ValueError, match=r"the network has 2 inputs: got shape \(20, 1\)"):
        fit(network, x[:, :1], t, epochs=1)
    with pytest.raises(ValueError, match=r"between 0 and 1, .*: got 2"):
        fit(network, x, t + 1, epochs=1)
    with pytest.raises(ValueError, match=r"`x` must be a batch of shape .* one sample"):
        fit(network, x[0, :], 1, epochs=1)
    nobody, message = x[:0, :], r"`x` must be a batch of at least one sample: got shape \(0, 2\)"
    with pytest.raises(ValueError, match=message):
        fit(network, nobody, t[:0], epochs=1)
    with pytest.raises(ValueError, match=f"in `validation`: {message}"):
        fit(network, x, t, epochs=1, validation=(nobody, t[:0]))
    regression = nn.Network([nn.Dense(1)], 2, loss="mean_squared_error")
    with pytest.raises(ValueError, match=message):
        fit(regression, nobody, nobody[:, :1], epochs=1)
    with pytest.raises(ValueError, match=message.replace("2", "1")):
        Recorder(0).fit(epochs=1)
    for other in (TwoLayerNetwork, None, {"W1": x}):
        with pytest.raises(TypeError, match="`network` must be a network"):
            fit(other, x, t, epochs=1)


class Poisson(nn.Network):
    """A loss of its own, far from the one that the scores are judged by elsewhere."""

    def loss_at(self, params, x, rows):
        scores = self.scores_at(params, x)
        xp = gl.namespace(scores)
        return xp.mean(xp.exp(scores) - rows * scores)


def test_a_loss_of_its_own_is_what_a_training_is_judged_by():
    x = RNG.normal(size=(60, 2))
    counts = RNG.poisson(np.exp(3.9 + 0.1 * x[:, :1])).astype(float)
    network = Poisson([nn.Dense(4), nn.Tanh(), nn.Dense(1)], 2, loss="mean_squared_error", seed=1)
    history = fit(
        network, x, counts, epochs=20, batch_size=20, optimizer=Adam(0.01), validation=(x, counts)
    )
    assert history.stop_reason == "finished"
    assert history.val_loss[-1] == float(network.loss(x, counts)) < history.val_loss[0]


class Own:
    """An update rule of a user's own; `result` is what its step makes of the new parameters."""

    def __init__(self, result):
        self.result = result

    def init(self, params):  # noqa: ARG002
        return 0

    def step(self, params, grads, state):
        moved = {key: value - 0.1 * grads[key] for key, value in params.items()}
        return self.result(moved, state + 1)


WRONG_STEPS = {
    "no state": (lambda moved, _: moved, TypeError, "must return a pair, .*: got dict"),
    "nothing": (lambda *_: None, TypeError, "must return a pair, .*: got NoneType"),
    "a lost one": (
        lambda moved, state: (dict(list(moved.items())[1:]), state),
        ValueError,
        r"must return what is built like `params`, of params\['W1'\], .*: got params\['b1'\], ",
    ),
    "sums": (
        lambda moved, state: ({key: value.sum() for key, value in moved.items()}, state),
        ValueError,
        r"must return shape \(2, 2\) for `params\['W1'\]`: got \(\)",
    ),
    "complex": (
        lambda moved, state: ({key: value + 1j for key, value in moved.items()}, state),
        TypeError,
        r"must return real numbers for `params\['W1'\]`: got complex128",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_STEPS)
def test_a_step_that_returns_what_does_not_fit_leaves_the_parameters_as_they_were(wrong):
    result, error, message = WRONG_STEPS[wrong]
    network = make()
    before = dict(network.params)
    with pytest.raises(error, match="`optimizer.step` " + message):
        fit(network, *data(), epochs=1, optimizer=Own(result))
    assert all(network.params[key] is value for key, value in before.items())


def test_parameters_keep_their_dtype_whatever_a_step_makes_of_them():
    network = make()
    network.params = {key: value.astype(np.float32) for key, value in network.params.items()}
    wide = Own(lambda moved, state: ({k: v.astype(np.float64) for k, v in moved.items()}, state))
    fit(network, *data(), epochs=1, optimizer=wide)
    assert {value.dtype for value in network.params.values()} == {np.dtype(np.float32)}


def test_a_rule_with_a_step_of_its_own_takes_every_step_by_it():
    class Still(SGD):
        def step(self, params, grads, state):  # noqa: ARG002
            return params, state

    network = make()
    before = dict(network.params)
    fit(network, *data(), epochs=2, batch_size=5, optimizer=Still(0.1))
    for key, value in before.items():
        np.testing.assert_array_equal(network.params[key], value)


def test_parameters_that_cannot_learn_are_refused_before_any_work(monkeypatch):
    monkeypatch.setitem(loop.GRADIENTS, "autodiff", None)
    network = make()
    network.params["b1"] = np.zeros(2, dtype=int)
    with pytest.raises(TypeError, match=r"`network.params\['b1'\]` must be real floating"):
        fit(network, *data(), epochs=1)


@pytest.fixture
def count_waits(waits):
    """Run a training on array-api-strict and count what would make a host wait for its device."""

    def run(**options):
        with gl.use_backend("array_api_strict:device1"):
            network, (x, t) = make(), data()
            waits.clear()
            fit(network, x, t, epochs=1, optimizer=SGD(1e-3), **options)
        return len(waits)

    return run


@pytest.mark.parametrize("replace", [False, True])
def test_waits_for_the_device_do_not_grow_with_the_steps_of_an_epoch(count_waits, replace):
    few = count_waits(batch_size=20, replace=replace)
    many = count_waits(batch_size=1, replace=replace)
    assert few == many == 2  # the labels are checked, then the epoch's losses are fetched


def test_validation_waits_for_the_device_no_oftener(count_waits):
    with gl.use_backend("array_api_strict:device1"):
        validation = data()
    waits = [count_waits(batch_size=n, validation=validation, patience=1) for n in (20, 1)]
    assert waits == [3, 3]  # the labels of both are checked


def test_a_numerical_gradient_waits_once_and_nothing_else_in_a_step_does(count_waits):
    """Whether cubics describe all changes is asked once for each gradient."""
    few, many = (count_waits(batch_size=n, gradient="numerical") for n in (20, 5))
    assert many - few == 4 - 1
