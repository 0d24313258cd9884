"""Reading a results file."""

from __future__ import annotations

import difflib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from haizea.accounting import schema
from haizea.accounting.errors import ResultsError

Row = Sequence[Any]

_WHAT_TO_DO = "Name the datafile of a run"

_TABLES = frozenset(statement.split()[2] for statement in schema.TABLES)


class Results:
    """A results file, open for reading.

    ``run`` are the facts of the run, ``labels`` its labels, ``types`` the resource types
    of the site. Close it, or use it in a ``with`` statement. Raises
    :class:`ResultsError` for a file that is no results file, is damaged, or was written
    by a later version of Haizea.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            with self.path.open("rb"):
                pass
        except OSError as error:
            raise ResultsError(f"{path}: cannot be read: {error.strerror or error}") from error
        with self._telling():
            uri = f"file:{quote(str(self.path.absolute()))}?mode=ro&immutable=1"
            self._db = sqlite3.connect(uri, uri=True)
        try:
            with self._telling():
                self._db.execute("PRAGMA trusted_schema = OFF")
                self._check()
                self.run: dict[str, str] = dict(self._db.execute("SELECT key, value FROM run"))
                self._check_version()
                self.labels: dict[str, str] = dict(
                    self._db.execute("SELECT name, value FROM labels ORDER BY name")
                )
                self.types = self._types()
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Be done with the file."""
        self._db.close()

    def rows(self, sql: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """The rows that a query gives, one after the other."""
        with self._telling():
            # Not "yield from": it would close the cursor once nobody reads on, which is an
            # error where the file is closed already.
            for row in self._db.execute(sql, values):  # noqa: UP028
                yield row

    def figures(self) -> dict[str, float]:
        """The figures of the run, by name."""
        return {row[0]: row[1] for row in self.rows("SELECT name, value FROM figures")}

    def counters(self) -> list[str]:
        """The names of its counters, in order."""
        return sorted(row[0] for row in self.rows("SELECT DISTINCT counter FROM counters"))

    def counter(self, name: str) -> str:
        """The counter that ``name`` means: upper or lower case, hyphens or spaces.

        Raises :class:`ResultsError`, naming the nearest, where there is none.
        """
        known = {_plain(counter): counter for counter in self.counters()}
        if _plain(name) in known:
            return known[_plain(name)]
        if not known:
            raise ResultsError(
                f"{self.path}: there is no counter {name!r}, nor any other: the run had no"
                " probes. Name some in its configuration, section [accounting]"
            )
        close = difflib.get_close_matches(_plain(name), list(known), n=1, cutoff=0.4)
        hint = f" Did you mean {known[close[0]]!r}?" if close else ""
        raise ResultsError(f"{self.path}: there is no counter {name!r}.{hint} Option -l lists them")

    def _check(self) -> None:
        found = {row[0] for row in self._db.execute("SELECT name FROM sqlite_master")}
        if not found >= _TABLES:
            raise ResultsError(f"{self.path}: this is not a results file of Haizea. {_WHAT_TO_DO}")

    def _check_version(self) -> None:
        version = self.run.get("schema_version", "")
        if not (version.isascii() and version.isdigit()):
            raise ResultsError(f"{self.path}: this is not a results file of Haizea. {_WHAT_TO_DO}")
        if int(version) > schema.SCHEMA_VERSION:
            raise ResultsError(
                f"{self.path}: written by Haizea {self.run.get('haizea_version') or '?'}, which"
                f" is newer than this one (file version {version}; known is"
                f" {schema.SCHEMA_VERSION}). Use that Haizea, or a later one"
            )

    def _types(self) -> list[str]:
        own = len(schema.RESERVATION_COLUMNS)
        return [r[1] for r in self._db.execute("PRAGMA table_info(reservations)")][own:]

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what SQLite says into words for the user."""
        try:
            yield
        except sqlite3.Error as error:
            raise ResultsError(
                f"{self.path}: this is not a results file of Haizea, or it is damaged"
                f" ({error}). {_WHAT_TO_DO}"
            ) from error


def _plain(name: str) -> str:
    return name.casefold().replace("-", " ").replace("_", " ")
