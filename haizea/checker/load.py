"""Reads a results file: an SQLite file that somebody else may have written.

It is opened read-only; only plain tables are read; every value's type and size is
checked. What cannot be read raises :class:`UnreadableResults` with what and where.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from haizea.checker.load_places import BadPlaces, read_host_rules, read_node_hosts
from haizea.checker.options import BadOption, read_options
from haizea.checker.records import (
    Capacity,
    Change,
    Host,
    HostChange,
    Lease,
    NodeSet,
    Options,
    RatesChange,
    Records,
    Row,
)

SCHEMA_VERSION = "1"

#: So begins what a run says of its faults if these are events at given moments only:
#: hosts that change, leases that are cancelled.
FAULTLESS = "events"

MOST_ROWS = 50_000_000
MOST_TYPES = 100
LONGEST_TEXT = 1_000_000
#: SQLite stores 64 bits; sums of these amounts still mean something.
LARGEST_NUMBER = 1 << 60

_TABLES = (
    "run",
    "configuration",
    "hosts",
    "host_states",
    "leases",
    "node_sets",
    "reservation_sets",
    "states",
)
_LEASE_COLUMNS = (
    "lease, kind, state, nodes, submitted, requested_start, duration, ended, reason,"
    " preemptible, image, image_mb"
)


class UnreadableResults(Exception):
    """The file is not a results file, or not one that makes sense; says why."""


def load(path: Path) -> Records:
    """The records in the results file ``path``.

    Raises :class:`UnreadableResults`.
    """
    if not path.is_file():
        raise UnreadableResults("there is no such file")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_TEXT)
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA cell_size_check = ON")
            db.execute("BEGIN")  # one state of the file, should a run still write it
            return _Loader(db).records()
    except (sqlite3.Error, UnicodeError) as error:
        raise UnreadableResults(f"it is not a results file of Haizea ({error})") from None
    except BadOption as error:
        raise UnreadableResults(f"table configuration: {error}") from None
    except BadPlaces as error:
        raise UnreadableResults(str(error)) from None


class _Loader:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def records(self) -> Records:
        self._check_tables()
        run: dict[str, str] = dict(map(_pair, self._texts("SELECT key, value FROM run", "run")))
        if run.get("schema_version") != SCHEMA_VERSION:
            raise UnreadableResults(
                f"table run: schema_version is {run.get('schema_version')!r};"
                f" this version of Haizea reads {SCHEMA_VERSION!r}"
            )
        types = self._types(run)
        options = self._options()
        hosts = self._hosts(types)
        leases = self._leases(types)
        rows, outages = self._rows(types)
        stories = self._stories()
        host_changes = self._host_changes()
        last = max((s[-1].time for s in stories.values()), default=0)
        ended = run.get("ended", "")
        absences = _absences(run.get("absences", ""))
        return Records(
            status=run.get("status", ""),
            ended=int(ended) if ended.isascii() and ended.isdigit() and len(ended) < 18 else last,
            types=types,
            options=options,
            hosts=hosts,
            leases=leases,
            rows=rows,
            outages=outages,
            stories=stories,
            host_changes=host_changes,
            disturbed=(
                not options.simulated
                or bool(outages)
                or not _as_planned(run.get("faults", ""))
                or bool(absences)
                or _went_wrong(stories, host_changes)
            ),
            absences=absences,
            rates=self._rates(),
            host_rules=read_host_rules(self._db),
            node_hosts=read_node_hosts(self._db),
        )

    def _check_tables(self) -> None:
        """Plain tables only: a view or a virtual table could run code of its own."""
        found = dict(self._db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        for table in _TABLES:
            sql = found.get(table)
            if not isinstance(sql, str) or not sql.upper().startswith("CREATE TABLE"):
                raise UnreadableResults(
                    f"it is not a results file of Haizea: it has no table {table}"
                )
            (count,) = self._db.execute(f"SELECT count(*) FROM {table}").fetchone()
            if count > MOST_ROWS:
                raise UnreadableResults(
                    f"table {table} has {count} rows; at most {MOST_ROWS} are read"
                )

    def _types(self, run: dict[str, str]) -> tuple[str, ...]:
        types = tuple(run.get("resource_types", "").split())
        if not types or len(types) > MOST_TYPES or len(set(types)) < len(types):
            raise UnreadableResults("table run: resource_types does not list resource types")
        return types

    def _options(self) -> Options:
        query = "SELECT section, option, value FROM configuration"
        return read_options({(s, o): v for s, o, v in self._texts(query, "configuration")})

    def _texts(self, query: str, table: str) -> Iterator[tuple[str, ...]]:
        for row in self._db.execute(query):
            yield tuple(_text(value, table) for value in row)

    def _amounts(self, table: str, types: Sequence[str]) -> str:
        """The types' columns. Checked against the table: SQLite takes an unknown name in
        double quotes for a text."""
        columns = {name for _, name, *_ in self._db.execute(f"PRAGMA table_info({table})")}
        for name in types:
            if name not in columns:
                raise UnreadableResults(f"table {table} has no column for resource type {name!r}")
        return ", ".join('"' + name.replace('"', '""') + '"' for name in types)

    def _hosts(self, types: Sequence[str]) -> dict[int, Host]:
        query = f"SELECT id, name, {self._amounts('hosts', types)} FROM hosts ORDER BY id"
        return {
            _number(row[0], "hosts"): Host(
                row[0], _text(row[1], "hosts"), _capacity(row, 2, "hosts")
            )
            for row in self._db.execute(query)
        }

    def _host_changes(self) -> dict[int, list[HostChange]]:
        changes: dict[int, list[HostChange]] = {}
        query = "SELECT host, time, status FROM host_states ORDER BY time, rowid"
        for host, time, status in self._db.execute(query):
            change = HostChange(_number(time, "host_states"), _text(status, "host_states"))
            changes.setdefault(_number(host, "host_states"), []).append(change)
        return changes

    def _rates(self) -> dict[int, list[RatesChange]]:
        """What was learned of hosts' rates; results of earlier versions have no such table."""
        table = "host_rates"
        found = self._db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,))
        row = found.fetchone()
        if row is None:
            return {}
        if not isinstance(row[0], str) or not row[0].upper().startswith("CREATE TABLE"):
            raise UnreadableResults(f"{table} is not a plain table")
        rates: dict[int, list[RatesChange]] = {}
        query = f"SELECT host, time, suspend_mb_s, resume_mb_s FROM {table} ORDER BY time, rowid"
        for count, (host, time, suspend, resume) in enumerate(self._db.execute(query)):
            if count >= MOST_ROWS:
                raise UnreadableResults(f"table {table} has too many rows")
            change = RatesChange(_number(time, table), _rate(suspend, table), _rate(resume, table))
            rates.setdefault(_number(host, table), []).append(change)
        return rates

    def _leases(self, types: Sequence[str]) -> dict[int, Lease]:
        sets: dict[int, dict[Capacity, int]] = {}
        query = (
            f"SELECT lease, count, {self._amounts('node_sets', types)}"
            " FROM node_sets ORDER BY lease, position"
        )
        for row in self._db.execute(query):
            count = _number(row[1], "node_sets")
            of_lease = sets.setdefault(_number(row[0], "node_sets"), {})
            capacity = _capacity(row, 2, "node_sets")
            of_lease[capacity] = of_lease.get(capacity, 0) + count
        leases = {}
        for row in self._db.execute(f"SELECT {_LEASE_COLUMNS} FROM leases ORDER BY lease"):
            lease = _lease(row, sets.get(row[0], {}))
            leases[lease.id] = lease
        return leases

    def _rows(self, types: Sequence[str]) -> tuple[dict[int, list[Row]], list[Row]]:
        by_lease: dict[int, list[Row]] = {}
        outages: list[Row] = []
        table = "reservation_sets"
        query = (
            f'SELECT lease, purpose, start, "end", hosts, {self._amounts(table, types)}'
            f' FROM {table} ORDER BY start, "end", rowid'
        )
        names: dict[str, str] = {}
        shared: dict[Capacity, Capacity] = {}
        total = 0
        for values in self._db.execute(query):
            lease, purpose = _optional(values[0], table), _text(values[1], table)
            purpose = names.setdefault(purpose, purpose)
            start, end = _number(values[2], table), _number(values[3], table)
            capacity = _capacity(values, 5, table)
            capacity = shared.setdefault(capacity, capacity)
            hosts = _hosts(values[4], table)
            total += len(hosts)
            if total > MOST_ROWS:
                raise UnreadableResults(f"more than {MOST_ROWS} reservations: too many to read")
            to = outages if lease is None else by_lease.setdefault(lease, [])
            to += [Row(lease, purpose, host, start, end, capacity) for host in hosts]
        return by_lease, outages

    def _stories(self) -> dict[int, list[Change]]:
        stories: dict[int, list[Change]] = {}
        names: dict[str, str] = {}
        query = "SELECT lease, time, state, reason, code FROM states ORDER BY rowid"
        for values in self._db.execute(query):
            texts = [_text(v, "states") for v in values[2:]]
            change = Change(
                _number(values[1], "states"), *[names.setdefault(text, text) for text in texts]
            )
            stories.setdefault(_number(values[0], "states"), []).append(change)
        return stories


