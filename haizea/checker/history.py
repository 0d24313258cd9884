"""One lease's records put together: the spans of its story and the phases of its work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from haizea.checker.formulas import Range, shutdown_range
from haizea.checker.records import (
    FINAL,
    FOREVER,
    Capacity,
    Change,
    HostRules,
    Lease,
    NodeHosts,
    Records,
    ReservationSet,
    Row,
    Terms,
    TermsChange,
    add,
    times,
)

#: What a lease does in a state, by the purposes of the reservations.
PURPOSES = {
    "Active": ("run", "shutdown"),
    "Suspending": ("suspend",),
    "Resuming": ("resume",),
    "Migrating": ("migrate",),
}

#: States in which a lease waits for its hosts.
WAITING = frozenset(
    {
        "Pending",
        "Queued",
        "Scheduled",
        "Suspended-Pending",
        "Suspended-Queued",
        "Suspended-Scheduled",
    }
)

#: States in which nothing is kept of it, so that its nodes may become others.
_NOT_BEGUN = frozenset({"Pending", "Queued", "Scheduled"})


class Span(NamedTuple):
    """A state from when it was entered until it was left, and the change that ended it.

    ``after`` is ``None`` for the last state; ``end`` is ``None`` with it.
    """

    state: str
    start: int
    end: int | None
    after: Change | None


class Phase(NamedTuple):
    """Reservations of one purpose at one time, made of ``sets``; what is held in ``total``.

    ``odd`` are the rows that differ in time.
    """

    purpose: str
    start: int
    end: int
    use: Mapping[int, Capacity]
    odd: Sequence[Row]
    sets: Sequence[ReservationSet]
    total: Capacity


class History:
    """The records of one lease.

    ``sets`` are its reservations in order of start and end, ``story`` its states as they
    were written; ``host_rules`` and ``node_hosts`` those of a lease that may not run
    everywhere, ``planned_hosts`` those that it was given in place of others before it
    began, in order of time; ``preparation`` has when its VMs were planned to take how many
    seconds to start, and ``shutdown`` to shut down; ``changes`` what it was to be from when on,
    if anybody wanted it changed.
    """

    def __init__(
        self,
        records: Records,
        lease: Lease,
        sets: Sequence[ReservationSet],
        story: Sequence[Change],
        host_rules: Sequence[HostRules] = (),
        node_hosts: Sequence[NodeHosts] = (),
        planned_hosts: Sequence[NodeHosts] = (),
        preparation: Sequence[tuple[int, int]] = (),
        changes: Sequence[TermsChange] = (),
        shutdown: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.records = records
        self.lease = lease
        self.sets = sets
        self.story = story
        self.host_rules = host_rules
        self.node_hosts = node_hosts
        self.planned_hosts = planned_hosts
        self.preparation = preparation
        self.changes = changes
        self.shutdown = shutdown

    def terms_about(self, time: int) -> list[Terms]:
        """Return what the lease was to be just before a moment, and what it became then."""
        before = [change.terms for change in self.changes if change.time < time]
        then = [change.terms for change in self.changes if change.time == time]
        return [*before[-1:], *then] or [self.lease.terms]

    def was_preemptible(self, time: int) -> bool:
        """Tell whether the lease was preemptible just before that moment, or became it then."""
        return any(terms.preemptible for terms in self.terms_about(time))

    def node_counts(self, time: int) -> set[int]:
        """Return how many nodes it has at that moment: two figures where it changes then."""
        return {terms.nodes for terms in self.terms_about(time)}

    def shutdown_seconds(self, left: int) -> Range:
        """To shut it down as part of what is left of it, as it may have been planned."""
        learned = [seconds for _, seconds in self.shutdown]
        return shutdown_range(self.records.options, self.lease.nodes, left, learned)

    @cached_property
    def sized_since(self) -> int:
        """Since when its nodes are those that it has now; before, they may have been others.

        One whose VMs failed waits anew, and may be changed then. The size of nodes before a change
        is not on record.
        """
        waits = [span for span in self.spans if span.state in _NOT_BEGUN]
        return max(
            (
                change.time
                for change in self.changes
                if change.status == "granted"
                and any(s.start <= change.time <= (s.end or change.time) for s in waits)
            ),
            default=0,
        )

    def of_its_size(self, purpose: str) -> Iterator[Phase]:
        """Select the phases of a purpose for the nodes that it has now."""
        return (p for p in self.phases.get(purpose, ()) if p.start >= self.sized_since)

    @property
    def rows(self) -> Iterator[Row]:
        """Its reservations host by host."""
        for held in self.sets:
            yield from held.rows()

    @cached_property
    def spans(self) -> list[Span]:
        """The states in order."""
        story = self.story
        spans = [
            Span(change.state, change.time, after.time, after) for change, after in pairwise(story)
        ]
        if story:
            spans.append(Span(story[-1].state, story[-1].time, None, None))
        return spans

    @cached_property
    def phases(self) -> Mapping[str, list[Phase]]:
        """The work in order of time, by purpose; transfers are not put together."""
        by_purpose: dict[str, list[ReservationSet]] = {}
        for held in self.sets:
            if held.purpose != "transfer":
                by_purpose.setdefault(held.purpose, []).append(held)
        return {
            purpose: [_phase(group) for group in _overlapping(sets)]
            for purpose, sets in by_purpose.items()
        }

    def phase(self, purpose: str, start: int) -> Phase | None:
        """The phase of this purpose that starts then; one that takes time, if there are two."""
        return self._by_start.get((purpose, start))

    @cached_property
    def _by_start(self) -> Mapping[tuple[str, int], Phase]:
        return {
            (purpose, phase.start): phase
            for purpose, phases in self.phases.items()
            for phase in sorted(phases, key=lambda p: p.end)
        }

    @cached_property
    def stretches(self) -> list[Stretch]:
        """The stays of the lease on hosts, in order."""
        return _stretches(self)

    @cached_property
    def lost_its_host(self) -> bool:
        """Tell whether one of its hosts died in the second in which it was over.

        Or was taken out of use then, while the lease was being shut down there.
        """
        final, records = self.final, self.records
        changes = records.host_changes
        if final is None or not (changes or records.outages):
            return False
        last = [held for held in self.sets if held.end == final.time]
        shut = {host for held in last if held.purpose == "shutdown" for host in held.hosts}
        return any(
            change.time == final.time and change.status == "down"
            for held in last
            for host in held.hosts
            for change in changes.get(host, ())
        ) or any(row.start == final.time and row.host in shut for row in records.outages)

    def goes_on(self, time: int) -> bool:
        """Tell whether the lease is active before and after that moment, without a break."""
        return any(s.start < time < (s.end or FOREVER) for s in self.in_state("Active"))

    def in_state(self, state: str) -> Iterator[Span]:
        """The spans of a state."""
        return (span for span in self.spans if span.state == state)

    @property
    def admitted(self) -> int:
        """Return when the lease became known."""
        return self.story[0].time if self.story else self.lease.submitted

    @cached_property
    def _places(self) -> list[tuple[int, int]]:
        places = [(-1, self.lease.submitted)]
        before = ""
        for change in self.story:
            if change.state == "Suspended-Pending":
                places.append((change.time, change.time))
            elif change.state == "Queued" and before == "Active":
                places.append((change.time, self.lease.submitted))
            before = change.state
        return places

    def place(self, time: int) -> int:
        """Since when the lease waits, or waited, by the place in the queue it had then.

        It has the place of its submission, also when it starts over; but when it was
        suspended, that of the moment since which it was.
        """
        return next(since for begun, since in reversed(self._places) if begun <= time)

    def waits_since(self, time: int) -> int:
        """The last moment up to ``time`` at which the lease began to wait."""
        begun = next(begun for begun, _ in reversed(self._places) if begun <= time)
        return max(begun, self.admitted)

    @property
    def final(self) -> Change | None:
        """The change to the state it ended in."""
        return self.story[-1] if self.story and self.story[-1].state in FINAL else None

    @property
    def failed(self) -> bool:
        """Tell whether something went wrong for this lease."""
        return any(change.code in ("failure", "delayed", "set-aside") for change in self.story)


class Stretch(NamedTuple):
    """One stay of a lease on its hosts.

    ``start`` is when it first held them, ``active`` when it ran (``None``: not yet),
    ``stopped`` when it stopped running, ``end`` when it left. ``planned_end`` is when it
    would have left by the duration requested. ``ran`` is how long it had run before,
    ``resumed`` whether it went on.
    """

    start: int
    active: int | None
    stopped: int
    end: int
    planned_end: int
    ran: int
    resumed: bool
    use: Mapping[int, Capacity]
    sets: Sequence[ReservationSet]


def _stretches(history: History) -> list[Stretch]:
    result: list[Stretch] = []
    ran = 0
    start: int | None = None
    active: int | None = None
    resumed = False
    stopped = FOREVER
    for span in history.spans:
        end = FOREVER if span.end is None else span.end
        closed = False
        if span.state in ("Migrating", "Resuming", "Active"):
            start = span.start if start is None else start
            resumed = resumed or span.state != "Active"
            if span.state == "Active":
                active, stopped = span.start, end
                closed = span.after is None or span.after.state != "Suspending"
        elif start is not None and span.state in _OFF_HOSTS:
            closed = True
            end = end if span.state == "Suspending" else span.start
        if closed and start is not None:
            result.append(_stretch(history, start, active, (stopped, end), ran, resumed))
            suspended = span.state == "Suspending" and active is not None
            ran = ran + span.start - (active or 0) if suspended else 0
            start, active, resumed, stopped = None, None, False, FOREVER
    if start is not None:
        result.append(_stretch(history, start, active, (stopped, FOREVER), ran, resumed))
    return result


def _stretch(
    history: History,
    start: int,
    active: int | None,
    ends: tuple[int, int],
    ran: int,
    resumed: bool,
) -> Stretch:
    if history.lease.length >= FOREVER or active is None:
        planned = FOREVER
    else:
        planned = active + history.lease.length - ran
    phase = history.phase("run", active) if active is not None else None
    if phase is None and active is not None:
        phase = history.phase("shutdown", active)
    use, sets = (phase.use, phase.sets) if phase else ({}, ())
    return Stretch(start, active, min(ends), ends[1], planned, ran, resumed, use, sets)


#: A lease that held hosts leaves them, or gives up resuming.
_OFF_HOSTS = frozenset({"Suspending", "Suspended-Queued", "Cancelled", "Failed"})


def _overlapping(sets: Iterable[ReservationSet]) -> list[list[ReservationSet]]:
    """Reservations, in order of start and end, in groups that overlap in time.

    Those without duration hold nothing: they are put together only with their like.
    """
    groups: list[list[ReservationSet]] = []
    group: list[ReservationSet] = []
    moments: dict[int, list[ReservationSet]] = {}
    end = -1
    for held in sets:
        if held.start >= held.end:
            if held.start not in moments:
                groups.append(moments.setdefault(held.start, []))
            moments[held.start].append(held)
        elif held.start < end:
            group.append(held)
            end = max(end, held.end)
        else:
            group = [held]
            groups.append(group)
            end = held.end
    return groups


def _phase(sets: list[ReservationSet]) -> Phase:
    first = sets[0]
    start, end = first.start, first.end
    odd: list[Row] = []
    if any(held.start != start or held.end != end for held in sets):
        # What most hosts have is taken for right: the first of those there are most of.
        votes: Counter[tuple[int, int]] = Counter()
        for held in sets:
            votes[held.start, held.end] += len(held.hosts)
        (start, end), _ = votes.most_common(1)[0]
        for held in sets:
            if held.start != start or held.end != end:
                odd += held.rows()
    use: dict[int, Capacity] = {}
    total: Capacity = (0,) * len(first.capacity)
    for held in sets:
        total = add(total, times(held.capacity, len(held.hosts)))
        alike = dict.fromkeys(held.hosts, held.capacity)
        if len(alike) == len(held.hosts) and use.keys().isdisjoint(alike):
            use.update(alike)
        else:
            for host in held.hosts:
                use[host] = add(use[host], held.capacity) if host in use else held.capacity
    return Phase(first.purpose, start, end, use, odd, sets, total)
