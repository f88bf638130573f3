"""The files that MNIST comes in, read and checked: every error names the file and the cure."""

from __future__ import annotations

import gzip
import io
import math
import zipfile
import zlib
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gradlab.data.samples import HostArray

__all__ = ["read_mnist"]

NAMES = (  # of the file, of the array in an archive, and its number of dimensions
    ("train-images-idx3-ubyte", "x_train", 3),
    ("train-labels-idx1-ubyte", "y_train", 1),
    ("t10k-images-idx3-ubyte", "x_test", 3),
    ("t10k-labels-idx1-ubyte", "y_test", 1),
)
KINDS = {3: "images", 1: "labels"}
UNSIGNED_BYTE = 8  # code of the element type, third byte of an IDX file; the fourth: dimensions
UNREADABLE = (
    *(zipfile.BadZipFile, KeyError),  # no archive, or one without this member
    *(ValueError, EOFError, zlib.error),  # no array, a pickled one, a cut or damaged one
    RuntimeError,  # encrypted, or compressed by a method unknown here
)
AGAIN = "get the file again"


class _Part(NamedTuple):
    source: str  # the file, and the array in it, for messages
    values: HostArray


def read_mnist(path: str | PathLike[str]) -> tuple[HostArray, HostArray, HostArray, HostArray]:
    """Images and labels of the training part, then of the test part, as stored.

    Parameters
    ----------
    path : str or path
        As for `gradlab.data.load_mnist`, which states the errors, too.

    Returns
    -------
    x_train, t_train, x_test, t_test : NumPy arrays, uint8
        Shapes (n, height, width), (n,), (m, height, width), (m,); labels are 0 to 9. Read-only
        where they come from IDX files.
    """
    place = Path(path)
    archive = place / "mnist.npz" if place.is_dir() else place
    if archive.is_file():
        parts = [_read_member(archive, name, ndim) for _, name, ndim in NAMES]
    elif place.is_dir():
        parts = [_read_idx(_find(place, name), ndim) for name, _, ndim in NAMES]
    else:
        msg = f"{place} does not exist: `path` must be a folder with the MNIST files, or mnist.npz"
        raise FileNotFoundError(msg)
    x_train, t_train, x_test, t_test = parts
    _check_labels(t_train, x_train)
    _check_labels(t_test, x_test)
    size, of_train = x_test.values.shape[1:], x_train.values.shape[1:]
    if size != of_train:
        expected = f"images of {of_train} pixels, as in {x_train.source}"
        raise _wrong(x_test.source, expected, str(size), "take all files from one data set")
    return x_train.values, t_train.values, x_test.values, t_test.values


def _find(folder: Path, name: str) -> Path:
    """Return the file `name` under the first of its spellings that is there."""
    for spelling in (name, name.replace("-idx", ".idx")):
        for suffix in ("", ".gz"):
            if (folder / f"{spelling}{suffix}").is_file():
                return folder / f"{spelling}{suffix}"
    wanted = ", ".join(name for name, _, _ in NAMES)
    msg = f"{folder} has no {name}[.gz]: put all of {wanted} there, gzipped or not, or mnist.npz"
    raise FileNotFoundError(msg)


def _read_idx(path: Path, ndim: int) -> _Part:
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):  # gzip's mark, whatever the name says
        try:
            data = gzip.decompress(data)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise _wrong(path, "an intact gzip file", f"{error}", AGAIN) from error
    starts = {n: bytes([0, 0, UNSIGNED_BYTE, n]) for n in KINDS}
    if not data.startswith(starts[ndim]):
        expected = f"an IDX file of {KINDS[ndim]}, which begins with {starts[ndim].hex()}"
        of = next((f" (a file of {KINDS[n]})" for n in KINDS if data.startswith(starts[n])), "")
        raise _wrong(path, expected, f"{data[:4].hex() or 'an empty file'}{of}", AGAIN)
    begin = 4 + 4 * ndim
    if len(data) < begin:
        raise _wrong(path, f"a header of {begin} bytes", f"{len(data)}: it is cut short", AGAIN)
    shape = [int.from_bytes(data[i : i + 4], "big") for i in range(4, begin, 4)]
    length = begin + math.prod(shape)
    if len(data) != length:
        expected = f"{length} bytes for {KINDS[ndim]} of shape {tuple(shape)}"
        got = f"{len(data)}: it is {'too long' if len(data) > length else 'cut short'}"
        raise _wrong(path, expected, got, AGAIN)
    return _Part(str(path), np.frombuffer(data, np.uint8, offset=begin).reshape(shape))


def _read_member(path: Path, name: str, ndim: int) -> _Part:
    """Return one array of a NumPy archive; pickled objects are refused."""
    part = f"{path}, array {name!r}"
    expected = f"uint8 of {ndim} dimension{'s' * (ndim > 1)}"
    cure = f"{AGAIN}, or make it with np.savez; for IDX files, `path` is their folder"
    file = io.BytesIO(path.read_bytes())  # where a wrong offset is a ValueError, no OSError
    try:
        with zipfile.ZipFile(file) as archive, archive.open(f"{name}.npy") as member:
            values = np.lib.format.read_array(member, allow_pickle=False)
            rest = member.read()
    except UNREADABLE as error:
        raise _wrong(part, expected, repr(error), cure) from error
    if values.dtype != np.uint8 or values.ndim != ndim or rest:
        surplus = f" and {len(rest)} bytes too many" if rest else ""
        raise _wrong(part, expected, f"{values.dtype} of shape {values.shape}{surplus}", cure)
    return _Part(part, values)


def _check_labels(labels: _Part, images: _Part) -> None:
    if len(labels.values) != len(images.values):
        expected = f"{len(images.values)} labels, as many as there are images in {images.source}"
        raise _wrong(
            labels.source, expected, f"{len(labels.values)}", "take both from one data set"
        )
    if np.any(labels.values > 9):  # noqa: PLR2004  (the digits)
        raise _wrong(labels.source, "labels 0 to 9", f"{labels.values.max()}", AGAIN)


def _wrong(source: Path | str, expected: str, got: str, cure: str) -> ValueError:
    return ValueError(f"{source}: expected {expected}; got {got}; {cure}")
