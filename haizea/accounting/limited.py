"""Hosts of leases that may not run everywhere: those allowed to their nodes, and those in use."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict

from haizea.accounting.rows import Rows
from haizea.core.model.events import HostsLimited, OperationStarted, Purpose

_CHOSEN = frozenset({Purpose.RUN, Purpose.MIGRATE})


class Limited:
    """Fills the tables ``host_rules`` and ``node_hosts``."""

    def __init__(self, db: sqlite3.Connection) -> None:
        #: Leases that may not run everywhere, or might not once.
        self.leases: set[int] = set()
        self._rules = Rows(db, "host_rules")
        self._hosts = Rows(db, "node_hosts")

    def limited(self, decision: HostsLimited) -> None:
        """Other hosts will do for a lease than before."""
        time, lease_id, allowed = decision
        self.leases.add(lease_id)
        rules = None if allowed is None else json.dumps(asdict(allowed))
        self._rules.values += (lease_id, time, rules)

    def started(self, decision: OperationStarted) -> None:
        """Something starts on hosts; those that were chosen for it matter."""
        if decision.lease_id in self.leases and decision.purpose in _CHOSEN:
            hosts = json.dumps(decision.hosts)
            self._hosts.values += (decision.lease_id, decision.time, hosts)

    def ended(self, leases: Iterable[int]) -> None:
        """These are over."""
        self.leases.difference_update(leases)

    @property
    def rows(self) -> tuple[Rows, Rows]:
        """The rows to be written."""
        return self._rules, self._hosts
