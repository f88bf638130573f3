"""The command line, ``gradlab train`` and its like: the only code that prints."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gradlab import data, training
from gradlab.backend import (
    BackendError,
    examine,
    get_backend,
    namespace,
    use_backend,
    version_of,
)
from gradlab.backend.random import Generator
from gradlab.nn import TwoLayerNetwork
from gradlab.optimizers import SGD, AdaGrad, Adam, AdamW, RMSprop

__all__ = ["main"]

OPTIMIZERS: dict[str, tuple[Callable[[float], Any], float]] = {  # each with its learning rate
    "sgd": (SGD, 1.0),
    "momentum": (partial(SGD, momentum=0.9), 0.3),
    "adagrad": (AdaGrad, 0.05),
    "rmsprop": (RMSprop, 0.003),
    "adam": (Adam, 0.01),
    "adamw": (AdamW, 0.01),
}
EXIT_UNUSABLE, EXIT_USAGE, EXIT_DIVERGED = 1, 2, 3
EXIT_INTERRUPTED, EXIT_PIPE = 130, 141  # as a shell reports the signals SIGINT and SIGPIPE


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
        the user's; 3 if the training diverged; 130 if it was interrupted; 141 if nobody reads the
        output any more.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        status = run(arguments)
        print(end="", flush=True)  # here, where a pipe that is closed is expected
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        return EXIT_PIPE
    except KeyboardInterrupt:
        print(f"gradlab {arguments.command}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except MemoryError as error:
        print(f"gradlab {arguments.command}: error: out of memory: {error}", file=sys.stderr)
        return EXIT_USAGE
    except (BackendError, OSError, ValueError) as error:
        print(f"gradlab {arguments.command}: error: {error}", file=sys.stderr)
        return EXIT_USAGE
    return status


class _Version(argparse.Action):
    """Print the version, which is looked up when it is asked for: that takes 30 ms."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"gradlab {version_of('gradlab')}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gradlab",
        description="Derivatives, gradient descent and small networks on NumPy or CuPy.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, run: Callable[[argparse.Namespace], int], what: str) -> Any:
        made = commands.add_parser(
            name,
            help=what,
            description=f"{what[0].upper()}{what[1:]}.",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        made.set_defaults(run=run)
        return made

    train = command("train", _train, "train a two-layer network to read handwritten digits")
    _add_training_options(train)
    train.add_argument(
        "--checkpoint",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="file to write the training to, so that it can go on from there",
    )
    train.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    train.add_argument("--json", action="store_true", help="print one JSON object, nothing else")

    sweep = command("sweep", _sweep, "train once with each of some values, and print a table")
    sweep.add_argument("name", choices=sorted(SWEPT), help="the option that takes the values")
    sweep.add_argument("values", nargs="+", help="its values")
    _add_training_options(sweep)
    sweep.set_defaults(default_of=sweep.get_default)

    find = command("lr-find", _lr_find, "find a learning rate by short trainings with many")
    _add_options(find)

    doctor = commands.add_parser(
        "doctor",
        help="say which backends work here, and why others do not",
        description="Say which backend is selected, which work here, and why others do not.",
    )
    doctor.set_defaults(run=_doctor)
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    _add_options(parser)
    parser.add_argument("--epochs", type=_whole(1), default=10, help="passes through the data")
    rates = ", ".join(f"{name} {lr:g}" for name, (_, lr) in OPTIMIZERS.items())
    parser.add_argument(
        "--lr",
        type=_positive_float,
        default=argparse.SUPPRESS,
        help=f"learning rate (default: {rates})",
    )
    parser.add_argument(
        "--patience",
        type=_whole(1),
        default=argparse.SUPPRESS,
        metavar="EPOCHS",
        help="stop after so many without a lower loss in validation, and take the best weights",
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    """Options of all commands that train, if only to find a learning rate."""
    parser.add_argument(
        "--data",
        default="digits",
        metavar="NAME|PATH",
        help="'digits' (8x8, part of gradlab), or a folder or mnist.npz with MNIST",
    )
    parser.add_argument("--hidden", type=_whole(1), default=50, help="hidden units")
    parser.add_argument("--optimizer", choices=list(OPTIMIZERS), default="sgd", help="update rule")
    parser.add_argument("--batch-size", type=_whole(1), default=100, help="samples a step")
    parser.add_argument(
        "--gradient",
        choices=["autodiff", "numerical"],
        default="autodiff",
        help="exact, or by central differences (a fraction of a second an epoch)",
    )
    parser.add_argument(
        "--validation",
        type=_part,
        default=argparse.SUPPRESS,
        metavar="PART",
        help="part of the training samples to validate with, such as 0.1 (default: none)",
    )
    parser.add_argument("--seed", type=_whole(0), default=0, help="of weights and shuffling")
    parser.add_argument(
        "--backend",
        default=argparse.SUPPRESS,
        help="numpy, cupy[:N], auto or array_api_strict[:DEVICE] (default: GRADLAB_BACKEND)",
    )
    parser.add_argument(
        "--dtype",
        choices=["float64", "float32"],
        default=argparse.SUPPRESS,
        help="of data and parameters (default: GRADLAB_DTYPE)",
    )


def _train(arguments: argparse.Namespace) -> int:
    with _selected(arguments):
        return _train_on_selected(arguments)


def _selected(arguments: argparse.Namespace) -> Any:
    options = vars(arguments)
    return use_backend(options.get("backend"), dtype=options.get("dtype"))


def _train_on_selected(arguments: argparse.Namespace) -> int:
    def say(line: str) -> None:
        if not arguments.json:
            print(line, flush=True)

    checkpoint: Path | None = vars(arguments).get("checkpoint")
    if checkpoint and checkpoint.exists() and not arguments.resume:
        msg = (
            f"{checkpoint} exists: give --resume to go on from it, or another --checkpoint, or "
            "delete it to begin anew"
        )
        raise ValueError(msg)
    if arguments.resume and not checkpoint:
        msg = "--resume needs --checkpoint, the file to go on from"
        raise ValueError(msg)
    if arguments.resume and checkpoint and not checkpoint.exists():
        msg = f"--resume: {checkpoint} does not exist; to begin anew, leave --resume out"
        raise ValueError(msg)
    backend = get_backend()
    say(f"backend   {backend}, {backend.dtype} (from {backend.source})")
    train, validation, test = _load(arguments)
    network = _network(arguments, train)
    features, classes = int(train[0].shape[1]), 10
    held_out = f", {validation[0].shape[0]} to validate" if validation else ""
    say(
        f"data      {arguments.data}: {train[0].shape[0]} samples to train on{held_out}, "
        f"{test[0].shape[0]} to test, {features} features, {classes} classes"
    )
    how = "autodiff" if arguments.gradient == "autodiff" else "central differences"
    sizes = f"{features}-{arguments.hidden}-{classes}"
    count = sum(math.prod(value.shape) for value in network.params.values())
    say(f"network   {sizes}, {count} parameters, gradients by {how}")

    has_terminal = sys.stderr is not None and sys.stderr.isatty()  # None: closed from the start
    try:
        history = _fit(
            arguments,
            network,
            train,
            validation,
            callbacks=() if has_terminal or arguments.json else (lambda h: say(_epoch_line(h)),),
            progress=has_terminal,
            checkpoint=checkpoint,
        )
    except training.DivergenceError as error:
        print(f"gradlab train: {error}", file=sys.stderr)
        return EXIT_DIVERGED
    if history.stop_reason == "patience":
        say(f"no lower loss for {arguments.patience} epochs")
    if "patience" in arguments and history.best_epoch is not None:
        say(f"weights of epoch {history.best_epoch + 1}, the best in validation")
    accuracy = float(network.accuracy(*test))
    say(f"test accuracy {accuracy:.4f}")
    if arguments.json:
        result = {
            "backend": str(backend),
            "dtype": backend.dtype,
            "data": arguments.data,
            "network": sizes,
            "gradient": arguments.gradient,
            "optimizer": arguments.optimizer,
            "lr": _lr(arguments),
            "batch_size": arguments.batch_size,
            "seed": arguments.seed,
            "loss": history.loss,
            "accuracy": history.accuracy,
            "val_loss": history.val_loss,
            "val_accuracy": history.val_accuracy,
            "seconds": history.seconds,
            "best_epoch": history.best_epoch,
            "stop_reason": history.stop_reason,
            "test_accuracy": accuracy,
        }
        print(json.dumps(result))
    return EXIT_INTERRUPTED if history.stop_reason == "interrupted" else 0


def _epoch_line(history: training.History) -> str:
    validation = ""
    if history.val_loss:
        validation = f"validation {history.val_loss[-1]:.4f}  {history.val_accuracy[-1]:.4f}  "
    return (
        f"epoch {len(history.loss):3d}  loss {history.loss[-1]:.4f}  "
        f"accuracy {history.accuracy[-1]:.4f}  {validation}{history.seconds[-1]:.2f} s"
    )


def _sweep(arguments: argparse.Namespace) -> int:
    read, option = SWEPT[arguments.name], arguments.name.replace("-", "_")
    if option in arguments and vars(arguments)[option] != arguments.default_of(option):
        msg = f"--{arguments.name} is what the values are for: leave the option out"
        raise ValueError(msg)
    values = []
    for text in arguments.values:
        try:
            values.append(read(text))
        except argparse.ArgumentTypeError as error:
            msg = f"values of {arguments.name} {error}"
            raise ValueError(msg) from error
        except ValueError as error:
            what = read.__name__
            msg = f"values of {arguments.name} must each be a {what}, between spaces: got {text!r}"
            raise ValueError(msg) from error
    with _selected(arguments):
        train, validation, test = _load(arguments)
        names = ["loss", "accuracy", *(["val_loss"] if validation else [])]
        blank = dict.fromkeys([*names, "test_accuracy"])  # columns, whatever comes first

        def run(value: Any) -> Any:
            one = argparse.Namespace(**{**vars(arguments), option: value})
            network = _network(one, train)
            try:
                history = _fit(one, network, train, validation)
            except training.DivergenceError as error:
                return {**blank, "loss": error.loss, "stop_reason": "diverged"}
            last = {name: getattr(history, name)[-1:] for name in names}
            return {
                **blank,
                **{name: values[0] for name, values in last.items() if values},
                "test_accuracy": float(network.accuracy(*test)),
                "stop_reason": history.stop_reason,
            }

        found = training.sweep(run, values)
    print(found)
    return EXIT_INTERRUPTED if found.interrupted else 0


def _lr_find(arguments: argparse.Namespace) -> int:
    with _selected(arguments):
        train, _, _ = _load(arguments)
        found = training.lr_find(
            _network(arguments, train),
            *train,
            batch_size=arguments.batch_size,
            optimizer=OPTIMIZERS[arguments.optimizer][0],
            gradient=arguments.gradient,
            seed=arguments.seed,
        )
    print(found)
    print("no rate lowers the loss" if found.lr is None else f"try --lr {found.lr:.3g}")
    return 0


def _network(arguments: argparse.Namespace, train: Any) -> TwoLayerNetwork:
    return TwoLayerNetwork(
        int(train[0].shape[1]), arguments.hidden, 10, weight_init_std="glorot", seed=arguments.seed
    )


def _fit(
    arguments: argparse.Namespace,
    network: TwoLayerNetwork,
    train: Any,
    validation: Any,
    *,
    callbacks: Sequence[Callable[[training.History], Any]] = (),
    progress: bool = False,
    checkpoint: Path | None = None,
) -> training.History:
    return training.fit(
        network,
        *train,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        optimizer=OPTIMIZERS[arguments.optimizer][0](_lr(arguments)),
        gradient=arguments.gradient,
        validation=validation,
        patience=vars(arguments).get("patience"),
        seed=arguments.seed,
        callbacks=callbacks,
        progress=progress,
        checkpoint=checkpoint,
    )


def _lr(arguments: argparse.Namespace) -> float:
    lr: float = vars(arguments).get("lr", OPTIMIZERS[arguments.optimizer][1])
    return lr


def _load(arguments: argparse.Namespace) -> Any:
    """Samples to train on, to validate with, or None, and to test."""
    if "patience" in arguments and "validation" not in arguments:
        msg = "--patience needs --validation, the part of the samples to judge by"
        raise ValueError(msg)
    name = arguments.data
    train, test = data.load_digits() if name == "digits" else data.load_mnist(name)
    if "validation" not in arguments:
        return train, None, test
    n = train[0].shape[0]
    order = Generator(arguments.seed).permutation(n)
    count = max(1, round(arguments.validation * n))
    if count >= n:
        msg = f"--validation {arguments.validation:g} leaves none of {n} samples to train on"
        raise ValueError(msg)
    xp = namespace(*train)
    held_out, rest = (
        tuple(xp.take(part, index, axis=0) for part in train)
        for index in (order[:count], order[count:])
    )
    return rest, held_out, test


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
        used, held = (device[key] / 2**20 for key in ("used_by_arrays", "held_by_pool"))
        line += f"; this process: {used:.0f} MiB in arrays, {held:.0f} MiB held by CuPy's pool"
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


_positive_float.__name__ = "number"  # what argparse calls it


def _part(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        msg = f"must lie between 0 and 1: got {text}"
        raise argparse.ArgumentTypeError(msg)
    return value


_part.__name__ = "number"


def _optimizer(text: str) -> str:
    if text not in OPTIMIZERS:
        msg = f"must be one of {', '.join(OPTIMIZERS)}: got {text}"
        raise argparse.ArgumentTypeError(msg)
    return text


SWEPT: dict[str, Callable[[str], Any]] = {
    "lr": _positive_float,
    "hidden": _whole(1),
    "epochs": _whole(1),
    "batch-size": _whole(1),
    "seed": _whole(0),
    "optimizer": _optimizer,
}
