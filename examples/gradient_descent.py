"""Gradient descent and its learning rate: what is too small, right, too large, and how it shows."""

import gradlab as gl


def bowl(x: gl.backend.Array) -> gl.backend.Array:
    """Return x0**2 + x1**2: its minimum is 0, at the origin."""
    return x[0] ** 2 + x[1] ** 2


def main() -> None:
    """Descend from (-3, 4) at several learning rates."""
    for lr in (1e-10, 0.01, 0.1, 1.0, 10.0):
        result = gl.gradient_descent(bowl, gl.asarray([-3.0, 4.0]), lr=lr, step_num=100)
        x0, x1 = gl.to_numpy(result.x)
        print(
            f"lr {lr:<6g} {result.status:12s} x = ({x0:.3g}, {x1:.3g})  f = {float(result.fun):.3g}"
        )
        print(f"          {result.message}")


if __name__ == "__main__":
    main()
