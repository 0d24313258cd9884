"""Reads from a results file where the nodes of some leases could run, and where they did.

Results of earlier versions have no such tables.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from haizea.checker.records import HostRules, NodeHosts

_MOST_ROWS = 10_000_000
_LARGEST = 1 << 60


class BadPlaces(Exception):
    """One of the tables makes no sense; says why."""


def has_table(db: sqlite3.Connection, table: str) -> bool:
    """Tell whether there is such a table. Raises :class:`BadPlaces` if it is not a plain one."""
    row = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    if row is None:
        return False
    if not isinstance(row[0], str) or not row[0].upper().startswith("CREATE TABLE"):
        raise BadPlaces(f"{table} is not a plain table")
    return True


def read_host_rules(db: sqlite3.Connection) -> Iterator[tuple[int, HostRules]]:
    """Leases, in order, and their rules, each lease's in order of time.

    Raises :class:`BadPlaces`.
    """
    for lease, time, text in _rows(db, "host_rules", "lease, time, rules"):
        yield lease, _rules(time, text)


def read_node_hosts(db: sqlite3.Connection, table: str) -> Iterator[tuple[int, NodeHosts]]:
    """Leases, in order, and the hosts of their nodes, each lease's in order of time.

    ``node_hosts`` has those that were chosen for leases that may not run everywhere,
    ``planned_hosts`` those that were planned in place of others. Raises :class:`BadPlaces`.
    """
    for lease, time, text in _rows(db, table, "lease, time, hosts"):
        yield lease, NodeHosts(time, _numbers(table, _parsed(table, text)))


def read_seconds(db: sqlite3.Connection, table: str) -> Iterator[tuple[int, tuple[int, int]]]:
    """Leases, in order: when their VMs were planned to take how long, by time.

    ``preparation`` has how long to start, ``shutdown`` to shut down. Raises :class:`BadPlaces`.
    """
    for lease, time, seconds in _rows(db, table, "lease, time, seconds"):
        yield lease, (time, _numbers(table, [seconds])[0])


def rules_change(db: sqlite3.Connection, lease: int, time: int) -> bool:
    """Tell whether other hosts will do for the lease from that moment on."""
    if not has_table(db, "host_rules"):
        return False
    query = "SELECT 1 FROM host_rules WHERE lease = ? AND time = ? LIMIT 1"
    return db.execute(query, (lease, time)).fetchone() is not None


def _rows(db: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[int, int, Any]]:
    if not has_table(db, table):
        return
    query = f"SELECT {columns} FROM {table} ORDER BY lease, time, rowid"
    for count, (lease, time, text) in enumerate(db.execute(query)):
        if count >= _MOST_ROWS:
            raise BadPlaces(f"table {table} has too many rows")
        _numbers(table, [lease, time])
        yield lease, time, text


def _rules(time: int, text: Any) -> HostRules:
    """``NULL``: all hosts will do."""
    table = "host_rules"
    if text is None:
        return HostRules(time, (-1,))
    found = _parsed(table, text)
    if not isinstance(found, dict):
        raise BadPlaces(f"table {table}: {text[:40]!r} is not an object")
    try:
        sets = [int(part, 16) for part in found["sets"]]
        nodes = _numbers(table, found["nodes"])
        allowed = tuple([sets[i] for i in nodes]) or (sets[0],)
        together = tuple([_numbers(table, part) for part in found["together"]])
        apart = tuple([_numbers(table, part) for part in found["apart"]])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise BadPlaces(f"table {table}: {text[:40]!r} makes no sense ({error!r})") from None
    if any(node >= len(allowed) for part in (*together, *apart) for node in part):
        raise BadPlaces(f"table {table}: {text[:40]!r} names nodes that are not there")
    return HostRules(time, allowed, together, apart)


def _parsed(table: str, text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise BadPlaces(f"table {table}: {str(text)[:40]!r} is not JSON") from None


def _numbers(table: str, values: Any) -> tuple[int, ...]:
    if not isinstance(values, list) or not all(
        type(value) is int and 0 <= value <= _LARGEST for value in values
    ):
        raise BadPlaces(f"table {table}: {str(values)[:40]} are not numbers from 0 on")
    return tuple(values)
