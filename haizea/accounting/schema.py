"""The tables of a results file (SQLite).

Times are integer seconds since the epoch, durations integer seconds, unknown is NULL.
``reservations`` has one more column per resource type of the site, called as the type;
so have ``hosts`` and ``node_sets``: that is the ``{types}`` of their statements.
"""

from __future__ import annotations

from collections.abc import Sequence

SCHEMA_VERSION = 1

#: ``PRAGMA application_id`` of every results file: the bytes "Hzea".
APPLICATION_ID = 0x487A6561

#: ``key`` is unique; ``value`` is text. Keys: ``schema_version``, ``haizea_version``,
#: ``status`` (``complete``, ``interrupted``, ``failed``), ``started`` and ``ended``
#: (simulated or real time), ``resource_types`` (names, space-separated), ``workload``;
#: ``faults`` where things were made to go wrong, beginning with ``events`` if these are
#: hosts that change and leases that are cancelled only; ``absences`` of a service, times in
#: which it did not run: ``start-end``, separated by spaces.
RUN = "CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"

#: The configuration in effect, every option with its value as the file would say it.
CONFIGURATION = (
    "CREATE TABLE configuration (section TEXT, option TEXT, value TEXT,"
    " PRIMARY KEY (section, option)) WITHOUT ROWID"
)

#: ``[accounting] attributes``.
LABELS = "CREATE TABLE labels (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"

HOSTS = "CREATE TABLE hosts (id INTEGER PRIMARY KEY, name TEXT{types})"

#: What became of each host: ``up``, ``down``, ``drained``, when, and why.
HOST_STATES = (
    "CREATE TABLE host_states (host INTEGER, time INTEGER, status TEXT, reason TEXT,"
    " reason_code TEXT, reason_parameters TEXT)"
)

#: How fast hosts suspended and resumed from a moment on, MB/s, as far as it was learned;
#: NULL: as configured. Absent in results of earlier versions.
HOST_RATES = (
    "CREATE TABLE host_rates (host INTEGER, time INTEGER, suspend_mb_s REAL, resume_mb_s REAL)"
)

#: Which hosts would do for a lease from a moment on, as the JSON of
#: :class:`haizea.core.model.hostrules.AllowedRecord`; NULL: all. Earlier versions' results have
#: no such table.
HOST_RULES = "CREATE TABLE host_rules (lease INTEGER, time INTEGER, rules TEXT)"

#: The host of each node of such a lease, in order, from when it ran or began to move there:
#: a JSON array of ids.
NODE_HOSTS = "CREATE TABLE node_hosts (lease INTEGER, time INTEGER, hosts TEXT)"

#: The hosts that a lease, before it began, was to have from a moment on in place of others: one
#: for each node, a JSON array of ids. Absent in results of earlier versions.
PLANNED_HOSTS = "CREATE TABLE planned_hosts (lease INTEGER, time INTEGER, hosts TEXT)"

#: Seconds that a lease's VMs were planned to take to start, from a moment on. Absent in results
#: of earlier versions.
PREPARATION = "CREATE TABLE preparation (lease INTEGER, time INTEGER, seconds INTEGER)"

#: Seconds that a lease's VMs were planned to take to shut down, from a moment on, in place of
#: ``shutdown-time``. Absent in results of earlier versions.
SHUTDOWN = "CREATE TABLE shutdown (lease INTEGER, time INTEGER, seconds INTEGER)"

#: Maintenance windows: ``planned``, ``refused``, ``begun`` or ``over``, when; ``hosts`` is a
#: JSON array of ids, ``end`` NULL without end, ``leases`` what becomes of those that cannot leave.
#: Absent in results of earlier versions.
MAINTENANCE = (
    "CREATE TABLE maintenance (time INTEGER, window INTEGER, status TEXT, hosts TEXT,"
    ' start INTEGER, "end" INTEGER, leases TEXT, reason TEXT)'
)

#: Leases that somebody wanted changed: what was ``asked`` first, then each change that was
#: ``granted`` or ``refused``, with what the lease is from that moment on; ``offer`` is the nearest
#: that would do, ``reason`` as in ``states``. Absent in results of earlier versions.
CHANGES = (
    "CREATE TABLE changes (lease INTEGER, time INTEGER, status TEXT, start INTEGER,"
    " after INTEGER, deadline INTEGER, duration INTEGER, preemptible INTEGER, nodes INTEGER,"
    " offer INTEGER, reason TEXT, reason_code TEXT, reason_parameters TEXT)"
)

