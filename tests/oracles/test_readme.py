"""README's example with SciPy, which the other tests do not install."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np

import gradlab as gl

README = Path(__file__).parents[2] / "README.md"


def test_the_example_with_scipy_runs():
    lines = [line for line in README.read_text().splitlines() if "# doctest: +SKIP" in line]
    assert len(lines) == 4
    block = README.read_text().split("from scipy.optimize import rosen")[1].split("```")[0]
    text = ">>> from scipy.optimize import rosen" + block.replace("# doctest: +SKIP", "")
    names = {"gl": gl, "x": np.asarray([1.0, 2.0, 3.0])}
    test = doctest.DocTestParser().get_doctest(text, names, "README", None, 0)
    assert doctest.DocTestRunner().run(test).failed == 0
