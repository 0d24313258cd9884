"""A hold: capacity taken out of some hosts over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from haizea.core.model.allocation import Apart, Use
from haizea.core.model.hosts import HostSet, host_set
from haizea.core.model.resources import Capacity, fills

#: So many shapes are remembered.
_MOST_SHAPES: Final = 4096


class Shape(NamedTuple):
    """A use at a glance: its hosts, and what it holds of each, ``None`` where that differs."""

    hosts: HostSet
    same: Capacity | None


def shape_of(use: Use) -> Shape:
    """The shape of ``use``. O(its hosts)."""
    if isinstance(use, Apart):
        return Shape(host_set(use.hosts), use.amount)
    amounts = {amount for _, amount in use}
    same = amounts.pop() if len(amounts) == 1 else None
    return Shape(host_set([host for host, _ in use]), same)


class Shapes:
    """The shapes of uses; leases ask again and again about the same one."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, tuple[Use, Shape]] = {}

    def of(self, use: Use) -> Shape:
        """The shape of ``use``; remembered for when the very same object is asked about."""
        known = self._known.get(id(use))
        if known is not None and known[0] is use:
            return known[1]
        found = shape_of(use)
        if len(self._known) >= _MOST_SHAPES:
            self._known.clear()
        self._known[id(use)] = (use, found)
        return found


class Hold:
    """Capacity taken out of some hosts over ``[start, end)``, for one lease or outage.

    Only the slot table changes a hold. ``owner`` is the lease's id; ``firm`` is false for
    a provisional reservation of a waiting lease. ``same`` is what it holds of each host,
    ``None`` where that differs. ``count`` is how many hosts there are.
    """

    __slots__ = (
        "_amounts",
        "count",
        "end",
        "firm",
        "hosts",
        "owner",
        "same",
        "serial",
        "start",
        "use",
    )

    def __init__(
        self, start: int, end: int, use: Use, shape: Shape, owner: int, firm: bool, serial: int
    ) -> None:
        self.start = start
        self.end = end
        self.use = use
        self.owner = owner
        self.firm = firm
        self.serial = serial
        self.hosts, self.same = shape
        self.count = self.hosts.bit_count()
        self._amounts: dict[int, Capacity] | None = None

    def amount(self, host: int) -> Capacity:
        """What is held on ``host``, one of its hosts."""
        if self.same is not None:
            return self.same
        if self._amounts is None:
            self._amounts = dict(self.use)
        return self._amounts[host]

    def closes(self, capacities: Sequence[Capacity], uniform: Capacity | None) -> HostSet:
        """Its hosts of which it leaves nothing of some resource type.

        Hosts have these ``capacities``, or all the same, ``uniform``.
        """
        if self.same is not None and uniform is not None:
            return self.hosts if fills(self.same, uniform) else 0
        return host_set(host for host, amount in self.use if fills(amount, capacities[host]))
