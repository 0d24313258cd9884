"""A hold: capacity taken out of some hosts over time."""

from __future__ import annotations

from haizea.core.hosts import HostSet, host_set
from haizea.core.resources import Capacity

#: Per host, its index and the capacity that is held there.
Use = tuple[tuple[int, Capacity], ...]


class Hold:
    """Capacity taken out of some hosts over ``[start, end)``, for one lease or outage.

    Only the slot table changes a hold. ``owner`` is the lease's id; ``firm`` is false for
    a provisional reservation of a waiting lease. ``same`` is what it holds of each host,
    ``None`` where that differs.
    """

    __slots__ = ("_amounts", "end", "firm", "hosts", "owner", "same", "serial", "start", "use")

    def __init__(self, start: int, end: int, use: Use, owner: int, firm: bool, serial: int) -> None:
        self.start = start
        self.end = end
        self.use = use
        self.owner = owner
        self.firm = firm
        self.serial = serial
        self.hosts: HostSet = host_set([host for host, _ in use])
        amounts = {amount for _, amount in use}
        self.same: Capacity | None = amounts.pop() if len(amounts) == 1 else None
        self._amounts: dict[int, Capacity] | None = None

    def amount(self, host: int) -> Capacity:
        """What is held on ``host``, one of its hosts."""
        if self._amounts is None:
            self._amounts = dict(self.use)
        return self._amounts[host]
