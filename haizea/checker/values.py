"""Single values of a results file, each with its type and size checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from haizea.checker.records import Capacity

#: SQLite stores 64 bits; sums of these amounts still mean something.
LARGEST_NUMBER = 1 << 60

_INTEGERS = {int}


class DiskFailed(Exception):
    """There was no room for temporary files, or the disk failed; says what to do."""


class UnreadableResults(Exception):
    """The file is not a results file, or not one that makes sense; says why."""


def number(value: Any, table: str) -> int:
    """A number from 0 on."""
    if type(value) is not int or not 0 <= value <= LARGEST_NUMBER:
        raise UnreadableResults(f"table {table}: {_shown(value)} is not a number from 0 on")
    return value


def optional(value: Any, table: str) -> int | None:
    """A number from 0 on, or ``None`` for NULL."""
    return None if value is None else number(value, table)


def rate(value: Any, table: str) -> float | None:
    """MB/s, or ``None`` for NULL."""
    if value is None:
        return None
    if type(value) is not float or not 0 < value <= LARGEST_NUMBER:
        raise UnreadableResults(f"table {table}: {_shown(value)} is not a rate")
    return value


def text(value: Any, table: str) -> str:
    """A text; empty for NULL."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableResults(f"table {table}: {_shown(value)} is not a text")
    return value


def capacity(row: Sequence[Any], first: int, table: str) -> Capacity:
    """The amounts from the column ``first`` on; NULL is 0."""
    return tuple([number(0 if value is None else value, table) for value in row[first:]])


def hosts(value: object, table: str) -> list[int]:
    """Host ids from a JSON array."""
    array = text(value, table)
    try:
        found = json.loads(array)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise UnreadableResults(f"table {table}: {array[:40]!r} is not a list of hosts")
    # All at once: a lease may have thousands.
    if set(map(type, found)) != _INTEGERS or min(found) < 0 or max(found) > LARGEST_NUMBER:
        return [number(host, table) for host in found]
    return found


def lease_of(parameters: str) -> int | None:
    """The lease that a reason with these parameters, a JSON object, is about; ``None`` if none."""
    try:
        found = json.loads(parameters) if parameters else None
    except (ValueError, RecursionError):
        found = None
    lease = found.get("lease") if isinstance(found, dict) else None
    return lease if type(lease) is int and 0 <= lease <= LARGEST_NUMBER else None


def _shown(value: Any) -> str:
    return repr(value)[:60]
