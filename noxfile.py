"""What is checked, and how: `python -m nox` runs lint, tests and wheel; `-s NAME` any other."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.sessions = ["lint", "tests", "wheel"]
nox.options.reuse_existing_virtualenvs = True

HERE = Path(__file__).parent
PROJECT = nox.project.load_toml("pyproject.toml")
ON_ALL_CORES = "--numprocesses=auto"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def group(name: str) -> list[str]:
    """Requirements of a dependency group of pyproject.toml."""
    return list(nox.project.dependency_groups(PROJECT, name))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, and which room may import which."""
    session.install("-e.", *group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, the doctests and README's examples, with branch coverage."""
    session.install("-e.", *group("test"))
    whole = [] if session.posargs else [ON_ALL_CORES, "--cov", "--cov-fail-under=95"]
    session.run("pytest", *whole, *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it, and test what was installed, in another folder."""
    with tempfile.TemporaryDirectory() as folder:
        session.run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, str(HERE))
        (built,) = Path(folder).glob("*.whl")
        session.install("--force-reinstall", str(built), *group("test"))
        session.chdir(folder)
        project = (f"--rootdir={HERE}", f"-c{HERE / 'pyproject.toml'}")
        session.run("pytest", ON_ALL_CORES, *project, f"{HERE}/tests")
        session.run("gradlab", "train", "--epochs", "1", "--hidden", "5")


@nox.session
def oracles(session: nox.Session) -> None:
    """Compare with other libraries."""
    session.install("-e.", *group("oracles"))
    session.run("pytest", "tests/oracles", *session.posargs)


@nox.session
def conformance(session: nox.Session) -> None:
    """Run the standard's own test suite, of ARRAY_API_TESTS_DIR, on traced arrays."""
    session.install("-e.", *group("conformance"))
    session.run("python", "tests/conformance/run.py", *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml admits."""
    lowest_of = [spec.replace(">=", "==") for spec in PROJECT["project"]["dependencies"]]
    session.install("-e.", *lowest_of, *group("test"))
    session.run("pytest", *session.posargs)


@nox.session
def nogpu(session: nox.Session) -> None:
    """Install the real CuPy wheel on a machine without a GPU, and see what is said there."""
    session.install("-e.[cuda13x]", *group("test"))
    session.run("pytest", "tests/nogpu", *session.posargs)


@nox.session
def gpu(session: nox.Session) -> None:
    """Run the tests on a machine with a GPU; one without fails."""
    session.install("-e.[cuda13x]", *group("test"))
    session.run("pytest", *session.posargs, env={"GRADLAB_TEST_REQUIRE": "cupy"})


@nox.session
def examples(session: nox.Session) -> None:
    """Run every example, as a user would."""
    session.install("-e.")
    for script in sorted((HERE / "examples").glob("*.py")):
        session.run("python", str(script))


@nox.session
def bench(session: nox.Session) -> None:
    """Print the benchmarks' table, measured on one BLAS thread."""
    session.install("-e.", *group("bench"))
    session.run("python", "tests/benchmarks/run.py", *session.posargs, env=ONE_THREAD)


@nox.session(name="bench-gpu")
def bench_gpu(session: nox.Session) -> None:
    """Print the benchmarks of a GPU; `-- --backend numpy --small` tries the script without one."""
    session.install("-e.[cuda13x]")
    session.run("python", "tests/benchmarks/gpu.py", *session.posargs)


@nox.session
def trial(session: nox.Session) -> None:
    """Try `check_gradient` on a thousand gradients that are right and a thousand that are not."""
    session.install("-e.")
    session.run("python", "tests/benchmarks/gradient_checks.py", *session.posargs, env=ONE_THREAD)
