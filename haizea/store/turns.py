"""Saving a turn: what the scheduler decided at a moment, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from haizea.core.model.events import (
    ChangeRefused,
    Decision,
    Expected,
    HostChanged,
    HostsLimited,
    HostsPlanned,
    ImageStored,
    LeaseAccepted,
    LeaseAltered,
    MaintenanceChanged,
    OperationEnded,
    OperationStarted,
    Purpose,
    RatesChanged,
    StateChanged,
)
from haizea.core.model.records import LeaseRecord, SiteRecord
from haizea.core.model.vm_times import PreparationPlanned, ShutdownPlanned
from haizea.service_types import KeyReused
from haizea.store.codec import LARGEST, SMALLEST, write_decision, write_lease, write_site
from haizea.store.schema import events, keys, leases, state

Row = dict[str, Any]

#: So many leases are named in one question.
_MOST_IDS = 500


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An owner's idempotency key and the lease that was asked for with it.

    ``digest`` tells what was asked for from other requests, where that is known.
    """

    owner: str
    key: str
    lease: int
    digest: str | None = None

    def check(self, digest: str | None) -> None:
        """Raise :class:`haizea.service_types.KeyReused` where it is another request's."""
        if None not in (digest, self.digest) and digest != self.digest:
            raise KeyReused(self.lease)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTurn:
    """Changes that one :meth:`haizea.store.Store.save` makes durable.

    ``now`` is the turn's moment; ``records`` has every lease that was touched, those
    that are over included; ``site`` is given when it changed. ``keys`` are
    those of new requests; the first lease of a key stays.
    """

    now: int
    decisions: Sequence[Decision] = ()
    records: Sequence[LeaseRecord] = ()
    site: SiteRecord | None = None
    keys: Sequence[RequestKey] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Point that a store has come to, as the one row of ``state`` has it."""

    turn: int
    last_event: int
    next_lease: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRows:
    """A turn as rows; events have no ids yet."""

    now: int
    site: str | None
    most_lease: int
    leases: list[Row]
    events: list[Row]
    expected: list[int]
    keys: list[Row]

    def after(self, position: Position) -> Position:
        """The position of a store at ``position`` when this was saved."""
        return replace(
            position,
            turn=position.turn + 1,
            last_event=position.last_event + len(self.events),
            next_lease=max(position.next_lease, min(self.most_lease + 1, LARGEST)),
        )


_ADVANCE = (
    sa.update(state)
    .where(
        state.c.id == 1,
        state.c.epoch == sa.bindparam("own_epoch"),
        state.c.turn == sa.bindparam("turn_before"),
    )
    .values(
        {
            name: sa.bindparam(name)
            for name in ("turn", "now", "last_event", "next_lease", "enacted")
        }
    )
)
_SITE = sa.update(state).where(state.c.id == 1).values(site=sa.bindparam("site"))
_EVENTS = sa.insert(events)
_OLD_EXPECTATIONS = sa.delete(events).where(
    events.c.lease == sa.bindparam("of_lease"),
    events.c.kind == Expected.__name__,
    events.c.id <= sa.bindparam("up_to"),
)


def _upserts(insert: Any) -> tuple[Any, Any]:
    lease = insert(leases)
    changes = {c.name: lease.excluded[c.name] for c in leases.columns if not c.primary_key}
    return (
        lease.on_conflict_do_update(index_elements=[leases.c.id], set_=changes),
        insert(keys).on_conflict_do_nothing(),
    )


#: By dialect: statements that write leases, and keys.
_UPSERTS = {"sqlite": _upserts(sqlite.insert), "postgresql": _upserts(postgresql.insert)}


def rows_of(turn: KeptTurn) -> TurnRows:
    """The rows that ``turn`` becomes. Raises :class:`haizea.store.errors.CodecError`."""
    owners = {record.id: text(record.request.owner) for record in turn.records}
    last = {d.lease_id: i for i, d in enumerate(turn.decisions) if isinstance(d, Expected)}
    kept = [
        decision
        for i, decision in enumerate(turn.decisions)
        if not isinstance(decision, Expected) or last[decision.lease_id] == i
    ]
    return TurnRows(
        now=_bounded(turn.now),
        site=None if turn.site is None else write_site(turn.site),
        most_lease=max(owners, default=0),
        leases=_lease_rows(turn.records),
        events=[_event_row(decision, owners) for decision in kept],
        expected=list(last),
        keys=[
            {"owner": text(k.owner), "key": text(k.key), "lease": k.lease, "digest": k.digest}
            for k in turn.keys
        ],
    )


def advance(
    connection: sa.Connection, epoch: int, before: Position, after: Position, now: int, enacted: int
) -> bool:
    """Return whether the store was at ``before`` in ``epoch``; it is then at ``after``.

    The row stays locked until the transaction ends, so nobody else can save meanwhile.
    """
    values = {
        "own_epoch": epoch,
        "turn_before": before.turn,
        "turn": after.turn,
        "now": now,
        "last_event": after.last_event,
        "next_lease": after.next_lease,
        "enacted": enacted,
    }
    return connection.execute(_ADVANCE, values).rowcount == 1


def write_rows(connection: sa.Connection, rows: TurnRows, before: Position) -> None:
    """Write a turn's rows; its events get the ids that follow ``before``."""
    upsert_leases, insert_keys = _UPSERTS[connection.dialect.name]
    first = before.last_event + 1
    if rows.site is not None:
        connection.execute(_SITE, {"site": rows.site})
    if rows.leases:
        connection.execute(upsert_leases, rows.leases)
    if rows.expected:
        old = [{"of_lease": lease, "up_to": before.last_event} for lease in rows.expected]
        connection.execute(_OLD_EXPECTATIONS, old)
    if rows.events:
        _find_owners(connection, rows.events)
        connection.execute(_EVENTS, [{"id": i, **row} for i, row in enumerate(rows.events, first)])
    if rows.keys:
        connection.execute(insert_keys, rows.keys)


