"""A node of the recorded graph: one step of a computation, and what its pulls need.

A node is a tuple, because nothing in Python is made faster; its fields are named here. There is no
tape: nodes hold their parents, and what is not referred to any more is gone.
"""

from __future__ import annotations

import itertools
from typing import Any

__all__ = [
    "ARGNUMS",
    "DTYPE",
    "LEVEL",
    "OPTIONS",
    "PARENTS",
    "RULE",
    "SAVED",
    "SERIAL",
    "SHAPE",
    "XP",
    "Node",
    "next_serial",
]

Node = tuple[Any, ...]
# serial number, level of the trace, rule, which arguments were traced, their nodes, what the
# pulls need (arguments, then result), options of the call, shape and dtype of the result, and the
# namespace that computed it, or None where no pull asks for it
SERIAL, LEVEL, RULE, ARGNUMS, PARENTS, SAVED, OPTIONS, SHAPE, DTYPE, XP = range(10)

next_serial = itertools.count(1).__next__  # of nodes and levels: later ones are larger
