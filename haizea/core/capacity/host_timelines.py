"""The holds on each host: exact answers about one host at a time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from haizea.core.capacity.changed_hosts import ChangedHosts
from haizea.core.capacity.hold import Hold
from haizea.core.capacity.host_profile import HostProfile
from haizea.core.capacity.totals import Totals
from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.model.resources import FOREVER, Capacity, add, fits, subtract

#: For so many spans of time what is free on a host is known at once.
_MOST_KNOWN: Final = 32
#: A step function of what is free is made, and kept until holds change, once a host was asked
#: about more often than this: one takes as long to make as two questions to answer without.
_OFTEN: Final = 2
#: Who is there is kept as well, for hosts with so many holds, once more questions than this were
#: asked: that takes as long as ten.
_MANY: Final = 12
_VERY_OFTEN: Final = 8


class Timelines:
    """For every host, its holds that are not over. ``capacities`` is shared with the table.

    A hold is listed on its hosts only when somebody asks about one of them: on sites
    whose hosts are taken whole hardly anybody does.
    """

    __slots__ = (
        "_asked",
        "_changes",
        "_least",
        "_on",
        "_profiles",
        "_unlisted",
        "_unlisted_hosts",
        "capacities",
        "changed",
        "totals",
    )

    def __init__(self, capacities: list[Capacity]) -> None:
        self.capacities = capacities
        self._on: list[list[Hold]] = [[] for _ in capacities]
        self._least: list[dict[tuple[int, int], Capacity]] = [{} for _ in capacities]
        #: When holds start and end, in order, for hosts of which somebody asked that.
        self._changes: dict[int, list[int]] = {}
        self._profiles: dict[int, HostProfile] = {}
        #: Questions about hosts since their holds changed.
        self._asked: dict[int, int] = {}
        self._unlisted: dict[int, Hold] = {}  # by serial number, in order
        self._unlisted_hosts: HostSet = 0
        self.changed = ChangedHosts()
        #: What is free of all hosts together, where somebody asked for it; not on copies.
        self.totals: Totals | None = None

    def on(self, host: int) -> list[Hold]:
        """The holds on a host; do not change it."""
        if self._unlisted_hosts >> host & 1:
            for hold in self._unlisted.values():
                for other in hosts_in(hold.hosts):
                    self._on[other].append(hold)
                    self._forget(other)
                    if (changes := self._changes.get(other)) is not None:
                        insort(changes, hold.start)
                        insort(changes, hold.end)
            self._unlisted.clear()
            self._unlisted_hosts = 0
        return self._on[host]

    def add(self, hold: Hold) -> None:
        """List a hold on its hosts. O(1)."""
        self._unlisted[hold.serial] = hold
        self._unlisted_hosts |= hold.hosts
        if self.changed.is_followed:
            self.changed.note(hold.hosts)
        if self.totals is not None:
            self.totals.take(hold)

    def drop(self, hold: Hold) -> None:
        """List it no more. O(1) if nobody asked about its hosts."""
        if self.changed.is_followed:
            self.changed.note(hold.hosts)
        if self.totals is not None:
            self.totals.give_back(hold)
        if self._unlisted.pop(hold.serial, None) is None:
            for host in hosts_in(hold.hosts):
                self._on[host].remove(hold)
                self._forget(host)
                if (changes := self._changes.get(host)) is not None:
                    del changes[bisect_left(changes, hold.start)]
                    del changes[bisect_left(changes, hold.end)]
        elif not self._unlisted:
            self._unlisted_hosts = 0

    def _forget(self, host: int) -> None:
        """Forget what is free on a host of which the holds change."""
        self._least[host].clear()
        self._profiles.pop(host, None)
        self._asked.pop(host, None)

    def has(self, hold: Hold) -> bool:
        """Tell whether a hold is listed."""
        return hold.serial in self._unlisted or (
            bool(hold.hosts) and hold in self._on[hold.hosts.bit_length() - 1]
        )

    def beside(self, hold: Hold, host: int, now: int) -> Iterator[tuple[Hold, int, int]]:
        """Other holds on the host that are to come, and when they overlap ``hold``. O(holds)."""
        for other in self.on(host):
            if other is not hold and other.start > now:
                start, end = max(other.start, hold.start), min(other.end, hold.end)
                if start < end:
                    yield other, start, end

    def least_free(self, host: int, start: int, end: int) -> Capacity:
        """The capacity free on one host throughout ``[start, end)``.

        O(n log n) for its n holds, and O(log n) when it is asked often before they change.
        """
        holds, profile = self.on(host), self._profiles.get(host)
        if profile is not None:
            return profile.least(start, end)
        if not holds:
            return self.capacities[host]
        known = self._least[host]
        least = known.get((start, end))
        if least is None:
            if self._question(host) > _OFTEN:
                return self._profile(host, holds).least(start, end)
            if len(known) >= _MOST_KNOWN:
                known.clear()
            least = known[start, end] = self._reckon(holds, host, start, end)
        return least

    def least_free_without(self, hold: Hold, host: int, start: int, end: int) -> Capacity:
        """The same as if ``hold`` was not there, which is one of the host's.

        O(n log n) for its n holds, and O(log n) where what is free is known, and ``hold`` starts in
        that time and ends no sooner than it does.
        """
        holds, profile = self.on(host), self._profiles.get(host)
        if profile is None or not start < hold.start < end <= hold.end:
            return self._reckon([h for h in holds if h is not hold], host, start, end)
        then = add(profile.least(hold.start, end), hold.amount(host))
        return tuple(map(min, profile.least(start, hold.start), then))

    def overlapping(self, host: int, start: int, end: int) -> Sequence[Hold]:
        """The holds on a host that are there at some time in ``[start, end)``.

        O(n) for its n holds, and O(log n) beside those found when it is asked often.
        """
        holds = self.on(host)
        if len(holds) >= _MANY and self._question(host) > _VERY_OFTEN:
            return self._profile(host, holds).overlapping(start, end)
        return [h for h in holds if h.start < end and h.end > start]

    def _question(self, host: int) -> int:
        """Count one question more about a host since its holds changed; return how many it is."""
        asked = self._asked[host] = self._asked.get(host, 0) + 1
        return asked

    def _profile(self, host: int, holds: list[Hold]) -> HostProfile:
        profile = self._profiles.get(host)
        if profile is None:
            profile = self._profiles[host] = HostProfile(self.capacities[host], holds, host)
        return profile

    def _reckon(self, holds: list[Hold], host: int, start: int, end: int) -> Capacity:
        total = self.capacities[host]
        about = [h for h in holds if h.start < end and h.end > start and h.start < h.end]
        if not about:
            return total
        if len(about) == 1:
            return subtract(total, about[0].amount(host))
        used = [0] * len(total)
        #: Moments at which holds end (0) and, after that, begin (1).
        changes: list[tuple[int, int, Capacity]] = []
        for hold in about:
            first, last = hold.start, hold.end
            amount = hold.amount(host)
            if first > start:
                changes.append((first, 1, amount))
            else:
                for i, part in enumerate(amount):
                    used[i] += part
            if last < end:
                changes.append((last, 0, amount))
        most = used.copy()
        changes.sort()
        for _, begins, amount in changes:
            for i, part in enumerate(amount):
                used[i] += part if begins else -part
                if used[i] > most[i]:
                    most[i] = used[i]
        return tuple([has - part for has, part in zip(total, most, strict=True)])

    def free_from(self, host: int, amount: Capacity, length: int, start: int, before: int) -> int:
        """The first moment in ``[start, before)`` from which ``amount`` is free for ``length``.

        ``FOREVER`` if there is none.
        """
        if fits(amount, self.least_free(host, start, start + length)):
            return start
        for moment in sorted({h.end for h in self.on(host) if start < h.end < before}):
            if fits(amount, self.least_free(host, moment, moment + length)):
                return moment
        return FOREVER

    def next_change(self, host: int, moment: int) -> int:
        """Return when a hold on the host starts or ends next; ``FOREVER`` if none does.

        O(log n) for its n holds, and O(n log n) when it is asked for the first time.
        """
        holds, changes = self.on(host), self._changes.get(host)
        if changes is None:
            changes = sorted([hold.start for hold in holds] + [hold.end for hold in holds])
            self._changes[host] = changes
        later = bisect_right(changes, moment)
        return changes[later] if later < len(changes) else FOREVER

    def sum_up(self, now: int, holds: Iterable[Hold]) -> Totals:
        """Keep what is free of all hosts together; ``holds`` are all that are not over."""
        self.totals = Totals(self.capacities, now, holds)
        return self.totals

    def fork(self) -> Timelines:
        """An independent copy."""
        twin = Timelines([])
        twin.capacities = self.capacities
        twin._on = [holds.copy() for holds in self._on]
        twin._least = [{} for _ in self._on]
        twin._profiles = self._profiles.copy()
        twin._unlisted = self._unlisted.copy()
        twin._unlisted_hosts = self._unlisted_hosts
        return twin

    def check(self, now: int, free_now: Iterable[Capacity]) -> None:
        """Assert that holds leave so much at present, and never take more than there is."""
        for host, (free, left) in enumerate(zip(self.capacities, free_now, strict=True)):
            for hold in self.on(host):
                assert hold.end > now, "a hold that is over is still listed"
                if hold.start <= now:
                    free = subtract(free, hold.amount(host))
                assert min(self.least_free(host, hold.start, hold.end)) >= 0, "over capacity"
            assert free == left, "free capacity at present"

    def add_host(self) -> None:
        """There is one host more."""
        self._on.append([])
        self._least.append({})
        self.totals = None
