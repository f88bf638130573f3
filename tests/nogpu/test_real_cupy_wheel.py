"""The real CuPy wheel on a machine without a GPU: what is said there. Run by `nox -s nogpu`."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import pytest

cupy = pytest.importorskip("cupy")

import gradlab as gl  # noqa: E402

pytestmark = pytest.mark.skipif(cupy.cuda.is_available(), reason="this machine has a GPU")


def run(*arguments, backend):
    done = subprocess.run(  # noqa: S603
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GRADLAB_BACKEND": backend},
    )
    return done.returncode, done.stdout, done.stderr


def test_selecting_it_says_that_there_is_no_driver():
    with pytest.raises(gl.backend.BackendUnavailableError, match="no NVIDIA driver") as caught:
        gl.use_backend("cupy").__enter__()
    assert caught.value.reason == "no_driver"
    assert type(caught.value.__cause__).__name__ == "CUDARuntimeError"


def test_auto_falls_back_and_says_why_once(caplog):
    with caplog.at_level(logging.WARNING, logger="gradlab"):
        for _ in range(2):
            with gl.use_backend("auto") as backend:
                assert backend.name == "numpy"
    assert "no NVIDIA driver" in backend.fallback
    assert len(caplog.records) == 1


def test_importing_gradlab_leaves_it_alone():
    code = "import gradlab, sys; print('cupy' in sys.modules)"
    assert run("-c", code, backend="cupy") == (0, "False\n", "")


def test_training_prints_one_helpful_line():
    status, out, err = run("-m", "gradlab", "train", backend="cupy")
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert "no NVIDIA driver; choose numpy" in line


def test_training_under_auto_runs_on_numpy():
    status, out, _ = run("-m", "gradlab", "train", "--epochs", "1", "--hidden", "2", backend="auto")
    assert status == 0
    assert "backend   numpy" in out


def test_the_doctor_reports_and_exits_non_zero():
    status, out, _ = run("-m", "gradlab", "doctor", "--json", backend="cupy")
    assert status == 1
    assert json.loads(out)["backends"]["cupy"]["reason"] == "no_driver"


def test_it_has_the_special_functions_that_the_rules_ask_for():
    """All but one, which is said to be missing."""
    import cupyx.scipy.special  # noqa: PLC0415

    names = (
        *("beta", "betaln", "digamma", "erf", "erfc", "erfcx", "erfinv", "gamma", "gammainc"),
        *("gammaincc", "gammaln", "i0", "i0e", "i1", "i1e", "log_ndtr", "ndtr", "ndtri"),
        *("polygamma", "stdtr"),
    )
    assert [n for n in names if not hasattr(cupyx.scipy.special, n)] == ["stdtr"]
