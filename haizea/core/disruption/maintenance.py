"""Maintenance windows: hosts are held over a time, and empty when it starts.

A window is asked for like an advance reservation of whole hosts that may not be others. What
waits is planned around it, what is promised goes elsewhere, what runs is suspended in time or
starts over. All of that is found out first; a window that is refused changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from haizea.core.capacity.what_if import without
from haizea.core.disruption.detours import Detours, detours
from haizea.core.disruption.leaving import Way, ways_out
from haizea.core.disruption.replanning import Repair
from haizea.core.model.hosts import host_set, hosts_in
from haizea.core.model.maintenance import Impact, Leaver, Leaving, Maintenance
from haizea.core.model.policy import Policies
from haizea.core.model.reasons import Code, Reason, because
from haizea.core.model.resources import FOREVER, Capacity
from haizea.core.placement.plan import Lease
from haizea.core.requests.promises import Promises
from haizea.core.requests.rooms import Rooms
from haizea.core.schedule.host_table import OTHERS
from haizea.core.schedule.interruptions import Interruptions
from haizea.core.schedule.schedule import Schedule
from haizea.core.schedule.window_table import Window

#: Handles a lease whose host is gone: the lease, the host, the reason.
Loss = Callable[[Lease, int, Reason], None]


class _Way(NamedTuple):
    """A way to have a window: who leaves how, who stays, how images come; or why it cannot be."""

    way: Way | None
    images: Detours = Detours([], [], [])
    refusal: Reason | None = None

    @property
    def stuck(self) -> list[Lease]:
        """Leases that cannot leave, or whose images can come at no other time, by id."""
        stuck = [] if self.way is None else [*self.way.stuck, *self.images.stuck]
        return sorted(stuck, key=lambda lease: lease.id)


class Windows:
    """Keeps maintenance windows. ``lost``: what becomes of a lease that has to end."""

    def __init__(self, schedule: Schedule, policies: Policies, repair: Repair, lost: Loss) -> None:
        self._schedule = schedule
        self._table = schedule.window_table
        self._repair = repair
        self._promises = Promises(schedule)
        self._rooms = Rooms(schedule, policies, self._promises)
        self._lost = lost

    # --- what is asked ------------------------------------------------------------------

    def ask(self, asked: Maintenance, instead_of: Maintenance | None = None) -> None:
        """Have a window, or another form of one that there is; or say why not."""
        present = self._table.windows.get(asked.id)
        if instead_of is not None and (present is None or present.asked != instead_of):
            self._table.say(asked, "refused", because(Code.CHANGED_MEANWHILE))
            return
        found = self._weighed(asked)
        if found.way is None:
            self._table.say(asked, "refused", found.refusal)
            return
        self._clear(self._table.plan(asked), found)

    def impact(self, asked: Maintenance) -> Impact:
        """Find out what such a window would mean; nothing changes."""
        found = self._weighed(asked)
        way = found.way
        if way is None:
            return Impact(refusal=found.refusal)
        leases = [
            *(
                Leaver(lease_id=clearing.lease.id, how=_how(clearing.suspend_at))
                for clearing in [*way.clearings, *(victim.clearing for victim in way.victims)]
            ),
            *(
                Leaver(lease_id=move.lease.id, how=because(Code.GETS_OTHER_HOSTS))
                for move in way.moves
            ),
            *(
                Leaver(lease_id=x.id, how=because(Code.RESUMPTION_EXPECTED, start=rest.starts))
                for x, rest in way.rests
            ),
            *(
                Leaver(lease_id=lease.id, how=_how(None))
                for lease in found.images.again
                if lease.id not in {victim.clearing.lease.id for victim in way.victims}
            ),
            *(Leaver(lease_id=x.id, how=_stuck(asked.leases), stuck=True) for x in found.stuck),
        ]
        return Impact(leases=tuple(sorted(leases, key=lambda leaver: leaver.lease_id)))

    def end(self, window_id: int) -> None:
        """Give the hosts of a window back now, or forget a window that has not begun."""
        window = self._table.windows.get(window_id)
        if window is not None:
            self._table.end(window)

    def _weighed(self, asked: Maintenance) -> _Way:
        """Find a way to have a window, in the place of what has its id."""
        problem = self._problem(asked)
        if problem is not None:
            return _Way(None, refusal=problem)
        old, now = self._table.windows.get(asked.id), self._schedule.now
        with ExitStack() as otherwise:
            for hold in [] if old is None else [h for h in old.holds if h.end > now]:
                otherwise.enter_context(without(self._schedule.table, hold))
            way = ways_out(
                self._schedule,
                self._promises,
                self._rooms,
                self._sizes(asked.hosts),
                max(asked.start, now),
                FOREVER if asked.end is None else asked.end,
                disturb=asked.leases is not Leaving.STAY,
            )
        found = _Way(way, self._images(asked, way))
        if found.stuck and asked.leases is Leaving.REFUSE:
            return _Way(None, refusal=self._in_the_way(found.stuck, asked))
        return found

    def _images(self, asked: Maintenance, way: Way) -> Detours:
        """Find how images keep off a window, once leases have left."""
        preparation = self._schedule.preparation
        if preparation is None:
            return Detours([], [], [])
        leaving = [*(c.lease for c in way.clearings), *(m.lease for m in way.moves), *way.stuck]
        closures = preparation.closures.with_window(asked)
        return detours(self._schedule, closures, {lease.id for lease in leaving})

    def _problem(self, asked: Maintenance) -> Reason | None:
        schedule = self._schedule
        if asked.end is not None and asked.end <= schedule.now:
            return because(Code.MAINTENANCE_IS_OVER, end=asked.end)
        if asked.end is not None and asked.end <= asked.start:
            return because(Code.ENDS_BEFORE_IT_STARTS, end=asked.end, start=asked.start)
        count = len(schedule.table.capacities)
        if not asked.hosts or not all(0 <= host < count for host in asked.hosts):
            return because(Code.NAMES_NO_HOST)
        for window in self._table.windows.values():
            both = window.hosts & host_set(asked.hosts)
            other = window.asked
            if other.id == asked.id or not both:
                continue
            if asked.start < window.end and (asked.end is None or asked.end > other.start):
                name = schedule.host_table.name(hosts_in(both)[0])
                return because(Code.IN_MAINTENANCE_THEN, host=name, window=other.id)
        return None

    def _in_the_way(self, stuck: Sequence[Lease], asked: Maintenance) -> Reason | None:
        mine, name = host_set(asked.hosts), self._schedule.host_table.name
        told: Reason | None = None
        for lease in stuck:
            hosts = ", ".join(name(host) for host in hosts_in(lease.hold.hosts & mine))
            end = lease.hold.end
            if told is None:
                told = because(Code.IN_THE_WAY, lease=lease.id, hosts=hosts, end=end)
            else:
                told = because(
                    Code.ALSO_IN_THE_WAY, cause=told, lease=lease.id, hosts=hosts, end=end
                )
        return told

    def _sizes(self, hosts: Iterable[int]) -> list[tuple[int, Capacity]]:
        """Return how much of each host leases and windows can have: all but what others use."""
        table = self._schedule.table
        sizes = []
        for host in hosts:
            free = table.capacities[host]
            for hold in table.holds_on(host):
                if hold.owner == OTHERS:
                    used = hold.amount(host)
                    free = tuple([f - u for f, u in zip(free, used, strict=True)])
            sizes.append((host, free))
        return sizes

    # --- making room --------------------------------------------------------------------

    def _clear(self, window: Window, found: _Way) -> None:
        schedule, asked, way = self._schedule, window.asked, found.way
        assert way is not None, "it can be had"
        reason, interruptions = self._reason(window), Interruptions(schedule)
        if schedule.shipping is not None:
            schedule.shipping.retime(found.images.moves)
        interruptions.lift(way.rests)
        for clearing in way.clearings:
            if clearing.lease.started:
                schedule.clear(clearing, reason)
            elif clearing.lease.plan is not None:
                self._repair.displace(clearing.lease, reason, keep_off=window.hosts)
        for clearing, asked_by in way.victims:
            why = because(Code.HOSTS_GO_TO_FROM, lease=asked_by.id, start=asked_by.hold.start)
            schedule.clear(clearing, why)
        self._promises.reroute(way.moves)
        schedule.holdings.move(way.moves, reason)
        self._table.take(window)
        interruptions.go_on(way.rests)
        for lease in found.images.again:
            self._repair.prepare_again(lease, reason)
        if asked.leases is Leaving.END:
            for lease in found.stuck:
                if lease.started:
                    schedule.holdings.drop_rest(lease)
                else:
                    self._repair.displace(lease, reason, keep_off=window.hosts)

    def _reason(self, window: Window) -> Reason:
        asked = window.asked
        first = self._schedule.host_table.name(asked.hosts[0])
        more = len(asked.hosts) - 1
        names = first if not more else f"{first} and {more} more"
        text = asked.reason or "no reason was given"
        return because(Code.MAINTENANCE, hosts=names, start=asked.start, text=text)

    def leave(self) -> None:
        """Plan what was promised hosts in maintenance on others, if there are any now."""
        schedule = self._schedule
        if not schedule.instant.freed:
            return
        for window in self._table.windows.values():
            start, end, reason = window.asked.start, window.end, self._reason(window)
            if not window.partly or window.asked.leases is not Leaving.STAY:
                continue
            holds = [h for x in window.asked.hosts for h in self._repair.planned(x, start, end)]
            if not holds:
                continue
            self._table.step_aside()
            for owner in sorted({hold.owner for hold in holds}):
                lease = schedule.leases[owner]
                if lease.plan is not None:
                    self._repair.leave(lease, reason, disturb=False)
            self._table.settle()

    # --- as time goes on ----------------------------------------------------------------

    def next_time(self) -> int | None:
        """Return when a window begins or ends next."""
        windows = self._table.windows.values()
        if not windows:
            return None
        return min(w.end if w.begun else w.asked.start for w in windows)

    def end_due(self) -> None:
        """Give hosts of windows back that are over by now. To be called once time has passed."""
        for window in [w for w in self._table.windows.values() if w.end <= self._schedule.now]:
            self._table.end(window)

    def keep_images_off(self) -> None:
        """Plan images otherwise that would come to closed hosts after what came late.

        To be called once time has passed.
        """
        schedule = self._schedule
        preparation, shipping = schedule.preparation, schedule.shipping
        if preparation is None or shipping is None or not preparation.closures:
            return
        found = detours(schedule, preparation.closures, begun=False)
        shipping.retime(found.moves)
        for lease in [*found.again, *found.stuck]:
            hosts = preparation.coming(lease.id)
            closed = [w for w in self._table.windows.values() if w.hosts & hosts]
            # One of those before it may have had it planned anew.
            if closed:
                self._repair.prepare_again(lease, self._reason(closed[0]))

    def begin_due(self) -> None:
        """Take hosts out of use by now; to be called once what ends has ended."""
        for window in self._table.windows.values():
            if window.asked.start > self._schedule.now:
                continue
            if not window.in_force:
                self._table.begin(window)
                if window.asked.leases is Leaving.END:
                    self._send_away(window)
            if window.asked.leases is Leaving.STAY:
                # Another form of it lasts until somebody may come who was to after it.
                awaits = [host for host in window.out if self._is_awaited(host, window.end)]
                self._table.take_back(window, awaits)
            hosts = [host for host in window.asked.hosts if host not in window.out]
            empty = [host for host in hosts if not self._is_awaited(host, window.end)]
            self._table.take_out(window, empty)

    def _send_away(self, window: Window) -> None:
        reason = self._reason(window)
        self._table.step_aside()
        for host in window.asked.hosts:
            for lease in self._leases_on(host, self._schedule.now + 1):
                if lease.plan is not None and lease.hold.hosts >> host & 1:
                    self._lost(lease, host, reason)
        preparation = self._schedule.preparation
        for transfer in [] if preparation is None else list(preparation.transfers):
            for lease_id in transfer.waiting if transfer.begun else ():
                if transfer.riders.get(lease_id, 0) & window.hosts:
                    self._repair.prepare_again(self._schedule.leases[lease_id], reason)
        self._table.settle()

    def _is_awaited(self, host: int, end: int) -> bool:
        """Tell whether a host has a lease, or is to have one or an image before ``end``."""
        preparation = self._schedule.preparation
        if preparation is not None and preparation.comes_to(host, end):
            return True
        return bool(self._leases_on(host, end))

    def _leases_on(self, host: int, end: int) -> list[Lease]:
        """The leases that are on a host now, or are to be before ``end``, by id."""
        schedule = self._schedule
        owners = {hold.owner for hold in schedule.table.holds_on(host) if hold.start < end}
        return [schedule.leases[owner] for owner in sorted(owners) if owner in schedule.leases]


def _stuck(leases: Leaving) -> Reason:
    if leases is Leaving.END:
        return because(Code.BEGINS_AGAIN_OR_FAILS)
    return because(Code.STAYS_UNTIL_OVER)


def _how(suspend_at: int | None) -> Reason:
    if suspend_at is None:
        return because(Code.WAITS_OR_STARTS_OVER)
    return because(Code.IS_SUSPENDED, start=suspend_at)
