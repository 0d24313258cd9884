"""Capacities as single numbers, so that those of many hosts are compared fast."""

from __future__ import annotations

from haizea.checker.records import Capacity

#: Bits of an amount: sums of as many of the largest as a file can have stay below the last.
_BITS = 88
_SIGN = 1 << (_BITS - 1)
_AMOUNT = (1 << _BITS) - 1


class Packing:
    """Capacities of so many types, each amount in some bits of one number.

    Packed capacities are added, subtracted and multiplied as numbers are. What is left of
    one is compared with nothing by adding :attr:`guard` to it: its bits are all there if,
    and only if, no amount is below 0.
    """

    def __init__(self, types: int) -> None:
        self._shifts = [i * _BITS for i in range(types)]
        self.guard = sum(_SIGN << shift for shift in self._shifts)
        self._packed: dict[Capacity, int] = {}

    def pack(self, capacity: Capacity) -> int:
        """The capacity as one number."""
        packed = self._packed.get(capacity)
        if packed is None:
            if len(self._packed) > 10_000:
                self._packed.clear()
            packed = sum(a << s for a, s in zip(capacity, self._shifts, strict=True))
            self._packed[capacity] = packed
        return packed

    def left(self, guarded: int) -> Capacity:
        """The amounts of something to which :attr:`guard` was added; they may be below 0."""
        return tuple([(guarded >> shift & _AMOUNT) - _SIGN for shift in self._shifts])
