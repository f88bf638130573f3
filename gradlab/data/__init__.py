"""Handwritten digits to train on: a small set that comes along, and MNIST from your disk."""

from gradlab.data.digits import load_digits
from gradlab.data.mnist import load_mnist

__all__ = ["load_digits", "load_mnist"]