def text(value: str) -> str:
    """``value`` as every database takes it: NUL and lone surrogates become U+FFFD and "?"."""
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _lease_rows(records: Iterable[LeaseRecord]) -> list[Row]:
    # A lease that is there twice is as its last record says.
    return list({record.id: _lease_row(record) for record in records}.values())


def _lease_row(record: LeaseRecord) -> Row:
    request = record.request
    return {
        "id": request.id,
        "label": text(request.label),
        "owner": text(request.owner),
        "kind": request.kind.value,
        "state": record.state.value,
        "is_over": int(record.over),
        "submitted": _bounded(request.submitted),
        "start": None if request.start is None else _bounded(request.start),
        "duration": None if request.duration is None else _bounded(request.duration),
        "nodes": _bounded(request.node_count),
        "changed": _bounded(record.changed),
        "document": write_lease(record),
    }


def _event_row(decision: Decision, owners: dict[int, str]) -> Row:
    lease = _lease_of(decision)
    time = decision.end if isinstance(decision, OperationEnded) else decision.time
    return {
        "time": _bounded(time),
        "lease": lease,
        "owner": None if lease is None else owners.get(lease),
        "kind": type(decision).__name__,
        "document": write_decision(decision),
    }


def _lease_of(decision: Decision) -> int | None:
    match decision:
        case LeaseAccepted(request=request) | LeaseAltered(request=request):
            return request.id
        case HostChanged() | RatesChanged() | MaintenanceChanged() | ImageStored():
            return None
        case OperationStarted(purpose=Purpose.OUTAGE) | OperationEnded(purpose=Purpose.OUTAGE):
            return None
        case StateChanged() | ChangeRefused() | HostsLimited() | HostsPlanned() | Expected():
            return decision.lease_id
        case OperationStarted() | OperationEnded() | PreparationPlanned() | ShutdownPlanned():
            return decision.lease_id
        case _:
            assert_never(decision)


def _find_owners(connection: sa.Connection, rows: list[Row]) -> None:
    """Owners of leases that the turn says something about without a record of them."""
    unknown = {row["lease"] for row in rows if row["lease"] is not None and row["owner"] is None}
    if not unknown:
        return
    found = texts(connection, leases.c.owner, unknown)
    for row in rows:
        if row["lease"] in unknown and row["owner"] is None:
            row["owner"] = found.get(row["lease"])


def texts(
    connection: sa.Connection, column: sa.Column[str], lease_ids: Collection[int]
) -> dict[int, str]:
    """Return what these leases have in a column, by id, as far as they are known."""
    found: dict[int, str] = {}
    ids = sorted(lease_ids)
    for i in range(0, len(ids), _MOST_IDS):
        some = leases.c.id.in_(ids[i : i + _MOST_IDS])
        rows = connection.execute(sa.select(leases.c.id, column).where(some))
        found.update((row[0], row[1]) for row in rows)
    return found


def _bounded(number: int) -> int:
    return max(SMALLEST, min(number, LARGEST))
