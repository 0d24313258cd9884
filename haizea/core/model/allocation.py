"""Amounts that are held of hosts, per host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import overload

from haizea.core.model.resources import Capacity

#: Per host, its index and the capacity that is held there.
Use = Sequence[tuple[int, Capacity]]


class Apart(Sequence[tuple[int, Capacity]]):
    """The same amount of each of some hosts.

    It reads like the tuple of pairs that it stands for, and equals it; the pairs are made
    when somebody asks for them, which on large leases hardly anybody does.
    """

    __slots__ = ("_pairs", "amount", "hosts")

    def __init__(self, hosts: tuple[int, ...], amount: Capacity) -> None:
        self.hosts = hosts
        self.amount = amount
        self._pairs: tuple[tuple[int, Capacity], ...] | None = None

    def _all(self) -> tuple[tuple[int, Capacity], ...]:
        if self._pairs is None:
            self._pairs = tuple(zip(self.hosts, repeat(self.amount)))
        return self._pairs

    def __len__(self) -> int:
        return len(self.hosts)

    def __iter__(self) -> Iterator[tuple[int, Capacity]]:
        return zip(self.hosts, repeat(self.amount))

    @overload
    def __getitem__(self, index: int) -> tuple[int, Capacity]: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[tuple[int, Capacity], ...]: ...

    def __getitem__(
        self, index: int | slice
    ) -> tuple[int, Capacity] | tuple[tuple[int, Capacity], ...]:
        return self._all()[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Apart):
            return self.hosts == other.hosts and (not self.hosts or self.amount == other.amount)
        return self._all() == other

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())
