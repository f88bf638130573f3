"""From images and labels as stored, bytes on the host, to arrays ready to train on."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from gradlab.backend import Array, asarray, get_backend

__all__ = ["HostArray", "Samples", "Split", "to_samples"]

HostArray: TypeAlias = np.ndarray[Any, Any]
Samples: TypeAlias = tuple[Array, Array]  # x, t
Split: TypeAlias = tuple[Samples, Samples]  # train, test


def to_samples(images: HostArray, labels: HostArray, *, white: int) -> Samples:
    """Flatten the images, scale them to [0, 1], and move both to the selected backend.

    Parameters
    ----------
    images : NumPy array, shape (n, ...), uint8
    labels : NumPy array, shape (n,), integer
    white : int
        The pixel value that becomes 1.

    Returns
    -------
    x : array, shape (n, pixels), default dtype of the selected backend
    t : array, shape (n,), int64
    """
    pixels = images.reshape(len(images), math.prod(images.shape[1:]))
    x = np.divide(pixels, white, dtype=get_backend().dtype)  # no float64 copy on the way
    return asarray(x), asarray(labels.astype(np.int64))
