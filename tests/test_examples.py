"""Every example runs on NumPy and on the strict standard, and stays short."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
SHOWN = {
    "choose_backend": "last element 0.909",
    "data_parallel": "process 1 of 2: test accuracy 0.9",
    "gradient_descent": "lr 10     diverged",
    "mini_batch": "test accuracy 0.",
    "numerical_gradient": "gradient [6. 8.]",
    "zeroth_order": "from 749.8 to 3",
}


def test_each_example_is_known_and_under_sixty_lines():
    assert [script.stem for script in EXAMPLES] == list(SHOWN)
    assert all(len(script.read_text().splitlines()) < 60 for script in EXAMPLES)


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.stem)
def test_an_example_runs(script, backend):
    arguments = ["2"] if script.stem == "mini_batch" else []
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", str(script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"CUDA_VISIBLE_DEVICES": "0", **os.environ, "GRADLAB_BACKEND": str(backend)},
    )
    assert done.returncode == 0, done.stderr
    assert SHOWN[script.stem] in done.stdout
    if script.stem == "data_parallel":
        first, second = (line.partition(": ")[2] for line in done.stdout.splitlines())
        assert first == second  # the weights, to 12 digits
