"""Rows of a results file about changes of leases: what was asked first, granted and refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from haizea.accounting.lease_rows import NO_REASON, reason_columns
from haizea.accounting.leases import LeaseRecord
from haizea.accounting.rows import Rows
from haizea.core.model.events import ChangeRefused, LeaseAltered
from haizea.core.model.lease import LeaseRequest


class ChangeRows:
    """Fills the table ``changes``, and keeps the request of a lease as it was granted last."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.rows = Rows(db, "changes")
        self._known: set[int] = set()

    def note(self, decision: LeaseAltered | ChangeRefused, live: Mapping[int, LeaseRecord]) -> None:
        """Record what was decided about a lease; nothing of one that was over by then."""
        lease_id = decision.lease_id if isinstance(decision, ChangeRefused) else decision.request.id
        record = live.get(lease_id)
        if record is None:
            return
        if lease_id not in self._known:
            self._known.add(lease_id)
            self._add(record.request.submitted, "asked", record.request)
        if isinstance(decision, LeaseAltered):
            record.request = decision.request
            self._add(decision.time, "granted", record.request)
        else:
            reason = reason_columns(decision.reason)
            self._add(decision.time, "refused", record.request, decision.offer, reason)

    def _add(
        self,
        time: int,
        status: str,
        request: LeaseRequest,
        offer: int | None = None,
        reason: tuple[str, str, str] = NO_REASON,
    ) -> None:
        self.rows.values += (
            request.id,
            time,
            status,
            request.start,
            request.after,
            request.deadline,
            request.duration,
            1 if request.preemptible else 0,
            request.node_count,
            offer,
            *reason,
        )
