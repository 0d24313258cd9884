"""Questions to a store: which leases, which events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from haizea.core.model.events import (
    Decision,
    HostChanged,
    MaintenanceChanged,
    OperationEnded,
    Purpose,
)
from haizea.core.model.records import LeaseRecord
from haizea.service_types import Event, LeaseQuery
from haizea.store.codec import read_decision, read_lease
from haizea.store.errors import CodecError
from haizea.store.schema import events, keys, leases
from haizea.store.turns import RequestKey, text, texts

#: Finds the record of a lease that is at hand, and need not be read from its document.
Known = Callable[[int], LeaseRecord | None]

#: No answer has more rows than this, whatever was asked.
MOST_ROWS = 10_000
#: But of what leases did: a picture of a past week of a large site has all of it.
MOST_OPERATIONS = 30_000

#: What :mod:`haizea.store.codec` writes of an operation that is a run.
_RUNS = f'"purpose":"{Purpose.RUN}"'


def lease(connection: sa.Connection, lease_id: int) -> LeaseRecord | None:
    """The lease with this id, if it is known."""
    select = sa.select(leases.c.document).where(leases.c.id == lease_id)
    found = connection.execute(select).scalar()
    return None if found is None else read_lease(found)


def find_leases(
    connection: sa.Connection, query: LeaseQuery, known: Known = lambda lease_id: None
) -> list[LeaseRecord]:
    """One page of the leases that ``query`` asks for; those that are ``known`` are not read."""
    order = leases.c.id.desc() if query.newest_first else leases.c.id
    select = _filtered(sa.select(leases.c.id, leases.c.document), query).order_by(order)
    after, limit, found = query.after, _rows(query.limit), list[LeaseRecord]()
    while len(found) < limit:
        wanted = limit - len(found)
        page = select.limit(wanted)
        if after is not None:
            page = page.where(leases.c.id < after if query.newest_first else leases.c.id > after)
        rows = connection.execute(page).all()
        records, unreadable = _read(rows, known, query)
        found += records
        # Those that cannot be read are passed over, and others come in their place.
        if not unreadable or len(rows) < wanted:
            break
        after = rows[-1].id
    return found


def live_leases(connection: sa.Connection) -> tuple[list[LeaseRecord], dict[int, str]]:
    """Every lease that is not over, by id; and why those that cannot be read cannot be."""
    select = sa.select(leases.c.id, leases.c.document).where(leases.c.is_over == 0)
    return _read(connection.execute(select.order_by(leases.c.id)).all())


def _read(
    rows: Iterable[Any],
    known: Known = lambda lease_id: None,
    query: LeaseQuery | None = None,
) -> tuple[list[LeaseRecord], dict[int, str]]:
    records, unreadable = list[LeaseRecord](), dict[int, str]()
    states = None if query is None else query.states
    for row in rows:
        record = known(row.id)
        # One that came into another state since it was kept would not be what was asked for.
        if record is None or not (states is None or record.state in states):
            try:
                record = read_lease(row.document)
            except CodecError as error:
                unreadable[row.id] = str(error)
                continue
        records.append(record)
    return records, unreadable


def count_leases(connection: sa.Connection, query: LeaseQuery) -> int:
    """Return the number of leases that ``query`` asks for, on all its pages."""
    select = _filtered(sa.select(sa.func.count()).select_from(leases), query)
    return int(connection.execute(select).scalar_one())


def find_events(
    connection: sa.Connection,
    after: int,
    limit: int,
    lease_id: int | None = None,
    owner: str | None = None,
) -> list[Event]:
    """The events after the one with the id ``after``, oldest first."""
    select = sa.select(events).where(events.c.id > after).order_by(events.c.id)
    if lease_id is not None:
        select = select.where(events.c.lease == lease_id)
    if owner is not None:
        select = select.where(events.c.owner == text(owner))
    return _events(connection, select.limit(_rows(limit)))


def _events(connection: sa.Connection, select: sa.Select[Any]) -> list[Event]:
    return [
        Event(
            id=row.id,
            time=row.time,
            lease_id=row.lease,
            owner=row.owner,
            decision=read_decision(row.kind, row.document),
        )
        for row in connection.execute(select)
    ]


def operations(
    connection: sa.Connection, start: int, end: int, limit: int, owner: str | None = None
) -> list[Event]:
    """List what leases did at some time in ``[start, end)`` and is over, in order of its end."""
    select = sa.select(events).where(events.c.kind == "OperationEnded", events.c.time > start)
    if owner is not None:
        select = select.where(events.c.owner == text(owner))
    select = select.order_by(events.c.time, events.c.id).limit(min(limit, MOST_OPERATIONS))
    return [found for found in _events(connection, select) if _begun(found.decision) < end]


def first_runs(connection: sa.Connection, lease_ids: Sequence[int]) -> dict[int, int]:
    """Return when each of these leases first ran; those that never did are left out."""
    select = (
        sa.select(events.c.lease, sa.func.min(events.c.time).label("first"))
        .where(events.c.lease.in_(lease_ids), events.c.kind == "OperationStarted")
        .where(events.c.document.contains(_RUNS, autoescape=True))
        .group_by(events.c.lease)
    )
    return {row.lease: row.first for row in connection.execute(select)}


def labels(connection: sa.Connection, lease_ids: Collection[int]) -> dict[int, str]:
    """The labels of these leases, as far as they are known."""
    return texts(connection, leases.c.label, lease_ids)


def _begun(decision: Decision) -> int:
    assert isinstance(decision, OperationEnded), decision
    return decision.start


def decisions_after(connection: sa.Connection, event: int) -> list[Decision]:
    """All decisions after the event with this id that can be read, in order."""
    select = sa.select(events.c.kind, events.c.document).where(events.c.id > event)
    found = []
    for kind, document in connection.execute(select.order_by(events.c.id)):
        with suppress(CodecError):
            found.append(read_decision(kind, document))
    return found


def about_hosts(connection: sa.Connection) -> list[Decision]:
    """List what became of hosts and windows, as far as it is kept and can be read, in order.

    At most ``MOST_ROWS``, the last ones.
    """
    kinds = [HostChanged.__name__, MaintenanceChanged.__name__]
    select = sa.select(events.c.kind, events.c.document).where(events.c.kind.in_(kinds))
    found = []
    for kind, document in connection.execute(select.order_by(events.c.id.desc()).limit(MOST_ROWS)):
        with suppress(CodecError):
            found.append(read_decision(kind, document))
    return found[::-1]


def lease_for_key(
    connection: sa.Connection, owner: str, key: str, digest: str | None
) -> int | None:
    """The lease that ``owner`` asked for with this idempotency key, if any.

    Raises :class:`haizea.service_types.KeyReused` where what was asked for is known to have
    another digest.
    """
    select = sa.select(keys).where(keys.c.owner == text(owner), keys.c.key == text(key))
    row = connection.execute(select).first()
    if row is None:
        return None
    found = RequestKey(row.owner, row.key, row.lease, row.digest)
    found.check(digest)
    return found.lease


def _filtered(select: sa.Select[Any], query: LeaseQuery) -> sa.Select[Any]:
    conditions: list[sa.ColumnElement[bool]] = []
    if not query.finished:
        conditions.append(leases.c.is_over == 0)
    if query.states is not None:
        conditions.append(leases.c.state.in_(sorted(s.value for s in query.states)))
    if query.owner is not None:
        conditions.append(leases.c.owner == text(query.owner))
    if query.kind is not None:
        conditions.append(leases.c.kind == query.kind.value)
    if query.label is not None:
        conditions.append(leases.c.label == text(query.label))
    if query.submitted_from is not None:
        conditions.append(leases.c.submitted >= query.submitted_from)
    if query.submitted_until is not None:
        conditions.append(leases.c.submitted < query.submitted_until)
    return select.where(*conditions)


def _rows(limit: int) -> int:
    return max(0, min(limit, MOST_ROWS))
