"""Arguments that the drivers share."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any

__all__ = ["as_count", "as_rate", "as_tolerance"]


def as_tolerance(value: Any, name: str) -> float:
    """`value` as a float, refused where it is no number, negative or not finite."""
    if not (_is_number(value) and 0 <= value < math.inf):
        msg = f"`{name}` must be a non-negative number: got {value!r}"
        raise ValueError(msg)
    return float(value)


def as_rate(value: Any) -> float:
    """`lr` as a float, refused where it is no number, not positive or not finite."""
    if not (_is_number(value) and 0 < value < math.inf):
        cure = "; give a schedule as optimizer=SGD(lr)" if callable(value) else ""
        msg = f"`lr` must be a positive number: got {value!r}{cure}"
        raise ValueError(msg)
    return float(value)


def as_count(value: Any, name: str, *, least: int = 0) -> int:
    """`value` as an int, refused where it is no integer or below `least`."""
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        kind = "positive" if least else "non-negative"
        msg = f"`{name}` must be a {kind} integer: got {value!r}"
        raise ValueError(msg)
    return number


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
