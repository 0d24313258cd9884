"""With one file system for all, suspensions and resumptions come one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from haizea.checker import formulas
from haizea.checker.records import FOREVER, Capacity, Lease, Records, ReservationSet
from haizea.checker.scratch import Scratch, Spool
from haizea.checker.violation import Rule, Violation


class Exclusion:
    """Fill it with :meth:`add`, then ask :meth:`check`."""

    def __init__(self, records: Records, scratch: Scratch) -> None:
        self._records = records
        # "least" is the soonest end that a span can have been planned to have.
        self._spans = Spool(
            scratch,
            "spans",
            'start, "end", lease, purpose, least',
            'start, "end", lease, purpose',
        )

    def add(self, lease: Lease | None, sets: Iterable[ReservationSet]) -> None:
        """Take in one lease's reservations; ``None``: nothing else is known of it."""
        records = self._records
        if not records.options.global_exclusion:
            return
        spans: dict[tuple[int, int, int, str], dict[int, Capacity]] = {}
        for held in sets:
            if held.purpose in ("suspend", "resume") and held.start < held.end:
                span = (held.start, held.end, held.lease, held.purpose)
                spans.setdefault(span, {}).update(dict.fromkeys(held.hosts, held.capacity))
        for span, use in spans.items():
            start, end, _, purpose = span
            if records.disturbed and lease is not None:
                suspends = purpose == "suspend"
                seconds = formulas.suspend_seconds if suspends else formulas.resume_seconds
                end = min(end, start + seconds(records, lease, use, start).least)
            self._spans.add((*span, end))

    def check(self) -> Iterator[Violation]:
        """With global exclusion no suspensions or resumptions of different leases overlap.

        One that is late may overlap those that were planned by then: what counts is the
        soonest end that it can have been planned to have.
        """
        busy_until, busy_with = -1, FOREVER
        for start, _, lease, _, end in self._spans:
            if start < busy_until and lease != busy_with:
                message = f"its suspension or resumption overlaps that of lease {busy_with}"
                yield Violation(Rule.OPERATIONS, lease, None, start, message)
            if end > busy_until:
                busy_until, busy_with = end, lease
