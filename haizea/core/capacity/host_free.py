"""Free capacity of each host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.model.resources import Capacity


class Free:
    """An amount for each host.

    Hosts that change alike are written down one by one only when somebody asks about one
    of them: where hosts are taken whole hardly anybody does.
    """

    __slots__ = ("_amounts", "_unwritten")

    def __init__(self, amounts: Iterable[Capacity]) -> None:
        self._amounts = list(amounts)
        # The hosts that have a given amount free, where that is not written down.
        self._unwritten: dict[Capacity, HostSet] = {}

    def change(self, hosts: HostSet, old: Capacity, new: Capacity) -> None:
        """All these hosts go from ``old`` to ``new`` free. O(1) until somebody asks."""
        unwritten = self._unwritten
        if old in unwritten:
            unwritten[old] &= ~hosts
        unwritten[new] = unwritten.get(new, 0) | hosts

    def __getitem__(self, host: int) -> Capacity:
        return self.amounts()[host]

    def __iter__(self) -> Iterator[Capacity]:
        return iter(self.amounts())

    def __len__(self) -> int:
        return len(self._amounts)

    def amounts(self) -> list[Capacity]:
        """The amount on each host, to read and to change at once, not to keep."""
        if self._unwritten:
            amounts = self._amounts
            for amount, hosts in self._unwritten.items():
                for host in hosts_in(hosts):
                    amounts[host] = amount
            self._unwritten.clear()
        return self._amounts
