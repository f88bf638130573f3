"""Checkpoints: a training that is broken off, anywhere and anyhow, goes on as if it had not been.

Trainings are killed or interrupted, each `GRADLAB_TEST_KILLS` times at random moments, 50 unless
that says otherwise.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import NamedTuple

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn, store
from gradlab.nn import TwoLayerNetwork
from gradlab.optimizers import SGD, Adam, AdamW, clip_norm
from gradlab.training import DivergenceError, fit, loop
from gradlab.training import checkpoint as module
from gradlab.training.history import PER_EPOCH

RNG = np.random.default_rng(5)
X = np.concatenate([RNG.normal(-1, 1, (11, 2)), RNG.normal(1, 1, (12, 2))])
LABELS = np.repeat([0, 1], [11, 12])
OPTIMIZERS = {
    "momentum": SGD(0.3, momentum=0.9),
    "adam": Adam(0.02),
    "schedule": clip_norm(Adam(lambda step: 0.1 / (1 + step)), 0.1),
}
KILLS = int(os.environ.get("GRADLAB_TEST_KILLS", "50"))


def make(**options):
    return TwoLayerNetwork(2, 3, 2, "glorot", seed=1, **options)


def train(network=None, **options):
    """Six steps an epoch, the last of them on three samples."""
    network = network or make()
    x, t = gl.asarray(X.tolist()), gl.asarray(LABELS)
    validation = (gl.asarray(X[:9].tolist()), gl.asarray(LABELS[:9]))
    options = {"optimizer": Adam(0.02), "validation": validation, **options}
    return network, fit(network, x, t, batch_size=4, **options)


def assert_same_params(got, expected):
    assert list(got) == list(expected)
    for key, value in expected.items():
        assert gl.to_numpy(got[key]).tobytes() == gl.to_numpy(value).tobytes()


def assert_same(got, expected):
    (network, history), (reference, truth) = got, expected
    assert_same_params(network.params, reference.params)
    for name in ("seed", "train_loss_list", "best_epoch", "stop_reason", *PER_EPOCH[:-1]):
        assert getattr(history, name) == getattr(truth, name), name
    assert len(history.seconds) == len(truth.seconds)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("replace", [False, True])
def test_ten_epochs_are_five_and_five_more(path, optimizer, replace):
    options = {"optimizer": OPTIMIZERS[optimizer], "replace": replace, "seed": 3}
    truth = train(epochs=10, **options)
    train(epochs=5, checkpoint=path, **options)
    assert_same(train(epochs=10, checkpoint=path, **options), truth)
    assert_same(train(epochs=10, checkpoint=path, **options), truth)  # nothing left to do


def test_a_training_goes_on_on_every_backend(path, backend):
    truth = train(epochs=3)
    train(epochs=1, checkpoint=path)
    network, history = train(epochs=3, checkpoint=path)
    assert_same((network, history), truth)
    for value in network.params.values():
        assert value.device == gl.asarray(0.0).device


@pytest.mark.parametrize("first", [1, 5, 6, 7, 11])
def test_steps_that_end_within_an_epoch_go_on_there(path, first):
    truth = train(steps=20)
    _, history = train(steps=first, checkpoint=path)
    assert len(history.loss) == -(-first // 6)
    assert_same(train(steps=first, checkpoint=path), train(steps=first))
    assert_same(train(steps=20, checkpoint=path), truth)


def test_a_fresh_seed_is_kept_in_the_checkpoint(path):
    _, first = train(epochs=1, seed=None, checkpoint=path)
    got = train(epochs=2, seed=None, checkpoint=path)
    assert got[1].seed == first.seed
    assert_same(got, train(epochs=2, seed=first.seed))


def test_a_matrix_in_fortran_order_goes_on_so(path):
    def network():
        made = make()
        made.params["W1"] = np.asfortranarray(made.params["W1"])
        return made

    truth = train(network(), epochs=4)
    train(network(), epochs=2, checkpoint=path)
    assert_same(train(epochs=4, checkpoint=path), truth)


def test_the_best_weights_come_back_from_a_checkpoint(path):
    options = {"optimizer": SGD(0.5), "patience": 3}
    truth = train(epochs=40, **options)
    for epochs in (1, 5, 17, 40):
        got = train(epochs=epochs, checkpoint=path, **options)
    assert_same(got, truth)


def interrupt_at(monkeypatch, call):
    real, calls = loop.GRADIENTS["autodiff"], []

    def interrupted(network):
        def value_and_grad(*args):
            calls.append(args)
            if len(calls) == call:
                raise KeyboardInterrupt
            return real(network)(*args)

        return value_and_grad

    monkeypatch.setitem(loop.GRADIENTS, "autodiff", interrupted)


@pytest.mark.parametrize("call", [1, 4, 7, 9])
def test_an_interrupt_leaves_a_checkpoint_of_the_last_complete_step(path, monkeypatch, call):
    truth = train(epochs=3)
    interrupt_at(monkeypatch, call)
    network, history = train(epochs=3, checkpoint=path)
    monkeypatch.undo()
    assert history.stop_reason == "interrupted"
    assert len(history.train_loss_list) == call - 1
    saved = store.load(path)
    assert_same_params(saved["params"], network.params)
    assert saved["history"]["train_loss_list"] == history.train_loss_list
    assert_same(train(epochs=3, checkpoint=path), truth)


def test_an_interrupt_of_a_callback_loses_nothing(path):
    def interrupt(history):
        raise KeyboardInterrupt

    _, history = train(epochs=3, checkpoint=path, callbacks=[interrupt])
    assert (history.stop_reason, len(history.loss)) == ("interrupted", 1)
    assert_same(train(epochs=3, checkpoint=path), train(epochs=3))


def test_an_interrupt_of_the_last_write_loses_nothing(path, monkeypatch):
    real, last = store.save, []

    def save(path, state):
        if len(state["history"]["loss"]) == len(truth.loss):
            last.append(state)
            if len(last) == 1:
                raise KeyboardInterrupt
        real(path, state)

    options = {"epochs": 40, "optimizer": SGD(0.5), "patience": 3}
    reference, truth = train(**options)
    assert truth.stop_reason == "patience"
    monkeypatch.setattr(store, "save", save)
    network, history = train(checkpoint=path, **options)
    monkeypatch.undo()
    assert (len(last), history.stop_reason) == (2, "interrupted")
    assert history.loss == truth.loss
    assert_same_params(network.params, reference.params)
    assert_same(train(checkpoint=path, **options), (reference, truth))


@pytest.mark.parametrize("end", ["callback", "interrupted"])
def test_a_checkpoint_holds_no_parameters_that_an_epoch_spoilt(path, end):
    """The last step of the third epoch, and of the training, is one too far."""

    def stop(history):
        if len(history.loss) == 3:
            if end == "interrupted":
                raise KeyboardInterrupt
            return True
        return False

    wild = SGD(lambda step: 1e4 if step == 17 else 0.5)
    _, history = train(epochs=9, checkpoint=path, optimizer=wild, callbacks=[stop])
    assert history.stop_reason == end
    assert len(store.load(path)["history"]["loss"]) == 2
    tame = {"optimizer": SGD(0.5)}
    assert_same(train(epochs=9, checkpoint=path, **tame), train(epochs=9, **tame))


def test_what_a_callback_did_to_the_parameters_is_in_the_checkpoint(path):
    network = make()

    def reset(history):
        network.params["b2"] = network.params["b2"] * 0

    train(network, epochs=1, checkpoint=path, callbacks=[reset])
    np.testing.assert_array_equal(store.load(path)["params"]["b2"], [0, 0])


def test_a_callback_that_stops_leaves_a_checkpoint(path):
    train(epochs=9, checkpoint=path, callbacks=[lambda history: len(history.loss) == 2])
    assert_same(train(epochs=3, checkpoint=path), train(epochs=3))


def test_resume_false_begins_anew(path):
    train(epochs=3, checkpoint=path)
    got = train(epochs=1, checkpoint=path, resume=False)
    assert_same(got, train(epochs=1))
    assert len(store.load(path)["history"]["loss"]) == 1


def in_a_child(work, after, number):
    """Run `work` in another process, and send it the signal so many seconds later.

    Interrupts reach the child within its `try` alone: one that got out would run the other tests.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child = os.fork()
    if child == 0:
        code = 2  # of any other exception
        try:
            sys.settrace(None)  # a signal would find coverage holding its lock
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            work()
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            code = 0
        except KeyboardInterrupt:
            code = 1
        finally:
            os._exit(code)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    time.sleep(after)
    os.kill(child, number)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # pytest's threads sleep
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize(
    ("optimizer", "replace"), [(SGD(0.1, momentum=0.9), False), (Adam(0.02), True)]
)
def test_a_training_that_is_killed_at_any_moment_goes_on_as_if_it_had_not_been(
    path, monkeypatch, number, optimizer, replace
):
    kills = KILLS // 2
    monkeypatch.setattr(module, "_SHARE", 1.0)  # write after every epoch: moments of all kinds
    network, reached = make(), {}

    def remember(history):
        reached[len(history.train_loss_list)] = {k: v.copy() for k, v in network.params.items()}

    monkeypatch.setitem(loop.GRADIENTS, "autodiff", slowly(loop.GRADIENTS["autodiff"]))
    options = {"epochs": 60, "optimizer": optimizer, "replace": replace}
    truth = train(network, callbacks=[remember], **options)
    moments = np.random.default_rng(1).uniform(0, 0.06, kills)
    ends = []
    for moment in moments:
        ends.append(in_a_child(lambda: train(checkpoint=path, **options), moment, number))
        if path.exists():
            saved = store.load(path)
            done = len(saved["history"]["train_loss_list"])
            if done in reached:  # else an interrupt came within an epoch
                assert_same_params(saved["params"], reached[done])
            if done == 60 * 6:
                assert_same(train(checkpoint=path, **options), truth)
                path.unlink()
    assert_same(train(checkpoint=path, **options), truth)
    assert max(reached) == 60 * 6
    assert 2 not in ends
    if number == signal.SIGKILL:
        assert ends.count(-signal.SIGKILL) > kills / 2


