"""The error of a numerical derivative against its step, in float64 and float32.

Too large a step truncates the Taylor series, too small a one leaves nothing but round-off;
in between lies the step that gradlab takes by itself.
"""

import math

import gradlab as gl

POINT = 1.0  # exp is its own derivative there: the truth is e


def main() -> None:
    """Print the table, then a gradient and its value."""
    dtypes = ["float64", "float32"]
    dtypes = dtypes[dtypes.index(gl.get_backend().dtype) :]  # a device may lack float64
    print("relative error of d/dx exp(x) at 1, central difference")
    print("step   " + "".join(f"{dtype:>10}" for dtype in dtypes))
    for exponent in range(-13, 0, 2):
        errors = [error(dtype, 10.0**exponent) for dtype in dtypes]
        print(f"1e{exponent:<+5d}" + "".join(f"{e:10.1e}" for e in errors))
    errors = [error(dtype, None) for dtype in dtypes]
    print("gradlab" + "".join(f"{e:10.1e}" for e in errors))

    xp = gl.namespace()
    x = gl.asarray([3.0, 4.0])
    value, slope = gl.numerical.value_and_gradient(lambda x: xp.sum(x * x), x)
    print(f"x0**2 + x1**2 at (3, 4): {float(value):.1f}, gradient {gl.to_numpy(slope).round(2)}")


def error(dtype: str, step: float | None) -> float:
    """Relative error of the derivative in `dtype`, nan where the step is too small to be taken."""
    xp = gl.namespace()
    x = gl.asarray(POINT, dtype)
    try:
        slope = gl.numerical_diff(xp.exp, x, step=step)
    except ValueError:  # x + step == x
        return math.nan
    return abs(float(slope) - math.e) / math.e


if __name__ == "__main__":
    main()
