"""Maintenance: when a window begins its hosts are empty, and they stay out of use until its end."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple

from haizea.checker.load_places import has_table
from haizea.checker.records import Records
from haizea.checker.values import UnreadableResults, number, text
from haizea.checker.violation import Rule, Violation

_TABLE = "maintenance"
_MOST_ROWS = 1_000_000


class Window(NamedTuple):
    """A window in one form, from when it began until it was over or changed."""

    hosts: tuple[int, ...]
    begun: int
    over: int


def maintenance(records: Records, db: sqlite3.Connection) -> Iterator[Violation]:
    """Find hosts that were not out of use though a window that waits for nobody had begun."""
    if records.troubled:
        return
    out: dict[int, list[tuple[int, int]]] = {}
    for row in records.outages:
        out.setdefault(row.host, []).append((row.start, row.end))
    for window in _windows(db, records.ended):
        for host in window.hosts:
            time = window.begun
            for start, end in sorted(out.get(host, ())):
                if start <= time < end:
                    time = end
            if time < window.over:
                message = "it is in maintenance, and not out of use"
                yield Violation(Rule.MAINTENANCE, None, host, time, message)


def announced(db: sqlite3.Connection) -> Iterator[tuple[int, int, bool]]:
    """Moment, window, and whether leases keep out of its way from then on, or no more."""
    if not has_table(db, _TABLE):
        return
    query = f"SELECT time, window, status FROM {_TABLE} WHERE status != 'refused'"
    for time, window, status in db.execute(query):
        yield number(time, _TABLE), number(window, _TABLE), text(status, _TABLE) != "over"


def _windows(db: sqlite3.Connection, ended: int) -> Iterator[Window]:
    """The windows that began, in order of their ends."""
    if not has_table(db, _TABLE):
        return
    under_way: dict[int, Window] = {}
    planned: dict[int, tuple[int, ...]] = {}
    query = f"SELECT time, window, status, hosts, leases FROM {_TABLE} ORDER BY time, rowid"
    for count, row in enumerate(db.execute(query)):
        if count >= _MOST_ROWS:
            raise UnreadableResults(f"table {_TABLE} has too many rows")
        time, window = number(row[0], _TABLE), number(row[1], _TABLE)
        status, leases = text(row[2], _TABLE), text(row[4], _TABLE)
        if status == "refused":
            continue
        before = under_way.pop(window, None)
        if before is not None:
            yield before._replace(over=time)
        if status == "planned":
            planned[window] = () if leases == "stay" else _hosts(row[3])
        elif status == "begun":
            under_way[window] = Window(planned.get(window, ()), time, ended)
    yield from under_way.values()


def _hosts(said: Any) -> tuple[int, ...]:
    try:
        found = json.loads(said)
    except (TypeError, ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(type(host) is int for host in found):
        raise UnreadableResults(f"table {_TABLE}: {str(said)[:40]!r} is not a list of hosts")
    return tuple(found)
