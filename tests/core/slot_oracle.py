"""A slot table that counts every second on every host: slow, and obviously right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from haizea.core.capacity.hold import Hold
from haizea.core.model.allocation import Use
from haizea.core.model.hosts import host_set
from haizea.core.model.resources import FOREVER, Capacity

#: Nothing starts, and nothing that has an end ends, after this second.
HORIZON = 14


@dataclass(slots=True)
class Entry:
    """One hold, as the oracle remembers it."""

    start: int
    end: int
    use: dict[int, Capacity]
    firm: bool

    def overlaps(self, start: int, end: int) -> bool:
        return self.start < end and self.end > start

    def covers(self, moment: int) -> bool:
        return self.start <= moment < self.end


@dataclass(slots=True)
class Oracle:
    """Hosts and holds from ``now`` on. Keys of ``entries`` are the real table's holds."""

    now: int
    capacities: list[Capacity]
    shut: set[int] = field(default_factory=set)
    entries: dict[Hold, Entry] = field(default_factory=dict)

    def copy(self) -> Oracle:
        """An independent copy, for a fork."""
        return Oracle(self.now, self.capacities.copy(), self.shut.copy(), self.entries.copy())

    def reserve(self, hold: Hold, start: int, end: int, use: Use, firm: bool) -> None:
        self.entries[hold] = Entry(start, end, dict(use), firm)

    def advance(self, now: int) -> None:
        self.now = now
        self.entries = {hold: e for hold, e in self.entries.items() if e.end > now}

    # --- questions ----------------------------------------------------------------------

    def free(self, host: int, moment: int) -> Capacity:
        left = self.capacities[host]
        for entry in self.entries.values():
            if host in entry.use and entry.covers(moment):
                left = tuple([x - y for x, y in zip(left, entry.use[host], strict=True)])
        return left

    def moments_of(self, start: int, end: int) -> range:
        """The seconds of ``[start, end)`` that differ: all are alike beyond the horizon."""
        return range(start, min(end, max(start, HORIZON) + 1))

    def least_free(self, host: int, start: int, end: int) -> Capacity:
        frees = [self.free(host, t) for t in self.moments_of(start, end)]
        return tuple(min(amounts) for amounts in zip(*frees, strict=True))

    def room(self, size: Capacity, start: int, end: int) -> list[int]:
        """Levels of hosts, without empty ones at the end."""
        return self.rooms([size], start, end)[0]

    def rooms(self, sizes: Sequence[Capacity], start: int, end: int) -> list[list[int]]:
        """The same for each of these sizes."""
        hosts = [host for host in range(len(self.capacities)) if host not in self.shut]
        least = {host: self.least_free(host, start, end) for host in hosts}
        return [_levels(size, least) for size in sizes]

    def earliest(
        self, size: Capacity, count: int, length: int, start: int, before: int
    ) -> int | None:
        for t in range(start, min(before, HORIZON + 1)):
            if sum(level.bit_count() for level in self.room(size, t, t + length)) >= count:
                return t
        return None

    def enough_in_all(
        self, size: Capacity, count: int, length: int, start: int, before: int
    ) -> int | None:
        """The first moment at which all hosts together have as much, up to ``before`` at most."""
        for moment in range(start, before):
            if all(
                sum(amounts) >= count * want
                for second in self.moments_of(moment, min(moment + length, before))
                for want, amounts in zip(size, zip(*self._frees(second), strict=True), strict=True)
            ):
                return moment
        return None

    def _frees(self, second: int) -> list[Capacity]:
        return [self.free(host, second) for host in range(len(self.capacities))]

    def fits_on(self, use: Use, start: int, end: int) -> bool:
        return all(
            want <= have
            for host, amount in use
            for want, have in zip(amount, self.least_free(host, start, end), strict=True)
        )

    def earliest_on(self, use: Use, length: int, start: int, before: int) -> int | None:
        possible = range(start, min(before, HORIZON + 1))
        return next((t for t in possible if self.fits_on(use, t, t + length)), None)

    def held(self, start: int, end: int) -> int:
        return host_set(
            host for e in self.entries.values() if e.overlaps(start, end) for host in e.use
        )

    def next_change(self, host: int, moment: int) -> int:
        on_host = [e for e in self.entries.values() if host in dict(e.use)]
        times = [t for e in on_host for t in (e.start, e.end) if t > moment]
        return min(times, default=FOREVER)

    def firm_starts(self, after: int, before: int) -> list[int]:
        starts = {e.start for e in self.entries.values() if e.firm and e.start > self.now}
        return sorted(s for s in starts if after < s < before)

    def ends(self) -> Iterator[int]:
        return (e.end for e in self.entries.values() if e.end < FOREVER)


def _levels(size: Capacity, least: dict[int, Capacity]) -> list[int]:
    """Levels of the hosts that have so much at least, for a size that asks for something."""
    count = {
        host: min(have // want for want, have in zip(size, free, strict=True) if want)
        for host, free in least.items()
    }
    most = max(count.values(), default=0)
    return [host_set(h for h, c in count.items() if c > m) for m in range(most)]