def _lease(row: Sequence[Any], sets: dict[Capacity, int]) -> Lease:
    table = "leases"
    lease_id = _number(row[0], table)
    where = f"table leases, lease {lease_id}"
    if not sets or any(count <= 0 for count in sets.values()):
        raise UnreadableResults(f"{where}: table node_sets does not say which nodes it asks for")
    if not any(any(capacity) for capacity in sets):
        raise UnreadableResults(f"{where}: its nodes ask for nothing")
    lease = Lease(
        id=lease_id,
        kind=_text(row[1], table),
        state=_text(row[2], table),
        nodes=_number(row[3], table),
        submitted=_number(row[4], table),
        requested_start=_optional(row[5], table),
        duration=_optional(row[6], table),
        ended=_optional(row[7], table),
        reason=_text(row[8], table),
        preemptible=bool(_optional(row[9], table)),
        image=_text(row[10], table),
        image_mb=_optional(row[11], table) or 0,
        node_sets=tuple(NodeSet(count, capacity) for capacity, count in sets.items()),
    )
    if lease.kind not in ("ar", "best-effort", "immediate"):
        raise UnreadableResults(f"{where}: there is no kind {lease.kind!r}")
    if lease.kind == "ar" and lease.requested_start is None:
        raise UnreadableResults(f"{where}: an AR has a requested_start")
    if lease.nodes != sum(sets.values()):
        raise UnreadableResults(
            f"{where}: it asks for {lease.nodes} nodes, its node sets for {sum(sets.values())}"
        )
    return lease


