"""Free capacity of all hosts together over time: who finds no room there finds none on hosts.

That there is enough in all does not say that it fits, for it may be scattered over hosts
and over types of resources. So this only tells where to search at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from haizea.core.capacity.availability import Profile
from haizea.core.capacity.hold import Hold
from haizea.core.model.resources import Capacity, fits, scale


class Totals:
    """Free capacity summed over hosts, also those that are shut.

    The amounts of all types stand side by side in one number, each with a bit above that
    it never reaches, so that adding, subtracting and comparing take one step for all types.
    """

    __slots__ = ("_needs", "_places", "_profile", "_sizes", "_sums")

    def __init__(self, capacities: Sequence[Capacity], now: int, holds: Iterable[Hold]) -> None:
        """Sum up what hosts with these capacities have from ``now`` on, beside these holds."""
        self._sums = tuple([sum(amounts) for amounts in zip(*capacities, strict=True)])
        widths = [amount.bit_length() + 1 for amount in self._sums]
        self._places = [0, *accumulate(widths)]
        self._sizes: dict[Capacity, int] = {}
        self._needs: dict[tuple[Capacity, int], int | None] = {}
        below = sum([1 << place - 1 for place in self._places[1:]])
        self._profile = Profile(now, self._packed(self._sums), (), below)
        for hold in holds:
            self.take(hold)

    def take(self, hold: Hold) -> None:
        """There is a hold more. O(its time's steps)."""
        self._change(hold, self._amount(hold))

    def give_back(self, hold: Hold) -> None:
        """There is one less, from the present on. O(its time's steps)."""
        self._change(hold, -self._amount(hold))

    def first(
        self, size: Capacity, count: int, length: int, now: int, start: int, before: int
    ) -> int | None:
        """The first moment from ``start`` on from which so many nodes may have room at all.

        They have it for ``length``, or until ``before`` where that is sooner. ``None`` if there is
        no such moment before ``before``. O(steps until then).
        """
        key = (size, count)
        if key not in self._needs:
            all_fit = fits(scale(size, count), self._sums)
            self._needs[key] = self._packed(size) * count if all_fit else None
        need = self._needs[key]
        if need is None:
            return None
        profile = self._profile
        if profile.begin < now:
            profile.advance(now)
        return profile.earliest(need, length, start, before)

    def _change(self, hold: Hold, amount: int) -> None:
        start = max(hold.start, self._profile.begin)
        if start < hold.end:
            self._profile.take(start, hold.end, amount)

    def _amount(self, hold: Hold) -> int:
        if hold.same is not None:
            return self._packed(hold.same) * hold.count
        return sum([self._packed(amount) for _, amount in hold.use])

    def _packed(self, size: Capacity) -> int:
        packed = self._sizes.get(size)
        if packed is None:
            parts = zip(size, self._places, strict=False)
            packed = self._sizes[size] = sum([amount << place for amount, place in parts])
        return packed
