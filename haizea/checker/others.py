"""Questions that a rule for one lease asks about others, and about what was held."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from haizea.checker.load import ResultsFile
from haizea.checker.load_places import rules_change
from haizea.checker.records import Capacity, ReservationSet, Row, add
from haizea.checker.values import capacity, hosts, number, optional, text

_TABLE = "reservation_sets"


class Asked(NamedTuple):
    """A lease with a start of its own, and when it became known."""

    lease: int
    requested_start: int
    admitted: int


class Others:
    """Looks things up in the results file; makes itself an index of what is asked for."""

    def __init__(self, file: ResultsFile) -> None:
        self._file = file
        self._db: sqlite3.Connection = file.db
        self._by_end = self._by_lease = False

    def ended_at(self, time: int) -> Iterator[Row]:
        """The reservations of leases, host by host, that ended at that moment."""
        if not self._by_end:
            self._db.execute(
                f'CREATE TEMP TABLE ended AS SELECT "end" AS time, rowid AS number FROM {_TABLE}'
                " WHERE lease IS NOT NULL"
            )
            self._db.execute("CREATE INDEX temp.by_end ON ended (time, number)")
            self._by_end = True
        query = (
            f'SELECT lease, purpose, start, "end", hosts, {self._file.amounts[_TABLE]}'
            f" FROM {_TABLE} WHERE rowid IN (SELECT number FROM temp.ended WHERE time = ?)"
        )
        yield from self._rows(query, (time,))

    def held_until(self, time: int) -> Iterator[Row]:
        """Find what leases held, host by host, up to that moment or beyond. O(reservations)."""
        query = (
            f'SELECT lease, purpose, start, "end", hosts, {self._file.amounts[_TABLE]}'
            f' FROM {_TABLE} WHERE lease IS NOT NULL AND start < ? AND "end" >= ?'
        )
        yield from self._rows(query, (time, time))

    def was_given_up_at(self, time: int, lease: int | None = None) -> bool:
        """Tell whether a lease, any or this one, lost then what it was promised. O(states)."""
        query = "SELECT 1 FROM states WHERE time = ? AND state IN ('Cancelled', 'Failed', 'Queued')"
        if lease is None:
            return self._db.execute(query, (time,)).fetchone() is not None
        return self._db.execute(f"{query} AND lease = ?", (time, lease)).fetchone() is not None

    def are_to_come(self, time: int, end: int, lease: int) -> bool:
        """Tell whether leases but this one held hosts at that moment for a start before ``end``.

        They were promised these, and had not begun. O(states).
        """
        query = (
            "SELECT 1 FROM leases AS l JOIN (SELECT lease, sum(state = 'Scheduled') AS promised,"
            " sum(state IN ('Active', 'Done', 'Rejected', 'Cancelled', 'Failed')) AS begun"
            " FROM states WHERE time <= ? GROUP BY lease) AS s ON s.lease = l.lease"
            " WHERE s.promised AND NOT s.begun AND l.kind IN ('ar', 'deadline') AND l.lease != ?"
            " AND (l.requested_start IS NULL OR l.requested_start < ?)"
        )
        return self._db.execute(query, (time, lease, end)).fetchone() is not None

    def _rows(self, query: str, values: tuple[int, ...]) -> Iterator[Row]:
        for row in self._db.execute(query, values):
            start, end = number(row[2], _TABLE), number(row[3], _TABLE)
            purpose, amounts = text(row[1], _TABLE), capacity(row, 5, _TABLE)
            for host in hosts(row[4], _TABLE):
                yield Row(number(row[0], _TABLE), purpose, host, start, end, amounts)

    def rules_change(self, lease: int, time: int) -> bool:
        """Tell whether other hosts will do for the lease from that moment on."""
        return rules_change(self._db, lease, time)

    def image(self, lease: int) -> tuple[str, int]:
        """The image of a lease and its MB."""
        query = "SELECT image, image_mb FROM leases WHERE lease = ?"
        name, size_mb = self._db.execute(query, (lease,)).fetchone() or ("", 0)
        return text(name, "leases"), optional(size_mb, "leases") or 0

    def asked(self, lease: int) -> Asked | None:
        """The lease of this number, if it has a start of its own."""
        if not self._by_lease:
            # In one go: states of one lease are all over their table.
            self._db.execute("CREATE TEMP TABLE asked (lease INTEGER PRIMARY KEY, time)")
            self._db.execute(
                "INSERT INTO temp.asked SELECT lease, time FROM (SELECT lease, time, min(rowid)"
                " FROM states WHERE lease IN (SELECT lease FROM leases"
                " WHERE requested_start IS NOT NULL) GROUP BY lease)"
            )
            self._by_lease = True
        query = (
            "SELECT l.requested_start, l.submitted, a.time FROM leases AS l"
            " LEFT JOIN temp.asked AS a ON a.lease = l.lease WHERE l.lease = ?"
        )
        found = self._db.execute(query, (lease,)).fetchone()
        if found is None or found[0] is None:
            return None
        admitted = found[1] if found[2] is None else found[2]
        return Asked(lease, number(found[0], "leases"), number(admitted, "states"))


def numbers_of(sets: Sequence[ReservationSet]) -> str:
    """The rows of reservations, for :class:`Held`."""
    return ",".join([str(held.number) for held in sets])


class Held:
    """Reads again what leases held, by the rows that say it."""

    def __init__(self, file: ResultsFile) -> None:
        self._db: sqlite3.Connection = file.db
        self._query = f"SELECT hosts, {file.amounts[_TABLE]} FROM {_TABLE} WHERE rowid = ?"

    def sets(self, numbers: str) -> Iterator[tuple[list[int], Capacity]]:
        """Hosts, and what was held on each of them."""
        for row_number in numbers.split(",") if numbers else ():
            row = self._db.execute(self._query, (int(row_number),)).fetchone()
            yield json.loads(row[0]), capacity(row, 1, _TABLE)

    def use(self, numbers: str) -> dict[int, Capacity]:
        """Return the capacity that was held on each host."""
        use: dict[int, Capacity] = {}
        for on, amounts in self.sets(numbers):
            for host in on:
                use[host] = add(use[host], amounts) if host in use else amounts
        return use
