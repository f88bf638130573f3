"""A tree of arrays and plain values, to one file and back: what networks and trainings leave.

The file is an ``.npz`` archive. Arrays are named ``a0``, ``a1`` ...; the ``manifest``, JSON in
bytes, holds the rest, with a checksum of all of it. Nothing is ever unpickled.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import zipfile
import zlib
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.backend import is_array, to_numpy, version_of

__all__ = ["StoreError", "load", "named", "rehearse", "save"]

FORMAT = 1  # one more at each change that an older gradlab would misread
_MANIFEST = "manifest"
_PLAIN = (str, int, float, bool, type(None))
_UNREADABLE = (
    *(zipfile.BadZipFile, KeyError),  # no archive, or one without this member
    *(ValueError, TypeError, EOFError, zlib.error),  # no array, a pickled one, no JSON, a cut one
    *(RuntimeError, OverflowError),  # encrypted, or of a method or a size unknown here
)


class StoreError(ValueError):
    """The file cannot be loaded: it is damaged, of something else, or of a newer gradlab."""


def save(path: str | PathLike[str], state: Any) -> None:
    """Write a tree to a file, which is at any moment the old one or the new one, and whole.

    Parameters
    ----------
    path : str or path
        Replaced if it exists; of a link, what it points to. The new content grows in a file beside
        it, of the same name with ``.part`` at its end, which a process that is killed may leave;
        the next `save` takes it.
    state : tree
        Dicts, lists and tuples, nested, of arrays of any backend and of str, int, float, bool
        and None. Keys are such plain values.

    Raises
    ------
    TypeError
        If `state` holds anything else.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import gradlab as gl
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "state.npz"
    ...     gl.store.save(path, {"w": gl.asarray([1.0, 2.0]), "step": 3, "name": None})
    ...     gl.store.load(path)
    {'w': array([1., 2.]), 'step': 3, 'name': None}
    """
    arrays: list[Any] = []
    manifest = {"format": FORMAT, "versions": _versions(), "tree": _encode(state, "state", arrays)}
    manifest["sha256"] = _checksum(manifest, arrays)
    named = {f"a{k}": array for k, array in enumerate(arrays)}
    named[_MANIFEST] = np.frombuffer(json.dumps(manifest).encode(), np.uint8)
    content = _archive(named)
    path, part = _places(path)
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def rehearse(path: str | PathLike[str], state: Any) -> None:
    """Raise what `save` would raise now, without a write: better known before long work."""
    path, part = _places(path)
    _encode(state, "state", [])
    part.open("wb").close()
    part.unlink()


def named(path: Any, called: str = "path") -> Path:
    """Return a path, or raise TypeError where `path`, which the caller calls so, is none."""
    if not isinstance(path, str | PathLike):
        msg = f"`{called}` must be the name of a file: got {path!r}"
        raise TypeError(msg)
    return Path(path)


def _places(path: str | PathLike[str]) -> tuple[Path, Path]:
    """Where the file is, which is where a link points, and where its new content grows."""
    path = Path(os.path.realpath(named(path)))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():  # a device, which root may replace
        raise FileExistsError(errno.EEXIST, "not a regular file", str(path))
    return path, path.with_name(path.name + ".part")


def _archive(named: dict[str, Any]) -> bytes:
    """Content of an ``.npz`` file of these arrays."""
    buffer = io.BytesIO()
    archive = zipfile.ZipFile(buffer, "w")
    try:
        for name, array in named.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        archive.close()
    except BaseException:  # KeyboardInterrupt may leave a member open:
        archive.fp = None  # then `close`, also when it is deleted, would raise over what came
        raise
    return buffer.getvalue()


def load(path: str | PathLike[str]) -> Any:
    """Read what `save` wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    tree
        As it was saved; arrays are NumPy's, of the same dtypes, bits and order in memory.

    Raises
    ------
    StoreError
        If the file is damaged in any way, is not one of `save`, or is of a newer gradlab.
    OSError
        If there is no such file, or it cannot be read.
    """
    path = named(path)
    try:
        manifest, arrays = _read(io.BytesIO(path.read_bytes()))
        intact = manifest.pop("sha256") == _checksum(manifest, arrays)
        state = _decode(manifest["tree"], arrays) if intact else None
    except StoreError as error:
        msg = f"{path}: {error}"
        raise StoreError(msg) from error.__cause__
    except _UNREADABLE as error:
        msg = f"{path}: the file is damaged, or gradlab did not write it ({error!r})"
        raise StoreError(msg) from error
    if not intact:
        msg = f"{path}: the file is damaged: its content does not have the checksum it had"
        raise StoreError(msg)
    return state


def _read(file: io.BytesIO) -> tuple[dict[str, Any], list[Any]]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if f"{_MANIFEST}.npy" not in names:
            msg = f"gradlab did not write it: it holds {', '.join(names) or 'nothing'}"
            raise StoreError(msg)
        manifest = json.loads(_member(archive, _MANIFEST).tobytes())
        if manifest["format"] > FORMAT:
            msg = (
                f"its format is {manifest['format']}, and this gradlab reads up to {FORMAT}: "
                f"it was written by gradlab {manifest['versions']['gradlab']}; update gradlab"
            )
            raise StoreError(msg)
        return manifest, [_member(archive, f"a{k}") for k in range(len(names) - 1)]


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    """One array; all its bytes are read first, so that their own checksum is looked at."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        msg = f"the array {name!r} is compressed"
        raise ValueError(msg)
    return np.lib.format.read_array(io.BytesIO(archive.read(info)), allow_pickle=False)


def _encode(x: Any, where: str, arrays: list[Any]) -> Any:
    """Return `x` in JSON: plain values as they are, others as a list that begins with a kind."""
    if type(x) in _PLAIN:
        return x
    if type(x) is dict:
        pairs = ((_key(k, where), _encode(v, f"{where}[{k!r}]", arrays)) for k, v in x.items())
        return ["dict", *pairs]
    if type(x) is list and x and all(type(e) is float for e in x):
        arrays.append(np.asarray(x))
        return ["floats", len(arrays) - 1]
    if type(x) in (list, tuple):
        kind = type(x).__name__
        return [kind, *(_encode(e, f"{where}[{k}]", arrays) for k, e in enumerate(x))]
    array = to_numpy(x) if is_array(x) or isinstance(x, np.generic) else np.asarray(None)
    if array.dtype.kind not in "biufc":
        msg = (
            f"`{where}` must be an array of numbers, a dict, list or tuple of them, or a plain "
            f"value (str, int, float, bool, None): got {type(x).__name__}"
        )
        raise TypeError(msg)
    arrays.append(array)
    return ["array", len(arrays) - 1]


def _key(key: Any, where: str) -> Any:
    if type(key) not in _PLAIN:
        msg = f"keys of `{where}` must be plain values (str, int ...): got {key!r}"
        raise TypeError(msg)
    return key


def _decode(x: Any, arrays: list[Any]) -> Any:
    if not isinstance(x, list):
        return x
    kind, *content = x
    if kind == "dict":
        return {key: _decode(value, arrays) for key, value in content}
    if kind in ("array", "floats"):
        array = arrays[content[0]]
        return array.tolist() if kind == "floats" else array
    children = [_decode(child, arrays) for child in content]
    return tuple(children) if kind == "tuple" else children


def _checksum(manifest: dict[str, Any], arrays: list[Any]) -> str:
    """SHA-256 of the manifest, and of each array's type, shape and elements, whatever its order."""
    digest = hashlib.sha256(json.dumps(manifest).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@cache
def _versions() -> dict[str, str]:
    return {name: version_of(name) for name in ("gradlab", "numpy")}
