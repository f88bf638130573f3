"""One program, timed on every backend that works here: nothing in `work` names a library."""

import gradlab as gl


def work(n: int = 200) -> gl.backend.Array:
    """Gradient of a smooth function of n variables, computed on the selected backend."""
    xp = gl.namespace()
    x = xp.linspace(0.0, 1.0, n, device=gl.asarray(0.0).device)
    return gl.numerical_gradient(lambda x: xp.sum(xp.sin(x) ** 2, axis=-1), x, vectorized=True)


def main() -> None:
    """Run `work` on each backend; the first call, which may compile, is not timed."""
    print(f"selected: {gl.get_backend()}")
    for spec in ("numpy", "cupy", "array_api_strict"):
        try:
            with gl.use_backend(spec) as backend:
                work()
                with gl.backend.Timer() as timer:
                    slope = work()
        except gl.backend.BackendError as error:
            print(f"{spec:18s}{error}")
        else:
            last = float(gl.to_numpy(slope)[-1])
            print(f"{backend!s:28s}{timer.seconds * 1e3:8.2f} ms   last element {last:.6f}")


if __name__ == "__main__":
    main()
