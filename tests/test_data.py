"""Digits that come along and MNIST from files: values, the split, and every file that is wrong."""

import gzip
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import gradlab as gl
from gradlab.data import load_digits, load_mnist

# First image of the source and its label, as the documentation of scikit-learn shows it.
ZERO = [
    *(0, 0, 5, 13, 9, 1, 0, 0),
    *(0, 0, 13, 15, 10, 15, 5, 0),
    *(0, 3, 15, 2, 0, 11, 8, 0),
    *(0, 4, 12, 0, 0, 8, 8, 0),
    *(0, 5, 8, 0, 0, 9, 8, 0),
    *(0, 4, 11, 0, 1, 12, 7, 0),
    *(0, 2, 14, 5, 10, 12, 0, 0),
    *(0, 0, 6, 13, 10, 0, 0, 0),
]

IDX = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


class Bomb:
    """An object whose pickle fails the test when it is loaded."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


def made():
    """Return seven and three images of 2x3 pixels with labels, named as in Keras's archive."""
    return {
        "x_train": (np.arange(42, dtype=np.uint8) * 6).reshape(7, 2, 3),
        "y_train": np.asarray([0, 9, 1, 8, 2, 7, 3], dtype=np.uint8),
        "x_test": np.asarray([[[255, 0, 1], [51, 102, 153]]] * 3, dtype=np.uint8),
        "y_test": np.asarray([4, 5, 6], dtype=np.uint8),
    }


def idx(values):
    """Return the bytes of an IDX file: two zeros, 8 for unsigned bytes, ndim, sizes, values."""
    sizes = np.asarray(values.shape, dtype=">u4").tobytes()
    return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


def write_idx(folder, arrays, spell="{}".format, pack=bytes):
    for name, values in arrays.items():
        (folder / spell(IDX[name])).write_bytes(pack(idx(values)))
    return folder


def assert_is_what_was_made(split):
    arrays = made()
    for (x, t), part in zip(split, ("train", "test"), strict=True):
        truth = arrays[f"x_{part}"].reshape(-1, 6) / 255
        np.testing.assert_allclose(gl.to_numpy(x), truth, rtol=1e-6, atol=0)
        np.testing.assert_array_equal(gl.to_numpy(t), arrays[f"y_{part}"])


def assert_is_on_the_selected_backend(split):
    for x, t in split:
        assert gl.namespace(x, t) is gl.namespace()
        assert x.device == t.device == gl.asarray(1.0).device
        assert gl.to_numpy(x).dtype == gl.get_backend().dtype
        assert gl.to_numpy(t).dtype == np.int64


@pytest.fixture
def split():
    with gl.use_backend("numpy", dtype="float64"):
        return load_digits()


def test_digits_come_on_the_selected_backend_in_its_dtype(backend):
    split = load_digits()
    assert_is_on_the_selected_backend(split)
    (x_train, t_train), (x_test, t_test) = split
    assert (x_train.shape, t_train.shape) == ((1437, 64), (1437,))
    assert (x_test.shape, t_test.shape) == ((360, 64), (360,))
    np.testing.assert_array_equal(gl.to_numpy(x_train[0, ...]), np.asarray(ZERO) / 16)
    assert int(t_train[0]) == 0


def test_digits_come_in_float32_where_that_is_the_default(backend):
    with gl.use_backend(dtype="float32"):
        (x_train, _), _ = load_digits()
    assert x_train.dtype == gl.namespace().float32
    np.testing.assert_array_equal(gl.to_numpy(x_train[0, ...]), np.asarray(ZERO) / 16)


def test_digits_are_sixteenths_from_0_to_1_with_labels_0_to_9(split):
    for x, t in split:
        np.testing.assert_array_equal(np.unique(x), np.arange(17) / 16)
        np.testing.assert_array_equal(np.unique(t), np.arange(10))


def test_digits_are_split_into_two_parts_that_share_no_image(split):
    (x_train, _), (x_test, _) = split
    assert len(np.unique(np.concatenate([x_train, x_test]), axis=0)) == 1797


def test_a_fifth_of_each_digit_is_for_testing(split):
    (_, t_train), (_, t_test) = split
    counts = np.bincount(np.concatenate([t_train, t_test]))
    # Of the source, as its documentation counts them.
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.all(np.abs(np.bincount(t_test) - counts / 5) < 1)


def test_digits_are_the_same_on_every_call_and_free_to_change(split):
    (x_train, _), _ = split
    x_train += 1.0
    with gl.use_backend("numpy", dtype="float64"):
        (again, _), _ = load_digits()
    np.testing.assert_array_equal(again, x_train - 1.0)


