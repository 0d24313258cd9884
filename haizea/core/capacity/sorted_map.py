"""Values by whole number, and the numbers in order."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class Ordered(Generic[_Value]):
    """A dictionary of which the keys are kept in order: for some thousand of them at most.

    To look a value up and to replace it is O(1). A new key and one that goes are O(log n),
    and move those behind them, which for so few is quicker than any tree.
    """

    __slots__ = ("_values", "keys")

    def __init__(self) -> None:
        #: The keys, smallest first. Not to be changed.
        self.keys: list[int] = []
        self._values: dict[int, _Value] = {}

    def get(self, key: int) -> _Value | None:
        """The value, or ``None``."""
        return self._values.get(key)

    def __getitem__(self, key: int) -> _Value:
        return self._values[key]

    def set(self, key: int, value: _Value) -> None:
        """Put a value there, in the place of what is there."""
        if key not in self._values:
            insort(self.keys, key)
        self._values[key] = value

    def drop(self, key: int) -> None:
        """Let a key go that is there."""
        del self._values[key]
        del self.keys[bisect_left(self.keys, key)]

    def copy(self) -> Ordered[_Value]:
        """An independent copy, of the same values."""
        twin: Ordered[_Value] = Ordered()
        twin.keys = self.keys.copy()
        twin._values = self._values.copy()
        return twin
