"""Which traced arrays share memory, as NumPy's views do, and which of them may still be read."""

from __future__ import annotations

from typing import Any

__all__ = ["Alias", "AliasError", "Family"]


class AliasError(RuntimeError):
    """A view, or what it views, was read after the other had been written to."""


class Family:
    """Arrays that share memory; stale once one of them was written to.

    Attributes
    ----------
    is_stale : bool
    written : tuple or None
        The array that was written to, which array it was a view of, and by which key.
    """

    __slots__ = ("is_stale", "written")

    def __init__(self) -> None:
        self.is_stale = False
        self.written: tuple[Any, Any, Any] | None = None


class Alias:
    """Membership of a family: which array this one is a view of, by which key."""

    __slots__ = ("base", "family", "key")

    def __init__(self, family: Family, base: Any = None, key: Any = None) -> None:
        self.family, self.base, self.key = family, base, key

    def check(self) -> None:
        """Raise if a member of the family was written to."""
        if self.family.is_stale:
            msg = (
                "this array shares memory with one that was written to since, as NumPy's views do, "
                "and a traced array cannot follow: write through one name only, such as "
                "`y[0, 1] = v` for `y[0][1] = v`, or take a copy first, xp.asarray(x, copy=True)"
            )
            raise AliasError(msg)
