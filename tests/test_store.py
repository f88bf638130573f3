"""Files of trees: what comes back, what is refused, and that a kill never leaves half of one."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import pickle
from typing import NamedTuple

import numpy as np
import pytest

import gradlab as gl
from gradlab import store

RNG = np.random.default_rng(3)
TREE = {
    "float64": RNG.normal(size=(3, 4)),
    "float32": RNG.normal(size=5).astype(np.float32),
    "int64": np.arange(4),
    "bool": np.asarray([True, False]),
    "complex": np.asarray([1 + 2j]),
    "empty": np.zeros((0, 3)),
    "number": np.asarray(2.5),
    "special": np.asarray([math.nan, math.inf, -0.0]),
    "allow_pickle": np.ones(1),
    "plain": {"a": None, "b": True, "c": 3, "d": "ä\n", "e": 0.1, 7: -1},
    "sequences": [1, (2, 3.0), [], (), {}, [0.1, 0.2]],
    "random": 2**127 + 1,
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state"


def names(folder):
    return [file.name for file in folder.iterdir()]


def assert_same(got, expected):
    assert type(got) is type(expected)
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        for key, value in expected.items():
            assert_same(got[key], value)
    elif isinstance(expected, list | tuple):
        assert len(got) == len(expected)
        for pair in zip(got, expected, strict=True):
            assert_same(*pair)
    elif isinstance(expected, np.ndarray):
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        assert got.tobytes() == expected.tobytes()
    else:
        assert got == expected


def test_a_tree_comes_back_as_it_was_bit_by_bit(path):
    store.save(path, TREE)
    assert_same(store.load(path), TREE)
    assert names(path.parent) == ["state"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324])
def test_special_floats_come_back_alone_and_in_lists(path, value):
    store.save(path, [value, [value, 1.0], (value,)])
    assert repr(store.load(path)) == repr([value, [value, 1.0], (value,)])


def test_arrays_of_every_backend_come_back_as_numpys(path, backend):
    store.save(path, {"w": gl.asarray([[1.0, 2.0]]), "n": gl.asarray([3])})
    got = store.load(path)
    assert_same(got, {"w": np.asarray([[1.0, 2.0]], backend.dtype), "n": np.asarray([3])})


def test_the_order_of_a_matrix_in_memory_is_kept(path):
    rows, columns = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2).T
    store.save(path, [rows, columns, rows[:, ::2]])
    got = store.load(path)
    assert got[0].flags.c_contiguous
    assert got[1].flags.f_contiguous
    for array, expected in zip(got, [rows, columns, rows[:, ::2]], strict=True):
        np.testing.assert_array_equal(array, expected)


def test_a_numpy_scalar_comes_back_as_an_array_of_its_type(path):
    store.save(path, np.float32(0.1))
    assert_same(store.load(path), np.asarray(0.1, np.float32))


def test_numpy_reads_the_file_and_its_manifest(path):
    store.save(path, {"w": np.ones(2), "n": 3})
    with np.load(path, allow_pickle=False) as archive:
        assert sorted(archive.files) == ["a0", "manifest"]
        manifest = json.loads(archive["manifest"].tobytes())
    assert manifest["format"] == store.FORMAT
    assert manifest["versions"]["numpy"] == np.__version__
    assert len(manifest["sha256"]) == 64


class Point(NamedTuple):
    x: float


FOREIGN = {
    "an object": (object(), "`state` must be an array of numbers, .*: got object"),
    "deep inside": ({"a": [1, {2}]}, r"`state\['a'\]\[1\]` must be .*: got set"),
    "a key": ({"a": {(1, 2): 3}}, r"keys of `state\['a'\]` must be plain values .*: got \(1, 2\)"),
    "strings": (np.asarray(["a"]), "got ndarray"),
    "objects": (np.asarray([None, 1]), "got ndarray"),
    "a named tuple": (Point(1.0), "got Point"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_cannot_be_saved_is_refused_and_the_old_file_stays(path, what):
    state, message = FOREIGN[what]
    store.save(path, 1)
    with pytest.raises(TypeError, match=message):
        store.save(path, state)
    assert store.load(path) == 1
    assert names(path.parent) == ["state"]


@pytest.mark.parametrize("what", FOREIGN)
def test_a_rehearsal_refuses_what_cannot_be_saved(path, what):
    state, message = FOREIGN[what]
    with pytest.raises(TypeError, match=message):
        store.rehearse(path, state)
    assert names(path.parent) == []


def test_a_rehearsal_finds_a_place_that_cannot_be_written(path):
    store.save(path, 1)
    store.rehearse(path, 2)
    assert store.load(path) == 1
    assert names(path.parent) == ["state"]
    with pytest.raises(OSError, match="No such file or directory"):
        store.rehearse(path.parent / "no" / "state", 1)
    with pytest.raises(IsADirectoryError):
        store.rehearse(path.parent, 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none")
def test_what_is_no_regular_file_is_not_replaced(path):
    os.mkfifo(path)
    for verb in (store.save, store.rehearse):
        with pytest.raises(FileExistsError, match="not a regular file"):
            verb(path, 1)
    assert path.is_fifo()


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_stays_one(path):
    target = path.with_name("elsewhere")
    path.symlink_to(target.name)
    for state in (1, 2):
        store.rehearse(path, state)
        store.save(path, state)
        assert path.is_symlink()
        assert store.load(target) == state
    assert sorted(path.parent.iterdir()) == sorted([path, target])


def test_sources_that_are_not_installed_can_save(path, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    monkeypatch.setattr(store, "_versions", store._versions.__wrapped__)
    store.save(path, 1)
    assert store.load(path) == 1


@pytest.mark.parametrize("moment", ["archive", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(path, monkeypatch, moment):
    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    store.save(path, "old")
    if moment == "archive":
        monkeypatch.setattr(np.lib.format, "write_array", fail)
    else:
        monkeypatch.setattr(os, moment, fail)
    with pytest.raises(OSError, match="No space left"):
        store.save(path, "new")
    assert names(path.parent) == ["state"]
    assert store.load(path) == "old"
    monkeypatch.undo()
    store.save(path, "new")
    assert store.load(path) == "new"
    assert names(path.parent) == ["state"]


def test_every_truncation_is_refused(path):
    store.save(path, {"w": np.ones(3), "n": 1})
    whole = path.read_bytes()
    for length in range(0, len(whole), 11):
        path.write_bytes(whole[:length])
        with pytest.raises(store.StoreError, match="state: "):
            store.load(path)


def test_a_flipped_bit_is_refused_or_harmless(path):
    state = {"w": np.ones((2, 2)), "n": 1, "f": [0.5, 0.25]}
    store.save(path, state)
    whole = path.read_bytes()
    refused = 0
    for bit in range(0, 8 * len(whole), 13):  # 13 is odd: every place in a byte has its turn
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            got = store.load(path)
        except store.StoreError:
            refused += 1
        else:
            assert_same(got, state)
    assert refused > 400


def test_the_checksum_is_looked_at(path):
    """Another value, in an archive that is intact for all that zip knows."""
    store.save(path, [np.ones(2)])
    with np.load(path) as archive:
        manifest = archive["manifest"]
    with path.open("wb") as file:
        np.savez(file, manifest=manifest, a0=np.zeros(2))
    with pytest.raises(store.StoreError, match="damaged: its content does not have the checksum"):
        store.load(path)


def test_foreign_files_are_refused_with_what_they_hold(path):
    for content in (b"", b"hello", pickle.dumps([1])):
        path.write_bytes(content)
        with pytest.raises(store.StoreError, match="damaged, or gradlab did not write it"):
            store.load(path)
    with path.open("wb") as file:
        np.savez(file, w=np.ones(2))
    with pytest.raises(store.StoreError, match=r"gradlab did not write it: it holds w.npy"):
        store.load(path)


class Trap:
    """What a pickle would run."""

    def __reduce__(self):
        return os.mkdir, ("trapped",)


def test_object_arrays_are_never_unpickled(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    trap = np.asarray([Trap()], dtype=object)
    store.save(path, [np.ones(1)])
    with np.load(path) as archive:
        manifest = archive["manifest"]
    for arrays in ({"manifest": trap}, {"manifest": manifest, "a0": trap}):
        with path.open("wb") as file:
            np.savez(file, **arrays)
        with pytest.raises(store.StoreError):
            store.load(path)
    assert names(path.parent) == ["state"]


def test_a_newer_format_is_refused_with_the_cure(path, monkeypatch):
    monkeypatch.setattr(store, "FORMAT", 2)
    store.save(path, 1)
    monkeypatch.undo()
    with pytest.raises(store.StoreError, match=r"format is 2, .* reads up to 1: .*update gradlab"):
        store.load(path)


def test_a_missing_file_is_an_error_of_the_system(path):
    with pytest.raises(FileNotFoundError):
        store.load(path)


def test_an_interrupt_while_a_member_is_open_passes_as_one(path, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    store.save(path, "old")
    opened = store.zipfile.ZipFile.open

    def left_open(archive, *args, **options):
        opened(archive, *args, **options)  # its handle is never closed
        raise KeyboardInterrupt

    for owner, name, value in (
        (np.lib.format, "write_array", interrupt),
        (store.zipfile.ZipFile, "open", left_open),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            with pytest.raises(KeyboardInterrupt):
                store.save(path, "new")
        assert store.load(path) == "old"


@pytest.mark.parametrize("place", [None, 3])
def test_what_is_no_name_of_a_file_is_refused(place):
    for call in (store.load, lambda place: store.save(place, 1)):
        with pytest.raises(TypeError, match=f"`path` must be the name of a file: got {place}"):
            call(place)
