"""Rows of a results file about plans: what they go by, and how they changed before a start."""

from __future__ import annotations

import json
import sqlite3

from haizea.accounting.rows import Rows
from haizea.core.model.events import HostsPlanned, RatesChanged
from haizea.core.model.vm_times import PreparationPlanned, ShutdownPlanned


class Planned:
    """Rows of the tables ``host_rates``, ``planned_hosts``, ``preparation`` and ``shutdown``."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._host_rates = Rows(db, "host_rates")
        self._planned_hosts = Rows(db, "planned_hosts")
        self._preparation = Rows(db, "preparation")
        self._shutdown = Rows(db, "shutdown")
        self.rows = (self._host_rates, self._planned_hosts, self._preparation, self._shutdown)

    def note(
        self, decision: HostsPlanned | RatesChanged | PreparationPlanned | ShutdownPlanned
    ) -> None:
        """Record what was decided."""
        match decision:
            case HostsPlanned(time, lease_id, hosts):
                self._planned_hosts.values += (lease_id, time, json.dumps(hosts))
            case RatesChanged(time, host_id, suspend_mb_s, resume_mb_s):
                self._host_rates.values += (host_id, time, suspend_mb_s, resume_mb_s)
            case PreparationPlanned(time, lease_id, seconds):
                self._preparation.values += (lease_id, time, seconds)
            case ShutdownPlanned(time, lease_id, seconds):
                self._shutdown.values += (lease_id, time, seconds)
