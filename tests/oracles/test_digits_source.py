"""The bundled digits against scikit-learn's copy, and the split against its recipe."""

from importlib.resources import files

import numpy as np
import pytest
import sklearn.datasets

import gradlab as gl
from gradlab.data import load_digits


@pytest.fixture(scope="module")
def source():
    return sklearn.datasets.load_digits()


@pytest.fixture(scope="module")
def stored():
    with files("gradlab.data").joinpath("digits.npz").open("rb") as file:
        return dict(np.load(file, allow_pickle=False))


@pytest.fixture(scope="module")
def is_test(source):
    lots = np.random.PCG64(seed=2).random_raw(source.target.size)
    mask = np.zeros(source.target.size, dtype=bool)
    mask[np.lexsort((lots, source.target))[::5]] = True
    return mask


def test_bundled_digits_are_those_of_scikit_learn_in_the_same_order(source, stored):
    np.testing.assert_array_equal(stored["images"], source.data)
    np.testing.assert_array_equal(stored["labels"], source.target)


def test_bundled_split_is_what_the_recipe_draws(stored, is_test):
    np.testing.assert_array_equal(stored["is_test"], is_test)


def test_loaded_digits_are_those_of_scikit_learn_over_16_split_in_order(source, is_test):
    with gl.use_backend("numpy", dtype="float64"):
        train, test = load_digits()
    for (x, t), part in ((train, ~is_test), (test, is_test)):
        np.testing.assert_array_equal(x, source.data[part] / 16)
        np.testing.assert_array_equal(t, source.target[part])