def _absences(text: str) -> list[tuple[int, int]]:
    """Times in which nobody was there: ``start-end``, separated by spaces."""
    found = re.findall(r"(?<!\S)(\d{1,18})-(\d{1,18})(?!\S)", text, re.ASCII)
    return [(int(start), int(end)) for start, end in found]


def _as_planned(faults: str) -> bool:
    """Whether operations were carried out as planned, by what the run says of its faults."""
    return not faults or faults.startswith(FAULTLESS)


def _went_wrong(
    stories: dict[int, list[Change]], host_changes: dict[int, list[HostChange]]
) -> bool:
    """Whether something failed or was late by what happened."""
    return any(
        change.status == "down" for changes in host_changes.values() for change in changes
    ) or any(
        change.code in ("failure", "delayed", "late")
        for story in stories.values()
        for change in story
    )


def _number(value: Any, table: str) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST_NUMBER:
        raise UnreadableResults(f"table {table}: {_shown(value)} is not a number from 0 on")
    return value


def _rate(value: Any, table: str) -> float | None:
    if value is None:
        return None
    if type(value) is not float or not 0 < value <= LARGEST_NUMBER:
        raise UnreadableResults(f"table {table}: {_shown(value)} is not a rate")
    return value


def _pair(row: tuple[str, ...]) -> tuple[str, str]:
    return row[0], row[1]


def _optional(value: Any, table: str) -> int | None:
    return None if value is None else _number(value, table)


def _text(value: Any, table: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableResults(f"table {table}: {_shown(value)} is not a text")
    return value


def _capacity(row: Sequence[Any], first: int, table: str) -> Capacity:
    return tuple([_number(0 if value is None else value, table) for value in row[first:]])


def _shown(value: Any) -> str:
    return repr(value)[:60]


def _hosts(value: object, table: str) -> list[int]:
    """Host ids from a JSON array."""
    text = _text(value, table)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise UnreadableResults(f"table {table}: {text[:40]!r} is not a list of hosts")
    return [_number(host, table) for host in found]
