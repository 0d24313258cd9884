"""The slot table: every host's free capacity as a step function of time.

The present and the future are kept apart, because nearly every question is about the
present: "what fits from now on, for so long?". Holds that have started are taken out of
``free`` at once, and since they can only end, what is free of them now stays free. Holds
that start later are in :class:`~haizea.core.capacity.upcoming.Future`; only hosts that they touch
within the window asked about need a closer look. So starting or ending a lease costs
O(its hosts), however many others are running.

All intervals are half-open. ``check()`` asserts every invariant.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from haizea.core.capacity.ahead import Ahead
from haizea.core.capacity.beside import contested
from haizea.core.capacity.entering import Entering
from haizea.core.capacity.fit_index import EqualNodes, Levels
from haizea.core.capacity.hold import Hold, Shape, shape_of
from haizea.core.capacity.host_timelines import Timelines
from haizea.core.capacity.known_room import KnownRoom
from haizea.core.capacity.next_changes import NextChanges
from haizea.core.capacity.openings import Openings, Spans
from haizea.core.capacity.room_search import RoomSearch
from haizea.core.capacity.running import Present
from haizea.core.capacity.totals import Totals
from haizea.core.capacity.upcoming import Future
from haizea.core.model.allocation import Use
from haizea.core.model.hosts import EVERYWHERE, Host, HostSet, hosts_in
from haizea.core.model.resources import FOREVER, Capacity, common, fits


class SlotTable:
    """Free capacity of hosts over time, from ``now`` on."""

    def __init__(self, hosts: Iterable[Host], now: int) -> None:
        self.now = now
        self.capacities: list[Capacity] = [h.capacity for h in hosts]
        #: The capacity that every host has; ``None`` where hosts differ.
        self.uniform_capacity = common(self.capacities)
        self._timelines = Timelines(self.capacities)
        self._present = Present(self.capacities, self._timelines, self.uniform_capacity)
        self._known_room = KnownRoom(self._timelines, self._present.indexes, now)
        self._next_changes = NextChanges(self._present, self._timelines)
        self._ahead = Ahead()
        self._future = Future()
        self._search = RoomSearch(self._present, self._ahead, self._future, self._timelines)
        self._entering = Entering(self._future, self._timelines, self.capacities)
        self._serial = 0
        #: Hosts that take nothing new.
        self.shut: HostSet = 0
        #: What was given back, for whoever listens.
        self.openings = Openings()

    @property
    def up(self) -> HostSet:
        """The hosts that take what is new."""
        return ((1 << len(self.capacities)) - 1) & ~self.shut

    # --- changes ----------------------------------------------------------------------

    def advance(self, now: int) -> None:
        """Let time pass: holds end, holds start. O(hosts of those that do)."""
        self.now = now
        while (ends := self._present.ends) and ends[0][0] <= now:
            ended = ends.pop(0)[2]
            self._timelines.drop(ended)
            self._present.give_back(ended)
        while self._ahead.ends and (hold := self._ahead.pop_started(now)) is not None:
            self._entering.leave(hold, self.now)
            if hold.end > now:
                self._present.take(hold)
            else:
                self._timelines.drop(hold)
        self._future.advance(now)

    def reserve(
        self,
        start: int,
        end: int,
        use: Use,
        owner: int,
        *,
        firm: bool = True,
        shape: Shape | None = None,
    ) -> Hold:
        """Take ``use`` (of ``shape``) out over ``[start, end)``; the caller knows that it fits."""
        assert max(start, self.now) <= end, (self.now, start, end)
        self._serial += 1
        hold = Hold(start, end, use, shape or shape_of(use), owner, firm, self._serial)
        self.restore(hold)
        return hold

    def release(self, hold: Hold) -> None:
        """Free from now on what ``hold`` still has. Releasing it again changes nothing."""
        if not self._timelines.has(hold):
            return
        self.withdraw(hold)
        hold.end = max(hold.start, min(hold.end, self.now))

    def change_end(self, hold: Hold, end: int) -> None:
        """Let ``hold`` end at another moment; where that is later, the caller knows it fits."""
        assert end >= self.now, (self.now, end)
        self.withdraw(hold)
        hold.end = end
        self.restore(hold)

    def move(self, moves: Sequence[tuple[Hold, int, Use, Shape]]) -> list[Hold]:
        """Have holds that have not begun start then and hold this, all at once; it fits."""
        moved: list[Hold] = []
        changed: HostSet = 0
        with self._entering.at_once():
            for hold, *_ in moves:
                self.withdraw(hold)
            for old, start, use, shape in moves:
                end = start + old.end - old.start
                new = self.reserve(start, end, use, old.owner, firm=old.firm, shape=shape)
                moved.append(new)
                stays = old.start == start and old.same is not None and old.same == new.same
                changed |= old.hosts ^ new.hosts if stays else old.hosts | new.hosts
        if changed:
            both = [*moved, *(hold for hold, *_ in moves)]
            span = min(hold.start for hold in both), max(hold.end for hold in both)
            self._entering.renew(changed, self.now, span)
        return moved

    def restore(self, hold: Hold) -> None:
        """Put a hold that was withdrawn back as it was."""
        self._timelines.add(hold)
        if hold.start <= self.now:
            self._present.take(hold)
        else:
            self._ahead.add(hold)
            self._entering.enter(hold, self.uniform_capacity)

    def withdraw(self, hold: Hold) -> None:
        """Take a hold out, keeping its times, so that :meth:`restore` can put it back."""
        heard = self.openings.heard
        if heard is not None and hold.end > self.now:
            heard.append((max(hold.start, self.now), hold.end, hold.hosts))
        if hold.start <= self.now:
            ends = self._present.ends
            i = bisect_left(ends, (hold.end, hold.serial))
            assert ends[i][2] is hold, "a hold of this table"
            del ends[i]
            self._timelines.drop(hold)
            self._present.give_back(hold)
        else:
            self._ahead.remove(hold)
            self._entering.leave(hold, self.now)
            self._timelines.drop(hold)

    def add_host(self, host: Host) -> None:
        """The site has a new host, with the next index."""
        assert host.id == len(self.capacities), host
        self.capacities.append(host.capacity)
        self.uniform_capacity = common(self.capacities)
        self.openings.add(self.now, FOREVER, 1 << host.id)
        self._timelines.add_host()
        self._present.add_host(host.capacity, self.uniform_capacity)
        self._known_room.clear()

    def close(self, hosts: HostSet) -> None:
        """These hosts take nothing new from now on."""
        self.shut |= hosts

    def open(self, hosts: HostSet) -> None:
        """These hosts take what is new again."""
        if reopened := self.shut & hosts:
            self.shut ^= reopened
            self.openings.add(self.now, FOREVER, reopened)

    # --- questions --------------------------------------------------------------------

    def room(self, size: Capacity, start: int, end: int, allowed: HostSet = EVERYWHERE) -> Levels:
        """Hosts with room for copies of ``size`` throughout ``[start, end)``; do not change it.

        Of those ``allowed``, and not those that are shut. O(1) for a start at present where
        no future hold is in the way.
        """
        if start <= self.now and not self._ahead.ends:
            levels = self._present.indexes.of(size).levels
        else:
            levels = self._room(size, start, end)
        keep = allowed & ~self.shut
        return levels if keep == EVERYWHERE else [hosts & keep for hosts in levels]

    def glance(self, size: Capacity, start: int, end: int) -> tuple[HostSet, HostSet]:
        """Hosts with room for ``size`` throughout, and others that may have some.

        No host is looked at by itself.
        """
        levels, future = self._search.about(size, start, end, self.now)
        unsure = contested(levels[0], size, future, self.uniform_capacity)
        return levels[0] & ~future[0] & ~self.shut, unsure & ~self.shut

    def moments(
        self,
        demand: EqualNodes,
        length: int,
        start: int,
        before: int = FOREVER,
        spans: Spans | None = None,
        without: Hold | None = None,
    ) -> Iterator[tuple[int, Levels]]:
        """Moments in ``[start, before)`` from which equal nodes fit for ``length``, in order.

        With the room there is then; do not change it, nor the table while iterating. Only
        ``start`` and moments at which some hold ends are looked at: the first moment is
        always among them. Where there are ``spans``, a moment counts only if the time from
        it on overlaps one of them. A hold that has not started, and starts no sooner than
        ``before``, may be left ``without``. O(holds that end before it).
        """
        keep, starts = demand.allowed & ~self.shut, (max(start, self.now), before)
        return self._search.moments(demand, keep, length, starts, spans, without)

    def least_free(self, host: int, start: int, end: int) -> Capacity:
        """Return what is free on one host throughout ``[start, end)``; 0 or more of each type."""
        return self._timelines.least_free(host, start, end)

    def free_now(self, host: int) -> Capacity:
        """Return what is free on one host at present."""
        return self._present.free[host]

    def fits_on(self, use: Use, start: int, end: int, shape: Shape | None = None) -> bool:
        """Tell whether exactly ``use`` (of ``shape``) is free on its hosts throughout."""
        hosts, same = shape or shape_of(use)
        if same is None:
            return all(fits(amount, self.least_free(host, start, end)) for host, amount in use)
        return not self._without_room(same, hosts, start, end)

    def earliest_on(self, use: Use, length: int, start: int, before: int = FOREVER) -> int | None:
        """The first moment in ``[start, before)`` from which ``use`` is free for ``length``."""
        hosts, same = shape_of(use)
        amounts, free_from = dict(use), self._timelines.free_from
        moment = start
        while moment < before:
            late = hosts
            if same is not None:
                late = self._without_room(same, hosts, moment, moment + length)
                late &= -late  # one host that is in the way says enough for now
            later = max(
                (free_from(host, amounts[host], length, moment, before) for host in hosts_in(late)),
                default=moment,
            )
            if later == moment:
                return moment
            moment = later
        return None

    def moments_on(self, use: Use, length: int, start: int, before: int = FOREVER) -> Iterator[int]:
        """Moments in ``[start, before)`` from which ``use`` is free for ``length``, in order.

        Only ``start`` and moments at which some hold ends are looked at.
        """
        moment: int | None = start
        while moment is not None and moment < before:
            moment = self.earliest_on(use, length, moment, before)
            if moment is not None:
                yield moment
                moment = self._search.next_end(moment)

    def firm_starts(self, after: int, before: int) -> list[int]:
        """Return when firm holds start in ``(after, before)``, in order: where holes may end."""
        return self._ahead.firm_starts(after, before)

    @property
    def has_future(self) -> bool:
        """True if any hold has not started."""
        return bool(self._ahead.ends)

    @property
    def has_firm_future(self) -> bool:
        """True if any firm hold has not started."""
        return self._ahead.has_firm

    def candidate_starts(self, start: int, before: int = FOREVER) -> Iterator[int]:
        """``start`` and every moment until ``before`` when something comes free, in order."""
        ends = {*self._ahead.ends, *(end for end, _, _ in self._present.ends)}
        if start < before:
            yield start
        yield from sorted(e for e in ends if start < e < before)

    def holds_between(self, start: int, end: int) -> list[Hold]:
        """Every hold that overlaps ``[start, end)``: those that have started, then the others."""
        return self._search.holds_between(start, end)

    def holds_on(self, host: int) -> Sequence[Hold]:
        """The holds on one host that are not over."""
        return self._timelines.on(host)

    def holds_over(self, host: int, start: int, end: int) -> Sequence[Hold]:
        """The holds on one host that are there at some time in ``[start, end)``."""
        return self._timelines.overlapping(host, start, end)

    def totals(self) -> Totals:
        """Free capacity of all hosts together; kept up to date until :meth:`forget_totals`."""
        known = self._timelines.totals
        if known is None:
            held = self.holds_between(self.now, FOREVER)
            known = self._timelines.sum_up(self.now, held)
        return known

    def forget_totals(self) -> None:
        """Nobody asks for them any more."""
        self._timelines.totals = None

    def by_holds(self, hosts: HostSet) -> Iterable[HostSet]:
        """``hosts`` split by how many holds they have at present, fewest first."""
        return self._present.by_holds(hosts)

    def by_next_change(self, hosts: HostSet) -> Iterable[HostSet]:
        """``hosts`` split by when what is free on them changes next, latest first."""
        touched = self._future.until(FOREVER, hosts)[0]
        return self._next_changes.split(hosts, touched, self.now)

    def by_next_start(self, hosts: HostSet, moment: int) -> Iterator[HostSet]:
        """``hosts`` split by when a hold begins there next, latest first, from a moment to come."""
        return self._future.by_next_start(hosts, moment)

    def next_change(self, host: int, moment: int) -> int:
        """Return when free capacity on the host next changes after ``moment``, or ``FOREVER``."""
        return self._timelines.next_change(host, moment)

    def held(self, start: int, end: int, among: HostSet) -> HostSet:
        """Hosts ``among`` these with a hold in ``[start, end)``. O(1) from the present on."""
        if start <= self.now:
            return among & (self._present.held[0] | self._future.until(end, among)[0])
        ends = self._present.ends
        idle = among & ~self._future.touched(start, end, among)
        for i in range(bisect_right(ends, (start, FOREVER)), len(ends)):
            if not (idle := idle & ~ends[i][2].hosts):
                break
        return among & ~idle

    def keeping_off(self, hosts: HostSet) -> SlotTable:
        """The same table to one who is not to have ``hosts`` either, until it changes. O(1)."""
        view = SlotTable((), self.now)
        view.capacities, view.uniform_capacity = self.capacities, self.uniform_capacity
        view._timelines, view._present = self._timelines, self._present
        view._known_room, view._next_changes = self._known_room, self._next_changes
        view._ahead, view._future, view._entering = self._ahead, self._future, self._entering
        view._search, view._serial = self._search, self._serial
        view.shut = self.shut | hosts
        return view

    def fork(self) -> SlotTable:
        """A copy to plan on: changes to it do not show here. O(hosts + holds).

        Holds themselves are shared: on a fork, use only :meth:`withdraw` and :meth:`reserve`.
        """
        twin = SlotTable((), self.now)
        twin.capacities = self.capacities
        twin.uniform_capacity = self.uniform_capacity
        twin._timelines = self._timelines.fork()
        twin._present = self._present.fork(twin._timelines)
        twin._known_room = KnownRoom(twin._timelines, twin._present.indexes, self.now)
        twin._next_changes = NextChanges(twin._present, twin._timelines)
        twin._ahead = self._ahead.fork()
        twin._future = self._future.fork()
        twin._search = RoomSearch(twin._present, twin._ahead, twin._future, twin._timelines)
        twin._entering = Entering(twin._future, twin._timelines, twin.capacities)
        twin._serial = self._serial
        twin.shut = self.shut
        return twin

    def check(self) -> None:
        """Assert every invariant. O(everything)."""
        self._timelines.check(self.now, self._present.free)
        self._present.check(self.now)
        for hold in self._ahead:
            assert hold.start > self.now, "a hold that has started is listed as ahead"
        self._entering.check(self._ahead, self.uniform_capacity)

    # --- inside -----------------------------------------------------------------------

    def _without_room(self, size: Capacity, hosts: HostSet, start: int, end: int) -> HostSet:
        """Some of these hosts on which there is no room for a size throughout; none if all do."""
        full, unsure = self._search.without_room(size, hosts, start, end, self.now)
        return unsure & ~self._room(size, start, end)[0] if unsure else full

    def _room(self, size: Capacity, start: int, end: int) -> Levels:
        shared = size != self.uniform_capacity
        room = self._known_room.find(size, start, end, self.now) if shared else None
        if room is None:
            levels, future = self._search.about(size, start, end, self.now)
            looks = (levels[0] & future[0]).bit_count()
            room = self._search.beside(levels, size, (start, end), future)
            if shared and (room is not levels or start > self.now):
                self._known_room.keep(size, start, end, room, looks)
        return room
