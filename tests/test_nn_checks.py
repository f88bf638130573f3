"""What networks take and what they refuse: targets, samples, sizes."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.nn.checks import positive_int, real_targets, samples, targets

BATCH = (4, 3)


@pytest.fixture
def like(xp):
    """An array with the dtype and device that targets are to have."""
    return xp.asarray([0.5])


def test_labels_become_one_hot_rows(xp, like, assert_close):
    one_hot = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    for dtype in (xp.uint8, xp.int32, xp.int64):
        rows = targets(xp.asarray([1, 0, 2, 1], dtype=dtype), BATCH, like)
        assert rows.dtype == like.dtype
        assert rows.device == like.device
        assert_close(rows, one_hot)


def test_probabilities_stay_what_they_are(xp, like, assert_close):
    rows = [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0]]
    got = targets(xp.asarray(rows, dtype=xp.float32), BATCH, like)
    assert got.dtype == like.dtype
    assert_close(got, rows, rtol=1e-6)


def test_lists_are_taken_as_arrays(backend, assert_close):
    from gradlab import asarray  # noqa: PLC0415

    like = asarray([0.5])
    assert_close(targets([2, 0], (2, 3), like), [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    assert_close(targets([[0.0, 1.0]], (1, 2), like), [[0.0, 1.0]])


def test_one_sample_has_one_label_or_one_row(xp, like, assert_close):
    for t in (2, np.uint8(2), xp.asarray(2), xp.asarray([2]), xp.asarray([0, 0, 1])):
        assert_close(targets(t, (3,), like), [0.0, 0.0, 1.0])
    assert_close(targets(xp.asarray([0]), (1,), like), [1.0])
    assert_close(targets(xp.asarray([1.0]), (1,), like), [1.0])


REFUSED_BY_A_BATCH = {
    "one class too many": ([0, 1, 2, 3], r"between 0 and 2, .* 3 classes: got 3; .* from 0"),
    "a negative label": ([0, 1, -1, 2], "between 0 and 2, .*: got -1"),
    "labels as floats": ([0.0, 1.0, 2.0, 1.0], r"cast labels .*: xp.astype\(t, xp.int64\)"),
    "labels as booleans": ([True, False, True, True], "cast labels"),
    "too few labels": ([0, 1, 2], "`logits` has 4 samples and `t` has 3"),
    "too many labels": ([0, 1, 2, 0, 1], "`logits` has 4 samples and `t` has 5"),
    "a column of labels": ([[0], [1], [2], [1]], r"flatten the labels: xp.reshape\(t, \(-1,\)\)"),
    "axes exchanged": (np.eye(3, 4).tolist(), r"its axes are exchanged: give t.T"),
    "too many classes": (np.eye(4, 5).tolist(), r"of 3 classes, shape \(4, 3\): got .*\(4, 5\)"),
    "a row too few": (np.eye(3).tolist(), r"got shape \(3, 3\)"),
    "three axes": ([[[1.0]]], r"got shape \(1, 1, 1\)"),
    "one label for all": (1, r"shape \(4,\), or probabilities .* got shape \(\)"),
    "rows of counts": ([[2, 0, 0]] * 4, "sum 1: got an element 0 and a sum 1 away from 1"),
    "negative rows": ([[1.5, -0.5, 0.0]] * 4, "non-negative and of sum 1: got an element -0.5"),
    "no numbers": ([[float("nan"), 0.0, 1.0]] * 4, "must be probabilities"),
}


@pytest.mark.parametrize("what", REFUSED_BY_A_BATCH)
def test_a_batch_refuses_any_other_target(xp, like, what):
    t, message = REFUSED_BY_A_BATCH[what]
    with pytest.raises(ValueError, match=message) as error:
        targets(xp.asarray(t), BATCH, like)
    assert "`t`" in str(error.value)


REFUSED_BY_A_SAMPLE = {
    "two labels": ([0, 1], r"`t` must be an integer, or probabilities of 3 classes, shape \(3,\)"),
    "a float label": (2.0, "cast labels to integers"),
    "out of range": (3, "between 0 and 2"),
    "a batch of one": ([[0.0, 1.0, 0.0]], r"got shape \(1, 3\)"),
}


@pytest.mark.parametrize("what", REFUSED_BY_A_SAMPLE)
def test_a_sample_refuses_any_other_target(xp, like, what):
    t, message = REFUSED_BY_A_SAMPLE[what]
    with pytest.raises(ValueError, match=message):
        targets(xp.asarray(t), (3,), like)


@pytest.mark.parametrize("t", [2.0, None, "2", True, np.float64(1)])
def test_what_is_no_array_must_be_an_integer(like, t):
    with pytest.raises(ValueError, match=r"`t` must be an array, or the label of one sample"):
        targets(t, (3,), like)


def test_complex_targets_are_refused(xp, like):
    rows = xp.astype(xp.asarray([[1.0, 0.0]]), xp.complex64)
    with pytest.raises(ValueError, match=r"got shape \(1, 2\) of .*complex64"):
        targets(rows, (1, 2), like)


@pytest.mark.parametrize("shape", [(), (0, 3), (3, 0), (1, 2, 3)])
def test_scores_must_be_a_batch_or_a_sample_and_not_empty(like, shape):
    with pytest.raises(ValueError, match="`logits` must be a batch of shape"):
        targets(0, shape, like)


def test_targets_of_another_library_are_named():
    with pytest.raises(TypeError, match="`logits` is of numpy, `t` is of array_api_strict"):
        targets(array_api_strict.asarray([0]), (1, 2), np.ones(1))


@pytest.mark.parametrize("t", [["b", "a"], [b"b", b"a"], np.asarray(["b", "a"], object)])
def test_names_of_classes_are_to_be_numbered(t):
    t = np.asarray(t)
    with pytest.raises(ValueError, match=r"numpy.unique\(t, return_inverse=True\)"):
        targets(t, (2, 2), np.ones(1))
    with pytest.raises(ValueError, match=f"hold real numbers: got shape .* of {t.dtype}"):
        real_targets(t, (2,), np.ones(1))
    with pytest.raises(TypeError, match=f"`x` must hold real numbers: got {t.dtype}"):
        samples(t, 2, np.ones(1))


def test_samples_take_the_dtype_of_the_parameters(xp, like, assert_close):
    for dtype in (xp.uint8, xp.int64, xp.float32, xp.bool):
        got = samples(xp.asarray([[0, 1], [1, 1]], dtype=dtype), 2, like)
        assert got.dtype == like.dtype
        assert_close(got, [[0.0, 1.0], [1.0, 1.0]])
    x = xp.zeros((2,), dtype=like.dtype)
    assert samples(x, 2, like) is x


def test_samples_of_another_shape_are_refused_with_a_cure(xp, like):
    with pytest.raises(ValueError, match=r"the network has 4 inputs: got shape \(3, 5\)$"):
        samples(xp.zeros((3, 5)), 4, like)
    with pytest.raises(ValueError, match=r"xp.reshape\(x, \(-1, 4\)\)"):
        samples(xp.zeros((3, 2, 2)), 4, like)
    with pytest.raises(ValueError, match=r"got shape \(\)$"):
        samples(xp.asarray(1.0), 1, like)


def test_complex_samples_are_refused(xp, like):
    with pytest.raises(TypeError, match=r"`x` must hold real numbers: got .*complex64"):
        samples(xp.zeros((1, 2), dtype=xp.complex64), 2, like)


def test_a_size_is_a_positive_integer():
    assert positive_int(3, "n") == 3
    assert type(positive_int(np.int64(3), "n")) is int
    for value in (0, -1, 1.0, "3", None, True):
        with pytest.raises(ValueError, match="`n` must be a positive integer: got"):
            positive_int(value, "n")


def test_targets_of_a_regression_are_rows_of_real_numbers(xp):
    network = nn.Network([nn.Dense(1)], 2, loss="mean_squared_error", seed=0)
    params = {k: xp.asarray(gl.to_numpy(v).tolist()) for k, v in network.params.items()}
    network.params = params
    x = xp.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    rows = xp.asarray([[0.5], [-2.0], [7.0]])
    scores = gl.to_numpy(network.predict(x))
    truth = np.mean((scores - gl.to_numpy(rows)) ** 2)
    np.testing.assert_allclose(float(network.loss(x, rows)), truth, rtol=1e-5)
    assert np.isnan(float(network.accuracy(x, rows)))  # there are no classes
    for t in (xp.asarray([0.5, -2.0, 7.0]), xp.asarray([1, 2, 3])):
        with pytest.raises(ValueError, match=r"of .* got shape \(3,\) .*reshape\(t, \(3, 1\)\)"):
            network.loss(x, t)
    with pytest.raises(ValueError, match=r"got shape \(\) .*reshape\(t, \(1,\)\)"):
        network.loss(x[0, :], xp.asarray(0.5))


def test_labels_of_a_regression_with_several_outputs_are_one_hot_rows():
    network = nn.Network([nn.Dense(3)], 2, loss="mean_squared_error", seed=0)
    x = np.ones((2, 2))
    assert network.loss(x, [0, 2]) == network.loss(x, np.eye(3)[[0, 2]])
    with pytest.raises(ValueError, match=r"of float64$"):  # a row of one number would not do
        network.loss(x, np.ones(2))
