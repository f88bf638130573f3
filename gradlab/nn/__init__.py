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
from gradlab.nn.layers import Dense, ReLU, Sigmoid, Tanh
from gradlab.nn.network import Network, TwoLayerNetwork

__all__ = [
    "Dense",
    "Network",
    "ReLU",
    "Sigmoid",
    "Tanh",
    "TwoLayerNetwork",
    "accuracy",
    "linear",
    "relu",
    "sigmoid",
    "softmax",
    "softmax_cross_entropy",
    "tanh",
]
