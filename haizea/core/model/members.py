"""States, kinds and purposes, each by a name of its own.

To look a member up in its enumeration takes Python as long as ten other look-ups. What runs
for every lease or oftener takes them from here.
"""

from __future__ import annotations

from typing import Final

from haizea.core.model.events import Purpose
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State

NEW: Final = State.NEW
PENDING: Final = State.PENDING
REJECTED: Final = State.REJECTED
QUEUED: Final = State.QUEUED
SCHEDULED: Final = State.SCHEDULED
PREPARING: Final = State.PREPARING
READY: Final = State.READY
ACTIVE: Final = State.ACTIVE
SUSPENDING: Final = State.SUSPENDING
SUSPENDED_PENDING: Final = State.SUSPENDED_PENDING
SUSPENDED_QUEUED: Final = State.SUSPENDED_QUEUED
SUSPENDED_SCHEDULED: Final = State.SUSPENDED_SCHEDULED
MIGRATING: Final = State.MIGRATING
RESUMING: Final = State.RESUMING
RESUMED_READY: Final = State.RESUMED_READY
DONE: Final = State.DONE
FAILED: Final = State.FAILED

#: States of leases that wait for hosts.
INTERRUPTED: Final = frozenset({QUEUED, SUSPENDED_QUEUED})

AR: Final = Kind.AR
BEST_EFFORT: Final = Kind.BEST_EFFORT
IMMEDIATE: Final = Kind.IMMEDIATE
DEADLINE: Final = Kind.DEADLINE
#: The kinds of leases that were promised to be done by a moment, whoever else comes.
FIRM: Final = frozenset({AR, DEADLINE})

PREPARE: Final = Purpose.PREPARE
RUN: Final = Purpose.RUN
SUSPEND: Final = Purpose.SUSPEND
MIGRATE: Final = Purpose.MIGRATE
RESUME: Final = Purpose.RESUME
SHUTDOWN: Final = Purpose.SHUTDOWN
OUTAGE: Final = Purpose.OUTAGE