def slowly(real):
    """Steps of half a millisecond."""

    def value_and_grad(network):
        inner = real(network)

        def call(*args):
            time.sleep(0.0003)
            return inner(*args)

        return call

    return value_and_grad


def test_writing_takes_a_small_share_of_the_time(path, monkeypatch):
    now, writes = [0.0], []
    monkeypatch.setattr(module, "perf_counter", lambda: now[0])

    def save(*args):
        writes.append(now[0])
        now[0] += 1.0

    monkeypatch.setattr(store, "save", save)

    def wait(history):
        now[0] += 0.5

    train(epochs=200, checkpoint=path, callbacks=[wait])
    assert writes[0] == 0.5  # at once: that it cannot be written is better known early
    between = np.diff(writes[:-1])
    assert between.min() >= 1 / 0.03  # of which 1 is the writing
    assert between.max() <= 1 / 0.03 + 0.5
    assert writes[-1] == now[0] - 1.0  # and at the end, always


def test_no_checkpoint_is_written_where_a_training_diverges(path):
    train(epochs=1, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(gl.training.DivergenceError):
        train(epochs=3, checkpoint=path, optimizer=Adam(1e9))
    assert path.read_bytes() == before


HELD_OUT = (X[:5].tolist(), LABELS[:5].tolist())
MISTAKES = {
    "seed": ({"seed": 4}, "its settings have seed=0, here it is seed=4; give the same"),
    "batches": ({"replace": True}, "replace=False, here it is replace=True"),
    "optimizer": ({"optimizer": AdamW(0.02)}, "optimizer=Adam, here it is optimizer=AdamW"),
    "a clipped one": ({"optimizer": clip_norm(Adam(0.02), 1.0)}, r"optimizer=Clipped\(Adam\); "),
    "gradient": ({"gradient": "numerical"}, "gradient=autodiff, here it is gradient=numerical"),
    "no validation": ({"validation": None}, "validation=[0-9a-f]{16}, here it is validation=None;"),
    "other validation": ({"validation": HELD_OUT}, "validation=[0-9a-f]{16}; give the same"),
    "fewer": ({"epochs": 1}, "has 12 steps already, more than the 6 asked for in total"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_another_training_is_refused_before_any_work(path, monkeypatch, what):
    options, message = MISTAKES[what]
    train(epochs=2, checkpoint=path)
    before = path.read_bytes()
    network = make()
    params = dict(network.params)
    with pytest.raises(ValueError, match=message):
        train(network, **{"epochs": 3, "checkpoint": path, **options})
    assert path.read_bytes() == before
    assert_same_params(network.params, params)


def test_another_network_is_refused(path):
    train(epochs=1, checkpoint=path)
    other = TwoLayerNetwork(2, 4, 2, seed=1)
    with pytest.raises(ValueError, match=r"parameters have W1=float64\(2, 3\), .*float64\(2, 4\)"):
        train(other, epochs=2, checkpoint=path)
    with pytest.raises(ValueError, match=r"W1=float64\(2, 3\), .*W1=float32\(2, 3\)"):
        train(make(dtype="float32"), epochs=2, checkpoint=path)


def test_validation_that_is_added_is_refused(path):
    train(epochs=1, checkpoint=path, validation=None)
    with pytest.raises(ValueError, match=r"validation=None, here it is validation=[0-9a-f]{16};"):
        train(epochs=2, checkpoint=path)


def test_an_optimizer_of_the_same_class_that_remembers_more_is_refused(path):
    train(epochs=1, checkpoint=path, optimizer=SGD(0.1))
    with pytest.raises(ValueError, match="optimizer's memory have momentum=None, here it is mome"):
        train(epochs=2, checkpoint=path, optimizer=SGD(0.1, momentum=0.9))


def test_another_rate_may_go_on(path):
    train(epochs=1, checkpoint=path)
    _, history = train(epochs=2, checkpoint=path, optimizer=Adam(0.3))
    assert history.lr == [0.02, 0.3]


def test_layers_and_loss_that_have_the_same_parameters_are_refused(path):
    def network(activation, loss):
        return nn.Network([nn.Dense(3), activation, nn.Dense(2)], 2, loss=loss, seed=1)

    train(network(nn.Sigmoid(), "cross_entropy"), epochs=1, checkpoint=path)
    with pytest.raises(
        ValueError,
        match=r"layers=\[Dense.*Sigmoid\(\).*loss=cross_entropy, here.*"
        r"ReLU\(\).*loss=mean_squared_error; .* begin anew without resume",
    ):
        train(network(nn.ReLU(), "mean_squared_error"), epochs=2, checkpoint=path)
    train(epochs=2, checkpoint=path)  # but not a class that computes the same


@pytest.mark.parametrize("how", ["diverged", "raised"])
def test_good_epochs_are_kept_where_a_training_diverges_or_raises(path, how):
    def stop(history):
        if how == "raised" and len(history.loss) == 4:
            raise ZeroDivisionError

    def lr(step):
        return 1e9 if how == "diverged" and step >= 18 else 0.1

    error = ZeroDivisionError if how == "raised" else DivergenceError
    with pytest.raises(error):
        train(epochs=6, checkpoint=path, optimizer=SGD(lr), callbacks=[stop])
    options = {"optimizer": SGD(0.1), "epochs": 6}
    assert_same(train(**options, checkpoint=path), train(**options))


def test_a_network_with_a_loss_of_its_own_is_another(path):
    class Halved(gl.TwoLayerNetwork):
        def loss_of(self, scores, rows):
            return super().loss_of(scores, rows) / 2

    train(Halved(2, 3, 2, seed=1), epochs=1, checkpoint=path)
    with pytest.raises(ValueError, match="have network=Halved, here it is network=None;"):
        train(gl.TwoLayerNetwork(2, 3, 2, seed=1), epochs=2, checkpoint=path)
    train(Halved(2, 3, 2, seed=1), epochs=2, checkpoint=path)


def test_other_data_of_the_same_shape_are_refused(path):
    def go(x, t, epochs=2):
        return fit(make(), x, t, epochs=epochs, batch_size=4, checkpoint=path)

    go(X, LABELS, 1)
    one = X.copy()
    one[2, 1] += 0.01  # of a sample that is not among those which are compared as they are
    for x, t in ((X + 1, LABELS), (X[::-1], LABELS), (X, 1 - LABELS), (one, LABELS)):
        with pytest.raises(ValueError, match=r"data=[0-9a-f]{16}, here it is data=[0-9a-f]{16};"):
            go(x, t)
    assert len(go(X, LABELS).loss) == 2


def test_samples_and_targets_of_any_number_of_axes_have_a_fingerprint(xp):
    images, numbers = xp.asarray(RNG.random((5, 3, 2)).tolist()), xp.asarray(RNG.random(5).tolist())
    flat = module.fingerprint(xp.reshape(images, (5, 6)), numbers[:, None])
    assert module.fingerprint(images, numbers) == flat
    assert module.fingerprint(images, -numbers) != flat


def test_a_fingerprint_is_the_same_on_every_backend(backend):
    x, rows = X.astype(backend.dtype), np.eye(2, dtype=backend.dtype)[LABELS]
    x = x - x.mean(axis=0)  # of which rounding is all that is left of the means
    there = module.fingerprint(gl.asarray(x), gl.asarray(rows))
    assert there == module.fingerprint(x, rows)
    assert module.fingerprint(x[:1] * 0, rows[:1]) != module.fingerprint(x[:1], rows[:1])


class Memory(NamedTuple):
    """What an optimizer of somebody else remembers."""

    count: int


class Foreign:
    def init(self, params):  # noqa: ARG002
        return Memory(0)

    def step(self, params, grads, state):  # noqa: ARG002
        return params, state


def test_what_cannot_be_written_is_told_before_any_work(path, monkeypatch):
    monkeypatch.setitem(loop.GRADIENTS, "autodiff", lambda network: None)
    with pytest.raises(TypeError, match=r"cannot hold what `optimizer` remembers: .*got Memory"):
        train(epochs=1, checkpoint=path, optimizer=Foreign())
    with pytest.raises(IsADirectoryError):
        train(epochs=1, checkpoint=path.parent, resume=False)
    path.with_name("checkpoint.part").mkdir()
    with pytest.raises(OSError, match=r"checkpoint\.part"):
        train(epochs=1, checkpoint=path)


def test_a_file_of_something_else_is_refused(path):
    make().save(path)
    with pytest.raises(store.StoreError, match="expected a checkpoint of a training"):
        train(epochs=1, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(store.StoreError, match="damaged"):
        train(epochs=1, checkpoint=path)


def test_a_folder_that_is_not_there_is_told_before_any_work(tmp_path):
    with pytest.raises(FileNotFoundError, match="`checkpoint` must be in a folder that exists"):
        train(epochs=1, checkpoint=tmp_path / "no" / "checkpoint")
