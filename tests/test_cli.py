"""The command line: what it prints, and how it ends."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys

import pytest

from gradlab import cli
from gradlab.training import loop

QUICK = ("train", "--epochs", "1", "--hidden", "3", "--batch-size", "500")


def run(*arguments, **environment):
    """Run the program as a user would; its exit status, output and errors."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith("GRADLAB")}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "gradlab", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**keep, **environment},
    )
    return done.returncode, done.stdout, done.stderr


def test_training_reports_backend_data_epochs_and_test_accuracy(capsys):
    assert cli.main([*QUICK, "--epochs", "2"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "backend   numpy, float64 (from default)"
    assert "1437 samples to train on, 360 to test, 64 features" in lines[1]
    assert "64-3-10, 235 parameters, gradients by autodiff" in lines[2]
    assert [line.split()[1] for line in lines if line.startswith("epoch")] == ["1", "2"]
    assert lines[-1].startswith("test accuracy 0.")
    assert err == ""


def test_json_is_one_object_and_nothing_else(capsys):
    assert cli.main([*QUICK, "--json", "--seed", "7", "--dtype", "float32"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert err == ""
    assert (result["seed"], result["dtype"], result["network"]) == (7, "float32", "64-3-10")
    assert len(result["loss"]) == len(result["accuracy"]) == len(result["seconds"]) == 1
    assert 0 <= result["test_accuracy"] <= 1


def test_a_terminal_gets_a_bar_and_no_lines(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main([*QUICK]) == 0
    out, err = capsys.readouterr()
    assert "epoch " not in out
    assert "%|" in err


def test_numerical_gradients_lead_where_exact_ones_do(capsys):
    losses = []
    for gradient in ("autodiff", "numerical"):
        assert cli.main([*QUICK, "--json", "--gradient", gradient]) == 0
        losses.append(json.loads(capsys.readouterr().out)["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-8)


def test_the_same_training_runs_on_the_strict_standard(capsys):
    assert cli.main([*QUICK, "--json"]) == 0
    on_numpy = json.loads(capsys.readouterr().out)
    status, out, err = run(*QUICK, "--json", GRADLAB_BACKEND="array_api_strict:device1")
    assert (status, err) == (0, "")
    on_strict = json.loads(out)
    assert on_strict["backend"] == "array_api_strict:device1"
    assert on_strict["loss"] == pytest.approx(on_numpy["loss"], rel=1e-9)


def test_the_option_wins_over_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("GRADLAB_BACKEND", "nonsense")
    assert cli.main([*QUICK, "--backend", "numpy"]) == 0
    assert "backend   numpy, float64 (from use_backend)" in capsys.readouterr().out


def test_divergence_ends_with_three_and_names_the_rate():
    status, _, err = run(*QUICK, "--lr", "1e6", "--epochs", "5")
    assert status == 3
    assert "lr" in err
    assert "1e+06" in err or "1000000" in err
    assert "Traceback" not in err


def test_validation_and_patience_are_reported(capsys):
    options = ("--validation", "0.1", "--patience", "1", "--optimizer", "adam", "--lr", "0.5")
    assert cli.main([*QUICK, *options, "--epochs", "50"]) == 0
    out = capsys.readouterr().out
    assert "1293 samples to train on, 144 to validate, 360 to test" in out
    assert "no lower loss for 1 epochs" in out
    assert "the best in validation" in out
    assert cli.main([*QUICK, *options, "--epochs", "50", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["stop_reason"], result["optimizer"], result["lr"]) == ("patience", "adam", 0.5)
    assert result["best_epoch"] == len(result["val_loss"]) - 2


@pytest.mark.parametrize("optimizer", cli.OPTIMIZERS)
def test_every_optimizer_learns_at_its_own_rate(capsys, optimizer):
    assert cli.main(["train", "--optimizer", optimizer, "--epochs", "15", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["test_accuracy"] > 0.9


def test_a_training_goes_on_from_its_checkpoint(capsys, tmp_path):
    def train(*options):
        assert cli.main([*QUICK, "--json", "--optimizer", "momentum", *options]) == 0
        return json.loads(capsys.readouterr().out)

    checkpoint = ("--checkpoint", str(tmp_path / "c.npz"))
    truth = train("--epochs", "4")
    train("--epochs", "2", *checkpoint)
    resumed = train("--epochs", "4", *checkpoint, "--resume")
    assert {**resumed, "seconds": 0} == {**truth, "seconds": 0}
    assert cli.main([*QUICK, *checkpoint]) == 2
    assert "exists: give --resume" in capsys.readouterr().err
    assert cli.main([*QUICK, *checkpoint, "--resume", "--seed", "3", "--epochs", "5"]) == 2
    assert "the checkpoint of another training" in capsys.readouterr().err


def test_a_sweep_prints_a_table(capsys):
    assert cli.main(["sweep", "lr", "0.1", "1", "1e6", *QUICK[1:], "--validation", "0.1"]) == 0
    names, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert names == ["value", "loss", "accuracy", "val_loss", "test_accuracy", "stop_reason"]
    assert [(row[0], row[-1]) for row in rows] == (
        [("0.1", "finished"), ("1", "finished"), ("1e+06", "diverged")]
    )
    assert cli.main(["sweep", "lr", "1e6", "1", *QUICK[1:], "--validation", "0.1"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == names
    assert cli.main(["sweep", "batch-size", "50", "500", "--epochs", "1", "--hidden", "3"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert len({row.split()[1] for row in rows}) == 2


def test_a_rate_is_found_and_said(capsys):
    assert cli.main(["lr-find", "--hidden", "3", "--batch-size", "500"]) == 0
    *table, last = capsys.readouterr().out.splitlines()
    assert last.startswith("try --lr ")
    assert sum("best" in line for line in table) == 1


MISTAKES = {
    "part": (("train", "--validation", "1.5"), {}, "must lie between 0 and 1: got 1.5"),
    "patience": (("train", "--patience", "2"), {}, "--patience needs --validation"),
    "no file": (("train", "--resume"), {}, "--resume needs --checkpoint"),
    "swept lr": (("sweep", "lr", "1", "2", "--lr", "5"), {}, "--lr is what the values are for"),
    "swept seed": (("sweep", "seed", "1", "--seed", "5"), {}, "--seed is what the values are for"),
    "no such file": (
        ("train", "--resume", "--checkpoint", "typo.npz"),
        {},
        "--resume: typo.npz does not exist; to begin anew, leave --resume out",
    ),
    "all of them": (("train", "--validation", "0.9999"), {}, "leaves none of 1437 samples to"),
    "no memory": (("train", "--hidden", "100000000000000"), {}, "error: out of memory: "),
    "no folder": (("train", "--checkpoint", "no/such/c"), {}, "in a folder that exists"),
    "optimizer": (("train", "--optimizer", "x"), {}, "invalid choice: 'x'"),
    "swept value": (
        ("sweep", "lr", "1", "2,3"),
        {},
        "values of lr must each be a number, between spaces: got '2,3'",
    ),
    "swept optimizer": (("sweep", "optimizer", "x"), {}, "must be one of sgd, momentum"),
    "swept option": (("sweep", "rate", "1"), {}, "invalid choice: 'rate'"),
    "unknown backend": (("train",), {"GRADLAB_BACKEND": "cupi"}, "did you mean 'cupy'?"),
    "unknown dtype": (("train",), {"GRADLAB_DTYPE": "float16"}, "GRADLAB_DTYPE must be"),
    "missing data": (("train", "--data", "no/such/folder"), {}, "no/such/folder"),
    "no rate": (("train", "--lr", "x"), {}, "--lr: invalid number value: 'x'"),
    "no part": (("train", "--validation", "x"), {}, "--validation: invalid number value: 'x'"),
    "negative rate": (("train", "--lr", "-1"), {}, "must be positive and finite: got -1"),
    "half a unit": (("train", "--hidden", "1.5"), {}, "--hidden: invalid whole number"),
    "no epochs": (("train", "--epochs", "0"), {}, "must be 1 or more: got 0"),
    "negative seed": (("train", "--seed", "-1"), {}, "must be 0 or more: got -1"),
    "no command": ((), {}, "command"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_told_in_one_line_of_standard_error(what, capsys, monkeypatch):
    arguments, environment, message = MISTAKES[what]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    try:
        status = cli.main(arguments)
    except SystemExit as error:  # argparse's way
        status = error.code
    out, err = capsys.readouterr()
    assert status == 2
    assert "epoch" not in out
    assert message in err


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out.split()[0] == "gradlab"


def test_divergence_is_told_with_its_own_status(capsys):
    assert cli.main([*QUICK, "--lr", "1e6", "--epochs", "5"]) == 3
    assert "gradlab train: training diverged with lr=1e+06" in capsys.readouterr().err


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_ends_with_two_and_no_traceback(what):
    arguments, environment, message = MISTAKES[what]
    status, out, err = run(*arguments, **environment)
    assert status == 2
    assert message in err
    assert "Traceback" not in out + err
    assert len(err.strip().splitlines()[-1]) > 10


@pytest.mark.skipif(
    subprocess.run(
        [sys.executable, "-c", "import gradlab as gl; gl.use_backend('cupy').__enter__()"],
        capture_output=True,
        check=False,
    ).returncode
    == 0,
    reason="CuPy works on this machine",
)
def test_a_gpu_that_is_not_there_gets_one_helpful_line():
    status, out, err = run("train", GRADLAB_BACKEND="cupy")
    assert status == 2
    assert out == ""
    (line,) = err.splitlines()
    assert "cupy" in line
    assert "choose numpy" in line


def test_an_interrupted_training_reports_what_was_reached(capsys, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setitem(loop.GRADIENTS, "autodiff", lambda network: interrupted)
    assert cli.main([*QUICK]) == 130
    assert "test accuracy" in capsys.readouterr().out


def test_an_interrupted_sweep_prints_what_it_has_and_stops(capsys, monkeypatch):
    real, calls = cli.training.fit, []

    def fit(*args, **options):
        calls.append(args)
        if len(calls) == 2:
            monkeypatch.setitem(loop.GRADIENTS, "autodiff", lambda network: interrupted)
        return real(*args, **options)

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.training, "fit", fit)
    assert cli.main(["sweep", "lr", "0.1", "0.2", "0.3", *QUICK[1:]]) == 130
    _, *rows = capsys.readouterr().out.splitlines()
    assert [(row.split()[0], row.split()[-1]) for row in rows] == (
        [("0.1", "finished"), ("0.2", "interrupted")]
    )
    assert len(calls) == 2


@pytest.mark.parametrize("command", ["lr-find", "train", "sweep"])
def test_an_interrupt_anywhere_is_told_in_one_line(capsys, monkeypatch, command):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_load", interrupted)
    values = ("lr", "1") if command == "sweep" else ()
    assert cli.main([command, *values, "--hidden", "3"]) == 130
    assert capsys.readouterr().err == f"gradlab {command}: interrupted\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise there")
def test_output_that_nobody_reads_any_more_ends_quietly():
    command = f"{sys.executable} -m gradlab train --epochs 30 --hidden 3 | head -1"
    done = subprocess.run(  # noqa: S602
        command, shell=True, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("backend")
    assert done.stderr == ""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_was_closed_from_the_start_is_no_mistake(monkeypatch, stream):
    monkeypatch.setattr(sys, stream, None)
    assert cli.main([*QUICK]) == 0


def test_the_doctor_says_what_is_selected_and_what_works(capsys):
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "selected          numpy, float64 (from default)" in out
    assert "array_api_strict" in out
    assert "device no_float64" in out
    assert cli.main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["selected"]["backend"] == "numpy"
    assert report["backends"]["numpy"]["usable"]


def test_the_doctor_examines_sources_that_are_not_installed(capsys, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert cli.main(["doctor"]) == 0
    assert "versions          gradlab unknown" in capsys.readouterr().out


def test_the_doctor_fails_where_the_selection_cannot_work(capsys, monkeypatch):
    monkeypatch.setenv("GRADLAB_BACKEND", "nonsense")
    assert cli.main(["doctor"]) == 1
    assert "selected          none: unknown backend 'nonsense'" in capsys.readouterr().out


def test_the_doctor_shows_memory_fallbacks_and_warnings(capsys, monkeypatch):
    memory = {"free": 2**30, "total": 2**32, "used_by_arrays": 2**20, "held_by_pool": 3 * 2**20}
    device = {"device": 0, "name": "NVIDIA H200", **memory}
    report = {
        "selected": {"backend": "numpy", "dtype": "float64", "source": "x", "fallback": "no GPU"},
        "backends": {"cupy": {"usable": True, "version": "14", "devices": [device]}},
        "warnings": ["several wheels"],
        "versions": {"python": "3.11"},
    }
    monkeypatch.setattr(cli, "examine", lambda: report)
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "not the GPU, because no GPU" in out
    assert "device 0: NVIDIA H200, 1.0 of 4.0 GiB free" in out
    assert "this process: 1 MiB in arrays, 3 MiB held by CuPy's pool" in out
    assert "warning           several wheels" in out


@pytest.mark.parametrize("option", ["--epochs", "--lr", "--patience"])
def test_finding_a_rate_refuses_what_it_would_not_heed(capsys, option):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["lr-find", option, "1"])
    assert f"unrecognized arguments: {option} 1" in capsys.readouterr().err


def test_help_names_every_option():
    status, out, _ = run("train", "--help")
    assert status == 0
    assert "sgd 1, momentum 0.3" in " ".join(out.split())
    for option in ("optimizer", "validation", "patience", "checkpoint", "resume"):
        assert f"--{option}" in out
    for option in ("hidden", "epochs", "lr", "batch-size", "gradient", "seed", "backend", "dtype"):
        assert f"--{option}" in out
