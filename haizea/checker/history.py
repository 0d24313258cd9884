"""One lease's records put together: the spans of its story and the phases of its work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from haizea.checker.records import FINAL, FOREVER, Capacity, Change, Lease, Records, Row, add

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


class Span(NamedTuple):
    """A state from when it was entered until it was left, and the change that ended it.

    ``after`` is ``None`` for the last state; ``end`` is ``None`` with it.
    """

    state: str
    start: int
    end: int | None
    after: Change | None


class Phase(NamedTuple):
    """Reservations of one purpose at one time. ``odd`` are the rows that differ in time."""

    purpose: str
    start: int
    end: int
    use: Mapping[int, Capacity]
    odd: Sequence[Row]


class History:
    """What the records say of one lease."""

    def __init__(self, records: Records, lease: Lease) -> None:
        self.records = records
        self.lease = lease
        self.rows: Sequence[Row] = records.rows.get(lease.id, ())
        self.story: Sequence[Change] = records.stories.get(lease.id, ())

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
        by_purpose: dict[str, list[Row]] = {}
        for row in self.rows:
            if row.purpose != "transfer":
                by_purpose.setdefault(row.purpose, []).append(row)
        return {
            purpose: [_phase(group) for group in _overlapping(rows)]
            for purpose, rows in by_purpose.items()
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
        """Whether one of its hosts died in the second in which it was over."""
        final = self.final
        if final is None:
            return False
        return any(
            row.end == final.time == change.time and change.status == "down"
            for row in self.rows
            for change in self.records.host_changes.get(row.host, ())
        )

    def goes_on(self, time: int) -> bool:
        """Whether the lease is active before and after that moment, without a break."""
        return any(s.start < time < (s.end or FOREVER) for s in self.in_state("Active"))

    def in_state(self, state: str) -> Iterator[Span]:
        """The spans of a state."""
        return (span for span in self.spans if span.state == state)

    @property
    def admitted(self) -> int:
        """When the lease became known."""
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
        """Whether something went wrong for this lease."""
        return any(change.code in ("failure", "delayed") for change in self.story)


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
    use = phase.use if phase else {}
    return Stretch(start, active, min(ends), ends[1], planned, ran, resumed, use)


#: A lease that held hosts leaves them, or gives up resuming.
_OFF_HOSTS = frozenset({"Suspending", "Suspended-Queued", "Cancelled", "Failed"})


def _overlapping(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows, in order of start and end, in groups that overlap in time.

    Those without duration hold nothing: they are put together only with their like.
    """
    groups: list[list[Row]] = []
    group: list[Row] = []
    moments: dict[int, list[Row]] = {}
    end = -1
    for row in rows:
        if row.start >= row.end:
            if row.start not in moments:
                groups.append(moments.setdefault(row.start, []))
            moments[row.start].append(row)
        elif row.start < end:
            group.append(row)
            end = max(end, row.end)
        else:
            group = [row]
            groups.append(group)
            end = row.end
    return groups


def _phase(rows: list[Row]) -> Phase:
    first = rows[0]
    start, end = first.start, first.end
    if any(row.start != start or row.end != end for row in rows):
        # What most hosts have is taken for right: the first of those there are most of.
        (start, end), _ = Counter((row.start, row.end) for row in rows).most_common(1)[0]
    use: dict[int, Capacity] = {}
    for row in rows:
        use[row.host] = add(use[row.host], row.capacity) if row.host in use else row.capacity
    odd = [row for row in rows if row.start != start or row.end != end]
    return Phase(first.purpose, start, end, use, odd)
