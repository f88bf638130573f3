"""The command line, ``gradlab train`` and ``gradlab doctor``: the only code that prints."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from gradlab import data, training
from gradlab.backend import BackendError, examine, get_backend, use_backend
from gradlab.nn import TwoLayerNetwork
from gradlab.optimizers import SGD

__all__ = ["main"]

EXIT_UNUSABLE, EXIT_USAGE, EXIT_DIVERGED, EXIT_INTERRUPTED = 1, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name. Default: those of the process.

    Returns
    -------
    int
        Exit status: 0; 1 if the doctor finds that the selection cannot work; 2 for a mistake of
        the user's; 3 if the training diverged; 130 if it was interrupted.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except (BackendError, OSError, ValueError) as error:
        print(f"gradlab {arguments.command}: error: {error}", file=sys.stderr)
        return EXIT_USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gradlab",
        description="Derivatives, gradient descent and small networks on NumPy or CuPy.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    train = commands.add_parser(
        "train",
        help="train a two-layer network to read handwritten digits",
        description="Train a two-layer network to read handwritten digits.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    train.set_defaults(run=_train)
    train.add_argument(
        "--data",
        default="digits",
        metavar="NAME|PATH",
        help="'digits' (8x8, part of gradlab), or a folder or mnist.npz with MNIST",
    )
    train.add_argument("--hidden", type=_whole(1), default=50, help="hidden units")
    train.add_argument("--epochs", type=_whole(1), default=10, help="passes through the data")
    train.add_argument("--lr", type=_positive_float, default=1.0, help="learning rate")
    train.add_argument("--batch-size", type=_whole(1), default=100, help="samples a step")
    train.add_argument(
        "--gradient",
        choices=["autodiff", "numerical"],
        default="autodiff",
        help="exact, or by central differences (about six seconds an epoch)",
    )
    train.add_argument("--seed", type=_whole(0), default=0, help="of weights and shuffling")
    train.add_argument(
        "--backend",
        default=argparse.SUPPRESS,
        help="numpy, cupy[:N], auto or array_api_strict[:DEVICE] (default: GRADLAB_BACKEND)",
    )
    train.add_argument(
        "--dtype",
        choices=["float64", "float32"],
        default=argparse.SUPPRESS,
        help="of data and parameters (default: GRADLAB_DTYPE)",
    )
    train.add_argument("--json", action="store_true", help="print one JSON object, nothing else")

    doctor = commands.add_parser(
        "doctor",
        help="say which backends work here, and why others do not",
        description="Say which backend is selected, which work here, and why others do not.",
    )
    doctor.set_defaults(run=_doctor)
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _train(arguments: argparse.Namespace) -> int:
    options = vars(arguments)
    with use_backend(options.get("backend"), dtype=options.get("dtype")):
        return _train_on_selected(arguments)


def _train_on_selected(arguments: argparse.Namespace) -> int:
    def say(line: str) -> None:
        if not arguments.json:
            print(line, flush=True)

    backend = get_backend()
    say(f"backend   {backend}, {backend.dtype} (from {backend.source})")
    train, test = _load(arguments.data)
    features, classes = int(train[0].shape[1]), 10
    say(
        f"data      {arguments.data}: {train[0].shape[0]} samples to train on, "
        f"{test[0].shape[0]} to test, {features} features, {classes} classes"
    )
    network = TwoLayerNetwork(
        features, arguments.hidden, classes, weight_init_std="glorot", seed=arguments.seed
    )
    how = "autodiff" if arguments.gradient == "autodiff" else "central differences"
    sizes = f"{features}-{arguments.hidden}-{classes}"
    count = sum(math.prod(value.shape) for value in network.params.values())
    say(f"network   {sizes}, {count} parameters, gradients by {how}")

    has_terminal = sys.stderr.isatty()

    def report(history: training.History) -> None:
        say(
            f"epoch {len(history.loss):3d}  loss {history.loss[-1]:.4f}  "
            f"accuracy {history.accuracy[-1]:.4f}  {history.seconds[-1]:.2f} s"
        )

    try:
        history = training.fit(
            network,
            *train,
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            optimizer=SGD(arguments.lr),
            gradient=arguments.gradient,
            seed=arguments.seed,
            callbacks=() if has_terminal or arguments.json else (report,),
            progress=has_terminal,
        )
    except training.DivergenceError as error:
        print(f"gradlab train: {error}", file=sys.stderr)
        return EXIT_DIVERGED
    accuracy = float(network.accuracy(*test))
    say(f"test accuracy {accuracy:.4f}")
    if arguments.json:
        result = {
            "backend": str(backend),
            "dtype": backend.dtype,
            "data": arguments.data,
            "network": sizes,
            "gradient": arguments.gradient,
            "lr": arguments.lr,
            "batch_size": arguments.batch_size,
            "seed": arguments.seed,
            "loss": history.loss,
            "accuracy": history.accuracy,
            "seconds": history.seconds,
            "stop_reason": history.stop_reason,
            "test_accuracy": accuracy,
        }
        print(json.dumps(result))
    return EXIT_INTERRUPTED if history.stop_reason == "interrupted" else 0


def _load(name: str) -> Any:
    return data.load_digits() if name == "digits" else data.load_mnist(name)


def _doctor(arguments: argparse.Namespace) -> int:
    report = examine()
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(_lines(report)))
    return EXIT_UNUSABLE if "error" in report else 0


def _lines(report: dict[str, Any]) -> list[str]:
    if "error" in report:
        lines = [f"selected          none: {report['error']}"]
    else:
        selected = report["selected"]
        line = f"{selected['backend']}, {selected['dtype']} (from {selected['source']})"
        lines = [f"selected          {line}"]
        if selected["fallback"]:
            lines.append(f"{'':18}not the GPU, because {selected['fallback']}")
    for name, found in report["backends"].items():
        if not found["usable"]:
            lines.append(f"{name:18}{found['reason']}: {found['message']}")
            continue
        lines.append(f"{name:18}{found['version']}")
        lines += [f"{'':18}{_device_line(device)}" for device in found["devices"]]
    lines += [f"warning           {warning}" for warning in report["warnings"]]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    return [*lines, f"versions          {versions}"]


def _device_line(device: dict[str, Any]) -> str:
    line = f"device {device['device']}"
    if "total" in device:
        free, total = (device[key] / 2**30 for key in ("free", "total"))
        line += f": {device['name']}, {free:.1f} of {total:.1f} GiB free"
    return line


def _whole(least: int) -> Callable[[str], int]:
    """Type of an option: a whole number, `least` or more."""

    def number(text: str) -> int:
        value = int(text)
        if value < least:
            msg = f"must be {least} or more: got {value}"
            raise argparse.ArgumentTypeError(msg)
        return value

    number.__name__ = "whole number"  # what argparse calls it
    return number


def _positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        msg = f"must be positive and finite: got {text}"
        raise argparse.ArgumentTypeError(msg)
    return value
