"""Leases that have ended, or are what they will be at the end of the run, as rows have them."""

from __future__ import annotations

import json
import sqlite3
from functools import lru_cache
from typing import Final

from haizea.accounting import schema
from haizea.accounting.leases import LeaseRecord
from haizea.accounting.rows import Rows
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Reason
from haizea.wording import in_words, parameters_of

# SQLite takes an exact str at once, but asks around what to do with a subclass of it.
STATE_NAMES: Final = {state: state.value for state in State}
_KIND_NAMES: Final = {kind: kind.value for kind in Kind}


#: The columns of what has no reason.
NO_REASON: Final = ("", "", "")


@lru_cache(maxsize=1 << 12)
def reason_columns(reason: Reason) -> tuple[str, str, str]:
    """A reason's words, its code and its parameters as JSON: many leases share one."""
    return in_words(reason), reason.code.value, json.dumps(parameters_of(reason))


class LeaseRows:
    """Fills the tables ``leases`` and ``node_sets``."""

    __slots__ = ("_leases", "_node_sets", "_plain")

    def __init__(self, db: sqlite3.Connection) -> None:
        self._leases = Rows(db, "leases", schema.LEASE_COLUMNS)
        self._plain = Rows(db, "leases", schema.PLAIN_LEASE_COLUMNS)
        self._node_sets = Rows(db, "node_sets")

    @property
    def rows(self) -> tuple[Rows, Rows, Rows]:
        """The rows to be written."""
        return self._leases, self._plain, self._node_sets

    def add(self, record: LeaseRecord) -> None:
        """The rows of a lease."""
        request = record.request
        lease_id = request.id
        count = 0
        for position, nodes in enumerate(request.nodes):
            self._node_sets.values += (lease_id, position, nodes.count, *nodes.capacity)
            count += nodes.count
        start, image = request.start, request.image
        timeless = start is None and request.deadline is None
        plain = timeless and image is None and not request.fixed_hosts
        values = self._plain.values if plain else self._leases.values
        values += (
            lease_id,
            request.label,
            _KIND_NAMES[request.kind],
            STATE_NAMES[record.last.new],
            count,
            request.submitted,
            request.duration,
            record.started,
            record.ended,
            record.waiting_time,
            record.slowdown,
            record.suspensions,
            record.migrations,
            record.restarts,
            record.reason,
            1 if request.preemptible else 0,
            request.owner,
            record.last.code,
        )
        if not plain:
            image_mb = None if image is None else image.size_mb
            values += (start, None if image is None else image.name, image_mb)
            values += (request.after, request.deadline, 1 if request.fixed_hosts else 0)
