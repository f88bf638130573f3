"""Arguments that the drivers share."""

from __future__ import annotations

import math

__all__ = ["as_count", "as_tolerance"]


def as_tolerance(value: float, name: str) -> float:
    """`value` as a float, refused where it is negative or not finite."""
    if not 0 <= value < math.inf:
        msg = f"`{name}` must be a non-negative number: got {value!r}"
        raise ValueError(msg)
    return float(value)


def as_count(value: int, name: str, *, least: int = 0) -> int:
    """`value`, refused where it is no integer or below `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        kind = "positive" if least else "non-negative"
        msg = f"`{name}` must be a {kind} integer: got {value!r}"
        raise ValueError(msg)
    return value
