"""Every public function on a second device: how often each makes the host wait for it.

On a GPU a wait lets the device run dry. array-api-strict's second device shows where an array is
turned into a number or brought to the host, and where one is made on another device: that raises.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import gradlab as gl
from gradlab import autodiff, nn, numerical, optimizers, training

BOWL = [3.0, 4.0, -1.0]


def bowl(x):
    return gl.namespace(x).sum(x**2)


def batched_bowl(x):
    return gl.namespace(x).sum(x**2, axis=-1)


def square(x):
    return x**2


def twice(x):
    return 2 * x


def network():
    return nn.TwoLayerNetwork(2, 3, 2, "glorot", seed=0)


def samples(n=12):
    x = np.random.default_rng(0).normal(size=(n, 2))
    return gl.asarray(x.tolist()), gl.asarray((x[:, 0] > 0).astype("int64"))


def doubled(x):
    return x * 2.0


lifted = autodiff.custom_vjp(doubled, lambda x: (x * 2.0, None), lambda saved, g: (g * 2.0,))

# Each call, of a point with three elements, and how often it waits: to warn of an f that ignores
# its argument (numerical.gradient), to check steps, labels and what was kept, and to decide.
CALLS = {
    "numerical.derivative": (lambda x: numerical.derivative(square, x), 0),
    "numerical.gradient": (lambda x: numerical.gradient(bowl, x), 1),
    "numerical.gradient vectorized": (
        lambda x: numerical.gradient(batched_bowl, x, vectorized=True), 1,
    ),
    "numerical.value_and_gradient": (lambda x: numerical.value_and_gradient(bowl, x), 1),
    "numerical.jacobian": (lambda x: numerical.jacobian(square, x), 0),
    "numerical.hessian": (lambda x: numerical.hessian(bowl, x), 0),
    "numerical.jvp": (lambda x: numerical.jvp(square, x, x), 0),
    "numerical.vjp": (lambda x: numerical.vjp(square, x, x), 1),
    "numerical.hvp": (lambda x: numerical.hvp(bowl, x, x), 8),
    "numerical.derivative_and_error": (lambda x: numerical.derivative_and_error(square, x), 0),
    "numerical.gradient_and_error": (lambda x: numerical.gradient_and_error(bowl, x), 0),
    "numerical.estimate_gradient": (
        lambda x: numerical.estimate_gradient(bowl, x, n_samples=4, seed=0), 0,
    ),
    "autodiff.grad": (lambda x: autodiff.grad(bowl)(x), 0),
    "autodiff.value_and_grad": (lambda x: autodiff.value_and_grad(bowl)(x), 0),
    "autodiff.gradient": (lambda x: autodiff.gradient(bowl, x), 0),
    "autodiff.value_and_gradient": (lambda x: autodiff.value_and_gradient(bowl, x), 0),
    "autodiff.jacobian": (lambda x: autodiff.jacobian(square, x), 0),
    "autodiff.hessian": (lambda x: autodiff.hessian(bowl, x), 0),
    "autodiff.jvp": (lambda x: autodiff.jvp(square, x, x), 0),
    "autodiff.vjp": (lambda x: autodiff.vjp(square, x, x), 0),
    "autodiff.hvp": (lambda x: autodiff.hvp(bowl, x, x), 0),
    "autodiff.checkpoint": (lambda x: autodiff.grad(autodiff.checkpoint(bowl))(x), 1),
    "autodiff.custom_vjp": (lambda x: autodiff.grad(lambda x: bowl(lifted(x)))(x), 0),
    "autodiff.stop_gradient": (
        lambda x: autodiff.grad(lambda x: bowl(x * autodiff.stop_gradient(x)))(x), 0,
    ),
    "check_gradient": (lambda x: gl.check_gradient(bowl, twice(x), x), 19),
    "gradient_descent": (lambda x: gl.gradient_descent(bowl, x, 0.1, 20, gtol=1e-9), 15),
    "lbfgs": (lambda x: gl.lbfgs(bowl, x, gradient="autodiff"), 7),
    "optimizers.SGD": (lambda x: step_of(optimizers.SGD(0.1, momentum=0.5), x), 0),
    "optimizers.AdaGrad": (lambda x: step_of(optimizers.AdaGrad(), x), 0),
    "optimizers.RMSprop": (lambda x: step_of(optimizers.RMSprop(), x), 0),
    "optimizers.Adam": (lambda x: step_of(optimizers.Adam(), x), 0),
    "optimizers.AdamW": (lambda x: step_of(optimizers.AdamW(), x), 0),
    "optimizers.clip_norm": (
        lambda x: step_of(optimizers.clip_norm(optimizers.SGD(1.0), 1.0), x), 0,
    ),
    "nn.linear": (lambda x: nn.linear(x, x[:, None] * x, x), 0),
    "nn.sigmoid": (nn.sigmoid, 0),
    "nn.tanh": (nn.tanh, 0),
    "nn.relu": (nn.relu, 0),
    "nn.softmax": (nn.softmax, 0),
    "nn.softmax_cross_entropy": (lambda x: nn.softmax_cross_entropy(x, 1), 1),
    "nn.accuracy": (lambda x: nn.accuracy(x, 1), 1),
    "Network.predict": (lambda x: network().predict(samples()[0]), 0),
    "Network.loss": (lambda x: network().loss(*samples()), 1),
    "Network.accuracy": (lambda x: network().accuracy(*samples()), 1),
    "Network.gradient": (lambda x: network().gradient(*samples()), 1),
    "Network.numerical_gradient": (lambda x: network().numerical_gradient(*samples()), 2),
    "training.fit": (lambda x: training.fit(network(), *samples(), epochs=3, batch_size=2), 4),
    "training.lr_find": (lambda x: training.lr_find(network(), *samples()), 27),
}  # fmt: skip


# Of the host alone, or parts of the above
OTHERS = {"autodiff.primitive", "optimizers.advance_of", "optimizers.lr_of", "training.sweep"}


def step_of(rule, x):
    return rule.step(x, twice(x), rule.init(x))


@pytest.mark.parametrize("name", CALLS)
def test_a_function_waits_for_its_device_no_oftener_than_it_must(name, waits):
    call, expected = CALLS[name]
    with gl.use_backend("array_api_strict:device1"):
        x = gl.asarray(BOWL)
        waits.clear()
        call(x)
    assert len(waits) <= expected


WITHOUT_WAITS = {name: call for name, (call, waits) in CALLS.items() if waits == 0} | {
    "gradient of abs": lambda x: autodiff.gradient(lambda x: bowl(abs(x)), x),
    "Sigmoid.change": lambda x: nn.Sigmoid.change(gl.namespace(x), x, nn.sigmoid(x), x),
    "Tanh.change": lambda x: nn.Tanh.change(gl.namespace(x), x, nn.tanh(x), x),
    "ReLU.change": lambda x: nn.ReLU.change(gl.namespace(x), x, nn.relu(x), x),
}


@pytest.mark.filterwarnings("ignore:cupyx.allow_synchronize")  # it sees copies to the host
@pytest.mark.parametrize("name", WITHOUT_WAITS)
def test_cupy_waits_for_nothing_either(name, cupy):
    """CuPy's own functions may wait, and so may those that array-api-compat puts in their place."""
    import cupyx  # noqa: PLC0415  (where CuPy works)

    with gl.use_backend("cupy"):
        x = gl.asarray(BOWL)
        with cupyx.allow_synchronize(allow=False):
            WITHOUT_WAITS[name](x)


@pytest.mark.parametrize("module", [numerical, autodiff, optimizers, nn, training])
def test_every_public_function_is_in_the_table(module):
    room = module.__name__.partition(".")[2]
    public = {f"{room}.{n}" for n in module.__all__ if inspect.isfunction(getattr(module, n))}
    assert public <= CALLS.keys() | OTHERS
