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
    parts : list of tuple
        Of everything written to, which array it was a view of, and by which key.
    """

    __slots__ = ("is_stale", "parts", "written")

    def __init__(self) -> None:
        self.is_stale = False
        self.written: tuple[Any, Any, Any] | None = None
        self.parts: list[tuple[Any, Any]] = []

    def write(self, array: Any, base: Any, key: Any) -> None:
        """Note that `array` was written to, what it was a view of, and by which key."""
        self.is_stale, self.written = True, (array, base, key)
        self.parts.append((base, key))

    def spoil(self) -> None:
        """Note that any member may be written to from now on, unseen."""
        self.parts.append((None, None))


class Alias:
    """Membership of a family: which array this one is a view of, by which key.

    What is a view of a read-only array is read-only, too.
    """

    __slots__ = ("base", "family", "is_read_only", "key")

    def __init__(self, family: Family, base: Any = None, key: Any = None) -> None:
        self.family, self.base, self.key = family, base, key
        self.is_read_only: bool = base is not None and base._alias.is_read_only

    def check(self) -> None:
        """Raise if a member of the family was written to."""
        if self.family.is_stale and not all(self._is_apart(*part) for part in self.family.parts):
            msg = (
                "this array shares memory with one that was written to since, as NumPy's views do, "
                "and a traced array cannot follow: write through one name only, such as "
                "`y[0, 1] = v` for `y[0][1] = v` and `s = s + v` for `s += v` of a 0-d array, or "
                "take a copy first, xp.asarray(x, copy=True)"
            )
            raise AliasError(msg)

    def _is_apart(self, base: Any, key: Any) -> bool:
        """Whether this is of one row of `base`, and `key` of another."""
        alias: Alias | None = self
        while alias is not None and alias.base is not None:
            if alias.base is base:
                row, other = _row(alias.key), _row(key)
                if row is not None and other is not None and row != other:
                    return (row < 0) == (other < 0)  # -1 may be any row
            alias = alias.base._alias
        return False


def _row(key: Any) -> int | None:
    """First index of a key, if it is a whole number."""
    first = key[0] if type(key) is tuple and key else key
    return first if type(first) is int else None
