"""Opens a results file: an SQLite file that somebody else may have written.

It is opened read-only; only plain tables are read; every value's type and size is
checked. What cannot be read raises :class:`UnreadableResults` with what and where.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from haizea.checker.load_places import BadPlaces, has_table
from haizea.checker.options import BadOption, read_options
from haizea.checker.records import Host, HostChange, Options, RatesChange, Records, Row
from haizea.checker.values import (
    DiskFailed,
    UnreadableResults,
    capacity,
    hosts,
    number,
    rate,
    text,
)

SCHEMA_VERSION = "1"

#: So begins what a run says of its faults if these are events at given moments only:
#: hosts that change, leases that are cancelled.
FAULTLESS = "events"

MOST_ROWS = 50_000_000
MOST_TYPES = 100
LONGEST_TEXT = 1_000_000

#: KB of memory that each sorting of a table takes at most; the rest of it lies on disk.
SORTING_KB = 16_384

#: SQLite's errors are of kinds, which are their last byte; some are not the file's fault.
_KIND = 0xFF
_OF_THE_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)

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


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """An open results file, and what it says of its run as a whole.

    ``amounts`` are, by table, the columns of the resource types, for a query.
    """

    db: sqlite3.Connection
    records: Records
    amounts: Mapping[str, str]


@contextmanager
def opened(path: Path) -> Iterator[ResultsFile]:
    """The results file ``path``, to be read as long as the context lasts.

    Raises :class:`UnreadableResults`, whenever something is read that makes no sense, and
    :class:`DiskFailed`.
    """
    if not path.is_file():
        raise UnreadableResults("there is no such file")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_TEXT)
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA cell_size_check = ON")
            db.execute("PRAGMA temp_store = FILE")
            db.execute(f"PRAGMA cache_size = -{SORTING_KB}")
            db.execute("BEGIN")  # one state of the file, should a run still write it
            yield _Loader(db).file()
    except (sqlite3.Error, UnicodeError) as error:
        if getattr(error, "sqlite_errorcode", 0) & _KIND in _OF_THE_DISK:
            raise DiskFailed(
                f"it cannot be checked: {error}. Temporary files need about as much room as it"
                " has; set SQLITE_TMPDIR to a folder with more"
            ) from None
        raise UnreadableResults(f"it is not a results file of Haizea ({error})") from None
    except BadOption as error:
        raise UnreadableResults(f"table configuration: {error}") from None
    except BadPlaces as error:
        raise UnreadableResults(str(error)) from None


class _Loader:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def file(self) -> ResultsFile:
        self._check_tables()
        run: dict[str, str] = dict(map(_pair, self._texts("SELECT key, value FROM run", "run")))
        if run.get("schema_version") != SCHEMA_VERSION:
            raise UnreadableResults(
                f"table run: schema_version is {run.get('schema_version')!r};"
                f" this version of Haizea reads {SCHEMA_VERSION!r}"
            )
        types = _types(run)
        tables = ("hosts", "node_sets", "reservation_sets")
        amounts = {table: self._amounts(table, types) for table in tables}
        return ResultsFile(self._db, self._records(run, types, amounts), amounts)

    def _records(
        self, run: Mapping[str, str], types: tuple[str, ...], amounts: Mapping[str, str]
    ) -> Records:
        options = self._options()
        outages = self._outages(amounts["reservation_sets"])
        host_changes = self._host_changes()
        absences = _absences(run.get("absences", ""))
        wrong, contested = self._codes()
        troubled = (
            not options.simulated
            or not _as_planned(run.get("faults", ""))
            or bool(absences)
            or any(c.status == "down" for changes in host_changes.values() for c in changes)
        )
        return Records(
            status=run.get("status", ""),
            ended=self._ended(run.get("ended", "")),
            types=types,
            options=options,
            hosts=self._hosts(amounts["hosts"]),
            leases=self._count("leases"),
            outages=outages,
            host_changes=host_changes,
            troubled=troubled,
            disturbed=(
                troubled
                or bool(outages)
                or (has_table(self._db, "maintenance") and self._count("maintenance") > 0)
                or wrong
            ),
            contested=contested,
            placed=has_table(self._db, "host_rules") and self._any("SELECT 1 FROM host_rules"),
            endless=self._any("SELECT 1 FROM leases WHERE duration IS NULL AND state = 'Active'"),
            absences=absences,
            rates=self._rates(),
            changed=has_table(self._db, "changes")
            and self._any("SELECT 1 FROM changes WHERE status = 'granted'"),
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
            count = self._count(table)
            if count > MOST_ROWS:
                raise UnreadableResults(
                    f"table {table} has {count} rows; at most {MOST_ROWS} are read"
                )

    def _count(self, table: str) -> int:
        (count,) = self._db.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(count)

    def _any(self, query: str) -> bool:
        return self._db.execute(f"{query} LIMIT 1").fetchone() is not None

    def _codes(self) -> tuple[bool, bool]:
        """Tell whether something failed or was late; and whether somebody went or was refused."""
        query = (
            "SELECT max(code IN ('failure', 'delayed', 'late', 'set-aside')),"
            " max(code IN ('preempted', 'no-room', 'no-time')) FROM states"
        )
        wrong, contested = self._db.execute(query).fetchone()
        return bool(wrong), bool(contested)

    def _ended(self, said: str) -> int:
        """Return when the run ended; if it does not say so, when the last lease did anything."""
        if said.isascii() and said.isdigit() and len(said) < 18:
            return int(said)
        last = "SELECT time, max(rowid) FROM states GROUP BY lease"
        (time,) = self._db.execute(f"SELECT max(time) FROM ({last})").fetchone()
        return 0 if time is None else number(time, "states")

    def _options(self) -> Options:
        query = "SELECT section, option, value FROM configuration"
        return read_options({(s, o): v for s, o, v in self._texts(query, "configuration")})

    def _texts(self, query: str, table: str) -> Iterator[tuple[str, ...]]:
        for row in self._db.execute(query):
            yield tuple(text(value, table) for value in row)

    def _amounts(self, table: str, types: Sequence[str]) -> str:
        """The types' columns. Checked against the table: SQLite takes an unknown name in
        double quotes for a text."""
        columns = {name for _, name, *_ in self._db.execute(f"PRAGMA table_info({table})")}
        for name in types:
            if name not in columns:
                raise UnreadableResults(f"table {table} has no column for resource type {name!r}")
        return ", ".join('"' + name.replace('"', '""') + '"' for name in types)

    def _hosts(self, amounts: str) -> dict[int, Host]:
        query = f"SELECT id, name, {amounts} FROM hosts ORDER BY id"
        return {
            number(row[0], "hosts"): Host(row[0], text(row[1], "hosts"), capacity(row, 2, "hosts"))
            for row in self._db.execute(query)
        }

    def _host_changes(self) -> dict[int, list[HostChange]]:
        changes: dict[int, list[HostChange]] = {}
        query = "SELECT host, time, status FROM host_states ORDER BY time, rowid"
        for host, time, status in self._db.execute(query):
            change = HostChange(number(time, "host_states"), text(status, "host_states"))
            changes.setdefault(number(host, "host_states"), []).append(change)
        return changes

    def _rates(self) -> dict[int, list[RatesChange]]:
        """Return the rates learned of hosts; results of earlier versions have no such table."""
        table = "host_rates"
        if not has_table(self._db, table):
            return {}
        rates: dict[int, list[RatesChange]] = {}
        query = f"SELECT host, time, suspend_mb_s, resume_mb_s FROM {table} ORDER BY time, rowid"
        for count, (host, time, suspend, resume) in enumerate(self._db.execute(query)):
            if count >= MOST_ROWS:
                raise UnreadableResults(f"table {table} has too many rows")
            change = RatesChange(number(time, table), rate(suspend, table), rate(resume, table))
            rates.setdefault(number(host, table), []).append(change)
        return rates

    def _outages(self, amounts: str) -> list[Row]:
        table = "reservation_sets"
        query = (
            f'SELECT purpose, start, "end", hosts, {amounts} FROM {table}'
            ' WHERE lease IS NULL ORDER BY start, "end", rowid'
        )
        outages: list[Row] = []
        for row in self._db.execute(query):
            start, end = number(row[1], table), number(row[2], table)
            purpose, amount = text(row[0], table), capacity(row, 4, table)
            outages += [
                Row(None, purpose, host, start, end, amount) for host in hosts(row[3], table)
            ]
        return outages


def _pair(row: tuple[str, ...]) -> tuple[str, str]:
    return row[0], row[1]


def _types(run: Mapping[str, str]) -> tuple[str, ...]:
    types = tuple(run.get("resource_types", "").split())
    if not types or len(types) > MOST_TYPES or len(set(types)) < len(types):
        raise UnreadableResults("table run: resource_types does not list resource types")
    return types


def _absences(said: str) -> list[tuple[int, int]]:
    """Times in which nobody was there: ``start-end``, separated by spaces."""
    found = re.findall(r"(?<!\S)(\d{1,18})-(\d{1,18})(?!\S)", said, re.ASCII)
    return [(int(start), int(end)) for start, end in found]


def _as_planned(faults: str) -> bool:
    """Tell whether operations were carried out as planned, by what the run says of its faults."""
    return not faults or faults.startswith(FAULTLESS)
