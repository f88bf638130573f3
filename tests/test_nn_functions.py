"""The functions of networks: known values, both tails, and what must not depend on what."""

from __future__ import annotations

import math

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradlab import nn
from gradlab.nn.functions import accuracy_of_rows, cross_entropy_of_rows

scores = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 5)),
    elements=st.floats(-700, 700, width=32),
)


def test_linear_is_a_product_and_a_shift(xp, assert_close):
    W, b = xp.asarray([[1.0, 2.0], [3.0, 4.0]]), xp.asarray([0.5, -0.5])
    assert_close(nn.linear(xp.asarray([[1.0, 1.0], [0.0, 2.0]]), W, b), [[4.5, 5.5], [6.5, 7.5]])
    assert_close(nn.linear(xp.asarray([1.0, 1.0]), W, b), [4.5, 5.5])


def test_linear_names_the_array_of_another_library():
    W = array_api_strict.ones((2, 2))
    with pytest.raises(TypeError, match="`W` is of array_api_strict"):
        nn.linear(np.ones(2), W, W)


SIGMOIDS = [
    (0.0, 0.5),
    (1.0, 0.7310585786300049),
    (-1.0, 0.2689414213699951),
    (-40.0, 4.248354255291589e-18),
    (-80.0, 1.8048513878454153e-35),
    (40.0, 1.0),
    (1000.0, 1.0),
    (-1000.0, 0.0),
    (math.inf, 1.0),
    (-math.inf, 0.0),
    (math.nan, math.nan),
]


@pytest.mark.parametrize(("x", "value"), SIGMOIDS)
def test_sigmoid_has_its_known_values_without_overflow(xp, assert_close, x, value):
    x = xp.asarray([x])
    got = nn.sigmoid(x)
    assert got.dtype == x.dtype
    assert_close(got, [value], rtol=1e-5 if got.dtype == xp.float32 else 1e-14)


@given(st.floats(-709, 30))
def test_sigmoid_keeps_its_digits_down_to_the_smallest_normal_number(x):
    truth = math.exp(x) if x < -37 else math.exp(x) / (1 + math.exp(x))
    assert float(nn.sigmoid(np.asarray(x))) == pytest.approx(truth, rel=2e-15, abs=5e-324)


@given(st.floats(-1e4, 1e4))
def test_sigmoids_of_opposite_numbers_sum_to_one(x):
    both = nn.sigmoid(np.asarray([x, -x]))
    assert float(np.sum(both)) == pytest.approx(1, rel=1e-15)


def test_relu_and_tanh_have_their_known_values(xp, assert_close):
    x = xp.asarray([-2.0, 0.0, 1.0, math.nan])
    assert_close(nn.relu(x), [0.0, 0.0, 1.0, math.nan])
    assert_close(nn.tanh(x), [-0.9640275800758169, 0.0, 0.7615941559557649, math.nan])
    assert nn.relu(x).dtype == nn.tanh(x).dtype == x.dtype


def test_softmax_has_its_known_values(xp, assert_close):
    got = nn.softmax(xp.asarray([[0.3, 2.9, 4.0], [1010.0, 1000.0, 990.0]]))
    low = 1 / (1 + math.exp(10) + math.exp(20))
    assert_close(
        got,
        [
            [0.01821127329554753, 0.24519181293507392, 0.7365969137693786],
            [low * math.exp(20), low * math.exp(10), low],
        ],
    )
    assert_close(nn.softmax(xp.asarray([0.0, math.log(3.0)])), [0.25, 0.75])


@given(scores)
def test_rows_of_softmax_are_probabilities(x):
    got = nn.softmax(x)
    assert np.all(got >= 0)
    np.testing.assert_allclose(np.sum(got, axis=-1), 1, rtol=1e-14)


@given(scores, st.floats(-1e3, 1e3))
def test_softmax_and_its_loss_do_not_see_a_shift(x, shift):
    np.testing.assert_allclose(nn.softmax(x + shift), nn.softmax(x), rtol=1e-10, atol=1e-300)
    labels = np.zeros(x.shape[0], dtype=int)
    shifted, loss = (nn.softmax_cross_entropy(z, labels) for z in (x + shift, x))
    np.testing.assert_allclose(shifted, loss, rtol=1e-10, atol=1e-10)


@given(scores)
def test_a_row_of_softmax_is_what_it_is_alone(x):
    alone = np.stack([nn.softmax(row) for row in x])
    np.testing.assert_array_equal(nn.softmax(x), alone)


