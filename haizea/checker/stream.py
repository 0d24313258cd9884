"""Reads the leases of a results file one after another, each with all that is said of it.

SQLite sorts the tables, on disk where they are large; only one lease is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from json import loads
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

from haizea.checker.changes import read_changes
from haizea.checker.history import History
from haizea.checker.load import ResultsFile
from haizea.checker.load_places import read_host_rules, read_node_hosts, read_seconds
from haizea.checker.records import (
    Capacity,
    Change,
    Lease,
    NodeSet,
    ReservationSet,
)
from haizea.checker.values import (
    LARGEST_NUMBER,
    UnreadableResults,
    capacity,
    hosts,
    number,
    optional,
    text,
)

_LEASE_COLUMNS = (
    "lease, kind, state, nodes, submitted, requested_start, duration, ended, reason,"
    " preemptible, image, image_mb"
)

Item = TypeVar("Item")


class Stranger(NamedTuple):
    """Rows of a lease that the file does not know."""

    lease: int
    sets: Sequence[ReservationSet]
    story: Sequence[Change]


class _Groups(Generic[Item]):
    """Items of leases, in order of lease, taken lease by lease."""

    def __init__(self, rows: Iterable[tuple[int, Item]]) -> None:
        self._groups = groupby(rows, key=_LEASE)
        self._of: Iterator[tuple[int, Item]] = iter(())
        #: The lease that is next; more than any lease at the end.
        self.lease = 0
        self._go_on()

    def take(self, lease: int) -> list[Item]:
        """Return what there is of the lease, which is the next or comes before it."""
        if self.lease != lease:
            return []
        found = [item for _, item in self._of]
        self._go_on()
        return found

    def skip_to(self, lease: int) -> None:
        """Pass over what is of leases before this one."""
        while self.lease < lease:
            self._go_on()

    def _go_on(self) -> None:
        self.lease, self._of = next(self._groups, (LARGEST_NUMBER + 1, iter(())))


#: The types of the values of a change, as all but all have them.
_CHANGE = [int, str, str, str, str]

_LEASE: Callable[[tuple[int, Any]], int] = itemgetter(0)


def leases(file: ResultsFile) -> Iterator[History | Stranger]:
    """All leases in order of their numbers, strangers among them.

    Raises :class:`~haizea.checker.values.UnreadableResults`.
    """
    known = _Groups(_leases(file))
    node_sets = _Groups(_node_sets(file))
    sets = _Groups(_reservations(file))
    stories = _Groups(_stories(file))
    host_rules = _Groups(read_host_rules(file.db))
    node_hosts = _Groups(read_node_hosts(file.db, "node_hosts"))
    planned_hosts = _Groups(read_node_hosts(file.db, "planned_hosts"))
    preparation = _Groups(read_seconds(file.db, "preparation"))
    shutdown = _Groups(read_seconds(file.db, "shutdown"))
    changes = _Groups(read_changes(file.db))
    tables = (node_sets, host_rules, node_hosts, planned_hosts, preparation, changes, shutdown)
    while (lease_id := min(known.lease, sets.lease, stories.lease)) <= LARGEST_NUMBER:
        rows = known.take(lease_id)
        held, story = sets.take(lease_id), stories.take(lease_id)
        if not rows:
            yield Stranger(lease_id, held, story)
            continue
        for others in tables:
            others.skip_to(lease_id)
        lease = _lease(rows[-1], node_sets.take(lease_id))
        rules, places = host_rules.take(lease_id), node_hosts.take(lease_id)
        plans, leads = planned_hosts.take(lease_id), preparation.take(lease_id)
        altered, ends = changes.take(lease_id), shutdown.take(lease_id)
        yield History(file.records, lease, held, story, rules, places, plans, leads, altered, ends)
    for others in tables:
        others.skip_to(LARGEST_NUMBER + 1)


def _leases(file: ResultsFile) -> Iterator[tuple[int, Sequence[Any]]]:
    # Results of earlier versions have no windows, and do not say whose hosts were fixed.
    known = _columns_of(file, "leases")
    newer = [n if n in known else "NULL" for n in ("after", "deadline", "fixed_hosts")]
    columns = ", ".join([_LEASE_COLUMNS, *newer])
    for row in file.db.execute(f"SELECT {columns} FROM leases ORDER BY lease"):
        yield number(row[0], "leases"), row


def _columns_of(file: ResultsFile, table: str) -> set[str]:
    return {row[1] for row in file.db.execute(f"PRAGMA table_info({table})")}


def _node_sets(file: ResultsFile) -> Iterator[tuple[int, NodeSet]]:
    table = "node_sets"
    query = f"SELECT lease, count, {file.amounts[table]} FROM {table} ORDER BY lease, position"
    for row in file.db.execute(query):
        yield number(row[0], table), NodeSet(number(row[1], table), capacity(row, 2, table))


def _reservations(file: ResultsFile) -> Iterator[tuple[int, ReservationSet]]:
    table = "reservation_sets"
    query = (
        f'SELECT lease, purpose, start, "end", hosts, rowid, {file.amounts[table]}'
        f' FROM {table} WHERE lease IS NOT NULL ORDER BY lease, start, "end", rowid'
    )
    for row in file.db.execute(query):
        lease, purpose = number(row[0], table), text(row[1], table)
        start, end = number(row[2], table), number(row[3], table)
        on = hosts(row[4], table)
        amounts = capacity(row, 6, table)
        if on:
            yield lease, ReservationSet(lease, purpose, start, end, on, amounts, row[5])


def reservations_in_time(file: ResultsFile) -> Iterator[ReservationSet]:
    """The reservations of leases in order of start, and of lease.

    Their values were tested when they were read lease by lease.
    """
    table = "reservation_sets"
    query = (
        f'SELECT lease, purpose, start, "end", hosts, rowid, {file.amounts[table]}'
        f' FROM {table} WHERE lease IS NOT NULL ORDER BY start, lease, "end", rowid'
    )
    for lease, purpose, start, end, on, row_number, *amounts in file.db.execute(query):
        held = tuple([amount or 0 for amount in amounts])
        yield ReservationSet(lease, purpose or "", start, end, loads(on), held, row_number)


def _stories(file: ResultsFile) -> Iterator[tuple[int, Change]]:
    table = "states"
    parameters = "reason_parameters"
    if parameters not in _columns_of(file, table):
        parameters = "''"
    query = (
        f"SELECT lease, time, state, reason, code, {parameters} FROM {table} ORDER BY lease, rowid"
    )
    for lease, *values in file.db.execute(query):
        if list(map(type, values)) != _CHANGE or values[0] < 0 or values[0] > LARGEST_NUMBER:
            time, *texts = values
            values = [number(time, table), *[text(value, table) for value in texts]]
        yield number(lease, table), Change._make(values)


def _lease(row: Sequence[Any], node_sets: Iterable[NodeSet]) -> Lease:
    table = "leases"
    lease_id = number(row[0], table)
    where = f"table leases, lease {lease_id}"
    sets: dict[Capacity, int] = {}
    for node_set in node_sets:
        sets[node_set.capacity] = sets.get(node_set.capacity, 0) + node_set.count
    if not sets or any(count <= 0 for count in sets.values()):
        raise UnreadableResults(f"{where}: table node_sets does not say which nodes it asks for")
    lease = Lease(
        id=lease_id,
        kind=text(row[1], table),
        state=text(row[2], table),
        nodes=number(row[3], table),
        submitted=number(row[4], table),
        requested_start=optional(row[5], table),
        duration=optional(row[6], table),
        ended=optional(row[7], table),
        reason=text(row[8], table),
        preemptible=bool(optional(row[9], table)),
        image=text(row[10], table),
        image_mb=optional(row[11], table) or 0,
        node_sets=tuple([NodeSet(count, amounts) for amounts, count in sets.items()]),
        after=optional(row[12], table),
        deadline=optional(row[13], table),
        fixed_hosts=bool(optional(row[14], table)),
    )
    if lease.kind not in ("ar", "best-effort", "immediate", "deadline"):
        raise UnreadableResults(f"{where}: there is no kind {lease.kind!r}")
    if lease.kind == "ar" and lease.requested_start is None:
        raise UnreadableResults(f"{where}: an AR has a requested_start")
    if lease.kind == "deadline" and (lease.deadline is None or lease.duration is None):
        raise UnreadableResults(f"{where}: a deadline lease has a deadline and a duration")
    if lease.nodes != sum(sets.values()):
        raise UnreadableResults(
            f"{where}: it asks for {lease.nodes} nodes, its node sets for {sum(sets.values())}"
        )
    return lease