LEASES = (
    "CREATE TABLE leases (lease INTEGER PRIMARY KEY, label TEXT, kind TEXT, state TEXT,"
    " nodes INTEGER, submitted INTEGER, requested_start INTEGER, duration INTEGER,"
    " started INTEGER, ended INTEGER, waiting_time INTEGER, slowdown REAL,"
    " suspensions INTEGER, migrations INTEGER, restarts INTEGER, reason TEXT,"
    " preemptible INTEGER, owner TEXT, image TEXT, image_mb INTEGER, code TEXT,"
    " after INTEGER, deadline INTEGER, fixed_hosts INTEGER)"
)

NODE_SETS = "CREATE TABLE node_sets (lease INTEGER, position INTEGER, count INTEGER{types})"

#: What a lease held, as it really was: one row for all hosts on which it held the same.
#: ``hosts`` is their ids as a JSON array. A wide lease is one row, not hundreds.
RESERVATION_SETS = (
    "CREATE TABLE reservation_sets (lease INTEGER, purpose TEXT, start INTEGER,"
    " end INTEGER, hosts TEXT{types})"
)

#: The same, one row per lease, purpose and host; the nodes of a lease that share a host
#: are one row with the sum of their capacities. ``lease`` is NULL for an outage.
RESERVATIONS = (
    "CREATE VIEW reservations AS SELECT s.lease AS lease, s.purpose AS purpose,"
    ' h.value AS host, s.start AS start, s."end" AS "end"{same_types}'
    " FROM reservation_sets AS s, json_each(s.hosts) AS h"
)

#: The story of each lease: every state from ``New`` on, when, and why. ``reason`` is
#: ``reason_code`` with ``reason_parameters`` (a JSON object) in words; earlier versions' results
#: have no such columns. ``code`` as in :class:`haizea.core.model.events.StateChanged`.
STATES = (
    "CREATE TABLE states (lease INTEGER, time INTEGER, state TEXT, reason TEXT,"
    " reason_code TEXT, reason_parameters TEXT, code TEXT)"
)

#: ``value`` over time; ``average`` is the running average of the values so far,
#: ``weighted`` the average weighted by how long each value held, up to ``time``.
COUNTERS = (
    "CREATE TABLE counters (counter TEXT, time INTEGER, lease INTEGER, value NUMERIC,"
    " average REAL, weighted REAL)"
)

#: Figures of the whole run, one per name: the standard ones and what probes report.
FIGURES = "CREATE TABLE figures (name TEXT PRIMARY KEY, value NUMERIC) WITHOUT ROWID"

TABLES = (
    RUN,
    CONFIGURATION,
    LABELS,
    HOSTS,
    HOST_STATES,
    HOST_RATES,
    HOST_RULES,
    NODE_HOSTS,
    PLANNED_HOSTS,
    PREPARATION,
    SHUTDOWN,
    MAINTENANCE,
    CHANGES,
    LEASES,
    NODE_SETS,
    RESERVATION_SETS,
    RESERVATIONS,
    STATES,
    COUNTERS,
    FIGURES,
)

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

#: Of ``leases``, after :data:`PER_LEASE_COLUMNS`.
MORE_LEASE_COLUMNS = [
    *("preemptible", "owner", "image", "image_mb", "code", "after", "deadline", "fixed_hosts"),
]

#: Before one column per resource type.
RESERVATION_COLUMNS = ["lease", "purpose", "host", "start", "end"]

#: Columns that a lease fills that has no time of its own, no image and any hosts, and all columns.
PLAIN_LEASE_COLUMNS = [
    *(name for name in PER_LEASE_COLUMNS if name != "requested_start"),
    *("preemptible", "owner", "code"),
]
LEASE_COLUMNS = [
    *PLAIN_LEASE_COLUMNS,
    *("requested_start", "image", "image_mb", "after", "deadline", "fixed_hosts"),
]

#: Columns of a counter whose values are of no lease in particular, and all columns.
LEVEL_COLUMNS = ["counter", "time", "value", "average", "weighted"]
COUNTER_COLUMNS = ["counter", "time", "lease", "value", "average", "weighted"]

#: What the tables with one column per resource type call their own columns.
TAKEN_COLUMNS = frozenset({*RESERVATION_COLUMNS, "hosts", "id", "name", "position", "count"})


def quoted(name: str) -> str:
    """``name`` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def statements(types: Sequence[str]) -> list[str]:
    """The statements that make the tables, for a site with these resource types."""
    columns = "".join(f", {quoted(name)} INTEGER" for name in types)
    same = "".join(f", s.{quoted(name)} AS {quoted(name)}" for name in types)
    return [t.replace("{types}", columns).replace("{same_types}", same) for t in TABLES]
