"""Every rule on arrays of torch, first and second order; truth: the same rule on NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_autodiff_rules import EVERYTHING, example
from truths import loss_of

import gradlab as gl
from gradlab import autodiff


@pytest.mark.parametrize("name", EVERYTHING)
def test_the_same_numbers_on_torch(name):
    f, x = example(name)
    loss, t = loss_of(f), torch.asarray(x)
    for got, expected in (
        (autodiff.gradient(loss, t), autodiff.gradient(loss, x)),
        (autodiff.hvp(loss, t, t), autodiff.hvp(loss, x, x)),
    ):
        np.testing.assert_allclose(gl.to_numpy(got), expected, 1e-9, 1e-11)
