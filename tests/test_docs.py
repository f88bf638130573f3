"""The documents say what is so."""

from __future__ import annotations

import docs_table
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.optimizers import SGD
from gradlab.training import fit


def test_the_table_of_functions_is_that_of_the_rules():
    """Where it fails: ``python tests/docs_table.py`` writes the table anew."""
    assert docs_table.written() == docs_table.table()


def test_every_function_stands_in_the_table_once():
    for heading, names in docs_table.rows().items():
        assert names, heading
        assert all(isinstance(name, str) for name in names)


@pytest.mark.parametrize(
    ("hidden", "init", "lr", "epochs", "accuracy"),
    [
        (1, 0.01, 0.1, 30, 0.24),
        (1, 0.01, 0.5, 30, 0.93),
        (1, 0.01, 1.0, 10, 0.82),
        (1, "glorot", 0.1, 10, 0.79),
        (2, 0.01, 0.1, 50, 0.10),
        (2, "glorot", 0.5, 30, 0.92),
    ],
)
def test_weights_of_a_small_spread_stall_as_is_said(hidden, init, lr, epochs, accuracy):
    layers = [layer for _ in range(hidden) for layer in (nn.Dense(50), nn.Sigmoid())]
    network = nn.Network([*layers, nn.Dense(10)], 64, init=init, seed=0)
    history = fit(network, *gl.data.load_digits()[0], epochs=epochs, optimizer=SGD(lr))
    assert history.accuracy[-1] == pytest.approx(accuracy, abs=0.02)


@pytest.mark.parametrize("module", [gl.numerical, gl.autodiff])
def test_verbs_say_what_they_take_and_what_they_raise(module):
    for verb in ("gradient", "value_and_gradient", "jacobian", "hessian", "jvp", "vjp", "hvp"):
        said = getattr(module, verb).__doc__
        elsewhere = "parameters, errors" in said or "Parameters and errors" in said
        assert elsewhere or ("Parameters\n" in said and "Raises\n" in said), verb
