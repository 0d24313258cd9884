"""Maintenance windows as rows of a results file."""

from __future__ import annotations

import json

from haizea.core.model.events import MaintenanceChanged
from haizea.wording import in_words


def window_row(change: MaintenanceChanged) -> tuple[object, ...]:
    """The row of what became of a window."""
    window = change.window
    hosts, leases = json.dumps(window.hosts), window.leases.value
    return (
        change.time,
        window.id,
        change.status,
        hosts,
        window.start,
        window.end,
        leases,
        in_words(change.reason),
    )