def test_the_reader_of_files_is_not_loaded_before_it_is_needed():
    code = "import gradlab.data, sys; print('gradlab.data.mnist_files' in sys.modules)"
    done = subprocess.run(  # noqa: S603  (our own code)
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_mnist_comes_on_the_selected_backend_in_its_dtype(backend, tmp_path):
    split = load_mnist(write_idx(tmp_path, made()))
    assert_is_on_the_selected_backend(split)
    assert_is_what_was_made(split)


def test_mnist_comes_in_float32_where_that_is_the_default(backend, tmp_path):
    with gl.use_backend(dtype="float32"):
        (x_train, _), _ = load_mnist(write_idx(tmp_path, made()))
    assert x_train.dtype == gl.namespace().float32


@pytest.mark.parametrize("kind", [str, lambda path: path])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "spelling", ["{}", "{}.gz", "{0[0]}.idx{0[1]}", "{0[0]}.idx{0[1]}.gz"], ids=str
)
def test_idx_files_are_found_by_either_spelling_gzipped_or_not(tmp_path, spelling, pack, kind):
    def spell(name):
        return spelling.format(name.split("-idx") if "[" in spelling else name)

    write_idx(tmp_path, made(), spell, pack)
    assert_is_what_was_made(load_mnist(kind(tmp_path)))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_is_read_by_its_own_path_and_by_that_of_its_folder(tmp_path, save):
    save(tmp_path / "mnist.npz", **made())
    assert_is_what_was_made(load_mnist(tmp_path / "mnist.npz"))
    write_idx(tmp_path, {"x_train": made()["x_train"] * 0})
    assert_is_what_was_made(load_mnist(tmp_path))  # it goes before IDX files


def test_sets_without_samples_keep_the_number_of_pixels(tmp_path):
    empty = {name: values[:0] for name, values in made().items()}
    (x_train, t_train), _ = load_mnist(write_idx(tmp_path, empty))
    assert (x_train.shape, t_train.shape) == ((0, 6), (0,))


def assert_refused(path, *said, error=ValueError):
    with pytest.raises(error) as caught:
        load_mnist(path)
    message = str(caught.value)
    for part in said:
        assert str(part) in message, f"{part!r} is not in {message!r}"


def test_a_path_that_does_not_exist_is_named(tmp_path):
    said = (tmp_path / "nowhere", "does not exist", "mnist.npz")
    assert_refused(tmp_path / "nowhere", *said, error=FileNotFoundError)


@pytest.mark.parametrize("name", IDX)
def test_a_missing_file_is_named_with_what_to_put_where(tmp_path, name):
    write_idx(tmp_path, made())
    (tmp_path / IDX[name]).unlink()
    said = (f"{tmp_path} has no {IDX[name]}[.gz]", "put all of", *IDX.values(), "mnist.npz")
    assert_refused(tmp_path, *said, error=FileNotFoundError)


LABELS = idx(made()["y_test"])
IMAGES = idx(made()["x_test"])
WRONG_FILES = {
    "labels for images": ("x_test", LABELS, ["file of images", "0803", "0801 (a file of labels)"]),
    "images for labels": ("y_test", IMAGES, ["file of labels", "0801", "0803 (a file of images)"]),
    "a web page": ("x_test", b"<html>", ["begins with 00000803", "got 3c68746d"]),
    "nothing": ("x_test", b"", ["got an empty file"]),
    "32-bit integers": ("y_test", b"\0\0\x0c\1" + LABELS[4:], ["00000801", "got 00000c01"]),
    "half a header": ("x_test", IMAGES[:9], ["a header of 16 bytes", "got 9: it is cut short"]),
    "a cut file": ("x_test", IMAGES[:-1], ["34 bytes", "(3, 2, 3)", "got 33: it is cut short"]),
    "an overlong file": ("y_test", LABELS + b"\1\2", ["11 bytes", "got 13: it is too long"]),
    "a cut gzip file": ("x_test", gzip.compress(IMAGES)[:-9], ["intact gzip file", "ended before"]),
    "a damaged gzip file": ("x_test", gzip.compress(IMAGES)[:-8] + bytes(8), ["CRC check failed"]),
    "damaged gzip data": ("x_test", gzip.compress(IMAGES)[:10] + b"\xff" * 9, ["Error -3"]),
    "a label of 10": ("y_test", LABELS[:-1] + b"\x0a", ["labels 0 to 9", "got 10"]),
}


