"""The textbook's mini-batch loop: a two-layer network learns digits by numerical gradients."""

import sys

import numpy as np

import gradlab as gl


def main(iters_num: int = 200) -> None:
    """Train for `iters_num` mini-batches, then test."""
    batch_size, learning_rate = 50, 1.0
    rng = np.random.default_rng(0)
    xp = gl.namespace()
    (x_train, t_train), (x_test, t_test) = gl.data.load_digits()
    network = gl.TwoLayerNetwork(
        64, hidden_size=10, output_size=10, weight_init_std="glorot", seed=0
    )

    for i in range(iters_num):
        batch_mask = gl.asarray(rng.choice(x_train.shape[0], batch_size))
        x_batch = xp.take(x_train, batch_mask, axis=0)
        t_batch = xp.take(t_train, batch_mask, axis=0)

        grad = network.numerical_gradient(x_batch, t_batch)
        for key in ("W1", "b1", "W2", "b2"):
            network.params[key] -= learning_rate * grad[key]

        if i % 20 == 0:
            print(f"step {i:3d}  loss {float(network.loss(x_batch, t_batch)):.3f}")
    print(f"test accuracy {float(network.accuracy(x_test, t_test)):.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
