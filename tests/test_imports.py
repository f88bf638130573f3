"""What importing gradlab does not do, and that names are public where they are said to be."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import types

import pytest

import gradlab

MODULES = [
    module.name
    for module in pkgutil.walk_packages(gradlab.__path__, "gradlab.")
    if not module.name.endswith("__main__")
]


def run(code, **environment):
    keep = {k: v for k, v in os.environ.items() if not k.startswith("GRADLAB")}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**keep, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_gradlab_imports_nothing_slow():
    code = "import gradlab, sys, json; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(run(code)))
    slow = {"array_api_compat.numpy", "cupy", "matplotlib", "tqdm", "scipy", "difflib"}
    assert loaded & slow == set()
    assert "gradlab.backend.arrays" in loaded
    assert "gradlab.training" not in loaded  # imported when it is asked for


def test_names_are_imported_when_asked_for():
    for name in gradlab.__all__:
        assert run(f"import gradlab as gl; print(gl.{name} is not None)").strip() == "True"
    code = (
        "import gradlab as gl; print(set(gl.__all__) == set(dir(gl)), gl.check_gradient.__name__)"
    )
    assert run(code).strip() == "True check_gradient"
    with pytest.raises(AttributeError, match="module 'gradlab' has no attribute 'gradd'"):
        gradlab.gradd  # noqa: B018


@pytest.mark.parametrize("variable", ["GRADLAB_BACKEND", "GRADLAB_DTYPE"])
def test_a_bad_value_of_the_environment_breaks_no_import(variable):
    code = """
import gradlab as gl
try:
    gl.get_backend()
except gl.backend.BackendError as error:
    print(type(error).__name__, error)
"""
    assert "nonsense" in run(code, **{variable: "nonsense"})


PROGRAM = """
import gradlab as gl
xp = gl.namespace()
x = gl.asarray([3.0, 4.0])
f = lambda x: xp.sum(x**2)
print(gl.get_backend())
for slope in (gl.numerical_gradient(f, x), gl.grad(lambda x: gl.namespace(x).sum(x**2))(x)):
    print([round(v, 2) for v in gl.to_numpy(slope).tolist()])
"""


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("numpy", "numpy"),
        ("CPU", "numpy"),
        ("array_api_strict", "array_api_strict:CPU_DEVICE"),
        ("array_api_strict:device1", "array_api_strict:device1"),
        ("array_api_strict:no_float64", "array_api_strict:no_float64"),
    ],
)
def test_the_same_program_runs_under_each_value_of_the_variable(value, named):
    assert run(PROGRAM, GRADLAB_BACKEND=value).splitlines() == [named, "[6.0, 8.0]", "[6.0, 8.0]"]


@pytest.mark.parametrize("name", ["gradlab", *MODULES])
def test_all_names_what_is_public_and_nothing_else(name):
    module = importlib.import_module(name)
    listed = set(module.__all__)
    assert all(hasattr(module, public) for public in listed)
    is_package = hasattr(module, "__path__")
    own = {
        public
        for public, value in vars(module).items()
        if not public.startswith("_")
        and public != "annotations"
        and not isinstance(value, types.ModuleType)
        and (is_package or getattr(value, "__module__", None) == name)
        and isinstance(value, type | types.FunctionType)
    }
    if name == "gradlab.autodiff.composites":
        own -= set(module.COMPOSITES)  # entered in a table, by which they are found
    assert own - listed == set()
