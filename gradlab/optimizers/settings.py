"""Settings of update rules, checked when a rule is made."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

__all__ = ["finite", "not_negative", "part", "parts", "positive", "rate", "set_checked"]


def set_checked(rule: Any, **checks: Callable[[Any, str], Any]) -> None:
    """Replace settings by what their checks give: Python numbers; NumPy's would widen float32."""
    for name, check in checks.items():
        object.__setattr__(rule, name, check(getattr(rule, name), name))


def rate(value: Any, name: str) -> float | Callable[[int], float]:
    """A learning rate: a positive number, or a function of the step."""
    if callable(value):
        return value  # type: ignore[no-any-return]
    lr = finite(value, f"`{name}` must be a positive finite number or a function")
    if lr == 0:
        msg = f"`{name}` must be positive: got 0"
        raise ValueError(msg)
    return lr


def positive(value: Any, name: str) -> float:
    """A positive finite number."""
    number = finite(value, f"`{name}` must be a positive finite number")
    if number == 0:
        msg = f"`{name}` must be positive: got 0"
        raise ValueError(msg)
    return number


def not_negative(value: Any, name: str) -> float:
    """A finite number, 0 or above."""
    return finite(value, f"`{name}` must be a finite number that is not negative")


def part(value: Any, name: str) -> float:
    """A number in [0, 1)."""
    number = finite(value, f"`{name}` must be a number in [0, 1)")
    if number >= 1:
        msg = f"`{name}` must be a number in [0, 1): got {value!r}"
        raise ValueError(msg)
    return number


def parts(value: Any, name: str) -> tuple[float, float]:
    """Two numbers in [0, 1)."""
    if not (isinstance(value, tuple | list) and len(value) == 2):  # noqa: PLR2004
        msg = f"`{name}` must be two numbers in [0, 1): got {value!r}"
        raise ValueError(msg)
    first, second = (part(one, f"{name}[{k}]") for k, one in enumerate(value))
    return first, second


def finite(value: Any, rule: str) -> float:
    """A finite number, 0 or above; else ValueError with `rule`, what is asked for."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and 0 <= value < math.inf):
        msg = f"{rule}: got {value!r}"
        raise ValueError(msg)
    return float(value)
