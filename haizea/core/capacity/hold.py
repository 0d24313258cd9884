"""A hold: capacity taken out of some hosts over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from haizea.core.model.allocation import Apart, Use
from haizea.core.model.hosts import HostSet, host_set
from haizea.core.model.resources import Capacity, fills


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
        """Return the amount that is held on ``host``, one of its hosts."""
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
