"""Networks, and the functions that they are made of."""

from gradlab.nn.functions import (
    accuracy,
    linear,
    relu,
    sigmoid,
    softmax,
    softmax_cross_entropy,
    tanh,
)
from gradlab.nn.network import TwoLayerNetwork

__all__ = [
    "TwoLayerNetwork",
    "accuracy",
    "linear",
    "relu",
    "sigmoid",
    "softmax",
    "softmax_cross_entropy",
    "tanh",
]
