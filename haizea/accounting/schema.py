"""The tables of a results file (SQLite).

Times are integer seconds since the epoch, durations integer seconds, unknown is NULL.
``reservations`` has one more column per resource type of the site, called as the type;
so have ``hosts`` and ``node_sets``.
"""

from __future__ import annotations

SCHEMA_VERSION = 1

#: ``key`` is unique; ``value`` is text. Keys: ``schema_version``, ``haizea_version``,
#: ``status`` (``complete``, ``interrupted``, ``failed``), ``started`` and ``ended``
#: (simulated or real time), ``resource_types`` (names, space-separated), ``workload``.
RUN = "CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"

#: The configuration in effect, every option with its value as the file would say it.
CONFIGURATION = (
    "CREATE TABLE configuration (section TEXT, option TEXT, value TEXT,"
    " PRIMARY KEY (section, option)) WITHOUT ROWID"
)

#: ``[accounting] attributes``.
LABELS = "CREATE TABLE labels (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"

HOSTS = "CREATE TABLE hosts (id INTEGER PRIMARY KEY, name TEXT{types})"

LEASES = (
    "CREATE TABLE leases (lease INTEGER PRIMARY KEY, label TEXT, kind TEXT, state TEXT,"
    " nodes INTEGER, submitted INTEGER, requested_start INTEGER, duration INTEGER,"
    " started INTEGER, ended INTEGER, waiting_time INTEGER, slowdown REAL,"
    " suspensions INTEGER, migrations INTEGER, restarts INTEGER, reason TEXT,"
    " preemptible INTEGER, owner TEXT, image TEXT, image_mb INTEGER, code TEXT)"
)

NODE_SETS = "CREATE TABLE node_sets (lease INTEGER, position INTEGER, count INTEGER{types})"

#: One row per lease, purpose and host; the nodes of a lease that share a host are one
#: row with the sum of their capacities. ``lease`` is NULL for an outage.
RESERVATIONS = (
    "CREATE TABLE reservations (lease INTEGER, purpose TEXT, host INTEGER,"
    " start INTEGER, end INTEGER{types})"
)

#: The story of each lease: every state, when, and why. ``code`` as in
#: :class:`haizea.core.events.StateChanged`.
STATES = "CREATE TABLE states (lease INTEGER, time INTEGER, state TEXT, reason TEXT, code TEXT)"

#: ``value`` over time; ``average`` is the running average of the values so far,
#: ``weighted`` the average weighted by how long each value held, up to ``time``.
COUNTERS = (
    "CREATE TABLE counters (counter TEXT, time INTEGER, lease INTEGER, value REAL,"
    " average REAL, weighted REAL)"
)

#: Figures of the whole run, one per name: what probes report at the end.
FIGURES = "CREATE TABLE figures (name TEXT PRIMARY KEY, value REAL) WITHOUT ROWID"

PER_LEASE_COLUMNS = [
    "lease",
    "label",
    "kind",
    "state",
    "nodes",
    "submitted",
    "requested_start",
    "duration",
    "started",
    "ended",
    "waiting_time",
    "slowdown",
    "suspensions",
    "migrations",
    "restarts",
    "reason",
]

#: Before one column per resource type.
RESERVATION_COLUMNS = ["lease", "purpose", "host", "start", "end"]
