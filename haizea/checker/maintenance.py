"""Maintenance: when a window begins its hosts are empty, and they stay out of use until its end.

Where leases may stay, a host is out of use once it is empty. No host is out of use else.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from haizea.checker.load_places import has_table
from haizea.checker.others import Others
from haizea.checker.records import Records
from haizea.checker.values import UnreadableResults, number, text
from haizea.checker.violation import Rule, Violation

_TABLE = "maintenance"
_MOST_ROWS = 1_000_000


class Window(NamedTuple):
    """A window in one form, from when it began until it was over or changed.

    ``waits``: for those who are on its hosts, and for images on their way there; ``ends`` says
    whether it went on to its end.
    """

    hosts: tuple[int, ...]
    begun: int
    over: int
    waits: bool
    ends: bool = False


def maintenance(records: Records, db: sqlite3.Connection, others: Others) -> Iterator[Violation]:
    """Find hosts that were not out of use in a window that had begun, and those that were in none.

    Of hosts for whose leases a window waits, only its last moments are judged.
    """
    if records.troubled or not has_table(db, _TABLE):
        return
    out: dict[int, list[tuple[int, int]]] = {}
    for row in records.outages:
        out.setdefault(row.host, []).append((row.start, row.end))
    meant: dict[int, list[tuple[int, int]]] = {}
    for window in _windows(db, records.ended):
        for host in window.hosts:
            meant.setdefault(host, []).append((window.begun, window.over))
        yield from _missing(records, window, out, others)
    for host, times in sorted(out.items()):
        for start, end in times:
            time = _reach(start, meant.get(host, ()))
            if time < end:
                message = "it is out of use, and in no maintenance"
                yield Violation(Rule.MAINTENANCE, None, host, time, message)


def _missing(
    records: Records, window: Window, out: dict[int, list[tuple[int, int]]], others: Others
) -> Iterator[Violation]:
    """Find the hosts of a window that were not out of use when they should have been."""
    since, hosts = window.begun, set(window.hosts)
    if window.waits:
        since = window.over - 1
        if since < window.begun or not window.ends or records.was_away(window.begun, window.over):
            return
        hosts -= {row.host for row in others.held_until(window.over)}
    for host in sorted(hosts):
        time = _reach(since, out.get(host, ()))
        if time < window.over:
            message = "it is in maintenance, and not out of use"
            yield Violation(Rule.MAINTENANCE, None, host, time, message)


def _reach(time: int, periods: Iterable[tuple[int, int]]) -> int:
    """Return the first moment from this one on that is in none of these times."""
    for start, end in sorted(periods):
        if start <= time < end:
            time = end
    return time


def announced(db: sqlite3.Connection) -> Iterator[tuple[int, int, bool]]:
    """Moment, window, and whether leases keep out of its way from then on, or no more."""
    if not has_table(db, _TABLE):
        return
    query = f"SELECT time, window, status FROM {_TABLE} WHERE status != 'refused'"
    for time, window, status in db.execute(query):
        yield number(time, _TABLE), number(window, _TABLE), text(status, _TABLE) != "over"


def _windows(db: sqlite3.Connection, ended: int) -> Iterator[Window]:
    """The windows that began, in order of their ends."""
    under_way: dict[int, Window] = {}
    planned: dict[int, Window] = {}
    query = (
        f'SELECT time, window, status, hosts, leases, start, "end" FROM {_TABLE}'
        " ORDER BY time, rowid"
    )
    for count, row in enumerate(db.execute(query)):
        if count >= _MOST_ROWS:
            raise UnreadableResults(f"table {_TABLE} has too many rows")
        time, window = number(row[0], _TABLE), number(row[1], _TABLE)
        status, leases = text(row[2], _TABLE), text(row[4], _TABLE)
        if status == "refused":
            continue
        before = under_way.pop(window, None)
        if before is not None:
            yield before._replace(over=time, ends=status == "over" and time == row[6])
        if status == "planned":
            planned[window] = new = Window(_hosts(row[3]), time, ended, leases == "stay")
            if before is not None and number(row[5], _TABLE) <= time:
                under_way[window] = new
        elif status == "begun" and window in planned:
            under_way[window] = planned[window]._replace(begun=time)
    yield from under_way.values()


def _hosts(said: Any) -> tuple[int, ...]:
    try:
        found = json.loads(said)
    except (TypeError, ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(type(host) is int for host in found):
        raise UnreadableResults(f"table {_TABLE}: {str(said)[:40]!r} is not a list of hosts")
    return tuple(found)
