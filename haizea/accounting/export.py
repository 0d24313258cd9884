"""Results of one run or of many as one table, for CSV and JSON.

The columns of a table begin with what it is about; each label of the runs follows as a
column of its own, and the file's name where there are several files. A run without a
label, or without a resource type that another has, leaves that column empty.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from haizea.accounting.errors import ResultsError
from haizea.accounting.foreign import BATSIM_COLUMNS, batsim_rows
from haizea.accounting.reader import Results, Row
from haizea.accounting.schema import (
    MORE_LEASE_COLUMNS,
    PER_LEASE_COLUMNS,
    RESERVATION_COLUMNS,
    quoted,
)


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns, and rows that are made as they are asked for (once)."""

    columns: tuple[str, ...]
    rows: Iterator[Row]


# Of one file: its columns, and its rows.
_Part = tuple[list[str], Iterable[Row]]


def _per_lease(results: Results, counter: str | None) -> _Part:
    columns = PER_LEASE_COLUMNS + MORE_LEASE_COLUMNS
    # Results of earlier versions have no windows.
    there = _columns_of(results, "leases")
    chosen = [name if name in there else f"NULL AS {name}" for name in columns]
    return columns, results.rows(f"SELECT {', '.join(chosen)} FROM leases ORDER BY lease")


def _per_run(results: Results, counter: str | None) -> _Part:
    run = results.run
    facts: dict[str, object] = {
        "status": run.get("status"),
        "workload": run.get("workload"),
        "started": int(run.get("started", 0)),
        "ended": int(run.get("ended", 0)),
    }
    facts.update((name, value) for name, value in results.figures().items() if name not in facts)
    return list(facts), [list(facts.values())]


def _counter(results: Results, counter: str | None) -> _Part:
    columns = ["counter", "time", "lease", "value", "average", "weighted"]
    select = f"SELECT {', '.join(columns)} FROM counters"
    if counter is None:
        return columns, results.rows(f"{select} ORDER BY counter, rowid")
    name = results.counter(counter)
    return columns, results.rows(f"{select} WHERE counter = ? ORDER BY rowid", [name])


def _reservations(results: Results, counter: str | None) -> _Part:
    types = "".join(f", r.{quoted(name)}" for name in results.types)
    rows = results.rows(
        f"SELECT r.lease, r.purpose, COALESCE(h.name, r.host), r.start, r.end{types}"
        " FROM reservations r LEFT JOIN hosts h ON h.id = r.host"
        ' ORDER BY r.start, r."end", r.lease, r.purpose, r.host'
    )
    return RESERVATION_COLUMNS + results.types, rows


def _states(results: Results, counter: str | None) -> _Part:
    columns = ["lease", "time", "state", "reason", "code"]
    there = _columns_of(results, "states")
    columns += [name for name in ("reason_code", "reason_parameters") if name in there]
    return columns, results.rows(f"SELECT {', '.join(columns)} FROM states ORDER BY rowid")


def _changes(results: Results, counter: str | None) -> _Part:
    # Results of earlier versions have no changes.
    columns = [row[1] for row in results.rows("PRAGMA table_info(changes)")]
    if not columns:
        return ["lease", "time", "status"], []
    names = ", ".join(map(quoted, columns))
    return columns, results.rows(f"SELECT {names} FROM changes ORDER BY lease, rowid")


def _columns_of(results: Results, table: str) -> set[str]:
    return {row[1] for row in results.rows(f"PRAGMA table_info({table})")}


def _batsim(results: Results, counter: str | None) -> _Part:
    return BATSIM_COLUMNS, batsim_rows(results)


#: What can be exported, by the name that users see.
EXPORTS: dict[str, Callable[[Results, str | None], _Part]] = {
    "per-lease": _per_lease,
    "per-run": _per_run,
    "counter": _counter,
    "reservations": _reservations,
    "states": _states,
    "changes": _changes,
    "batsim": _batsim,
}


def export(what: str, files: Sequence[Results], counter: str | None = None) -> Table:
    """``what`` (a name in :data:`EXPORTS`) of all ``files``, in their order.

    ``counter`` chooses one counter; all are exported without it. Raises
    :class:`ResultsError` where a file lacks that counter.
    """
    parts = [EXPORTS[what](results, counter) for results in files]
    own = list(dict.fromkeys(column for columns, _ in parts for column in columns))
    labels = sorted({label for results in files for label in results.labels})
    taken = {*own, "file"} if len(files) > 1 else set(own)
    # A label that is called like a column is told from it by a prefix.
    names = [f"label.{label}" if label in taken else label for label in labels]
    several = ["file"] if len(files) > 1 else []

    def rows() -> Iterator[Row]:
        for results, (columns, found) in zip(files, parts, strict=True):
            tail: list[Any] = [results.labels.get(label) for label in labels]
            if several:
                tail.append(str(results.path))
            if columns == own:
                yield from ([*row, *tail] for row in found)
            else:
                for row in found:
                    by_name = dict(zip(columns, row, strict=True))
                    yield [*(by_name.get(column) for column in own), *tail]

    return Table((*own, *names, *several), rows())


def counter_names(files: Sequence[Results]) -> list[str]:
    """The counters that any of ``files`` has, in order."""
    return sorted({name for results in files for name in results.counters()})


def write_csv(table: Table, to: TextIO) -> None:
    """A header line, then a line per row; unknown is empty."""
    writer = csv.writer(to, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)


def write_json(table: Table, to: TextIO) -> None:
    """An array of objects, one per row and line; unknown is null."""
    to.write("[")
    before = "\n"
    for row in table.rows:
        to.write(before + json.dumps(dict(zip(table.columns, row, strict=True))))
        before = ",\n"
    to.write("\n]\n")


#: By the name that users see.
WRITERS: dict[str, Callable[[Table, TextIO], None]] = {"csv": write_csv, "json": write_json}


def open_all(paths: Iterable[str]) -> list[Results]:
    """The results files at ``paths``; closes what it opened where one cannot be read."""
    opened: list[Results] = []
    try:
        opened.extend(map(Results, paths))
    except ResultsError:
        for results in opened:
            results.close()
        raise
    return opened