@given(scores, st.randoms(use_true_random=False))
def test_labels_and_one_hot_rows_have_one_loss(x, random):
    n, classes = x.shape
    labels = np.asarray([random.randrange(classes) for _ in range(n)])
    loss = nn.softmax_cross_entropy(x, labels)
    assert loss == nn.softmax_cross_entropy(x, np.eye(classes)[labels])
    assert loss == nn.softmax_cross_entropy(x, np.eye(classes, dtype=np.uint8)[labels])
    alone = [nn.softmax_cross_entropy(row, int(k)) for row, k in zip(x, labels, strict=True)]
    np.testing.assert_allclose(loss, np.mean(alone), rtol=1e-14)


CROSS_ENTROPIES = [
    ([[1000.0, 0.0]], [1], 1000.0),
    ([[1000.0, 0.0]], [0], 0.0),
    ([[0.0, 0.0], [0.0, 0.0]], [0, 1], math.log(2)),
    ([[0.0, math.log(3.0)]], [[0.25, 0.75]], -0.25 * math.log(0.25) - 0.75 * math.log(0.75)),
    ([[0.3, 2.9, 4.0], [1.0, 1.0, 1.0]], [2, 0], (math.log(3) - math.log(0.7365969137693786)) / 2),
]


@pytest.mark.parametrize(("logits", "t", "value"), CROSS_ENTROPIES)
def test_cross_entropy_has_its_known_values(xp, assert_close, logits, t, value):
    logits, t = xp.asarray(logits), xp.asarray(t)
    got = nn.softmax_cross_entropy(logits, t)
    assert got.dtype == logits.dtype
    assert_close(got, value, rtol=1e-5 if logits.dtype == xp.float32 else 1e-13)


def test_one_sample_takes_a_label_or_a_row(xp, assert_close):
    logits = xp.asarray([1000.0, 0.0])
    for t in (1, np.int64(1), xp.asarray(1), xp.asarray([1]), xp.asarray([0.0, 1.0])):
        assert_close(nn.softmax_cross_entropy(logits, t), 1000.0)
        assert_close(nn.accuracy(logits, t), 0.0)


def test_accuracy_counts_the_first_of_equal_scores(xp, assert_close):
    tied = xp.asarray([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0], [3.0, 3.0, 3.0], [0.0, 0.0, 1.0]])
    got = nn.accuracy(tied, xp.asarray([0, 1, 2, 2]))
    assert got.dtype == tied.dtype
    assert_close(got, 0.75)
    rows = xp.asarray([[1.0, 0.0, 0.0], [0.2, 0.7, 0.1], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    assert_close(nn.accuracy(tied, rows), 0.75)


def test_scores_that_are_not_numbers_are_no_hits(xp, assert_close):
    inf, nan = float("inf"), float("nan")
    lost = xp.asarray([[nan, nan], [nan, 1.0], [1.0, nan], [inf, -inf]])
    assert_close(nn.accuracy(lost, xp.asarray([0, 0, 0, 0])), 0.25)


@given(scores)
def test_accuracy_against_the_largest_score_is_one(x):
    assert float(nn.accuracy(x, np.argmax(x, axis=-1))) == 1.0


def test_scores_must_be_real_floating(xp):
    with pytest.raises(TypeError, match=r"`logits` must be real floating: got .*int64"):
        nn.softmax_cross_entropy(xp.asarray([[1, 2]]), xp.asarray([1]))
    with pytest.raises(TypeError, match="`scores` must be real floating"):
        nn.accuracy(xp.asarray([[1, 2]]), xp.asarray([1]))


@pytest.mark.parametrize("function", [nn.sigmoid, nn.tanh, nn.softmax])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "complex64"])
def test_bytes_which_would_wrap_around_are_refused(xp, function, dtype):
    x = xp.asarray([0, 1], dtype=getattr(xp, dtype))
    with pytest.raises(TypeError, match="`x` must be real floating: got"):
        function(x)


def test_results_are_arrays_even_where_numpy_makes_scalars():
    x, rows = np.asarray([[0.0, 1.0]]), np.asarray([[0.0, 1.0]])
    for function in (cross_entropy_of_rows, accuracy_of_rows):
        for got in (function(x, rows), function(x[0], rows[0])):
            assert isinstance(got, np.ndarray)
            assert got.shape == ()
