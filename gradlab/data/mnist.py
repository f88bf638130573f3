"""MNIST from your disk: the four IDX files, or Keras's ``mnist.npz``. Nothing is downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlab.data.samples import Split, to_samples

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["load_mnist"]


def load_mnist(path: str | PathLike[str]) -> Split:
    """MNIST, or a set of other images in its format (such as Fashion-MNIST), from files.

    Parameters
    ----------
    path : str or path
        A folder with the four IDX files ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte`` (also spelt ``.idx3-ubyte``; each
        gzipped, ``.gz``, or not); or an ``mnist.npz`` with uint8 arrays ``x_train``, ``y_train``,
        ``x_test``, ``y_test``; or a folder with one, which is then read before any IDX file.

    Returns
    -------
    (x_train, t_train), (x_test, t_test) : arrays on the selected backend
        x, shape (60000, 784) or (10000, 784) for MNIST itself, default floating dtype: images
        row by row, 0 (background) to 1 in steps of 1/255. t, shape (60000,) or (10000,), int64:
        the digits, 0 to 9.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is cut short, too long, damaged, or does not hold what its name says.

    Notes
    -----
    The IDX files can be had from https://ossci-datasets.s3.amazonaws.com/mnist/, the archive from
    https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz.

    References
    ----------
    Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits, 1998,
    which also defines the IDX format.
    """
    from gradlab.data.mnist_files import read_mnist  # noqa: PLC0415  (not at `import gradlab`)

    x_train, t_train, x_test, t_test = read_mnist(path)
    return to_samples(x_train, t_train, white=255), to_samples(x_test, t_test, white=255)
