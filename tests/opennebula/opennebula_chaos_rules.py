"""Rules that hold after a busy hour, however much went wrong in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from opennebula_chaos_people import Asked, People
from opennebula_chaos_world import World

from haizea.core.model.events import OperationStarted, Purpose, StateChanged
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State
from haizea.core.model.records import LeaseRecord
from haizea.sandbox.faults import Chances
from haizea.sandbox.journal import Change
from haizea.store import LeaseQuery
from haizea.wording import in_words

#: So long Haizea may not know what others did: a look at everything, and its way.
_UNAWARE_SECONDS = 45.0
#: After its end, or after Haizea and OpenNebula are both there again, a VM is off so soon,
#: and its files are put away.
_END_SECONDS, _FILES_SECONDS = 10.0, 15.0
#: So soon after Haizea is back, what it missed begins.
_CATCH_UP_SECONDS = 3.0
_WAITING = ("PENDING", "HOLD", "STOPPED", "UNDEPLOYED", "SUSPENDED", "POWEROFF")


def check(world: World, people: People) -> None:
    """Everything that is wrong, in words; raises AssertionError."""
    store = world.open_store()
    leases = store.leases(LeaseQuery(finished=True, limit=10_000))
    told: dict[int, list[StateChanged]] = defaultdict(list)
    events = store.events(0, 1_000_000)
    store.close()
    for event in events:
        if isinstance(event.decision, StateChanged):
            told[event.decision.lease_id].append(event.decision)
    runs: dict[int, list[OperationStarted]] = defaultdict(list)
    for event in events:
        if isinstance(event.decision, OperationStarted):
            runs[event.decision.lease_id].append(event.decision)
    hour = Hour(world, people, leases, dict(told), dict(runs))
    problems = [
        *hour.overloads(),
        *hour.leases_not_over(),
        *hour.vms_without_lease(),
        *hour.vms_not_ended(),
        *hour.silent_failures(),
        *hour.half_groups(),
        *hour.late_reservations(),
        *hour.short_runs(),
        *hour.done_without_running(),
        *hour.past_their_end(),
        *hour.slow_to_catch_up(),
    ]
    assert not problems, "\n".join([f"{len(problems)} problems", *problems[:20]])


class Hour:
    """All that is on record of an hour."""

    def __init__(
        self,
        world: World,
        people: People,
        leases: list[LeaseRecord],
        told: dict[int, list[StateChanged]],
        begun: dict[int, list[OperationStarted]],
    ) -> None:
        self.world = world
        self.people = people
        self.leases = leases
        self.told = told
        self.begun = begun
        self.changes: dict[int, list[Change]] = defaultdict(list)
        for change in world.control.changes():
            self.changes[change.vm].append(change)
        self.of: dict[int, list[LeaseRecord]] = defaultdict(list)
        for lease in leases:
            for name in lease.request.names:
                self.of[int(name)].append(lease)

    def _asked(self, lease: LeaseRecord) -> list[Asked]:
        return [self.people.asked[int(name)] for name in lease.request.names]

    def _excused(self, start: float, end: float) -> bool:
        return any(a <= end and start <= b for a, b, _ in self.world.excuses)

    def _is_quiet(self, lease: LeaseRecord) -> bool:
        """Tell whether nobody else had a hand in it."""
        return not any(asked.touched for asked in self._asked(lease))

    def overloads(self) -> Iterator[str]:
        """Hosts that had too much by Haizea's doing."""
        for found in self.world.control.violations():
            if not found.cause.startswith("oneadmin"):
                continue
            since = found.time - _UNAWARE_SECONDS
            since -= sum(b - a for a, b, _ in self.world.excuses if a <= found.time and since <= b)
            if any(since <= t <= found.time and h == found.host for t, h in self.people.stirred):
                continue
            yield (
                f"{found.time:.1f} host {found.host} {found.kind}: {found.cause} of VM {found.vm}:"
                f" CPU {found.cpu_used_percent}/{found.cpu_percent}"
                f" memory {found.memory_used_kb}/{found.memory_kb}"
            )

    def leases_not_over(self) -> Iterator[str]:
        """Leases that never come to an end."""
        for lease in self.leases:
            if lease.state not in (State.DONE, State.REJECTED, State.FAILED, State.CANCELLED):
                vms = {n: self.world.control.vm(int(n)).state for n in lease.request.names}
                plan = lease.plan
                why = in_words(lease.reason)
                yield f"lease {lease.id} is {lease.state} for ever ({why}): {vms} {plan}"

    def vms_without_lease(self) -> Iterator[str]:
        """VMs that wait, and nobody knows for what."""
        for vm in self.world.control.vms():
            if vm.state != "PENDING" or vm.id not in self.people.asked:
                continue
            if not self.of[vm.id] and not self._said(vm.id) and not self.world.legacy:
                yield f"VM {vm.id} waits without lease or reason: {self.people.asked[vm.id]}"

    def vms_not_ended(self) -> Iterator[str]:
        """VMs that run on though their leases are over."""
        for vm in self.world.control.vms():
            if vm.id not in self.people.asked or vm.state in ("DONE", "FAILED"):
                continue
            asked, leases = self.people.asked[vm.id], self.of[vm.id]
            if asked.touched or not leases:
                continue
            last = leases[-1]
            rests = vm.state in _WAITING
            failed = last.state in (State.REJECTED, State.FAILED)
            if self.world.legacy and vm.is_busy:
                continue  # It hangs, and 1.4 knows no remedy but to delete it.
            if not (failed and rests) and not (last.state is State.CANCELLED and rests):
                why = in_words(last.reason)
                yield f"VM {vm.id} is {vm.state}, its lease {last.id} is {last.state} {why}"

    def silent_failures(self) -> Iterator[str]:
        """Leases that failed, and their VMs do not say why."""
        if self.world.legacy:
            return
        for vm in self.world.control.vms():
            if vm.state == "DONE" or not self.of[vm.id]:
                continue
            last = self.of[vm.id][-1]
            if last.state in (State.FAILED, State.REJECTED, State.CANCELLED):
                said = self._said(vm.id)
                if not said or last.state.value not in self._status(vm.id):
                    yield (
                        f"VM {vm.id} does not say that its lease {last.id} is {last.state}"
                        f" ({in_words(last.reason)}): {said!r} {self._status(vm.id)}"
                    )
                if not last.reason:
                    yield f"lease {last.id} is {last.state} for no reason"

    def _said(self, vm: int) -> str:
        found = self.world.sandbox.cloud.vms[vm].user_template.get("SCHED_MESSAGE", [""])
        return str(found[0])

    def _status(self, vm: int) -> str:
        return str(self.world.sandbox.cloud.vms[vm].user_template.get("HAIZEA_STATUS", ""))

    def half_groups(self) -> Iterator[str]:
        """Groups of which some VMs run for long while others wait."""
        limit = 20.0 if not self.people.stirred else 5 * self.world.timeout_seconds
        for lease in self.leases:
            if len(lease.request.names) < 2 or not self._is_quiet(lease):
                continue
            for start, end in self._half(lease):
                if end - start > limit and not self._excused(start, start + limit):
                    yield (
                        f"lease {lease.id}: VMs {lease.request.names} run in part from"
                        f" {start:.1f} for {end - start:.1f} s"
                    )

    def _half(self, lease: LeaseRecord) -> Iterator[tuple[float, float]]:
        vms = [int(name) for name in lease.request.names]
        state = dict.fromkeys(vms, "PENDING")
        since: float | None = None
        for change in sorted((c for vm in vms for c in self.changes[vm]), key=lambda c: c.time):
            state[change.vm] = change.new
            some = any(s == "RUNNING" for s in state.values())
            rest = any(s in _WAITING or s.endswith("_FAILURE") for s in state.values())
            if some and rest and since is None:
                since = change.time
            elif since is not None and not (some and rest):
                yield since, change.time
                since = None
        if since is not None:
            yield since, self.world.now()

    def late_reservations(self) -> Iterator[str]:
        """Reservations that did not begin when they were to, for no reason."""
        for lease in self.leases:
            start = lease.request.start
            if lease.request.kind is not Kind.AR or start is None or not self._is_quiet(lease):
                continue
            if lease.state in (State.REJECTED, State.CANCELLED):
                continue
            for name in lease.request.names:
                begun = [c.time for c in self.changes[int(name)] if c.old == "PENDING"]
                late = (begun[0] if begun else self.world.now()) - start
                if -1.5 <= late <= 3 or self._has_reason(lease, start, start + late):
                    continue
                yield f"lease {lease.id}: VM {name} began {late:.1f} s after its start at {start}"

    def _has_reason(self, lease: LeaseRecord, start: float, begun: float) -> bool:
        """Tell whether it is on record why it was late."""
        if self._excused(start - 60, begun):
            return True
        return any(
            change.reason and change.new in (State.FAILED, State.SCHEDULED, State.READY)
            for change in self.told.get(lease.id, ())
        )

    def short_runs(self) -> Iterator[str]:
        """Leases that are done although their VMs did not run for as long as was asked for."""
        for lease in self.leases:
            duration = lease.request.duration
            if lease.state is not State.DONE or duration is None or not self._is_quiet(lease):
                continue
            if self._excused(self.told[lease.id][0].time, self.told[lease.id][-1].time):
                continue  # Its time went by while nobody could start it.
            if self.told[lease.id][-1].code == "early-end":
                yield f"lease {lease.id} of {lease.request.names} ended early, by nobody's doing"
                continue
            for name in lease.request.names:
                ran = _seconds_on(self.changes[int(name)])
                if ran < duration - 1.5 - self._slack(lease) - self._lateness(lease, int(name)):
                    yield f"lease {lease.id}: VM {name} was on for {ran:.1f} of {duration} s"
                if ran > duration + 40 and not self.people.stirred:
                    yield f"lease {lease.id}: VM {name} was on for {ran:.1f}, not {duration} s"

    def done_without_running(self) -> Iterator[str]:
        """Leases that are done although one of their VMs never ran."""
        for lease in self.leases:
            if lease.state is not State.DONE or not self._is_quiet(lease):
                continue
            for name in lease.request.names:
                if all(change.new != "RUNNING" for change in self.changes[int(name)]):
                    states = [change.new for change in self.changes[int(name)]]
                    yield f"lease {lease.id} is done, and VM {name} never ran: {states}"

    def past_their_end(self) -> Iterator[str]:
        """VMs that run on though their end came, and Haizea and OpenNebula were both there.

        Only where nothing but absences is in the way: what hangs takes its time.
        """
        if self.world.trouble_before.chances != Chances():
            return
        for lease in self.leases:
            end = self._end(lease)
            if end is None or lease.state is not State.DONE or not self._is_quiet(lease):
                continue
            limit = end + _END_SECONDS
            # Whether that goes on cannot be told where Haizea was away as well.
            files = _FILES_SECONDS + self.world.timeout_seconds
            for since, until in sorted(self.world.absences):
                if since <= limit:
                    limit = max(limit, until + _END_SECONDS)
            for name in lease.request.names:
                changes = self.changes[int(name)]
                ran = [c.time for c in changes if c.old in ("RUNNING", "SHUTDOWN")][-1]
                if ran > limit or changes[-1].time > limit + files:
                    story = [(round(c.time - end, 1), c.new) for c in changes[-6:]]
                    yield (
                        f"lease {lease.id}: VM {name} ended {ran - end:.1f} s after its end, and"
                        f" {limit - end:.1f} are allowed: {story}"
                    )

    def slow_to_catch_up(self) -> Iterator[str]:
        """Reservations that Haizea missed alone, and did not start as soon as it was back."""
        if self.world.trouble_before.chances != Chances():
            return
        others = [(a, b) for a, b, what in self.world.excuses if what != "Haizea was killed"]
        for lease in self.leases:
            if "not at work" not in in_words(lease.late) or not self._is_quiet(lease):
                continue
            start = lease.request.start or 0
            for name in lease.request.names:
                begun = [c for c in self.changes[int(name)] if c.old == "PENDING"]
                back = self._back(start)
                if (
                    not begun
                    or back is None
                    or any(a <= begun[0].time and b >= start - 90 for a, b in others)
                ):
                    continue
                late = begun[0].time - self._cleared(begun[0], back)
                if late > _CATCH_UP_SECONDS:
                    yield f"lease {lease.id}: VM {name} began {late:.1f} s after Haizea was back"

    def _back(self, start: float) -> float | None:
        """The moment when Haizea was back that was away at ``start``, and stayed for a while."""
        back: float | None = None
        for since, until in sorted(self.world.absences):
            missed = since <= start + 1 and until >= start
            # Killed again in the moment in which it was back, it had no time to give a command.
            again = back is not None and back <= since <= back + _CATCH_UP_SECONDS + 1
            if missed or again:
                back = max(back or until, until)
        return back

    def _cleared(self, begun: Change, back: float) -> float:
        """The moment when the last VM that Haizea had missed, too, left the host of this one."""
        left = [
            change.time
            for changes in self.changes.values()
            for before, change in pairwise(changes)
            if before.host == begun.host and change.old.startswith("EPILOG")
        ]
        return max([back, *[time for time in left if back <= time <= begun.time]])

    def _end(self, lease: LeaseRecord) -> float | None:
        """Return when a lease was to end that was never saved."""
        runs = self.begun.get(lease.id, [])
        begins = runs[0].purpose if runs else None
        if lease.request.duration is None or begins not in (Purpose.PREPARE, Purpose.RUN):
            return None
        if all(one.purpose is Purpose.PREPARE for one in runs):
            return None
        if any(one.purpose in (Purpose.SUSPEND, Purpose.RESUME) for one in runs):
            return None
        last = [one for one in runs if one.purpose is Purpose.RUN][-1].time
        start = lease.request.start if lease.request.kind is Kind.AR else self._ran(lease, last)
        assert start is not None, "it has one"
        return float(start + lease.request.duration)

    def _ran(self, lease: LeaseRecord, since: float) -> float:
        """From when on all VMs of a lease ran that was started then; its time counts from there."""
        began = [since]
        for name in lease.request.names:
            changes = self.changes[int(name)]
            began += [c.time for c in changes if c.new == "RUNNING" and c.time >= since][:1]
        return max(began)

    def _lateness(self, lease: LeaseRecord, vm: int) -> float:
        """Return what a reservation, which ends when it was to, may lack for a reason on record."""
        start = lease.request.start
        on = [c.time for c in self.changes[vm] if c.new == "RUNNING"]
        end = self.told[lease.id][-1].time
        if start is None or not self._has_reason(lease, start, end):
            return 0.0
        return (on[-1] if on else end) - start

    def _slack(self, lease: LeaseRecord) -> float:
        """Return the time that a lease may have lost: to a late start, a stop, or a shutdown."""
        return 45.0 if self.people.stirred else 10.0


def _seconds_on(changes: list[Change]) -> float:
    """Return how long a VM was busy or running, all in all."""
    total, since = 0.0, None
    for change in changes:
        is_on = change.new not in (*_WAITING, "DONE", "FAILED")
        if is_on and since is None:
            since = change.time
        elif not is_on and since is not None:
            total += change.time - since
            since = None
    return total
