"""Update rules against torch.optim, over random settings, parameters and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradlab.optimizers import SGD, AdaGrad, Adam, AdamW, RMSprop, clip_norm


def settings(name, rng):
    """Rule of ours, and that of torch, with the same random settings."""
    lr, decay, momentum = rng.uniform(0.001, 0.3), rng.choice([0, 0.1]), rng.choice([0, 0.8])
    betas, eps = (rng.uniform(0.5, 0.95), rng.uniform(0.9, 0.999)), 10.0 ** rng.uniform(-10, -4)
    nesterov = bool(momentum and rng.random() < 0.5)
    alpha = rng.uniform(0.8, 0.99)
    return {
        "SGD": lambda: (
            SGD(lr, momentum, nesterov, decay),
            lambda p: torch.optim.SGD(
                p, lr, momentum=momentum, nesterov=nesterov, weight_decay=decay
            ),
        ),
        "AdaGrad": lambda: (
            AdaGrad(lr, decay, eps),
            lambda p: torch.optim.Adagrad(p, lr, weight_decay=decay, eps=eps),
        ),
        "RMSprop": lambda: (
            RMSprop(lr, alpha, momentum, decay, eps),
            lambda p: torch.optim.RMSprop(
                p, lr, alpha=alpha, momentum=momentum, weight_decay=decay, eps=eps
            ),
        ),
        "Adam": lambda: (
            Adam(lr, betas, eps, decay),
            lambda p: torch.optim.Adam(p, lr, betas=betas, eps=eps, weight_decay=decay),
        ),
        "AdamW": lambda: (
            AdamW(lr, betas, eps, decay),
            lambda p: torch.optim.AdamW(p, lr, betas=betas, eps=eps, weight_decay=decay),
        ),
    }[name]()


@pytest.mark.parametrize("max_norm", [None, 0.5])
@pytest.mark.parametrize("name", ["SGD", "AdaGrad", "RMSprop", "Adam", "AdamW"])
def test_random_settings(name, max_norm):
    rng = np.random.default_rng(len(name))
    for _ in range(20):
        ours, theirs = settings(name, rng)
        params = {"W": rng.standard_normal((3, 2)), "b": rng.standard_normal(2)}
        tensors = [torch.tensor(v, requires_grad=True) for v in params.values()]
        optimizer = theirs(tensors)
        ours = ours if max_norm is None else clip_norm(ours, max_norm)
        state = ours.init(params)
        for _ in range(10):
            grads = {k: rng.standard_normal(v.shape) for k, v in params.items()}
            for tensor, g in zip(tensors, grads.values(), strict=True):
                tensor.grad = torch.tensor(g)
            if max_norm is not None:
                torch.nn.utils.clip_grad_norm_(tensors, max_norm)
            optimizer.step()
            params, state = ours.step(params, grads, state)
        for tensor, value in zip(tensors, params.values(), strict=True):
            np.testing.assert_allclose(value, tensor.detach().numpy(), rtol=1e-10, atol=1e-12)