@pytest.mark.parametrize(("name", "data", "said"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_an_idx_file_that_is_wrong_is_named_with_what_was_expected(tmp_path, name, data, said):
    write_idx(tmp_path, made())
    (tmp_path / IDX[name]).write_bytes(data)
    assert_refused(tmp_path, f"{tmp_path / IDX[name]}: expected", *said, "get the file again")


def test_as_many_labels_as_images_are_expected(tmp_path):
    write_idx(tmp_path, made() | {"y_train": made()["y_test"]})
    said = (tmp_path / IDX["y_train"], "7 labels", tmp_path / IDX["x_train"], "got 3", "take both")
    assert_refused(tmp_path, *said)


def test_images_of_one_size_are_expected(tmp_path):
    write_idx(tmp_path, made() | {"x_test": made()["x_test"].reshape(3, 3, 2)})
    assert_refused(
        tmp_path, tmp_path / IDX["x_test"], "(2, 3) pixels", "got (3, 2)", "one data set"
    )


WRONG_ARRAYS = {
    "missing": ("y_test", None, ["uint8 of 1 dimension;", "no item named 'y_test.npy'"]),
    "floating": ("x_test", made()["x_test"] / 255, ["uint8 of 3 dimensions", "got float64"]),
    "flat": ("x_train", made()["x_train"].reshape(7, 6), ["3 dimensions", "of shape (7, 6)"]),
    "one-hot": ("y_test", np.eye(10, dtype=np.uint8)[:3], ["1 dimension", "of shape (3, 10)"]),
    "pickled": ("x_test", np.asarray([Bomb()]), ["Object arrays cannot be loaded"]),
    "out of range": ("y_train", np.asarray([77] * 7, dtype=np.uint8), ["0 to 9", "got 77"]),
    "too few": ("y_train", made()["y_train"][1:], ["7 labels", "array 'x_train'", "got 6"]),
    "of another size": ("x_test", made()["x_test"][:, :1], ["(2, 3) pixels", "got (1, 3)"]),
}


@pytest.mark.parametrize(("name", "values", "said"), WRONG_ARRAYS.values(), ids=WRONG_ARRAYS)
def test_an_array_that_is_wrong_is_named_with_what_was_expected(tmp_path, name, values, said):
    arrays = {key: value for key, value in (made() | {name: values}).items() if value is not None}
    np.savez(tmp_path / "mnist.npz", **arrays)
    assert_refused(tmp_path, f"{tmp_path / 'mnist.npz'}, array {name!r}: expected", *said)


def rewrite(path, change):
    """Write the archive anew with `change` applied to the bytes of its first array."""
    np.savez(path, **made())
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, change(data) if name == "x_train.npy" else data)


DAMAGES = {
    "cut": (lambda data: data[:-1], "EOF: reading array data"),
    "overlong": (lambda data: data + b"\1\2", "and 2 bytes too many"),
    "no array": (lambda data: b"some text" + data, "ValueError"),
}


@pytest.mark.parametrize(("change", "said"), DAMAGES.values(), ids=DAMAGES)
def test_a_member_that_is_wrong_is_named_with_its_archive(tmp_path, change, said):
    rewrite(tmp_path / "mnist.npz", change)
    assert_refused(tmp_path, f"{tmp_path / 'mnist.npz'}, array 'x_train'", said, "np.savez")


def test_an_archive_whose_bytes_were_changed_is_refused(tmp_path):
    path = tmp_path / "mnist.npz"
    np.savez(path, **made())
    pixels = made()["x_train"].tobytes()
    path.write_bytes(path.read_bytes().replace(pixels, pixels[::-1]))
    assert_refused(path, "Bad CRC-32 for file 'x_train.npy'")


def test_an_archive_whose_directory_is_wrong_is_refused(tmp_path):
    path = tmp_path / "mnist.npz"
    np.savez(path, **made())
    data = bytearray(path.read_bytes())
    data[-4] ^= 1  # of where the directory begins: then the members would, before the file does
    path.write_bytes(data)
    assert_refused(path, f"{path}, array 'x_train': expected uint8 of 3 dimensions")


@pytest.mark.parametrize("data", [b"", b"<html>", IMAGES, b"PK\3\4 and no more"])
def test_a_file_that_is_no_archive_is_named_with_what_path_may_be(tmp_path, data):
    path = tmp_path / "some.npz"
    path.write_bytes(data)
    assert_refused(path, path, "not a zip file", "for IDX files, `path` is their folder")


def test_a_pickle_is_refused_and_never_run(tmp_path):
    path = tmp_path / "mnist.npz"
    np.asarray([Bomb()]).dump(path)
    assert_refused(path, path, "not a zip file")
