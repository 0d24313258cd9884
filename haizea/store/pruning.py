"""Forgetting what is long over."""

from __future__ import annotations

import sqlalchemy as sa

from haizea.core.model.events import RatesChanged
from haizea.store.database import Database
from haizea.store.schema import events, keys, leases, starts, tokens

#: So many in one transaction, so that nobody who saves has to wait long.
_AT_ONCE = 200


def prune(database: Database, before: int) -> int:
    """Forget leases that ended before this moment, and what hosts did before it.

    Answers how many leases were forgotten. Raises the store's errors; what was forgotten
    until then stays forgotten.
    """
    forgotten = 0
    while (some := _forget_leases(database, before)) > 0:
        forgotten += some
    while _forget_host_events(database, before) > 0:
        pass
    with database.changing() as connection:
        connection.execute(sa.delete(tokens).where(tokens.c.revoked < before))
        # The latest start stays: it is that of the manager that runs.
        latest = sa.select(sa.func.max(starts.c.started)).scalar_subquery()
        connection.execute(
            sa.delete(starts).where(starts.c.started < before, starts.c.started < latest)
        )
    return forgotten


def _forget_leases(database: Database, before: int) -> int:
    over = sa.select(leases.c.id).where(leases.c.is_over == 1, leases.c.changed < before)
    with database.changing() as connection:
        ids = list(connection.execute(over.limit(_AT_ONCE)).scalars())
        if ids:
            connection.execute(sa.delete(events).where(events.c.lease.in_(ids)))
            connection.execute(sa.delete(keys).where(keys.c.lease.in_(ids)))
            connection.execute(sa.delete(leases).where(leases.c.id.in_(ids)))
    return len(ids)


def _forget_host_events(database: Database, before: int) -> int:
    # What was learned of hosts is few words, and explains what is planned today.
    old = sa.select(events.c.id).where(
        events.c.lease.is_(None),
        events.c.time < before,
        events.c.kind != RatesChanged.__name__,
    )
    with database.changing() as connection:
        ids = list(connection.execute(old.limit(_AT_ONCE)).scalars())
        if ids:
            connection.execute(sa.delete(events).where(events.c.id.in_(ids)))
    return len(ids)
