"""Descent without derivatives: a function of 1000 variables, two evaluations a direction."""

import gradlab as gl


def main() -> None:
    """Descend a quadratic by random estimates of its gradient."""
    xp, n = gl.namespace(), 1000
    like = gl.asarray([1.0] * n)
    scale = 1.0 + xp.astype(xp.arange(n, device=like.device), like.dtype) / n

    def f(x: gl.backend.Array) -> gl.backend.Array:
        return xp.sum(scale * (x - 1.0) ** 2, axis=-1) / 2

    rng = gl.backend.random.Generator(seed=0)

    def estimate(x: gl.backend.Array) -> gl.backend.Array:
        return gl.numerical.estimate_gradient(f, x, n_samples=100, seed=rng, vectorized=True)

    start = xp.zeros_like(like)
    result = gl.gradient_descent(f, start, lr=0.05, step_num=300, gradient=estimate)
    print(f"from {float(f(start)):.1f} to {float(result.fun):.1e} in {result.nit} steps")
    print(f"of {2 * 100 + 1} evaluations each; a central difference takes {2 * n}")


if __name__ == "__main__":
    main()
