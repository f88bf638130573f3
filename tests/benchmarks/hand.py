"""The references: what a student or a careful hand writes in plain, allocating NumPy."""

from __future__ import annotations

import numpy as np


def numerical_gradient(f, x, h=1e-5):
    """The textbook's loop: perturb one element of x in place, restore it."""
    slope = np.zeros_like(x)
    flat, out = x.reshape(-1), slope.reshape(-1)
    for i in range(flat.size):
        kept = flat[i]
        flat[i] = kept + h
        above = f(x)
        flat[i] = kept - h
        out[i] = (above - f(x)) / (2 * h)
        flat[i] = kept
    return slope


def network_loss(params, x, t):
    """Softmax cross-entropy of a network of sigmoid layers, t one row of probabilities a sample."""
    layers = len(params) // 2
    for k in range(1, layers):
        x = 1 / (1 + np.exp(-(x @ params[f"W{k}"] + params[f"b{k}"])))
    logits = x @ params[f"W{layers}"] + params[f"b{layers}"]
    logits = logits - logits.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(logits).sum(axis=1)) - (t * logits).sum(axis=1))


def two_layer_gradient(params, x, t):
    """Loss and backpropagation of the same network."""
    hidden = 1 / (1 + np.exp(-(x @ params["W1"] + params["b1"])))
    z = hidden @ params["W2"] + params["b2"]
    z = z - z.max(axis=1, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=1, keepdims=True)
    loss = np.mean(np.log(total[:, 0]) - (t * z).sum(axis=1))
    d2 = (e / total - t) / len(x)
    d1 = d2 @ params["W2"].T * hidden * (1 - hidden)
    return loss, {"W1": x.T @ d1, "b1": d1.sum(axis=0), "W2": hidden.T @ d2, "b2": d2.sum(axis=0)}
